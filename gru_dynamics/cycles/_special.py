"""Bifurcations of cycles on a branch: noticed between rows, located by a safeguarded secant method."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bool, Complex, Float, Int, Scalar
from ..continuation import AbstractMethod, Location, Range, SpecialKind, SpecialPoints, Trace
from ..continuation._method import metric
from ..fixed_points._members import pack
from ..fixed_points._rows import map_rows
from ._curve import CycleCurve
from ._rows import spectrum

KINDS = (
    SpecialKind.CYCLE_FOLD,
    SpecialKind.CYCLE_PERIOD_DOUBLING,
    SpecialKind.CYCLE_TORUS,
    SpecialKind.CYCLE_BRANCH_POINT,
)
_CORRECTIONS = 6
_ITERATIONS = 40


class Problem(eqx.Module):
    """The curve and how it was followed."""

    curve: CycleCurve
    method: AbstractMethod
    allowed: Range

    def weights(self, u: Float[Array, " u"]) -> Float[Array, " u"]:
        return metric(self.method.theta, u.size, self.allowed.width)


def tests(values: Complex[Array, " F"], slope: Scalar) -> Float[Array, " 4"]:
    """Test functions, in the order of `KINDS`, each zero at its bifurcation:

        dmu/ds,    prod (m_i + 1),    prod_{i<j} (m_i m_j - 1),    prod (m_i - 1)

    All are real, since multipliers come in conjugate pairs, and smooth where multipliers meet.
    """
    i, j = jnp.triu_indices(values.size, 1)
    return jnp.stack(
        [slope, jnp.prod(values + 1).real, jnp.prod(values[i] * values[j] - 1).real, jnp.prod(values - 1).real]
    )


def changes(
    values: Complex[Array, "N F"], each: Float[Array, "N 4"], known: Bool[Array, " N"], mask: Bool[Array, " N"]
) -> Bool[Array, "I 4"]:
    """What happens between neighbouring rows, from their multipliers and test values; nothing where these are not
    known."""
    flip = (each[:-1] < 0) != (each[1:] < 0)
    fold, doubling, torus, branching = flip.T
    # Towards a homoclinic orbit the parameter stands still to the last digit.
    slope = jnp.abs(each[:, 0])
    fold = fold & (jnp.maximum(slope[:-1], slope[1:]) > 1e-6)
    # At a neutral saddle two real multipliers have the product 1: nothing bifurcates.
    nearest = jax.vmap(lambda v: v[jnp.argmin(jnp.abs(jnp.abs(v) - 1))])(values)
    torus = torus & (nearest[:-1].imag != 0) & (nearest[1:].imag != 0)
    known = known[:-1] & known[1:]
    happens = jnp.stack([fold, doubling, torus, branching & ~fold], axis=1)
    return happens & (known & mask[:-1] & mask[1:])[:, None]


class _Record(NamedTuple):
    u: Array
    angle: Array
    residual: Array
    located: Array


def locate_all(
    problem: Problem, trace: Trace, values: Float[Array, "N 4"], happens: Bool[Array, "I 4"], capacity: int
) -> tuple[SpecialPoints, Float[Array, " K"], Bool[Array, ""]]:
    """Every change of the test values, located; the periods there; and whether there were more than `capacity`."""
    number, total = pack(happens.ravel())
    number, count = number[:capacity], jnp.minimum(total, capacity)
    rows, which = number // len(KINDS), number % len(KINDS)
    ends = values[rows, which], values[rows + 1, which], which.astype(trace.u.dtype)
    packed = jnp.concatenate([trace.u[rows], trace.u[rows + 1], jnp.stack(ends, axis=1)], axis=1)
    size = trace.u.shape[1]

    def one(problem: Problem, row: Array) -> _Record:
        return _locate(problem, row[:size], row[size:-3], row[-3], row[-2], row[-1].astype(jnp.int32))

    shapes = jax.eval_shape(lambda row: one(problem, row), packed[0])
    blank = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape), leaf.dtype), shapes)
    packed, number, rows, which = (_padded(x, capacity) for x in (packed, number, rows, which))
    found = map_rows(one, problem, packed, blank, jnp.zeros_like(count), count, size)
    used = jnp.arange(capacity, dtype=jnp.int32) < count
    states = (size - 2) // problem.curve.num_nodes
    bracket = jnp.stack([trace.u[rows, -1], trace.u[rows + 1, -1]], axis=1)
    located = jnp.where(found.located, Location.CONVERGED, Location.BRACKETED)
    points = SpecialPoints(
        kind=jnp.where(used, jnp.asarray(KINDS, jnp.int32)[which], SpecialKind.NONE).astype(jnp.int32),
        mask=used,
        mu=jnp.where(used, found.u[:, -1], 0),
        state=jnp.where(used[:, None], found.u[:, :states], 0),
        omega=jnp.where(used, found.angle, 0),
        coefficient=jnp.full((capacity,), jnp.nan, trace.u.dtype),
        multiplicity=used.astype(jnp.int32),
        bracket=jnp.where(used[:, None], bracket, 0),
        row=jnp.where(used, rows, 0).astype(jnp.int32),
        residual=jnp.where(used, found.residual, 0),
        location=jnp.where(used, located, Location.NONE).astype(jnp.int32),
    )
    return points, jnp.where(used, jnp.exp(found.u[:, -2]), 0), total > capacity


def _padded(x: Array, length: int) -> Array:
    return jnp.pad(x, [(0, length - x.shape[0]), *[(0, 0)] * (x.ndim - 1)])


class _Bracket(NamedTuple):
    """Illinois iteration: ends `low`, `high` with test values, which of them moved last (-1 or 1), the best point."""

    low: Array
    high: Array
    g_low: Array
    g_high: Array
    moved: Array
    best: _Record
    rounds: Int[Array, ""]


def _locate(problem: Problem, a: Array, b: Array, g_low: Scalar, g_high: Scalar, which: Int[Array, ""]) -> _Record:
    """The zero of one test function on the branch between two rows, from its values there."""
    curve, weights = problem.curve, problem.weights(a)
    chord = b - a
    row = weights * chord
    row = row / jnp.sqrt(jnp.sum(row * chord))
    last = jnp.zeros_like(a).at[-1].set(1)
    size = (a.size - 2) // curve.num_nodes
    aux = curve.start(a)

    def on_branch(s: Scalar) -> tuple[Array, Scalar, Scalar, Scalar]:
        """The point of the branch on the plane across the chord at `s`, the length of the last correction, the test
        value, and the angle of the multipliers next to the unit circle."""
        target = a + s * chord

        def body(carry: tuple) -> tuple:
            u, _, _, _, count = carry
            F, A, segments = curve.with_segments(u, aux)
            right = jnp.stack([jnp.append(-F, jnp.sum(row * (target - u))), last], axis=1)
            delta, tangent = jnp.linalg.solve(jnp.concatenate([A, row[None]]), right).T
            return u + delta, tangent, segments, jnp.max(jnp.abs(delta)), count + 1

        def unfinished(carry: tuple) -> Array:
            return (carry[3] > 1e-10) & (carry[4] < _CORRECTIONS)

        blank = jnp.zeros((curve.num_nodes, size, size), a.dtype)
        start = target, chord, blank, jnp.asarray(jnp.inf, a.dtype), jnp.zeros((), jnp.int32)
        u, tangent, segments, length, _ = jax.lax.while_loop(unfinished, body, start)
        tangent = tangent / jnp.sqrt(jnp.sum(weights * tangent**2))
        values = spectrum(curve, u, segments)
        nearest = values[jnp.argmin(jnp.abs(jnp.abs(values) - 1))]
        angle = jnp.where(which == KINDS.index(SpecialKind.CYCLE_TORUS), jnp.abs(jnp.angle(nearest)), 0)
        return u, length, tests(values, tangent[-1])[which], angle

    zero = jnp.zeros((), a.dtype)
    scale = jnp.maximum(jnp.abs(g_low), jnp.abs(g_high))

    def body(now: _Bracket) -> _Bracket:
        secant = (now.low * now.g_high - now.high * now.g_low) / (now.g_high - now.g_low)
        middle = (now.low + now.high) / 2
        usable = jnp.isfinite(secant) & (now.rounds % 6 != 5)
        s = jnp.where(usable, jnp.clip(secant, now.low, now.high), middle)
        u, length, g, angle = on_branch(s)
        side = jnp.where((g < 0) == (g_low < 0), -1, 1).astype(jnp.int32)
        # An end that stays twice is trusted less, or the secant would creep up on the root from one side.
        stale = jnp.where(side == now.moved, 0.5, 1)
        better = jnp.abs(g) < now.best.residual
        new = _Record(u, angle, jnp.abs(g), length <= 1e-7)
        return _Bracket(
            jnp.where(side < 0, s, now.low),
            jnp.where(side < 0, now.high, s),
            jnp.where(side < 0, g, stale * now.g_low),
            jnp.where(side < 0, stale * now.g_high, g),
            side,
            jax.tree.map(lambda n, o: jnp.where(better, n, o), new, now.best),
            now.rounds + 1,
        )

    def unfinished(now: _Bracket) -> Array:
        return (now.high - now.low > 1e-12) & (now.rounds < _ITERATIONS) & (now.best.residual > 1e-12 * scale)

    none = _Record(b, zero, zero + jnp.inf, jnp.zeros((), bool))
    number = jnp.zeros((), jnp.int32)
    end = jax.lax.while_loop(unfinished, body, _Bracket(zero, zero + 1, g_low, g_high, number, none, number)).best
    return end._replace(located=end.located & (end.residual <= 1e-6 * scale))
