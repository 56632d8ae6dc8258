"""Eigenvalues in the complex plane."""

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from .._types import ArrayLike
from ..fixed_points import FixedPoints
from ..systems import AbstractMap, AbstractSystem
from ._style import CLOUD, INK, axes_or_new, dimension_colour, legend_below, one_system


def spectrum(
    points: FixedPoints | ArrayLike,
    *,
    system: AbstractSystem | None = None,
    kind: Literal["map", "flow"] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Eigenvalues of all fixed points in the complex plane, against the boundary of stability.

    The stable region is shaded: the unit disc of a map, the left half plane of a flow. A colour stands for the number
    of unstable directions of the point that an eigenvalue belongs to.

    **Arguments:**

    - `points`: from `find_fixed_points`, or eigenvalues of shape `(K, S)`, or `(S,)` for one point.
    - `system`: the map or flow that they belong to; or say `kind="map"` or `kind="flow"`.
    - `ax`: where to draw, by default a new figure, `ax.figure`.

    **Returns:** the axes, with one artist per number of unstable directions.

    **Raises:** `ValueError` when neither `system` nor `kind` is given, when they disagree, for a batch of points, or
    for eigenvalues of another rank.

    **Source:** Kuznetsov (2004), section 2.2.
    """
    is_map = _is_map(system, kind)
    if isinstance(points, FixedPoints):
        rows = one_system(points, "spectrum")
        values, unstable = np.asarray(points.eigenvalues)[rows], np.asarray(points.unstable_dim)[rows]
    else:
        values = np.atleast_2d(np.asarray(points)).astype(complex)
        if values.ndim != 2:
            raise ValueError(f"spectrum: eigenvalues must have shape (K, S) or (S,), got {np.shape(points)}")
        unstable = ((np.abs(values) > 1) if is_map else (np.real(values) > 0)).sum(axis=1)
    ax = axes_or_new(ax, (5.2, 5.0))
    _draw_boundary(ax, is_map, values)
    largest = int(unstable.max(initial=0))
    for dim in np.unique(unstable):
        here = values[unstable == dim]
        ax.scatter(
            np.real(here),
            np.imag(here),
            s=22,
            color=dimension_colour(int(dim), largest),
            edgecolors=INK,
            linewidths=0.35,
            alpha=0.85,
            label=f"{dim} unstable: {len(here)} point{'s' if len(here) != 1 else ''}",
            gid=f"unstable-{dim}",
            zorder=3 + int(dim),
        )
    what = "map, $F'(h^*)$" if is_map else "flow, $f'(h^*)$"
    ax.set(xlabel=r"$\mathrm{Re}\,\lambda$", ylabel=r"$\mathrm{Im}\,\lambda$", title=f"eigenvalues of the {what}")
    ax.title.set_fontsize("medium")
    legend_below(ax, 2)
    return ax


def _is_map(system: AbstractSystem | None, kind: str | None) -> bool:
    if system is None:
        if kind is None:
            raise ValueError('spectrum: pass system=, or kind="map" or kind="flow", to know what is stable')
        return kind == "map"
    is_map = isinstance(system, AbstractMap)
    if kind is not None and kind != ("map" if is_map else "flow"):
        raise ValueError(f"spectrum: kind={kind!r} does not agree with the system; leave kind out")
    return is_map


def _draw_boundary(ax: Axes, is_map: bool, values: np.ndarray) -> None:
    """Shade what is stable and set limits that hold the boundary and all eigenvalues."""
    flat = values[np.isfinite(values)]
    if is_map:
        ax.add_patch(Circle((0, 0), 1, facecolor=CLOUD, alpha=0.13, edgecolor="none", zorder=0))
        ax.add_patch(Circle((0, 0), 1, fill=False, edgecolor=INK, linewidth=1.1, zorder=1, gid="unit-circle"))
        corners = np.array([-1 - 1j, 1 + 1j])
    else:
        corners = np.array([0.0 + 0j])
    seen = np.concatenate([flat, flat.conj(), corners])
    across, up = np.real(seen), np.imag(seen)
    width = float(max(np.ptp(across), 1e-3 if not is_map else 2))
    left, right = float(across.min()) - 0.08 * width, float(across.max()) + 0.08 * width
    high = max(float(up.max()), 0.15 * width) * 1.12
    ax.axhline(0, color=CLOUD, linewidth=0.6, zorder=0.5)
    if is_map:
        ax.axvline(0, color=CLOUD, linewidth=0.6, zorder=0.5)
        ax.set_aspect("equal")
    else:
        ax.axvspan(left, 0, facecolor=CLOUD, alpha=0.13, zorder=0)
        ax.axvline(0, color=INK, linewidth=1.1, zorder=1, gid="imaginary-axis")
    ax.set(xlim=(left, right), ylim=(-high, high))
