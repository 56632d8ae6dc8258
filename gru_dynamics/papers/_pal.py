"""Pal (2019), Mathematical derivation of BPTT for RNN: theorems 1 to 4 and Lemma 3, as printed and corrected.

    h_t = W tanh(h_{t-1}) + d_t                                      eq. 1, with the drive d_t = W_I x_t + b_R

Derivatives in W are matrices `(n, n * n)`, the entries of W row by row.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Float
from ..linalg import eigenvalues, product, run_after, spectral_norm
from ._theorem import Equality, Inequality


def states(W: Float[Array, "n n"], start: Float[Array, " n"], drive: Float[Array, "T n"]) -> Float[Array, "T n"]:
    """The states h_1 ... h_T of eq. 1.

    **Arguments:** `W (n, n)`; `start (n,)`, h_0; `drive (T, n)`.

    **Returns:** `(T, n)`.

    **Source:** Pal (2019), eq. 1.
    """

    def step(state: Array, drive: Array) -> tuple[Array, Array]:
        state = product(W, jnp.tanh(state)[:, None])[:, 0] + drive
        return state, state

    return jax.lax.scan(step, start, drive)[1]


def factor(W: Float[Array, "n n"], state: Float[Array, " n"]) -> Float[Array, "n n"]:
    """The one-step Jacobian `W diag(tanh'(h))`.

    **Returns:** `(n, n)`, for `W (n, n)` and `state (n,)`.

    **Source:** Pal (2019), proof of Lemma 2.
    """
    slope = 1 - jnp.tanh(state) ** 2
    return W * slope[None, :]


def through(W: Float[Array, "n n"], states: Float[Array, "m n"]) -> Float[Array, "n n"]:
    """The product of the one-step Jacobians at m states, the last one on the left.

    **Returns:** `(n, n)`, for `W (n, n)` and `states (m, n)`.

    **Source:** Pal (2019), Theorem 1.
    """

    def step(total: Array, state: Array) -> tuple[Array, None]:
        return product(factor(W, state), total), None

    return jax.lax.scan(step, jnp.eye(W.shape[0], dtype=W.dtype), states)[0]


@eqx.filter_jit
def theorem_1(
    W: Float[Array, "n n"], start: Float[Array, " n"], drive: Float[Array, "T n"], *, as_printed: bool = False
) -> Equality:
    """The derivative of h_T in W, summed over the steps.

        dh_T/dW = sum_{k < T} (prod_{r = k+1}^T W diag(tanh'(h_{r-1}))) H(tanh h_{k-1}) + H(tanh h_{T-1})
        H(v) = I kron v^T                                              printed: n x n blocks, each v^T

    **Arguments:** `W (n, n)`; `start (n,)`; `drive (T, n)`; `as_printed`, with all blocks v^T, right only for n = 1.

    **Returns:** an `Equality` of matrices `(n, n * n)`; measured by forward-mode autodiff.

    **Source:** Pal (2019), Theorem 1; corrected: the derivative of `W v` in row i of W moves component i alone.
    """
    n = W.shape[0]
    blocks = jnp.ones((n, n), W.dtype) if as_printed else jnp.eye(n, dtype=W.dtype)
    visited = jnp.concatenate([start[None], states(W, start, drive)])[:-1]

    def step(total: Array, state: Array) -> tuple[Array, None]:
        direct = jnp.kron(blocks, jnp.tanh(state)[None, :])
        return product(factor(W, state), total) + direct, None

    claimed = jax.lax.scan(step, jnp.zeros((n, n * n), W.dtype), visited)[0]
    measured = jax.jacfwd(lambda W: states(W, start, drive)[-1])(W)
    return Equality(claimed, measured.reshape(n, n * n))


@eqx.filter_jit
def theorem_2(
    W: Float[Array, "n n"], visited: Float[Array, "m n"], gamma: float = 1.0, *, as_printed: bool = False
) -> Inequality:
    """The gradient over m steps vanishes when the matrix and the slopes are small.

        || prod W diag(tanh'(h)) ||_2 <= (sigma_1(W) gamma)^m                      printed: (|lambda_1(W)| gamma)^m

    The spectral radius is no norm: for a matrix that is not normal the printed bound is false, and even its limit,
    since `|lambda_1(W D)|` may exceed `|lambda_1(W)|` for a diagonal D with entries in (0, 1].

    **Arguments:** `W (n, n)`; `visited (m, n)`, the states; `gamma`, a bound on the slopes; `as_printed`.

    **Returns:** an `Inequality` of shape `()`.

    **Source:** Pal (2019), Theorem 2; Pascanu, Mikolov, Bengio (2013), section 2.1, has the singular value.
    """
    norms = spectral_norm(jnp.stack([through(W, visited), W]))
    size = jnp.max(jnp.abs(eigenvalues(run_after(W, norms)))) if as_printed else norms[1]
    return Inequality((size * gamma) ** visited.shape[0], norms[0])


@eqx.filter_jit
def theorem_3(
    values: Float[Array, " n"],
    vectors: Float[Array, "n n"],
    coefficients: Float[Array, " n"],
    num_steps: int,
    *,
    as_printed: bool = False,
) -> Equality:
    """In a linear network a gradient grows along an eigenvector as the power of its eigenvalue.

        v^T W^m = sum_i c_i lambda_i^m q_i^T     for     v = sum_i c_i q_i,     q_i^T W = lambda_i q_i^T

    The gradient dE/dh is a row that is multiplied from the right, so the q_i must be **left** eigenvectors.

    **Arguments:** `values (n,)`, real eigenvalues; `vectors (n, n)`, q_i as columns; `coefficients (n,)`; `num_steps`,
    m; `as_printed`, with the q_i right eigenvectors of W.

    **Returns:** an `Equality` of the coefficients `(n,)` of `v^T W^m`.

    **Source:** Pal (2019), Theorem 3; Pascanu, Mikolov, Bengio (2013), supplement.
    """
    similar = product(vectors * values[None, :], jnp.linalg.inv(vectors))
    W = similar if as_printed else similar.T

    def step(row: Array, _: None) -> tuple[Array, None]:
        return product(row, W), None

    row = jax.lax.scan(step, product(vectors, coefficients[:, None]).T, None, length=num_steps)[0]
    return Equality(coefficients * values**num_steps, jnp.linalg.solve(vectors, row[0]))


@eqx.filter_jit
def theorem_4(W: Float[Array, "n n"], visited: Float[Array, "m n"], *, as_printed: bool = False) -> Inequality:
    """The gradient over m steps explodes when the matrix and the slopes are large.

        || prod W diag(tanh'(h)) ||_2 >= prod sigma_n(W) min tanh'(h)                printed: ||W||_2 for sigma_n(W)

    The author's warning that it may be wrong is right: for `W = [[0, M], [0, 0]]` two steps give 0.

    **Arguments:** `W (n, n)`; `visited (m, n)`, the states; `as_printed`.

    **Returns:** an `Inequality` of shape `()`, a lower bound.

    **Source:** Pal (2019), Theorem 4; corrected by `sigma_n(A B) >= sigma_n(A) sigma_n(B)`.
    """
    values = jnp.linalg.svd(jnp.stack([through(W, visited), W]), compute_uv=False)
    smallest = jnp.min(1 - jnp.tanh(visited) ** 2, axis=1)
    size = values[1, 0] if as_printed else values[1, -1]
    return Inequality(jnp.prod(size * smallest), values[0, 0], lower=True)


@eqx.filter_jit
def lemma_3(A: Float[Array, "n n"], B: Float[Array, "n n"], *, as_printed: bool = False) -> Inequality:
    """The norm of a product from below.

        || A B ||_2 >= sigma_n(A) || B ||_2                      printed: the least |eigenvalue| of A for sigma_n(A)

    **Arguments:** `A`, `B`, `(n, n)`; `as_printed`.

    **Returns:** an `Inequality` of shape `()`, a lower bound.

    **Source:** Pal (2019), Lemma 3; Horn & Johnson (2013), section 7.3.
    """
    values = jnp.linalg.svd(jnp.stack([product(A, B), A, B]), compute_uv=False)
    smallest = jnp.min(jnp.abs(eigenvalues(run_after(A, values)))) if as_printed else values[1, -1]
    return Inequality(smallest * values[2, 0], values[0, 0], lower=True)
