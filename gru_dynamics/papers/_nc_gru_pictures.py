"""Loss over steps with baseline and floor, and times per step."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..plot._style import INK, halo
from ._nc_gru_columns import Column
from ._nc_gru_run import Run

# Okabe & Ito (2008) without yellow, and a second line style from the eighth on.
_COLOURS = ("#7f8c99", "#56b4e9", "#009e73", "#cc79a7", "#0072b2", "#d55e00", "#7a2a6b")
_POINTS = 60


def curves(runs: Sequence[Run], column: Column, quantity: str) -> Figure:
    """Training loss, the median over seeds with a band from the least to the most, each point a mean of some steps."""
    figure = Figure(figsize=(9.6, 5.2), layout="constrained")
    ax = figure.add_subplot()
    ends, last = [], 0.0
    for place, run in enumerate(runs):
        steps, low, middle, high = _smooth(run.loss)
        colour, line = _COLOURS[place % len(_COLOURS)], "-" if place < len(_COLOURS) else "--"
        ax.fill_between(steps, low, high, color=colour, alpha=0.16, linewidth=0)
        ax.plot(steps, middle, line, color=colour, linewidth=1.7)
        seen = np.flatnonzero(np.isfinite(middle))
        if seen.size:
            ends.append((float(middle[seen[-1]]), run.network.name, colour))
            last = max(last, float(steps[seen[-1]]))
    task = column.setting.task
    ax.set_yscale("log")
    for value, name, style in ((task.baseline, "without memory", "--"), (task.floor, "floor", ":")):
        if value:
            ax.axhline(value, color=INK, linewidth=1.0, linestyle=style)
            ax.annotate(
                f"{name} {value:.3g}",
                (0.99, value),
                (0, 3),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                fontsize="small",
                path_effects=halo(3.0),
            )
    ax.set(xlabel="step", ylabel=quantity, xlim=(0, last or None))
    if task.baseline and ax.get_ylim()[1] > 2 * task.baseline:
        # The first steps, far above it, would press the rest together.
        ax.set_ylim(top=2 * task.baseline)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title(column.title, loc="left", fontsize="medium")
    figure.draw_without_rendering()
    _label(ax, ends)
    return figure


def bars(runs: Sequence[Run], column: Column) -> Figure:
    """Milliseconds per step, each repetition a point."""
    figure = Figure(figsize=(8.4, 0.5 * len(runs) + 1.4), layout="constrained")
    ax = figure.add_subplot()
    for place, run in enumerate(runs):
        times = 1e3 * run.seconds
        colour = _COLOURS[4] if run.network.cell == "nc-gru" else _COLOURS[0]
        ax.barh(place, np.median(times), height=0.6, color=colour, alpha=0.45)
        ax.plot(times, np.full(times.size, place), "o", color=colour, markersize=4)
        ax.annotate(
            f"{np.median(times):.3g}", (times.max(), place), xytext=(6, 0), textcoords="offset points", va="center"
        )
    ax.set_yticks(range(len(runs)), [run.network.name for run in runs])
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel("milliseconds per training step")
    ax.margins(x=0.12)
    ax.set_title(column.title, loc="left", fontsize="medium")
    return figure


def _smooth(loss: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Steps, and least, median and most over seeds of the means of blocks of steps."""
    width = max(loss.shape[1] // _POINTS, 1)
    whole = loss.shape[1] // width * width
    means = loss[:, :whole].reshape(loss.shape[0], -1, width).mean(axis=2)
    steps = width * (np.arange(means.shape[1]) + 0.5)
    return steps, means.min(axis=0), np.median(means, axis=0), means.max(axis=0)


def _label(ax: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Names behind the last points, pushed apart where they would touch."""
    if not ends:
        return
    ends = sorted(ends)
    wanted = np.array(
        [ax.transAxes.inverted().transform(ax.transData.transform((0, value)))[1] for value, _, _ in ends]
    )
    places, gap = wanted.copy(), 0.052
    for at in range(1, len(places)):
        places[at] = max(places[at], places[at - 1] + gap)
    places -= np.mean(places - wanted)
    for (value, name, colour), wants, place in zip(ends, wanted, places, strict=True):
        ax.annotate(
            f"{name}  {value:.2g}",
            (1.0, wants),
            xytext=(1.025, place),
            xycoords="axes fraction",
            va="center",
            color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8, "relpos": (0.0, 0.5)},
        )
