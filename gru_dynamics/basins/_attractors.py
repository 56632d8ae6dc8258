"""The list of attractors of one system while it grows."""

import enum
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float, Int, Scalar
from ..fixed_points import FixedPoints, Kind
from ..systems import AbstractMap, AbstractSystem

# A sink has caught a state within this share of the extent of the initial states, and of its distance to the next
# fixed point, since the basin of a sink can end at a saddle.
_NEAR, _BEFORE_NEXT = 1e-3, 0.1


class AttractorKind(enum.IntEnum):
    """What initial states end on, an integer code in arrays of any shape.

    `SINK`: a stable fixed point. `CYCLE`: a stable cycle, k states of a map or a closed orbit of a flow. `OTHER`:
    bounded, stationary and neither: an invariant curve or torus, or chaos. `ESCAPED`: infinity. `NONE`: padding.

    **Source:** Milnor (1985) for attractors in the sense of where almost all initial states go.
    """

    NONE = 0
    SINK = 1
    CYCLE = 2
    OTHER = 3
    ESCAPED = 4


class Attractor(eqx.Module):
    """One attractor, or A of them: M states along the `orbit`, and how near each of them a state counts as caught."""

    kind: Int[Array, "*rows"]
    period: Float[Array, "*rows"]
    orbit: Float[Array, "*rows M S"]
    radius: Float[Array, "*rows M"]

    def score(self, probes: Float[Array, "L S"]) -> Scalar:
        """Distance of a trajectory from the attractor in units of `radius`, on average over its states; at most 1 when
        it is caught. For one attractor."""
        apart = jnp.linalg.norm(probes[:, None] - self.orbit[None], axis=-1)
        return jnp.mean(jnp.min(apart / self.radius[None], axis=1))


class Attractors(eqx.Module):
    """The first `count` of A rows are in use; `scale` is the extent of the initial states."""

    rows: Attractor
    count: Int[Array, ""]
    overflow: Bool[Array, ""]
    scale: Scalar

    @property
    def capacity(self) -> int:
        return self.rows.kind.shape[0]

    def row(self, number: Array) -> Attractor:
        return jax.tree.map(lambda x: x[number], self.rows)

    def scores(self, probes: Float[Array, "L S"]) -> Float[Array, " A"]:
        """Score of a trajectory with respect to each attractor; inf for padding."""
        scores = jax.lax.map(lambda row: row.score(probes), self.rows)
        return jnp.where(jnp.arange(self.capacity, dtype=jnp.int32) < self.count, scores, jnp.inf)

    def append(self, new: Attractor, wanted: Bool[Array, ""]) -> "Attractors":
        """With one more row if `wanted`; beyond the last row it is lost, and `overflow` says so."""
        place = jnp.where(wanted, self.count, self.capacity)
        rows = jax.tree.map(lambda old, x: old.at[place].set(x, mode="drop"), self.rows, new)
        fits = self.count < self.capacity
        return Attractors(
            rows, self.count + (wanted & fits).astype(jnp.int32), self.overflow | (wanted & ~fits), self.scale
        )


class Balls(NamedTuple):
    """Where a sink catches: `center (A, S)`, infinitely far away for rows without one, and `radius (A,)`."""

    center: Array
    radius: Array


def sinks(
    system: AbstractSystem, points: FixedPoints, scale: Scalar, capacity: int, orbit_length: int
) -> tuple[Attractors, Balls]:
    """The stable fixed points as the first rows of a list, and the balls in which they catch."""
    stable = points.mask & (points.kind == Kind.SINK)
    order = jnp.argsort(~stable, stable=True)
    order = jnp.pad(order, (0, max(0, capacity - order.size)))[:capacity]
    count = jnp.sum(stable, dtype=jnp.int32)
    used = jnp.arange(capacity, dtype=jnp.int32) < count
    # Padding lies infinitely far from everything.
    state = jnp.where(used[:, None], points.state[order], jnp.inf)

    def gap(center: Array, own: Array) -> Array:
        away = jnp.linalg.norm(points.state - center[None], axis=1)
        other = points.mask & (jnp.arange(away.size, dtype=own.dtype) != own)
        return jnp.min(jnp.where(other, away, jnp.inf))

    radius = jnp.minimum(_NEAR * scale, _BEFORE_NEXT * jax.vmap(gap)(points.state[order], order))
    period = jnp.full((capacity,), sink_period(system), state.dtype)
    rows = Attractor(
        jnp.where(used, AttractorKind.SINK, AttractorKind.NONE).astype(jnp.int32),
        period,
        jnp.repeat(state[:, None], orbit_length, axis=1),
        jnp.repeat(radius[:, None], orbit_length, axis=1),
    )
    return Attractors(rows, jnp.minimum(count, capacity), count > capacity, scale), Balls(state, radius)


def sink_period(system: AbstractSystem) -> float:
    """A fixed point of a map comes back after one step; of a flow, at once."""
    return 1.0 if isinstance(system, AbstractMap) else 0.0


def near_sink(scale: Scalar) -> Scalar:
    return _NEAR * scale
