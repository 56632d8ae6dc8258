"""Confidence intervals of a share that was estimated by counting."""

import jax
import jax.numpy as jnp

from .._types import Array, ArrayLike, Float

# Halvings of [0, 1]: one more than the bits of a float64 near 1.
_HALVINGS = 54


def wilson_interval(
    count: ArrayLike, num: ArrayLike, *, level: float = 0.95
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Wilson's score interval for a share of which `count` of `num` independent draws were seen.

        (p - q)^2 = z^2 q (1 - q) / num,    p = count / num,    z the normal quantile of (1 + level) / 2

    solved for q. The coverage is `level` on average over the true share; for a share of the order of `1 / num` it can
    fall to about 84 % at level 95 %: use `clopper_pearson_interval` where that matters.

    **Arguments:** `count`, `num`, integers of any common shape; `level`, between 0 and 1.

    **Returns:** `(lower, upper)`, each of the shape of `count`; all of [0, 1] for `num = 0`.

    **Source:** Wilson (1927); Brown, Cai, DasGupta (2001), section 3.1.1 and figure 5.
    """
    k, n = _as_floats(count, num)
    z = jax.scipy.special.ndtri(jnp.asarray((1 + level) / 2, k.dtype))
    center = (k + z * z / 2) / (n + z * z)
    reach = z / (n + z * z) * jnp.sqrt(k * (n - k) / jnp.maximum(n, 1) + z * z / 4)
    # At the ends the interval is closed exactly; rounding would leave out a share of 0 or 1.
    lower = jnp.where(k == 0, 0.0, center - reach)
    upper = jnp.where(k == n, 1.0, center + reach)
    return lower, upper


def clopper_pearson_interval(
    count: ArrayLike, num: ArrayLike, *, level: float = 0.95
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Exact interval for a share of which `count` of `num` independent draws were seen: covers at least `level`.

        I_lower(count, num - count + 1) = a,    I_upper(count + 1, num - count) = 1 - a,    a = (1 - level) / 2

    with the regularised incomplete beta function I, inverted by bisection.

    **Arguments:** `count`, `num`, integers of any common shape; `level`, between 0 and 1.

    **Returns:** `(lower, upper)`, each of the shape of `count`; all of [0, 1] for `num = 0`.

    **Source:** Clopper & Pearson (1934).
    """
    k, n = _as_floats(count, num)
    tail = (1 - level) / 2
    value = jnp.stack([jnp.full_like(k, tail), jnp.full_like(k, 1 - tail)])
    first = jnp.stack([jnp.maximum(k, 1), k + 1])
    lower, upper = _inverse_beta(first, jnp.stack([n - k + 1, jnp.maximum(n - k, 1)]), value)
    return jnp.where(k == 0, 0.0, lower), jnp.where(k == n, 1.0, upper)


def _as_floats(count: ArrayLike, num: ArrayLike) -> tuple[Array, Array]:
    dtype = jnp.zeros(()).dtype
    k, n = jnp.asarray(count, dtype), jnp.asarray(num, dtype)
    shape = jnp.broadcast_shapes(k.shape, n.shape)
    return jnp.broadcast_to(k, shape), jnp.broadcast_to(n, shape)


@jax.jit
def _inverse_beta(a: Array, b: Array, value: Array) -> Array:
    """x with `I_x(a, b) = value`."""

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        lower, upper = ends
        middle = (lower + upper) / 2
        below = jax.scipy.special.betainc(a, b, middle) < value
        return jnp.where(below, middle, lower), jnp.where(below, upper, middle)

    lower, upper = jax.lax.fori_loop(0, _HALVINGS, halve, (jnp.zeros_like(a), jnp.ones_like(a)))
    return (lower + upper) / 2
