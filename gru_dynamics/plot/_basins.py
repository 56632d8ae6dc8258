"""Which initial states end where, and how the shares change with a parameter."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap

from ..basins import AttractorKind, BasinFractions, BasinSweep
from ._special import swatch
from ._style import INK, PAPER, axes_or_new, halo, legend_below

# Okabe & Ito (2008), in an order that alternates dark and light; each further round is darker.
_COLOURS = ("#0072b2", "#e69f00", "#cc79a7", "#009e73", "#56b4e9", "#d55e00", "#f0e442", "#7a2a6b")
_ESCAPED, _OPEN = "#9a9a9a", "#ffffff"
_NAMES = {
    AttractorKind.SINK: "sink",
    AttractorKind.CYCLE: "cycle",
    AttractorKind.OTHER: "other",
    AttractorKind.ESCAPED: "infinity",
}


def basins(
    found: BasinFractions,
    *,
    components: tuple[int, int] = (0, 1),
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Initial states coloured by the attractor that they end on, with the attractors: sinks as circles, cycles and
    others as the states along them.

    Initial states on a full grid become cells, others dots. In more than two dimensions two components are shown, and
    colours may overlap.

    **Arguments:**

    - `found`: from `basin_fractions`, for one system, with N initial states of shape `(N, S)`.
    - `components`: numbers of the state variables on the axes. `legend`: with the shares and their 95 % interval.
    - `ax`: where to draw. By default a new figure, `ax.figure`, that pyplot does not keep.

    **Returns:** the axes.

    **Raises:** `ValueError` for a batch, or components that the states do not have.

    **Source:** Menck, Heitzig, Marwan, Kurths (2013), fig. 1.
    """
    if found.mask.ndim != 1:
        raise ValueError("basins: this is a batch; pick one system with jax.tree.map(lambda x: x[i], found)")
    size = found.states.shape[-1]
    if len(components) != 2 or not all(0 <= c < size for c in components):
        raise ValueError(f"basins: components must be two of 0 to {size - 1}, got {components}")
    pick = list(components)
    states, label = np.asarray(found.states)[:, pick], np.asarray(found.label)
    ax = axes_or_new(ax, (5.8, 5.4))
    rows = np.flatnonzero(np.asarray(found.mask))
    colours = _colours(np.asarray(found.kind)[rows])
    grid = _grid(states) if size == 2 else None
    if grid is None:
        _draw_dots(ax, states, label, rows, colours)
    else:
        _draw_cells(ax, grid, label, rows, colours)
    for row, colour in zip(rows, colours, strict=True):
        _draw_attractor(ax, np.asarray(found.orbit)[row][:, pick], int(found.kind[row]), colour)
    for row, colour in zip(rows, colours, strict=True):
        name = _NAMES[AttractorKind(int(found.kind[row]))]
        share = f"{100 * found.fraction[row]:.1f} % [{100 * found.lower[row]:.1f}, {100 * found.upper[row]:.1f}]"
        swatch(ax, colour, f"{name}: {share}")
    if int(found.num_unresolved):
        swatch(ax, _OPEN, f"not settled: {100 * int(found.num_unresolved) / label.size:.1f} %")
    ax.set(xlabel=f"$h_{{{pick[0] + 1}}}$", ylabel=f"$h_{{{pick[1] + 1}}}$")
    if legend:
        legend_below(ax, 2)
    return ax


def basin_shares(sweep: BasinSweep, *, ax: Axes | None = None) -> Axes:
    """Shares of the initial states over a parameter, stacked, one band for each attractor; what has not settled is left
    white at the top.

    **Arguments:** `sweep`, from `basin_sweep` over one parameter, M values `(M,)`; `ax`, where to draw, by default a
    new figure, `ax.figure`, that pyplot does not keep.

    **Returns:** the axes.

    **Raises:** `ValueError` for a sweep over several parameters at a time.

    **Source:** Datseris, Rossi, Wagemakers (2023), fig. 2.
    """
    if sweep.mu.ndim != 1:
        raise ValueError(f"basin_shares: expected one parameter, mu of shape (M,), got {sweep.mu.shape}")
    order = np.argsort(np.asarray(sweep.mu))
    mu, fraction = np.asarray(sweep.mu)[order], np.asarray(sweep.fraction)[order]
    kinds = np.asarray(sweep.kind).max(axis=0, initial=0)
    colours = _colours(kinds)
    ax = axes_or_new(ax, (6.4, 4.2))
    floor = np.zeros(mu.size)
    for column, colour in enumerate(colours):
        top = floor + fraction[:, column]
        name = f"{column + 1}  {_NAMES[AttractorKind(int(kinds[column]))]}"
        ax.fill_between(
            mu, floor, top, facecolor=colour, edgecolor=PAPER, linewidth=0.8, label=name, gid=f"share {column}"
        )
        floor = top
    if int(np.asarray(sweep.num_unresolved).sum()):
        ax.fill_between(mu, floor, 1, facecolor=_OPEN, edgecolor=INK, linewidth=0.3, label="not settled", gid="open")
    ax.set(xlabel=r"$\mu$", ylabel="share of initial states", ylim=(0, 1))
    if mu.size > 1:
        ax.set_xlim(mu[0], mu[-1])
    legend_below(ax, 4, -0.17)
    return ax


def _colours(kinds: np.ndarray) -> list[str]:
    """By rank among the attractors; infinity is grey."""
    finite = np.cumsum(kinds != AttractorKind.ESCAPED) - 1
    return [
        _ESCAPED if kind == AttractorKind.ESCAPED else _mixed(_COLOURS[number % 8], 0.0, 0.65 ** (number // 8))
        for kind, number in zip(kinds.tolist(), finite.tolist(), strict=True)
    ]


def _grid(states: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The axes of a full grid and the place of each state `(N,)` in it; `None` when there is no grid."""
    x, across = np.unique(states[:, 0], return_inverse=True)
    y, up = np.unique(states[:, 1], return_inverse=True)
    place = up * x.size + across
    full = x.size > 1 and y.size > 1 and x.size * y.size == len(states) == np.unique(place).size
    return (x, y, place) if full else None


def _draw_cells(
    ax: Axes, grid: tuple[np.ndarray, np.ndarray, np.ndarray], label: np.ndarray, rows: np.ndarray, colours: list[str]
) -> None:
    x, y, place = grid
    cells = np.full(label.size, -1)
    cells[place] = np.where(label < 0, -1, np.searchsorted(rows, label))
    colormap = ListedColormap([_OPEN, *(_mixed(colour, 0.35, 0.65) for colour in colours)])
    norm = BoundaryNorm(np.arange(-1, len(colours) + 1) - 0.5, len(colours) + 1)
    ax.pcolormesh(
        x, y, cells.reshape(y.size, x.size), cmap=colormap, norm=norm, shading="nearest", rasterized=True, zorder=1
    )


def _draw_dots(ax: Axes, states: np.ndarray, label: np.ndarray, rows: np.ndarray, colours: list[str]) -> None:
    size = float(np.clip(3e4 / max(len(states), 1), 2, 30))
    for row, colour in zip([-1, *rows], [_OPEN, *colours], strict=True):
        here = label == row
        if here.any():
            ax.scatter(
                *states[here].T,
                s=size,
                color=_mixed(colour, 0.35, 0.65),
                edgecolors=INK,
                linewidths=0.1,
                zorder=1,
                gid=f"basin {row}",
            )


def _draw_attractor(ax: Axes, orbit: np.ndarray, kind: int, colour: str) -> None:
    if kind == AttractorKind.ESCAPED:
        return
    gid = _NAMES[AttractorKind(kind)]
    if kind == AttractorKind.SINK:
        ax.plot(
            *orbit[:1].T,
            "o",
            markersize=9,
            color=colour,
            markeredgecolor=INK,
            path_effects=halo(2.5),
            zorder=4,
            gid=gid,
        )
    elif kind == AttractorKind.CYCLE and len(np.unique(orbit.round(12), axis=0)) == len(orbit):
        # Only the orbit of a flow has no state twice: a cycle of a map is shorter than what is kept of it.
        ax.plot(*np.concatenate([orbit, orbit[:1]]).T, color=colour, path_effects=[*halo(3.4)], zorder=4, gid=gid)
    else:
        ax.plot(*orbit.T, ".", markersize=5, color=colour, markeredgecolor=INK, markeredgewidth=0.4, zorder=4, gid=gid)


def _mixed(colour: str, white: float, keep: float) -> str:
    """White and a colour in these parts; what is missing to 1 is black."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(white * 255 + keep * part):02x}" for part in parts)
