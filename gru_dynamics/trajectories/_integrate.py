"""Solve the differential equation of a flow."""

from typing import Any

import diffrax as dfx
import jax.numpy as jnp

from .._types import Array, ArrayLike, Float
from ..systems import AbstractFlow


def integrate(
    flow: AbstractFlow,
    state: Float[Array, " S"],
    t1: ArrayLike,
    *,
    t0: ArrayLike = 0.0,
    dt0: ArrayLike | None = None,
    solver: dfx.AbstractSolver = dfx.Tsit5(),  # noqa: B008
    saveat: dfx.SaveAt = dfx.SaveAt(t1=True),  # noqa: B008
    stepsize_controller: dfx.AbstractStepSizeController | None = None,
    adjoint: dfx.AbstractAdjoint = dfx.RecursiveCheckpointAdjoint(),  # noqa: B008
    event: dfx.Event | None = None,
    args: Any = None,
    max_steps: int | None = 16**4,
    throw: bool = True,
) -> dfx.Solution:
    """Trajectory of a flow from `state` at `t0` to `t1`, by diffrax.

    **Arguments:**

    - `flow`; `state`, shape `(S,)`; `t0`, `t1`, scalars in units of the flow's time constant.
    - `dt0`: first step, or the step itself with `diffrax.ConstantStepSize()`.
    - `solver`, `saveat`, `stepsize_controller`, `adjoint`, `event`: passed to diffrax. The default controller keeps
      the error at 1e-9 relative, 1e-11 absolute (1e-5, 1e-7 in float32). `saveat=diffrax.SaveAt(dense=True)` gives an
      interpolation, `SaveAt(ts=...)` states at given times, `SaveAt(steps=True)` all steps. To take gradients of a
      period or a return map under Newton's method use `diffrax.DirectAdjoint()`.
    - `args`: replaces the parameters of a `FunctionFlow`.
    - `max_steps`, `throw`: as in diffrax.

    **Returns:** a `diffrax.Solution` with `ts (N,)`, `ys (N, S)`, `result`, `stats`, and the interpolation if asked
    for.

    **Raises:** `ValueError` when `state` is not one vector; a runtime error from diffrax when `throw` and the solver
    fails.

    **Source:** Tsitouras (2011) for the default solver.
    """
    if state.ndim != 1:
        raise ValueError(f"integrate: state must be one vector, got shape {state.shape}; use jax.vmap for batches.")
    if stepsize_controller is None:
        double = state.dtype == jnp.float64
        stepsize_controller = dfx.PIDController(rtol=1e-9 if double else 1e-5, atol=1e-11 if double else 1e-7)
    t0, t1 = jnp.asarray(t0, state.dtype), jnp.asarray(t1, state.dtype)
    return dfx.diffeqsolve(
        dfx.ODETerm(flow),
        solver,
        t0,
        t1,
        None if dt0 is None else jnp.asarray(dt0, state.dtype),
        state,
        args,
        saveat=saveat,
        stepsize_controller=stepsize_controller,
        adjoint=adjoint,
        event=event,
        max_steps=max_steps,
        throw=throw,
    )
