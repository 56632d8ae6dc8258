"""Colours and markers that all pictures share: readable in print, in grey and by colour-blind readers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

from ..fixed_points import FixedPoints, Kind

# Okabe & Ito (2008), names by role.
INK = "#1a1a1a"
PAPER = "#ffffff"
FIRST = "#d55e00"
SECOND = "#0072b2"
PATH = "#7a2a6b"
CLOUD = "#7f8c99"


class Marker(NamedTuple):
    """How one kind of point is drawn: full for attracting, half for mixed, open for repelling."""

    symbol: str
    fill: str
    size: float


MARKERS = {
    Kind.SINK: Marker("o", "full", 8.0),
    Kind.SADDLE: Marker("o", "left", 8.0),
    Kind.SOURCE: Marker("o", "none", 8.0),
    Kind.DEGENERATE: Marker("D", "bottom", 8.0),
}


def speed_colours(share: float = 0.5) -> ListedColormap:
    """Viridis mixed with white, so that lines and markers stand out; opaque, unlike alpha, it leaves no seams."""
    colours = mpl.colormaps["viridis"](np.linspace(0, 1, 256))[:, :3]
    return ListedColormap(share * colours + 1 - share, name="light viridis")


def dimension_colour(unstable_dim: int, largest: int) -> ColorType:
    """Cold for sinks, hotter with each unstable direction; lightness rises with it, so grey copies stay readable."""
    return mpl.colormaps["plasma"](0.82 * unstable_dim / max(largest, 3))


def count_text(number: int, unstable_dim: int, kind: str) -> str:
    """Legend text of one class of points."""
    if unstable_dim == 0:
        return f"{kind} ({number})"
    return f"{kind}, {unstable_dim} unstable ({number})"


def axes_or_new(ax: Axes | None, size: tuple[float, float], projection: str | None = None) -> Axes:
    """The given axes, or those of a new figure that pyplot does not know, so it is freed with its last reference."""
    if ax is not None:
        return ax
    return Figure(figsize=size, layout="constrained").add_subplot(projection=projection)


def draw_points(ax: Axes, coordinates: np.ndarray, kind: Kind, colour: ColorType, **line: Any) -> None:
    """One line object of markers for points `(N, 2)` or `(N, 3)` of a kind."""
    style = MARKERS[kind]
    ax.plot(
        *coordinates.T,
        linestyle="none",
        marker=style.symbol,
        fillstyle=style.fill if style.fill != "none" else "full",
        markersize=style.size,
        markerfacecolor=PAPER if style.fill == "none" else colour,
        markerfacecoloralt=PAPER,
        markeredgecolor=colour if style.fill == "none" else INK,
        markeredgewidth=1.7 if style.fill == "none" else 0.9,
        **line,
    )


def halo(width: float) -> list[effects.AbstractPathEffect]:
    """A white rim, so that lines keep their contrast on any background."""
    return [effects.withStroke(linewidth=width, foreground=PAPER, alpha=0.85)]


def legend_below(ax: Axes, columns: int, height: float = -0.13) -> None:
    """A frameless legend under the axes, outside the picture."""
    if ax.get_legend_handles_labels()[1]:
        ax.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, height),
            ncols=columns,
            frameon=False,
            fontsize="small",
            handletextpad=0.5,
            columnspacing=1.4,
        )


def one_system(points: FixedPoints, caller: str) -> np.ndarray:
    """Row numbers of the points, after a check that this is not a batch."""
    if points.mask.ndim != 1:
        raise ValueError(
            f"{caller}: these are the points of {points.mask.shape[0]} systems; "
            "pick one with jax.tree.map(lambda x: x[i], points)"
        )
    return np.flatnonzero(np.asarray(points.mask))


def as_paths(trajectories: Sequence[Any] | np.ndarray, size: int, caller: str) -> list[np.ndarray]:
    """Trajectories as arrays `(T, size)`."""
    paths = [np.asarray(path) for path in trajectories]
    for path in paths:
        if path.ndim != 2 or path.shape[1] != size:
            raise ValueError(
                f"{caller}: each trajectory must have shape (T, {size}), got {path.shape}; "
                "pass a list of such arrays or one array (B, T, S)"
            )
    return paths
