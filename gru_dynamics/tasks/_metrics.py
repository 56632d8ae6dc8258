"""Losses and metrics as weighted means. Everything takes the dtype of the outputs."""

import jax
import jax.numpy as jnp

from .._types import Array, Float, Int, Scalar, Shaped


def weighted_mean(values: Float[Array, "*shape"], weights: Float[Array, "*shape"]) -> Scalar:
    """`sum w v / sum w` over the values that count (w > 0), whatever the others are, and 0 when none does.

    **Arguments:** `values` and `weights`, of one shape `(...)`.

    **Returns:** a scalar `()`.

    **Source:** definition.
    """
    weights = weights.astype(values.dtype)
    total = jnp.sum(weights)
    counted = jnp.where(weights > 0, values, 0)
    return jnp.sum(weights * counted) / jnp.where(total > 0, total, 1)


def mean_squared_error(
    outputs: Float[Array, "*shape"], targets: Shaped[Array, "*shape"], weights: Float[Array, "*shape"]
) -> Scalar:
    """`mean (y - t)^2` with weights.

    **Arguments:** `outputs` y, `targets` t and `weights`, of one shape `(...)`.

    **Returns:** a scalar `()`.

    **Source:** definition.
    """
    return weighted_mean((outputs - targets.astype(outputs.dtype)) ** 2, weights)


def cross_entropy(
    logits: Float[Array, "*shape C"], targets: Int[Array, "*shape"], weights: Float[Array, "*shape"]
) -> Scalar:
    """`mean (log sum_c exp y_c - y_t)` in nats: the negative log-probability of the right class among C.

    **Arguments:** `logits` y `(..., C)`; `targets` t `(...)`, classes 0 to C - 1; `weights` `(...)`.

    **Returns:** a scalar `()`.

    **Source:** definition.
    """
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return weighted_mean(jax.nn.logsumexp(logits, axis=-1) - chosen, weights)


def accuracy(
    logits: Float[Array, "*shape C"], targets: Int[Array, "*shape"], weights: Float[Array, "*shape"]
) -> Scalar:
    """Share of the targets that have the largest logit; of equal logits the first counts.

    **Arguments:** `logits` `(..., C)`; `targets` `(...)`, classes 0 to C - 1; `weights` `(...)`.

    **Returns:** a scalar `()` in [0, 1].

    **Source:** definition.
    """
    right = jnp.argmax(logits, axis=-1).astype(targets.dtype) == targets
    return weighted_mean(right.astype(logits.dtype), weights)


def bernoulli_nll(
    logits: Float[Array, "*shape K"], targets: Shaped[Array, "*shape K"], weights: Float[Array, "*shape"]
) -> Scalar:
    """`mean sum_k (log(1 + exp y_k) - t_k y_k)` in nats: negative log-probability of K independent on-off targets.

    **Arguments:** `logits` y `(..., K)`; `targets` t `(..., K)`, 0 or 1; `weights` `(...)`.

    **Returns:** a scalar `()`, summed over the K and averaged over the rest.

    **Source:** Boulanger-Lewandowski, Bengio, Vincent (2012), the log-likelihood per time step of a piano roll.
    """
    each = jax.nn.softplus(logits) - targets.astype(logits.dtype) * logits
    return weighted_mean(jnp.sum(each, axis=-1), weights)


def bits_per_character(cross_entropy: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`cross_entropy / ln 2`: nats to bits.

    **Arguments:** `cross_entropy` in nats per character, shape `(...)`.

    **Returns:** bits per character, the same shape.

    **Source:** definition.
    """
    return cross_entropy / jnp.log(jnp.asarray(2, cross_entropy.dtype))


def perplexity(cross_entropy: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`exp(cross_entropy)`. Average the cross-entropy first: perplexities do not average.

    **Arguments:** `cross_entropy` in nats per word, shape `(...)`.

    **Returns:** perplexity, the same shape.

    **Source:** definition.
    """
    return jnp.exp(cross_entropy)
