"""Work on the rows of a padded list that are in use, at no cost for the others."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._types import Array, Int, Shaped


def map_rows(function: Callable[[Array], Any], rows: Shaped[Array, "K ..."], count: Int[Array, ""], block: int) -> Any:
    """`jax.vmap(function)(rows)` for the first `count` rows, `block` at a time; zeros in the others."""
    num = rows.shape[0]
    padding = -num % block
    padded = jnp.pad(rows, ((0, padding), *((0, 0) for _ in rows.shape[1:])))
    batched = jax.vmap(function)
    out = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(batched, padded))

    def body(number, out):
        new = batched(jax.lax.dynamic_slice_in_dim(padded, number * block, block))
        return jax.tree.map(lambda o, n: jax.lax.dynamic_update_slice_in_dim(o, n, number * block, 0), out, new)

    out = jax.lax.fori_loop(0, -(-count // block), body, out)
    return jax.tree.map(lambda o: o[:num], out)
