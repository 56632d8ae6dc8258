"""Linear solves that use a closed form for one to three unknowns.

Parameter sweeps are made of millions of tiny systems under `vmap`; there a batched LAPACK or cuSOLVER call costs far
more than the arithmetic.
"""

import jax
import jax.numpy as jnp

from .._types import Array, Float


def solve(A: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    """`x` with `A x = b`: Cramer's rule for n <= 3, LU with partial pivoting beyond.

    **Arguments:** `A`, shape `(n, n)`; `b`, shape `(n,)`.

    **Returns:** `x`, shape `(n,)`; inf or nan when `A` is singular.

    **Source:** Golub & Van Loan (2013), section 3.4; Cramer's rule is accurate to the condition number at these sizes.
    """
    if b.size > 3:
        return jnp.linalg.solve(A, b)
    return _adjugate(A) @ b / determinant(A)


def solve_spd(A: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    """`x` with `A x = b` for symmetric positive definite `A`: closed form for n <= 3, Cholesky beyond.

    **Arguments:** `A`, shape `(n, n)`; `b`, shape `(n,)`.

    **Returns:** `x`, shape `(n,)`; nan when `A` is not positive definite (n > 3).

    **Source:** Golub & Van Loan (2013), section 4.2.
    """
    if b.size > 3:
        return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(A), True), b)
    return solve(A, b)


def determinant(A: Float[Array, "n n"]) -> Float[Array, ""]:
    """Determinant of an `(n, n)` matrix: closed form for n <= 3, LU beyond.

    **Returns:** scalar, shape `()`.

    **Source:** Golub & Van Loan (2013), section 3.2.
    """
    if A.shape[0] == 1:
        return A[0, 0]
    if A.shape[0] == 2:
        return A[0, 0] * A[1, 1] - A[0, 1] * A[1, 0]
    if A.shape[0] == 3:
        return jnp.sum(A[0] * jnp.cross(A[1], A[2]))
    return jnp.linalg.det(A)


def inverse(A: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Inverse of an `(n, n)` matrix: adjugate over determinant for n <= 3, LU beyond; inf or nan when singular.

    **Returns:** matrix of shape `(n, n)`.

    **Source:** Golub & Van Loan (2013), section 3.4.
    """
    return jnp.linalg.inv(A) if A.shape[0] > 3 else _adjugate(A) / determinant(A)


def _adjugate(A: Array) -> Array:
    if A.shape[0] == 1:
        return jnp.ones_like(A)
    if A.shape[0] == 2:
        return jnp.stack([A[1, 1], -A[0, 1], -A[1, 0], A[0, 0]]).reshape(2, 2)
    return jnp.stack([jnp.cross(A[1], A[2]), jnp.cross(A[2], A[0]), jnp.cross(A[0], A[1])], axis=1)
