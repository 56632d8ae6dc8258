"""Ways to clip the singular values of `(B, m, n)`, m >= n, at 1. None is trusted: the caller certifies the results.

With P = W (I - V f V^H), f_i = max(0, 1 - 1/sigma_i), only the triples above 1 are needed, and what is below stays as
it is to the last bit of a product.
"""

import math

import jax
import jax.numpy as jnp

from .._types import Array
from ._spectral_certificate import adjoint, each, matmul


def clip_by_svd(x: Array, radius: Array) -> Array:
    """The reference, in units of the radius, for entries of any size; nan where an entry of the matrix is not finite.

    `W V diag(min(1, 1/sigma)) V^H` keeps the relative accuracy of each row, however small; where the norm is far above
    the radius only `U diag(min(sigma, 1)) V^H` keeps small singular values clear of the rounding of large ones.
    """
    finite = jnp.all(jnp.isfinite(x), axis=(-2, -1))
    # LAPACK and its relatives do not promise to return when they are given nan.
    u, s, vh = jnp.linalg.svd(jnp.where(each(finite), x, 0), full_matrices=False)
    s = s / radius[:, None]
    near = s[:, 0] <= 100
    scaled = jnp.where(each(near), x / each(radius).astype(x.dtype), 0)
    by_rows = _deflate(scaled, s**2, adjoint(vh))
    by_values = matmul(u * jnp.minimum(s, 1).astype(x.dtype)[:, None, :], vh)
    return jnp.where(each(finite), jnp.where(each(near), by_rows, by_values), jnp.nan)


def clip_by_eigh(x: Array, gram_matrix: Array) -> Array:
    """Right singular vectors from the Gram matrix. Squaring costs digits of the small singular values, which are not
    touched; those above 1 are good to about `eps sigma_1^2`."""
    values, vectors = jnp.linalg.eigh(gram_matrix, symmetrize_input=False)
    return _deflate(x, values, vectors)


def clip_by_subspace(x: Array, gram_matrix: Array, subspace: Array, iterations: int) -> tuple[Array, Array]:
    """Block power iteration on the Gram matrix from `subspace (B, n, p)`, then Rayleigh-Ritz; also the new subspace."""
    for _ in range(iterations):
        subspace = jnp.linalg.qr(matmul(gram_matrix, subspace))[0]
    projected = matmul(adjoint(subspace), matmul(gram_matrix, subspace))
    values, rotation = jnp.linalg.eigh(projected)
    subspace = matmul(subspace, rotation)
    return _deflate(x, values, subspace), subspace


def clip_by_lanczos(x: Array, steps: int) -> Array:
    """Golub-Kahan bidiagonalisation `W V = U B` with full reorthogonalisation, and the triples of B."""
    return jax.vmap(lambda matrix: _clip_by_lanczos(matrix, steps))(x)


def clip_by_polar(x: Array, gram_matrix: Array) -> Array:
    """Matrix products only: `P = W - (W - Q) E` with the polar factor Q of W and the spectral projector E of sigma > 1.

    E = (I + sign(W^H W - I))/2. Where the sign is not resolved sigma is close to 1, where W and Q agree: no error.
    Equal to (W + Q - Q |H - I|)/2 of the polar decomposition W = Q H, without its cancellation for small sigma.
    """
    roundoff = float(jnp.finfo(x.dtype).eps)
    identity = jnp.eye(gram_matrix.shape[-1], dtype=x.dtype)[None]
    square = matmul(gram_matrix, gram_matrix)
    # (trace G^4)^(1/4) >= sigma_1^2, larger by n^(1/4) at most
    largest = jnp.sqrt(jnp.sqrt(jnp.sum(jnp.abs(square) ** 2, axis=(-2, -1)))) * (1 + 8 * roundoff)
    scale = jnp.maximum(largest - 1, 1)
    sign = _matrix_sign((gram_matrix - identity) / each(scale).astype(x.dtype), roundoff, hermitian=True)
    # Only sigma >= 1 of at most 10 has to arrive at 1.
    polar = _matrix_sign(x / each(jnp.sqrt(largest)).astype(x.dtype), 0.05, hermitian=False)
    return x - matmul(x - polar, (identity + sign) / 2)


def _deflate(x: Array, values: Array, vectors: Array) -> Array:
    excess = jnp.where(values > 1, 1 - jax.lax.rsqrt(jnp.maximum(values, 1)), 0).astype(x.dtype)
    return x - matmul(matmul(x, vectors) * excess[:, None, :], adjoint(vectors))


# p(s) = a s + b s^3 + c s^5 multiplies small s by a and keeps [0.3, 1] inside [0.6, 1.3]; Jordan et al. (2024), Muon.
_STEEP = (3.4445, -4.7750, 2.0315)
# The Newton-Schulz polynomial of order 5: error e -> O(e^3) near s = 1; Higham (2008), eq. 8.20.
_FLAT = (15 / 8, -10 / 8, 3 / 8)


def _matrix_sign(x: Array, resolution: float, *, hermitian: bool) -> Array:
    """Odd function with sigma -> 1 of all singular values between `resolution` and 1, the same vectors kept."""
    steep = math.ceil(math.log(1 / resolution) / math.log(_STEEP[0])) + 1
    flat = 4 if jnp.finfo(x.dtype).bits == 32 else 5

    def apply(coefficients: tuple[float, float, float], x: Array) -> Array:
        a, b, c = coefficients
        square = matmul(adjoint(x), x)
        x = a * x + matmul(x, b * square + c * matmul(square, square))
        return (x + adjoint(x)) / 2 if hermitian else x

    x = jax.lax.fori_loop(0, steep, lambda _, x: apply(_STEEP, x), x)
    return jax.lax.fori_loop(0, flat, lambda _, x: apply(_FLAT, x), x)


def _clip_by_lanczos(x: Array, steps: int) -> Array:
    rows, columns = x.shape
    real = x.real.dtype

    def normalised(vector: Array) -> tuple[Array, Array]:
        length = jnp.linalg.norm(vector)
        # After a breakdown the space is invariant, and zero vectors add nothing to it.
        safe = jnp.where(length > jnp.finfo(real).eps, length, jnp.inf)
        return vector / safe.astype(x.dtype), jnp.where(jnp.isinf(safe), 0, length)

    def orthogonalised(vector: Array, basis: Array) -> Array:
        for _ in range(2):
            vector = vector - matmul(basis, matmul(adjoint(basis), vector))
        return vector

    def step(carry: tuple[Array, Array], index: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        left, right = carry
        u, alpha = normalised(orthogonalised(matmul(x, right[:, index]), left))
        left = left.at[:, index].set(u)
        v, beta = normalised(orthogonalised(matmul(adjoint(x), u), right))
        return (left, right.at[:, index + 1].set(v, mode="drop")), (alpha, beta)

    # Any start with no structure in common with the weights; a random one would make the result depend on a key.
    start, _ = normalised(jnp.sin(jnp.arange(1, columns + 1, dtype=real) ** 2).astype(x.dtype))
    left = jnp.zeros((rows, steps), x.dtype)
    right = jnp.zeros((columns, steps), x.dtype).at[:, 0].set(start)
    (left, right), (alphas, betas) = jax.lax.scan(step, (left, right), jnp.arange(steps, dtype=jnp.int32))
    _, s, vh = jnp.linalg.svd(jnp.diag(alphas) + jnp.diag(betas[:-1], 1), full_matrices=False)
    return _deflate(x[None], (s**2)[None], matmul(right, adjoint(vh).astype(x.dtype))[None])[0]
