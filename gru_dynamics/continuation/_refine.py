"""From the interval in which something happens to the point where it happens."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bool, Complex, Float, Int, Scalar
from ._arc import Arc, near_zero, on_curve, relative, rounding
from ._crossings import critical, crossing, growth, nearest_to_boundary
from ._curve import FixedPointCurve
from ._event import AbstractEvent, Crossing
from ._method import AbstractMethod, metric
from ._step import Range

_NEWTON_STEPS = 14
_BISECTIONS = 50


class Segment(NamedTuple):
    """Two neighbouring rows: the `arc` between them, `orientation (2,)`, and their eigenvalues `first`,
    `second` `(S,)`."""

    arc: Arc
    orientation: Float[Array, " 2"]
    first: Complex[Array, " S"]
    second: Complex[Array, " S"]


class Found(NamedTuple):
    """A point `u (u,)` with its extra unknowns `extra (e,)`, the residual of its equations, whether it was located, and
    where on the segment it lies, `place ()` in [0, 1]."""

    u: Float[Array, " u"]
    extra: Float[Array, " e"]
    residual: Scalar
    located: Bool[Array, ""]
    place: Scalar


class Problem(eqx.Module):
    """What a refinement needs to know."""

    curve: FixedPointCurve
    method: AbstractMethod
    allowed: Range

    def weights(self, u: Float[Array, " u"]) -> Float[Array, " u"]:
        return metric(self.method.theta, u.size, self.allowed.width)


def newton(problem: Problem, event: AbstractEvent, segment: Segment) -> Found:
    """Newton's method on the defining equations, from the segment's interpolation; located only if it ends there."""
    arc = segment.arc
    family, weights = problem.curve.family, problem.weights(arc.a)
    share, value = _interpolate(problem, segment)
    point = arc.at(share, weights)
    extra = event.guess(value)
    states = point.size - 1
    u = jnp.concatenate([point[:-1], extra, point[-1:]])

    def body(carry: tuple) -> tuple:
        u, borders, _, _, number = carry
        G, DG, borders = event.linearise(family, u, borders, 1)
        delta = jnp.linalg.solve(DG, -G)
        # The first rounds only turn the borders towards the null vectors.
        ready = number >= 2
        length = jnp.where(ready, relative(delta, u), 1)
        return jnp.where(ready, u + delta, u), borders, length, jnp.max(jnp.abs(G)), number + 1

    def unfinished(carry: tuple) -> Array:
        return (carry[2] > rounding(u.dtype)) & (carry[2] < 1e3) & (carry[4] < _NEWTON_STEPS)

    one = jnp.ones((), u.dtype)
    start = u, event.any_borders(family, u, 1), one, one, jnp.zeros((), jnp.int32)
    u, _, length, residual, _ = jax.lax.while_loop(unfinished, body, start)
    plain = jnp.concatenate([u[:states], u[-1:]])
    chord = arc.chord
    place = jnp.sum(weights * chord * (plain - arc.a)) / jnp.sum(weights * chord**2)
    aside = plain - arc.at(jnp.clip(place, 0, 1), weights)
    near = jnp.sum(weights * aside**2) <= 0.25 * jnp.sum(weights * chord**2)
    # The branch point's equations hold for a perturbed branch too; here the residual must vanish by itself.
    small = near_zero(u.dtype)
    on_branch = jnp.max(jnp.abs(problem.curve.value(plain, ()))) <= small * (1 + jnp.max(jnp.abs(plain)))
    extra, admissible = event.canonical(u[states:-1])
    located = (length <= small) & (place >= -1e-6) & (place <= 1 + 1e-6) & near & on_branch & admissible
    return Found(plain, extra, residual, located, place)


def _interpolate(problem: Problem, segment: Segment) -> tuple[Scalar, Complex[Array, ""]]:
    """Where on the segment the event is likely, and the critical eigenvalue there."""
    system = problem.curve.family(segment.arc.a[-1])
    ends = segment.first, segment.second
    which, values = critical(system, *ends)
    value = nearest_to_boundary(system, values, which)
    slopes = segment.arc.ta[-1], segment.arc.tb[-1]
    turning = (slopes[0] < 0) != (slopes[1] < 0)
    # The same eigenvalue on the other side is the one next to it.
    others = [v[jnp.argmin(jnp.abs(v - value))] for v in ends]
    tests = [jnp.where(turning, slope, growth(system, v)) for slope, v in zip(slopes, others, strict=True)]
    share = tests[0] / (tests[0] - tests[1])
    share = jnp.where(jnp.isfinite(share), jnp.clip(share, 0, 1), 0.5)
    return share, value


class Item(NamedTuple):
    """What a bisection looks for, scalars `()`: the event number `event`; or, when that is negative, the crossing
    eigenvalue number `nth`, 1 being the first; or, when that is 0 too, where the branch turns."""

    event: Int[Array, ""]
    nth: Int[Array, ""]


class Bisected(NamedTuple):
    """What a bisection found, its event number `event ()` and `multiplicity ()`, and `genuine ()`: False where there is
    nothing, or where it belongs to another item."""

    found: Found
    event: Int[Array, ""]
    multiplicity: Int[Array, ""]
    genuine: Bool[Array, ""]


class _Side(NamedTuple):
    """A point of the branch with all that crossings are read from."""

    u: Array
    values: Array
    slope: Array
    sign: Array
    place: Array
    length: Array


@eqx.filter_jit
def bisect(problem: Problem, events: tuple[AbstractEvent, ...], item: Item, segment: Segment) -> Bisected:
    """Bisection along the branch, with nothing but eigenvalues, tangents and orientations. It needs no regular
    equations, so it finds points of any multiplicity, and takes apart what happens within one step."""
    arc = segment.arc
    weights = problem.weights(arc.a)
    zero = jnp.zeros((), arc.a.dtype)

    def side(middle: Scalar) -> _Side:
        u, step, length = on_curve(problem.curve, problem.method.solver, (), arc, weights, middle)
        system = problem.curve.family(u[-1])
        values = problem.method.solver.spectrum(system, system.lift(u[:-1]))
        return _Side(u, values, step.tangent[-1], step.sign, middle, length)

    def between(first: _Side, second: _Side) -> Crossing:
        system = problem.curve.family(second.u[-1])
        values, slopes = (first.values, second.values), (first.slope, second.slope)
        return crossing(system, values, slopes, (first.sign, second.sign))

    def counts(change: Crossing) -> Int[Array, " E"]:
        return jnp.stack([event.multiplicity(change) for event in events])

    left = _Side(arc.a, segment.first, arc.ta[-1], segment.orientation[0], zero, zero)
    right = _Side(arc.b, segment.second, arc.tb[-1], segment.orientation[1], zero + 1, zero + jnp.inf)

    def body(carry: tuple) -> tuple:
        low, high, apart, number = carry
        middle = side((low.place + high.place) / 2)
        change = between(left, middle)
        passed = jnp.where(item.nth > 0, jnp.abs(change.change) >= item.nth, change.fold)
        passed = jnp.where(item.event >= 0, counts(change)[item.event] > 0, passed)
        low, high = (
            jax.tree.map(lambda new, old, c=c: jnp.where(c, new, old), middle, old)
            for c, old in ((~passed, low), (passed, high))
        )
        # Closer than this the orientation is noise if branches cross there.
        wide = high.place - low.place > 1e-6
        return low, high, jnp.where(wide, ~between(low, high).branching, apart), number + 1

    def unfinished(carry: tuple) -> Array:
        return (carry[1].place - carry[0].place > 1e-14) & (carry[3] < _BISECTIONS)

    start = left, right, jnp.zeros((), bool), jnp.zeros((), jnp.int32)
    low, high, apart, _ = jax.lax.while_loop(unfinished, body, start)
    system = problem.curve.family(high.u[-1])
    # How far the nearest eigenvalue still is from the boundary.
    test = jnp.maximum(jnp.min(jnp.abs(growth(system, high.values))), high.length)
    near = near_zero(arc.a.dtype)
    located = (high.length <= near) & (high.place - low.place < 0.1 * near) & (test <= 1e4 * near)

    last = between(low, high)
    exact = counts(last)
    coarse = counts(between(left, right))
    counted = jnp.where(jnp.any(exact > 0) & (item.event < 0), exact, coarse)
    event = jnp.where(item.event >= 0, item.event, jnp.argmax(counted > 0).astype(jnp.int32))
    # Eigenvalues that cross together are listed once, by the first of them; a turn at a branch point is no fold.
    first = jnp.abs(between(left, low).change) == item.nth - 1
    genuine = jnp.where(item.nth > 0, first, apart) & jnp.any(counted > 0) | (item.event >= 0)
    value = nearest_to_boundary(system, high.values, high.values.imag != 0)
    extra = jnp.stack([_padded(e.guess(value)) for e in events])[event]
    # What was apart in the end was not together in the beginning.
    alone = jnp.minimum(counted[event], jnp.maximum(jnp.abs(last.change), 1))
    multiplicity = jnp.where(item.event < 0, alone, counted[event])
    return Bisected(Found(high.u, extra, test, located, high.place), event, multiplicity, genuine)


def _padded(extra: Float[Array, " e"]) -> Float[Array, " 1"]:
    return extra if extra.size else jnp.zeros((1,), extra.dtype)
