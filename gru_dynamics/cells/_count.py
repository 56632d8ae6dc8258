"""How many parameters a model is free to choose."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..linalg import Constrained


def num_parameters(model: Any) -> int:
    """Number of free parameters: the size of every floating-point array, but n(n-1)/2 for an orthogonal n x n matrix.

    That is how papers on orthogonal networks match models in size. Works on shapes too, such as those of
    `jax.eval_shape`.

    **Arguments:** `model`, a cell or any pytree of cells, layers and arrays of shape `(...)`; where a part is
    `Constrained`, its orthogonal fields, `(..., n, n)`, are counted as such.

    **Returns:** the number, an `int`, shape `()`.

    **Source:** Mucllari et al. (2022), section 4 (parameter matching); dimension of the orthogonal group.
    """
    if isinstance(model, jax.Array | np.ndarray | jax.ShapeDtypeStruct):
        return math.prod(model.shape) if jnp.issubdtype(model.dtype, jnp.inexact) else 0
    parts = jax.tree.leaves(model, is_leaf=lambda node: node is not model and isinstance(node, Constrained))
    total = sum(num_parameters(part) for part in parts if part is not model)
    if isinstance(model, Constrained):
        for name in model.constraints:
            *batch, n, _ = getattr(model, name).shape
            total -= math.prod(batch) * n * (n + 1) // 2
    return total
