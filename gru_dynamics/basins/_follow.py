"""From initial states to labels."""

import jax
import jax.numpy as jnp

from .._types import Array, Float, Int
from ..systems import AbstractSystem
from ._advance import Settings
from ._attractors import Attractor, AttractorKind, Attractors, Balls
from ._discover import discover
from ._result import BasinFractions
from ._settle import AT_INFINITY, OPEN, Race, settle

# A few trajectories go first, to the end, so that the others can be caught on cycles early.
_PILOTS = 64


def follow(
    system: AbstractSystem,
    known: Attractors,
    num_sinks: Int[Array, ""],
    balls: Balls,
    states: Float[Array, "N S"],
    settings: Settings,
    *,
    explore: bool,
) -> tuple[Int[Array, " N"], Attractors]:
    """Labels of all states and the list of attractors; without `explore` the list stays as it is. States are caught by
    the `balls` around sinks, and by the orbits of the rows from `num_sinks` on.

    Stages, as rows of a table so that they are compiled once: the pilots to the end; then everybody, for times that
    double, so that who runs along a known orbit is not followed for long.
    """
    num = states.shape[0]
    number = jnp.arange(num, dtype=jnp.int32)
    pilots = number % -(-num // _PILOTS) == 0
    doubling = [4 * 2**k for k in range(64) if 4 * (2**k - 1) < settings.looks]
    looks, rounds, everybody = [*doubling], [0] * len(doubling), [True] * len(doubling)
    if explore:
        most = 2 * known.capacity
        rounds[-1] = most
        looks, rounds, everybody = [settings.looks, *looks], [most, *rounds], [False, *everybody]

    def stage(carry: tuple[Array, Array, Attractors], row: tuple[Array, Array, Array]) -> tuple[tuple, None]:
        states, label, known = carry
        looks, rounds, everybody = row
        race = Race(system, balls, looks, settings)
        active = pilots | everybody
        states, label = settle(race, states, label, active)
        known, label = discover(race, known, num_sinks, states, label, active, rounds if explore else None)
        return (states, label, known), None

    table = (jnp.asarray(looks, jnp.int32), jnp.asarray(rounds, jnp.int32), jnp.asarray(everybody))
    start = (states, jnp.full((num,), OPEN, jnp.int32), known)
    (_, label, known), _ = jax.lax.scan(stage, start, table)
    return label, known


def label_states(
    system: AbstractSystem, found: BasinFractions, states: Float[Array, "N S"], settings: Settings
) -> Int[Array, " N"]:
    """Row of `found` on which each state ends, -1 if on none of them or not settled."""
    caught = found.kind == AttractorKind.SINK
    centers = jnp.where(caught[:, None], found.state, jnp.inf)
    rows = Attractor(found.kind, found.period, found.orbit, found.radius)
    number = jnp.sum(found.mask, dtype=jnp.int32)
    known = Attractors(rows, number, jnp.zeros((), bool), jnp.ones((), centers.dtype))
    # What no ball has caught is compared with all rows as orbits, sinks included.
    balls = Balls(centers, found.radius[:, 0])
    label, _ = follow(system, known, jnp.zeros_like(number), balls, states, settings, explore=False)
    infinity = found.kind == AttractorKind.ESCAPED
    row = jnp.argmax(infinity).astype(jnp.int32)
    label = jnp.where(label == AT_INFINITY, jnp.where(jnp.any(infinity), row, OPEN), label)
    return jnp.maximum(label, OPEN).astype(jnp.int32)
