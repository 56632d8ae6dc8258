"""What kind of attractor a settled trajectory is on."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from .._types import Array, Bool, Float, Scalar
from ..systems import AbstractMap, AbstractSystem
from ._advance import Settings, has_escaped
from ._attractors import Attractor, AttractorKind, near_sink, sink_period
from ._paths import path_of_flow, path_of_map, stillness

# Stationary: the two halves of the record have means nearer than half their spread, and spreads within a quarter.
_SHIFT, _SWELL = 0.5, 1.25
# What is neither sink nor cycle has caught a trajectory that passes it at less than this multiple of the distance at
# which its own later states pass its earlier ones.
_OWN = 3.0


class Inspection(NamedTuple):
    """The attractor; whether the trajectory had settled on it; whether it is at infinity."""

    found: Attractor
    settled: Bool[Array, ""]
    escaped: Bool[Array, ""]


def inspect(system: AbstractSystem, state: Float[Array, " S"], scale: Scalar, settings: Settings) -> Inspection:
    """Follow a trajectory for as long again, then record it, and see what it does.

    1. It does not move: a sink.
    2. It comes back to where it was after at most `max_period` steps (map) or a few returns to a section (flow): a
       cycle.
    3. The first and the second half of the record have the same mean and spread: another attractor.
    4. None of these: it has not settled.
    """
    path_of = path_of_map if isinstance(system, AbstractMap) else path_of_flow
    path = path_of(system, state, scale, settings)
    record = path.record
    half = record.shape[0] // 2
    first, second = record[:half], record[half:]
    away = jnp.linalg.norm(record - record[-1][None], axis=1)
    at_rest = jnp.max(away) <= 100 * stillness(record[-1])

    cloud = first[:: half // settings.orbit_length][: settings.orbit_length]
    own = jnp.mean(_nearest(second[:: max(1, half // 64)], cloud))
    spread = _spread(first)
    swell = _spread(second) / spread
    shift = jnp.linalg.norm(jnp.mean(second, axis=0) - jnp.mean(first, axis=0))
    stationary = (shift <= _SHIFT * spread) & (swell <= _SWELL) & (swell >= 1 / _SWELL)

    def pick(sink: Any, cycle: Any, other: Any) -> Array:
        return jnp.where(at_rest, sink, jnp.where(path.closed, cycle, other))

    found = Attractor(
        pick(AttractorKind.SINK, AttractorKind.CYCLE, AttractorKind.OTHER).astype(jnp.int32),
        pick(sink_period(system), path.period, jnp.inf).astype(record.dtype),
        pick(jnp.broadcast_to(record[-1][None], cloud.shape), path.orbit, cloud),
        pick(near_sink(scale), path.radius, _OWN * own),
    )
    escaped = has_escaped(record[-1], settings)
    return Inspection(found, (at_rest | path.closed | stationary) & ~escaped, escaped)


def _spread(states: Float[Array, "T S"]) -> Scalar:
    """Root mean square distance from the mean."""
    return jnp.sqrt(jnp.sum(jnp.var(states, axis=0)))


def _nearest(states: Float[Array, "L S"], cloud: Float[Array, "M S"]) -> Float[Array, " L"]:
    return jnp.min(jnp.linalg.norm(states[:, None] - cloud[None], axis=-1), axis=1)
