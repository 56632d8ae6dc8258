"""One lane of a continuation: a machine that does one Newton step, or accepts a point, each time it is advanced.

Under `vmap` lanes are at different places: one accepts a point while another corrects its third time. With one Newton
step per call no lane waits for the slowest corrector of the batch.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float, Int, Scalar
from ._curve import AbstractCurve
from ._kinds import End
from ._method import AbstractMethod, metric


class Lane(eqx.Module):
    """Where one end of a branch is.

    **Fields:** the last accepted `point (u,)`, its unit `tangent (u,)` and `orientation ()` (sign of `det [A;
    tangent]`); the next `step ()`; `aux` of the curve; the point under correction `trial (u,)` with its closing `row
    (u,)`, `gap ()` and whether the row holds a parameter at the end of its range, `clamped ()`; `iteration ()` and
    `last ()`, the number of Newton steps and the length of the last; `count ()` of accepted points; `end ()`, an `End`;
    `start (u,)` and `start_tangent (u,)`.

    **Source:** the split into `init` and `step` is that of optimistix.
    """

    point: Float[Array, " u"]
    tangent: Float[Array, " u"]
    orientation: Scalar
    step: Scalar
    aux: Any
    trial: Float[Array, " u"]
    row: Float[Array, " u"]
    gap: Scalar
    clamped: Bool[Array, ""]
    iteration: Int[Array, ""]
    last: Scalar
    count: Int[Array, ""]
    end: Int[Array, ""]
    start: Float[Array, " u"]
    start_tangent: Float[Array, " u"]


class Range(eqx.Module):
    """Allowed parameters, `lower (p,)` and `upper (p,)`, and `width (p,)`, the unit in which they are measured.

    **Source:** none; a record.
    """

    lower: Float[Array, " p"]
    upper: Float[Array, " p"]

    @property
    def width(self) -> Float[Array, " p"]:
        width = self.upper - self.lower
        return jnp.where(jnp.isfinite(width), width, 1)


def start_lane(
    method: AbstractMethod,
    curve: AbstractCurve,
    allowed: Range,
    point: Float[Array, " u"],
    tangent: Float[Array, " u"],
    orientation: Scalar,
) -> Lane:
    """A lane at a point of the curve, about to leave in the direction of `tangent`.

    **Arguments:** `method`; `curve`; `allowed` parameters; `point (u,)` on the curve; `tangent (u,)`, any length;
    `orientation ()`, sign of `det [A; tangent]`.

    **Returns:** a `Lane`.

    **Source:** Allgower & Georg (2003), chapter 6.
    """
    weights = metric(method.theta, point.size, allowed.width)
    tangent = tangent / jnp.sqrt(jnp.sum(weights * tangent**2))
    aux = curve.start(point)
    zero = jnp.zeros((), point.dtype)
    number = jnp.zeros((), jnp.int32)
    step = jnp.asarray(method.initial_step, point.dtype)
    lane = Lane(
        point, tangent, orientation, step, aux, point, weights * tangent, zero, jnp.zeros((), bool),
        number, zero + jnp.inf, number, number, point, tangent,
    )  # fmt: skip
    return _predict(method, allowed, weights, lane)


def advance(
    method: AbstractMethod, curve: AbstractCurve, allowed: Range, num_steps: Int[Array, ""], lane: Lane
) -> Lane:
    """The lane after one more Newton step. A point was accepted when `count` has grown; it is then `lane.point`.

    **Arguments:** `method`; `curve`; `allowed` parameters; `num_steps ()`, after which the lane ends; `lane`.

    **Returns:** the new `Lane`; an ended one is returned as it is.

    **Source:** Allgower & Georg (2003), chapter 6.
    """
    weights = metric(method.theta, lane.point.size, allowed.width)
    left = lane.gap - jnp.dot(lane.row, lane.trial - lane.point, precision=jax.lax.Precision.HIGHEST)
    delta, tangent, sign = method.solver.correct(curve, lane.trial, lane.aux, lane.row, left)
    new = lane.trial + delta
    length = jnp.max(jnp.abs(delta)) / (1 + jnp.max(jnp.abs(lane.trial)))
    finite = jnp.isfinite(length)
    settled = length <= jnp.sqrt(jnp.asarray(method.tolerance, length.dtype))

    tangent = tangent / jnp.sqrt(jnp.sum(weights * tangent**2))
    along = jnp.sum(weights * tangent * lane.tangent)
    flip = jnp.where(along < 0, -1, 1).astype(tangent.dtype)
    tangent, sign = flip * tangent, flip * sign
    angle = jnp.arccos(jnp.clip(jnp.abs(along), 0, 1))
    travel = lane.gap / jnp.maximum(jnp.dot(lane.row, lane.tangent), jnp.finfo(lane.gap.dtype).tiny)
    correction = new - lane.point - travel * lane.tangent
    # A corrector that goes as far as half the step may have landed on another branch.
    near = jnp.sqrt(jnp.sum(weights * correction**2)) <= 0.5 * travel
    smallest = lane.step <= method.min_step
    acceptable = settled & near & (angle <= method.max_angle)

    parameters = new[new.size - allowed.lower.size :]
    slack = 1e-12 * allowed.width
    outside = jnp.any((parameters < allowed.lower - slack) | (parameters > allowed.upper + slack)) & ~lane.clamped
    accepted = acceptable & ~outside
    iteration = lane.iteration + 1
    failed = ~finite | (settled & ~acceptable) | (iteration >= method.max_corrections) | (length > 2 * lane.last)
    failed = failed & ~acceptable

    # Round the branch and back to the start: the last point is the start itself.
    before = jnp.sum(weights * lane.start_tangent * (lane.point - lane.start))
    after = jnp.sum(weights * lane.start_tangent * (new - lane.start))
    share = before / jnp.where(before < after, before - after, -1)
    aside = lane.point + share * (new - lane.point) - lane.start
    # Another sheet of the branch may lie within a step of the start, but not on the line between two points.
    meets = jnp.sqrt(jnp.sum(weights * aside**2)) <= 0.1 * travel
    alike = jnp.sum(weights * tangent * lane.start_tangent) >= jnp.cos(jnp.asarray(method.max_angle, travel.dtype))
    closed = accepted & (before < 0) & (after >= 0) & meets & alike
    new, tangent = jnp.where(closed, lane.start, new), jnp.where(closed, lane.start_tangent, tangent)

    count = lane.count + accepted.astype(jnp.int32)
    end = jnp.where(lane.clamped, End.RANGE, jnp.where(count >= num_steps, End.STEPS, End.RUNNING))
    end = jnp.where(closed, End.CLOSED, end)
    stuck = jnp.where(finite, End.STUCK, End.NONFINITE)
    end = jnp.where(accepted, end, jnp.where(failed & smallest, stuck, End.RUNNING)).astype(jnp.int32)

    fast = jnp.where(iteration <= 2, 1.5, jnp.where(iteration == 3, 1.2, jnp.where(iteration == 4, 1.0, 0.7)))
    turn = 0.5 * method.max_angle / jnp.maximum(angle, 1e-9)
    grown = jnp.clip(lane.step * jnp.minimum(fast.astype(angle.dtype), jnp.maximum(turn, 0.5)), None, method.max_step)
    step = jnp.where(accepted, grown, jnp.where(failed, 0.5 * jnp.fmin(lane.step, travel), lane.step))

    aux = curve.refresh(new, tangent, lane.aux)

    def pick(yes: Any, no: Any) -> Any:
        return jax.tree.map(lambda a, b: jnp.where(accepted, a, b), yes, no)

    moved = Lane(
        pick(new, lane.point), pick(tangent, lane.tangent), pick(sign, lane.orientation), step,
        pick(aux, lane.aux), new, lane.row, lane.gap, lane.clamped, iteration, length, count, end,
        lane.start, lane.start_tangent,
    )  # fmt: skip
    again = _predict(method, allowed, weights, moved)
    held = _hold(allowed, weights, moved, new)
    fresh = accepted | failed
    result = jax.tree.map(
        lambda m, p, h: jnp.where(fresh, p, jnp.where(acceptable & outside, h, m)), moved, again, held
    )
    return jax.tree.map(lambda old, n: jnp.where(lane.end == End.RUNNING, n, old), lane, result)


def _predict(method: AbstractMethod, allowed: Range, weights: Array, lane: Lane) -> Lane:
    """A new trial one step along the tangent, or at the end of the range if that is nearer."""
    trial = lane.point + lane.step * lane.tangent
    row = method.row(lane.tangent, weights)
    gap = lane.step * jnp.dot(row, lane.tangent)
    zero = jnp.zeros((), jnp.int32)
    free = eqx.tree_at(
        lambda l: (l.trial, l.row, l.gap, l.clamped, l.iteration, l.last),
        lane,
        (trial, row, gap, jnp.zeros((), bool), zero, jnp.full_like(gap, jnp.inf)),
    )
    return _hold(allowed, weights, free, trial)


def _hold(allowed: Range, weights: Array, lane: Lane, towards: Float[Array, " u"]) -> Lane:
    """The trial where the line from the last point towards another leaves the range, with the parameter that leaves
    first held there; the lane as it is if none leaves."""
    first = towards.size - allowed.lower.size
    here, there = lane.point[first:], towards[first:]
    wall = jnp.where(there > here, allowed.upper, allowed.lower)
    leaves = (there > allowed.upper) | (there < allowed.lower)
    share = jnp.where(leaves, (wall - here) / jnp.where(there == here, 1, there - here), jnp.inf)
    which = jnp.argmin(share)
    leaves, share = share[which] < jnp.inf, jnp.maximum(share[which], 0)
    sign = jnp.where(there[which] > here[which], 1, -1).astype(towards.dtype)
    scale = jnp.sqrt(weights[first + which])
    row = jnp.zeros_like(towards).at[first + which].set(sign * scale)
    gap = jnp.abs(wall[which] - here[which]) * scale
    trial = lane.point + jnp.where(leaves, share, 0) * (towards - lane.point)
    at_wall = leaves & (gap <= 1e-12)
    held = eqx.tree_at(
        lambda l: (l.trial, l.row, l.gap, l.clamped, l.iteration, l.last, l.end),
        lane,
        (
            trial, row, gap, jnp.ones((), bool), jnp.zeros((), jnp.int32), jnp.full_like(gap, jnp.inf),
            jnp.where(at_wall, End.RANGE, lane.end).astype(jnp.int32),
        ),
    )  # fmt: skip
    return jax.tree.map(lambda h, f: jnp.where(leaves, h, f), held, lane)
