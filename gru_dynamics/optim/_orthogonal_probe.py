"""Does an inner optimiser fit the skew matrices it is given? Two small steps tell."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from .._types import Array
from ..linalg import skew_part

_TINY = 1e-6


def check_inner(inner: optax.GradientTransformation, params: Any) -> None:
    """Raise `ValueError` for an inner optimiser that moves A without a gradient, or makes a skew gradient not skew.

    Both steps run on 3 x 3 matrices in the structure and dtypes of `params`, at once, also while `init` is traced.
    """
    with jax.ensure_compile_time_eval():
        skew = jax.tree.map(_example, params)
        state = inner.init(skew)
        still, _ = inner.update(jax.tree.map(jnp.zeros_like, skew), state, skew)
        moved, _ = inner.update(skew, state, skew)
        if any(float(jnp.max(jnp.abs(step))) > _TINY for step in jax.tree.leaves(still)):
            raise ValueError(
                "neumann_cayley: the inner optimiser moves the skew matrix where the gradient is zero, as weight decay "
                "and noise do. An orthogonal matrix has no size to decay; use the optimiser without them, for "
                "example optax.adam instead of optax.adamw"
            )
        if any(float(jnp.max(jnp.abs(step - skew_part(step)))) > _TINY for step in jax.tree.leaves(moved)):
            raise ValueError(
                "neumann_cayley: the inner optimiser makes a skew gradient not skew; use one that treats an entry and "
                "its negative alike, as optax.adam, sgd, rmsprop and muon do"
            )


def _example(matrix: Array) -> Array:
    upper = jnp.asarray([[0.0, 0.3, -0.2], [0.0, 0.0, 0.7], [0.0, 0.0, 0.0]], matrix.dtype)
    return upper - upper.T
