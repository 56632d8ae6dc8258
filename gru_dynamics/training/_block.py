"""A block of training steps inside one compiled loop."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from .._types import Array, ArrayTree, Int
from ._batch import draw, forward, replicated, restart, split
from ._state import Program, Records, TrainState, all_finite, is_active, lenient_promotion, select


@eqx.filter_jit
def train_block(
    state: TrainState,
    frozen: ArrayTree,
    hyper: Any,
    program: Program,
    first: Int[Array | np.ndarray, ""],
    count: Int[Array | np.ndarray, ""],
) -> tuple[TrainState, Records]:
    """Steps `first + 1 ... first + count` (`count <= program.block`), for one run or for all lanes.

    `count` is data, so that a short last block is the same compiled program. The state is not donated: an interrupted
    call must leave it whole. Inside the loop it is updated in place anyway.
    """

    def run(state: TrainState, frozen: ArrayTree, hyper: Any) -> tuple[TrainState, Records]:
        return _run(state, frozen, hyper, program, first, count)

    if program.lanes:
        return eqx.filter_vmap(run)(state, frozen, hyper)
    return run(state, frozen, hyper)


def _run(
    state: TrainState, frozen: ArrayTree, hyper: Any, program: Program, first: Any, count: Any
) -> tuple[TrainState, Records]:
    optim = optimiser(program.optim, hyper)
    dtype = state.best_loss.dtype
    nothing = jnp.full((program.block,), jnp.nan, dtype)
    records = Records(nothing, nothing, jnp.zeros((program.block,), bool))

    def body(i: Array, carry: tuple[TrainState, Records]) -> tuple[TrainState, Records]:
        state, records = carry
        state, *new = _step(state, frozen, optim, program, first + i)
        old, tree = jax.tree.flatten(records)
        return state, jax.tree.unflatten(tree, [a.at[i].set(b) for a, b in zip(old, new, strict=True)])

    state, records = jax.lax.fori_loop(0, count, body, (state, records))
    return state, replicated(records, program.mesh)


def _step(
    state: TrainState, frozen: ArrayTree, optim: optax.GradientTransformationExtraArgs, program: Program, step: Array
) -> tuple[TrainState, Array, Array, Array]:
    """One step, taken only where everything is finite and the run is still active."""
    dtype = state.best_loss.dtype
    batch = draw(program.task, state.keys[0], step, program.batch_size, dtype, program.mesh)

    def objective(params: ArrayTree) -> tuple[Array, Array]:
        model = eqx.combine(params, frozen)
        carry = split(restart(program.task, batch, state.carry, model.initial_state()), program.mesh)
        outputs, carry = forward(model, batch.inputs, carry, jr.fold_in(state.keys[1], step))
        return program.task.loss(outputs, batch).astype(dtype), carry

    (loss, carry), grads = jax.value_and_grad(objective, has_aux=True)(state.params)
    grads = replicated(grads, program.mesh)
    grad_norm = _norm(grads, dtype)
    with lenient_promotion():
        updates, opt_state = optim.update(grads, state.opt_state, state.params, value=loss)
        params = optax.apply_updates(state.params, updates)
    opt_state = jax.tree.map(lambda new, old: new.astype(old.dtype), opt_state, state.opt_state)
    active = is_active(state, program.patience)
    finite = all_finite(loss, grad_norm, _norm(updates, dtype))
    taken = active & finite
    params, opt_state, carry = select(taken, (params, opt_state, carry), (state.params, state.opt_state, state.carry))
    state = dataclasses.replace(
        state,
        params=replicated(params, program.mesh),
        opt_state=replicated(opt_state, program.mesh),
        carry=split(carry, program.mesh),
        failed=jnp.where(active & ~finite, step + jnp.ones_like(step), state.failed),
    )
    missing = jnp.full_like(loss, jnp.nan)
    return state, jnp.where(active, loss, missing), jnp.where(active, grad_norm, missing), taken


def _norm(tree: ArrayTree, dtype: jnp.dtype) -> Array:
    """Euclidean norm of all entries of a pytree, which does not overflow before they do."""
    leaves = [jnp.abs(leaf).astype(dtype) for leaf in jax.tree.leaves(tree) if leaf.size]
    largest = jnp.stack([leaf.max() for leaf in leaves]).max()
    scale = jnp.where(largest > 0, largest, jnp.ones_like(largest))
    squares = [jnp.sum((leaf / scale) ** 2) for leaf in leaves]
    return scale * jnp.sqrt(jnp.stack(squares).sum())


def optimiser(optim: Any, hyper: Any) -> optax.GradientTransformationExtraArgs:
    """The transformation itself, or what the function makes of the hyper-parameters of a lane."""
    made = optim if isinstance(optim, optax.GradientTransformation) else optim(hyper)
    return optax.with_extra_args_support(made)
