"""What holds at printed parameters, with proof: one enumeration of all systems at once, put on the host."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from .._results import RESULTS
from ..fixed_points import Enumeration, Kind, SlowKind, UniformGuesses, enumerate_fixed_points, find_slow_points
from ..systems import CellFlow, CellMap, jacobian

# A singular value of the residual's Jacobian below this counts as zero; the clusters are 1e-6 wide.
_SINGULAR = 1e-4
# Where the flow is flat to third order, 1e-6 is below what rounding lets an enumeration decide.
_COARSE = 1e-4
_NO_BOUND = 2**31 - 1


class Degenerate(NamedTuple):
    """A point where the Jacobian of the residual is singular, as `kind` says.

    `kind`: saddle_sink, saddle_source (rank 1; the other eigenvalue is stable or not), codim2 (rank 0), or regular (a
    cluster without a singular Jacobian). `state (2,)`, `width` of the undecided cluster, `degree` or `None`.
    """

    kind: str
    state: np.ndarray
    width: float
    degree: int | None
    rank: int
    residual: float


class Pair(NamedTuple):
    """A node and a saddle that lie close together: `node_kind`, both states `(2,)`, their distance."""

    node_kind: str
    node: np.ndarray
    saddle: np.ndarray
    distance: float


class Ghost(NamedTuple):
    """A local minimum of the residual that is no fixed point: `state (2,)`, 2-norm of the residual."""

    state: np.ndarray
    residual: float


@dataclasses.dataclass(frozen=True)
class Measured:
    """The certified answer for one system.

    `degree_of_kinds` is by kind of point; `lower`, `upper` bound the number of fixed points, `upper` is `None` when a
    cluster leaves it open; `flips` lists points whose stability as a map differs: `(state, kind in the flow, kind in
    the map, largest multiplier)`.
    """

    flow: CellFlow
    enumeration: Enumeration
    lower: int
    upper: int | None
    sinks: int
    sources: int
    saddles: int
    kinds_proven: bool
    index_sum: int
    boxes: int
    degenerate: tuple[Degenerate, ...]
    ghosts: tuple[Ghost, ...]
    flips: tuple[tuple[np.ndarray, str, str, float], ...]

    @property
    def states(self) -> np.ndarray:
        return np.asarray(self.enumeration.state)[np.asarray(self.enumeration.mask)]

    @property
    def kinds(self) -> np.ndarray:
        return np.asarray(self.enumeration.kind)[np.asarray(self.enumeration.mask)]

    def number(self, kind: str) -> int:
        """How many degenerate points of a kind."""
        return sum(point.kind == kind for point in self.degenerate)

    @property
    def degree_sum(self) -> int | None:
        """Indices of the proven points and degrees of the clusters; `None` when a degree is unknown."""
        degrees = [point.degree for point in self.degenerate]
        return None if None in degrees else self.index_sum + sum(degree or 0 for degree in degrees)


def stack_systems(flows: Sequence[CellFlow]) -> CellFlow:
    """One batch of systems of the same shape."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *flows)


def pick(batch: Any, number: int) -> Any:
    """One member of a batch of results."""
    return jax.tree.map(lambda leaf: leaf[number], batch)


def measure(flows: Sequence[CellFlow], *, ghosts: bool = True) -> list[Measured]:
    """Certified fixed points of two-unit flows, all in one call, and their slow points."""
    batch = stack_systems(flows)
    fine = _enumerate(batch, 1e-6)
    open_degree = np.any(np.asarray(fine.clusters.mask & ~fine.clusters.degree_proven), axis=1)
    # The same compiled call: the coarse answer is taken only where the fine one leaves a degree open.
    coarse = _enumerate(batch, _COARSE) if open_degree.any() else fine
    slow = None
    if ghosts:
        guesses = UniformGuesses(-1.0, 1.0, num=128)
        slow = jax.vmap(lambda flow: find_slow_points(flow, guesses, key=jr.key(0), throw=False))(batch)
    return [
        _measured(
            flow, pick(coarse if open_degree[number] else fine, number), None if slow is None else pick(slow, number)
        )
        for number, flow in enumerate(flows)
    ]


def _enumerate(batch: CellFlow, min_width: float) -> Enumeration:
    # A NumPy number is an argument of the compiled call, a plain one a constant in it.
    width = np.float64(min_width)
    return jax.vmap(lambda flow: enumerate_fixed_points(flow, min_width=width, throw=False))(batch)


def _measured(flow: CellFlow, found: Enumeration, slow: Any) -> Measured:
    assert bool(found.result != RESULTS.nonfinite_system)
    mask, kinds = np.asarray(found.mask), np.asarray(found.kind)
    upper = int(found.count[1])
    return Measured(
        flow=flow,
        enumeration=found,
        lower=int(found.count[0]),
        upper=None if upper == _NO_BOUND else upper,
        sinks=int((kinds == Kind.SINK).sum()),
        sources=int((kinds == Kind.SOURCE).sum()),
        saddles=int((kinds == Kind.SADDLE).sum()),
        kinds_proven=bool(np.asarray(found.kind_proven)[mask].all()),
        index_sum=int(found.index_sum),
        boxes=int(found.num_boxes),
        degenerate=_degenerate(flow, found),
        ghosts=() if slow is None else _ghosts(slow),
        flips=_flips(flow, found),
    )


def _degenerate(flow: CellFlow, found: Enumeration) -> tuple[Degenerate, ...]:
    points = []
    for row in np.flatnonzero(np.asarray(found.clusters.mask)):
        low, high = (np.asarray(end)[row] for end in (found.clusters.lower, found.clusters.upper))
        # The degenerate points of the printed systems lie on axes; rounding only widens the box around zero.
        state = np.where((low <= 0) & (high >= 0), 0.0, (low + high) / 2)
        values = np.linalg.eigvals(np.asarray(flow.residual_jacobian(jnp.asarray(state))))
        singular = np.linalg.svd(np.asarray(flow.residual_jacobian(jnp.asarray(state))), compute_uv=False)
        rank = int((singular > _SINGULAR).sum())
        leading = float(values.real[np.argmax(np.abs(values))])
        kind = ("codim2", "saddle_sink" if leading < 0 else "saddle_source", "regular")[rank]
        degree = int(found.clusters.degree[row]) if bool(found.clusters.degree_proven[row]) else None
        residual = float(np.abs(np.asarray(flow.residual(jnp.asarray(state)))).max())
        points.append(Degenerate(kind, state, float((high - low).max()), degree, rank, residual))
    return tuple(points)


def _ghosts(slow: Any) -> tuple[Ghost, ...]:
    rows = np.flatnonzero(np.asarray(slow.mask) & (np.asarray(slow.kind) == SlowKind.GHOST))
    ghosts = [Ghost(np.asarray(slow.state[row]), float(slow.residual[row])) for row in rows]
    return tuple(sorted(ghosts, key=lambda ghost: ghost.residual))


def _flips(flow: CellFlow, found: Enumeration) -> tuple[tuple[np.ndarray, str, str, float], ...]:
    step = CellMap(flow.cell, flow.input)
    flips = []
    for row in np.flatnonzero(np.asarray(found.mask)):
        state = found.state[row]
        sizes = np.abs(np.linalg.eigvals(np.asarray(jacobian(step, state))))
        kind = Kind.SINK if (sizes < 1).all() else Kind.SOURCE if (sizes > 1).all() else Kind.SADDLE
        if kind != int(found.kind[row]):
            names = Kind(int(found.kind[row])).name.lower(), kind.name.lower()
            flips.append((np.asarray(state), *names, float(sizes.max())))
    return tuple(flips)


def closest_pairs(measured: Measured, number: int) -> tuple[Pair, ...]:
    """The `number` pairs of a node and a saddle that lie closest, no point twice."""
    states, kinds = measured.states, measured.kinds
    nodes = [row for row in range(len(kinds)) if kinds[row] in (Kind.SINK, Kind.SOURCE)]
    saddles = [row for row in range(len(kinds)) if kinds[row] == Kind.SADDLE]
    distances = sorted(
        (float(np.linalg.norm(states[node] - states[saddle])), node, saddle) for node in nodes for saddle in saddles
    )
    pairs: list[Pair] = []
    used: set[int] = set()
    for distance, node, saddle in distances:
        if len(pairs) == number:
            break
        if not used & {node, saddle}:
            used |= {node, saddle}
            pairs.append(Pair(Kind(int(kinds[node])).name.lower(), states[node], states[saddle], distance))
    return tuple(pairs)
