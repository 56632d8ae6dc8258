"""One loop over the work of all systems of a batch, instead of a batch of loops.

A loop under `jax.vmap` runs until its slowest member is done, and all others compute along. Here a batch is a list of
pieces of work, each of which knows the number of the member it belongs to, and the loop is as long as the list.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bool, Int


def with_members(run: Callable[..., Any], problem: Any, *arguments: Any) -> Any:
    """`run(member, *arguments)` with a leading axis of members on all arguments and results.

    `member(number)` is one problem. Outside `jax.vmap` there is one member; under `jax.vmap` over problems or arguments
    the axis of the batch becomes the axis of members, and `run` is called once for all.
    """
    arrays, static = eqx.partition(problem, eqx.is_array)

    @jax.custom_batching.custom_vmap
    def single(arrays: Any, *arguments: Any) -> Any:
        out = run(lambda _: eqx.combine(arrays, static), *jax.tree.map(lambda x: x[None], arguments))
        return jax.tree.map(lambda x: x[0], out)

    @single.def_vmap
    def batch(axis_size: int, in_batched: Any, arrays: Any, *arguments: Any) -> Any:
        batched, *others = in_batched

        def spread(x: Any, is_batched: bool) -> Any:
            return x if is_batched else jnp.broadcast_to(x[None], (axis_size, *x.shape))

        def member(number: Any) -> Any:
            picked = jax.tree.map(lambda x, is_batched: x[number] if is_batched else x, arrays, batched)
            return eqx.combine(picked, static)

        out = run(member, *jax.tree.map(spread, arguments, tuple(others)))
        return out, jax.tree.map(lambda _: True, out)

    return single(arrays, *arguments)


def pack(wanted: Bool[Array, " length"]) -> tuple[Int[Array, " length"], Int[Array, ""]]:
    """Indices of the wanted entries, in their order, at the front of an array of the same length, and their number."""
    place = jnp.where(wanted, jnp.cumsum(wanted, dtype=jnp.int32) - 1, wanted.size)
    index = jnp.arange(wanted.size, dtype=jnp.int32)
    return jnp.zeros((wanted.size,), jnp.int32).at[place].set(index, mode="drop"), jnp.sum(wanted, dtype=jnp.int32)


def line_up(
    start: Int[Array, " members"], stop: Int[Array, " members"], capacity: int
) -> tuple[Int[Array, " length"], Int[Array, ""]]:
    """Indices, into the rows of all members one after the other, of the rows from `start` to `stop` of each, at the
    front of an array of `members * capacity`, and their number."""
    (members,), length = start.shape, start.size * capacity
    if members == 1:
        return start[0] + jnp.arange(length, dtype=jnp.int32), jnp.maximum(stop[0] - start[0], 0)
    row = jnp.arange(capacity, dtype=jnp.int32)[None]
    return pack(((row >= start[:, None]) & (row < stop[:, None])).reshape(length))
