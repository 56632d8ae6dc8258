"""The textbook systems that bifurcation tests rest on, at their printed bifurcation points."""

import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import residual_and_jacobian

from gru_dynamics.systems import library


def spectrum(system, state):
    value, matrix = residual_and_jacobian(system, jnp.asarray(state))
    assert np.max(np.abs(value)) <= 1e-12
    return np.linalg.eigvals(np.asarray(matrix))


def critical(values, omega):
    """Distance of the spectrum from `i omega` and from `-i omega`."""
    return max(np.min(np.abs(values - 1j * omega)), np.min(np.abs(values + 1j * omega)))


@pytest.mark.parametrize("b", [1.0, 0.25])
def test_lure(b):
    """`(lambda + 1/b)(lambda^2 + b)` at a = 1/b."""
    values = spectrum(library.lure(1 / b, b), np.zeros(3))
    assert critical(values, np.sqrt(b)) <= 1e-14
    spectrum(library.lure(1 / b, b), np.array([1.0, 0.0, 0.0]))


@pytest.mark.parametrize(("s", "theta"), [(1.5, 0.7), (0.4, -1.1)])
def test_tanh_rotation_at_the_origin(s, theta):
    flow = spectrum(library.tanh_rotation_flow(s, theta), np.zeros(2))
    step = spectrum(library.tanh_rotation_map(s, theta), np.zeros(2))  # of the residual: multipliers minus 1
    expected = s * np.exp(1j * theta) - 1
    for values in (flow, step):
        assert max(np.min(np.abs(values - expected)), np.min(np.abs(values - expected.conj()))) <= 1e-15
    hopf = library.tanh_rotation_flow(1 / np.cos(theta), theta)
    assert critical(spectrum(hopf, np.zeros(2)), np.tan(theta)) <= 1e-15


def test_tanh_rotation_away_from_the_origin():
    h = np.array([0.3, -0.8])
    R = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    expected = np.tanh(1.3 * R @ h)
    np.testing.assert_allclose(library.tanh_rotation_map(1.3, 0.7)(jnp.asarray(h)), expected, rtol=0, atol=1e-15)
    np.testing.assert_allclose(
        library.tanh_rotation_flow(1.3, 0.7)(0.0, jnp.asarray(h)), expected - h, rtol=0, atol=1e-15
    )


def test_rotated_copies():
    scales, theta = (1.0, 0.8, 0.5), 0.6
    for c in scales:
        values = spectrum(library.rotated_copies(scales, 1 / (c * np.cos(theta)), theta), np.zeros(6))
        assert critical(values, np.tan(theta)) <= 1e-14
        expected = np.array(scales) / (c * np.cos(theta)) * np.exp(1j * theta) - 1
        np.testing.assert_allclose(
            np.sort_complex(values), np.sort_complex([*expected, *expected.conj()]), rtol=0, atol=1e-14
        )
    Q = np.asarray(library.rotated_copies(scales).args["Q"])
    np.testing.assert_allclose(Q.T @ Q, np.eye(6), rtol=0, atol=1e-14)
    assert np.min(np.abs(Q)) > 1e-4
    # Away from the origin the copies do not see each other: one alone stays alone.
    R = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    h = np.zeros((2, 3))
    h[:, 1] = 0.4, -0.9
    field = library.rotated_copies(scales, 2.0, theta)(0.0, jnp.asarray(Q @ h.reshape(-1)))
    expected = np.zeros((2, 3))
    expected[:, 1] = np.tanh(1.6 * R @ h[:, 1]) - h[:, 1]
    np.testing.assert_allclose(Q.T @ np.asarray(field), expected.reshape(-1), rtol=0, atol=1e-14)


@pytest.mark.parametrize("l", [1, 2, 3, 4, 5])
def test_multiplicity(l):
    values = spectrum(library.multiplicity(float(l)), np.zeros(15))
    assert np.sum(np.abs(values) <= 1e-15) == l


@pytest.mark.parametrize(("w", "b"), [(2.0, 0.5328399754), (4.0, 2.1471437182)])
@pytest.mark.parametrize("sign", [1, -1])
def test_tanh_unit_folds(w, b, sign):
    h = sign * np.sqrt(1 - 1 / w)
    value, slope = residual_and_jacobian(library.tanh_unit(w, -sign * b), jnp.array([h]))
    assert abs(float(value[0])) <= 1e-10  # the printed digits of b
    assert abs(float(slope[0, 0])) <= 1e-9


def test_tanh_unit_cusp():
    assert np.abs(spectrum(library.tanh_unit(1.0, 0.0), np.zeros(1))[0]) <= 1e-15


@pytest.mark.parametrize("z", [0.0, 0.5, 0.9])
def test_constant_gate_unit_flip(z):
    multiplier = 1 + spectrum(library.constant_gate_unit(-(1 + z) / (1 - z), z), np.zeros(1))[0]
    assert multiplier == pytest.approx(-1, abs=1e-14)


@pytest.mark.parametrize(("rho", "c"), [(-0.1, 1.0), (0.3, -0.5), (-0.25, 1.0)])
def test_bautin_normal_form(rho, c):
    """On the cycles the field is a rotation; they merge at rho = -c^2/4."""
    system = library.bautin_normal_form(rho, c)
    assert critical(spectrum(library.bautin_normal_form(0.0, c), np.zeros(2)), 1.0) <= 1e-15
    squares = np.array([c + np.sqrt(c * c + 4 * rho), c - np.sqrt(c * c + 4 * rho)]) / 2
    for square in squares[squares > 0]:
        x, y = np.sqrt(square) * np.array([0.6, 0.8])
        np.testing.assert_allclose(system(0.0, jnp.array([x, y])), [-y, x], rtol=0, atol=1e-15)
    radial = system(0.0, jnp.array([0.9, 0.0]))[0]
    assert float(radial) == pytest.approx(rho * 0.9 + c * 0.9**3 - 0.9**5, abs=1e-15)


@pytest.mark.parametrize(("n", "fold"), [(15, 3.5066811168), (63, 3.5133843732), (255, 3.5138028245)])
def test_bratu_fold(n, fold):
    """Newton's method in NumPy on `f = 0, J v = 0, sum v = n`."""
    x = np.arange(1, n + 1) / (n + 1)
    state, vector, lam, change = 4.7 * x * (1 - x), np.ones(n), 3.5, np.inf
    for _ in range(12):
        value, matrix = map(np.asarray, residual_and_jacobian(library.bratu(n, lam), jnp.asarray(state)))
        growth = lam * np.exp(state)
        equations = np.concatenate([value, matrix @ vector, [np.sum(vector) - n]])
        slope = np.block(
            [
                [matrix, np.zeros((n, n)), np.exp(state)[:, None]],
                [np.diag(growth * vector), matrix, (np.exp(state) * vector)[:, None]],
                [np.zeros((1, n)), np.ones((1, n)), np.zeros((1, 1))],
            ]
        )
        change = np.linalg.solve(slope, equations)
        state, vector, lam = state - change[:n], vector - change[n:-1], lam - change[-1]
    assert np.max(np.abs(change)) <= 1e-9
    assert lam == pytest.approx(fold, abs=1e-10)
