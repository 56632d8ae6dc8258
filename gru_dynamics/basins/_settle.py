"""Follow many trajectories until a sink has caught them."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from .._types import Array, Bool, Float, Int
from ..fixed_points._members import pack
from ..fixed_points._queue import run_queue
from ..systems import AbstractSystem
from ._advance import Settings, advance, has_escaped
from ._attractors import Balls

# Labels of initial states that have no attractor: still under way, given up, at infinity.
OPEN, GIVEN_UP, AT_INFINITY = -1, -2, -3


class Race(eqx.Module):
    """Balls around sinks, and for how many looks to go on."""

    system: AbstractSystem
    balls: Balls
    looks: Int[Array, ""]
    settings: Settings


class _Lane(NamedTuple):
    """One trajectory. `point` is its state with its label behind it, since a queue hands back points only."""

    point: Array
    sink: Array
    distance: Array
    looks: Array


class _Watch(eqx.Module):
    """Advance by one interval and look. A sink has caught a state that is in its ball at two looks, the second time
    nearer, or so near that rounding decides."""

    lanes: int = eqx.field(static=True)
    max_steps: int = eqx.field(static=True, default=2**30)

    def init(self, problem: Race, point: Float[Array, " labelled"]) -> _Lane:
        number = jnp.asarray(-1, jnp.int32)
        return _Lane(point, number, jnp.asarray(jnp.inf, point.dtype), jnp.zeros((), jnp.int32))

    def step(self, problem: Race, lane: _Lane) -> _Lane:
        settings = problem.settings
        state = advance(problem.system, lane.point[:-1], settings.interval, settings)
        away = jnp.linalg.norm(problem.balls.center - state[None], axis=1)
        nearest = jnp.argmin(away / problem.balls.radius).astype(jnp.int32)
        distance, radius = away[nearest], problem.balls.radius[nearest]
        inside = distance <= radius
        caught = inside & (lane.sink == nearest) & (distance <= jnp.maximum(lane.distance, 1e-3 * radius))
        label = jnp.where(caught, nearest, jnp.where(has_escaped(state, settings), AT_INFINITY, OPEN))
        return _Lane(
            jnp.concatenate([state, label[None].astype(state.dtype)]),
            jnp.where(inside, nearest, -1),
            jnp.where(inside, distance, jnp.inf),
            lane.looks + 1,
        )


def _finished(problem: Race, lane: _Lane) -> Bool[Array, ""]:
    return (lane.point[-1] != OPEN) | (lane.looks >= problem.looks)


def settle(
    race: Race, states: Float[Array, "N S"], label: Int[Array, " N"], active: Bool[Array, " N"]
) -> tuple[Float[Array, "N S"], Int[Array, " N"]]:
    """States and labels after the active and open trajectories have been followed for `race.looks` intervals."""
    num, size = states.shape
    order, total = pack(active & (label == OPEN))
    start = jnp.concatenate([states[order], jnp.full((num, 1), OPEN, states.dtype)], axis=1)
    lanes = min(num, 4096, max(64, 2**16 // size))
    ends, _ = run_queue(_Watch(lanes), race, start, total, _finished)
    place = jnp.where(jnp.arange(num, dtype=jnp.int32) < total, order, num)
    states = states.at[place].set(ends[:, :-1], mode="drop")
    return states, label.at[place].set(ends[:, -1].astype(jnp.int32), mode="drop")
