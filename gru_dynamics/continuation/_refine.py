"""From the interval in which something happens to the point where it happens."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bool, Complex, Float, Int, Scalar
from ._arc import Arc, on_curve, relative
from ._crossings import critical, crossing, growth, nearest_to_boundary
from ._curve import FixedPointCurve
from ._event import AbstractEvent
from ._method import AbstractMethod, metric
from ._solver import Correction
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
        return (carry[2] > 1e-13) & (carry[2] < 1e3) & (carry[4] < _NEWTON_STEPS)

    one = jnp.ones((), u.dtype)
    start = u, event.any_borders(family, u, 1), one, one, jnp.zeros((), jnp.int32)
    u, _, length, residual, _ = jax.lax.while_loop(unfinished, body, start)
    plain = jnp.concatenate([u[:states], u[-1:]])
    chord = arc.chord
    place = jnp.sum(weights * chord * (plain - arc.a)) / jnp.sum(weights * chord**2)
    aside = plain - arc.at(jnp.clip(place, 0, 1), weights)
    near = jnp.sum(weights * aside**2) <= 0.25 * jnp.sum(weights * chord**2)
    # The branch point's equations hold for a perturbed branch too; here the residual must vanish by itself.
    on_branch = jnp.max(jnp.abs(problem.curve.value(plain, ()))) <= 1e-9 * (1 + jnp.max(jnp.abs(plain)))
    located = (length <= 1e-9) & (place >= -1e-6) & (place <= 1 + 1e-6) & near & on_branch
    return Found(plain, u[states:-1], residual, located, place)


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


@eqx.filter_jit
def bisect(problem: Problem, events: tuple[AbstractEvent, ...], which: Int[Array, ""], segment: Segment) -> Found:
    """Bisection along the branch for the event number `which`, with nothing but its own test. It needs no regular
    equations, so it finds points of any multiplicity. `extra` has one entry whatever the event."""
    arc = segment.arc
    weights = problem.weights(arc.a)

    def happened(u: Array, step: Correction, values: Array) -> Bool[Array, ""]:
        """Whether the event lies between the segment's first row and this point."""
        system = problem.curve.family(u[-1])
        slopes, signs = (arc.ta[-1], step.tangent[-1]), (segment.orientation[0], step.sign)
        change = crossing(system, (segment.first, values), slopes, signs)
        return jnp.stack([event.multiplicity(change) > 0 for event in events])[which]

    def body(carry: tuple) -> tuple:
        low, high, best, number = carry
        middle = (low + high) / 2
        u, step, length = on_curve(problem.curve, problem.method.solver, (), arc, weights, middle)
        system = problem.curve.family(u[-1])
        values = problem.method.solver.spectrum(system, system.lift(u[:-1]))
        before = happened(u, step, values)
        # How far the nearest eigenvalue still is from the boundary.
        test = jnp.maximum(jnp.min(jnp.abs(growth(system, values))), length)
        critical_value = nearest_to_boundary(system, values, values.imag != 0)
        extra = jnp.stack([_padded(event.guess(critical_value)) for event in events])[which]
        found = Found(u, extra, test, length <= 1e-9, middle)
        best = jax.tree.map(lambda new, old: jnp.where(before, new, old), found, best)
        return jnp.where(before, low, middle), jnp.where(before, middle, high), best, number + 1

    def unfinished(carry: tuple) -> Array:
        return (carry[1] - carry[0] > 1e-14) & (carry[3] < _BISECTIONS)

    zero = jnp.zeros((), arc.a.dtype)
    end = Found(arc.b, zero[None], zero + jnp.inf, jnp.zeros((), bool), zero + 1)
    low, high, best, _ = jax.lax.while_loop(unfinished, body, (zero, zero + 1, end, jnp.zeros((), jnp.int32)))
    return best._replace(located=best.located & (high - low < 1e-10) & (best.residual <= 1e-5))


def _padded(extra: Float[Array, " e"]) -> Float[Array, " 1"]:
    return extra if extra.size else jnp.zeros((1,), extra.dtype)
