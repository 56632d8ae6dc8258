"""The first point of a curve and the direction in which it leaves."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._types import Array, Bool, Float, Scalar
from ._arc import rounding
from ._curve import AbstractCurve
from ._method import AbstractMethod, metric
from ._step import Range

_NEWTON_STEPS = 20


class Start(NamedTuple):
    """A point `u (u,)` of a curve, its unit `tangent (u,)`, the `orientation ()` there, and the length of the last
    Newton step, `last ()`, relative to `1 + max |u|`."""

    u: Float[Array, " u"]
    tangent: Float[Array, " u"]
    orientation: Scalar
    last: Scalar


def find_start(
    curve: AbstractCurve,
    method: AbstractMethod,
    allowed: Range,
    guess: Float[Array, " u"],
    tangent: Float[Array, " u"] | None = None,
) -> Start:
    """Newton's method with the last parameter held, then the tangent there, towards larger last parameters unless one
    is given."""
    weights = metric(method.theta, guess.size, allowed.width)
    zero, number = jnp.zeros((), guess.dtype), jnp.zeros((), jnp.int32)
    hold = jnp.zeros_like(guess).at[-1].set(1)
    # A row that is orthogonal to no tangent in particular, so that the curve may start at a fold.
    anyhow = jnp.asarray(np.random.default_rng(0).normal(size=guess.size), guess.dtype) * jnp.sqrt(weights)
    first = anyhow if tangent is None else weights * tangent / jnp.sqrt(jnp.sum(weights * tangent**2))

    def body(carry: tuple) -> tuple:
        u, row, length, _, number, turns = carry
        step = method.solver.correct(curve, u, curve.start(u), row, zero)
        searching = turns == 0
        size = jnp.max(jnp.abs(step.delta)) / (1 + jnp.max(jnp.abs(u)))
        exact = jnp.max(jnp.abs(curve.value(u, curve.start(u)))) <= 50 * float(jnp.finfo(u.dtype).eps)
        # At a fold or branch point that is given to the last digit, a step would be rounding noise.
        size = jnp.where(exact, 0, size)
        done = ~(size > rounding(u.dtype)) | (number >= _NEWTON_STEPS)
        along = step.tangent / jnp.sqrt(jnp.sum(weights * step.tangent**2))
        # Where branches cross, [A; row] is singular: the direction that was given is kept.
        keep = ~jnp.all(jnp.isfinite(along)) | _is_tangent(curve, u, row / weights, anyhow / weights)
        row = jnp.where(searching, jnp.where(done, first, row), jnp.where(keep, row, weights * along))
        u = jnp.where(searching & ~exact, u + step.delta, u)
        return (
            u,
            row,
            jnp.where(searching, size, length),
            step.sign,
            number + 1,
            turns + (done | ~searching).astype(jnp.int32),
        )

    def unfinished(carry: tuple) -> Array:
        return carry[-1] < 3

    start = guess, hold, zero + jnp.inf, zero, number, number
    u, row, last, sign, _, _ = jax.lax.while_loop(unfinished, body, start)
    along = row / weights
    flip = along[-1] < 0 if tangent is None else jnp.sum(row * tangent) < 0
    return Start(u, jnp.where(flip, -along, along), jnp.where(flip, -sign, sign), last)


def _is_tangent(
    curve: AbstractCurve, u: Float[Array, " u"], along: Float[Array, " u"], other: Float[Array, " u"]
) -> Bool[Array, ""]:
    """Whether `A along` vanishes next to `A other`."""
    aux = curve.start(u)
    slopes = [jnp.max(jnp.abs(jax.jvp(lambda v: curve.value(v, aux), (u,), (d,))[1])) for d in (along, other)]
    return slopes[0] <= 1e-7 * slopes[1]
