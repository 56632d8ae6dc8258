"""Fixed points over one or two parameters."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ..sweeps import Table
from ._phase_classes import PhaseClass, classify
from ._style import INK, PAPER, axes_or_new

_HATCHES = ("////", "\\\\\\\\", "xxxx", "....")
_HATCH_INK = "#707070"


def phase_diagram(
    table: Table | Mapping[str, Any],
    *,
    x: str | None = None,
    y: str | None = None,
    value: Any = "count",
    ax: Axes | None = None,
) -> Axes:
    """The plane of two parameters, coloured by the number or the kinds of fixed points; over one parameter, steps.

    Cells without a decided answer are hatched, each reason for itself and named in the legend: their count is not
    proven (`enumerate_fixed_points`), or the indices do not sum to +1 (`find_fixed_points`), or the system failed.

    **Arguments:**

    - `table`: a sweep's `Table`, or a mapping from names to columns `(N,)`.
    - `x`, `y`: names of the parameters, by default the first two of the table. With one parameter there is no `y`.
    - `value`: `"count"`; `"topology"`, which tells sinks, saddles and sources apart; another column; or values `(N,)`.
    - `ax`: where to draw, by default a new figure, `ax.figure`. Leave room at the right for the legend.

    **Returns:** the axes. Points on a grid become cells, others dots.

    **Raises:** `ValueError` when a column is missing, when a point appears twice (choose one slice of a sweep over more
    than two parameters), or when there are no rows.

    **Source:** Kuznetsov (2004), section 2.1: the parametric portrait.
    """
    names = table.names if isinstance(table, Table) else ()
    columns = table.columns if isinstance(table, Table) else table
    x = names[0] if x is None and names else x
    y = names[1] if y is None and len(names) > 1 else y
    if x is None:
        raise ValueError("phase_diagram: say which column is x")
    for name in (x, *((y,) if y is not None else ())):
        if name not in columns:
            raise ValueError(f"phase_diagram: no column {name!r}; there are {', '.join(columns)}")
    across = np.asarray(columns[x], dtype=float)
    if across.size == 0:
        raise ValueError("phase_diagram: the table has no rows")
    found, classes = classify(columns, value)
    ax = axes_or_new(ax, (8.8, 4.6))
    if y is None:
        _draw_steps(ax, across, found, classes)
        ax.set(xlabel=_label(x), ylabel="number of fixed points" if isinstance(value, str) else "value")
        absent = 0.0
    else:
        if ax.get_aspect() == "auto":
            ax.set_box_aspect(1)
        absent = _draw_plane(ax, across, np.asarray(columns[y], dtype=float), found, classes)
        ax.set(xlabel=_label(x), ylabel=_label(y))
    proven = ", proven" * ("count_lower" in columns)
    titles = {"count": f"fixed points{proven}", "topology": f"fixed points{proven}"}
    _draw_legend(ax, found, classes, absent, titles.get(value, value) if isinstance(value, str) else None)
    return ax


def _draw_plane(ax: Axes, across: np.ndarray, up: np.ndarray, found: np.ndarray, classes: list[PhaseClass]) -> float:
    """Cells or dots. Returns which share of the cells has no row."""
    columns, rows = np.unique(across), np.unique(up)
    if columns.size * rows.size > 8 * across.size:
        _draw_dots(ax, across, up, found, classes)
        return 0.0
    cells = np.full((rows.size, columns.size), -1)
    place = np.searchsorted(rows, up), np.searchsorted(columns, across)
    if np.unique(np.ravel_multi_index(place, cells.shape)).size < across.size:
        raise ValueError("phase_diagram: a point appears twice; choose one slice of the other parameters")
    cells[place] = found
    edges = _edges(columns), _edges(rows)
    colours = ListedColormap([entry.colour for entry in classes])
    norm = BoundaryNorm(np.arange(len(classes) + 1) - 0.5, len(classes))
    ax.pcolormesh(*edges, np.ma.masked_less(cells, 0), cmap=colours, norm=norm, rasterized=True, zorder=1)
    for number, hatch in _hatches(classes).items():
        with rc_context({"hatch.color": _HATCH_INK, "hatch.linewidth": 0.7}):
            mask = np.ma.masked_not_equal(cells, number)
            ax.pcolor(*edges, mask, cmap=colours, norm=norm, hatch=hatch, linewidth=0, zorder=1.5, gid="undecided")
    _draw_borders(ax, edges, cells)
    ax.set(xlim=edges[0][[0, -1]], ylim=edges[1][[0, -1]])
    return float((cells < 0).mean())


def _draw_borders(ax: Axes, edges: tuple[np.ndarray, np.ndarray], cells: np.ndarray) -> None:
    """A line wherever two cells differ, unless that is nearly everywhere."""
    x, y = edges
    row, column = np.nonzero(cells[:, 1:] != cells[:, :-1])
    upright = np.stack([np.stack([x[column + 1], y[row]], 1), np.stack([x[column + 1], y[row + 1]], 1)], 1)
    row, column = np.nonzero(cells[1:] != cells[:-1])
    level = np.stack([np.stack([x[column], y[row + 1]], 1), np.stack([x[column + 1], y[row + 1]], 1)], 1)
    # What a smooth border takes grows with the side of the grid, noise with its area.
    if len(upright) + len(level) < 0.25 * cells.size + 4 * np.sqrt(cells.size):
        lines = np.concatenate([upright, level])
        ax.add_collection(
            LineCollection(list(lines), colors=INK, linewidths=0.6, capstyle="round", zorder=2, gid="borders")
        )


def _draw_dots(ax: Axes, across: np.ndarray, up: np.ndarray, found: np.ndarray, classes: list[PhaseClass]) -> None:
    size = float(np.clip(9e4 / across.size, 2, 40))
    hatches = _hatches(classes)
    for number, entry in enumerate(classes):
        here = found == number
        style: dict[str, Any] = {"facecolors": entry.colour, "edgecolors": INK, "linewidths": 0.15, "marker": "o"}
        if number in hatches:
            style = {"c": _HATCH_INK, "linewidths": 0.6, "marker": "x"}
        ax.scatter(across[here], up[here], s=size, zorder=2, **style)
    ax.margins(0.01)


def _draw_steps(ax: Axes, across: np.ndarray, found: np.ndarray, classes: list[PhaseClass]) -> None:
    """A bar for each run of equal answers, as high as their count."""
    order = np.argsort(across)
    x, found = across[order], found[order]
    if np.unique(x).size < x.size:
        raise ValueError("phase_diagram: a point appears twice; choose one slice of the other parameters")
    edges = _edges(x)
    starts = np.flatnonzero(np.diff(found, prepend=-1))
    top = max(entry.height for entry in classes) or 1.0
    hatches = _hatches(classes)
    for start, stop in zip(starts, [*starts[1:], x.size], strict=True):
        number = int(found[start])
        entry, left, width = classes[number], edges[start], edges[stop] - edges[start]
        if number in hatches:
            with rc_context({"hatch.color": _HATCH_INK}):
                ax.bar(
                    left, 1.08 * top, width, align="edge", color=entry.colour, hatch=hatches[number], gid="undecided"
                )
        else:
            ax.bar(left, entry.height, width, align="edge", color=entry.colour)
    heights = np.array([classes[number].height if classes[number].decided else np.nan for number in found])
    ax.stairs(heights, edges, color=INK, linewidth=1.0, baseline=None)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlim=edges[[0, -1]], ylim=(0, 1.08 * top))


def _draw_legend(ax: Axes, found: np.ndarray, classes: list[PhaseClass], absent: float, title: str | None) -> None:
    hatches = _hatches(classes)
    handles = []
    for number, entry in enumerate(classes):
        share = (found == number).mean() * (1 - absent)
        line = {"edgecolor": INK, "linewidth": 0.6}
        if number in hatches:
            line = {"hatch": hatches[number], "edgecolor": _HATCH_INK, "linewidth": 0.6}
        handles.append(Patch(facecolor=entry.colour, label=f"{entry.name} ({_percent(share)})", **line))
    if absent:
        handles.append(Patch(facecolor=PAPER, edgecolor=INK, linewidth=0.6, label=f"not computed ({_percent(absent)})"))
    ax.legend(
        handles=handles[::-1],
        title=title,
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0,
        frameon=False,
        fontsize="small",
        alignment="left",
        handleheight=1.2,
        handlelength=1.6,
    )


def _hatches(classes: list[PhaseClass]) -> dict[int, str]:
    undecided = [number for number, entry in enumerate(classes) if not entry.decided]
    return {number: _HATCHES[place % len(_HATCHES)] for place, number in enumerate(undecided)}


def _edges(values: np.ndarray) -> np.ndarray:
    """Ends of cells `(n + 1,)` around sorted values `(n,)`."""
    if values.size == 1:
        return values[0] + np.array([-0.5, 0.5])
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[values[0] - (middle[0] - values[0])], middle, [values[-1] + values[-1] - middle[-1]]])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 else "<0.1 %"


def _label(name: str) -> str:
    """`U_c[0,1]` and Greek letters as mathematics, other names as they are."""
    if re.fullmatch(r"[A-Za-z](_[A-Za-z]+)?(\[[\d,]+\])?", name):
        return f"${name}$"
    return rf"$\{name}$" if name in ("alpha", "beta", "gamma", "mu", "tau", "omega") else name
