"""All cycles of a map with a given number of points."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, ArrayLike, Bool, Complex, Float, Int, PRNGKey
from ..fixed_points import AbstractGuesses, FixedPoints, find_fixed_points
from ..fixed_points._precision import highest_precision
from ..systems import AbstractMap, Iterate
from ._close import least_period
from ._cycle import spectrum_of


class MapCycles(eqx.Module):
    """Cycles of a map whose least period divides k, one row each, padded to K rows; longest last.

    **Fields:** `states (K, k, S)`, the points in order, repeated where the least period is less than k; `mask (K,)`;
    `period (K,)`, the least; `multipliers (K, S)`, largest modulus first, of one turn; `unstable_dim (K,)`;
    `stable (K,)`; `points`, the `FixedPoints` of the k-th iterate, all points of all cycles.

    **Source:** Kuznetsov (2004), section 1.2.2.
    """

    states: Float[Array, "*batch K k S"]
    mask: Bool[Array, "*batch K"]
    period: Int[Array, "*batch K"]
    multipliers: Complex[Array, "*batch K S"]
    unstable_dim: Int[Array, "*batch K"]
    stable: Bool[Array, "*batch K"]
    points: FixedPoints


def cycles_of_map(
    system: AbstractMap,
    period: int,
    guesses: AbstractGuesses | ArrayLike,
    *,
    key: PRNGKey,
    max_points: int = 256,
    throw: bool = True,
) -> MapCycles:
    """All solutions of `f^k(x) = x` that can be reached from the guesses, gathered into cycles.

    **Arguments:** `system`, a map; `period`, k, a Python integer; `guesses`, states for the search of fixed points of
    the k-th iterate, any that `find_fixed_points` takes, of shape `(num, S)`; `key` for them; `max_points`, K; `throw`,
    raise when nothing converged.

    **Returns:** `MapCycles` with K rows.

    **Raises:** `ValueError` for a period below 1; `RuntimeError` as `find_fixed_points`.

    **Source:** Kuznetsov (2004), section 1.2.2; Davidchack & Lai (1999) for the problem of finding all.
    """
    points = find_fixed_points(Iterate(system, period), guesses, key=key, max_points=max_points, throw=throw)
    return _gather(system, points, period)


@eqx.filter_jit
@highest_precision
def _gather(system: AbstractMap, points: FixedPoints, k: int) -> MapCycles:
    num = points.mask.size

    def turn(state: Array) -> Array:
        return jax.lax.scan(lambda s, _: (system(s), s), state, length=k)[1]

    orbits = jax.vmap(turn)(points.state)
    least = jax.vmap(lambda orbit: least_period(jax.lax.stop_gradient(orbit), 1e-5))(orbits)
    # The first listed point that lies on the orbit stands for it.
    own = jax.lax.stop_gradient(orbits)
    near = 1e-5 * (1 + jnp.max(jnp.abs(own)))

    def leader(orbit: Array) -> Array:
        gap = jnp.max(jnp.abs(own[:, :1] - orbit[None]), axis=2)
        return jnp.argmax((jnp.min(gap, axis=1) <= near) & points.mask)

    rows = jnp.arange(num, dtype=jnp.int32)
    mask = points.mask & (jax.vmap(leader)(own).astype(jnp.int32) == rows)
    order = jnp.argsort(jnp.where(mask, least, k + 1))
    orbits, mask, least = orbits[order], mask[order], least[order]

    def multipliers(orbit: Array, least: Array) -> tuple[Array, ...]:
        segments = jax.vmap(system.jacobian)(orbit)
        used = jnp.arange(k, dtype=least.dtype) < least
        identity = jnp.eye(orbit.shape[1], dtype=orbit.dtype)
        return spectrum_of(jnp.where(used[:, None, None], segments, identity[None]))

    values, outside, stable = jax.vmap(multipliers)(orbits, least)
    return MapCycles(
        orbits, mask, jnp.where(mask, least, 0), values, jnp.where(mask, outside, 0), stable & mask, points
    )
