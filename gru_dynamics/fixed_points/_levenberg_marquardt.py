"""One step of Levenberg-Marquardt on one lane."""

from typing import NamedTuple, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bounds, Float, Scalar
from ..linalg import solve_spd


@runtime_checkable
class Problem(Protocol):
    """What a method needs: a residual, its Jacobian, and perhaps a box to stay in. Every system is one."""

    @property
    def bounds(self) -> Bounds | None: ...

    def residual(self, resting: Float[Array, " R"]) -> Float[Array, " R"]: ...

    def residual_jacobian(self, resting: Float[Array, " R"]) -> Float[Array, "R R"]: ...


class Lane(NamedTuple):
    """Progress of one guess: where it is, its damping, its largest residual."""

    point: Array
    damping: Array
    residual: Array


class LevenbergMarquardt(eqx.Module):
    """Levenberg-Marquardt for square systems, kept inside the trapping box by clipping.

        (J^T J + mu min(|r|^2, 1) max diag(J^T J) I) d = -J^T r,      x <- clip(x + d) if |r| falls

    The damping vanishes with `|r|^2`, so convergence is quadratic at simple roots and survives at singular ones, where
    Newton's method fails. `mu` falls fivefold after a good step and rises fivefold after a bad one.

    **Fields:** `max_steps` per guess: few, since reseeding beats patience; `tolerance`, largest residual component of a
    converged point, by default 1e-12 in float64 and 2e-5 in float32; `lanes`, how many guesses are iterated side by
    side (shape `(lanes, R)` at a time), by default what fits the cache.

    **Source:** Yamashita & Fukushima (2001) for the damping; Nocedal & Wright (2006), section 10.3.
    """

    max_steps: int = eqx.field(static=True, default=50)
    tolerance: float | None = eqx.field(static=True, default=None)
    lanes: int | None = eqx.field(static=True, default=None)

    def init(self, problem: Problem, point: Float[Array, " R"]) -> Lane:
        """A fresh lane at `point`."""
        one = jnp.ones((), point.dtype)
        return Lane(point, one, one * jnp.inf)

    def step(self, problem: Problem, lane: Lane) -> Lane:
        """One damped step; the point stays when the residual would not fall."""
        r, J = problem.residual(lane.point), problem.residual_jacobian(lane.point)
        size = r @ r
        A = jnp.matmul(J.T, J, precision=jax.lax.Precision.HIGHEST)
        scale = jnp.max(jnp.diag(A)) * jnp.minimum(size, 1)
        damped = A + (lane.damping * scale) * jnp.eye(r.size, dtype=r.dtype)
        trial = clip(lane.point - solve_spd(damped, J.T @ r), problem.bounds)
        new = problem.residual(trial)
        better = new @ new < size
        tiny, huge = jnp.finfo(r.dtype).eps ** 0.75, 1 / jnp.finfo(r.dtype).eps
        return Lane(
            jnp.where(better, trial, lane.point),
            jnp.clip(jnp.where(better, lane.damping / 5, lane.damping * 5), tiny, huge),
            largest(jnp.where(better, new, r)),
        )


def clip(point: Float[Array, " R"], bounds: Bounds | None) -> Float[Array, " R"]:
    return point if bounds is None else jnp.clip(point, *bounds)


def largest(residual: Float[Array, " R"]) -> Scalar:
    """Largest component in absolute value; inf where it is not finite, so that it can be compared."""
    size = jnp.max(jnp.abs(residual))
    return jnp.where(jnp.isfinite(size), size, jnp.inf)
