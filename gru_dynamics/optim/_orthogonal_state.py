"""What is known of one orthogonal matrix between two steps, and the tail that every certified mode ends with."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .._types import Array, Float, Inexact, Int
from ..linalg import as_one_batch, cayley_from_inverse, cayley_inverse, orthogonality_defect, polar_step, product

# Beyond this ||W^H W - I||_F a polar step is not worth its products: the matrix is computed anew.
LOST = 0.5


class OrthogonalLeaf(NamedTuple):
    """One orthogonal matrix, or a batch of them, as an optimiser carries it.

    **Fields**, W of shape `(..., n, n)`:

    - `skew`: A, `(..., n, n)`, exactly skew; zero in mode `"rebased"`, whose base is W itself.
    - `inverse`: the approximation of `(I + A)^-1` in the modes `"paper"` and `"released"`; None in the others, which
      take it from W as `(W D + I) / 2`.
    - `matrix`: W, `(..., n, n)`. `signs`: the diagonal of D, `(..., n)`.
    - `residual`: `(...)`. In the certified modes a bound on `||W^H W - I||_F` before rounding, measured in this step;
      rounding adds about `sqrt(n) eps`. In the modes `"paper"` and `"released"` it is `||I - X (I + A)||_F`.
    - `refactorisations`: `()`, how often the inverse was computed anew because the series could not be trusted.

    **Source:** none; a record.
    """

    skew: Inexact[Array, "... n n"]
    inverse: Inexact[Array, "... n n"] | None
    matrix: Inexact[Array, "... n n"]
    signs: Inexact[Array, "... n"]
    residual: Float[Array, "..."]
    refactorisations: Int[Array, ""]


def frobenius(matrix: Inexact[Array, "... n n"]) -> Float[Array, "..."]:
    return jnp.linalg.norm(matrix, axis=(-2, -1))


def certify(matrix: Array, skew: Array, base: Array, tol: float, reset: Array) -> tuple[Array, Array, Array]:
    """Make nearly orthogonal matrices `(..., n, n)` orthogonal to `tol`, or, where one is too far gone or `reset ()`
    says so, compute it anew as `(I + A)^-1 (I - A) base`.

    Works on a whole batch at once, with one decision for all of it, also under `vmap`.

    Returns the matrices, the bounds on their errors, and whether any was computed anew.
    """
    batch = matrix.shape[:-2]
    matrix, bound, anew = as_one_batch(
        functools.partial(_certified, tol), batch, matrix, skew, base, jnp.broadcast_to(reset, batch)
    )
    return matrix, bound, jnp.any(anew)


def _certified(tol: float, matrix: Array, skew: Array, base: Array, force: Array) -> tuple[Array, Array, Array]:
    defect = orthogonality_defect(matrix)
    # Not a number counts as lost.
    lost = ~(frobenius(defect) < LOST) | force

    def refactor(_: Array) -> tuple[Array, Array]:
        exact = product(cayley_from_inverse(cayley_inverse(skew)), base)
        chosen = jnp.where(lost[..., None, None], exact, matrix)
        return chosen, orthogonality_defect(chosen)

    matrix, defect = jax.lax.cond(jnp.any(lost), refactor, lambda _: (matrix, defect), skew)

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        _, bound, steps = carry
        return jnp.any(bound > tol) & (steps < 6)

    def improve(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        moved, _, steps = carry
        return (*_polished(moved, orthogonality_defect(moved)), steps + 1)

    first = (*_polished(matrix, defect), jnp.zeros((), jnp.int32))
    matrix, bound, _ = jax.lax.while_loop(unfinished, improve, first)
    return matrix, bound, lost


def invert_where(wanted: Array, skew: Array, inverse: Array) -> Array:
    """`(I + A)^-1` by LU where `wanted (...)`, else the `inverse` at hand; nothing is factorised if none is wanted."""

    def chosen(wanted: Array, skew: Array, inverse: Array) -> Array:
        def anew(skew: Array) -> Array:
            return jnp.where(wanted[:, None, None], cayley_inverse(skew), inverse)

        return jax.lax.cond(jnp.any(wanted), anew, lambda _: inverse, skew)

    return as_one_batch(chosen, skew.shape[:-2], wanted, skew, inverse)


def _polished(matrix: Array, defect: Array) -> tuple[Array, Array]:
    error = frobenius(defect)
    return polar_step(matrix, defect), (3 + error) * error**2 / 4
