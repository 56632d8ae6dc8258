"""Systems that depend on parameters."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._types import Array, ArrayTree
from ._base import AbstractSystem


class AbstractFamily(eqx.Module):
    """A function from parameters to systems: `family(mu) -> system`, with `family.mu` the present parameters.

    **Shapes:** `mu` `()` for one parameter, `(P,)` for P scalar parameters, else the shape of the varied leaf.

    **Source:** Kuznetsov (2004), section 2.1.
    """

    @property
    @abc.abstractmethod
    def mu(self) -> Array:
        """Parameters of the stored system."""

    @abc.abstractmethod
    def __call__(self, mu: Any) -> AbstractSystem:
        """The member of the family at `mu`."""


class Family(AbstractFamily):
    """The systems that come from one by changing a leaf, an element of a leaf, or several of these.

    **Fields:**

    - `system`: the system to start from; all that is not varied is kept.
    - `where`: `system -> leaf`, or `system -> (leaf, leaf, ...)` for several parameters.
    - `index`: element of the leaf to vary, an integer or a tuple of integers; `None` varies the whole leaf. For several
      leaves a sequence with one entry each, or `None` for all whole.

    **Shapes:** one leaf: `mu` has the shape of what is varied, `()` for an element. Several: all must be scalar and
    `mu` has shape `(P,)`.

    **Raises:** `ValueError` when several non-scalar leaves are asked for, or the number of indices does not match.

    Define `where` at module level (not as a new lambda in every call): a new function means a new compilation.

    **Source:** Kuznetsov (2004), section 2.1; the `where` convention is that of `equinox.tree_at`.
    """

    system: AbstractSystem
    where: Callable[[Any], Any]
    index: Any = eqx.field(static=True)

    def __init__(
        self,
        system: AbstractSystem,
        where: Callable[[Any], Any],
        index: int | tuple[int, ...] | Sequence[int | tuple[int, ...] | None] | None = None,
    ):
        self.system, self.where = system, where
        leaves = where(system)
        if isinstance(leaves, tuple | list):
            given = [None] * len(leaves) if index is None else list(index)  # pyright: ignore[reportArgumentType]
            if len(given) != len(leaves):
                raise ValueError(f"Family: {len(leaves)} leaves but {len(given)} indices")
            self.index = tuple(given)
            for leaf, entry in zip(leaves, given, strict=True):
                _check_index(leaf, entry)
            shapes = [jnp.shape(_element(leaf, i)) for leaf, i in zip(leaves, given, strict=True)]
            if any(shape != () for shape in shapes):
                raise ValueError(f"Family: several parameters must each be a scalar, got shapes {shapes}; give `index`")
        else:
            self.index = tuple(index) if isinstance(index, list) else index
            _check_index(leaves, self.index)

    @property
    def mu(self) -> Array:
        leaves = self.where(self.system)
        if isinstance(leaves, tuple | list):
            return jnp.stack([jnp.asarray(_element(leaf, i)) for leaf, i in zip(leaves, self.index, strict=True)])
        return jnp.asarray(_element(leaves, self.index))

    def __call__(self, mu: Any) -> AbstractSystem:
        """The system with the parameters replaced by `mu`."""
        leaves = self.where(self.system)
        if isinstance(leaves, tuple | list):
            if len(mu) != len(leaves):
                raise ValueError(f"Family: expected {len(leaves)} parameters, got {len(mu)}")
            # Two parameters may be elements of one leaf.
            first = [next(k for k, other in enumerate(leaves) if other is leaf) for leaf in leaves]
            new = dict(zip(first, (leaves[k] for k in first), strict=True))
            for k, i, m in zip(first, self.index, mu, strict=True):
                new[k] = _replace(new[k], i, m)
            return eqx.tree_at(
                lambda system: tuple(self.where(system)[k] for k in new), self.system, tuple(new.values())
            )
        return eqx.tree_at(self.where, self.system, _replace(leaves, self.index, mu))


class FunctionFamily(AbstractFamily):
    """The family `mu -> function(system, mu)` of a user function, for parameters that enter in any other way.

    **Fields:** `function`, of a system and `mu`; `system`, its first argument; `value`, the present parameters.

    **Shapes:** `mu` of any shape that the function takes; `()` for one parameter.

    **Source:** Kuznetsov (2004), section 2.1.
    """

    function: Callable[[Any, Any], AbstractSystem]
    system: ArrayTree
    value: Array

    def __init__(self, function: Callable[[Any, Any], AbstractSystem], system: ArrayTree, value: Any):
        self.function, self.system, self.value = function, system, jnp.asarray(value, jnp.zeros(()).dtype)

    @property
    def mu(self) -> Array:
        return self.value

    def __call__(self, mu: Any) -> AbstractSystem:
        """`function(system, mu)`."""
        return self.function(self.system, mu)


def _check_index(leaf: Any, index: Any) -> None:
    """JAX clamps an index that is out of range; NumPy does not."""
    try:
        np.empty(jnp.shape(leaf))[() if index is None else index]
    except IndexError as error:
        raise ValueError(f"Family: index {index} is out of range for a leaf of shape {jnp.shape(leaf)}") from error


def _element(leaf: Any, index: Any) -> Any:
    return leaf if index is None else leaf[index]


def _replace(leaf: Any, index: Any, value: Any) -> Any:
    """A new leaf of the same dtype; a Python number becomes an array, since `mu` may be traced."""
    array = jnp.asarray(leaf)
    value = jnp.asarray(value, array.dtype)
    if index is not None:
        return array.at[index].set(value)
    if value.shape != array.shape:
        raise ValueError(f"Family: the varied leaf has shape {array.shape}, got a parameter of shape {value.shape}")
    return value
