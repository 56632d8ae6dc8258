"""Backpropagation through time, taken apart."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayTree, Bool, Float
from ..cells import AbstractCell
from ..fixed_points._precision import highest_precision
from ..systems import AbstractFlow, AbstractMap
from ._bptt_lags import LagFactors, split_by_lag
from ._bptt_parts import Loss, Steps, as_leaves, leaf_squares, pull_back, row_norms, take_step


class BPTTFactors(eqx.Module):
    """The gradient of a loss over a sequence, split by the step at which the parameter acted, and by lag.

        s_t = F(s_{t-1}, x_t; theta)        a_t = dL/ds_t = direct_t + J_{t+1}^T a_{t+1}
        dL/dtheta = sum_t (dF/dtheta)_t^T a_t

    **Fields** (T steps, S state variables; a pytree "like the gradient" has its leaves replaced):

    - `states (T, S)`: after each step. `value ()`: the loss.
    - `direct (T, S)`: what the loss reads, its derivative in the states themselves.
    - `adjoint (T, S)`: a_t, through all later states too. `initial (S,)`: dL/ds_0.
    - `gradient`: dL/dtheta, a pytree like the cell, as of `eqx.filter_grad`.
    - `step_norm`, like the gradient, each `(T,)`: 2-norm of what step t contributes to this leaf.
      `whole_step_norm (T,)`: to all leaves together.
    - `lags`: the split by lag, a `LagFactors`, or `None`.
    - `jacobians (T, S, S)`: ds_t/ds_{t-1}, or `None`.
    - `result`, a `RESULTS` item.

    **Source:** Werbos (1990); Pascanu, Mikolov, Bengio (2013), eqs. 3-5.
    """

    states: Float[Array, "*batch T S"]
    value: Float[Array, "*batch"]
    direct: Float[Array, "*batch T S"]
    adjoint: Float[Array, "*batch T S"]
    initial: Float[Array, "*batch S"]
    gradient: ArrayTree
    step_norm: ArrayTree
    whole_step_norm: Float[Array, "*batch T"]
    lags: LagFactors | None
    jacobians: Float[Array, "*batch T S S"] | None
    result: RESULTS


def bptt_factors(
    cell: AbstractCell | AbstractMap,
    state: Float[Array, " S"],
    inputs: Float[Array, "T I"] | None,
    loss: Loss,
    *,
    num_steps: int | None = None,
    max_lag: int | None = None,
    contributions: bool = False,
    jacobians: bool = False,
    chunk: int = 128,
    throw: bool = True,
) -> BPTTFactors:
    """The gradient of a loss over a sequence, split into what each step and each lag contributes. The parts sum to the
    gradient of autodiff.

    The split by step costs about another gradient, and memory a few arrays `(T, S)`. The split by lag costs one
    backward pass per lag, all steps at once; no Jacobian is formed. Batch with `eqx.filter_vmap` and `throw=False`.

    **Arguments:**

    - `cell`: any cell, also a `StackedCell`; or a map, which takes no inputs. Its parameters are all arrays of floats.
    - `state`: before the first step, `(S,)`. `inputs (T, I)`, or `None` with `num_steps` T.
    - `loss`: `states (T, S) -> scalar ()`, differentiable; row t is the state after step t. Define it at module level,
      or make it an `eqx.Module` (which may hold a readout and targets): a new function means a new compilation.
    - `max_lag`: K, to split by the lags 0 to K - 1 too, at most T. `contributions`: keep the contribution of every lag,
      K copies of the gradient, instead of norms and angles alone.
    - `jacobians`: keep all T Jacobians, `(T, S, S)`; see `product_singular_values`.
    - `chunk`: steps that are linearised at a time, which bounds the memory for long sequences; about 100 fit the
      caches of a CPU.
    - `throw`: raise when the states, the loss or the gradient are not finite.

    **Returns:** `BPTTFactors`.

    **Raises:** `ValueError` for no steps, shapes or dtypes that do not fit, and a loss that is not a real scalar;
    `RuntimeError` for inf or nan (not inside `jax.jit` or `jax.vmap`).

    **Source:** Werbos (1990); Pascanu, Mikolov, Bengio (2013), eqs. 3-5.
    """
    inputs, length = _checked(cell, state, inputs, num_steps)
    for name, value in (("max_lag", max_lag), ("chunk", chunk)):
        if value is not None and value < 1:
            raise ValueError(f"bptt_factors: {name} must be at least 1, got {value}")
    if contributions and max_lag is None:
        raise ValueError("bptt_factors: contributions are those of the lags; give `max_lag` too")
    check_parameters("bptt_factors", cell)
    check_loss("bptt_factors", loss, (length, state.size), state.dtype)
    num_lags = None if max_lag is None else min(max_lag, length)
    found = _factors(cell, state, inputs, loss, length, num_lags, contributions, jacobians, chunk)
    if throw:
        raise_failure("bptt_factors", found.result)
    return found


def check_parameters(caller: str, system: ArrayTree) -> None:
    """`ValueError` for a system without arrays of floats."""
    if not jax.tree.leaves(eqx.filter(system, eqx.is_inexact_array)):
        raise ValueError(f"{caller}: this system has no arrays of floats to derive in; give it some, such as `args`")


def check_loss(caller: str, loss: Loss, shape: tuple[int, ...], dtype: jnp.dtype) -> None:
    """`ValueError` unless the loss of states of this shape is a real scalar."""
    found = eqx.filter_eval_shape(loss, jax.ShapeDtypeStruct(shape, dtype))
    if not isinstance(found, jax.ShapeDtypeStruct) or found.shape or not jnp.issubdtype(found.dtype, jnp.floating):
        raise ValueError(f"{caller}: `loss` must return one real scalar for states {shape}, got {found}")


def _checked(
    cell: AbstractCell | AbstractMap, state: Array, inputs: Array | None, num_steps: int | None
) -> tuple[Array | None, int]:
    if isinstance(cell, AbstractFlow):
        raise ValueError("bptt_factors: this is a flow; use bptt_factors_flow")
    if state.ndim != 1 or not jnp.issubdtype(state.dtype, jnp.floating):
        raise ValueError(f"bptt_factors: state must be one vector of floats, got {state.dtype} of shape {state.shape}")
    if inputs is None:
        if num_steps is None or num_steps < 1:
            raise ValueError(f"bptt_factors: give `inputs`, or `num_steps` of at least 1, got {num_steps}")
        return None, num_steps
    if not isinstance(cell, AbstractCell):
        raise ValueError("bptt_factors: only cells take `inputs`; give `num_steps` for a map")
    if num_steps is not None:
        raise ValueError("bptt_factors: `inputs` fix the number of steps; leave out `num_steps`")
    if inputs.ndim != 2 or inputs.shape[1] != cell.input_size or inputs.shape[0] == 0 or inputs.dtype != state.dtype:
        raise ValueError(
            f"bptt_factors: inputs must have shape (T, {cell.input_size}) with T of at least 1 and the dtype of the "
            f"state, {state.dtype}; got {inputs.dtype} of shape {inputs.shape}. Use jax.vmap for batches."
        )
    return inputs, inputs.shape[0]


@eqx.filter_jit
@highest_precision
def _factors(
    cell: AbstractCell | AbstractMap,
    state: Array,
    inputs: Array | None,
    loss: Loss,
    length: int,
    num_lags: int | None,
    keep: bool,
    jacobians: bool,
    chunk: int,
) -> BPTTFactors:
    parameters, rest = eqx.partition(cell, eqx.is_inexact_array)

    def forward(state: Array, x: Array | None) -> tuple[Array, Array]:
        after = take_step(parameters, rest, state, x)
        return after, after

    states = jax.lax.scan(forward, state, inputs, length=length)[1]
    value, direct = jax.value_and_grad(loss)(states)
    steps = Steps(parameters, rest, jnp.concatenate([state[None], states[:-1]]), inputs)

    def backward(later: Array, row: tuple[Array, Array | None, Array]) -> tuple[Array, tuple[Array, Array]]:
        before, x, read = row
        adjoint = read + later
        size = row_norms(adjoint)
        # Of a unit adjoint: the squares of a faint one would underflow.
        unit = adjoint / jnp.where(size > 0, size, 1)
        change, back = jax.vjp(lambda p, s: take_step(p, rest, s, x), parameters, before)[1](unit)
        return back * size, (adjoint, jnp.sqrt(leaf_squares(change)) * size)

    initial, rows = jax.lax.scan(backward, jnp.zeros_like(state), (steps.before, inputs, direct), reverse=True)
    adjoint, step_norm = rows
    pull = pull_back(steps, chunk)
    gradient = pull(adjoint)[0]
    lags = None if num_lags is None else split_by_lag(pull, direct, gradient, num_lags, keep)
    matrices = None
    if jacobians:
        matrices = jax.vmap(lambda s, x: _jacobian(cell, s, x))(steps.before, inputs)
    fine = jnp.all(jnp.isfinite(states))
    clean = jnp.isfinite(value) & all_finite((adjoint, gradient))
    result = RESULTS.where(clean, RESULTS.successful, RESULTS.nonfinite_loss)
    result = RESULTS.where(fine, result, RESULTS.trajectory_exploded)
    return BPTTFactors(
        states,
        value,
        direct,
        adjoint,
        initial,
        gradient,
        as_leaves(step_norm, gradient),
        row_norms(step_norm),
        lags,
        matrices,
        result,
    )


def all_finite(tree: ArrayTree) -> Bool[Array, ""]:
    """Whether no entry of any leaf is inf or nan."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


def _jacobian(cell: AbstractCell | AbstractMap, state: Array, x: Array | None) -> Array:
    return cell.jacobians(state, x)[0] if isinstance(cell, AbstractCell) else cell.jacobian(state)
