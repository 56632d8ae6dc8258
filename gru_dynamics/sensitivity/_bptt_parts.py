"""What the splits of a gradient have in common."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, ArrayTree, Float
from ..cells import AbstractCell
from ..systems import AbstractMap

Loss = Callable[[Any], Any]


class Steps(NamedTuple):
    """The steps of a run as independent calls: parameters, what is no parameter, the state before each step `(T, S)`
    and the inputs `(T, I)` or `None`."""

    parameters: ArrayTree
    rest: ArrayTree
    before: Array
    inputs: Array | None


def take_step(parameters: ArrayTree, rest: ArrayTree, state: Array, x: Array | None) -> Array:
    """One step of a cell, or of a map, which has no input."""
    system: AbstractCell | AbstractMap = eqx.combine(parameters, rest)
    return system(state, x) if isinstance(system, AbstractCell) else system(state)


def pull_back(steps: Steps, chunk: int) -> Callable[[Array], tuple[ArrayTree, Array]]:
    """The function from cotangents `(T, S)` of the states after the steps to those of the parameters, summed over the
    steps, and of the states before them `(T, S)`.

    Up to `chunk` steps are linearised once; more of them in chunks and at each call anew, so that memory does not grow
    with what the inside of a cell keeps for its derivative.
    """

    def linearise(before: Array, inputs: Array | None) -> Callable[[Array], tuple[ArrayTree, Array]]:
        def run(parameters: ArrayTree, before: Array) -> Array:
            return jax.vmap(lambda s, x: take_step(parameters, steps.rest, s, x))(before, inputs)

        return jax.vjp(run, steps.parameters, before)[1]

    length = steps.before.shape[0]
    if length <= chunk:
        return linearise(steps.before, steps.inputs)
    number = -(-length // chunk)
    # Chunks of nearly one size, so that little of the last one is padding.
    chunk = -(-length // number)

    def cut(rows: Array) -> Array:
        # A repeated state is as good as any: its cotangent is zero.
        padded = jnp.pad(rows, ((0, number * chunk - length), (0, 0)), mode="edge")
        return padded.reshape(number, chunk, rows.shape[1])

    pieces = cut(steps.before), None if steps.inputs is None else cut(steps.inputs)

    def pull(cotangent: Array) -> tuple[ArrayTree, Array]:
        extra = ((0, number * chunk - length), (0, 0))
        cut_cotangent = jnp.pad(cotangent, extra).reshape(number, chunk, cotangent.shape[1])

        def one(total: ArrayTree, piece: tuple[Array, Array | None, Array]) -> tuple[ArrayTree, Array]:
            change, back = linearise(piece[0], piece[1])(piece[2])
            return jax.tree.map(jnp.add, total, change), back

        start = jax.tree.map(jnp.zeros_like, steps.parameters)
        total, back = jax.lax.scan(one, start, (*pieces, cut_cotangent))
        return total, back.reshape(number * chunk, -1)[:length]

    return pull


def row_norms(rows: Float[Array, "*lead S"]) -> Float[Array, "*lead"]:
    """2-norms of the last axis, without underflow or overflow of the squares."""
    peak = jnp.max(jnp.abs(rows), axis=-1, keepdims=True)
    scale = jnp.where((peak > 0) & jnp.isfinite(peak), peak, 1)
    unit = rows / scale
    return scale[..., 0] * jnp.sqrt(jnp.sum(unit * unit, axis=-1))


def leaf_squares(tree: ArrayTree) -> Float[Array, " L"]:
    """Sum of squares of each of the L leaves, as one array, which compiles faster than a pytree of scalars."""
    columns = [jnp.sum(leaf * leaf, axis=tuple(range(leaf.ndim - 1))) for leaf in jax.tree.leaves(tree)]
    # XLA would merge the two sums into one over the whole matrix, which on CPU uses no vector instructions.
    return jnp.stack([jnp.sum(column) for column in jax.lax.optimization_barrier(columns)])


def flatten(tree: ArrayTree) -> Float[Array, " P"]:
    """All entries of all leaves as one vector, which compiles faster than leaf by leaf."""
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def unflatten(rows: Float[Array, "*rows P"], like: ArrayTree) -> ArrayTree:
    """The pytree like another one, with the leading axes of `rows` in front of each leaf."""
    leaves, tree = jax.tree.flatten(like)
    pieces = _split(rows, [leaf.size for leaf in leaves])
    shaped = [piece.reshape(*rows.shape[:-1], *leaf.shape) for piece, leaf in zip(pieces, leaves, strict=True)]
    return jax.tree.unflatten(tree, shaped)


def sum_leaves(vector: Float[Array, " P"], like: ArrayTree) -> Float[Array, " L"]:
    """Sum over the entries of each leaf of a flattened pytree."""
    return jnp.stack([jnp.sum(piece) for piece in _split(vector, [leaf.size for leaf in jax.tree.leaves(like)])])


def _split(rows: Array, sizes: list[int]) -> list[Array]:
    ends = itertools.accumulate(sizes)
    return [rows[..., end - size : end] for end, size in zip(ends, sizes, strict=True)]


def as_leaves(columns: Float[Array, "*rows L"], like: ArrayTree) -> ArrayTree:
    """A pytree like another one, whose leaves are the columns."""
    return jax.tree.unflatten(jax.tree.structure(like), list(jnp.moveaxis(columns, -1, 0)))
