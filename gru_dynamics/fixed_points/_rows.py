"""Work on the rows of a padded list that are in use, at no cost for the others."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._types import Array, Int, Shaped


def map_rows(
    function: Callable[[Array], Any],
    rows: Shaped[Array, "K ..."],
    old: Any,
    start: Int[Array, ""],
    stop: Int[Array, ""],
    block: int,
) -> Any:
    """`old` with the rows from `start` to `stop` replaced by `jax.vmap(function)(rows)`, computed `block` at a time.

    Rows of the first and last block that lie outside the range are computed too. Under `jax.vmap` the loop is as long
    as the longest range, so blocks are best small.
    """
    num = rows.shape[0]

    def pad(array: Array) -> Array:
        return jnp.pad(array, ((0, -num % block), *((0, 0) for _ in array.shape[1:])))

    padded = pad(rows)

    def body(number, out):
        new = jax.vmap(function)(jax.lax.dynamic_slice_in_dim(padded, number * block, block))
        return jax.tree.map(lambda o, n: jax.lax.dynamic_update_slice_in_dim(o, n, number * block, 0), out, new)

    out = jax.lax.fori_loop(start // block, -(-stop // block), body, jax.tree.map(pad, old))
    return jax.tree.map(lambda o: o[:num], out)


def block_size(size: int, capacity: int) -> int:
    """Rows per block: many where closed forms vectorise, few where LAPACK takes matrices one by one anyway, and one
    where a matrix of a row that is not in use would be felt."""
    return min(capacity, 64 if size <= 3 else max(1, min(8, 512 // size**2)))
