"""Orthogonal and unitary matrices in Cayley's form, and how to keep an inverse up to date under small steps.

All functions take batches `(..., n, n)`, real or complex; for complex matrices "skew" means skew-Hermitian. Every
product is computed at the highest precision of the device: TF32 would leave orthogonality at about 1e-3.
"""

import jax
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, DTypeLike, Inexact, PRNGKey


def product(left: Inexact[Array, "... m k"], right: Inexact[Array, "... k n"]) -> Inexact[Array, "... m n"]:
    """`left @ right` at the highest precision of the device, for `left (..., m, k)` and `right (..., k, n)`.

    **Returns:** `(..., m, n)`.

    **Source:** `jax.lax.Precision.HIGHEST`.
    """
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


def adjoint(matrix: Inexact[Array, "... m n"]) -> Inexact[Array, "... n m"]:
    """Conjugate transpose of each matrix of `(..., m, n)`.

    **Returns:** `(..., n, m)`.

    **Source:** none; a notation.
    """
    return jnp.swapaxes(matrix, -1, -2).conj()


def eye_like(matrix: Inexact[Array, "... n n"]) -> Inexact[Array, "... n n"]:
    """The identity in the shape `(..., n, n)` and dtype of `matrix`.

    **Returns:** `(..., n, n)`.

    **Source:** none; a notation.
    """
    return jnp.broadcast_to(jnp.eye(matrix.shape[-1], dtype=matrix.dtype), matrix.shape)


def skew_part(matrix: Inexact[Array, "... n n"]) -> Inexact[Array, "... n n"]:
    """`(M - M^H) / 2`, for M of shape `(..., n, n)`; exact, bit for bit, where M is skew already.

    **Returns:** the skew (skew-Hermitian) part, `(..., n, n)`.

    **Source:** the orthogonal projection in the Frobenius norm.
    """
    return (matrix - adjoint(matrix)) / 2


def cayley_inverse(skew: Inexact[Array, "... n n"]) -> Inexact[Array, "... n n"]:
    """`X = (I + A)^-1` by LU, for skew A of shape `(..., n, n)`. It always exists, and `||X||_2 <= 1`.

    **Returns:** X, `(..., n, n)`.

    **Source:** Golub & Van Loan, Matrix Computations, section 3.2; `X^-1 = I + A` has eigenvalues `1 + i t`.
    """
    return jnp.linalg.inv(eye_like(skew) + skew)


def cayley_from_inverse(
    inverse: Inexact[Array, "... n n"], signs: Inexact[Array, "... n"] | None = None
) -> Inexact[Array, "... n n"]:
    """`W = (2 X - I) D`, which is `(I + A)^-1 (I - A) D` without a product, for `X = (I + A)^-1` of shape `(..., n, n)`
    and the diagonal `signs` of D, `(..., n)` or None for D = I.

    **Returns:** W, `(..., n, n)`.

    **Source:** `I - A = 2 I - (I + A)`.
    """
    rotation = 2 * inverse - eye_like(inverse)
    return rotation if signs is None else rotation * signs[..., None, :]


def cayley(skew: Inexact[Array, "... n n"], signs: Inexact[Array, "... n"] | None = None) -> Inexact[Array, "... n n"]:
    """Scaled Cayley transform: the orthogonal (unitary) matrix of a skew one.

        W = (I + A)^-1 (I - A) D,    D = diag(signs)

    In two dimensions `A = [[0, a], [-a, 0]]` gives, for D = I, the rotation of column vectors by `+2 atan(a)`.

    **Arguments:** `skew` A, `(..., n, n)` with `A^H = -A`; `signs`, `(..., n)` of +1 and -1, or None for D = I.

    **Returns:** W, `(..., n, n)`; `det W = (-1)^(number of -1)` for real A.

    **Source:** Helfrich, Willmott, Ye (2018), eq. 5.
    """
    return cayley_from_inverse(cayley_inverse(skew), signs)


def inverse_cayley(
    matrix: Inexact[Array, "... n n"], signs: Inexact[Array, "... n"] | None = None
) -> Inexact[Array, "... n n"]:
    """The skew matrix A of an orthogonal (unitary) W: `A = (I + Z)^-1 (I - Z)`, `Z = W D`.

    **Arguments:** `matrix` W, `(..., n, n)`; `signs`, the diagonal of D, `(..., n)`, or None for D = I. -1 must not be
    an eigenvalue of Z, and where it nearly is, A is large: `choose_signs` finds a D that is safe.

    **Returns:** A, `(..., n, n)`, exactly skew.

    **Source:** Helfrich, Willmott, Ye (2018), section 3.1.
    """
    rotation = matrix if signs is None else matrix * signs[..., None, :]
    identity = eye_like(rotation)
    return skew_part(jnp.linalg.solve(identity + rotation, identity - rotation))


def choose_signs(matrix: Inexact[Array, "n n"]) -> Inexact[Array, " n"]:
    """Signs D for which `I + W D` is far from singular: elimination without pivoting, where each sign makes its pivot
    at least 1, so that `|det(I + W D)| >= 1`.

    **Arguments:** `matrix` W, one orthogonal (unitary) matrix of shape `(n, n)`.

    **Returns:** the diagonal of D, `(n,)`, entries +1 and -1.

    **Source:** Ballard, Demmel, Grigori, Jacquelin, Nguyen, Solomonik (2014), lemma 6.2 (the modified LU
    decomposition of an orthogonal matrix); that such a D exists: Kahan (2006).
    """

    def eliminate(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        rest, signs = carry
        sign = jnp.where(rest[k, k].real < 0, -1, 1).astype(matrix.dtype)
        pivot = 1 + sign * rest[k, k]
        below = jnp.where(jnp.arange(n) > k, rest[:, k] * sign / pivot, 0)
        return rest - jnp.outer(below, rest[k]), signs.at[k].set(sign)

    n = matrix.shape[-1]
    return jax.lax.fori_loop(0, n, eliminate, (matrix, jnp.ones((n,), matrix.dtype)))[1]


def cayley_signs(size: int, num_negative: int, dtype: DTypeLike) -> Inexact[Array, " n"]:
    """The diagonal `(1, ..., 1, -1, ..., -1)` of D with `num_negative` entries -1, the last ones.

    **Returns:** `(n,)`, n = `size`.

    **Raises:** `ValueError` if `num_negative` is not from 0 to `size`.

    **Source:** Helfrich, Willmott, Ye (2018), section 3.2.
    """
    if not 0 <= num_negative <= size:
        raise ValueError(
            f"num_negative: expected a number from 0 to {size}, the size of the matrix, got {num_negative}"
        )
    return jnp.where(jnp.arange(size) < size - num_negative, 1, -1).astype(dtype)


def random_cayley(key: PRNGKey, size: int, num_negative: int, dtype: DTypeLike | None = None) -> Inexact[Array, "n n"]:
    """A random orthogonal matrix to start training from: `cayley(A, D)`, A made of 2 x 2 blocks `[[0, a], [-a, 0]]`,
    `a = -tan(s/2)`, s uniform on (0, pi/2); D has `num_negative` entries -1.

    **Arguments:** `key`; `size` n; `num_negative`; `dtype`, by default JAX's default float.

    **Returns:** W, `(n, n)`: `W D` turns n/2 planes by the angles s, clockwise for column vectors.

    **Raises:** `ValueError` if `num_negative` is not from 0 to `size`.

    **Source:** Helfrich, Willmott, Ye (2018), section 4; Henaff, Szlam, LeCun (2016).
    """
    dtype = jnp.dtype(dtype) if dtype is not None else jnp.zeros(()).dtype
    signs = cayley_signs(size, num_negative, dtype)
    angles = jr.uniform(key, (size // 2,), dtype, 0.0, jnp.pi / 2)
    entries = -jnp.tan(angles / 2)
    row = jnp.stack([entries, jnp.zeros_like(entries)], axis=-1).ravel()
    row = jnp.pad(row, (0, size - row.size))
    # A select instead of a scatter, which XLA takes half a minute to compile in front of the inverse.
    place = jnp.arange(size)
    upper = jnp.where(place[None, :] == place[:, None] + 1, row[:, None], jnp.zeros((), dtype))
    return cayley(upper - upper.T, signs)


def cayley_gradient(
    inverse: Inexact[Array, "... n n"],
    matrix: Inexact[Array, "... n n"],
    gradient: Inexact[Array, "... n n"],
    signs: Inexact[Array, "... n"] | None = None,
) -> Inexact[Array, "... n n"]:
    """The gradient of a loss in the skew matrix A, from its gradient G in `W = (I + A)^-1 (I - A) D`.

        V = X^H G (D + W^H),    dL/dA = V^H - V

    This is the derivative in the n(n-1)/2 independent entries of A, twice the projection in the Frobenius norm.

    **Arguments:** `inverse` X, `matrix` W, `gradient` G, all `(..., n, n)`; for complex W, G is the direction of
    steepest ascent, the conjugate of what `jax.grad` returns. `signs`, `(..., n)`, or None for D = I.

    **Returns:** `(..., n, n)`, exactly skew.

    **Source:** Helfrich, Willmott, Ye (2018), theorem 3.2; Mucllari et al. (2022), algorithm 1, line 4.
    """
    pulled = product(adjoint(inverse), gradient)
    scaled = pulled if signs is None else pulled * signs[..., None, :]
    v = scaled + product(pulled, adjoint(matrix))
    return adjoint(v) - v


def neumann_step(
    inverse: Inexact[Array, "... n n"], change: Inexact[Array, "... n n"], order: int = 2
) -> Inexact[Array, "... n n"]:
    """The inverse of `I + A - dA` from `X = (I + A)^-1` by a Neumann series that is cut after `order`:
    `(I + E + ... + E^order) X`, `E = X dA`.

    Open loop: from an exact X the error is `E^(order+1)` of the new inverse, and errors of earlier steps stay.

    **Arguments:** `inverse` X and `change` dA, `(..., n, n)`; `order`, at least 1.

    **Returns:** the new X, `(..., n, n)`.

    **Source:** Mucllari et al. (2022), algorithm 1, line 7, with order 2.
    """
    return _series(product(inverse, change), inverse, order)


def inverse_residual(inverse: Inexact[Array, "... n n"], skew: Inexact[Array, "... n n"]) -> Inexact[Array, "... n n"]:
    """`R = I - X (I + A)`: how far `inverse` X is from the inverse of `I + A`, A = `skew`, both `(..., n, n)`.

    **Returns:** R, `(..., n, n)`.

    **Source:** Schulz (1933).
    """
    return eye_like(skew) - inverse - product(inverse, skew)


def hyperpower_step(
    inverse: Inexact[Array, "... n n"], skew: Inexact[Array, "... n n"], order: int = 2
) -> tuple[Inexact[Array, "... n n"], Inexact[Array, "... n n"]]:
    """Correct X toward the inverse of `I + A` by its measured residual: `(I + R + ... + R^order) X`,
    `R = I - X (I + A)`.

    Closed loop: whatever the error of X was, also one left by rounding or earlier steps, it becomes `R^(order+1)`.

    **Arguments:** `inverse` X and `skew` A, `(..., n, n)`; `order`, at least 1 (Newton's method).

    **Returns:** the new X and the residual R of the old one, each `(..., n, n)`.

    **Source:** Altman (1960), the hyperpower method; Schulz (1933) for order 1.
    """
    residual = inverse_residual(inverse, skew)
    return _series(residual, inverse, order), residual


def orthogonality_error(matrix: Inexact[Array, "... n n"]) -> Inexact[Array, "..."]:
    """`||W^H W - I||_2`, for W of shape `(..., n, n)`.

    **Returns:** one number per matrix, `(...)`.

    **Source:** Higham, Functions of Matrices (2008), section 8.
    """
    return jnp.linalg.norm(orthogonality_defect(matrix), ord=2, axis=(-2, -1))


def orthogonality_defect(matrix: Inexact[Array, "... n n"]) -> Inexact[Array, "... n n"]:
    """`W^H W - I`, for W of shape `(..., n, n)`.

    The diagonal is summed apart, `sum (|w|^2 - 1/n)`: sums that grow to 1 before 1 is subtracted lose, for n = 512 in
    float32, ten times what the rounding of W itself does.

    **Returns:** `(..., n, n)`; zero for an orthogonal (unitary) W.

    **Source:** the definition of orthogonality.
    """
    squares = (matrix * matrix.conj()).real
    diagonal = jnp.sum(squares - 1 / matrix.shape[-1], axis=-2).astype(matrix.dtype)
    identity = jnp.broadcast_to(jnp.eye(matrix.shape[-1], dtype=bool), matrix.shape)
    return jnp.where(identity, diagonal[..., None, :], product(adjoint(matrix), matrix))


def _series(factor: Array, start: Array, order: int) -> Array:
    if order < 1:
        raise ValueError(f"order: expected 1 or more terms of the series, got {order}")
    total = start
    for _ in range(order):
        total = start + product(factor, total)
    return total
