"""Slow points: where the state lingers although nothing is fixed there."""

import enum
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayLike, Bool, Bounds, Float, Int, PRNGKey, Scalar
from ..linalg import solve_spd
from ..linalg._implicit import freeze
from ..systems import AbstractFlow, AbstractMap, AbstractSystem
from ._guesses import AbstractGuesses, as_guesses, float_dtype
from ._levenberg_marquardt import clip, largest
from ._merge import merge
from ._precision import highest_precision
from ._queue import run_queue
from ._tolerances import is_double, residual_tolerance


class SlowKind(enum.IntEnum):
    """What makes a local minimum of speed slow, an integer code in arrays of any shape.

    `FIXED`: a fixed point, the speed is zero. `GHOST`: the candidate nearly equals the state, as where two fixed points
    have just annihilated. `PLATEAU`: the gates are nearly closed, the candidate is elsewhere. `NONE`: padding.

    **Source:** Sussillo & Barak (2013), section 2.2, for slow points; the split by the gate-free residual is ours.
    """

    NONE = 0
    FIXED = 1
    GHOST = 2
    PLATEAU = 3


class SlowPoints(eqx.Module):
    """Local minima of speed, padded to K rows, slowest first.

    **Fields:** `state (K, S)`; `mask (K,)`; `kind (K,)`, a `SlowKind`; `speed (K,)`, 2-norm of the velocity per step
    (map) or per unit of time (flow); `residual (K,)`, 2-norm of the gate-free residual; `hits (K,)`, guesses that ended
    there; `num_converged ()`; `result`, a `RESULTS` item.

    **Source:** Sussillo & Barak (2013), section 2.2.
    """

    state: Float[Array, "*batch K S"]
    mask: Bool[Array, "*batch K"]
    kind: Int[Array, "*batch K"]
    speed: Float[Array, "*batch K"]
    residual: Float[Array, "*batch K"]
    hits: Int[Array, "*batch K"]
    num_converged: Int[Array, "*batch"]
    result: RESULTS


class _SpeedProblem(eqx.Module):
    """`q(s) = |velocity(s)|^2 / 2` inside the box, for systems whose state is their resting state."""

    system: AbstractSystem

    @property
    def bounds(self) -> Bounds | None:
        bounds = self.system.bounds
        if bounds is None or jax.eval_shape(self.system.lift, bounds[0]).shape != bounds[0].shape:
            return None
        return bounds

    def value(self, state: Float[Array, " S"]) -> Scalar:
        velocity = self.system.velocity(state)
        return velocity @ velocity / 2

    def gradient(self, state: Float[Array, " S"]) -> Float[Array, " S"]:
        """`J^T v`, without the components that push against a wall of the box."""
        gradient = jax.grad(self.value)(state)
        if self.bounds is None:
            return gradient
        lower, upper = self.bounds
        against = ((state <= lower) & (gradient > 0)) | ((state >= upper) & (gradient < 0))
        return jnp.where(against, 0, gradient)

    def is_minimum(self, state: Float[Array, " S"]) -> Bool[Array, ""]:
        """Whether the Hessian is positive semidefinite up to rounding, along the walls where a wall holds the state."""
        H = jax.hessian(self.value)(state)
        if self.bounds is not None:
            free = (state > self.bounds[0]) & (state < self.bounds[1])
            H = jnp.where(free[:, None] & free[None], H, 0)
        return jnp.min(jnp.linalg.eigvalsh(H)) >= -1e-6 * jnp.max(jnp.abs(H))


class _SpeedLane(NamedTuple):
    point: Array
    damping: Array
    promise: Array
    """Fraction of q that the undamped Newton step promises to remove, zero at a stationary point; 1 while damped."""


class _DampedNewton(eqx.Module):
    """Newton's method on `grad q = 0` with the exact Hessian, damped until it descends.

    Gauss-Newton converges poorly here: at a ghost the Jacobian is nearly singular and what it leaves out dominates.
    """

    max_steps: int = eqx.field(static=True, default=100)
    lanes: int | None = eqx.field(static=True, default=None)

    def init(self, problem: _SpeedProblem, point: Float[Array, " S"]) -> _SpeedLane:
        one = jnp.ones((), point.dtype)
        return _SpeedLane(point, one, one)

    def step(self, problem: _SpeedProblem, lane: _SpeedLane) -> _SpeedLane:
        point = lane.point
        H, g, q = jax.hessian(problem.value)(point), problem.gradient(point), problem.value(point)
        free = g != 0
        # Components held by a wall leave the linear system.
        H = jnp.where(free[:, None] & free[None], H, 0) + jnp.diag(jnp.where(free, 0, 1).astype(H.dtype))
        scale = jnp.max(jnp.abs(H))
        step = solve_spd(H + lane.damping * scale * jnp.eye(g.size, dtype=g.dtype), g)
        trial = clip(point - step, problem.bounds)
        better = problem.value(trial) < q
        promise = jnp.where(q > 0, jnp.abs(g @ step) / jnp.where(q > 0, q, 1), 0)
        low = 1e-12 if is_double(point.dtype) else 1e-6
        return _SpeedLane(
            jnp.where(better, trial, point),
            jnp.clip(jnp.where(better, lane.damping / 8, lane.damping * 8), low, 1e12),
            jnp.where((lane.damping <= 1e-3) | ~jnp.any(free), promise, 1),
        )


def find_slow_points(
    system: AbstractMap | AbstractFlow,
    guesses: AbstractGuesses | ArrayLike,
    *,
    key: PRNGKey,
    max_speed: float = jnp.inf,
    max_steps: int = 100,
    max_points: int | None = None,
    merge_distance: float | None = None,
    throw: bool = True,
) -> SlowPoints:
    """Local minima of the speed `|F(s) - s|` (map) or `|f(s)|` (flow), told apart by what makes them slow.

    A minimum is a `FIXED` point when the gate-free residual vanishes there. Otherwise the speed is the product of the
    residual and of how open the gates are, `|velocity| / |residual|`. It is a `PLATEAU` when the gates are the smaller
    factor and less than a tenth open: nothing is nearly fixed there, the state only moves slowly, and methods that look
    at the speed alone report a fixed point. Everything else is a `GHOST`.

    **Arguments:** `system`; `guesses`, `UniformGuesses`, `TrajectoryGuesses` or an array `(num, R)`; `key`;
    `max_speed`, faster minima are left out; `max_steps` of damped Newton per guess; `max_points`, K, by default
    `min(num, 256)`; `merge_distance`, by default 1e-4 (float32: 1e-2); `throw`, raise when nothing converged.

    **Returns:** `SlowPoints` with K rows.

    **Raises:** `RuntimeError` when no guess converged (not inside `jax.jit` or `jax.vmap`).

    **Source:** Sussillo & Barak (2013), section 2.2.
    """
    guesses = as_guesses(guesses)
    points = _find(system, guesses, key, max_speed, max_steps, max_points, merge_distance)
    if throw:
        raise_failure("find_slow_points", points.result)
    return points


@eqx.filter_jit
@highest_precision
def _find(
    system: AbstractSystem,
    guesses: AbstractGuesses,
    key: PRNGKey,
    max_speed: float,
    max_steps: int,
    max_points: int | None,
    distance: float | None,
) -> SlowPoints:
    system = freeze(system)
    start = jax.vmap(system.lift)(guesses(system, key))
    num = start.shape[0]
    double = is_double(float_dtype(system))
    capacity = min(num, 256) if max_points is None else max_points
    distance = (1e-4 if double else 1e-2) if distance is None else distance
    enough = 1e-12 if double else 1e-5
    limit = residual_tolerance(start.dtype)

    def settled(problem: _SpeedProblem, lane: _SpeedLane) -> Array:
        return (lane.promise <= enough) | (largest(problem.system.velocity(lane.point)) <= limit)

    problem = _SpeedProblem(system)
    ends, success = run_queue(_DampedNewton(max_steps), problem, start, jnp.asarray(num, jnp.int32), settled)
    speed = jnp.linalg.norm(jax.vmap(system.velocity)(ends), axis=1)
    label = merge(ends, success & (speed <= max_speed), distance)
    leader = label == jnp.arange(num, dtype=label.dtype)
    hits = jax.ops.segment_sum(success.astype(jnp.int32), label, num + 1)[:-1]
    rows = jnp.lexsort((speed, ~leader))[:capacity]
    state, speed = ends[rows], speed[rows]
    mask = leader[rows] & jax.vmap(problem.is_minimum)(state)
    gap = jax.vmap(lambda s: jnp.linalg.norm(system.residual(system.rest(s))))(state)
    openness = jnp.where(gap > 0, speed / jnp.where(gap > 0, gap, 1), 1)
    closed = (openness < gap / state.shape[1] ** 0.5) & (openness < 0.1)
    kind = jnp.where(closed, SlowKind.PLATEAU, SlowKind.GHOST)
    kind = jnp.where(gap <= 1e4 * limit, SlowKind.FIXED, kind)
    return SlowPoints(
        state,
        mask,
        jnp.where(mask, kind, SlowKind.NONE).astype(jnp.int32),
        jnp.where(mask, speed, jnp.inf),
        jnp.where(mask, gap, jnp.inf),
        jnp.where(mask, hits[rows], 0),
        jnp.sum(success, dtype=jnp.int32),
        RESULTS.where(jnp.any(success), RESULTS.successful, RESULTS.not_converged),
    )
