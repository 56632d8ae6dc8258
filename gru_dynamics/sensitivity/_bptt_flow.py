"""The gradient of a loss along a flow, split by the time at which the parameter acted."""

from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayLike, ArrayTree, Float
from ..fixed_points._precision import highest_precision
from ..systems import AbstractFlow
from ..trajectories import integrate
from ._bptt import all_finite, check_loss, check_parameters
from ._bptt_parts import Loss, as_leaves, leaf_squares, row_norms


class FlowFactors(eqx.Module):
    """The gradient of a loss of a trajectory, split over the time at which the parameter acted.

        ds/dt = f(t, s; theta)        d lambda/dt = -(df/ds)^T lambda,  lambda jumps by direct_i at each reading t_i
        dL/dtheta = integral of (df/dtheta)^T lambda dt

    **Fields** (T readings, S state variables, M nodes per interval between readings, N = T M; a pytree "like the
    gradient" has its leaves replaced):

    - `times (T,)`, `states (T, S)`: the readings. `value ()`: the loss.
    - `direct (T, S)`: the derivative of the loss in what it reads. `adjoint (T, S)`: dL/ds just before each reading,
      its own part included. `initial (S,)`: dL/ds at the start.
    - `gradient`: dL/dtheta, a pytree like the flow. `interval_norm`, like the gradient, each `(T,)`: 2-norm of what the
      interval before each reading contributes.
    - `node_time (N,)`, `node_adjoint (N, S)`: the adjoint in between, at the ends of M equal parts of each interval,
      before jumps. `density`, like the gradient, each `(N,)`: 2-norm of the density `(df/dtheta)^T lambda` there, per
      unit of time; `whole_density (N,)`: of all leaves.
    - `node_lag (N,)`, `left (N,)`: time back from the last reading, ascending from 0, and the share of its signal that
      is left there. nan when the loss does not read the last state.
    - `result`, a `RESULTS` item.

    **Source:** Pontryagin et al. (1962); Chen et al. (2018), eqs. 4 and 5.
    """

    times: Float[Array, "*batch T"]
    states: Float[Array, "*batch T S"]
    value: Float[Array, "*batch"]
    direct: Float[Array, "*batch T S"]
    adjoint: Float[Array, "*batch T S"]
    initial: Float[Array, "*batch S"]
    gradient: ArrayTree
    interval_norm: ArrayTree
    node_time: Float[Array, "*batch N"]
    node_adjoint: Float[Array, "*batch N S"]
    density: ArrayTree
    whole_density: Float[Array, "*batch N"]
    node_lag: Float[Array, "*batch N"]
    left: Float[Array, "*batch N"]
    result: RESULTS


def bptt_factors_flow(
    flow: AbstractFlow,
    state: Float[Array, " S"],
    times: Float[Array, " T"],
    loss: Loss,
    *,
    t0: ArrayLike = 0.0,
    num_nodes: int = 8,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    max_steps: int = 4096,
    throw: bool = True,
) -> FlowFactors:
    """The gradient of a loss of a trajectory, as a density over the time at which the parameter acted. It integrates to
    the gradient of autodiff through the solve, up to the tolerance of the solver.

    The trajectory is solved once and kept as an interpolation; adjoint and gradient are solved back from reading to
    reading by the same method, of order 8, so that no state is integrated against its own contraction.

    **Arguments:**

    - `flow`; its parameters are all arrays of floats, with the input and the time constant of a `CellFlow`.
    - `state`: at `t0`, `(S,)`. `times (T,)`: when the loss reads the state, ascending, after `t0`.
    - `loss`: `states (T, S) -> scalar ()`, differentiable, at module level or an `eqx.Module`.
    - `num_nodes`: M, places per interval where adjoint and density are reported.
    - `rtol`, `atol`: of the solves, both ways. `max_steps`: of each solve.
    - `throw`: raise when a solve fails or something is not finite.

    **Returns:** `FlowFactors`.

    **Raises:** `ValueError` for shapes and dtypes that do not fit, and a loss that is not a real scalar; `RuntimeError`
    for inf, nan, or spent steps (not inside `jax.jit` or `jax.vmap`).

    **Source:** Chen et al. (2018), section 2; the interpolation instead of their reverse solve as in Kim et al. (2021).
    """
    if state.ndim != 1 or not jnp.issubdtype(state.dtype, jnp.floating):
        raise ValueError(
            f"bptt_factors_flow: state must be one vector of floats, got {state.dtype} of shape {state.shape}"
        )
    if times.ndim != 1 or times.size == 0 or times.dtype != state.dtype:
        raise ValueError(
            f"bptt_factors_flow: times must be a vector (T,) of {state.dtype} with T of at least 1, got {times.dtype} "
            f"of shape {times.shape}"
        )
    start = jnp.asarray(t0, state.dtype)
    if not isinstance(start, Tracer) and not isinstance(times, Tracer):
        steps = np.diff(np.asarray(times), prepend=np.asarray(start))
        if not (steps > 0).all():
            raise ValueError("bptt_factors_flow: times must ascend from above t0")
    if num_nodes < 1 or max_steps < 1:
        raise ValueError(f"bptt_factors_flow: num_nodes and max_steps must be at least 1, got {num_nodes}, {max_steps}")
    check_parameters("bptt_factors_flow", flow)
    check_loss("bptt_factors_flow", loss, (times.size, state.size), state.dtype)
    found = _flow_factors(flow, state, start, times, loss, num_nodes, rtol, atol, max_steps)
    if throw:
        raise_failure("bptt_factors_flow", found.result)
    return found


@eqx.filter_jit
@highest_precision
def _flow_factors(
    flow: AbstractFlow,
    state: Array,
    t0: Array,
    times: Array,
    loss: Loss,
    num_nodes: int,
    rtol: float,
    atol: float,
    max_steps: int,
) -> FlowFactors:
    options: dict[str, Any] = {
        "stepsize_controller": dfx.PIDController(rtol=rtol, atol=atol),
        "max_steps": max_steps,
        "throw": False,
    }
    saveat = dfx.SaveAt(dense=True)
    path = integrate(flow, state, times[-1], t0=t0, solver=dfx.Dopri8(), saveat=saveat, **options)
    states = jax.vmap(path.evaluate)(times)
    value, direct = jax.value_and_grad(loss)(states)
    parameters, rest = eqx.partition(flow, eqx.is_inexact_array)

    def pull_back(t: Array) -> Callable[[Array], tuple[ArrayTree, Array]]:
        """From lambda to `(df/dtheta)^T lambda` and `(df/ds)^T lambda` at time t."""
        return jax.vjp(lambda p, s: eqx.combine(p, rest)(t, s), parameters, path.evaluate(t))[1]

    def slope(t: Any, y: tuple[Array, Array, ArrayTree], args: Any) -> tuple[Array, Array, ArrayTree]:
        adjoint, last, _ = y
        pull = pull_back(t)
        contribution, back = pull(adjoint)
        return -back, -pull(last)[1], jax.tree.map(jnp.negative, contribution)

    nothing = jax.tree.map(jnp.zeros_like, parameters)

    def interval(
        carry: tuple[Array, Array, ArrayTree], row: tuple[Array, Array, Array]
    ) -> tuple[tuple[Array, Array, ArrayTree], tuple[Any, ...]]:
        later, last, total = carry
        begin, end, read = row
        adjoint = later + read
        nodes = jnp.linspace(end, begin, num_nodes + 1, dtype=end.dtype)
        solved = dfx.diffeqsolve(
            dfx.ODETerm(slope), dfx.Dopri8(), end, begin, None, (adjoint, last, nothing), saveat=dfx.SaveAt(ts=nodes),
            **options,
        )  # fmt: skip
        assert solved.ys is not None
        (inside, alone, partial) = solved.ys
        change = jax.tree.map(lambda leaf: leaf[-1], partial)
        density = jax.vmap(lambda t, v: jnp.sqrt(leaf_squares(pull_back(t)(v)[0])))(nodes[:-1], inside[:-1])
        rows = (
            adjoint,
            nodes[:-1],
            inside[:-1],
            alone[:-1],
            density,
            jnp.sqrt(leaf_squares(change)),
            solved.result == _FINE,
        )
        carry = inside[-1], alone[-1], jax.tree.map(jnp.add, total, change)
        return carry, rows

    begins = jnp.concatenate([t0[None], times[:-1]])
    start = jnp.zeros_like(state), direct[-1], nothing
    (initial, _, gradient), rows = jax.lax.scan(interval, start, (begins, times, direct), reverse=True)
    adjoint, nodes, inside, alone, density, norms, solved = rows

    def flat(leaf: Array) -> Array:
        """From latest to earliest within an interval to ascending time throughout."""
        ordered = leaf[:, ::-1]
        return ordered.reshape(-1, *ordered.shape[2:])

    node_time = flat(nodes)
    density = flat(density)
    signal = row_norms(flat(alone))[::-1]
    first = row_norms(direct[-1])
    fine = jnp.all(solved) & (path.result == _FINE) & all_finite((states, value, adjoint, gradient))
    return FlowFactors(
        times,
        states,
        value,
        direct,
        adjoint,
        initial,
        gradient,
        as_leaves(norms, gradient),
        node_time,
        flat(inside),
        as_leaves(density, gradient),
        row_norms(density),
        times[-1] - node_time[::-1],
        jnp.where(first > 0, signal / jnp.where(first > 0, first, 1), jnp.nan),
        RESULTS.where(fine, RESULTS.successful, RESULTS.trajectory_exploded),
    )


_FINE = dfx.RESULTS.successful
