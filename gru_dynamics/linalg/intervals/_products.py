"""Products of matrices of numbers or intervals, with one error bound for a whole sum."""

import jax
import jax.numpy as jnp

from ..._types import Array, Float
from ._interval import Interval, as_interval
from ._rounding import cover, down, sum_slack, up


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
    if not isinstance(left, Interval):
        middle, radius = (right, jnp.zeros_like(right)) if not isinstance(right, Interval) else _ball(right)
        size = jnp.abs(left)
        slack = sum_slack(terms)
        # One product for the spread and for the errors of both sums.
        spread = _product(size, radius + slack * (jnp.abs(middle) + radius))
        center = _product(left, middle)
        return _around(center, cover(terms, spread))
    if not isinstance(right, Interval):
        transposed = matmul(right.T, Interval(left.lower.T, left.upper.T))
        return Interval(transposed.lower.T, transposed.upper.T)
    (middle, radius), (other, other_radius) = _ball(left), _ball(right)
    slack = sum_slack(2 * terms)
    size, other_size = jnp.abs(middle), jnp.abs(other) + other_radius
    spread = _product(size, other_radius + slack * other_size) + _product(radius * (1 + slack), other_size)
    center = _product(middle, other)
    return _around(center, cover(2 * terms, spread))


def _ball(value: Interval) -> tuple[Array, Array]:
    """Midpoint and radius: all members are within the radius of the midpoint."""
    value = as_interval(value)
    return value.midpoint, value.radius


def _around(center: Array, error: Array) -> Interval:
    """Not moved outward once more: `sum_slack` has room for the rounding of these two operations."""
    return Interval(center - error, center + error)


def _product(left: Array, right: Array) -> Array:
    # Also for 2 x 2: written out, it is fused into all that uses it and computed many times over.
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)
