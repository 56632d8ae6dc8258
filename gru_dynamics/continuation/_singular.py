"""Equations for a fixed point at which a matrix is singular, with one bordered unknown instead of a null vector."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._types import Array, Float, Shaped
from ..linalg import solve
from ..systems import AbstractFamily, AbstractSystem

# (system, resting state x, extra unknowns) -> real or complex matrix that is singular at the special point.
MatrixFunction = Callable[[AbstractSystem, Array, Array], Array]


class Borders(NamedTuple):
    """Column `b (S,)` and row `c (S,)` that make `[M, b; c^H, 0]` regular; best are the singular vectors of M.

    **Source:** Govaerts (2000), section 3.3.
    """

    b: Shaped[Array, " S"]
    c: Shaped[Array, " S"]


class Singular(NamedTuple):
    """`[M, b; c^H, 0] [v; sigma] = [0; 1]` and `[w^H, sigma] [M, b; c^H, 0] = [0, 1]`: `sigma ()` is zero exactly where
    M is singular, `M v = 0` and `w^H M = 0` there, and `d sigma = -w^H dM v`."""

    sigma: Shaped[Array, ""]
    v: Shaped[Array, " S"]
    w: Shaped[Array, " S"]


def any_borders(size: int, dtype: Any) -> Borders:
    """Borders that are orthogonal to nothing in particular; a few renewals turn them into the singular vectors."""
    random = np.random.default_rng(0).normal(size=(2, size)) / np.sqrt(size)
    return Borders(jnp.asarray(random[0], dtype), jnp.asarray(random[1], dtype))


def singular(M: Shaped[Array, "S S"], borders: Borders) -> Singular:
    """The bordered unknown and both vectors."""
    zero = jnp.zeros((1, 1), M.dtype)
    bordered = jnp.block([[M, borders.b[:, None]], [borders.c.conj()[None], zero]])
    unit = jnp.zeros((M.shape[0] + 1,), M.dtype).at[-1].set(1)
    right, left = solve(bordered, unit), solve(bordered.conj().T, unit)
    return Singular(right[-1], right[:-1], left[:-1])


def renewed(at: Singular) -> Borders:
    """Unit vectors along the present null vectors."""
    w, v = (x / jnp.linalg.norm(x).astype(x.dtype) for x in (at.w, at.v))
    return Borders(w, v)


class Unknowns(NamedTuple):
    """`u = (x, extra, mu)` taken apart: `x (R,)`, `extra (e,)`, and `mu`, `()` for one parameter, `(p,)` for more."""

    x: Float[Array, " R"]
    extra: Float[Array, " e"]
    mu: Array


def split(u: Float[Array, " u"], num_extra: int, num_parameters: int) -> Unknowns:
    states = u.size - num_extra - num_parameters
    mu = u[states + num_extra :]
    return Unknowns(u[:states], u[states : states + num_extra], mu[0] if num_parameters == 1 else mu)


def parts(z: Shaped[Array, ""]) -> Float[Array, " parts"]:
    """Real and imaginary part of a complex number, or the real number itself."""
    return jnp.stack([z.real, z.imag]) if jnp.iscomplexobj(z) else z[None]


def equations(
    family: AbstractFamily,
    matrix: MatrixFunction,
    u: Float[Array, " u"],
    borders: Borders,
    num_extra: int,
    num_parameters: int,
) -> Float[Array, " m"]:
    """`(F, sigma)` with the gate-free residual F; sigma counts twice if it is complex."""
    x, extra, mu = split(u, num_extra, num_parameters)
    system = family(mu)
    return jnp.concatenate([system.residual(x), parts(singular(matrix(system, x, extra), borders).sigma)])


def linearised_equations(
    family: AbstractFamily,
    matrix: MatrixFunction,
    u: Float[Array, " u"],
    borders: Borders,
    num_extra: int,
    num_parameters: int,
) -> tuple[Float[Array, " m"], Float[Array, "m u"], Borders]:
    """The same with its Jacobian, at the cost of one reverse sweep for sigma, and renewed borders."""
    x, extra, mu = split(u, num_extra, num_parameters)
    system = family(mu)
    at = singular(matrix(system, x, extra), borders)

    def form(u: Array) -> Array:
        x, extra, mu = split(u, num_extra, num_parameters)
        return -parts(jnp.vdot(at.w, matrix(family(mu), x, extra) @ at.v))

    F, F_mu = family_derivative(family, x, mu)
    zeros = jnp.zeros((x.size, num_extra), u.dtype)
    A = jnp.concatenate([system.residual_jacobian(x), zeros, F_mu], axis=1)
    return jnp.concatenate([F, parts(at.sigma)]), jnp.concatenate([A, jax.jacrev(form)(u)]), renewed(at)


def family_derivative(
    family: AbstractFamily, x: Float[Array, " R"], mu: Array
) -> tuple[Float[Array, " R"], Float[Array, "R p"]]:
    """Residual and its derivative in the parameters."""
    F = family(mu).residual(x)
    slope = jax.jacfwd(lambda p: family(p).residual(x))(mu)
    return F, slope.reshape(x.size, -1)
