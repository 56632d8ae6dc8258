"""Fixed points of a system with many state variables, seen along principal components."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from .._types import ArrayLike
from ..fixed_points import FixedPoints, Kind
from ..systems import AbstractMap, AbstractSystem
from ._field import modes
from ._style import (
    CLOUD,
    INK,
    PATH,
    as_paths,
    axes_or_new,
    count_text,
    dimension_colour,
    draw_points,
    halo,
    legend_below,
    one_system,
)

_MAX_LABELS = 32
_MINUS = "\N{MINUS SIGN}"


class _Plane(NamedTuple):
    """Principal components: `centre (S,)`, orthonormal `axes (dims, S)`, `share (dims,)` of the variance."""

    centre: np.ndarray
    axes: np.ndarray
    share: np.ndarray

    def project(self, states: np.ndarray) -> np.ndarray:
        return (states - self.centre) @ self.axes.T


def pca_portrait(
    system: AbstractSystem,
    points: FixedPoints,
    states: ArrayLike | None = None,
    *,
    trajectories: Sequence[Any] | np.ndarray = (),
    readout: ArrayLike | tuple[ArrayLike, ArrayLike] | None = None,
    dims: Literal[2, 3] = 2,
    ax: Axes | None = None,
) -> Axes:
    """Fixed points of a system of any size in the plane of the first principal components.

    Sinks are drawn full, saddles half full, sources open, degenerate points as diamonds, in a colour for the number of
    unstable directions. Line segments of equal length in state space show these directions, both ways; one that looks
    short points out of the picture. A complex pair gets the two segments that span its plane.

    **Arguments:**

    - `system`: the map or flow of the points, states of shape `(S,)`.
    - `points`: from `find_fixed_points`.
    - `states`: visited states `(T, S)` or `(B, T, S)`. The components are theirs; without them those of the points.
    - `trajectories`: arrays `(T, S)`, drawn as lines.
    - `readout`: a matrix `(O, S)`, or a pair of matrix and bias `(O,)`: sinks are labelled with their readout, rounded.
    - `dims`: 2, or 3 for a three-dimensional view; `ax` must then have `projection="3d"`.
    - `ax`: where to draw, by default a new figure, `ax.figure`.

    **Returns:** the axes.

    **Raises:** `ValueError` for a batch of points, for states, trajectories or a readout of another width, for
    axes or a system with fewer dimensions than `dims`, and when there is neither a point nor a state.

    **Source:** Sussillo & Barak (2013), figs. 3 to 6.
    """
    rows = one_system(points, "pca_portrait")
    if points.state.shape[-1] < dims:
        raise ValueError(
            f"pca_portrait: {dims} dimensions need as many state variables, got {points.state.shape[-1]}; "
            + ("use spectrum" if dims == 2 else "use dims=2")
        )
    if dims == 3 and ax is not None and ax.name != "3d":
        raise ValueError('pca_portrait: dims=3 needs axes made with projection="3d"; leave ax out or make such axes')
    found, unstable = np.asarray(points.state)[rows], np.asarray(points.unstable_dim)[rows]
    kinds, size = np.asarray(points.kind)[rows], points.state.shape[-1]
    visited = _flatten(states, size)
    paths = as_paths(trajectories, size, "pca_portrait")
    plane = _principal_plane(found if visited is None else visited, dims)
    ax = axes_or_new(ax, (6.2, 5.6) if dims == 2 else (6.4, 5.9), "3d" if dims == 3 else None)

    if visited is not None:
        dots: dict[str, Any] = {"linestyle": "none", "marker": ".", "color": CLOUD, "markeredgewidth": 0}
        ax.plot(*plane.project(visited).T, **dots, markersize=4, alpha=0.3, rasterized=True, gid="visited", zorder=1)
        ax.plot(*np.zeros((plane.axes.shape[0], 0)), **dots, markersize=7, label="visited states")
    for number, path in enumerate(paths):
        label = None if number else "trajectory" if len(paths) == 1 else "trajectories"
        ax.plot(*plane.project(path).T, color=PATH, linewidth=0.9, alpha=0.7, label=label, gid="trajectory", zorder=2)
    largest = int(unstable.max(initial=0))
    _draw_unstable(ax, system, plane, found[unstable > 0], unstable[unstable > 0], largest)
    for dim in np.unique(unstable):
        for kind in (Kind.SINK, Kind.SADDLE, Kind.SOURCE, Kind.DEGENERATE):
            here = found[(kinds == kind) & (unstable == dim)]
            if len(here):
                draw_points(
                    ax,
                    plane.project(here),
                    kind,
                    dimension_colour(int(dim), largest),
                    label=count_text(len(here), int(dim), kind.name.lower()),
                    gid=f"{kind.name.lower()}-{dim}",
                    zorder=5,
                )
    if readout is not None:
        _draw_readout(ax, plane, found[kinds == Kind.SINK], readout, size)
    _finish_axes(ax, plane)
    legend_below(ax, 3, 0.0 if dims == 3 else -0.13)
    return ax


def _flatten(states: ArrayLike | None, size: int) -> np.ndarray | None:
    if states is None:
        return None
    array = np.asarray(states)
    if array.ndim not in (2, 3) or array.shape[-1] != size:
        raise ValueError(
            f"pca_portrait: states must have shape (T, {size}) or (B, T, {size}), one column per state variable, "
            f"got {array.shape}"
        )
    return array.reshape(-1, size)


def _principal_plane(cloud: np.ndarray, dims: int) -> _Plane:
    if not len(cloud):
        raise ValueError("pca_portrait: no points and no states to take components from; give states=")
    cloud = cloud.astype(float)
    centre = cloud.mean(axis=0)
    values, vectors = np.linalg.eigh((cloud - centre).T @ (cloud - centre))
    # Falling variance; the largest entry of each component is positive, so that the picture does not flip.
    axes = vectors[:, ::-1].T[:dims]
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    values = np.maximum(values[::-1], 0)
    return _Plane(centre, axes, values[:dims] / max(values.sum(), np.finfo(float).tiny))


def _draw_unstable(
    ax: Axes, system: AbstractSystem, plane: _Plane, states: np.ndarray, unstable: np.ndarray, largest: int
) -> None:
    """Segments along the growing modes, all of one length in state space."""
    if not len(states):
        return
    values, vectors = modes(system, states)
    growing = np.abs(values) > 1 if isinstance(system, AbstractMap) else np.real(values) > 0
    seen = plane.project(states)
    length = 0.09 * max(float(np.ptp(np.concatenate([seen, plane.project(plane.centre)[None]]), axis=0).max()), 0.5)
    for row, column in zip(*np.nonzero(growing), strict=True):
        vector = vectors[row, :, column]
        # Of a conjugate pair, the real part for one and the imaginary part for the other.
        direction = np.imag(vector) if np.imag(values[row, column]) < 0 else np.real(vector)
        arm = length * direction / max(float(np.linalg.norm(direction)), np.finfo(float).tiny) @ plane.axes.T
        ax.plot(
            *np.stack([seen[row] - arm, seen[row] + arm]).T,
            color=dimension_colour(int(unstable[row]), largest),
            linewidth=1.8,
            solid_capstyle="round",
            gid="unstable-direction",
            zorder=4,
        )


def _draw_readout(
    ax: Axes, plane: _Plane, sinks: np.ndarray, readout: ArrayLike | tuple[ArrayLike, ArrayLike], size: int
) -> None:
    matrix, bias = readout if isinstance(readout, tuple) else (readout, 0.0)
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[1] != size:
        raise ValueError(f"pca_portrait: the readout must have shape (O, {size}), got {matrix.shape}")
    texts = readout_texts(sinks @ matrix.T + np.asarray(bias))[:_MAX_LABELS]
    seen = plane.project(sinks)[: len(texts)]
    below = _crowded(seen)
    for position, text, under in zip(seen, texts, below, strict=True):
        label: Any = ax.text if len(position) == 3 else ax.annotate
        if len(position) == 3:
            label(
                *position, f"    {text}", fontsize="small", color=INK, path_effects=halo(2.2), zorder=7, gid="readout"
            )
            continue
        label(
            text,
            position,
            xytext=(0, -8 if under else 8),
            textcoords="offset points",
            ha="center",
            va="top" if under else "bottom",
            fontsize="small",
            color=INK,
            path_effects=halo(2.2),
            zorder=7,
            gid="readout",
        )


def readout_texts(values: np.ndarray) -> list[str]:
    """Readouts `(N, O)` as short labels: signs alone where all of them are nearly +1 or -1."""
    if len(values) and np.abs(np.abs(values) - 1).max() < 0.25:
        return ["\N{THIN SPACE}".join("+" if part > 0 else _MINUS for part in value) for value in values]
    return [", ".join(f"{part:.2g}".replace("-", _MINUS) for part in value) for value in values]


def _crowded(seen: np.ndarray) -> np.ndarray:
    """Which labels go below their point because a neighbour's stands beside, above its own."""
    below = np.zeros(len(seen), bool)
    span = np.maximum(np.ptp(seen, axis=0), 1e-12) if len(seen) else 1.0
    for row in np.lexsort(seen.T[::-1]) if len(seen) else []:
        near = (np.abs((seen - seen[row]) / span)[:, :2] < np.array([0.16, 0.05])).all(axis=1)
        near &= seen[:, 0] < seen[row, 0]
        below[row] = bool((near & ~below).any())
    return below


def _finish_axes(ax: Any, plane: _Plane) -> None:
    """Axis labels with the share of variance, equal scales, and a quiet frame."""
    labels = [f"PC {number} ({100 * share:.0f}%)" for number, share in enumerate(plane.share, start=1)]
    for axis, label in zip("xyz", labels, strict=False):
        getattr(ax, f"set_{axis}label")(label)
    if ax.name == "3d":
        ax.set_aspect("equal")
        ax.view_init(elev=22, azim=-58)
        ax.set_box_aspect(None, zoom=1.0)
        for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
            axis.set_pane_color((1, 1, 1, 0))
            axis.set_major_locator(MaxNLocator(5))
            axis.line.set_color(CLOUD)
            # The only way to reach the grid of a 3-D axis.
            axis._axinfo["grid"].update(color="#d9dde1", linewidth=0.6)
        return
    ax.set_aspect("equal", adjustable="datalim")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
