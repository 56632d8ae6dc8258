"""Proofs about one point: existence, uniqueness, stability."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float, Int
from ..linalg import eigensystem
from ..linalg.intervals import Interval
from ..linalg.intervals._rounding import EPSILON, down, sum_error, up
from ..systems import AbstractMap, AbstractSystem
from ._krawczyk import approximate_inverse, krawczyk
from ._levenberg_marquardt import largest

# Half width of the first box around a point at exactly zero, whose error has no scale.
_LEAST = 1e-20


class Existence(NamedTuple):
    """`proven`: exactly one zero of the residual lies in `box (R,)`, which is as small as rounding allows; it is
    simple, and `sign` is that of `det(-d residual)` there, its index, 0 if that could not be proven. `jacobian (S, S)`
    holds that of the step or vector field at the zero. `point (R,)` is the best approximation."""

    proven: Bool[Array, ""]
    point: Array
    box: Interval
    sign: Int[Array, ""]
    jacobian: Interval


def polish(system: AbstractSystem, point: Float[Array, " R"], steps: int = 8) -> Float[Array, " R"]:
    """A few Newton steps in floating point, each taken only if it does not make the residual larger."""

    def body(_: Array, point: Array) -> Array:
        inverse = approximate_inverse(system.residual_jacobian(point))
        trial = point - inverse @ system.residual(point)
        better = largest(system.residual(trial)) <= largest(system.residual(point))
        return jnp.where(better, trial, point)

    return jax.lax.fori_loop(0, steps, body, point)


class _Search(NamedTuple):
    """The next test is on a cube of half side `reach` around `point` if `small`, on `home` else; the last gave
    `found`, and `done` with it."""

    number: Int[Array, ""]
    point: Array
    home: Interval
    reach: Array
    small: Bool[Array, ""]
    found: Existence
    done: Bool[Array, ""]


def prove_existence(system: AbstractSystem, start: Array | Interval, max_tests: int = 16) -> Existence:
    """Krawczyk's test on cubes around a polished point, from the size of its error upward.

    `start` is an approximate zero `(R,)`, or a region that is known to hold exactly one. The region is contracted until
    the point that Newton's method reaches from its midpoint is well inside, so that the result is about its zero.

    **Source:** Rump (2010), section 13, with his epsilon inflation.
    """
    known = isinstance(start, Interval)

    def polished(point: Array) -> tuple[Array, Array]:
        """A point with a few rounding errors of its residual, as the inverse Jacobian magnifies them."""
        point = polish(system, point)
        inverse = jnp.abs(approximate_inverse(system.residual_jacobian(point)))
        error = jnp.abs(system.residual(point)) + point.size * EPSILON * jnp.abs(point)
        return point, jnp.max(4 * (inverse @ error) + 4 * EPSILON * jnp.abs(point) + _LEAST)

    def test(box: Interval, point: Array, sure: Array) -> Existence:
        newton = krawczyk(system, box)
        proven = newton.unique | sure
        sign = jnp.where(proven, determinant_sign(-newton.enclosure.residual_jacobian), 0)
        return Existence(proven, point, box.intersect(newton.image), sign, newton.enclosure.jacobian)

    def body(search: _Search) -> _Search:
        number, point, home, reach, small, _, _ = search
        cube = Interval(point - reach, point + reach)
        box = jax.tree.map(lambda one, other: jnp.where(small, one, other), cube, home) if known else cube
        found = test(box, point, ~small)
        grown = _Search(number + 1, point, home, 8 * reach, small, found, found.proven)
        if not known:
            return grown
        home = found.box
        point, reach = polished(home.midpoint)
        small_next = jnp.all(Interval(point - reach, point + reach).inside(home))
        contracted = _Search(number + 1, point, home, reach, small_next, found, jnp.zeros((), bool))
        return jax.tree.map(lambda one, other: jnp.where(small, one, other), grown, contracted)

    no = jnp.zeros((), bool)
    if isinstance(start, Interval):
        point, reach, home = start.midpoint, jnp.zeros(()), start
    else:
        (point, reach), home = polished(start), Interval(start, start)
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(test, home, point, no))
    search = _Search(jnp.zeros((), jnp.int32), point, home, reach, jnp.asarray(not known), nothing, no)
    return jax.lax.while_loop(lambda s: (s.number < max_tests) & ~s.done, body, search).found


def uniqueness_radius(system: AbstractSystem, point: Float[Array, " R"], attempts: int = 24) -> Float[Array, ""]:
    """A radius r, within a factor 2 of what the test can show, such that the cube of half side r around the point
    holds one zero only; 0 if none of the radii 1, 1/2, 1/4, ... passes."""

    def body(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        number, _, radius = carry
        unique = krawczyk(system, Interval(down(point - radius), up(point + radius))).unique
        return number + 1, unique, jnp.where(unique, radius, 0.5 * radius)

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        return (carry[0] < attempts) & ~carry[1]

    zero = jnp.zeros((), jnp.int32)
    _, unique, radius = jax.lax.while_loop(unfinished, body, (zero, zero > 0, jnp.ones(())))
    return jnp.where(unique, radius, 0.0)


def determinant_sign(J: Interval) -> Int[Array, ""]:
    """The sign of the determinant of every matrix in `J (n, n)`, 0 if it could not be proven: complex eigenvalues come
    in pairs, so beyond two dimensions it is the parity of the eigenvalues left of the imaginary axis."""
    if J.shape[0] > 2:
        left, known = count_right_half(-J)
        return jnp.where(known, 1 - 2 * (left % 2), 0)
    det = J[0, 0] if J.shape[0] == 1 else _trace_and_determinant(J)[1]
    return jnp.where(det.lower > 0, 1, jnp.where(det.upper < 0, -1, 0)).astype(jnp.int32)


def count_unstable(system: AbstractSystem, jacobian: Interval) -> tuple[Int[Array, ""], Bool[Array, ""]]:
    """`(number, proven)` of eigenvalues outside the unit circle (map) or right of the imaginary axis (flow), for every
    matrix in the interval matrix `(S, S)`."""
    return count_outside_circle(jacobian) if isinstance(system, AbstractMap) else count_right_half(jacobian)


def count_right_half(J: Interval) -> tuple[Int[Array, ""], Bool[Array, ""]]:
    """Eigenvalues with positive real part: by trace and determinant up to two dimensions, by discs beyond."""
    if J.shape[0] == 1:
        return _decide([(J.lower[0, 0] > 0, 1), (J.upper[0, 0] < 0, 0)])
    if J.shape[0] == 2:
        trace, det = _trace_and_determinant(J)
        return _decide(
            [(det.upper < 0, 1), ((det.lower > 0) & (trace.upper < 0), 0), ((det.lower > 0) & (trace.lower > 0), 2)]
        )
    centers, radii = discs(J)
    real = centers.real
    return jnp.sum(real > 0, dtype=jnp.int32), jnp.all(jnp.abs(real) > radii)


def count_outside_circle(J: Interval) -> tuple[Int[Array, ""], Bool[Array, ""]]:
    """Eigenvalues of modulus above 1: by the characteristic polynomial at 1 and -1 up to two dimensions, by discs
    beyond."""
    if J.shape[0] == 1:
        return _decide([((J.lower[0, 0] > 1) | (J.upper[0, 0] < -1), 1), (J.magnitude[0, 0] < 1, 0)])
    if J.shape[0] == 2:
        trace, det = _trace_and_determinant(J)
        # Values of the characteristic polynomial at 1 and -1: an odd number of eigenvalues lies in (-1, 1) if the
        # signs differ; with both positive the two are inside or outside together, with both negative on either side.
        at_one, at_minus = 1 - trace + det, 1 + trace + det
        positive, negative = (at_one.lower > 0) & (at_minus.lower > 0), (at_one.upper < 0) & (at_minus.upper < 0)
        mixed = ((at_one.lower > 0) & (at_minus.upper < 0)) | ((at_one.upper < 0) & (at_minus.lower > 0))
        return _decide([(mixed, 1), (negative | (positive & (det.lower > 1)), 2), (positive & (det.upper < 1), 0)])
    centers, radii = discs(J)
    excess = jnp.abs(centers) - 1
    return jnp.sum(excess > 0, dtype=jnp.int32), jnp.all(jnp.abs(excess) > radii + 4 * EPSILON)


def discs(J: Interval) -> tuple[Array, Array]:
    """Centres and radii `(n,)` of Gershgorin discs of `V^-1 J V` with V the approximate eigenvectors: every union of
    discs that is apart from the others holds as many eigenvalues as it has discs, for every matrix in J.

    With W an approximate inverse of V and R = I - W V, `V^-1 J V = (I - R)^-1 W J V`, so the rows of `W J V` are off by
    at most `|R| / (1 - |R|)` of its norm.

    **Source:** Gershgorin (1931); Rump (2010), section 13.4.
    """
    n = J.shape[0]
    _, V, W = eigensystem(J.midpoint)
    size_v, size_w = jnp.abs(V), jnp.abs(W)
    highest = jax.lax.Precision.HIGHEST

    def product(a: Array, b: Array) -> Array:
        return jnp.matmul(a, b, precision=highest)

    middle = J.midpoint
    T = product(product(W, middle.astype(W.dtype)), V)
    # Complex products have twice the terms; four times the bound also covers moduli computed in floating point.
    magnitude = product(product(size_w, jnp.abs(middle)), size_v)
    error = 8 * sum_error(2 * n, magnitude) + up(1.001 * product(product(size_w, J.radius), size_v))
    defect = jnp.abs(jnp.eye(n, dtype=W.dtype) - product(W, V)) + 8 * sum_error(2 * n, 1 + product(size_w, size_v))
    loss = 1.001 * jnp.max(jnp.sum(defect, axis=1))
    rows = jnp.abs(T) + error
    amplified = jnp.where(loss < 1, loss / (1 - loss), jnp.inf) * jnp.max(jnp.sum(rows, axis=1))
    others = jnp.sum(jnp.where(jnp.eye(n, dtype=bool), error, rows), axis=1)
    return jnp.diag(T), 1.001 * (others + amplified)


def _trace_and_determinant(J: Interval) -> tuple[Interval, Interval]:
    return J[0, 0] + J[1, 1], J[0, 0] * J[1, 1] - J[0, 1] * J[1, 0]


def _decide(cases: list[tuple[Array, int]]) -> tuple[Int[Array, ""], Bool[Array, ""]]:
    """The number of the first case that holds, and whether any does."""
    number, known = jnp.zeros((), jnp.int32), jnp.zeros((), bool)
    for holds, value in reversed(cases):
        number, known = jnp.where(holds, value, number).astype(jnp.int32), known | holds
    return number, known
