"""The interval as a pytree."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ..._types import Array, Bool, Float
from ._rounding import down, up


class Interval(eqx.Module):
    """A box: all arrays `x` with `lower <= x <= upper`, componentwise, in float64.

    `+ - * /` with intervals, arrays and numbers give an interval that contains every result that members can give, and
    so do `square`, indexing, and the functions of this folder. Arrays and Python numbers are taken as exact. Endpoints
    may be infinite; an invalid operation gives nan, and a box with nan contains everything.

    **Fields:** `lower`, `upper`, of one shape `(...)`.

    **Source:** Rump (2010), Verification methods, sections 5 and 10; rounding by Rump, Zimmermann, Boldo, Melquiond
    (2009).
    """

    lower: Float[Array, "..."]
    upper: Float[Array, "..."]

    # An array of NumPy on the left must not take the interval apart.
    __array_ufunc__ = None

    def __check_init__(self) -> None:
        if jnp.shape(self.lower) != jnp.shape(self.upper):
            raise ValueError(f"Interval: shapes {jnp.shape(self.lower)} and {jnp.shape(self.upper)} differ")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.lower.shape

    @property
    def midpoint(self) -> Float[Array, "..."]:
        """A number near the middle of each component, rounded but inside."""
        return jnp.clip(0.5 * self.lower + 0.5 * self.upper, self.lower, self.upper)

    @property
    def width(self) -> Float[Array, "..."]:
        """`upper - lower`, rounded up."""
        return up(self.upper - self.lower)

    @property
    def radius(self) -> Float[Array, "..."]:
        """The largest distance from `midpoint`, rounded up."""
        middle = self.midpoint
        return up(jnp.maximum(self.upper - middle, middle - self.lower))

    @property
    def magnitude(self) -> Float[Array, "..."]:
        """The largest absolute value."""
        return jnp.maximum(jnp.abs(self.lower), jnp.abs(self.upper))

    @property
    def square(self) -> "Interval":
        """All `x * x`, with one and the same `x`."""
        smallest = jnp.where(self.contains(0.0), 0.0, jnp.minimum(jnp.abs(self.lower), jnp.abs(self.upper)))
        return Interval(jnp.maximum(down(smallest * smallest), 0.0), up(self.magnitude * self.magnitude))

    def contains(self, value: Any) -> Bool[Array, "..."]:
        """Whether each component holds `value`; unknown (nan) endpoints hold everything."""
        return ~((self.lower > value) | (self.upper < value))

    def inside(self, other: "Interval") -> Bool[Array, "..."]:
        """Whether each component lies in the interior of that of `other`."""
        return (self.lower > other.lower) & (self.upper < other.upper)

    def disjoint(self, other: "Interval") -> Bool[Array, "..."]:
        """Whether each component has nothing in common with that of `other`."""
        return (self.lower > other.upper) | (self.upper < other.lower)

    def intersect(self, other: "Interval") -> "Interval":
        """What both hold; meaningless where they are `disjoint`. A nan endpoint of `other` does not cut."""
        return Interval(
            jnp.where(other.lower > self.lower, other.lower, self.lower),
            jnp.where(other.upper < self.upper, other.upper, self.upper),
        )

    def hull(self, other: "Interval") -> "Interval":
        """The smallest box that holds both."""
        return Interval(jnp.minimum(self.lower, other.lower), jnp.maximum(self.upper, other.upper))

    def __getitem__(self, index: Any) -> "Interval":
        return Interval(self.lower[index], self.upper[index])

    def __neg__(self) -> "Interval":
        return Interval(-self.upper, -self.lower)

    def __add__(self, other: Any) -> "Interval":
        other = as_interval(other)
        return Interval(down(self.lower + other.lower), up(self.upper + other.upper))

    def __radd__(self, other: Any) -> "Interval":
        return self + other

    def __sub__(self, other: Any) -> "Interval":
        other = as_interval(other)
        return Interval(down(self.lower - other.upper), up(self.upper - other.lower))

    def __rsub__(self, other: Any) -> "Interval":
        return as_interval(other) - self

    def __mul__(self, other: Any) -> "Interval":
        if not isinstance(other, Interval):
            one, two = self.lower * other, self.upper * other
            return Interval(down(jnp.minimum(one, two)), up(jnp.maximum(one, two)))
        products = [a * b for a in (self.lower, self.upper) for b in (other.lower, other.upper)]
        low = jnp.minimum(jnp.minimum(products[0], products[1]), jnp.minimum(products[2], products[3]))
        high = jnp.maximum(jnp.maximum(products[0], products[1]), jnp.maximum(products[2], products[3]))
        return Interval(down(low), up(high))

    def __rmul__(self, other: Any) -> "Interval":
        return self * other

    def __truediv__(self, other: Any) -> "Interval":
        other = as_interval(other)
        hollow = other.contains(0.0)
        one, two = 1 / other.upper, 1 / other.lower
        unknown = jnp.full_like(one, jnp.inf)
        inverse = Interval(jnp.where(hollow, -unknown, down(one)), jnp.where(hollow, unknown, up(two)))
        return self * inverse

    def __rtruediv__(self, other: Any) -> "Interval":
        return as_interval(other) / self


def stack(parts: Sequence[Any]) -> Interval:
    """One interval from a list of them, or a matrix from a list of lists.

    **Arguments:** `parts`, a sequence of `Interval`, numbers, or sequences of these, all of one shape `(...)`.

    **Returns:** `Interval` of shape `(len(parts), ...)`.

    **Source:** as `jax.numpy.stack`.
    """
    intervals = [stack(part) if isinstance(part, list | tuple) else as_interval(part) for part in parts]
    return Interval(jnp.stack([each.lower for each in intervals]), jnp.stack([each.upper for each in intervals]))


def as_interval(value: Any) -> Interval:
    """`value` itself if it is an `Interval`, else the box that holds this array or number only.

    **Arguments:** `value`, an `Interval`, an array of shape `(...)` in float64, or a number, taken as exact.

    **Returns:** `Interval` of the same shape.

    **Source:** Rump (2010), section 5.
    """
    if isinstance(value, Interval):
        return value
    array = jnp.asarray(value, jnp.float64)
    return Interval(array, array)
