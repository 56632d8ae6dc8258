"""One batch: drawn, laid over the devices, and run through the model."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .._types import Array, ArrayTree, PRNGKey
from ._state import TrainState


def draw(task: Any, key: PRNGKey, step: Array, batch_size: int, dtype: jnp.dtype, mesh: Mesh | None) -> Any:
    """Batch number `step`, with its reals in the dtype of the model and its sequences spread over the mesh."""
    batch = task.batch(key, step, batch_size)

    def place(leaf: Array) -> Array:
        leaf = leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
        spread = leaf.ndim > 0 and leaf.shape[0] == batch_size
        return split(leaf, mesh) if spread else leaf

    return jax.tree.map(place, batch)


def forward(model: Any, inputs: Array, carry: Array, key: PRNGKey | None) -> tuple[Array, Array]:
    """Outputs `(B, T, O)` and last states `(B, S)`."""
    keys = None if key is None else jr.split(key, inputs.shape[0])
    return jax.vmap(lambda x, state, key: model(x, state, key=key))(inputs, carry, keys)


def restart(task: Any, batch: Any, carry: Array, rest: Array) -> Array:
    """The states `(B, S)` before a batch: those after the last one where a task continues, else at rest."""
    fresh = jnp.broadcast_to(rest[None, :], carry.shape)
    return jnp.where(batch.start, fresh, carry) if task.carries_state else fresh


def split(leaf: Array, mesh: Mesh | None) -> Array:
    """The first axis over the first axis of the mesh."""
    if mesh is None:
        return leaf
    return jax.lax.with_sharding_constraint(leaf, NamedSharding(mesh, PartitionSpec(mesh.axis_names[0])))


def replicated(tree: ArrayTree, mesh: Mesh | None) -> ArrayTree:
    """The same values on every device of the mesh."""
    if mesh is None:
        return tree
    sharding = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, sharding), tree)


@eqx.filter_jit
def spread_out(tree: ArrayTree, mesh: Mesh) -> ArrayTree:
    """`replicated` from outside jit; also makes every device of every process hold values that were split."""
    return replicated(tree, mesh)


def place(tree: ArrayTree, mesh: Mesh | None, *axes: str) -> ArrayTree:
    """Arrays, whole in each process, onto all devices of the mesh: copied, or with the first axis split over `axes`."""
    if mesh is None:
        return tree
    sharding = NamedSharding(mesh, PartitionSpec(*axes))
    return jax.tree.map(lambda leaf: _put(leaf, sharding) if eqx.is_array(leaf) else leaf, tree)


def place_state(state: TrainState, mesh: Mesh | None) -> TrainState:
    """`place`, with the carried states of the sequences spread out as the sequences are."""
    if mesh is None:
        return state
    carry = place(state.carry, mesh, mesh.axis_names[0])
    return eqx.tree_at(lambda state: state.carry, place(state, mesh), carry)


def _put(leaf: Array, sharding: NamedSharding) -> Array:
    # `jax.device_put` does not reach the devices of other processes from arrays that are committed to a device.
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jr.wrap_key_data(_put(jr.key_data(leaf), sharding), impl=jr.key_impl(leaf))
    array = np.asarray(leaf)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])
