"""How far the constrained matrices of a model are from what they declare to be."""

from typing import Any

import equinox as eqx
import jax

from .._types import Array, ArrayTree, Float
from ..linalg import orthogonality_error, run_after
from ..optim import orthogonal_leaves


@eqx.filter_jit
def orthogonality_drift(model: ArrayTree) -> dict[str, Float[Array, "..."]]:
    """`||W^T W - I||_2` of every matrix that a part of the model declares `Orthogonal`.

    **Arguments:** `model`, any pytree of modules; `W` of shape `(..., n, n)`.

    **Returns:** the path of each matrix, such as `cell.U_c`, with its drift, shape `(...)`.

    **Source:** the error that Mucllari et al. (2022) follow in section 3.
    """
    drifts: dict[str, Array] = {}
    for path, leaf in orthogonal_leaves(model).items():
        for before in list(drifts.values())[-1:]:
            leaf = run_after(leaf, before)
        drifts[path.lstrip(".")] = orthogonality_error(leaf)
    return drifts


def path_name(path: tuple[Any, ...]) -> str:
    """A place in a pytree as one writes it: `cell.layers[0].U_c`."""
    return jax.tree_util.keystr(path).lstrip(".")
