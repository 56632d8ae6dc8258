"""How a gradient flows back through a sequence."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from ..sensitivity import BPTTFactors, GradientFlow, GradientHorizon
from ._style import CLOUD, FIRST, INK, PAPER, SECOND, axes_or_new

_WORDS = {
    GradientFlow.VANISHING: "vanishing",
    GradientFlow.STEADY: "steady",
    GradientFlow.EXPLODING: "exploding",
    GradientFlow.UNDECIDED: "undecided",
}


def gradient_flow(
    factors: BPTTFactors,
    horizon: GradientHorizon | None = None,
    *,
    decades: float = 10.0,
    ax: Axes | None = None,
) -> Axes:
    """The backward signal of a sequence over the step at which it arrives and the lag it has travelled.

    A diagonal upward to the left is one reading of the loss on its way back. Beside it the share of the signal that is
    left at each lag, with the fitted rate as a broken line, and the horizons as lines across.

    **Arguments:**

    - `factors`: from `bptt_factors` with `max_lag`, of one sequence; its `lags.signal (K, T)` is drawn.
    - `horizon`: from `gradient_horizon` of these factors, or `None`.
    - `decades`: powers of ten below the largest value that the colours span.
    - `ax`: where to draw. By default a new figure, `ax.figure`, that pyplot does not keep.

    **Returns:** the axes of the map; the profile is its first child axes, `ax.child_axes[0]`.

    **Raises:** `ValueError` for factors without lags and for a batch of sequences.

    **Source:** Pascanu, Mikolov, Bengio (2013), section 2; the picture is ours.
    """
    if factors.lags is None:
        raise ValueError("gradient_flow: these factors have no lags; give `max_lag` to bptt_factors")
    signal = np.asarray(factors.lags.signal, float)
    if signal.ndim != 2:
        raise ValueError("gradient_flow: this is a batch; pick one sequence with jax.tree.map(lambda x: x[i], factors)")
    ax = axes_or_new(ax, (7.6, 4.4))
    lags, steps = signal.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        height = np.ma.masked_invalid(np.log10(signal))
    # What would have to come from beyond the end is nothing, not a small signal.
    height[np.arange(lags)[:, None] + np.arange(steps)[None] >= steps] = np.ma.masked
    top = float(height.max()) if height.count() else 0.0
    edges = np.arange(steps + 1) + 0.5, np.arange(lags + 1) - 0.5
    ax.set_facecolor("#e9ecef")
    low = max(top - decades, float(height.min()) if height.count() else -1.0)
    image = ax.pcolormesh(*edges, height, cmap="viridis", vmin=low, vmax=max(top, low + 1e-6), rasterized=True)
    ax.set(xlabel=r"step $t$ at which the parameter acts", ylabel=r"lag $k$ to the reading", xlim=edges[0][[0, -1]])
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    figure = ax.get_figure()
    assert figure is not None
    extend = "min" if height.count() and low > float(height.min()) else "neither"
    label = r"$\log_{10}\Vert\Lambda_k[t]\Vert$"
    bar = figure.colorbar(image, ax=ax, location="left", shrink=0.85, aspect=30, pad=0.02, extend=extend, label=label)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    _draw_profile(ax, np.asarray(factors.lags.left, float), horizon)
    return ax


def _draw_profile(ax: Axes, left: np.ndarray, horizon: GradientHorizon | None) -> None:
    side = ax.inset_axes((1.09, 0.0, 0.36, 1.0), sharey=ax)
    lag = np.arange(left.size)
    shown = np.isfinite(left) & (left > 0)
    side.plot(left[shown], lag[shown], color=INK, linewidth=1.6, gid="left")
    side.set_xscale("log")
    side.xaxis.set_major_locator(LogLocator(numticks=4))
    side.xaxis.set_minor_locator(NullLocator())
    side.tick_params(labelleft=False)
    side.set_xlabel("share left")
    side.grid(axis="x", color=CLOUD, alpha=0.3, linewidth=0.6)
    for edge in ("top", "right"):
        side.spines[edge].set_visible(False)
    ax.set_ylim(-0.5, left.size - 0.5)
    if horizon is None:
        return
    rate, error = float(horizon.rate), float(horizon.standard_error)
    verdict = _WORDS[GradientFlow(int(horizon.verdict))]
    if np.isfinite(rate):
        ends = np.asarray(horizon.fitted, float)
        inside = shown & (lag >= ends[0]) & (lag <= ends[1])
        middle = np.mean(np.log(left[inside])) - rate * np.mean(lag[inside])
        side.plot(np.exp(middle + rate * ends), ends, color=FIRST, linestyle=(0, (4, 2)), linewidth=1.6, gid="fit")
        per_step = f"rate {rate:.3g} $\\pm$ {error:.1g} per step"
    else:
        per_step = "no rate"
    reached = []
    for level, reach in zip(np.asarray(horizon.levels), np.asarray(horizon.horizon), strict=True):
        name = "1/e" if np.isclose(level, np.exp(-1)) else f"{100 * level:.3g} %"
        reached.append(f"{name} left after {reach:.3g}" if np.isfinite(reach) else f"{name} left later")
        if np.isfinite(reach):
            ax.axhline(reach, color=PAPER, linewidth=1.1, gid="horizon")
            side.axhline(reach, color=SECOND, linewidth=1.1, gid="horizon")
    side.set_title("\n".join([verdict, per_step, *reached]), fontsize="small", loc="left")
