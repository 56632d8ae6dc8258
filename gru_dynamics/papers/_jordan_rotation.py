"""Equation 8 along alpha: what the flow and the discrete map of the same cell do."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._types import Array, Float, Scalar
from ..bifurcations import Fold, Hopf, Located, NeimarkSacker, all_events, locate, null_vectors
from ..continuation import Branch, SpecialKind, continue_fixed_points
from ..cycles import CycleBranch, PeriodLimit, cycle_from_hopf, find_cycle, find_homoclinic
from ..fixed_points import Kind
from ..systems import FunctionFamily, library
from ..trajectories import rollout
from ._jordan_knobs import at, rotation
from ._jordan_measure import Measured

# Where the branches start: nine proven points, at an angle below the folds.
START = 0.05
RANGE = (0.0, np.pi / 2)
LANES = 5
NODES = 8
_KEPT = 2000


class Rotation(NamedTuple):
    """Branches of fixed points of flow and map, the points where they change, and the cycle of the flow from its birth
    to its end."""

    flow: Branch
    map: Branch
    hopf: Located
    neimark_sacker: Located
    fold: Located
    cycles: CycleBranch
    limit: PeriodLimit


def follow(family: FunctionFamily, states: np.ndarray, mu: float, mu_range: tuple[float, float]) -> Branch:
    """The branches through fixed points `(N, 2)` of one system, all lanes in one loop."""
    padded = np.concatenate([states, np.repeat(states[-1:], LANES - len(states), axis=0)])
    # Numbers as arrays: another start or range is not another program.
    ends = jnp.asarray(mu_range[0]), jnp.asarray(mu_range[1])
    branches = _follow(family, jnp.asarray(padded), jnp.asarray(mu), ends)
    return jax.tree.map(lambda leaf: leaf[: len(states)], branches)


@eqx.filter_jit
def _follow(family: FunctionFamily, states: Float[Array, "N 2"], mu: Any, mu_range: Any) -> Branch:
    events = all_events(family(mu))

    def one(state: Float[Array, "2"]) -> Branch:
        return continue_fixed_points(
            family, state, mu, mu_range=mu_range, events=events, max_special_points=6, throw=False
        )

    return jax.vmap(one)(states)


def follow_rotation(at_start: Measured) -> Rotation:
    """All of it, from the points at `START`."""
    flow, step = rotation(), rotation(discrete=True)
    states = at_start.states[at_start.kinds != Kind.SADDLE]
    still, steps = (follow(family, states, START, RANGE) for family in (flow, step))
    origin = jnp.zeros(2)
    hopf = locate(flow, Hopf(), state=origin, mu=found(still, SpecialKind.HOPF)[0][0])
    ring = locate(step, NeimarkSacker(), state=origin, mu=found(steps, SpecialKind.NEIMARK_SACKER)[0][0])
    alpha, state = found(still, SpecialKind.FOLD)[0]
    fold = locate(flow, Fold(), state=jnp.asarray(state), mu=alpha)
    cycle, mu = cycle_from_hopf(flow, hopf, 0.05, num_nodes=NODES)
    limit, cycles = find_homoclinic(flow, cycle, mu, mu_range=(0.0, 1.0), max_period=2000.0, num_steps=60)
    return Rotation(still, steps, hopf, ring, fold, cycles, limit)


def found(branches: Branch, kind: SpecialKind) -> list[tuple[float, np.ndarray]]:
    """Parameter and state of all special points of a kind on a batch of branches, each once."""
    points = branches.special_points
    here = np.asarray(points.mask & (points.kind == kind))
    unique: list[tuple[float, np.ndarray]] = []
    for mu, state in zip(np.asarray(points.mu)[here], np.asarray(points.state)[here], strict=True):
        if all(abs(mu - other) + np.abs(state - place).max() > 1e-6 for other, place in unique):
            unique.append((float(mu), state))
    return unique


def rotation_facts(one: Rotation) -> dict[str, Any]:
    """The numbers of figure 5, each from its own computation."""
    folds = found(one.flow, SpecialKind.FOLD)
    inside = [(mu, state) for mu, state in folds if mu > 0]
    periods = {name: cycle_facts(flow) for name, flow in _printed().items()}
    used = np.asarray(one.cycles.mask)
    alpha = float(one.hopf.mu)
    return {
        "hopf": {
            "alpha": alpha,
            "omega": float(one.hopf.omega),
            "lyapunov": float(one.hopf.coefficient),
            "closed_form": {
                "alpha": np.arccos(2 / 3),
                "omega": 0.75 * np.sin(alpha),
                "lyapunov": -0.75 / np.sin(alpha),
            },
            "printed": np.pi / 3.8,
        },
        "neimark_sacker": {
            "alpha": float(one.neimark_sacker.mu),
            "angle": float(one.neimark_sacker.omega),
            "coefficient": float(one.neimark_sacker.coefficient),
            "closed_form": {"alpha": np.arccos(1 / 4)},
        },
        "folds": {
            "alpha": [mu for mu, _ in inside],
            "state": [state.tolist() for _, state in inside],
            "map_alpha": [mu for mu, _ in found(one.map, SpecialKind.FOLD) if mu > 0],
        },
        "end": {
            "kind": SpecialKind(int(one.limit.kind)).name.lower(),
            "alpha": float(one.limit.mu),
            "rate": float(one.limit.rate),
            "rate_from_the_folds": 4 * passage(rotation(), one.fold),
            "misfit": np.asarray(one.limit.misfit).tolist(),
            "longest_period": float(one.limit.period),
            "cycles": int(used.sum()),
            "all_stable": bool(np.asarray(one.cycles.stable)[used].all()),
        },
        "cycles": periods,
    }


def _printed() -> dict[str, Any]:
    return {
        "fig:5b": library.jordan("fig:5b"),
        "fig:5c": library.jordan("fig:5c"),
        "pi/5": at(rotation(), np.pi / 5),
        "pi/21": at(rotation(), np.pi / 21),
    }


def cycle_facts(flow: Any) -> dict[str, float]:
    """Period, multiplier and largest h1 of the attracting cycle."""
    cycle = find_cycle(flow, jnp.array([0.6, 0.0]))
    largest = np.asarray(cycle.orbit(flow, 20_000)[1])[:, 0].max()
    return {
        "period": float(cycle.period),
        "multiplier": float(cycle.multipliers[0].real),
        "largest": float(largest),
        "residual": float(cycle.residual),
    }


def passage(family: FunctionFamily, fold: Located) -> float:
    """The factor of the time `factor / sqrt|mu - mu*|` that a trajectory needs past a fold which has just vanished.

    On the line of the null vector `x' = a x^2 + c (mu - mu*)`, and the integral of `dx / x'` over it is
    `pi / sqrt(a c (mu - mu*))`.
    """
    a, c = _normal_form(family, fold.state, fold.mu)
    return float(np.pi / np.sqrt(abs(a * c)))


@eqx.filter_jit
def _normal_form(family: FunctionFamily, state: Float[Array, "2"], mu: Scalar) -> tuple[Scalar, Scalar]:
    q, p = null_vectors(family(mu).jacobian(state))
    p = p / jnp.sum(p * q)
    second = jax.jvp(lambda s: jax.jvp(family(mu).velocity, (s,), (q,))[1], (state,), (q,))[1]
    push = jax.jvp(lambda m: family(m).velocity(state), (mu,), (jnp.ones_like(mu),))[1]
    return jnp.sum(p * second) / 2, jnp.sum(p * push)


def settled(family: FunctionFamily, alphas: np.ndarray) -> np.ndarray:
    """Where the iterates of the map are in the long run, `(A, T, 2)`."""
    return np.asarray(_settled(family, jnp.asarray(alphas)))


@eqx.filter_jit
def _settled(family: FunctionFamily, alphas: Float[Array, " A"]) -> Float[Array, "A T 2"]:
    def one(alpha: Scalar) -> Float[Array, "T 2"]:
        start = rollout(at(family, alpha), jnp.array([0.6, 0.1]), num_steps=4000, save_states=False)
        return rollout(at(family, alpha), start, num_steps=_KEPT)

    return jax.vmap(one)(alphas)
