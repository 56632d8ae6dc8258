"""The verb: follow a cycle in a parameter."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._results import RESULTS
from .._types import Array, ArrayLike, Float, Scalar
from ..continuation import AbstractMethod, End, PseudoArclength, Range, SpecialPoints, trace
from ..continuation._continue import with_arrays
from ..continuation._outcome import outcome, raise_at_start
from ..continuation._start import find_start
from ..fixed_points._precision import highest_precision
from ..fixed_points._rows import map_rows
from ..linalg._implicit import freeze
from ..systems import AbstractFamily
from ._birth import cut, hopf_points
from ._branch import CycleBranch
from ._curve import CycleCurve
from ._cycle import Cycle
from ._rows import Row, examine
from ._segments import Shooting
from ._special import Problem, changes, locate_all, tests


def continue_cycles(
    family: AbstractFamily,
    cycle: Cycle,
    mu: ArrayLike,
    *,
    mu_range: tuple[ArrayLike, ArrayLike],
    period_range: tuple[ArrayLike, ArrayLike] = (0.0, np.inf),
    num_steps: int = 100,
    method: AbstractMethod = PseudoArclength(initial_step=1e-2, max_step=0.1),  # noqa: B008
    shooting: Shooting = Shooting(),  # noqa: B008
    max_special_points: int = 8,
    throw: bool = True,
) -> CycleBranch:
    """Follow a limit cycle in a parameter, in both directions, and locate what happens on the way.

        phi_{T/M}(x_i; mu) = x_{i+1},    phase condition,    pseudo-arclength in (x_1 ... x_M, log T, mu)

    Folds of cycles, period doublings, torus bifurcations and branch points of cycles are noticed between rows and
    located by a safeguarded secant method on their test functions. A branch that shrinks to a fixed point ends at a
    Hopf point. A branch that ends at a homoclinic orbit or a saddle-node on the cycle has a period that grows without
    bound: give an upper end to `period_range`, and `find_homoclinic` to see which it is.

    **Arguments:**

    - `family` of flows, with one scalar parameter; `cycle`, a cycle of `family(mu)` with the nodes that the branch will
      have; `mu ()`.
    - `mu_range`: lower and upper end, where the branch ends; `period_range`: the same for the period.
    - `num_steps`: largest number of points in each direction. `method`: lengths are measured in the states, log T and
      mu, the last two in units of the width of their range where that is finite.
    - `shooting`: tolerances of the integration. `max_special_points`, per branch, Hopf points apart.
    - `throw`: whether to raise when there is no branch at all; a branch that stops early is returned with its `result`.

    **Returns:** a `CycleBranch` with N = 2 `num_steps` + 1 rows.

    **Raises:** `ValueError` when `mu` or an end of a range is not scalar; `RuntimeError` with the text of `result` when
    the start is unusable (not inside `jax.jit` or `jax.vmap`).

    **Source:** Kuznetsov (2004), sections 10.2.2 and 10.3; Doedel, Keller & Kernevez (1991).
    """
    dtype = cycle.states.dtype
    values = mu, *mu_range, *period_range
    if any(jnp.ndim(value) != 0 for value in values):
        raise ValueError("continue_cycles: mu and the ends of both ranges must be scalar; use jax.vmap for many values")
    mu, lower, upper, shortest, longest = (jnp.asarray(value, dtype) for value in values)
    allowed = Range(jnp.stack([jnp.log(shortest), lower]), jnp.stack([jnp.log(longest), upper]))
    method = with_arrays(method, dtype)
    states, period, mu = jax.lax.stop_gradient((cycle.states, cycle.period, mu))
    branch = _branch(freeze(family), states, period, mu, allowed, method, shooting, num_steps, max_special_points)
    if throw:
        no_branch = RESULTS.start_not_on_branch, RESULTS.start_out_of_range
        raise_at_start("continue_cycles", branch.result, no_branch)
    return branch


@eqx.filter_jit
@highest_precision
def _branch(
    family: AbstractFamily,
    states: Float[Array, "M S"],
    period: Scalar,
    mu: Scalar,
    allowed: Range,
    method: AbstractMethod,
    shooting: Shooting,
    num_steps: int,
    capacity: int,
) -> CycleBranch:
    count, size = states.shape
    curve = CycleCurve(family, shooting, count)
    guess = jnp.concatenate([states.ravel(), jnp.log(period)[None], mu[None]])
    begin = find_start(curve, method, allowed, guess)
    # From a start that is no cycle there is nowhere to go, and nan would never end.
    sane = jnp.all(jnp.isfinite(begin.tangent)) & jnp.all(jnp.isfinite(begin.u))
    tangent = jnp.where(sane, begin.tangent, jnp.ones_like(guess))
    traced = trace(
        curve,
        jnp.where(sane, begin.u, guess),
        tangent,
        begin.orientation,
        method=method,
        allowed=allowed,
        num_steps=num_steps,
    )
    rows, blank = traced.u, jax.eval_shape(lambda u: examine(curve, u), guess)
    blank = jax.tree.map(lambda leaf: jnp.zeros((rows.shape[0], *leaf.shape), leaf.dtype), blank)
    number = jnp.arange(rows.shape[0], dtype=jnp.int32)
    start = jnp.argmax(traced.mask).astype(jnp.int32)
    stop = jnp.max(jnp.where(traced.mask, number + 1, 0))
    each: Row = map_rows(examine, curve, rows, blank, start, stop, guess.size)

    mask, ends, born = cut(each.velocity, traced.mask)
    problem = Problem(curve, method, allowed)
    values = jax.vmap(tests)(each.multipliers, traced.tangent[:, -1])
    happens = changes(each.multipliers, values, each.trivial_error < 1e-3, mask)
    special, special_period, overflow = locate_all(problem, traced, values, happens, capacity)
    hopf, hopf_period = hopf_points(curve, traced, ends, born)
    special, special_period = _joined((special, special_period), (hopf, hopf_period))

    result = outcome(jnp.where(born, End.RANGE, traced.end), overflow)
    scale = 1 + jnp.max(jnp.abs(guess))
    away = jnp.max(jnp.abs(begin.u - guess)) > 0.1 * scale
    off = ~(each.residual[num_steps] <= shooting.limit(guess.dtype) * scale)
    result = RESULTS.where(off | away, RESULTS.start_not_on_branch, result)
    outside = jnp.any((guess[-2:] < allowed.lower) | (guess[-2:] > allowed.upper))
    result = RESULTS.where(outside, RESULTS.start_out_of_range, result)
    return CycleBranch(
        states=rows[:, :-2].reshape(-1, count, size),
        period=jnp.exp(rows[:, -2]),
        mu=jnp.where(mask, rows[:, -1], 0),
        mask=mask,
        minimum=each.minimum,
        maximum=each.maximum,
        multipliers=each.multipliers,
        trivial_error=each.trivial_error,
        unstable_dim=jnp.where(mask, each.unstable_dim, 0),
        stable=each.stable & mask,
        slope=traced.tangent[:, -2:],
        residual=each.residual,
        end=traced.end,
        closed=traced.end[1] == End.CLOSED,
        special_points=special,
        special_period=special_period,
        result=result,
    )


def _joined(first: tuple[SpecialPoints, Array], second: tuple[SpecialPoints, Array]) -> tuple[SpecialPoints, Array]:
    """Both lists in the order along the branch, padding last."""
    points, periods = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, second)
    order = jnp.argsort(jnp.where(points.mask, points.row, jnp.iinfo(jnp.int32).max))
    return jax.tree.map(lambda x: x[order], (points, periods))
