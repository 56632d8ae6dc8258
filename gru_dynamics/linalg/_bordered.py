"""Solves with a matrix that has one row less than columns, closed by a row of choice."""

import jax
import jax.numpy as jnp

from .._types import Array, Float, Scalar
from ._small import inverse_and_sign


def solve_and_sign(M: Float[Array, "n n"], rhs: Float[Array, "n k"]) -> tuple[Float[Array, "n k"], Scalar]:
    """`X` with `M X = rhs`, and the sign of `det M`, from one factorisation: closed form for n <= 3, LU beyond.

    **Arguments:** `M`, shape `(n, n)`; `rhs`, shape `(n, k)`.

    **Returns:** `(X (n, k), sign ())`; inf or nan when `M` is singular.

    **Source:** Golub & Van Loan (2013), section 3.4.
    """
    n = M.shape[0]
    if n <= 3:
        inverse, sign = inverse_and_sign(M)
        return jnp.matmul(inverse, rhs, precision=jax.lax.Precision.HIGHEST), sign
    lu, pivots = jax.scipy.linalg.lu_factor(M, check_finite=False)
    diagonal = jnp.diag(lu)
    swaps = jnp.sum(pivots != jnp.arange(n, dtype=pivots.dtype), dtype=jnp.int32)
    negative = jnp.sum(diagonal < 0, dtype=jnp.int32)
    sign = jnp.where(jnp.any(diagonal == 0), 0, 1 - 2 * ((swaps + negative) % 2)).astype(M.dtype)
    return jax.scipy.linalg.lu_solve((lu, pivots), rhs, check_finite=False), sign
