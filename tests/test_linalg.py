"""Small solves and eigenvalues against LAPACK, and their derivatives against finite differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from gru_dynamics import linalg


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_solves_agree_with_lapack(n, getkey):
    A, b = jr.normal(getkey(), (n, n)), jr.normal(getkey(), (n,))
    spd = A @ A.T + jnp.eye(n)
    scale = float(jnp.linalg.cond(A)) * 1e-15
    np.testing.assert_allclose(linalg.solve(A, b), np.linalg.solve(A, b), rtol=50 * scale, atol=50 * scale)
    np.testing.assert_allclose(linalg.solve_spd(spd, b), np.linalg.solve(spd, b), rtol=1e-12)
    inverse, sign = linalg.inverse_and_sign(A)
    np.testing.assert_allclose(inverse @ A, np.eye(n), atol=100 * scale)
    assert float(sign) == np.sign(np.linalg.det(A))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_sign_of_the_determinant(n):
    inverse_and_sign = jax.jit(jax.vmap(linalg.inverse_and_sign))
    A = jr.normal(jr.key(n), (200, n, n))
    np.testing.assert_array_equal(inverse_and_sign(A)[1], np.sign(np.linalg.det(np.asarray(A))))
    assert float(inverse_and_sign(jnp.zeros((1, n, n)))[1][0]) == 0


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_eigenvalues_agree_with_numpy(n, getkey):
    for _ in range(5):
        A = jr.normal(getkey(), (n, n))
        ours, theirs = np.sort_complex(linalg.eigenvalues(A)), np.sort_complex(np.linalg.eigvals(np.asarray(A)))
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_eigenvalues_of_two_by_two_keep_their_digits():
    """trace^2/4 - det cancels for nearly equal eigenvalues; the gap form does not."""
    A = jnp.array([[1.0, 1e-9], [1e-9, 1.0 + 1e-12]])
    gap = np.ptp(np.asarray(linalg.eigenvalues(A)).real)
    np.testing.assert_allclose(gap, np.hypot(1e-12, 2e-9), rtol=1e-4)


@pytest.mark.parametrize("n", [2, 5])
def test_eigensystem_is_biorthonormal(n, getkey):
    A = jr.normal(getkey(), (n, n))
    values, right, left = map(np.asarray, linalg.eigensystem(A))
    A = np.asarray(A)
    np.testing.assert_allclose(A @ right, right * values, atol=1e-12)
    np.testing.assert_allclose(left @ A, values[:, None] * left, atol=1e-11)
    np.testing.assert_allclose(left @ right, np.eye(n), atol=1e-12)
    np.testing.assert_allclose(linalg.eigenvalues(jnp.asarray(A)), values, atol=1e-12)


_sorted_real_sum = eqx.filter_jit(jax.grad(lambda A: jnp.sum(jnp.sin(linalg.eigenvalues(A).real))))


@pytest.mark.parametrize("n", [2, 5])
def test_eigenvalues_differentiate(n, getkey):
    A, dA = jr.normal(getkey(), (n, n)), jr.normal(getkey(), (n, n))
    step = 1e-6

    def value(A):
        return np.sum(np.sin(np.real(np.linalg.eigvals(np.asarray(A)))))

    finite = (value(A + step * dA) - value(A - step * dA)) / (2 * step)
    np.testing.assert_allclose(jnp.sum(_sorted_real_sum(A) * dA), finite, rtol=1e-6)
    _, forward = jax.jvp(lambda A: jnp.sum(jnp.sin(linalg.eigenvalues(A).real)), (A,), (dA,))
    np.testing.assert_allclose(forward, finite, rtol=1e-6)
