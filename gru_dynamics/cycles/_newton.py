"""Newton's method on shooting equations."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float, Int, Scalar
from ._shooting import AbstractShooting


class Root(NamedTuple):
    """`u (n,)` and the 2-norm of `F` there, `residual ()`."""

    u: Float[Array, " n"]
    residual: Scalar


class _Iterate(NamedTuple):
    u: Array
    step: Array
    residual: Array
    damping: Array
    better: Bool[Array, ""]
    rounds: Int[Array, ""]


def newton(equations: AbstractShooting, u: Float[Array, " n"], max_iterations: int) -> Root:
    """A root near `u`, by Newton's method with steps halved until the residual falls; down to rounding."""

    def body(now: _Iterate) -> _Iterate:
        trial = now.u + jnp.minimum(now.damping, equations.furthest(now.u, now.step)) * now.step
        F, A, _ = equations.linearise(trial)
        residual = jnp.linalg.norm(F)
        better = residual < now.residual
        step = jnp.where(better, -jnp.linalg.solve(A, F), now.step)
        return _Iterate(
            jnp.where(better, trial, now.u),
            step,
            jnp.where(better, residual, now.residual),
            jnp.where(better, jnp.minimum(1, 4 * now.damping), now.damping / 4),
            better,
            now.rounds + 1,
        )

    def running(now: _Iterate) -> Array:
        small = jnp.max(jnp.abs(now.step)) <= 4 * jnp.finfo(u.dtype).eps * (1 + jnp.max(jnp.abs(now.u)))
        done = (now.rounds > 1) & small
        stuck = (now.damping < 1e-4) | (~now.better & (now.residual < 1e-6)) | ~jnp.all(jnp.isfinite(now.step))
        return ~done & ~stuck & (now.rounds < max_iterations)

    far = jnp.asarray(jnp.inf, u.dtype)
    one = jnp.ones((), u.dtype)
    start = _Iterate(u, jnp.zeros_like(u), far, one, jnp.ones((), bool), jnp.zeros((), jnp.int32))
    end = jax.lax.while_loop(running, body, start)
    return Root(end.u, end.residual)
