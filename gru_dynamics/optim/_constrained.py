"""From what a model declares to one optimiser for all of it."""

from collections.abc import Hashable
from typing import Any

import jax
import optax

from .._types import Array, ArrayTree
from ..linalg import Constrained, Orthogonal
from ._neumann_cayley import neumann_cayley

_FREE = "free"


def constraint_labels(model: ArrayTree) -> ArrayTree:
    """A label for each array of a model: `"free"`, or `"orthogonal"` with what its cell declares of it.

    A field is found wherever it sits in the model, in stacks, lists and ensembles: its owner is a module with a
    `constraints` property (`linalg.Constrained`).

    **Arguments:** `model`, a pytree with arrays of any shape, for example `eqx.filter(model, eqx.is_inexact_array)`.

    **Returns:** a pytree of strings of the structure of `model`, for `optax.partition`.

    **Source:** none; names for `optax.partition`.
    """
    return jax.tree_util.tree_map_with_path(lambda path, _: _label(_constraint(model, path)), model)


def orthogonal_leaves(model: ArrayTree) -> dict[str, Array]:
    """The arrays of a model that are declared orthogonal.

    **Arguments:** `model`, a pytree.

    **Returns:** path in the model, such as `".cell.U_c"`, to array `(..., n, n)`.

    **Source:** none; see `constraint_labels`.
    """
    leaves = jax.tree_util.tree_leaves_with_path(model)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves if _constraint(model, path) is not None}


def constrained(
    inner: optax.GradientTransformation,
    model: ArrayTree,
    *,
    orthogonal: optax.GradientTransformation | None = None,
    **options: Any,
) -> optax.GradientTransformationExtraArgs:
    """One optimiser for a whole model: `neumann_cayley` for what its cells declare orthogonal, `inner` for the rest.

    **Arguments:** `inner`, any optax optimiser; `model`, a pytree with arrays of any shape, asked for what it declares;
    `orthogonal`, the optimiser of the skew matrices, by default `inner` too (with weight decay in `inner` give one
    without); `options` of `neumann_cayley`, such as `mode`, `order`, `reset_every`. The signs are those declared.

    **Returns:** an `optax.GradientTransformationExtraArgs` for `eqx.filter(model, eqx.is_inexact_array)` and any other
    pytree of its structure.

    **Raises:** `ValueError` if nothing is declared orthogonal but options for it are given; what `neumann_cayley`
    raises.

    **Source:** `optax.partition`.
    """
    found = {_constraint(model, path) for path, _ in jax.tree_util.tree_leaves_with_path(model)} - {None}
    if not found and (options or orthogonal is not None):
        raise ValueError(
            "constrained: the model declares no orthogonal matrix, so the options of orthogonal ones have no effect; "
            "use a cell that declares one, such as NCGRUCell, or neumann_cayley with optax.masked"
        )
    moved = inner if orthogonal is None else orthogonal
    transforms: dict[Hashable, optax.GradientTransformation] = {_FREE: inner}
    for constraint in found:
        if constraint is not None:
            transforms[_label(constraint)] = neumann_cayley(moved, signs=constraint.num_negative, **options)
    return optax.with_extra_args_support(optax.partition(transforms, constraint_labels))


def orthogonal_adam(
    learning_rate: optax.ScalarOrSchedule, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, **options: Any
) -> optax.GradientTransformationExtraArgs:
    """Adam for orthogonal matrices `(..., n, n)`: `neumann_cayley` around `optax.adam`.

    **Arguments:** those of `optax.adam`, which moves the skew matrices; `options` of `neumann_cayley`.

    **Returns:** an `optax.GradientTransformationExtraArgs`.

    **Raises:** what `neumann_cayley` raises.

    **Source:** Mucllari et al. (2022), section 4, where Adam moves A.
    """
    return neumann_cayley(optax.adam(learning_rate, b1, b2, eps), **options)


def _label(constraint: Orthogonal | None) -> str:
    if constraint is None:
        return _FREE
    return f"orthogonal, {constraint.num_negative} signs negative"


def _constraint(model: ArrayTree, path: tuple[Any, ...]) -> Orthogonal | None:
    """What the owner of the leaf at `path` declares of it."""
    owner = model
    for key in path[:-1]:
        owner = _child(owner, key)
    if not path or not isinstance(path[-1], jax.tree_util.GetAttrKey) or not isinstance(owner, Constrained):
        return None
    return owner.constraints.get(path[-1].name)


def _child(node: Any, key: Any) -> Any:
    match key:
        case jax.tree_util.GetAttrKey(name=name):
            return getattr(node, name)
        case jax.tree_util.SequenceKey(idx=number):
            return node[number]
        case jax.tree_util.DictKey(key=name):
            return node[name]
    # Custom nodes hide their fields, so nothing below them can be an owner.
    return None
