"""What happens between neighbouring rows of a branch, read from its eigenvalues, tangents and orientations."""

import jax.numpy as jnp

from .._types import Array, Bool, Complex, Float, Int
from ..systems import AbstractMap, AbstractSystem
from ._event import Crossing

# Eigenvalues nearer to the boundary than this, relative to 1 + |largest|, do not count as unstable: rounding would
# carry them to and fro.
_NEUTRAL = 1e-11


def growth(system: AbstractSystem, values: Complex[Array, "*rows"]) -> Float[Array, "*rows"]:
    """`|lambda| - 1` for a map, the real part for a flow: positive for unstable directions."""
    return jnp.abs(values) - 1 if isinstance(system, AbstractMap) else values.real


def unstable(system: AbstractSystem, values: Complex[Array, "*rows S"]) -> Bool[Array, "*rows S"]:
    """Which eigenvalues are unstable."""
    scale = 1 + jnp.max(jnp.abs(values), axis=-1, keepdims=True)
    return growth(system, values) > _NEUTRAL * scale


def critical(
    system: AbstractSystem, before: Complex[Array, " S"], after: Complex[Array, " S"]
) -> tuple[Bool[Array, " S"], Complex[Array, " S"]]:
    """`(which, values)`: of the more unstable of two rows, the eigenvalues that cross between them, if any.

    Rows are ordered from the most unstable, so those that have just crossed are the last unstable ones.
    """
    first, second = (jnp.sum(unstable(system, v), dtype=jnp.int32) for v in (before, after))
    values = jnp.where(second > first, after, before)
    place = jnp.arange(before.size, dtype=jnp.int32)
    return (place >= jnp.minimum(first, second)) & (place < jnp.maximum(first, second)), values


def nearest_to_boundary(system: AbstractSystem, values: Complex[Array, " S"], wanted: Bool[Array, " S"]) -> Array:
    """The wanted eigenvalue that is closest to the stability boundary, or the closest of all."""
    distance = jnp.abs(growth(system, values))
    distance = jnp.where(wanted | ~jnp.any(wanted), distance, jnp.inf)
    return values[jnp.argmin(distance)]


def crossing(
    system: AbstractSystem,
    eigenvalues: tuple[Complex[Array, " S"], Complex[Array, " S"]],
    slope: tuple[Array, Array],
    orientation: tuple[Array, Array],
) -> Crossing:
    """What happens between two rows, given their eigenvalues, the parameter's component of their tangents, and their
    orientations, 0 if unknown. A slope of zero counts as positive."""
    before, after = eigenvalues
    which, values = critical(system, before, after)
    complex_ones, positive = values.imag != 0, values.real > 0
    on_the_right = positive if isinstance(system, AbstractMap) else jnp.ones_like(positive)

    def count(wanted: Bool[Array, " S"]) -> Int[Array, ""]:
        return jnp.sum(wanted, dtype=jnp.int32)

    real = count(which & ~complex_ones & on_the_right)
    flips = count(which & ~complex_ones & ~on_the_right)
    pairs = (count(which & complex_ones) + 1) // 2
    # A crossing in each direction leaves the number of unstable eigenvalues as it was.
    all_pairs = [count(v.imag > 0) for v in (before, after)]
    unstable_pairs = [count((v.imag > 0) & unstable(system, v)) for v in (before, after)]
    hidden = (all_pairs[0] == all_pairs[1]) & (unstable_pairs[0] != unstable_pairs[1])
    pairs = jnp.where(hidden, jnp.maximum(pairs, 1), pairs)
    if isinstance(system, AbstractMap):
        below = [count((v.imag == 0) & (v.real < -1)) % 2 for v in (before, after)]
        flips = jnp.where(below[0] != below[1], jnp.maximum(flips, 1), flips)
    fold, turned = (slope[0] < 0) != (slope[1] < 0), orientation[0] * orientation[1]
    # Without orientations: a real eigenvalue passes zero only where the branch turns or branches.
    branching = (turned < 0) | ((turned == 0) & ~fold & (real > 0))
    change = count(unstable(system, after)) - count(unstable(system, before))
    return Crossing(fold, branching, real, flips, pairs, change)
