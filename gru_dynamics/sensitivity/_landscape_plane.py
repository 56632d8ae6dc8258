"""A plane through the parameters of a model."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, ArrayTree, Float
from ..systems._family import _check_index, _element, _replace

Where = Callable[[Any], Sequence[Any]]
Index = int | tuple[int, ...] | None


class AbstractPlane(eqx.Module):
    """The models `plane((x, y))`."""

    @property
    @abc.abstractmethod
    def dtype(self) -> jnp.dtype:
        """Of the coordinates."""

    @abc.abstractmethod
    def __call__(self, point: Float[Array, "2"]) -> ArrayTree:
        """The model at a point."""


class Entries(AbstractPlane):
    """Two scalar entries of the model take the values x and y."""

    model: ArrayTree
    where: Where
    index: tuple[Index, Index] = eqx.field(static=True)

    def __init__(self, model: ArrayTree, where: Where, index: Sequence[Index] | None):
        leaves = where(model)
        if not isinstance(leaves, tuple | list) or len(leaves) != 2:
            raise ValueError("loss_landscape: `where` must return two leaves, as in lambda m: (m.cell.b_z, m.cell.b_c)")
        given = (None, None) if index is None else tuple(index)
        if len(given) != 2:
            raise ValueError(f"loss_landscape: `index` needs one entry for each of the two leaves, got {len(given)}")
        for leaf, entry in zip(leaves, given, strict=True):
            if not eqx.is_inexact_array(leaf) or jnp.iscomplexobj(leaf):
                raise ValueError(f"loss_landscape: `where` must return arrays of real floats, got {leaf!r}")
            _check_index(leaf, entry)
            if jnp.shape(_element(leaf, entry)) != ():
                shape = jnp.shape(leaf)
                raise ValueError(f"loss_landscape: {entry} of a leaf of shape {shape} is no scalar; give `index`")
        if leaves[0] is leaves[1] and given[0] == given[1]:
            raise ValueError("loss_landscape: x and y are the same entry; choose two")
        self.model, self.where, self.index = model, where, given

    @property
    def dtype(self) -> jnp.dtype:
        return jnp.result_type(*self.where(self.model))

    def __call__(self, point: Float[Array, "2"]) -> ArrayTree:
        model = self.model
        # One after the other, since both may be entries of one leaf.
        for number, entry in enumerate(self.index):

            def pick(model: ArrayTree, number: int = number) -> Any:
                return self.where(model)[number]

            model = eqx.tree_at(pick, model, _replace(pick(model), entry, point[number]))
        return model


class Directions(AbstractPlane):
    """`model + x first + y second`."""

    model: ArrayTree
    first: ArrayTree
    second: ArrayTree

    def __init__(self, model: ArrayTree, directions: Sequence[ArrayTree]):
        if len(directions) != 2:
            raise ValueError(f"loss_landscape: `directions` are two pytrees like the model, got {len(directions)}")
        self.model = model
        self.first, self.second = (_like(model, direction) for direction in directions)

    @property
    def dtype(self) -> jnp.dtype:
        return jnp.result_type(*jax.tree.leaves((self.first, self.second)))

    def __call__(self, point: Float[Array, "2"]) -> ArrayTree:
        model = self.model
        for coordinate, direction in zip(point, (self.first, self.second), strict=True):
            step = jax.tree.map(lambda leaf, c=coordinate: c.astype(leaf.dtype) * leaf, direction)
            model = eqx.apply_updates(model, step)
        return model


def _like(model: ArrayTree, direction: ArrayTree) -> ArrayTree:
    """The floating-point leaves of a direction, each of the shape and dtype of its leaf of the model; a direction may
    leave leaves out as `None`."""
    direction = eqx.filter(direction, eqx.is_inexact_array)

    def fit(step: Array | None, leaf: Any) -> Array | None:
        if step is None:
            return None
        if not eqx.is_inexact_array(leaf) or step.shape != leaf.shape:
            found = f"{step.shape} for a leaf of shape {jnp.shape(leaf)}"
            raise ValueError(f"loss_landscape: a direction has a leaf of shape {found}; make it from the model")
        return step.astype(leaf.dtype)

    fitted = jax.tree.map(fit, direction, model, is_leaf=lambda leaf: leaf is None)
    if not jax.tree.leaves(fitted):
        raise ValueError("loss_landscape: a direction holds no arrays of floats; make it from the model")
    return fitted
