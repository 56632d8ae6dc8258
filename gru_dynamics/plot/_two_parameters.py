"""Curves of bifurcations in the plane of two parameters."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgb

from .._types import ArrayLike
from ..bifurcations import BifurcationBranch
from ..continuation import SpecialKind
from ._bifurcation import as_list
from ._phase_classes import PhaseClass, classify
from ._special import STYLES, Line, Marks, draw_marks, join, marks_of, pieces, swatch
from ._style import axes_or_new, legend_below

# The sign of the coefficient with which a stable cycle, or curve, or 2-cycle appears; folds have no such sign.
_SUPERCRITICAL = {SpecialKind.HOPF: -1, SpecialKind.NEIMARK_SACKER: -1, SpecialKind.PERIOD_DOUBLING: 1}
_DASHES: tuple[tuple[bool, Any, str], ...] = (
    (True, "solid", "supercritical"),
    (False, (0, (4, 1.6)), "subcritical"),
)


def two_parameter_diagram(
    curves: BifurcationBranch | Sequence[BifurcationBranch],
    *,
    background: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    names: tuple[str, str] = (r"$\mu_1$", r"$\mu_2$"),
    labels: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Curves of bifurcations in the plane of two parameters, with their points of codimension two.

    A curve is solid where the bifurcation is supercritical, dashed where it is subcritical, and changes at the
    degenerate points themselves; fold curves are solid. A marker is hollow where the point is only bracketed.

    **Arguments:**

    - `curves`: from `continue_bifurcation`, one or a list.
    - `background`: `(x, y, counts)` with x `(n,)`, y `(m,)` and whole numbers `(m, n)`, for example how many fixed
      points there are; or draw `phase_diagram` first and give its axes.
    - `names`: of the two parameters. `labels`: write the abbreviation of its kind beside each special point.
    - `ax`: where to draw. By default a new figure, `ax.figure`, that pyplot does not keep.

    **Returns:** the axes.

    **Raises:** `ValueError` when there is nothing to draw or the background has another shape.

    **Source:** Kuznetsov (2004), sections 8.1 and 10.3.
    """
    given = as_list(curves)
    if not given or not all(isinstance(curve, BifurcationBranch) for curve in given):
        raise ValueError(
            "two_parameter_diagram: expected the result of continue_bifurcation or a list of them; branches over one "
            "parameter are drawn by bifurcation_diagram"
        )
    ax = axes_or_new(ax, (6.4, 5.2))
    classes = [] if background is None else _draw_background(ax, background)
    lines, marks = [], []
    for curve in given:
        line, mark = _line(curve)
        lines.append(line)
        marks.append(mark)
    _draw_curves(ax, lines, [SpecialKind(int(curve.kind)) for curve in given])
    ax.autoscale_view()
    draw_marks(ax, marks, lines, labels)
    for entry in classes:
        swatch(ax, _light(entry), f"{entry.name} fixed point{'s' * (entry.name != '1')}")
    ax.set(xlabel=names[0], ylabel=names[1])
    legend_below(ax, 3, -0.15)
    return ax


def _line(curve: BifurcationBranch) -> tuple[Line, Marks]:
    mark = marks_of(curve.special_points, np.asarray(curve.special_points.mu))
    sign = _SUPERCRITICAL.get(SpecialKind(int(curve.kind)))
    coefficient = np.asarray(curve.coefficient)
    above = np.ones(coefficient.size, bool) if sign is None else ~(sign * coefficient < 0)
    return join(np.asarray(curve.mu), above, np.asarray(curve.mask), mark), mark


def _draw_curves(ax: Axes, lines: list[Line], kinds: list[SpecialKind]) -> None:
    """One artist for each curve and style; in the legend each style of each kind once."""
    for kind in sorted(set(kinds)):
        style = STYLES[kind]
        own = [line for line, other in zip(lines, kinds, strict=True) if other == kind]
        for above, dashes, word in _DASHES:
            parts = [part for line in own if len(part := pieces(line, above))]
            name = style.name if kind not in _SUPERCRITICAL else f"{style.name}, {word}"
            for number, part in enumerate(parts):
                label = None if number else name
                ax.plot(*part.T, color=style.colour, linestyle=dashes, linewidth=2.0, label=label, gid=name, zorder=2.5)


def _draw_background(ax: Axes, background: tuple[ArrayLike, ArrayLike, ArrayLike]) -> list[PhaseClass]:
    """Cells coloured by a whole number. Returns the classes."""
    x, y, counts = (np.asarray(part) for part in background)
    if x.ndim != 1 or y.ndim != 1 or counts.shape != (y.size, x.size):
        raise ValueError(
            f"two_parameter_diagram: background must be x (n,), y (m,) and counts (m, n), got {x.shape}, {y.shape} and "
            f"{counts.shape}"
        )
    found, classes = classify({}, counts.reshape(-1))
    colours = ListedColormap([_light(entry) for entry in classes])
    norm = BoundaryNorm(np.arange(len(classes) + 1) - 0.5, len(classes))
    ax.pcolormesh(
        x, y, found.reshape(counts.shape), cmap=colours, norm=norm, shading="nearest", rasterized=True, zorder=0
    )
    return classes


def _light(entry: PhaseClass) -> tuple[float, float, float]:
    """Mixed with white, so that curves and letters stand out."""
    red, green, blue = to_rgb(entry.colour)
    return 0.5 * red + 0.5, 0.5 * green + 0.5, 0.5 * blue + 0.5
