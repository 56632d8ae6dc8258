"""Everything that changes while a model is trained, as one pytree."""

import contextlib
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, ArrayTree, Bool, Float, Int, Key, PRNGKey, Scalar


class TrainState(eqx.Module):
    """What one training run is, between two steps. Several runs at once have a leading axis on every leaf.

    `failed` is the number, from 1, of the step that gave a loss, gradient or update that is not finite, 0 while there
    is none. `keys` are those of data, dropout and validation. `stale` counts the validations since the best one. A run
    that failed or went stale moves no more.
    """

    params: ArrayTree
    opt_state: ArrayTree
    carry: Float[Array, "*L B S"]
    keys: Key[Array, "*L 3"]
    failed: Int[Array, "*L"]
    best: ArrayTree
    best_loss: Float[Array, "*L"]
    best_step: Int[Array, "*L"]
    stale: Int[Array, "*L"]


class Records(eqx.Module):
    """What is logged of each step of a block; `taken` says which steps were taken. Leaves `(*L, block)`."""

    loss: Float[Array, "*L N"]
    grad_norm: Float[Array, "*L N"]
    taken: Bool[Array, "*L N"]


class Program(eqx.Module):
    """What does not change: the data, the optimiser, and the static choices that make a compiled program."""

    task: Any
    optim: Any
    batch_size: int = eqx.field(static=True)
    block: int = eqx.field(static=True)
    patience: int | None = eqx.field(static=True)
    validation: Any
    validation_batches: int = eqx.field(static=True)
    lanes: bool = eqx.field(static=True)
    mesh: jax.sharding.Mesh | None = eqx.field(static=True)


def initial_state(params: ArrayTree, optimiser: Any, rest: Array, batch_size: int, key: PRNGKey, keep_best: bool):
    """State before the first step; `rest` is the model's initial state `(S,)`."""
    params = jax.tree.map(_strong, params)
    dtype = jnp.finfo(jnp.result_type(*jax.tree.leaves(params))).dtype
    with lenient_promotion():
        opt_state = jax.tree.map(_strong, optimiser.init(params))
    return TrainState(
        params=params,
        opt_state=opt_state,
        carry=jnp.broadcast_to(rest[None, :], (batch_size, rest.size)),
        keys=jr.split(key, 3),
        failed=jnp.array(0, jnp.int32),
        best=params if keep_best else None,
        best_loss=jnp.array(jnp.inf, dtype),
        best_step=jnp.array(0, jnp.int32),
        stale=jnp.array(0, jnp.int32),
    )


@contextlib.contextmanager
def lenient_promotion() -> Iterator[None]:
    """optax mixes dtypes and ranks; whoever forbids that for their own code can still train."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def is_active(state: TrainState, patience: int | None) -> Bool[Array, "*L"]:
    """Whether a run still moves."""
    fresh = state.failed == 0
    return fresh if patience is None else fresh & (state.stale < patience)


def select(chosen: Bool[Array, ""], new: ArrayTree, old: ArrayTree) -> ArrayTree:
    """`new` where `chosen`, else `old`, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(chosen, a, b), new, old)


def all_finite(*values: Scalar) -> Bool[Array, ""]:
    """Whether every scalar is finite."""
    return jnp.stack([jnp.isfinite(value) for value in values]).all()


def _strong(leaf: Any) -> Array:
    # A weakly typed leaf becomes a strong one in the first block, and the second block would compile again.
    array = jnp.asarray(leaf)
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return array
    return jax.lax.convert_element_type(array, array.dtype)
