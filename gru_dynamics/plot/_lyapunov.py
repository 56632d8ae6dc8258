"""Lyapunov exponents with error bars, and how they converge."""

import numpy as np
from matplotlib.axes import Axes

from ..sensitivity._lyapunov_result import LyapunovSpectrum
from ._style import CLOUD, FIRST, INK, PAPER, SECOND, axes_or_new

_Z = 1.96


def lyapunov_exponents(
    spectrum: LyapunovSpectrum, *, unit: str = "per step", log: bool = False, ax: Axes | None = None
) -> Axes:
    """Exponents over their index with 95 % intervals: positive ones in one colour, negative in another, those whose
    interval holds zero between them. Several runs of one system, as from `jax.vmap` over starts, lie side by side.

    **Arguments:** `spectrum`, one of k exponents or a batch of N, shape `(k,)` or `(N, k)`; `unit` of the exponents,
    `"per step"` or `"per unit of time"`; `log`, a symmetric logarithmic axis; `ax`, by default a new figure.

    **Returns:** the axes.

    **Raises:** `ValueError` for more than one leading axis.

    **Source:** none.
    """
    values, bars = _rows(spectrum.exponents), _Z * _rows(spectrum.standard_error)
    number, k = values.shape
    ax = axes_or_new(ax, (5.6, 3.8))
    ax.axhline(0, color=INK, linewidth=0.9, zorder=1, gid="zero")
    shift = (np.arange(number) - (number - 1) / 2) * min(0.12, 0.6 / number)
    index = np.arange(1, k + 1)[None] + shift[:, None]
    known = np.where(np.isfinite(bars), bars, 0)
    classes = (
        ("positive", values - known > 0, FIRST, FIRST),
        ("zero within its interval", (values - known <= 0) & (values + known >= 0), PAPER, INK),
        ("negative", values + known < 0, SECOND, SECOND),
    )
    size = 5.5 if k <= 40 else 3.0
    for label, chosen, face, edge in classes:
        shown = chosen & np.isfinite(values)
        if not shown.any():
            continue
        count = shown.sum(axis=1)
        text = f"{count.min()}" if count.min() == count.max() else f"{count.min()} to {count.max()}"
        ax.errorbar(
            index[shown],
            values[shown],
            yerr=known[shown],
            fmt="o",
            markersize=size,
            color=edge,
            markerfacecolor=face,
            markeredgecolor=edge if k > 40 else INK,
            markeredgewidth=0.6,
            elinewidth=1.0,
            capsize=0 if k > 40 else 2,
            label=f"{label} ({text})",
            gid=label.split()[0],
            zorder=3,
        )
    lost = np.isneginf(values)
    if log:
        ax.set_yscale("symlog", linthresh=0.01)
    if lost.any():
        bottom = ax.get_ylim()[0]
        ax.plot(index[lost], np.full(lost.sum(), bottom), "v", color=CLOUD, clip_on=False, label="minus infinity")
        ax.set_ylim(bottom=bottom)
    step = max(1, int(np.ceil(k / 12)))
    ax.set_xticks(np.arange(1, k + 1, step))
    ax.set(xlabel="index", ylabel=rf"Lyapunov exponent $\lambda_i$ {unit}", xlim=(0.4, k + 0.6))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small", loc="best")
    return ax


def lyapunov_convergence(
    spectrum: LyapunovSpectrum, *, most: int = 8, time_label: str = "steps", ax: Axes | None = None
) -> Axes:
    """The running estimates of the leading exponents over the length of the run, and the final intervals at its end.

    **Arguments:** `spectrum`, one of k exponents, with its history `(B, k)`; `most`, how many of them to draw;
    `time_label`; `ax`, by default a new figure.

    **Returns:** the axes, with one line per exponent.

    **Raises:** `ValueError` for a batch.

    **Source:** none.
    """
    history, time = np.asarray(spectrum.history), np.asarray(spectrum.time)
    if history.ndim != 2:
        raise ValueError(
            f"lyapunov_convergence: these are {len(history)} runs; pick one with jax.tree.map(lambda x: x[i], spectrum)"
        )
    ax = axes_or_new(ax, (5.6, 3.8))
    used = np.isfinite(time)
    time, history = time[used], history[used]
    values, bars = np.asarray(spectrum.exponents), _Z * np.asarray(spectrum.standard_error)
    drawn = [i for i in range(min(most, len(values))) if np.isfinite(values[i])]
    ax.axhline(0, color=CLOUD, linewidth=0.8, zorder=1)
    shades = np.linspace(0, 0.75, max(len(drawn), 1))
    for place, i in enumerate(drawn):
        colour = _mix(FIRST if values[i] > bars[i] else SECOND, shades[place])
        ax.plot(time, history[:, i], color=colour, linewidth=1.3, gid=f"exponent-{i + 1}", zorder=3)
        if np.isfinite(bars[i]):
            ax.fill_between(
                time[[0, -1]], values[i] - bars[i], values[i] + bars[i], color=colour, alpha=0.15, linewidth=0, zorder=2
            )
    if drawn and len(time) > 1:
        _name_ends(ax, [values[i] for i in drawn], [f"$\\lambda_{{{i + 1}}}$" for i in drawn])
        ax.set_xlim(time[0], time[-1])
        ax.set_xscale("log")
        late = history[len(time) // 8 :, drawn]
        low, high = min(late.min(), values[drawn].min()), max(late.max(), values[drawn].max())
        room = 0.12 * max(high - low, 1e-3)
        ax.set_ylim(low - room, high + room)
    ax.set(xlabel=time_label, ylabel="running estimate")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _rows(values: object) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim > 2:
        raise ValueError(f"lyapunov_exponents: expected exponents (k,) or (N, k), got {array.shape}")
    return np.atleast_2d(array)


def _mix(colour: str, white: float) -> tuple[float, ...]:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return tuple((1 - white) * part + white * 0.75 for part in parts)


def _name_ends(ax: Axes, values: list[float], names: list[str]) -> None:
    """Names beside the ends of the lines, as many as do not overlap."""
    low, high = min(values), max(values)
    gap = 0.07 * max(high - low, 1e-3)
    last = np.inf
    for value, name in zip(values, names, strict=True):
        if last - value >= gap:
            ax.annotate(
                name, (1, value), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
                fontsize="small", annotation_clip=False,
            )  # fmt: skip
            last = value
