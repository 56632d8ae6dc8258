"""Loss and gradient over a plane of parameters."""

from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from ..sensitivity import LossLandscape
from ._style import FIRST, INK, PAPER, axes_or_new, halo

_LABELS = {"loss": "loss", "gradient": r"$\Vert\nabla L\Vert_2$"}


def loss_surface(
    landscape: LossLandscape,
    *,
    value: Literal["loss", "gradient"] = "loss",
    log: bool = True,
    limits: tuple[float, float] | None = None,
    labels: tuple[str, str] = ("x", "y"),
    marks: bool = True,
    bar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """A loss, or the 2-norm of its gradient, as colours and contour lines over a plane of parameters.

    A cross marks the grid point of least loss, with the valley through it unless it lies on the border, a triangle the
    steepest point. For several
    models on one scale give all the same `limits` and one colour bar.

    **Arguments:**

    - `landscape`: from `loss_landscape`, of one model, `(X, Y)`.
    - `value`: what is drawn. `log`: colours by the logarithm; values of zero and below are then below the scale.
    - `limits`: least and largest value of the scale, by default those of the grid, at most 8 decades.
    - `labels`: names of the coordinates. `marks`: draw the two points. `bar`: draw a colour bar.
    - `ax`: where to draw. By default a new figure, `ax.figure`, that pyplot does not keep.

    **Returns:** the axes. Points that are not finite stay grey.

    **Raises:** `ValueError` for a batch, for a grid of fewer than two points a side, and for an unknown `value`.

    **Source:** Rehmer & Kroll (2020), figs. 8 and 9.
    """
    if landscape.loss.ndim != 2:
        raise ValueError("loss_surface: this is a batch; pick one model with jax.tree.map(lambda x: x[i], landscape)")
    if min(landscape.loss.shape) < 2:
        raise ValueError(f"loss_surface: at least two points a side are needed, got {landscape.loss.shape}")
    if value not in _LABELS:
        raise ValueError(f'loss_surface: value must be "loss" or "gradient", got {value!r}')
    heights = np.asarray(landscape.loss if value == "loss" else landscape.slope, float)
    heights = np.ma.masked_invalid(heights)
    low, high = surface_limits(heights, log) if limits is None else limits
    ax = axes_or_new(ax, (5.6, 4.6))
    ax.set_facecolor("#d8dcdf")
    norm = LogNorm(low, high, clip=False) if log else Normalize(low, high)
    x, y = np.asarray(landscape.x, float), np.asarray(landscape.y, float)
    image = ax.pcolormesh(x, y, heights.T, norm=norm, cmap="viridis", shading="nearest", rasterized=True)
    steps = np.geomspace(low, high, 13)[1:-1] if log else np.linspace(low, high, 13)[1:-1]
    ax.contour(x, y, heights.T, levels=steps, colors=PAPER, linewidths=0.5, alpha=0.55)
    if marks:
        _draw_marks(ax, landscape)
    ax.set(xlabel=labels[0], ylabel=labels[1], xlim=(x.min(), x.max()), ylim=(y.min(), y.max()))
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.yaxis.set_major_locator(MaxNLocator(6))
    if bar:
        figure = ax.get_figure()
        assert figure is not None
        scale = figure.colorbar(image, ax=ax, shrink=0.85, aspect=28, pad=0.02, label=_LABELS[value])
        scale.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return ax


def surface_limits(heights: np.ndarray, log: bool) -> tuple[float, float]:
    """Least and largest value worth a colour; of several models, call it on all their values together."""
    finite = np.ma.masked_invalid(heights).compressed()
    if log:
        finite = finite[finite > 0]
    if finite.size == 0:
        return (1e-1, 1.0) if log else (0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    if log:
        low = max(low, 1e-8 * high)
        return (low, high) if high > low else (low / 10, high * 10)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _draw_marks(ax: Axes, landscape: LossLandscape) -> None:
    best, steep = np.asarray(landscape.best, float), np.asarray(landscape.steepest_at, float)
    axes, width = np.asarray(landscape.axes, float), np.asarray(landscape.width, float)
    span = float(np.ptp(np.asarray(landscape.x))), float(np.ptp(np.asarray(landscape.y)))
    for column in range(2):
        # On the border the curvature is not that of a minimum.
        if bool(landscape.interior) and np.isfinite(width[column]):
            # The valley is drawn as wide as it is, but no longer than a quarter of the picture.
            reach = min(width[column], 0.25 * min(span)) * axes[:, column]
            ends = np.stack([best - reach, best + reach])
            ax.plot(*ends.T, color=FIRST, linewidth=1.4, path_effects=halo(2.6), zorder=4, gid=f"axis-{column}")
    point: dict[str, Any] = {"linestyle": "none", "markersize": 8, "zorder": 5, "clip_on": False}
    ax.plot(*best, marker="x", color=FIRST, markeredgewidth=2.0, path_effects=halo(3.6), gid="best", **point)
    ax.plot(*steep, marker="^", color=PAPER, markeredgecolor=INK, gid="steepest", **point)
