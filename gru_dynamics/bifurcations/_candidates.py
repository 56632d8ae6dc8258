"""The nearest single degenerate points, and the sets of them that have the target's counts."""

import itertools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._types import Array, Float
from ..systems import AbstractFamily
from ._defining import Orders, Unknowns, joint_equations, unravel
from ._nearest import Goal, Nearest, advance, nearest
from ._portrait import Portrait
from ._topology import Topology

# A candidate whose equations hold to this is worth a look; the portrait decides.
_FEASIBLE = 1e-10

# Points of one candidate are at least this far apart, and so many single points of a role are combined.
_APART, _CHOICE = 0.01, 12


class Role(NamedTuple):
    """What a degenerate point is to be: the order of its equations, and the sign of its other eigenvalue, 0 if free."""

    orders: Orders
    sign: float


class Single(NamedTuple):
    """The nearest parameters at which one point is degenerate."""

    distance: float
    point: np.ndarray
    slack: float


class Candidate(NamedTuple):
    """Points to be made degenerate together, folds first, then cusps, then nulls."""

    bound: float
    orders: Orders
    points: np.ndarray
    signs: np.ndarray
    slack: np.ndarray


class Solved(NamedTuple):
    """Solutions of a batch, `(B, ...)`, on the host, with their distances from the goal, inf where there is none, and
    the lengths of the last tangent steps."""

    mu: np.ndarray
    flat: np.ndarray
    distance: np.ndarray
    slope: np.ndarray


class Task(NamedTuple):
    """What all solves of one search share: the family, the parameters to stay near `(P,)`, their weights, and how far
    other eigenvalues stay from the stability boundary."""

    family: AbstractFamily
    center: Array
    weight: Float[Array, " P"]
    margin: float


@eqx.filter_jit
def _solve(task: Task, starts: Array, signs: Array, orders: Orders, max_steps: Array) -> tuple[Nearest, Array]:
    def one(flat: Array, sign: Array) -> tuple[Nearest, Array]:
        equations, goal = _problem(task, flat.size, sign, orders)
        found = nearest(equations, goal, flat, max_steps=max_steps, tolerance=_FEASIBLE)
        return found, goal.distance(found.unknowns)

    return jax.vmap(one)(starts, signs)


@eqx.filter_jit
def _advance(task: Task, flat: Array, signs: Array, orders: Orders, reach: Array) -> tuple[Array, Array, Array, Array]:
    equations, goal = _problem(task, flat.size, signs, orders)
    z, error, length = advance(equations, goal, flat, reach)
    return z, length, goal.distance(z), error


def _problem(task: Task, size: int, signs: Array, orders: Orders) -> tuple[Any, Goal]:
    shape = task.center.shape
    free = jnp.zeros((size - task.weight.size,), task.weight.dtype)
    goal = Goal(jnp.concatenate([task.center.reshape(-1), free]), jnp.concatenate([task.weight, free]))

    def equations(z: Array) -> Array:
        return joint_equations(task.family, unravel(z, shape, orders), signs, task.margin, orders)

    return equations, goal


def solve(task: Task, candidates: list[Candidate], lanes: int, max_steps: int) -> Solved:
    """All candidates, which have the same orders, in one call padded to `lanes`."""
    orders, size = candidates[0].orders, len(candidates)
    flat = [Unknowns(task.center, jnp.asarray(c.points), jnp.asarray(c.slack)).ravel() for c in candidates]
    rows = jnp.stack(flat + flat[:1] * (lanes - size))
    signs = jnp.asarray(np.stack([c.signs for c in candidates] + [candidates[0].signs] * (lanes - size)))
    found, distance = jax.tree.map(
        lambda x: np.asarray(x)[:size], _solve(task, rows, signs, orders, jnp.asarray(max_steps, jnp.int32))
    )
    parameters = found.unknowns[:, : task.weight.size].reshape(size, *task.center.shape)
    return Solved(parameters, found.unknowns, np.where(found.residual < _FEASIBLE, distance, np.inf), found.slope)


def roles(target: Topology) -> list[list[tuple[Role, int]]]:
    """How often each role is wanted, in each way to have the target's counts and degree."""
    free = target.dimension != 2
    stable, unstable = (0.0, 0.0) if free else (-1.0, 1.0)
    cusps = 0 if target.codim2 else abs(target.degree)
    ways = []
    for second in range(min(cusps, target.saddle_source), -1, -1):
        first = cusps - second
        if first > target.saddle_sink:
            continue
        wanted = [
            (Role(Orders(folds=1), stable), target.saddle_sink - first),
            (Role(Orders(folds=1), unstable), target.saddle_source - second),
            (Role(Orders(cusps=1), stable), first),
            (Role(Orders(cusps=1), unstable), second),
            (Role(Orders(nulls=1), 0.0), target.codim2),
        ]
        ways.append([(role, count) for role, count in wanted if count])
    return ways


def singles(task: Task, role: Role, seeds: Float[np.ndarray, "lanes n"]) -> list[Single]:
    """The nearest degenerate points of one role from many seeds, each once, nearest first."""
    starts = [_candidate([(role, Single(0.0, seed, 0.3))]) for seed in seeds]
    solved = solve(task, starts, len(starts), 40)
    found: list[Single] = []
    for row in np.argsort(solved.distance):
        at = unravel(jnp.asarray(solved.flat[row]), task.center.shape, role.orders)
        distance = float(solved.distance[row])
        new = all(np.max(np.abs(at.points[0] - s.point)) > 1e-3 for s in found)
        if np.isfinite(distance) and new:
            found.append(Single(distance, np.asarray(at.points[0]), float(at.slack[0]) if at.slack.size else 0.0))
    return found


def combine(wanted: list[tuple[Role, int]], lists: dict[Role, list[Single]]) -> list[Candidate]:
    """Sets of points with the wanted counts, by the sum of their squared distances."""
    choices = [
        [[(role, single) for single in chosen] for chosen in itertools.combinations(lists[role][:_CHOICE], count)]
        for role, count in wanted
    ]
    candidates = []
    for groups in itertools.product(*choices):
        members = [member for group in groups for member in group]
        points = np.stack([single.point for _, single in members])
        gaps = np.max(np.abs(points[:, None] - points[None]), axis=2) + np.eye(len(points))
        if np.all(gaps > _APART):
            candidates.append((sum(single.distance**2 for _, single in members), len(candidates), _candidate(members)))
    return [candidate for _, _, candidate in sorted(candidates, key=lambda entry: entry[:2])]


def _candidate(members: list[tuple[Role, Single]]) -> Candidate:
    orders = Orders(*(sum(role.orders[i] for role, _ in members) for i in range(3)))
    corank_one = [(role, single) for role, single in members if not role.orders.nulls]
    return Candidate(
        max(single.distance for _, single in members),
        orders,
        np.stack([single.point for _, single in members]),
        np.array([role.sign for role, _ in corank_one], float),
        np.array([max(single.slack, 0.1) for _, single in corank_one], float),
    )


def seed_points(portrait: Portrait, bounds: tuple[np.ndarray, np.ndarray], num: int) -> np.ndarray:
    """Undecided clusters, midpoints of the closest pairs of opposite index, then evenly spread points, `(num, n)`."""
    points, clusters = portrait.enumeration.points, portrait.enumeration.clusters
    used = np.asarray(points.mask)
    states, index = np.asarray(portrait.enumeration.lower)[used], np.asarray(points.index)[used]
    pairs = [(i, j) for i in range(len(index)) for j in range(i) if index[i] * index[j] < 0]
    pairs.sort(key=lambda pair: float(np.linalg.norm(states[pair[0]] - states[pair[1]])))
    middles = [(states[i] + states[j]) / 2 for i, j in pairs[: num // 8]]
    centres = list(((np.asarray(clusters.lower) + np.asarray(clusters.upper)) / 2)[np.asarray(clusters.mask)])
    given = np.array(centres + middles).reshape(-1, bounds[0].size)[:num]
    return np.concatenate([given, _spread(bounds, num - len(given))])


def _spread(bounds: tuple[np.ndarray, np.ndarray], num: int) -> np.ndarray:
    """A Kronecker sequence in the box.

    **Source:** Roberts (2018), the R_d sequence.
    """
    size = bounds[0].size
    ratio = 2.0
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / (size + 1))
    steps = ratio ** -np.arange(1.0, size + 1)
    return bounds[0] + (bounds[1] - bounds[0]) * np.mod(0.5 + np.arange(num)[:, None] * steps, 1.0)


def step_toward(
    task: Task, flat: np.ndarray, signs: np.ndarray, orders: Orders, reach: float
) -> tuple[np.ndarray, float, float]:
    """One step along the solutions: where to, the length of the full step, and the distance, inf if it left them."""
    arrays = jnp.asarray(flat), jnp.asarray(signs), orders, jnp.asarray(reach, task.weight.dtype)
    z, length, distance, residual = _advance(task, *arrays)
    return np.asarray(z), float(length), float(distance) if float(residual) < _FEASIBLE else float("inf")
