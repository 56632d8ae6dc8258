"""Figures 4 to 7 with the curves behind them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..continuation import SpecialKind
from ..plot import bifurcation_diagram, cycle_periods
from ..plot._special import STYLES
from ..plot._style import INK, PATH, legend_below
from ._jordan_figures import time_series
from ._jordan_knobs import GAIN, at, knob
from ._jordan_loops import TURN, Loop, borders
from ._jordan_measure import Measured
from ._jordan_orbits import paths, sample
from ._jordan_portraits import of_measured
from ._jordan_rotation import Rotation
from ._jordan_slow import LAUNCH, NEAR, Ghosts, Line

ALPHA = r"angle $\alpha$"
_LONGEST = 1000.0
_INNER = np.array([[0.05, 0.0], [1.15, 1.15], [-1.15, 1.1]])


def titled(ax: Axes, title: str) -> None:
    ax.set_title(title, loc="left", fontsize="medium")


def vertical(ax: Axes, place: float, text: str, height: float = 0.03, side: str = "left") -> None:
    """A line across the axes with its name."""
    ax.axvline(place, color="#8a8a8a", linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    ax.annotate(
        text, (place, height), xycoords=("data", "axes fraction"), xytext=(4 if side == "left" else -4, 0),
        textcoords="offset points", ha=side, va="bottom", fontsize="small", color="#555555", zorder=6,
    )  # fmt: skip


def figure_5(one: Rotation, facts: Mapping[str, Any], measured: Mapping[str, Measured]) -> Figure:
    """The three printed panels, and the family that they are taken from."""
    figure = Figure(figsize=(15.6, 10.4), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1)  # pyright: ignore
    axes = figure.subplots(2, 3, height_ratios=(1.25, 1))
    names = {"fig:5a": "A  a stable focus", "fig:5b": "B  a limit cycle", "fig:5c": "C  a slow limit cycle"}
    for ax, (case, name) in zip(axes[0], names.items(), strict=True):
        duration = 1500.0 if case == "fig:5c" else 80.0
        lines = paths(measured[case].flow, np.concatenate([_INNER, [[0.6, 0.3]]]), duration)
        of_measured(measured[case], ax=ax, trajectories=lines)
        period = f", period {facts['cycles'][case]['period']:.4f}" if case in facts["cycles"] else ""
        titled(ax, name + period)
    left, middle, right = axes[1]
    bifurcation_diagram(one.flow, ax=left)
    cycle_reach(left, one)
    left.set(xlabel=ALPHA, xlim=(0.0, 1.2), ylim=(-1.1, 1.1))
    titled(left, "D  fixed points and cycles along the family")
    cycle_periods(one.cycles, log=True, ax=middle)
    _printed_angles(middle, facts)
    end = facts["end"]["alpha"]
    vertical(middle, end, "four folds", 0.92)
    middle.set(xlabel=ALPHA, xlim=(0.05, 0.92))
    titled(middle, "E  period of the cycle, from its birth to its end")
    _law(right, one, facts)
    return figure


def cycle_reach(ax: Axes, one: Rotation) -> None:
    """Least and greatest h1 along the cycles: they are symmetric, so half the amplitude to either side of 0.

    Of cycles much longer than the printed ones all that can be seen is that they are at the folds.
    """
    reach = np.asarray(one.cycles.amplitude)[:, 0] / 2
    used = np.asarray(one.cycles.mask) & (np.asarray(one.cycles.period) < _LONGEST) & (reach > 0.06)
    reach, mu = reach[used], np.asarray(one.cycles.mu)[used]
    for end in (reach, -reach):
        ax.plot(mu, end, "o-", color=PATH, markersize=4.0, linewidth=0.8, zorder=3)
    ax.plot([], [], "o", color=PATH, markersize=4.5, label="stable cycle, least and greatest")
    legend_below(ax, 3, -0.16)


def _printed_angles(ax: Axes, facts: Mapping[str, Any]) -> None:
    angles = {"fig:5b": np.pi / 5, "fig:5c": np.pi / 21}
    places = np.array([[angle, facts["cycles"][case]["period"]] for case, angle in angles.items()])
    style: dict[str, Any] = {"marker": "D", "markersize": 7, "markerfacecolor": "white", "markeredgecolor": PATH}
    ax.plot(*places.T, linestyle="none", markeredgewidth=1.8, label="as printed: 5B, 5C", zorder=6, **style)
    for (x, y), name in zip(places, ("5B", "5C"), strict=True):
        ax.annotate(name, (x, y), xytext=(9, 7), textcoords="offset points", fontsize="small", color=PATH)
    legend_below(ax, 3, -0.16)


def _law(ax: Axes, one: Rotation, facts: Mapping[str, Any]) -> None:
    end = facts["end"]
    rows = np.flatnonzero(np.asarray(one.cycles.mask))
    away = np.asarray(one.cycles.mu)[rows] - end["alpha"]
    far = away > 1e-6
    ax.loglog(away[far], np.asarray(one.cycles.period)[rows][far], "o", color=PATH, markersize=4.5, label="cycles")
    line = np.array([1e-5, 1.0])
    ax.loglog(
        line, end["rate_from_the_folds"] / np.sqrt(line), color=INK, linewidth=1.1, linestyle=(0, (4, 2)),
        label=r"four passages, $4\pi / \sqrt{ac(\alpha - \alpha^*)}$",
    )  # fmt: skip
    ax.set(xlabel=r"distance to the folds, $\alpha - \alpha^*$", ylabel="period")
    legend_below(ax, 2, -0.16)
    titled(ax, "F  the law of a saddle-node on a cycle")


def figure_4(loops: Mapping[str, Loop], measured: Mapping[str, Measured]) -> Figure:
    """The printed systems with the borders of their regions, and the orbits of a saddle beside them."""
    figure = Figure(figsize=(15.6, 5.4 * len(loops)), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1)  # pyright: ignore
    axes = figure.subplots(len(loops), 3, squeeze=False)
    for number, (case, loop) in enumerate(loops.items()):
        left, middle, right = axes[number]
        letters = "ABCDEF"[3 * number :]
        of_measured(measured[case], ax=left, trajectories=borders(measured[case]))
        titled(left, f"{letters[0]}  figure {case.removeprefix('fig:')} as printed, borders of the regions")
        of_measured(measured[f"{case} turned"], ax=middle, trajectories=[])
        middle.plot(*loop.orbit.T, color=PATH, linewidth=2.2, zorder=5)
        titled(middle, f"{letters[1]}  $U_h$ turned by {TURN:g}, gain {float(loop.connection.mu):.5f}: homoclinic")
        cycle_periods(loop.cycles, ax=right)
        style = STYLES[SpecialKind.HOMOCLINIC]
        right.set_box_aspect(1)
        vertical(right, float(loop.connection.mu), "homoclinic to the saddle", 0.9, "right")
        right.set_xlabel("gain of $U_h$")
        titled(right, f"{letters[2]}  period of the cycles from Hopf to {style.short}")
    return figure


def figure_6(line: Line, facts: Mapping[str, Any], measured: Mapping[str, Measured]) -> Figure:
    """The printed system near its sink, time constants along the gain, and the same near the pitchfork."""
    figure = Figure(figsize=(15.6, 5.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ring = 0.19 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for ax, case, name in (
        (left, "fig:6a", "A  as printed: an ordinary sink"),
        (right, "fig:6a slow", "C  almost singular: a line of slow states"),
    ):
        of_measured(measured[case], ax=ax, bounds=(-0.2, 0.2), trajectories=paths(measured[case].flow, ring, 12.0))
        titled(ax, name)
    pitchfork, flow = line.pitchfork, measured["fig:6a"].flow
    gains = pitchfork * (1 - np.geomspace(1.0, 1e-3, 200))
    times = -1 / np.sort(_origin_growth(flow, gains), axis=1)
    for column, name, dash in ((1, "slow", "solid"), (0, "fast", (0, (4, 1.5)))):
        middle.semilogy(gains, times[:, column], color=INK, linestyle=dash, label=f"{name} time constant")
    middle.set_box_aspect(1)
    vertical(middle, 1.0, "printed", 0.9)
    vertical(middle, pitchfork, "pitchfork", 0.9, "right")
    middle.set(xlabel="gain of $U_h$", ylabel="time constant", ylim=(0.8, 400), xlim=(0, 1.08 * pitchfork))
    legend_below(middle, 2, -0.16)
    titled(middle, "B  how slow the origin is")
    return figure


def _origin_growth(flow: Any, gains: np.ndarray) -> np.ndarray:
    """Real parts of the eigenvalues `(N, 2)` at the origin when U_h is scaled."""
    family = knob(flow, GAIN)
    matrices = jax.vmap(lambda gain: at(family, gain).jacobian(jnp.zeros(2)))(jnp.asarray(gains))
    return np.linalg.eigvals(np.asarray(matrices)).real


def figure_7(one: Ghosts, facts: Mapping[str, Any], measured: Mapping[str, Measured]) -> Figure:
    """The portrait with its slow point, the branches along the bias, and the time that the slow point takes."""
    case = measured["fig:7a"]
    figure = Figure(figsize=(15.6, 9.6), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1)  # pyright: ignore
    grid = figure.add_gridspec(2, 6, height_ratios=(1.25, 1))
    left, middle = figure.add_subplot(grid[0, :3]), figure.add_subplot(grid[0, 3:])
    lower, right = figure.add_subplot(grid[1, :3]), figure.add_subplot(grid[1, 3:])
    (path,) = paths(case.flow, LAUNCH, 100.0)
    others = np.array([[-1.1, -0.9], [-0.9, -1.1], [1.1, -1.1], [-0.3, 1.1], [1.1, 0.2]])
    of_measured(case, ax=left, trajectories=[path, *paths(case.flow, others, 200.0)])
    ghost = np.array(facts["slow_point"])
    left.plot(*ghost, "x", color="#c1272d", markersize=9, markeredgewidth=2.2, label="slow point", zorder=8)
    legend_below(left, 3)
    titled(left, "A  as printed, and its slow point")
    bifurcation_diagram(one.branches, ax=middle)
    middle.set(xlabel="bias $b_{h1}$")
    vertical(middle, facts["printed_b_h1"], "printed", 0.9)
    titled(middle, "B  fixed points along the bias")
    times = sample(100.0)[: len(path)]
    time_series(lower, times, path)
    inside = np.linalg.norm(path - np.asarray(one.fold.state), axis=1) < NEAR
    lower.axvspan(times[inside][0], times[inside][-1], color=PATH, alpha=0.12, linewidth=0)
    lower.set_xlim(0, 1.8 * times[inside][-1])
    titled(lower, "C  from (-1, 0.4); shaded: within 0.1 of the fold's place")
    distance, spent = one.times
    right.loglog(distance[:-1], spent[:-1], "o", color=PATH, label="measured")
    right.loglog(distance[-1:], spent[-1:], "D", color=PATH, markerfacecolor="white", markersize=8, label="as printed")
    span = np.array([distance.min(), distance.max()])
    right.loglog(
        span, one.factor / np.sqrt(span), color=INK, linestyle=(0, (4, 2)), linewidth=1.1,
        label=r"$\pi / \sqrt{ac(b - b^*)}$",
    )  # fmt: skip
    right.set(xlabel="distance to the fold, $b_{h1} - b^*$", ylabel=f"time within {NEAR} of it")
    legend_below(right, 3, -0.16)
    titled(right, "D  the nearer the fold, the longer it takes")
    return figure
