"""Ways to move an orthogonal matrix along a tangent direction `2 d W`, d skew, that agree to first order.

Each is a function `(W, d) -> W'` of batches `(..., n, n)`; they differ in cost, and in how orthogonal W' is.
"""

import jax
import jax.numpy as jnp

from .._types import Array, Inexact
from ._cayley import eye_like, orthogonality_defect, product


def rebased_step(
    matrix: Inexact[Array, "... n n"], change: Inexact[Array, "... n n"], order: int = 2
) -> Inexact[Array, "... n n"]:
    """One step of Cayley's form with W itself as the base, `(I - d)^-1 (I + d) W` to second order in the skew `d`; the
    last coefficient is chosen so that the error of orthogonality is of order 4 or 6:

        (I + 2 d + 2 d^2) W,          P^H P = I + 4 d^4        order=1
        (I + 2 d + 2 d^2 + d^3) W,    P^H P = I -   d^6        order=2

    **Arguments:** `matrix` W and `change` d, `(..., n, n)`; `order`, 1 or 2.

    **Returns:** the new W, `(..., n, n)`.

    **Raises:** `ValueError` for another order.

    **Source:** Lezcano-Casado (2019), dynamic trivialisations with a new base at every step; the coefficients because
    odd powers of a skew matrix cancel in `P^H P`.
    """
    if order not in (1, 2):
        raise ValueError(f"rebased_step: expected order 1 or 2, got {order}")
    inner = 2 * matrix if order == 1 else 2 * matrix + product(change, matrix)
    return matrix + product(change, 2 * matrix + product(change, inner))


def retract_cayley(matrix: Inexact[Array, "... n n"], change: Inexact[Array, "... n n"]) -> Inexact[Array, "... n n"]:
    """`(I - d)^-1 (I + d) W` by LU, for W and skew d of shape `(..., n, n)`.

    **Returns:** the new W, `(..., n, n)`, orthogonal to rounding.

    **Source:** Wen & Yin (2013), eq. 7.
    """
    return jnp.linalg.solve(eye_like(change) - change, matrix + product(change, matrix))


def retract_exponential(
    matrix: Inexact[Array, "... n n"], change: Inexact[Array, "... n n"]
) -> Inexact[Array, "... n n"]:
    """`exp(2 d) W`, the geodesic, for W and skew d of shape `(..., n, n)`.

    **Returns:** the new W, `(..., n, n)`, orthogonal to rounding.

    **Source:** Lezcano-Casado & Martínez-Rubio (2019), eq. 4.
    """
    return product(jax.scipy.linalg.expm(2 * change), matrix)


def retract_qr(matrix: Inexact[Array, "... n n"], change: Inexact[Array, "... n n"]) -> Inexact[Array, "... n n"]:
    """The Q factor of `W + 2 d W`, with the signs that make R positive on its diagonal; shapes `(..., n, n)`.

    **Returns:** the new W, `(..., n, n)`, orthogonal to rounding.

    **Source:** Absil, Mahony, Sepulchre (2008), example 4.1.3.
    """
    q, r = jnp.linalg.qr(matrix + 2 * product(change, matrix))
    diagonal = jnp.diagonal(r, axis1=-2, axis2=-1)
    phase = jnp.where(diagonal == 0, jnp.ones_like(diagonal), diagonal / jnp.abs(diagonal))
    return q * phase[..., None, :]


def retract_polar(
    matrix: Inexact[Array, "... n n"], change: Inexact[Array, "... n n"], steps: int = 2
) -> Inexact[Array, "... n n"]:
    """`steps` polar steps from `W + 2 d W`, toward the orthogonal matrix nearest to it; shapes `(..., n, n)`.

    **Returns:** the new W, `(..., n, n)`; the error of orthogonality starts at `4 |d|^2` and is squared by each step.

    **Source:** Absil, Mahony, Sepulchre (2008), example 4.1.4, by `polar_step`.
    """
    moved = matrix + 2 * product(change, matrix)
    for _ in range(steps):
        moved = polar_step(moved, orthogonality_defect(moved))
    return moved


def polar_step(matrix: Inexact[Array, "... n n"], defect: Inexact[Array, "... n n"]) -> Inexact[Array, "... n n"]:
    """One Newton-Schulz step toward the nearest orthogonal matrix: `W (3 I - W^H W) / 2 = W - W E / 2`.

    An error of orthogonality e becomes `3/4 e^2 + 1/4 e^3` at most; it converges where e < 1.

    **Arguments:** `matrix` W and its `defect` `E = W^H W - I`, `(..., n, n)`.

    **Returns:** the new W, `(..., n, n)`.

    **Source:** Higham, Functions of Matrices (2008), eq. 8.36.
    """
    return matrix - product(matrix, defect) / 2
