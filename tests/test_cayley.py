"""Cayley's form of orthogonal matrices against closed forms, autodiff and the algebra of its errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from gru_dynamics import linalg


def skew(key, n, scale=1.0, shape=(), dtype=jnp.float64):
    return scale * linalg.skew_part(jr.normal(key, (*shape, n, n), dtype))


def norm(matrix):
    return float(np.linalg.norm(np.asarray(matrix), 2))


@pytest.mark.parametrize("a", [-3.0, -0.2, 0.0, 0.7, 50.0])
def test_rotation_of_the_plane(a):
    turn = 2 * np.arctan(a)
    found = linalg.cayley(jnp.array([[0.0, a], [-a, 0.0]]))
    np.testing.assert_allclose(found, [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], atol=1e-15)


@pytest.mark.parametrize("num_negative", [0, 1, 2, 5])
def test_determinant_and_way_back(getkey, num_negative):
    a = skew(getkey(), 5)
    signs = linalg.cayley_signs(5, num_negative, a.dtype)
    w = linalg.cayley(a, signs)
    assert np.linalg.det(w) == pytest.approx((-1) ** num_negative)
    assert linalg.orthogonality_error(w) < 1e-14
    np.testing.assert_allclose(linalg.inverse_cayley(w, signs), a, atol=1e-13)
    np.testing.assert_allclose(w, np.linalg.solve(np.eye(5) + a, np.eye(5) - a) @ np.diag(signs), atol=1e-14)


def test_an_impossible_number_of_signs():
    with pytest.raises(ValueError, match="from 0 to 3"):
        linalg.cayley_signs(3, 4, jnp.float64)


def reflections(n):
    return np.eye(n) - 2 * np.full((n, n), 1 / n)


@pytest.mark.parametrize(
    "matrix",
    [-np.eye(4), np.eye(4), np.diag([1.0, -1, 1, -1]), reflections(5), np.roll(np.eye(6), 1, 0), np.eye(4)[::-1]],
)
def test_signs_keep_away_from_the_singular_place(matrix):
    signs = linalg.choose_signs(jnp.asarray(matrix))
    assert set(np.abs(np.asarray(signs))) == {1.0}
    assert abs(np.linalg.det(np.eye(len(matrix)) + matrix * np.asarray(signs))) >= 1 - 1e-12
    np.testing.assert_allclose(
        linalg.cayley(linalg.inverse_cayley(jnp.asarray(matrix), signs), signs), matrix, atol=1e-14
    )


def test_random_start(getkey):
    w = linalg.random_cayley(getkey(), 60, 20, jnp.float64)
    assert linalg.orthogonality_error(w) < 1e-14
    angles = np.angle(np.linalg.eigvals(np.asarray(w) * np.asarray(linalg.cayley_signs(60, 20, jnp.float64))))
    assert np.max(np.abs(angles)) <= np.pi / 2
    # Uniform on (0, pi/2): the largest distance of the empirical distribution from its law, at the level 1e-3.
    turned = np.sort(angles[angles > 0])
    distance = np.max(np.abs(turned / (np.pi / 2) - (np.arange(turned.size) + 0.5) / turned.size))
    assert turned.size == 30
    assert distance < 1.95 / np.sqrt(30)


@pytest.mark.parametrize("num_negative", [0, 3])
def test_gradient_is_that_of_the_independent_entries(getkey, num_negative):
    n, rows = 7, np.triu_indices(7, 1)
    a, target = skew(getkey(), n), jr.normal(getkey(), (n, n))
    signs = linalg.cayley_signs(n, num_negative, a.dtype)

    def loss(w):
        return jnp.sum(jnp.sin(w) * target)

    def of_entries(entries):
        upper = jnp.zeros((n, n)).at[rows].set(entries)
        return loss(linalg.cayley(upper - upper.T, signs))

    w = linalg.cayley(a, signs)
    found = linalg.cayley_gradient(linalg.cayley_inverse(a), w, jax.grad(loss)(w), signs)
    np.testing.assert_allclose(found[rows], jax.grad(of_entries)(a[rows]), atol=1e-12)
    assert np.all(found == -found.T)


def test_gradient_of_complex_matrices(getkey):
    n, h = 4, 1e-6
    z = jax.lax.complex(jr.normal(getkey(), (n, n)), jr.normal(getkey(), (n, n)))
    a, target = linalg.skew_part(z), jr.normal(getkey(), (n, n))
    w = linalg.cayley(a)
    assert norm(linalg.adjoint(w) @ w - jnp.eye(n, dtype=w.dtype)) < 1e-14

    def loss(w):
        return jnp.sum(target * (w.real**3 + w.imag * w.real))

    found = linalg.cayley_gradient(linalg.cayley_inverse(a), w, jax.grad(loss)(w).conj())
    for direction in [np.array(1.0), np.array(1j)]:
        bump = np.zeros((n, n), complex)
        bump[1, 2] = direction
        bump = bump - bump.conj().T
        slope = (loss(linalg.cayley(a + h * bump)) - loss(linalg.cayley(a - h * bump))) / (2 * h)
        # Each independent entry appears twice, so the inner product counts it twice.
        assert np.real(np.vdot(found, bump)) / 2 == pytest.approx(float(slope), abs=1e-8)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_neumann_error_is_the_next_power(getkey, order):
    a, change = skew(getkey(), 6), skew(getkey(), 6, 0.05)
    x, exact = linalg.cayley_inverse(a), linalg.cayley_inverse(a - change)
    e = x @ change
    found = linalg.neumann_step(x, change, order)
    np.testing.assert_allclose(exact - found, np.linalg.matrix_power(e, order + 1) @ exact, atol=1e-15)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_closed_loop_error_is_a_power_of_the_error_before(getkey, order):
    a, wrong = skew(getkey(), 6), 0.02 * jr.normal(getkey(), (6, 6))
    found, residual = linalg.hyperpower_step(linalg.cayley_inverse(a) + wrong, a, order)
    np.testing.assert_allclose(residual, -wrong @ (np.eye(6) + a), atol=1e-15)
    left = np.eye(6) - found @ (np.eye(6) + a)
    np.testing.assert_allclose(left, np.linalg.matrix_power(residual, order + 1), atol=1e-15)


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (lambda w, d: drifted(w, d, 1), 4),
        (lambda w, d: drifted(w, d, 2), 8),
        (lambda w, d: linalg.rebased_step(w, d, 1), 16),
        (lambda w, d: linalg.rebased_step(w, d, 2), 64),
    ],
)
def test_half_the_step(getkey, step, factor):
    a, d = skew(getkey(), 8), skew(getkey(), 8, 0.05)
    w = linalg.cayley(a)
    ratio = linalg.orthogonality_error(step(w, d)) / linalg.orthogonality_error(step(w, d / 2))
    assert ratio == pytest.approx(factor, rel=0.15)


def drifted(w, d, order):
    """W from the inverse that a Neumann series of this order gives after the step d."""
    a = linalg.inverse_cayley(w)
    return linalg.cayley_from_inverse(linalg.neumann_step(linalg.cayley_inverse(a), d, order))


def test_retractions_agree_to_first_order(getkey):
    w, d = linalg.random_cayley(getkey(), 6, 2, jnp.float64), skew(getkey(), 6, 1e-4)
    moved = [
        retract(w, d)
        for retract in (
            linalg.rebased_step,
            linalg.retract_cayley,
            linalg.retract_exponential,
            linalg.retract_qr,
            linalg.retract_polar,
        )
    ]
    for found in moved:
        assert linalg.orthogonality_error(found) < 1e-14
        assert norm(found - (w + 2 * d @ w)) < 10 * norm(d) ** 2
    exact = np.linalg.solve(np.eye(6) - d, (np.eye(6) + d) @ w)
    np.testing.assert_allclose(moved[1], exact, atol=1e-15)


def test_polar_step_squares_the_error(getkey):
    w = linalg.random_cayley(getkey(), 6, 2, jnp.float64) + 0.01 * jr.normal(getkey(), (6, 6))
    defect = linalg.orthogonality_defect(w)
    before, after = norm(defect), linalg.orthogonality_error(linalg.polar_step(w, defect))
    assert after <= 0.75 * before**2 + 0.25 * before**3 + 1e-15


@eqx.filter_jit
def batched(a, signs):
    w = linalg.cayley(a, signs)
    return w, linalg.inverse_cayley(w, signs), linalg.orthogonality_error(w)


def test_batches(getkey):
    a = skew(getkey(), 4, shape=(2, 3))
    w, back, error = batched(a, jnp.ones((2, 3, 4)))
    assert error.shape == (2, 3)
    assert np.max(error) < 1e-14
    np.testing.assert_allclose(back, a, atol=1e-13)
    np.testing.assert_allclose(w[1, 2], linalg.cayley(a[1, 2]), atol=1e-15)
