"""The interval Newton operator of Krawczyk, on which every proof about a fixed point rests."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float
from ..linalg import inverse_and_sign
from ..linalg.intervals import Interval, matmul, matvec, stack
from ..linalg.intervals._rounding import down, up
from ..systems import AbstractSystem, Enclosure


class Contraction(NamedTuple):
    """What Krawczyk's operator says about a region `(R,)`.

    Every zero of the residual in the region lies in `image`. If `unique`, there is exactly one, and it is simple.
    """

    image: Interval
    unique: Bool[Array, ""]
    enclosure: Enclosure


@eqx.filter_jit
def krawczyk(system: AbstractSystem, region: Interval) -> Contraction:
    """`K(X) = m - Y f(m) + (I - Y f'(X)) (X - m)` with `m` the midpoint of X and Y an approximate inverse of `f'(X)`.

    If K(X) lies in the interior of X, then X holds exactly one zero. Any Y is valid; where the inverse does not exist
    the operator says nothing.

    Jitted by itself, since it is used in several places of one computation: it is then traced once.

    **Source:** Krawczyk (1969); Rump (2010), theorem 13.2.
    """
    middle, radius = region.midpoint, region.radius
    # Region and midpoint together: the enclosure is compiled once.
    both = jax.vmap(system.enclose)(stack([region, middle]))
    enclosure, residual = jax.tree.map(lambda leaf: leaf[0], both), both.residual[1]
    inverse = approximate_inverse(enclosure.residual_jacobian.midpoint)
    shift = matvec(inverse, residual)
    defect = (jnp.eye(radius.size) - matmul(inverse, enclosure.residual_jacobian)).magnitude
    spread = matvec(defect, radius).upper
    image = Interval(down(down(middle - shift.upper) - spread), up(up(middle - shift.lower) + spread))
    # Inside by a margin, should the ends of the region be computed twice and rounded differently.
    core = radius * (1 - 2.0**-40)
    unique = jnp.all(image.inside(Interval(middle - core, middle + core)))
    return Contraction(image, unique, enclosure)


def approximate_inverse(A: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """An inverse as floating point gives it, nan where the matrix is singular; nothing relies on its accuracy."""
    return inverse_and_sign(A)[0] if A.shape[0] <= 3 else jnp.linalg.inv(A)
