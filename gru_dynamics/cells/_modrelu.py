"""The activation of orthogonal networks."""

import jax.numpy as jnp

from .._types import Array, Float


def modrelu(x: Float[Array, "*shape"], b: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """modReLU: keeps the sign and moves the magnitude by a bias, `sgn(x) relu(|x| + b)`.

    Computed as `x + b sgn(x)` where `|x| + b >= 0`, else 0, so that the derivative in x is 1 or 0 everywhere and b = 0
    is the identity, also at x = 0. It is odd and unbounded. For b < 0 it has a dead zone `|x| < -b`, where its
    derivatives vanish; for b > 0 it jumps by 2b at x = 0, where the value is 0 and the derivative is by convention the
    slope 1 of both sides: an analysis of a state with x = 0 does not see the jump.

    **Shapes:** `x` and the bias `b` alike, `(...)`, elementwise.

    **Returns:** array of the shape of `x`.

    **Source:** Arjovsky, Shah, Bengio (2016), eq. 8, for real numbers; Mucllari et al. (2022), eq. 20.
    """
    return jnp.where(jnp.abs(x) + b < 0, jnp.zeros_like(x), x + b * jnp.sign(x))


def modrelu_slope(x: Float[Array, "*shape"], b: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Derivative of `modrelu` in x, as autodiff has it: 1 where it is active, else 0."""
    return jnp.where(jnp.abs(x) + b < 0, jnp.zeros_like(x), jnp.ones_like(x))
