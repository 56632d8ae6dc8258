"""The verb: follow a bifurcation in two parameters."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import RESULTS
from .._types import Array, ArrayLike, Bool, Complex, Float, Int, Scalar
from ..continuation import AbstractMethod, End, Location, PseudoArclength, Range, SpecialPoints, trace
from ..continuation._arc import Arc, on_curve
from ..continuation._continue import with_arrays
from ..continuation._method import metric
from ..continuation._outcome import outcome, raise_at_start
from ..continuation._singular import singular, split
from ..continuation._start import find_start
from ..fixed_points._members import pack
from ..fixed_points._precision import highest_precision
from ..fixed_points._rows import each_used
from ..linalg._implicit import freeze
from ..systems import AbstractFamily, AbstractMap
from ._codimension_two import Place, others, tests
from ._curve import BifurcationCurve
from ._events import AbstractMatrixEvent
from ._locate import first_extra

_BISECTIONS = 48


class BifurcationBranch(eqx.Module):
    """A curve of bifurcation points in two parameters, N = 2 `num_steps` + 1 rows of which those with `mask`
    are in use.

    **Fields:** `kind ()`, the `SpecialKind` of its points; `state (N, S)`; `mu (N, 2)`; `omega (N,)`, frequency or
    angle, 0 for folds and flips; `coefficient (N,)` of the normal form; `eigenvalues (N, S)`; `residual (N,)` of the
    defining equations; `mask (N,)`, contiguous; `end (2,)`, an `End` for the first and last row; `closed ()`;
    `special_points`, a `SpecialPoints` with the points of codimension two; `result`, a `RESULTS` item.

    **Source:** Kuznetsov (2004), chapters 8 to 10.
    """

    kind: Int[Array, ""]
    state: Float[Array, "N S"]
    mu: Float[Array, "N 2"]
    omega: Float[Array, " N"]
    coefficient: Float[Array, " N"]
    eigenvalues: Complex[Array, "N S"]
    residual: Float[Array, " N"]
    mask: Bool[Array, " N"]
    end: Int[Array, " 2"]
    closed: Bool[Array, ""]
    special_points: SpecialPoints
    result: RESULTS


def continue_bifurcation(
    family: AbstractFamily,
    event: AbstractMatrixEvent,
    *,
    state: Float[Array, " S"],
    mu: ArrayLike,
    omega: ArrayLike | None = None,
    mu_range: tuple[ArrayLike, ArrayLike],
    num_steps: int = 200,
    method: AbstractMethod = PseudoArclength(),  # noqa: B008
    max_special_points: int = 16,
    throw: bool = True,
) -> BifurcationBranch:
    """Follow a fold, Hopf, period doubling or Neimark-Sacker point in two parameters, and locate the points of
    codimension two on the way.

        G(x, extra, mu_1, mu_2) = 0         the event's minimally augmented equations

    Found on the way: cusp, Bogdanov-Takens, zero-Hopf, generalised Hopf, Hopf-Hopf (flows); cusp, resonances 1:1 to
    1:4, fold-flip, degenerate flip, degenerate Neimark-Sacker and their combinations (maps). A Hopf curve ends at a
    Bogdanov-Takens point, where omega is 0, a Neimark-Sacker curve at its resonances 1:1 and 1:2.

    **Arguments:**

    - `family`, with two scalar parameters; `event`: `Fold()`, `Hopf()`, `PeriodDoubling()` or `NeimarkSacker()`.
    - `state (S,)`, `mu (2,)`: a bifurcation point or near one; the second parameter is held while it is corrected.
      `omega ()`: its frequency or angle, by default from the eigenvalue nearest to the boundary.
    - `mu_range`: two vectors `(2,)`, the lower and upper ends of both parameters.
    - `num_steps`, `method`, `max_special_points`, `throw`: as in `continue_fixed_points`.

    **Returns:** a `BifurcationBranch`.

    **Raises:** `ValueError` for arguments of a wrong shape or an event that the system cannot have; `RuntimeError` when
    there is no such bifurcation near the start and `throw`.

    **Source:** Kuznetsov (2004), section 10.3; Govaerts (2000), chapters 4 and 9.
    """
    dtype = state.dtype
    mu, lower, upper = (jnp.asarray(value, dtype) for value in (mu, *mu_range))
    if state.ndim != 1 or mu.shape != (2,) or lower.shape != (2,) or upper.shape != (2,):
        raise ValueError(
            "continue_bifurcation: expected state (S,), mu (2,) and mu_range of two vectors (2,), got "
            f"{state.shape}, {mu.shape}, {lower.shape} and {upper.shape}; give the family two parameters, "
            "`Family(system, lambda s: (leaf, leaf), index)`"
        )
    system = family(mu)
    event.check(system)
    tests(event, isinstance(system, AbstractMap))
    given = None if omega is None else jnp.asarray(omega, dtype)
    branch = _follow(
        freeze(family), event, state, mu, given, Range(lower, upper), with_arrays(method, dtype), num_steps,
        max_special_points,
    )  # fmt: skip
    if throw:
        no_branch = RESULTS.not_located, RESULTS.start_out_of_range
        raise_at_start("continue_bifurcation", branch.result, no_branch)
    return branch


@eqx.filter_jit
@highest_precision
def _follow(
    family: AbstractFamily,
    event: AbstractMatrixEvent,
    state: Float[Array, " S"],
    mu: Float[Array, " 2"],
    omega: Scalar | None,
    allowed: Range,
    method: AbstractMethod,
    num_steps: int,
    capacity: int,
) -> BifurcationBranch:
    system = family(mu)
    extra = first_extra(system, event, state) if omega is None else omega[None]
    curve = BifurcationCurve(family, event)
    guess = jnp.concatenate([system.rest(state), extra[: event.num_extra], mu])
    start = find_start(curve, method, allowed, guess)
    traced = trace(
        curve, start.u, start.tangent, start.orientation, method=method, allowed=allowed, num_steps=num_steps
    )
    problem = _Problem(curve, method, allowed)
    mask = traced.mask & jax.vmap(problem.proper)(traced.u)

    def judge(place: Array) -> tuple:
        u = traced.u[place]
        x, extra, mu = split(u, event.num_extra, 2)
        system = family(mu)
        state = system.lift(x)
        frequency = extra[0] if event.has_frequency else jnp.zeros_like(u[0])
        coefficient = event.normal_form(family, state, mu, extra)[1]
        values = method.solver.spectrum(system, state)
        residual = jnp.max(jnp.abs(curve.value(u, curve.start(u))))
        return state, mu, frequency, coefficient, values, residual

    states, mus, omegas, coefficients, values, residuals = each_used(judge, mask, 64 if state.size <= 3 else 1)
    # The row beyond a Bogdanov-Takens point or resonance belongs to the mirror image, but ends the last interval.
    reach = mask[:-1] & traced.mask[1:] | mask[1:] & traced.mask[:-1]
    points, overflow = _special(problem, traced, reach, capacity)
    lost = (start.last > 1e-8) | jnp.isnan(start.last)
    inside = jnp.all((mu >= allowed.lower) & (mu <= allowed.upper))
    result = outcome(traced.end, overflow)
    result = RESULTS.where(lost, RESULTS.not_located, result)
    result = RESULTS.where(inside, result, RESULTS.start_out_of_range)
    return BifurcationBranch(
        jnp.asarray(event.kind, jnp.int32), states, mus, omegas, coefficients, values, residuals, mask, traced.end,
        traced.end[1] == End.CLOSED, points, result,
    )  # fmt: skip


class _Problem(eqx.Module):
    curve: BifurcationCurve
    method: AbstractMethod
    allowed: Range

    def proper(self, u: Float[Array, " u"]) -> Bool[Array, ""]:
        """Whether a frequency is positive and an angle less than half a turn; the rest of the curve is its mirror."""
        event = self.curve.event
        if not event.has_frequency:
            return jnp.ones((), bool)
        extra = split(u, event.num_extra, 2).extra[0]
        is_map = isinstance(self.curve.family(u[-2:]), AbstractMap)
        return (extra >= 0) & ((extra <= jnp.pi) if is_map else jnp.ones((), bool))

    def tests(self, u: Float[Array, " u"], borders: Any) -> Float[Array, " k"]:
        """All test functions, `(k,)`, with null vectors oriented by the borders."""
        event = self.curve.event
        x, extra, mu = split(u, event.num_extra, 2)
        system = self.curve.family(mu)
        state = system.lift(x)
        at = singular(event.matrix(system, x, extra), borders)
        place = Place(system, x, state, extra, at, others(event, system, state, extra))
        return jnp.stack([test(place) for _, test in tests(event, isinstance(system, AbstractMap))])


def _special(
    problem: _Problem, traced: Any, reach: Bool[Array, " I"], capacity: int
) -> tuple[SpecialPoints, Bool[Array, ""]]:
    curve = problem.curve
    event, family = curve.event, curve.family
    is_map = isinstance(family(traced.u[0, -2:]), AbstractMap)
    kinds = jnp.asarray([kind for kind, _ in tests(event, is_map)], jnp.int32)
    block = 64 if traced.u.shape[1] <= 6 else 1

    def ends(row: Array) -> Float[Array, "2 k"]:
        borders = curve.start(traced.u[row])
        return jnp.stack([problem.tests(traced.u[row], borders), problem.tests(traced.u[row + 1], borders)])

    values = each_used(ends, reach, block)
    changes = reach[:, None] & ((values[:, 0] < 0) != (values[:, 1] < 0)) & jnp.all(jnp.isfinite(values), axis=1)
    flat, total = pack(changes.reshape(-1))
    flat = flat[:capacity]
    used = jnp.arange(flat.size, dtype=jnp.int32) < total

    def refine(place: Array) -> tuple:
        row, which = flat[place] // kinds.size, flat[place] % kinds.size
        arc = Arc(traced.u[row], traced.u[row + 1], traced.tangent[row], traced.tangent[row + 1])
        return _bisect(problem, arc, which, values[row, :, which])

    u, length, test, share = each_used(refine, used, block)
    rows, which = flat // kinds.size, flat % kinds.size
    before = jnp.abs(values[rows, :, which])
    # A test that jumps through infinity, or from one pair of eigenvalues to another, marks no point.
    pole = jnp.abs(test) > jnp.min(before, axis=1)
    genuine = used & ~pole
    located = (length <= 1e-9) & (jnp.abs(test) <= 1e-6 * jnp.max(before, axis=1))
    order = jnp.argsort(jnp.where(genuine, rows.astype(share.dtype) + share, jnp.inf))
    u, rows, which, genuine, located = (a[order] for a in (u, rows, which, genuine, located))

    def describe(place: Array) -> tuple:
        x, extra, mu = split(u[place], event.num_extra, 2)
        residual = jnp.max(jnp.abs(curve.value(u[place], curve.start(u[place]))))
        return family(mu).lift(x), mu, extra[0] if event.has_frequency else jnp.zeros_like(residual), residual

    states, mus, omegas, residuals = each_used(describe, genuine, block)
    bracket = jnp.stack([traced.u[rows, -2:], traced.u[rows + 1, -2:]], axis=1)
    location = jnp.where(located, Location.CONVERGED, Location.BRACKETED)
    one = jnp.ones_like(rows)
    points = SpecialPoints(
        jnp.where(genuine, kinds[which], 0), genuine, mus, states, omegas, jnp.full_like(omegas, jnp.nan),
        jnp.where(genuine, one, 0), jnp.where(genuine[:, None, None], bracket, 0), jnp.where(genuine, rows, 0),
        residuals, jnp.where(genuine, location, 0).astype(jnp.int32),
    )  # fmt: skip
    return points, total > capacity


def _bisect(
    problem: _Problem, arc: Arc, which: Int[Array, ""], ends: Float[Array, " 2"]
) -> tuple[Float[Array, " u"], Scalar, Scalar, Scalar]:
    """Where a test function changes sign between two rows: point, last correction, value there, place."""
    curve, solver = problem.curve, problem.method.solver
    weights = metric(problem.method.theta, arc.a.size, problem.allowed.width)
    borders = curve.start(arc.a)
    zero = jnp.zeros((), arc.a.dtype)

    def body(carry: tuple) -> tuple:
        low, high, *_ = carry
        middle = (low + high) / 2
        u, _, length = on_curve(curve, solver, borders, arc, weights, middle)
        test = problem.tests(u, borders)[which]
        same = (test < 0) == (ends[0] < 0)
        return jnp.where(same, middle, low), jnp.where(same, high, middle), u, length, test, carry[5] + 1

    def unfinished(carry: tuple) -> Array:
        return (carry[4] != 0) & (carry[1] - carry[0] > 1e-14) & (carry[5] < _BISECTIONS)

    start = zero, zero + 1, arc.a, zero + jnp.inf, zero + jnp.inf, jnp.zeros((), jnp.int32)
    _, high, u, length, test, _ = jax.lax.while_loop(unfinished, body, start)
    return u, length, test, high
