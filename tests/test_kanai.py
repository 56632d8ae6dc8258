"""Kanai, Fujiwara, Iwamura (2017), supplement: Lemmas 1-4 as tests; their eq. 11 and biases corrected.

`W` is their W_hh, our `U_c`; `sigma_1` the largest singular value, `rho` the spectral radius.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import PROPERTY
from hypothesis import given, strategies as st

from gru_dynamics.cells import GRUCell, StackedCell

N = 4
RESETS = pytest.mark.parametrize("reset", ["before", "after"])
SEEDS = st.integers(0, 2**31 - 1)

# All weights are replaced by NumPy draws; these give the structure.
PLAIN = {reset: GRUCell(0, N, reset=reset, use_bias=False, key=jr.key(0)) for reset in ("before", "after")}
BIASED = {reset: GRUCell(0, N, reset=reset, key=jr.key(0)) for reset in ("before", "after")}


@eqx.filter_jit
def _at_zero(cell):
    """The step at the origin, its closed-form Jacobian and that by autodiff."""
    zero = jnp.zeros((cell.state_size,))
    return cell(zero), cell.jacobians(zero)[0], jax.jacfwd(cell)(zero)


def at_zero(cell):
    step, closed, autodiff = map(np.asarray, _at_zero(cell))
    np.testing.assert_allclose(closed, autodiff, rtol=0, atol=1e-14)
    return step, autodiff


def zero_bias_gru(W, reset, rng):
    gates = (jnp.asarray(rng.normal(size=(N, N))) for _ in range(2))
    return eqx.tree_at(lambda c: (c.U_c, c.U_r, c.U_z), PLAIN[reset], (jnp.asarray(W), *gates))


def biased_gru(W, b_r, b_z, reset, rng):
    """Biases of the gates only: with `b_c = b_hc = 0` the origin stays a fixed point."""
    gates = [jnp.asarray(rng.normal(size=(N, N))) for _ in range(2)]
    values = [jnp.asarray(W), *gates, jnp.asarray(b_r), jnp.asarray(b_z), jnp.zeros((N,))]
    cell = eqx.tree_at(lambda c: (c.U_c, c.U_r, c.U_z, c.b_r, c.b_z, c.b_c), BIASED[reset], tuple(values))
    return cell if reset == "before" else eqx.tree_at(lambda c: c.b_hc, cell, jnp.zeros((N,)))


def random_matrix(kind, rng):
    """General, symmetric, orthogonal or nilpotent: from normal to as far from normal as can be."""
    matrix = rng.normal(size=(N, N))
    if kind == "symmetric":
        return matrix @ matrix.T
    if kind == "orthogonal":
        return np.linalg.qr(matrix)[0]
    if kind == "nilpotent":
        return np.triu(matrix, 1)
    return matrix


KINDS = st.sampled_from(["general", "symmetric", "orthogonal", "nilpotent"])


def sigma_1(matrix):
    return np.linalg.norm(matrix, 2)


def rho(matrix):
    return np.max(np.abs(np.linalg.eigvals(matrix)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# One layer without biases ------------------------------------------------------------------------


@RESETS
def test_lemma_1_zero_is_a_fixed_point(reset):
    rng = np.random.default_rng(0)
    step, _ = at_zero(zero_bias_gru(rng.normal(size=(N, N)), reset, rng))
    np.testing.assert_array_equal(step, np.zeros(N))


@RESETS
def test_lemma_2_jacobian_at_zero(reset):
    """`J(0) = W/4 + I/2`, whatever the gates' weights."""
    rng = np.random.default_rng(1)
    W = rng.normal(size=(N, N))
    _, jacobian = at_zero(zero_bias_gru(W, reset, rng))
    np.testing.assert_allclose(jacobian, W / 4 + np.eye(N) / 2, rtol=0, atol=1e-15)


@eqx.filter_jit
def _iterate(cell, state, steps):
    return jax.lax.fori_loop(0, steps, lambda _, h: cell(h), state)


@RESETS
@pytest.mark.parametrize("sigma", [1.9, 2.1])
def test_lemma_2_stability_of_the_origin(reset, sigma):
    """With `W = sigma I` the network itself, not its linearisation, falls to 0 or leaves it at `sigma = 2`."""
    rng = np.random.default_rng(2)
    start = 1e-3 * rng.normal(size=N)
    end = _iterate(zero_bias_gru(sigma * np.eye(N), reset, rng), jnp.asarray(start), 400)
    growth = np.linalg.norm(end) / np.linalg.norm(start)
    assert (growth < 1e-3) if sigma < 2 else (growth > 10)  # (sigma/4 + 1/2)^400 = 4e-5 or 2e4


@RESETS
@PROPERTY
@given(seed=SEEDS, kind=KINDS, margin=st.floats(1e-9, 1.0))
def test_lemma_3_spectral_norm_below_two(reset, seed, kind, margin):
    """`sigma_1(W) < 2` implies `rho(J(0)) < 1`."""
    rng = np.random.default_rng(seed)
    W = random_matrix(kind, rng)
    W *= (2 - margin) / sigma_1(W)
    _, jacobian = at_zero(zero_bias_gru(W, reset, rng))
    assert rho(jacobian) < 1


@RESETS
def test_lemma_3_is_sharp(reset):
    """Just above 2 there is a counterexample, `W = sigma I`; the reverse implication is false."""
    rng = np.random.default_rng(3)
    _, jacobian = at_zero(zero_bias_gru((2 + 1e-9) * np.eye(N), reset, rng))
    assert rho(jacobian) > 1
    nilpotent = np.zeros((N, N))
    nilpotent[0, 1] = 100.0
    _, jacobian = at_zero(zero_bias_gru(nilpotent, reset, rng))
    assert rho(jacobian) == pytest.approx(0.5)


# Several layers ----------------------------------------------------------------------------------

SIZES = (2, 3, 2)


@pytest.fixture(scope="module", params=["before", "after"])
def layers(request):
    """Weights `W_l,hh`, `W_l,xh` of a stack without biases, and the Jacobian of its step at zero."""
    rng = np.random.default_rng(4)
    cells = []
    for below, size in zip((0, *SIZES[:-1]), SIZES, strict=True):
        cell = GRUCell(below, size, reset=request.param, use_bias=False, key=jr.key(0))
        cells.append(jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), cell))
    step, jacobian = at_zero(StackedCell(cells))
    np.testing.assert_array_equal(step, np.zeros(sum(SIZES)))
    return [np.asarray(c.U_c) for c in cells], [np.asarray(c.W_c) for c in cells], jacobian


def block(matrix, row, column):
    ends = np.concatenate([[0], np.cumsum(SIZES)])
    return matrix[ends[row] : ends[row + 1], ends[column] : ends[column + 1]]


def product(matrices, size):
    """Product of matrices from left to right; the empty one is the identity of this size."""
    out = np.eye(size)
    for matrix in matrices:
        out = out @ matrix
    return out


def true_block(A, B, layer, d):
    """`dh_l,t / dh_l-d,t-1 = B_l ... B_l-d+1 A_l-d`: the old state enters at its own layer and climbs in one step."""
    return product([B[k] for k in range(layer, layer - d, -1)], SIZES[layer]) @ A[layer - d]


def printed_block(A, B, layer, d):
    """Eq. 11 as printed, a sum over the layer p at which a factor A stands."""
    return sum(
        product([B[layer - k] for k in range(p)], SIZES[layer])
        @ A[layer - p]
        @ product([B[layer - p - q] for q in range(d - p)], SIZES[layer - p])
        for p in range(d + 1)
    )


def test_lemma_4_block_triangular(layers):
    _, _, jacobian = layers
    for row in range(len(SIZES)):
        for column in range(row + 1, len(SIZES)):
            np.testing.assert_array_equal(block(jacobian, row, column), 0.0)


def test_lemma_4_spectral_radius(layers):
    """`rho(J) = max_l rho(W_l,hh/4 + I/2)`, and the whole spectrum is the union of the layers' spectra."""
    W_hh, _, jacobian = layers
    blocks = [W / 4 + np.eye(len(W)) / 2 for W in W_hh]
    assert rho(jacobian) == pytest.approx(max(rho(A) for A in blocks), abs=1e-12)
    union = np.concatenate([np.linalg.eigvals(A) for A in blocks])
    np.testing.assert_allclose(np.poly(jacobian), np.poly(union).real, rtol=0, atol=1e-10)


def test_equation_11_corrected(layers):
    """Autodiff has only the last term, p = d, of the printed sum; the eigenvalues do not see the difference."""
    W_hh, W_xh, jacobian = layers
    A, B = [W / 4 + np.eye(len(W)) / 2 for W in W_hh], [W / 2 for W in W_xh]
    as_printed = np.zeros_like(jacobian)
    ends = np.concatenate([[0], np.cumsum(SIZES)])
    for layer in range(len(SIZES)):
        for d in range(layer + 1):
            exact, printed = true_block(A, B, layer, d), printed_block(A, B, layer, d)
            np.testing.assert_allclose(block(jacobian, layer, layer - d), exact, rtol=0, atol=1e-13)
            assert (np.max(np.abs(printed - exact)) > 0.1) == (d > 0)
            as_printed[ends[layer] : ends[layer + 1], ends[layer - d] : ends[layer - d + 1]] = printed
    np.testing.assert_allclose(np.poly(as_printed), np.poly(jacobian), rtol=0, atol=1e-10)


# Biases of the gates -----------------------------------------------------------------------------


def effective(W, b_r, reset):
    """`W diag(sigmoid(b_r))` for reset before, `diag(sigmoid(b_r)) W` after."""
    r = sigmoid(b_r)
    return W * r[None, :] if reset == "before" else r[:, None] * W


@RESETS
def test_jacobian_at_zero_with_gate_biases(reset):
    """`J(0) = diag(z) + diag(1 - z) M` with M as in `effective`: the side of the diagonal matters."""
    rng = np.random.default_rng(5)
    W, b_r, b_z = rng.normal(size=(N, N)), rng.normal(size=N), rng.normal(size=N)
    step, jacobian = at_zero(biased_gru(W, b_r, b_z, reset, rng))
    np.testing.assert_array_equal(step, np.zeros(N))
    z = sigmoid(b_z)
    expected, other = (
        np.diag(z) + (1 - z)[:, None] * effective(W, b_r, side)
        for side in (reset, {"before": "after", "after": "before"}[reset])
    )
    np.testing.assert_allclose(jacobian, expected, rtol=0, atol=1e-15)
    assert np.max(np.abs(jacobian - other)) > 0.01


@RESETS
@PROPERTY
@given(seed=SEEDS, kind=KINDS, margin=st.floats(1e-6, 0.5), spread=st.floats(0.0, 5.0))
def test_bias_aware_radius(reset, seed, kind, margin, spread):
    """`sigma_1(M) < 1` implies `rho(J(0)) < 1` for every update gate.

    If `J v = m v` with |m| >= 1, then `(M v)_i = (m - z_i)/(1 - z_i) v_i` and `|m - z_i| >= 1 - z_i`, so |M v| >= |v|.
    """
    rng = np.random.default_rng(seed)
    W, b_r, b_z = random_matrix(kind, rng), spread * rng.normal(size=N), spread * rng.normal(size=N)
    W *= (1 - margin) / sigma_1(effective(W, b_r, reset))
    _, jacobian = at_zero(biased_gru(W, b_r, b_z, reset, rng))
    assert rho(jacobian) < 1


@RESETS
def test_bias_aware_radius_is_sharp(reset):
    rng = np.random.default_rng(6)
    b_r, b_z = rng.normal(size=N), rng.normal(size=N)
    W = np.diag((1 + 1e-6) / sigmoid(b_r))
    _, jacobian = at_zero(biased_gru(W, b_r, b_z, reset, rng))
    assert rho(jacobian) > 1


@RESETS
def test_two_minus_delta_does_not_hold_with_biases(reset):
    """Among random cells with `sigma_1(W) = 2 - delta = 1.8` and random biases some are unstable at 0.

    All of these violate the bias-aware condition, and without biases none is unstable.
    """
    rng = np.random.default_rng(7)
    unstable = 0
    for _ in range(50):
        W, b_r, b_z = random_matrix("symmetric", rng), 2 * rng.normal(size=N), rng.normal(size=N)
        W *= 1.8 / sigma_1(W)
        _, jacobian = at_zero(biased_gru(W, b_r, b_z, reset, rng))
        if rho(jacobian) > 1:
            unstable += 1
            assert sigma_1(effective(W, b_r, reset)) > 1
        assert rho(at_zero(biased_gru(W, 0 * b_r, 0 * b_z, reset, rng))[1]) < 1
    assert unstable > 0
