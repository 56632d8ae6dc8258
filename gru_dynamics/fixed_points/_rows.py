"""Work on the rows of a padded list that are in use, at no cost for the others."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Int, Shaped
from ._members import line_up, pack, with_members


def map_rows(
    function: Callable[[Any, Array], Any],
    problem: Any,
    rows: Shaped[Array, "K ..."],
    old: Any,
    start: Int[Array, ""],
    stop: Int[Array, ""],
    size: int,
    *,
    few: bool = False,
) -> Any:
    """`old` with the rows from `start` to `stop` replaced by `function(problem, row)`.

    `size` is the dimension of the linear algebra in `function`: rows are taken many at a time where closed forms
    vectorise, few where LAPACK takes matrices one by one anyway, and singly where a matrix too many would be felt.
    With `few`, one problem has no more than a handful of rows: outside a batch they are taken singly, which compiles
    in half the time.
    """

    def run(member: Callable[[Array], Any], rows: Array, old: Any, start: Array, stop: Array) -> Any:
        members, capacity = rows.shape[:2]
        length = members * capacity
        line, total = line_up(start, stop, capacity)
        flat = rows.reshape(length, *rows.shape[2:])
        block = min(length, 256 if size <= 3 else max(1, min(8, 512 // size**2)))

        def single(step: Array, out: Any) -> Any:
            new = function(member(jnp.zeros((), jnp.int32)), flat[line[step]])
            return jax.tree.map(lambda o, n: o.at[line[step]].set(n), out, new)

        def body(step: Array, out: Any) -> Any:
            place = step * block + jnp.arange(block, dtype=jnp.int32)
            entry = line[jnp.minimum(place, length - 1)]
            new = jax.vmap(lambda i: function(member(i // capacity), flat[i]))(entry)
            target = jnp.where(place < total, entry, length)
            return jax.tree.map(lambda o, n: o.at[target].set(n, mode="drop"), out, new)

        flattened = jax.tree.map(lambda x: x.reshape(length, *x.shape[2:]), old)
        if few and members == 1:
            done = jax.lax.fori_loop(0, total, single, flattened)
        else:
            done = jax.lax.fori_loop(0, -(-total // block), body, flattened)
        return jax.tree.map(lambda x: x.reshape(members, capacity, *x.shape[1:]), done)

    return with_members(run, problem, rows, old, start, stop)


def each_used(function: Callable[[Array], Any], used: Bool[Array, " length"], block: int) -> Any:
    """`function(place)` for the places in use, zeros elsewhere; `block` places are worked on at a time."""
    length = used.size
    block = min(block, length)
    line, total = pack(used)
    shapes = jax.eval_shape(function, jnp.zeros((), jnp.int32))
    empty = jax.tree.map(lambda leaf: jnp.zeros((length, *leaf.shape), leaf.dtype), shapes)

    def body(step: Array, out: Any) -> Any:
        number = step * block + jnp.arange(block, dtype=jnp.int32)
        place = line[jnp.minimum(number, length - 1)]
        new = jax.vmap(function)(place)
        target = jnp.where(number < total, place, length)
        return jax.tree.map(lambda o, n: o.at[target].set(n, mode="drop"), out, new)

    return jax.lax.fori_loop(0, -(-total // block), body, empty)
