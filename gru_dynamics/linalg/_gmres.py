"""Linear equations of which only products with vectors are known."""

import jax
import jax.numpy as jnp

from .._types import Array, Float, Scalar
from ._arnoldi import Apply, orthogonalise


def gmres(
    apply: Apply, b: Float[Array, " n"], *, rtol: Scalar, restart: int, max_steps: int
) -> tuple[Float[Array, " n"], Scalar]:
    """`x` with `A x = b` by restarted GMRES.

    **Arguments:** `apply`, the product with A, `(n,) -> (n,)`; `b (n,)`; `rtol ()`, largest `|b - A x| / |b|`;
    `restart`, dimension of a Krylov space; `max_steps` in all. A cycle of `restart` steps that gains little, as at
    rounding level, is the last.

    **Returns:** `(x (n,), |b - A x| / |b| ())`.

    **Source:** Saad & Schultz (1986). The residual is followed through the left null vector of the Hessenberg matrix,
    so no rotations are kept.
    """
    n, m = b.size, min(restart, b.size)
    size = jnp.linalg.norm(b)
    size = jnp.where(size > 0, size, 1)

    def step(carry: tuple) -> tuple:
        V, H, left, j, _, total, goal = carry
        w, h = orthogonalise(apply(V[j]), V)
        beta = jnp.linalg.norm(w)
        exact = beta <= 1e-15 * jnp.linalg.norm(h)
        unit = jnp.where(exact, 0, w / jnp.where(exact, 1, beta))
        # Row vector with left . H = 0; the smallest residual is its first entry (1) over its length.
        entry = -jnp.dot(left, h) / jnp.where(exact, 1, beta)
        left = left.at[j + 1].set(jnp.where(exact, 0, entry))
        residual = jnp.where(exact, 0, 1 / jnp.linalg.norm(left))
        H = H.at[:, j].set(h.at[j + 1].set(jnp.where(exact, 0, beta)))
        return V.at[j + 1].set(unit), H, left, j + 1, residual, total + 1, goal

    def going(carry: tuple) -> Array:
        _, _, _, j, residual, total, goal = carry
        return (j < m) & (residual > goal) & (total < max_steps)

    zero = jnp.zeros((), jnp.int32)
    unused = jnp.eye(m + 1, m, -1, dtype=b.dtype)

    def cycle(carry: tuple) -> tuple:
        x, r, length, _, total = carry
        V = jnp.zeros((m + 1, n), b.dtype).at[0].set(r / length)
        left = jnp.zeros((m + 1,), b.dtype).at[0].set(1)
        one = jnp.ones((), b.dtype)
        start = V, unused, left, zero, one, total, rtol * size / length
        V, H, _, _, _, total, _ = jax.lax.while_loop(going, step, start)
        Q, R = jnp.linalg.qr(H)
        y = jax.scipy.linalg.solve_triangular(R, length * Q[0])
        x = x + y @ V[:m]
        r = b - apply(x)
        return x, r, jnp.linalg.norm(r), length, total

    def unfinished(carry: tuple) -> Array:
        _, _, length, last, total = carry
        return (length > rtol * size) & (length < 0.9 * last) & (total < max_steps)

    start = jnp.zeros_like(b), b, jnp.linalg.norm(b), jnp.full((), jnp.inf, b.dtype), zero
    x, _, length, _, _ = jax.lax.while_loop(unfinished, cycle, start)
    return x, length / size
