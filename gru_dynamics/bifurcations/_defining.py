"""The equations that hold at degenerate fixed points."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .._types import Array, ArrayLike, Float, Scalar
from ..linalg import eigenvalues, solve
from ..systems import AbstractFamily, AbstractMap, AbstractSystem


class Orders(NamedTuple):
    """How many degenerate points of each order are asked for; points are listed in this order.

    `folds`: `f = 0` and `J` singular. `cusps`: also `a = 0`, the quadratic coefficient. `nulls`: `f = 0` and `J = 0`.
    """

    folds: int = 0
    cusps: int = 0
    nulls: int = 0

    @property
    def total(self) -> int:
        return self.folds + self.cusps + self.nulls


class Singular(NamedTuple):
    """The singular direction of the Jacobian of the residual at a point: `g` is 0 exactly where it is singular, and
    then `J v = 0`, `w J = 0`; both vectors `(n,)` have length 1."""

    g: Scalar
    v: Float[Array, " n"]
    w: Float[Array, " n"]


def singular(system: AbstractSystem, x: Float[Array, " n"]) -> Singular:
    """By the bordered system `[J, b; c, 0] [v; g] = [0; 1]` and its transpose. With b and c the last singular vectors
    it is never singular near a point of corank one, and `-g` is the smallest singular value.

    **Source:** Kuznetsov (2004), section 10.2.
    """
    J = system.residual_jacobian(x)
    left, _, right = jnp.linalg.svd(jax.lax.stop_gradient(J))
    b, c = left[:, -1], right[-1]
    zero = jnp.zeros((1, 1), J.dtype)
    bordered = jnp.block([[J, b[:, None]], [c[None], zero]])
    unit = jnp.zeros((x.size + 1,), J.dtype).at[-1].set(1.0)
    right_part, left_part = solve(bordered, unit), solve(bordered.T, unit)
    v, w = right_part[:-1], left_part[:-1]
    return Singular(right_part[-1], v / jnp.linalg.norm(v), w / jnp.linalg.norm(w))


def second_derivative(system: AbstractSystem, x: Float[Array, " n"], v: Float[Array, " n"]) -> Float[Array, " n"]:
    """`D^2 f(v, v)` of the residual."""
    return jax.jvp(lambda y: system.residual_jacobian(y) @ v, (x,), (v,))[1]


def quadratic(system: AbstractSystem, x: Float[Array, " n"], at: Singular) -> Scalar:
    """`a = w D^2 f(v, v) / 2` with both vectors of length 1."""
    return 0.5 * jnp.dot(at.w, second_derivative(system, x, at.v))


def equations(system: AbstractSystem, points: Float[Array, "k n"], orders: Orders) -> Float[Array, " m"]:
    """All equations for all points at once, shape `(m,)`."""
    first, second = orders.folds, orders.folds + orders.cusps

    def fold(x: Array) -> Array:
        return jnp.append(system.residual(x), singular(system, x).g)

    def cusp(x: Array) -> Array:
        at = singular(system, x)
        return jnp.concatenate([system.residual(x), jnp.stack([at.g, quadratic(system, x, at)])])

    def null(x: Array) -> Array:
        return jnp.concatenate([system.residual(x), system.residual_jacobian(x).reshape(-1)])

    groups = (fold, points[:first]), (cusp, points[first:second]), (null, points[second:])
    return jnp.concatenate([jax.vmap(rule)(rows).reshape(-1) for rule, rows in groups if rows.shape[0]])


class Unknowns(NamedTuple):
    """Parameters, points, and for each point of corank one the root of what its other eigenvalue has to spare."""

    mu: Array
    points: Float[Array, "k n"]
    slack: Float[Array, " q"]

    def ravel(self) -> Float[Array, " N"]:
        return jnp.concatenate([part.reshape(-1) for part in self])


def unravel(flat: Float[Array, " N"], shape: tuple[int, ...], orders: Orders) -> Unknowns:
    size = math.prod(shape)
    slacks = orders.folds + orders.cusps
    end = flat.size - slacks
    return Unknowns(flat[:size].reshape(shape), flat[size:end].reshape(orders.total, -1), flat[end:])


def joint_equations(
    family: AbstractFamily, unknowns: Unknowns, signs: Float[Array, " q"], margin: ArrayLike, orders: Orders
) -> Float[Array, " m"]:
    """The equations of all points at once, and for each point of corank one in the plane

        sign other = margin + slack^2

    with `other` its other eigenvalue; for sign 0 it is free."""
    system = family(unknowns.mu)
    corank_one = unknowns.points[: signs.size]
    if unknowns.points.shape[1] == 2:
        others = jax.vmap(lambda x: planar_other(system, x))(corank_one)
        kinds = jnp.where(signs == 0, unknowns.slack, signs * others - margin - unknowns.slack**2)
    else:
        kinds = unknowns.slack
    return jnp.concatenate([equations(system, unknowns.points, orders), kinds])


def other_eigenvalues(system: AbstractSystem, x: Float[Array, " n"]) -> Float[Array, " others"]:
    """How unstable the eigenvalues other than the critical one are, `(S - 1,)`, nearest to the boundary first: real
    parts for a flow, modulus minus 1 for a map."""
    values = eigenvalues(system.jacobian(system.lift(x)))
    if isinstance(system, AbstractMap):
        rest, growth = values - 1, jnp.abs(values) - 1
    else:
        rest, growth = values, values.real
    return growth[jnp.argsort(jnp.abs(rest))][1:]


def planar_other(system: AbstractSystem, x: Float[Array, " n"]) -> Scalar:
    """The same for two dimensions at a point with a critical eigenvalue, smooth: trace of the velocity's derivative."""
    trace = jnp.trace(system.jacobian(system.lift(x)))
    return trace - 2 if isinstance(system, AbstractMap) else trace
