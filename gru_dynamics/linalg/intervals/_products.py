"""Products of matrices of numbers or intervals, with one error bound for a whole sum."""

from typing import Any

import jax
import jax.numpy as jnp

from ..._types import Array, Float
from ._interval import Interval, as_interval
from ._rounding import down, sum_error, up, widen

# Sums of at most so many terms are written out, which compilers turn into vector code over a batch.
_UNROLLED = 8


def times_nonnegative(factor: Interval, other: Interval) -> Interval:
    """Product with an interval that holds no negative number, elementwise: two multiplications instead of four.

    **Arguments:** `factor` with `factor.lower >= 0`; `other`; shapes `(...)` that broadcast.

    **Returns:** `Interval` of the broadcast shape.

    **Source:** Rump (2010), section 5.
    """
    low = other.lower * jnp.where(other.lower < 0, factor.upper, factor.lower)
    high = other.upper * jnp.where(other.upper < 0, factor.lower, factor.upper)
    return Interval(down(low), up(high))


def matvec(matrix: Float[Array, "m n"] | Interval, vector: Float[Array, " n"] | Interval) -> Interval:
    """Matrix times vector, each of numbers (taken as exact) or intervals.

    **Arguments:** `matrix (m, n)`; `vector (n,)`.

    **Returns:** `Interval` of shape `(m,)`.

    **Source:** Rump (1999), Fast and parallel interval arithmetic; error of sums: Higham (2002), section 3.1.
    """
    column = jax.tree.map(lambda x: x[:, None], vector)
    return matmul(matrix, column)[:, 0]


def matmul(left: Float[Array, "m n"] | Interval, right: Float[Array, "n p"] | Interval) -> Interval:
    """Matrix product, each factor of numbers (taken as exact) or intervals.

        A [B] = A mid(B) +- (|A| rad(B) + gamma |A| (|mid(B)| + rad(B)))           and alike for [A] B, [A] [B]

    The bound holds for any order of summation and for fused operations, so for any BLAS.

    **Arguments:** `left (m, n)`; `right (n, p)`.

    **Returns:** `Interval` of shape `(m, p)`.

    **Source:** Rump (1999), Fast and parallel interval arithmetic; error of sums: Higham (2002), section 3.1.
    """
    terms = left.shape[1]
    if not isinstance(left, Interval) and not isinstance(right, Interval):
        center = _product(left, right)
        error = sum_error(terms, _product(jnp.abs(left), jnp.abs(right)))
        return Interval(*widen(center, center, error))
    if not isinstance(left, Interval):
        assert isinstance(right, Interval)
        middle, radius = _ball(right)
        size = jnp.abs(left)
        center, spread = _product(left, middle), _product(size, radius)
        error = up(spread + sum_error(terms, _product(size, jnp.abs(middle)) + spread))
        return Interval(*widen(center, center, error))
    if not isinstance(right, Interval):
        transposed = matmul(right.T, Interval(left.lower.T, left.upper.T))
        return Interval(transposed.lower.T, transposed.upper.T)
    (middle, radius), (other, other_radius) = _ball(left), _ball(right)
    center = _product(middle, other)
    size = jnp.abs(middle)
    spread = _product(size, other_radius) + _product(radius, jnp.abs(other) + other_radius)
    magnitude = _product(size, jnp.abs(other)) + 2 * spread
    return Interval(*widen(center, center, up(spread + sum_error(2 * terms + 2, magnitude))))


def _ball(value: Interval) -> tuple[Array, Array]:
    """Midpoint and radius: all members are within the radius of the midpoint."""
    value = as_interval(value)
    return value.midpoint, value.radius


def _product(left: Array, right: Array) -> Array:
    if left.shape[1] > _UNROLLED:
        return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)
    total: Any = left[:, 0, None] * right[None, 0]
    for k in range(1, left.shape[1]):
        total = total + left[:, k, None] * right[None, k]
    return total
