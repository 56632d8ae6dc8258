"""Elementary functions of intervals.

No library promises how accurate its tanh is, and XLA's is not even monotone. Each value is therefore moved outward by
a bound on the error that `tests/test_intervals.py` measures on the machine at hand, several times smaller than allowed.
"""

import jax
import jax.numpy as jnp

from ..._types import Array, Float
from ._interval import Interval
from ._rounding import EPSILON, TINY, down, up

# Bounds on the relative error of `jnp.tanh` and `jax.nn.sigmoid` in float64, in units of 2^-52; 5.2 and 3 were seen.
TANH_ULPS = 24
SIGMOID_ULPS = 16


def tanh(x: Interval) -> Interval:
    """All `tanh(x)`.

    **Arguments:** `x`, an `Interval` of shape `(...)`.

    **Returns:** `Interval` of the same shape, within [-1, 1].

    **Source:** monotone function; error bound measured against mpmath.
    """
    low, high = _inflated(jnp.tanh(x.lower), jnp.tanh(x.upper), TANH_ULPS)
    return Interval(jnp.maximum(low, -1.0), jnp.minimum(high, 1.0))


def tanh_slope(value: Interval) -> Interval:
    """All `1 - c^2`, the derivative of tanh where its value is `c`.

    **Arguments:** `value`, an `Interval` of shape `(...)` within [-1, 1], from `tanh`.

    **Returns:** `Interval` of the same shape, within [0, 1].

    **Source:** d tanh(x)/dx = 1 - tanh(x)^2.
    """
    squared = value.square
    return Interval(jnp.maximum(down(1 - squared.upper), 0.0), jnp.minimum(up(1 - squared.lower), 1.0))


def sigmoid(x: Interval) -> Interval:
    """All `1 / (1 + exp(-x))`.

    **Arguments:** `x`, an `Interval` of shape `(...)`.

    **Returns:** `Interval` of the same shape, within [0, 1].

    **Source:** monotone function; error bound measured against mpmath.
    """
    low, high = _inflated(jax.nn.sigmoid(x.lower), jax.nn.sigmoid(x.upper), SIGMOID_ULPS)
    return Interval(jnp.maximum(low, 0.0), jnp.minimum(high, 1.0))


def sigmoid_slope(value: Interval) -> Interval:
    """All `s (1 - s)`, the derivative of the sigmoid where its value is `s`.

    **Arguments:** `value`, an `Interval` of shape `(...)` within [0, 1], from `sigmoid`.

    **Returns:** `Interval` of the same shape, within [0, 1/4].

    **Source:** d sigmoid(x)/dx = s (1 - s), largest at s = 1/2.
    """
    ends = value.lower * (1 - value.lower), value.upper * (1 - value.upper)
    low, high = _inflated(jnp.minimum(*ends), jnp.maximum(*ends), 2)
    return Interval(jnp.maximum(low, 0.0), jnp.where(value.contains(0.5), 0.25, jnp.minimum(high, 0.25)))


def relu(x: Interval) -> Interval:
    """All `max(x, 0)`.

    **Arguments:** `x`, an `Interval` of shape `(...)`.

    **Returns:** `Interval` of the same shape.

    **Source:** monotone and exact.
    """
    # A subnormal upper end is read as zero.
    return Interval(jnp.maximum(x.lower, 0.0), up(jnp.maximum(x.upper, 0.0)))


def relu_slope(x: Interval) -> Interval:
    """All generalised derivatives of `max(x, 0)`: 0, 1, or [0, 1] across the kink.

    With generalised (Clarke) derivatives the existence and uniqueness tests of this library remain valid.

    **Arguments:** `x`, an `Interval` of shape `(...)`.

    **Returns:** `Interval` of the same shape.

    **Source:** Clarke (1983), section 2.6.
    """
    return Interval(jnp.where(x.lower > 0, 1.0, 0.0), jnp.where(x.upper < 0, 0.0, 1.0))


def modrelu(x: Interval, bias: Float[Array, "..."]) -> Interval:
    """All `sign(x) max(|x| + b, 0)`, for either sign at zero.

    **Arguments:** `x`, an `Interval` of shape `(...)`; `bias` b, of the same shape.

    **Returns:** `Interval` of the same shape. For b > 0 the function jumps from -b to b at zero, and an interval with
    zero inside gets both.

    **Source:** Arjovsky, Shah, Bengio (2016), eq. 8, for real x.
    """

    def branch(end: Array) -> tuple[Array, Array]:
        positive = jnp.maximum(end + bias, 0.0), jnp.minimum(end - bias, 0.0)
        at_zero = jnp.maximum(bias, 0.0)
        low = jnp.where(end > 0, positive[0], jnp.where(end < 0, positive[1], -at_zero))
        high = jnp.where(end > 0, positive[0], jnp.where(end < 0, positive[1], at_zero))
        return low, high

    low, high = branch(x.lower)[0], branch(x.upper)[1]
    jump = jnp.where(x.contains(0.0), jnp.maximum(bias, 0.0), 0.0)
    return Interval(jnp.minimum(down(low), -jump), jnp.maximum(up(high), jump))


def modrelu_slope(x: Interval, bias: Float[Array, "..."]) -> Interval:
    """All derivatives of `sign(x) max(|x| + b, 0)`: 1 outside the dead zone `|x| <= -b`, 0 inside.

    **Arguments:** `x`, an `Interval` of shape `(...)`; `bias` b, of the same shape.

    **Returns:** `Interval` of the same shape: [0, 1] across a kink, and unbounded where the function jumps (b > 0 and
    zero inside).

    **Source:** Arjovsky, Shah, Bengio (2016), eq. 8; kinks as in Clarke (1983), section 2.6.
    """
    nearest = jnp.where(x.contains(0.0), 0.0, jnp.minimum(jnp.abs(x.lower), jnp.abs(x.upper)))
    dead = nearest <= -bias
    alive = x.magnitude >= -bias
    low = jnp.where(dead, 0.0, 1.0)
    high = jnp.where(alive, 1.0, 0.0)
    jumps = x.contains(0.0) & (bias > 0)
    return Interval(low, jnp.where(jumps, jnp.inf, high))


def _inflated(low: Array, high: Array, ulps: int) -> tuple[Array, Array]:
    return low - (jnp.abs(low) * (ulps * EPSILON) + TINY), high + (jnp.abs(high) * (ulps * EPSILON) + TINY)
