"""Figures 2 and 3: sinks as the states of an automaton, pulses of input as its letters."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from ..basins import AttractorGraph, AttractorKind, attractor_graph, basin_fractions
from ..cells import GRUCell
from ..fixed_points import Kind
from ..plot import basins
from ..plot._style import halo
from ..systems import CellFlow
from ._jordan_homoclinic import saddle_directions
from ._jordan_measure import Measured
from ._jordan_orbits import backward, paths
from ._jordan_portraits import INK, PAPER

# Along the axes in figure 2. In figure 3a two sinks lie on the axes, and so do borders of their basins.
PULSES = {
    "fig:2": ((3.0, 0.0), (-3.0, 0.0), (0.0, 3.0), (0.0, -3.0)),
    "fig:3a": ((3.0, 0.5), (-3.0, 0.4), (0.5, 3.0), (0.4, -3.0)),
}
DURATION = 5.0
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#7a2a6b")
_GRID = 60


class Automaton(NamedTuple):
    """One system with its transitions by each pulse."""

    measured: Measured
    graph: AttractorGraph

    @property
    def sinks(self) -> np.ndarray:
        found = self.graph.attractors
        return np.asarray(found.state)[np.asarray(found.mask & (found.kind == AttractorKind.SINK))]

    @property
    def transitions(self) -> np.ndarray:
        """Number of the sink that each pulse (row) leads to from each sink (column)."""
        return np.asarray(self.graph.transitions)[:, : len(self.sinks)]


def driven(flow: CellFlow) -> CellFlow:
    """The same cell with an input of two numbers that is added to the argument of the candidate."""
    cell = flow.cell
    assert isinstance(cell, GRUCell)
    blank = jnp.zeros((2, 2))
    wide = GRUCell(2, 2, reset="before", key=jr.key(0))
    new = (blank, blank, jnp.eye(2), cell.U_r, cell.U_z, cell.U_c, cell.b_r, cell.b_z, cell.b_c)
    return CellFlow(eqx.tree_at(_weights, wide, new), jnp.zeros(2))


def _weights(cell: Any) -> Any:
    return cell.W_r, cell.W_z, cell.W_c, cell.U_r, cell.U_z, cell.U_c, cell.b_r, cell.b_z, cell.b_c


def automaton(case: str, measured: Measured) -> Automaton:
    """Basins on a grid, and the sink that follows each sink and pulse."""
    flow = driven(measured.flow)
    # A little askew, so that no initial state is on the axes or the diagonals, where borders lie by symmetry.
    across, up = np.linspace(-1.0, 0.997, _GRID), np.linspace(-0.998, 1.0, _GRID)
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    found = basin_fractions(
        flow, grid, key=jr.key(0), points=measured.enumeration.points, duration=200.0, max_attractors=8
    )
    return Automaton(measured, attractor_graph(flow, np.array(PULSES[case]), found, duration=DURATION, settle=200.0))


def automaton_facts(case: str, one: Automaton) -> dict[str, Any]:
    """Sinks, and where each pulse leads from each."""
    found = one.graph.attractors
    number = len(one.sinks)
    return {
        "sinks": one.sinks.tolist(),
        "certified_sinks": one.measured.sinks,
        "certified_points": [one.measured.lower, one.measured.upper],
        "shares": np.asarray(found.fraction)[:number].tolist(),
        "unresolved": int(found.num_unresolved),
        "pulses": [list(pulse) for pulse in PULSES[case]],
        "duration": DURATION,
        "transitions": (one.transitions + 1).tolist(),
    }


def draw(found: dict[str, Automaton]) -> Figure:
    """Basins on the left, automaton on the right, one row for each system."""
    figure = Figure(figsize=(11.4, 5.5 * len(found)), layout="constrained")
    axes = figure.subplots(len(found), 2, squeeze=False)
    for number, (case, one) in enumerate(found.items()):
        left, right = axes[number]
        basins(one.graph.attractors, legend=False, ax=left)
        _manifolds(left, one.measured)
        _numbers(left, one.sinks)
        left.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal")
        name = f"figure {case.removeprefix('fig:')}"
        left.set_title(f"{'AC'[number]}  {name}: basins of its {len(one.sinks)} sinks", loc="left", fontsize="medium")
        _automaton(right, one, PULSES[case])
        right.set_title(f"{'BD'[number]}  what a pulse of input does", loc="left", fontsize="medium")
    return figure


def _manifolds(ax: Axes, measured: Measured) -> None:
    """Saddles and their stable manifolds: the borders."""
    back = backward(measured.flow)
    for state in measured.states[measured.kinds == Kind.SADDLE]:
        direction = saddle_directions(measured, state)[1]
        for path in paths(back, np.stack([state + 1e-3 * direction, state - 1e-3 * direction]), 200.0):
            ax.plot(*path.T, color=INK, linewidth=1.1, zorder=3)
        half: dict[str, Any] = {"fillstyle": "left", "markerfacecolor": INK, "markerfacecoloralt": PAPER}
        ax.plot(*state, marker="o", markersize=8, markeredgecolor=INK, zorder=4, **half)


def _numbers(ax: Axes, sinks: np.ndarray) -> None:
    for number, (x, y) in enumerate(sinks, start=1):
        away = (-15 * np.sign(x) if abs(x) > 0.05 else 15, -15 * np.sign(y) if abs(y) > 0.05 else 15)
        ax.annotate(
            str(number), (x, y), xytext=away, textcoords="offset points", ha="center", va="center", weight="bold",
            path_effects=halo(3.0), zorder=6,
        )  # fmt: skip


def _automaton(ax: Axes, one: Automaton, pulses: tuple[tuple[float, float], ...]) -> None:
    sinks = one.sinks
    for pulse, colour, targets in zip(pulses, _COLOURS, one.transitions, strict=True):
        for start, end in enumerate(targets):
            if end < 0 or end == start:
                continue
            bow = "arc3,rad=0.16"
            arrow = FancyArrowPatch(
                tuple(sinks[start]), tuple(sinks[end]), connectionstyle=bow, arrowstyle="-|>", mutation_scale=15,
                shrinkA=17, shrinkB=17, color=colour, linewidth=1.9, zorder=2,
            )  # fmt: skip
            ax.add_patch(arrow)
        ax.plot([], [], color=colour, linewidth=2, label=f"({pulse[0]:+g}, {pulse[1]:+g})")
    for number, sink in enumerate(sinks, start=1):
        ax.plot(*sink, "o", markersize=25, markerfacecolor=PAPER, markeredgecolor=INK, markeredgewidth=1.6, zorder=3)
        ax.text(float(sink[0]), float(sink[1]), str(number), ha="center", va="center", zorder=4)
    ax.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), aspect="equal", xlabel="$h_1$", ylabel="$h_2$")
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4, frameon=False, fontsize="small", title="pulse",
        title_fontsize="small", columnspacing=1.2,
    )  # fmt: skip
