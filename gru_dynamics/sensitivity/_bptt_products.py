"""How products of Jacobians stretch and squeeze a gradient."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Float
from ..fixed_points._precision import highest_precision


def product_singular_values(jacobians: Float[Array, "T S S"]) -> Float[Array, "T S"]:
    """Logarithms of the singular values of `J_T J_{T-1} ... J_{T-k+1}`, for k = 1 ... T factors.

    They say by how much the gradient of the last state shrinks or grows over k steps, direction by direction. The
    product is scaled at every step, so nothing overflows. Singular values below the rounding error of the largest,
    which no product of matrices can tell from zero, are -inf.

    **Arguments:** `jacobians (T, S, S)`, of successive steps, as in `BPTTFactors.jacobians`.

    **Returns:** natural logarithms `(T, S)`, largest first; row k - 1 belongs to k factors.

    **Source:** Pascanu, Mikolov, Bengio (2013), eq. 5; Golub & Van Loan (2013), section 2.4.
    """
    return _log_singular_values(jacobians)


@eqx.filter_jit
@highest_precision
def _log_singular_values(jacobians: Array) -> Array:
    size, dtype = jacobians.shape[-1], jacobians.dtype

    def one(carry: tuple[Array, Array], factor: Array) -> tuple[tuple[Array, Array], Array]:
        product, log_scale = carry
        product = product @ factor
        peak = jnp.max(jnp.abs(product))
        scale = jnp.where((peak > 0) & jnp.isfinite(peak), peak, 1)
        product, log_scale = product / scale, log_scale + jnp.log(scale)
        values = jnp.linalg.svd(product, compute_uv=False)
        told = values > size * jnp.finfo(dtype).eps * values[0]
        logs = jnp.where(told, jnp.log(jnp.where(told, values, 1)) + log_scale, -jnp.inf)
        return (product, log_scale), jnp.where(jnp.isfinite(peak), logs, jnp.nan)

    start = jnp.eye(size, dtype=dtype), jnp.zeros((), dtype)
    return jax.lax.scan(one, start, jacobians, reverse=True)[1][::-1]
