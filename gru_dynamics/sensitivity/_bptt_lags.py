"""The gradient of a sequence, split by the lag between what the loss reads and when the parameter acted."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, ArrayTree, Float
from ._bptt_parts import as_leaves, flatten, row_norms, sum_leaves, unflatten


class LagFactors(eqx.Module):
    """The gradient split by lag: the parameter acted at step t, the loss read the state of step t + k.

        Lambda_0[t] = dL/ds_t, direct       Lambda_{k+1}[t] = J_{t+1}^T Lambda_k[t+1]
        contribution of lag k = sum_t (dF/dtheta)_t^T Lambda_k[t]

    **Fields** (K lags from 0 on, T steps; a pytree "like the gradient" has its leaves replaced):

    - `signal (K, T)`: 2-norm of `Lambda_k[t]`; zero where t + k lies after the end.
    - `left (K,)`: share of the signal that is left after k steps, `|Lambda_k| / |Lambda_0|`, both 2-norms over all
      steps, the second only over what is read late enough to have a lag k. nan where nothing is read so late.
    - `norm`, like the gradient, each `(K,)`: 2-norm of the contribution of a lag to this leaf. `whole_norm (K,)`: to
      all of them.
    - `cosine`, like the gradient, each `(K,)`: of the angle between this contribution and the whole gradient of the
      leaf. `whole_cosine (K,)`: of all leaves together. nan where one of the two vanishes.
    - `contribution`, like the gradient, each `(K, ...)`: the contributions themselves, or `None`.
    - `remainder`, like the gradient: what lags K and more contribute; with K = T, rounding.

    **Source:** Pascanu, Mikolov, Bengio (2013), eqs. 3-5; Werbos (1990).
    """

    signal: Float[Array, "*batch K T"]
    left: Float[Array, "*batch K"]
    norm: ArrayTree
    whole_norm: Float[Array, "*batch K"]
    cosine: ArrayTree
    whole_cosine: Float[Array, "*batch K"]
    contribution: ArrayTree | None
    remainder: ArrayTree


def split_by_lag(
    pull: Callable[[Array], tuple[ArrayTree, Array]], direct: Array, gradient: ArrayTree, num_lags: int, keep: bool
) -> LagFactors:
    """All steps at once for each lag: O(T n^2) each, by products of vectors with Jacobians only."""

    whole = flatten(gradient)

    def one(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple[Any, ...]]:
        signal, total = carry
        norms = row_norms(signal)
        peak = jnp.max(norms)
        scale = jnp.where(peak > 0, peak, 1)
        # Of a signal of size 1: the squares in norms and products of a faint one would underflow.
        change, back = pull(signal / scale)
        unit = flatten(change)
        squares, products = (sum_leaves(unit * other, gradient) for other in (unit, whole))
        contribution = unit * scale
        earlier = jnp.concatenate([back[1:] * scale, jnp.zeros_like(back[:1])])
        return (earlier, total + contribution), (norms, scale, squares, products, contribution if keep else None)

    (_, total), rows = jax.lax.scan(one, (direct, jnp.zeros_like(whole)), None, length=num_lags)
    signal, scale, squares, products, contribution = rows
    unit_norm, size = jnp.sqrt(squares), jnp.sqrt(sum_leaves(whole * whole, gradient))
    norm = unit_norm * scale[:, None]
    return LagFactors(
        signal,
        _left(signal),
        as_leaves(norm, gradient),
        row_norms(norm),
        as_leaves(_cosine(products, unit_norm * size[None]), gradient),
        _cosine(jnp.sum(products, axis=1), row_norms(unit_norm) * row_norms(size)),
        None if contribution is None else unflatten(contribution, gradient),
        unflatten(whole - total, gradient),
    )


def _cosine(product: Array, sizes: Array) -> Array:
    return jnp.where(sizes > 0, product / jnp.where(sizes > 0, sizes, 1), jnp.nan)


def _left(signal: Array) -> Array:
    """`|Lambda_k| / |Lambda_0|`, the second over the readings that have a lag k."""
    number = signal.shape[0]
    read = signal[0]
    peak = jnp.max(read)
    unit = read / jnp.where(peak > 0, peak, 1)
    # Of the readings at step k and later, for k = 0, 1, ...
    late = jnp.sqrt(jnp.cumsum((unit * unit)[::-1])[::-1])[:number] * peak
    return jnp.where(late > 0, row_norms(signal) / jnp.where(late > 0, late, 1), jnp.nan)
