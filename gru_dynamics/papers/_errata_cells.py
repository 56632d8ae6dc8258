"""Cells made of the data of a case."""

import functools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, PRNGKey
from ..cells import GRUCell, NCGRUCell


def parts(numbers: Array, **shapes: tuple[int, ...]) -> dict[str, Array]:
    """A vector cut into named arrays."""
    found, start = {}, 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        found[name] = numbers[start : start + size].reshape(shape)
        start += size
    return found


def gru(**fields: Array) -> GRUCell:
    """An autonomous GRU of the paper's form with these fields, zero where none is given."""
    return _with(_gru_template(jax.tree.leaves(fields)[0].shape[-1]), fields)


def nc_gru(**fields: Array) -> NCGRUCell:
    """An autonomous NC-GRU with these fields, zero where none is given."""
    return _with(_nc_gru_template(jax.tree.leaves(fields)[0].shape[-1]), fields)


def layer(U_c: Array, W_c: Array | None = None) -> GRUCell:
    """A GRU without biases whose gates see nothing, with an input if `W_c` is given."""
    size = 0 if W_c is None else W_c.shape[1]
    made = _with(_layer_template(size, U_c.shape[0]), {"U_c": U_c})
    return made if W_c is None else eqx.tree_at(lambda cell: cell.W_c, made, W_c)


def rotation(angle: Array) -> Array:
    """Rotation of the plane, `(2, 2)`."""
    c, s = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([c, -s]), jnp.stack([s, c])])


def _with(cell: Any, fields: dict[str, Array]) -> Any:
    names = tuple(fields)
    return eqx.tree_at(lambda cell: [getattr(cell, name) for name in names], cell, [fields[name] for name in names])


# Made of zeros once, also when first asked for inside a trace.


@functools.cache
def _gru_template(size: int) -> GRUCell:
    return _zeros(lambda key: GRUCell(0, size, key=key))


@functools.cache
def _nc_gru_template(size: int) -> NCGRUCell:
    return _zeros(lambda key: NCGRUCell(0, size, orthogonal=("r", "c"), key=key))


@functools.cache
def _layer_template(input_size: int, size: int) -> GRUCell:
    return _zeros(lambda key: GRUCell(input_size, size, use_bias=False, key=key))


def _zeros(make: Callable[[PRNGKey], Any]) -> Any:
    with jax.ensure_compile_time_eval():
        cell = eqx.filter_eval_shape(make, jr.key(0))
        return jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, jnp.float64) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf, cell
        )
