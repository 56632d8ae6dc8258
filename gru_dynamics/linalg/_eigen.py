"""Eigenvalues that can be differentiated, and eigenvectors on both sides."""

import jax
import jax.numpy as jnp

from .._types import Array, Complex, Float


@jax.custom_jvp
def eigenvalues(A: Float[Array, "n n"]) -> Complex[Array, " n"]:
    """Eigenvalues of a real matrix, each differentiable in `A` where it is simple.

        dlambda = l^H dA r / (l^H r)          with right and left eigenvectors r, l

    **Arguments:** `A`, shape `(n, n)`.

    **Returns:** complex `(n,)` in LAPACK's order (n <= 2: the larger real part first). Runs on CPU and GPU.

    **Source:** Magnus (1985), theorem 2.
    """
    if A.shape[0] == 1:
        return A[0].astype(_complex(A))
    if A.shape[0] == 2:
        return _eigenvalues_2x2(A)
    return jnp.linalg.eigvals(A)


@eigenvalues.defjvp
def _eigenvalues_jvp(primals, tangents):
    (A,), (dA,) = primals, tangents
    values, right, left = eigensystem(A)
    change = jnp.einsum("ki,ij,jk->k", left, dA.astype(left.dtype), right, precision=jax.lax.Precision.HIGHEST)
    return values, change


def eigensystem(
    A: Float[Array, "n n"],
) -> tuple[Complex[Array, " n"], Complex[Array, "n n"], Complex[Array, "n n"]]:
    """Eigenvalues with right and left eigenvectors, `A R = R diag(values)` and `L A = diag(values) L`, `L R = I`.

    **Arguments:** `A`, shape `(n, n)`, diagonalisable.

    **Returns:** `(values (n,), R (n, n), L (n, n))`, complex, in the order of `eigenvalues`. Columns of `R` have unit
    2-norm; rows of `L` are scaled so that `L R = I`. For a defective matrix `L` holds inf or nan.

    **Source:** Golub & Van Loan (2013), section 7.1.
    """
    values, right = jnp.linalg.eig(A)
    if A.shape[0] <= 2:
        order = jnp.lexsort((-values.imag, -values.real))
        values, right = values[order], right[:, order]
    return values, right, jnp.linalg.inv(right)


def _complex(A: Array) -> jnp.dtype:
    return jnp.dtype(jnp.complex128 if A.dtype == jnp.float64 else jnp.complex64)


def _eigenvalues_2x2(A: Array) -> Array:
    half_trace, half_gap = (A[0, 0] + A[1, 1]) / 2, (A[0, 0] - A[1, 1]) / 2
    # (trace/2)^2 - det without its cancellation
    discriminant = half_gap * half_gap + A[0, 1] * A[1, 0]
    root = jnp.sqrt(jnp.abs(discriminant))
    real = jnp.where(discriminant >= 0, root, 0)
    imaginary = jnp.where(discriminant >= 0, 0, root)
    return jnp.stack([jax.lax.complex(half_trace + real, imaginary), jax.lax.complex(half_trace - real, -imaginary)])
