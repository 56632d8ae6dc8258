"""Linear solves that use a closed form for one to three unknowns.

Parameter sweeps are made of millions of tiny systems under `vmap`; there a batched LAPACK or cuSOLVER call costs far
more than the arithmetic.
"""

import jax
import jax.numpy as jnp

from .._types import Array, Float, Shaped


def solve(A: Shaped[Array, "n n"], b: Shaped[Array, " n"]) -> Shaped[Array, " n"]:
    """`x` with `A x = b`: Cramer's rule for n <= 3, LU with partial pivoting beyond.

    **Arguments:** `A`, real or complex, shape `(n, n)`; `b`, shape `(n,)`.

    **Returns:** `x`, shape `(n,)`; inf or nan when `A` is singular.

    **Source:** Golub & Van Loan (2013), section 3.4; Cramer's rule is accurate to the condition number at these sizes.
    """
    if b.size > 3:
        return jnp.linalg.solve(A, b)
    return _adjugate(A) @ b / _small_determinant(A)


def solve_spd(A: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    """`x` with `A x = b` for symmetric positive definite `A`: closed form for n <= 3, Cholesky beyond.

    **Arguments:** `A`, shape `(n, n)`; `b`, shape `(n,)`.

    **Returns:** `x`, shape `(n,)`; nan when `A` is not positive definite (n > 3).

    **Source:** Golub & Van Loan (2013), section 4.2.
    """
    if b.size > 3:
        return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(A), True), b)
    return solve(A, b)


def inverse_and_sign(A: Float[Array, "n n"]) -> tuple[Float[Array, "n n"], Float[Array, ""]]:
    """Inverse and sign of the determinant: closed form for n <= 3, from one QR factorisation beyond.

    **Arguments:** `A`, shape `(n, n)`.

    **Returns:** `(inverse (n, n), sign ())`; the inverse holds inf or nan when `A` is singular, and the sign is then 0
    or due to rounding.

    **Source:** Golub & Van Loan (2013), section 3.4.
    """
    n = A.shape[0]
    if n <= 3:
        det = _small_determinant(A)
        return _adjugate(A) / det, jnp.sign(det)
    # Householder reflectors have determinant -1; unlike the pivots of an LU factorisation they compile to little code.
    transposed, taus = jnp.linalg.qr(A, mode="raw")
    factors = transposed.T
    flips = jnp.sum(jnp.diag(factors) < 0) + jnp.sum(taus != 0)
    sign = jnp.where(jnp.any(jnp.diag(factors) == 0), 0, 1 - 2 * (flips % 2)).astype(A.dtype)
    Q = jax.lax.linalg.householder_product(factors, taus)
    return jax.lax.linalg.triangular_solve(factors, Q.T, left_side=True), sign


def _small_determinant(A: Array) -> Array:
    if A.shape[0] == 1:
        return A[0, 0]
    if A.shape[0] == 2:
        return A[0, 0] * A[1, 1] - A[0, 1] * A[1, 0]
    return jnp.sum(A[0] * jnp.cross(A[1], A[2]))


def _adjugate(A: Array) -> Array:
    if A.shape[0] == 1:
        return jnp.ones_like(A)
    if A.shape[0] == 2:
        return jnp.stack([A[1, 1], -A[0, 1], -A[1, 0], A[0, 0]]).reshape(2, 2)
    return jnp.stack([jnp.cross(A[1], A[2]), jnp.cross(A[2], A[0]), jnp.cross(A[0], A[1])], axis=1)
