"""Find the attractors that trajectories run along, and give each trajectory its own."""

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float, Int
from ..fixed_points._rows import each_used
from ._advance import probes
from ._attractors import Attractors
from ._inspect import inspect
from ._settle import AT_INFINITY, GIVEN_UP, OPEN, Race


def discover(
    race: Race,
    known: Attractors,
    num_sinks: Int[Array, ""],
    states: Float[Array, "N S"],
    label: Int[Array, " N"],
    active: Bool[Array, " N"],
    rounds: Int[Array, ""] | None,
) -> tuple[Attractors, Int[Array, " N"]]:
    """The list and the labels after these steps, repeated until nothing is open or `rounds` are used up:

    1. Open trajectories that run along an attractor get its label. The first `num_sinks` have had their chance.
    2. The first trajectory that is still open leads: it is followed further and inspected. Its attractor is looked up
       in the list, and added if it is new.

    Without `rounds` the list stays as it is.
    """
    if rounds is None:
        return known, _join(race, known, num_sinks, states, label, active)

    def lead(known: Attractors, label: Array) -> tuple[Attractors, Array]:
        leader = jnp.argmax(active & (label == OPEN))
        found, settled, escaped = inspect(race.system, states[leader], known.scale, race.settings)
        scores = known.scores(found.orbit)
        old = jnp.any(scores <= 1) & ~escaped
        new = settled & ~old
        row = jnp.where(old, jnp.argmin(scores).astype(jnp.int32), known.count)
        counted = old | (new & (known.count < known.capacity))
        mark = jnp.where(counted, row, jnp.where(escaped, AT_INFINITY, GIVEN_UP))
        return known.append(found, new), label.at[leader].set(mark)

    def body(carry: tuple[Array, Array, Attractors, Array]) -> tuple[Array, Array, Attractors, Array]:
        number, since, known, label = carry
        label = _join(race, known, since, states, label, active)
        more = (number < rounds) & jnp.any(active & (label == OPEN))
        since = known.count
        known, label = jax.lax.cond(more, lead, lambda *same: same, known, label)
        return number + 1, since, known, label

    def unfinished(carry: tuple[Array, Array, Attractors, Array]) -> Array:
        number, since, known, label = carry
        return ((since < known.count) | (number < rounds)) & jnp.any(active & (label == OPEN))

    start = jnp.zeros((), jnp.int32), num_sinks, known, label
    _, _, known, label = jax.lax.while_loop(unfinished, body, start)
    return known, label


def _join(
    race: Race,
    known: Attractors,
    since: Int[Array, ""],
    states: Float[Array, "N S"],
    label: Int[Array, " N"],
    active: Bool[Array, " N"],
) -> Int[Array, " N"]:
    """Labels with those open trajectories added that run along an attractor of the rows from `since` on."""

    def nearest(place: Array) -> Array:
        path = probes(race.system, states[place], race.settings)

        def compare(number: Array, best: tuple[Array, Array]) -> tuple[Array, Array]:
            score = known.row(number).score(path)
            return jnp.where(score < best[0], score, best[0]), jnp.where(score < best[0], number, best[1])

        worst = jnp.ones((), states.dtype), jnp.asarray(OPEN, jnp.int32)
        return jax.lax.fori_loop(since, known.count, compare, worst)[1]

    wanted = active & (label == OPEN) & (known.count > since)
    return jnp.where(wanted, each_used(nearest, wanted, 256), label)
