"""Leading eigenvalues of a linear function, from a Krylov space that is compressed and extended until they stand."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Complex, Float, Int, Scalar

Apply = Callable[[Array], Array]


def orthogonalise(w: Float[Array, " n"], V: Float[Array, "m n"]) -> tuple[Float[Array, " n"], Float[Array, " m"]]:
    """`w` without its components along the orthonormal rows of `V` (unused rows are zero), and these components."""
    first = V @ w
    w = w - first @ V
    # Once is not enough when little of w is left.
    second = V @ w
    return w - second @ V, first + second


def leading_eigenvalues(
    apply: Apply,
    start: Float[Array, " n"],
    num: int,
    rank: Callable[[Complex[Array, " m"]], Float[Array, " m"]],
    *,
    dimension: int,
    rtol: Scalar,
    max_restarts: int,
) -> Complex[Array, " num"]:
    """The `num` eigenvalues of highest `rank` of a real linear function, by the Krylov-Schur method.

    1. Extend the orthonormal rows `V` to a Krylov space of the given dimension: `A V^T = V^T H + f e^T`.
    2. Stop when the residuals of the wanted eigenpairs of `H` are below `rtol` times the largest eigenvalue.
    3. Keep the real invariant space of the better half of the eigenvalues, and go on from there.

    **Arguments:** `apply`, `(n,) -> (n,)`; `start (n,)`, not orthogonal to the vectors sought; `num <= n`; `rank` of
    eigenvalues, the same for both of a pair.

    **Returns:** `(num,)`, highest rank first, the positive imaginary part of a pair first; of a pair that the end of
    the list cuts only that one.

    **Source:** Stewart (2002), A Krylov-Schur algorithm for large eigenproblems.
    """
    n, m = start.size, min(dimension, start.size)
    num = min(num, n)
    half = min(num + (m - num) // 2, m - 2)

    def extend(j: Int[Array, ""], VH: tuple[Array, Array]) -> tuple[Array, Array]:
        V, H = VH
        w, h = orthogonalise(apply(V[j]), V)
        beta = jnp.linalg.norm(w)
        exhausted = beta <= 1e-14 * jnp.linalg.norm(h)
        # The space is invariant: any new direction finds what it does not hold.
        other = orthogonalise(jnp.roll(start, j + 1), V)[0]
        w = jnp.where(exhausted, other, w)
        length = jnp.linalg.norm(w)
        w = jnp.where(length > 0, w / jnp.where(length > 0, length, 1), 0)
        h = h.at[j + 1].set(jnp.where(exhausted, 0, beta))
        return V.at[j + 1].set(w), H.at[:, j].set(h)

    def pairs(H: Float[Array, "m1 m"]) -> tuple[Array, Array, Bool[Array, ""]]:
        values, vectors = jnp.linalg.eig(H[:m])
        values, vectors = jax.lax.stop_gradient((values, vectors))
        _, _, _, order = jax.lax.sort(
            (-rank(values), -jnp.abs(values.imag), -values.imag, jnp.arange(m, dtype=jnp.int32)), num_keys=3
        )
        values, vectors = values[order], vectors[:, order]
        residual = jnp.abs(H[m].astype(vectors.dtype) @ vectors)
        return values, vectors, jnp.all(residual[:num] <= rtol * jnp.max(jnp.abs(values)))

    def compress(V: Array, H: Array, values: Array, vectors: Array) -> tuple[Array, Array, Array]:
        keep = half + (values[half - 1].imag > 0).astype(jnp.int32)
        columns = jnp.where(values.imag < 0, vectors.imag, vectors.real)[:, : half + 1]
        Q = jnp.linalg.qr(columns)[0]
        Q = jnp.where(jnp.arange(half + 1, dtype=jnp.int32)[None] < keep, Q, 0)
        kept = jnp.zeros_like(V).at[: half + 1].set(Q.T @ V[:m]).at[keep].set(V[m])
        small = jnp.zeros_like(H).at[: half + 1, : half + 1].set(Q.T @ H[:m] @ Q)
        return kept, small.at[keep, : half + 1].set(H[m] @ Q), keep

    def body(carry: tuple) -> tuple:
        V, H, values, vectors, _, cycle = carry
        if half > 0:
            V, H, keep = jax.tree.map(
                lambda later, first: jnp.where(cycle > 0, later, first),
                compress(V, H, values, vectors), (V, H, jnp.zeros((), jnp.int32)),
            )  # fmt: skip
        else:
            keep = jnp.zeros((), jnp.int32)
        V, H = jax.lax.fori_loop(keep, m, extend, (V, H))
        return V, H, *pairs(H), cycle + 1

    def unfinished(carry: tuple) -> Array:
        return ~carry[4] & (carry[5] <= max_restarts)

    V = jnp.zeros((m + 1, n), start.dtype).at[0].set(start / jnp.linalg.norm(start))
    H = jnp.zeros((m + 1, m), start.dtype)
    shapes = jax.eval_shape(pairs, H)
    blank = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    return jax.lax.while_loop(unfinished, body, (V, H, *blank, jnp.zeros((), jnp.int32)))[2][:num]
