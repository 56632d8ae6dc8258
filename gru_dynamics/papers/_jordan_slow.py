"""Figures 6 and 7: how slow the slow sets are, and how far from the bifurcation that makes them."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..bifurcations import Fold, Located, locate
from ..continuation import Branch, SpecialKind
from ..systems import jacobian, library
from ._jordan_knobs import BIAS, GAIN, at, knob
from ._jordan_measure import Measured
from ._jordan_orbits import paths, sample
from ._jordan_rotation import follow, found, passage

START_BIAS = -0.01
BIAS_RANGE = (-0.25, 0.25)
GAIN_RANGE = (0.1, 12.0)
NEAR = 0.1
LAUNCH = np.array([[-1.0, 0.4]])


class Ghosts(NamedTuple):
    """Figure 7 along its bias: branches, the fold next to the figure, and the time `(2, N)` that a trajectory from
    `LAUNCH` spends near it against the distance to the fold."""

    branches: Branch
    fold: Located
    times: np.ndarray
    factor: float


def bias_family() -> Any:
    """Figure 7 in its bias b_h1; the printed member is 0.01."""
    flow: Any = library.jordan("fig:7a")
    return knob(eqx.tree_at(lambda s: s.cell.b_c, flow, jnp.zeros(2)), BIAS)


def printed_bias(flow: Any) -> float:
    """b_h1 of a cell."""
    return float(flow.cell.b_c[0])


def follow_ghost(at_start: Measured) -> Ghosts:
    """Branches from the points at `START_BIAS`, and the passage past the fold at several distances."""
    family = bias_family()
    branches = follow(family, at_start.states, START_BIAS, BIAS_RANGE)
    printed = printed_bias(library.jordan("fig:7a"))
    bias, state = min(found(branches, SpecialKind.FOLD), key=lambda one: abs(one[0] - printed))
    fold = locate(family, Fold(), state=jnp.asarray(state), mu=bias)
    distances = np.append(np.geomspace(1e-5, 1e-1, 9), printed - float(fold.mu))
    times = [time_near(at(family, fold.mu + d), np.asarray(fold.state)) for d in distances]
    return Ghosts(branches, fold, np.stack([distances, np.array(times)]), passage(family, fold))


def time_near(flow: Any, place: np.ndarray, duration: float = 4000.0) -> float:
    """How long the trajectory from `LAUNCH` is within `NEAR` of a place."""
    (path,) = paths(flow, LAUNCH, duration)
    times = sample(duration)[: len(path)]
    inside = np.linalg.norm(path - place, axis=1) < NEAR
    return float(np.sum(np.diff(times) * inside[1:]))


def ghost_facts(one: Ghosts, measured: Measured) -> dict[str, Any]:
    """The numbers of figure 7."""
    printed = printed_bias(measured.flow)
    ghost = measured.ghosts[0]
    return {
        "printed_b_h1": printed,
        "slow_point": ghost.state.tolist(),
        "speed": ghost.residual / 2,
        "fold": {"b_h1": float(one.fold.mu), "state": np.asarray(one.fold.state).tolist()},
        "distance": printed - float(one.fold.mu),
        "time_near": float(one.times[1, -1]),
        "factor": one.factor,
        "times": one.times[:, :-1].T.tolist(),
        "certified": [measured.lower, measured.upper],
    }


class Line(NamedTuple):
    """Figure 6 along the gain of U_h: the branch of the sink and where it becomes singular."""

    branch: Branch
    pitchfork: float


def follow_line(measured: Measured) -> Line:
    """The sink of figure 6 while U_h is scaled."""
    branch = follow(knob(measured.flow, GAIN), measured.states, 1.0, GAIN_RANGE)
    kinds = SpecialKind.PITCHFORK, SpecialKind.BRANCH_POINT, SpecialKind.TRANSCRITICAL
    return Line(branch, min(mu for kind in kinds for mu, _ in found(branch, kind)))


def line_facts(one: Line, measured: Measured) -> dict[str, Any]:
    """The numbers of figure 6."""
    cell: Any = measured.flow.cell
    U = np.asarray(cell.U_c)
    values = np.sort(np.linalg.eigvals(np.asarray(jacobian(measured.flow, jnp.zeros(2)))).real)
    times = _times_to_a_tenth(measured)
    return {
        "eigenvalues": values.tolist(),
        "time_constants": (-1 / values).tolist(),
        "slow_points": len(measured.ghosts),
        "certified": [measured.lower, measured.upper],
        "time_to_a_tenth": [float(times.min()), float(times.max())],
        "singular_gain": one.pitchfork,
        "singular_entries": {
            f"U_h{i + 1}{j + 1}": {"printed": float(U[i, j]), "needed": _needed(U, i, j)}
            for i in range(2)
            for j in range(2)
        },
    }


def _needed(U: np.ndarray, i: int, j: int) -> float | None:
    """The value of one entry that makes the Jacobian of the residual at 0, `U_h / 2 - 1`, singular; its determinant is
    linear in the entry."""

    def determinant(value: float) -> float:
        changed = U.copy()
        changed[i, j] = value
        return float(np.linalg.det(changed / 2 - np.eye(2)))

    at_0, at_1 = determinant(0.0), determinant(1.0)
    return None if at_0 == at_1 else at_0 / (at_0 - at_1)


def _times_to_a_tenth(measured: Measured, radius: float = 0.2) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    starts = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    trails = paths(measured.flow, starts, 40.0)
    return np.array([sample(40.0)[np.argmax(np.linalg.norm(path, axis=1) < radius / 10)] for path in trails])
