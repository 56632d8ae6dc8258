"""The verb: follow fixed points in a parameter."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._results import RESULTS
from .._types import Array, ArrayLike, Float, Scalar
from ..fixed_points._precision import highest_precision
from ..fixed_points._rows import map_rows
from ..linalg._implicit import freeze
from ..systems import AbstractFamily
from ._arc import near_zero
from ._branch import Branch
from ._crossings import unstable
from ._curve import FixedPointCurve
from ._event import AbstractEvent
from ._kinds import End
from ._method import AbstractMethod, PseudoArclength
from ._outcome import is_one_of, outcome, raise_at_start
from ._refine import Problem
from ._special import no_special_points, special_points
from ._start import Start, find_start
from ._step import Range
from ._trace import Trace, extend, trace

# Outcomes with which there is no branch, not even one row.
_NO_BRANCH = (
    RESULTS.start_not_on_branch,
    RESULTS.nonfinite_system,
    RESULTS.parameter_moves_nothing,
    RESULTS.start_out_of_range,
)


def continue_fixed_points(
    family: AbstractFamily,
    state: Float[Array, " S"],
    mu: ArrayLike,
    *,
    mu_range: tuple[ArrayLike, ArrayLike],
    num_steps: int = 200,
    method: AbstractMethod = PseudoArclength(),  # noqa: B008
    events: tuple[AbstractEvent, ...] = (),
    tangent: Float[Array, " u"] | None = None,
    max_special_points: int = 16,
    throw: bool = True,
) -> Branch:
    """Follow a fixed point in a parameter, in both directions, and locate what happens on the way.

        F(x, mu) = 0        with the gate-free residual F, from `mu` to both ends of `mu_range`

    One bounded loop under `jax.jit`; `jax.vmap` over systems, states and parameters runs all branches in one loop.
    Points are followed in the gate-free residual, so map and flow of a cell have the same branches and folds;
    eigenvalues are those of the map or flow.

    **Arguments:**

    - `family`, with one scalar parameter; `state (S,)`, a fixed point of `family(mu)` or a state near one; `mu ()`.
    - `mu_range`: lower and upper end, where the branch ends; infinite ends are allowed.
    - `num_steps`: largest number of points in each direction. `method`: `PseudoArclength()` or `Natural()`.
    - `events`: what to locate, for example `(Fold(), Hopf())`, or `bifurcations.all_events(system)`.
    - `tangent (R + 1,)`: direction `(dx, dmu)` in which later rows lie; by default towards larger `mu`. At a branch
      point it chooses the branch.
    - `max_special_points`: rows of the list of special points.
    - `throw`: whether to raise when there is no branch at all. A branch that stops early is returned with its `result`.

    **Returns:** a `Branch`.

    **Raises:** `ValueError` for arguments of a wrong shape or type, or an event that the system cannot have;
    `RuntimeError` with the text of `result` when the start is unusable and `throw`.

    **Source:** Keller (1977); Allgower & Georg (2003), chapters 6 and 8; Govaerts (2000) for the defining systems.
    """
    if state.ndim != 1:
        raise ValueError(f"continue_fixed_points: state must be one vector, got shape {state.shape}; use jax.vmap")
    dtype = state.dtype
    mu, lower, upper = (
        _scalar(value, name, dtype)
        for value, name in ((mu, "mu"), (mu_range[0], "mu_range"), (mu_range[1], "mu_range"))
    )
    if jnp.shape(family.mu) != ():
        raise ValueError(
            f"continue_fixed_points: the family has parameters of shape {jnp.shape(family.mu)}; give the family one "
            "parameter (`Family(system, where, index)`), or follow a bifurcation with `continue_bifurcation`"
        )
    for event in events:
        event.check(family(mu))
    frozen, state, mu = freeze(family), jax.lax.stop_gradient(state), jax.lax.stop_gradient(mu)
    branch = _branch(
        frozen, state, mu, Range(lower[None], upper[None]), with_arrays(method, dtype), events, tangent,
        num_steps, max_special_points,
    )  # fmt: skip
    if throw:
        raise_at_start("continue_fixed_points", branch.result, _NO_BRANCH)
    return branch


def extend_branch(
    family: AbstractFamily,
    branch: Branch,
    *,
    mu_range: tuple[ArrayLike, ArrayLike],
    num_steps: int = 200,
    method: AbstractMethod = PseudoArclength(),  # noqa: B008
    events: tuple[AbstractEvent, ...] = (),
    max_special_points: int = 16,
) -> Branch:
    """Go on where the number of steps ended a branch. The result is the branch that `continue_fixed_points` gives with
    all the steps at once; a branch is a pytree of arrays, so it can be written to disk in between, for example with
    `equinox.tree_serialise_leaves`.

    **Arguments:** `branch`, the branch so far; `num_steps`, further points in each direction; all others as they were
    given to `continue_fixed_points`.

    **Returns:** a `Branch` of `2 num_steps` more rows, shape `(N + 2 num_steps,)`.

    **Raises:** `ValueError` for arguments of a wrong type.

    **Source:** Allgower & Georg (2003), chapter 6.
    """
    dtype = branch.state.dtype
    lower, upper = (_scalar(value, "mu_range", dtype) for value in mu_range)
    allowed = Range(lower[None], upper[None])
    return _extended(freeze(family), branch, allowed, with_arrays(method, dtype), events, num_steps, max_special_points)


def _scalar(value: ArrayLike, name: str, dtype: Any) -> Scalar:
    kind = np.dtype(getattr(value, "dtype", type(value))).kind
    if kind not in "iuf":
        raise ValueError(f"continue_fixed_points: {name} must hold real numbers, got {value!r}")
    if jnp.ndim(value) != 0:
        raise ValueError(
            f"continue_fixed_points: {name} must be scalar, got shape {jnp.shape(value)}; give the family one "
            "parameter (`Family(system, where, index)`), and use jax.vmap for many values"
        )
    return jnp.asarray(value, dtype)


def with_arrays(method: AbstractMethod, dtype: Any) -> AbstractMethod:
    """Numbers as arrays: another step length is not another program. No tolerance is tighter than rounding."""
    floor = (4 * near_zero(dtype)) ** 2
    arrays = jax.tree.map(lambda x: jnp.asarray(x, dtype) if isinstance(x, float) else x, method)
    return eqx.tree_at(lambda m: m.tolerance, arrays, jnp.maximum(arrays.tolerance, floor))


@eqx.filter_jit
@highest_precision
def _branch(
    family: AbstractFamily,
    state: Array,
    mu: Scalar,
    allowed: Range,
    method: AbstractMethod,
    events: tuple[AbstractEvent, ...],
    tangent: Array | None,
    num_steps: int,
    capacity: int,
) -> Branch:
    curve = FixedPointCurve(family)
    guess = jnp.append(family(mu).rest(state), mu)
    start = find_start(curve, method, allowed, guess, tangent)
    traced = trace(
        curve, start.u, start.tangent, start.orientation, method=method, allowed=allowed, num_steps=num_steps
    )
    problem = Problem(curve, method, allowed)
    result = _start_result(family, allowed, guess, start)
    # Without a start there is no branch, not even one row.
    traced = eqx.tree_at(lambda t: t.mask, traced, traced.mask & (result == RESULTS.successful))
    return _finish(problem, events, traced, capacity, result)


@eqx.filter_jit
@highest_precision
def _extended(
    family: AbstractFamily,
    branch: Branch,
    allowed: Range,
    method: AbstractMethod,
    events: tuple[AbstractEvent, ...],
    num_steps: int,
    capacity: int,
) -> Branch:
    curve = FixedPointCurve(family)
    new = extend(curve, branch.lanes, method=method, allowed=allowed, num_steps=num_steps)
    rests = jax.vmap(lambda state, mu: family(mu).rest(state))(branch.state, branch.mu)
    old = jnp.concatenate([rests, branch.mu[:, None]], axis=1)

    def around(grown: Array, kept: Array) -> Array:
        return jnp.concatenate([grown[:num_steps], kept, grown[num_steps + 1 :]])

    mask = around(new.mask, branch.mask)
    closed = new.end[1] == End.CLOSED
    mask = mask & ~(closed & (jnp.arange(mask.size, dtype=jnp.int32) < mask.size // 2))
    joined = Trace(
        around(new.u, old),
        around(new.tangent, branch.tangent),
        around(new.orientation, branch.orientation),
        mask,
        new.end,
        new.lanes,
    )
    return _finish(Problem(curve, method, allowed), events, joined, capacity, branch.result)


def _finish(
    problem: Problem, events: tuple[AbstractEvent, ...], traced: Trace, capacity: int, start_result: RESULTS
) -> Branch:
    family = problem.curve.family
    number = jnp.arange(traced.mask.size, dtype=jnp.int32)
    start = jnp.argmax(traced.mask).astype(jnp.int32)
    stop = jnp.max(jnp.where(traced.mask, number + 1, 0))

    def judge(problem: Problem, u: Float[Array, " u"]) -> tuple[Array, Array, Array]:
        system = problem.curve.family(u[-1])
        state = system.lift(u[:-1])
        values = problem.method.solver.spectrum(system, state)
        return state, values, jnp.max(jnp.abs(system.residual(u[:-1])))

    shapes = jax.eval_shape(lambda u: judge(problem, u), traced.u[0])
    blank = jax.tree.map(lambda leaf: jnp.zeros((number.size, *leaf.shape), leaf.dtype), shapes)
    size = shapes[0].shape[0]
    state, values, residual = map_rows(judge, problem, traced.u, blank, start, stop, size)
    if events:
        points, overflow = special_points(problem, events, traced, values, capacity)
    else:
        points, overflow = no_special_points(size, capacity, state.dtype), jnp.zeros((), bool)
    # What was wrong with a finished piece of the branch is found again by what came after it.
    result = RESULTS.where(is_one_of(start_result, _NO_BRANCH), start_result, outcome(traced.end, overflow))
    system = family(traced.u[0, -1])
    unstable_dim = jnp.sum(unstable(system, values), axis=-1, dtype=jnp.int32)
    mask = traced.mask
    dims = jnp.where(mask, unstable_dim, 0)
    mu = jnp.where(mask, traced.u[:, -1], 0)
    return Branch(
        state, mu, mask, traced.tangent, traced.orientation, values, dims, mask & (dims == 0), residual,
        traced.end, traced.end[1] == End.CLOSED, points, result, traced.lanes,
    )  # fmt: skip


def _start_result(family: AbstractFamily, allowed: Range, guess: Float[Array, " u"], start: Start) -> RESULTS:
    u, moved = start.u, start.last
    x, mu = u[:-1], guess[-1]
    lower, upper = allowed.lower[0], allowed.upper[0]
    away = jnp.max(jnp.abs(u - guess)) > 0.3 * (1 + jnp.max(jnp.abs(guess)))
    residual = family(mu).residual(guess[:-1])
    # Fixed points may stand still while the parameter moves; the system itself may not.
    probes = x[None] + jnp.asarray(np.random.default_rng(1).normal(size=(3, x.size)), x.dtype)
    ends = [jnp.where(jnp.isfinite(end), end, mu + side) for end, side in ((lower, -1.0), (upper, 1.0))]
    # And one between them: in an even or periodic parameter the ends may be alike.
    between = ends[0] + 0.381966 * (ends[1] - ends[0])
    values = [jax.vmap(family(m).residual)(probes) for m in (mu, *ends, between)]
    still = jnp.all(jnp.stack([jnp.all(values[0] == other) for other in values[1:]]))
    result = RESULTS.where(still, RESULTS.parameter_moves_nothing, RESULTS.successful)
    result = RESULTS.where((moved > near_zero(u.dtype)) | away | jnp.isnan(moved), RESULTS.start_not_on_branch, result)
    result = RESULTS.where(~jnp.all(jnp.isfinite(residual)), RESULTS.nonfinite_system, result)
    return RESULTS.where((mu < lower) | (mu > upper), RESULTS.start_out_of_range, result)
