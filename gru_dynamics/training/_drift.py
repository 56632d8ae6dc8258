"""How far the constrained matrices of a model are from what they declare to be."""

from typing import Any

import equinox as eqx
import jax

from .._types import Array, ArrayTree, Float
from ..linalg import orthogonality_error
from ..optim import orthogonal_leaves


@eqx.filter_jit
def orthogonality_drift(model: ArrayTree) -> dict[str, Float[Array, "..."]]:
    """`||W^T W - I||_2` of every matrix that a part of the model declares `Orthogonal`.

    **Arguments:** `model`, any pytree of modules; `W` of shape `(..., n, n)`.

    **Returns:** the path of each matrix, such as `cell.U_c`, with its drift, shape `(...)`.

    **Source:** the error that Mucllari et al. (2022) follow in section 3.
    """
    return {path.lstrip("."): orthogonality_error(leaf) for path, leaf in orthogonal_leaves(model).items()}


def path_name(path: tuple[Any, ...]) -> str:
    """A place in a pytree as one writes it: `cell.layers[0].U_c`."""
    return jax.tree_util.keystr(path).lstrip(".")
