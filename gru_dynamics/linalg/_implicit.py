"""What was found by a loop, differentiated by the implicit function theorem instead of through the loop."""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float

T = TypeVar("T")


def freeze(tree: T) -> T:
    """Everything in it as a constant for differentiation."""
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf, tree)


def attach_root(
    function: Callable[[Array], Array], root: Float[Array, " n"], simple: Bool[Array, ""]
) -> Float[Array, " n"]:
    """`root` itself, with the derivative `d root = -(df/dx)^-1 df` in everything `function` depends on.

    Where `simple` is False, at a singular root or in padding, the derivative is zero. `lax.custom_root` instead of
    `optimistix.ImplicitAdjoint`: the root is known already and is not iterated again.
    """

    def tangent_solve(linear: Any, target: Array) -> Array:
        J = jax.vmap(linear, out_axes=1)(jnp.eye(target.size, dtype=target.dtype))
        safe = jnp.where(simple, J, jnp.eye(target.size, dtype=target.dtype))
        return jnp.where(simple, jnp.linalg.solve(safe, target), jnp.zeros_like(target))

    # A function of its own, since custom_root hashes it and bound methods of modules with arrays have no hash.
    return jax.lax.custom_root(lambda x: function(x), jax.lax.stop_gradient(root), lambda _, x: x, tangent_solve)
