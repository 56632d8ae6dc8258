"""One decision for a whole batch of matrices."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._types import Array, Inexact


def as_one_batch(function: Callable[..., Any], batch: tuple[int, ...], *arrays: Inexact[Array, "..."] | Array) -> Any:
    """A function of arrays `(B, ...)`, applied to arrays `(*batch, ...)`; `jax.vmap` makes the axis B longer.

    So a branch that no matrix of the batch needs is not taken; with `lax.cond` alone it would become a select, and both
    sides would be computed for all.

    **Arguments:** `function`, of arrays that share a leading axis, returning a pytree of such arrays; `batch`, the
    leading axes; `arrays`, shapes `(*batch, ...)`.

    **Returns:** the pytree, its leaves of shape `(*batch, ...)`.

    **Source:** `jax.custom_batching.custom_vmap`.
    """
    call = jax.custom_batching.custom_vmap(function)

    @call.def_vmap
    def _(axis_size: int, in_batched: Any, *arguments: Array) -> Any:
        full = [
            x if is_batched else jnp.broadcast_to(x[None], (axis_size, *x.shape))
            for x, is_batched in zip(arguments, in_batched, strict=True)
        ]
        out = as_one_batch(function, full[0].shape[:2], *full)
        return out, jax.tree.map(lambda _: True, out)

    size = math.prod(batch)
    out = call(*(x.reshape(size, *x.shape[len(batch) :]) for x in arrays))
    return jax.tree.map(lambda x: x.reshape(*batch, *x.shape[1:]), out)
