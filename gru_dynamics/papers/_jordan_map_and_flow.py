"""The same cell as a map and as a flow, side by side along alpha."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..continuation import SpecialKind
from ..fixed_points import Kind
from ..plot import bifurcation_diagram, phase_portrait
from ..plot._style import INK, PATH, draw_points, halo, legend_below
from ..systems import FunctionFamily, jacobian
from ._jordan_curve_figures import ALPHA, cycle_reach, titled
from ._jordan_knobs import at, rotation
from ._jordan_orbits import paths
from ._jordan_portraits import bare
from ._jordan_rotation import Rotation, found, settled

ANGLES = (0.75, 1.0, 1.4)
_SWEEP = np.linspace(0.16, 1.4, 63)


def origin_kind(family: FunctionFamily, alpha: float, *, discrete: bool) -> tuple[Kind, float]:
    """Kind of the origin, and its leading growth: real part (flow) or modulus (map)."""
    values = np.linalg.eigvals(np.asarray(jacobian(at(family, alpha), jnp.zeros(2))))
    growth = np.abs(values) - 1 if discrete else values.real
    return (Kind.SINK if growth.max() < 0 else Kind.SOURCE), float(growth.max() + (1 if discrete else 0))


def map_and_flow_facts(one: Rotation) -> dict[str, Any]:
    """What is the same and what is not: folds, and the origin at the angles of the pictures."""
    flow, step = rotation(), rotation(discrete=True)
    folds = [
        np.array(sorted((mu, *state.tolist()) for mu, state in found(branches, SpecialKind.FOLD)))
        for branches in (one.flow, one.map)
    ]
    last = settled(step, np.array(ANGLES))
    return {
        "hopf": float(one.hopf.mu),
        "neimark_sacker": float(one.neimark_sacker.mu),
        "folds": [len(folds[0]), len(folds[1])],
        "largest_difference_of_folds": float(np.abs(folds[0] - folds[1]).max()),
        "origin": [
            {
                "alpha": alpha,
                "flow": origin_kind(flow, alpha, discrete=False)[0].name.lower(),
                "map": origin_kind(step, alpha, discrete=True)[0].name.lower(),
                "growth_of_flow": origin_kind(flow, alpha, discrete=False)[1],
                "modulus_of_map": origin_kind(step, alpha, discrete=True)[1],
                "map_settles_within": float(np.abs(states).max()),
            }
            for alpha, states in zip(ANGLES, last, strict=True)
        ],
    }


def draw(one: Rotation) -> Figure:
    """Both diagrams, and orbits on both sides of each bifurcation."""
    figure = Figure(figsize=(15.6, 14.6), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1)  # pyright: ignore
    grid = figure.add_gridspec(3, 6, height_ratios=(1, 1.12, 1.12))
    flow, step = rotation(), rotation(discrete=True)
    left, right = figure.add_subplot(grid[0, :3]), figure.add_subplot(grid[0, 3:])
    bifurcation_diagram(one.flow, ax=left)
    cycle_reach(left, one)
    titled(left, r"A  flow: Hopf at $\arccos\,2/3$" + f" = {float(one.hopf.mu):.6f}")
    bifurcation_diagram(one.map, ax=right)
    _curves(right, settled(step, _SWEEP))
    titled(right, r"B  map: Neimark-Sacker at $\arccos\,1/4$" + f" = {float(one.neimark_sacker.mu):.6f}")
    for ax in (left, right):
        ax.set(xlabel=ALPHA, xlim=(0.0, np.pi / 2), ylim=(-1.1, 1.1))
        for alpha in ANGLES:
            ax.axvline(alpha, color="#8a8a8a", linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    for number, alpha in enumerate(ANGLES):
        for row, family, discrete in ((1, flow, False), (2, step, True)):
            ax = figure.add_subplot(grid[row, 2 * number : 2 * number + 2])
            _orbits(ax, family, alpha, discrete)
            letter = "CDEFGH"[3 * (row - 1) + number]
            titled(ax, rf"{letter}  {'map' if discrete else 'flow'}, $\alpha$ = {alpha:g}")
    return figure


def _curves(ax: Axes, states: np.ndarray) -> None:
    first = states[..., 0]
    for reach in (first.min(axis=1), first.max(axis=1)):
        ring = np.abs(reach) > 0.06
        ax.plot(_SWEEP[ring], reach[ring], "o-", color=PATH, markersize=4.0, linewidth=0.8, zorder=3)
    ax.plot([], [], "o", color=PATH, markersize=4.5, label="invariant curve, least and greatest")
    legend_below(ax, 3, -0.16)


def _orbits(ax: Axes, family: FunctionFamily, alpha: float, discrete: bool) -> None:
    system = at(family, alpha)
    if discrete:
        states = settled(family, np.array([alpha]))[0]
        phase_portrait(system, ax=ax, resolution=161)
        ax.plot(*states.T, ".", color=PATH, markersize=2.5, zorder=5)
    else:
        trails = paths(system, np.array([[0.03, 0.0], [1.15, 1.1], [-1.1, -1.15]]), 120.0)
        phase_portrait(system, trajectories=trails, ax=ax, resolution=161)
    kind, _ = origin_kind(family, alpha, discrete=discrete)
    draw_points(ax, np.zeros((1, 2)), kind, INK, zorder=6, path_effects=halo(3.0))
    bare(ax)
    ax.text(
        0.03, 0.03, f"origin: {kind.name.lower()}", transform=ax.transAxes, fontsize="small", zorder=9,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2.5},
    )  # fmt: skip
