"""The nearest solution of a system of equations: feasible first, then along the solutions toward the target."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .._types import Array, Float, Int, Scalar

Equations = Callable[[Array], Array]

# Singular values below this share of the largest are taken for zero: symmetric families have dependent equations.
_RANK = 1e-9


class Nearest(NamedTuple):
    """Outcome: the unknowns `(N,)`, the largest equation residual, the length of the last tangential Newton step (0 at
    a local minimum of the distance), and the number of steps."""

    unknowns: Float[Array, " N"]
    residual: Scalar
    slope: Scalar
    steps: Int[Array, ""]


class _Split(NamedTuple):
    inverse: Float[Array, "N m"]
    tangent: Float[Array, "N N"]


def _split(A: Float[Array, "m N"]) -> _Split:
    """Pseudo-inverse and the projector on the null space."""
    left, values, right = jnp.linalg.svd(A, full_matrices=False)
    used = values > _RANK * values[0]
    inverse = (right.T * jnp.where(used, 1 / jnp.where(used, values, 1.0), 0.0)[None]) @ left.T
    rows = jnp.where(used[:, None], right, 0.0)
    return _Split(inverse, jnp.eye(A.shape[1], dtype=A.dtype) - rows.T @ rows)


def _size(residual: Array) -> Scalar:
    return jnp.max(jnp.abs(residual))


def _limit(step: Array, reach: Array) -> Array:
    length = jnp.linalg.norm(step)
    return step * jnp.minimum(1.0, reach / jnp.where(length > 0, length, 1.0))


def restore(
    equations: Equations, start: Float[Array, " N"], max_steps: int | Array, reach: float = 0.5
) -> tuple[Float[Array, " N"], Scalar]:
    """Gauss-Newton steps of minimum norm, none longer than `reach`, each cut until it descends, down to rounding; and
    the largest residual.

    **Source:** Deuflhard (2011), section 4.4, Gauss-Newton for underdetermined systems.
    """
    derivative = jax.jacfwd(equations)

    def body(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        number, z, value, _ = carry
        step = _limit(-_split(derivative(z)).inverse @ value, jnp.asarray(reach, z.dtype))
        trials = z[None] + step[None] * jnp.asarray([1.0, 0.5, 0.1, 0.01], z.dtype)[:, None]
        values = jax.vmap(equations)(trials)
        sizes = jnp.sum(values * values, axis=1)
        best = jnp.argmin(jnp.where(jnp.isfinite(sizes), sizes, jnp.inf))
        better = sizes[best] < jnp.sum(value * value)
        return number + 1, jnp.where(better, trials[best], z), jnp.where(better, values[best], value), better

    def going(carry: tuple[Array, Array, Array, Array]) -> Array:
        return (carry[0] < max_steps) & carry[3] & (_size(carry[2]) > 0)

    first = equations(start)
    zero = jnp.zeros((), jnp.int32)
    _, z, value, _ = jax.lax.while_loop(going, body, (zero, start, first, zero == 0))
    return z, _size(value)


class Goal(NamedTuple):
    """What is minimised, `|weight (z - target)|^2 / 2`, both `(N,)`; unknowns of weight 0 are free."""

    target: Float[Array, " N"]
    weight: Float[Array, " N"]

    def distance(self, z: Float[Array, " N"]) -> Scalar:
        return jnp.linalg.norm(self.weight * (z - self.target))


def tangent_step(equations: Equations, goal: Goal, z: Float[Array, " N"]) -> Float[Array, " N"]:
    """From one solution toward the goal: Newton's step for the Lagrangian in the tangent space, with the absolute
    values of the curvatures.

    **Source:** Absil, Mahony, Sepulchre (2008), chapter 6, Newton's method on a manifold.
    """
    squared = goal.weight * goal.weight
    parts = _split(jax.jacfwd(equations)(z))
    gradient = squared * (z - goal.target)
    multipliers = parts.inverse.T @ gradient
    curved = jax.jacfwd(jax.jacfwd(lambda y: jnp.dot(multipliers, equations(y))))(z)
    H = jnp.diag(squared) - curved
    H = parts.tangent @ H @ parts.tangent
    curvature, axes = jnp.linalg.eigh((H + H.T) / 2)
    slope = axes.T @ (parts.tangent @ gradient)
    return -parts.tangent @ (axes @ (slope / jnp.maximum(jnp.abs(curvature), 1e-3)))


def advance(equations: Equations, goal: Goal, z: Float[Array, " N"], reach: Array) -> tuple[Array, Scalar, Scalar]:
    """By at most `reach` along the tangent step and back to the solutions; the residual there, and the length of the
    full step."""
    step = tangent_step(equations, goal, z)
    return *restore(equations, z + _limit(step, reach), 12), jnp.linalg.norm(step)


def nearest(
    equations: Equations, goal: Goal, start: Float[Array, " N"], *, max_steps: Int[Array, ""], tolerance: float
) -> Nearest:
    """A local minimum of the distance on the solutions, reached along the solutions from the first one that
    Gauss-Newton finds; that first one for `max_steps` 0."""

    def body(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        number, z, error, reach, _ = carry
        first = number == 0
        # The first round only finds a solution: one call of `restore` in the loop is half the compilation of two.
        step = jnp.where(first, 0.0, tangent_step(equations, goal, z))
        length = jnp.linalg.norm(step)
        trial, trial_error = restore(equations, z + _limit(step, reach), jnp.where(first, 80, 12))
        solved = trial_error < tolerance
        good = solved & (first | (goal.distance(trial) < goal.distance(z)))
        wider = jnp.where(length > reach, 2 * reach, reach)
        reach = jnp.where(good, wider, jnp.minimum(reach, length) / 4)
        reach = jnp.where(first, jnp.where(solved, 0.3, 0.0), reach)
        z, error = jnp.where(good, trial, z), jnp.where(good, trial_error, error)
        return number + 1, z, error, reach, jnp.where(first, jnp.inf, length)

    def going(carry: tuple[Array, ...]) -> Array:
        number, _, _, reach, length = carry
        return (number <= max_steps) & (reach > 1e-9) & (length > 1e-9)

    reach, far = jnp.asarray(0.3, start.dtype), jnp.asarray(jnp.inf, start.dtype)
    zero = jnp.zeros((), jnp.int32)
    number, z, error, _, slope = jax.lax.while_loop(going, body, (zero, start, far, reach, far))
    return Nearest(z, error, slope, number)
