"""The theorems of the papers as functions, at cases that can be worked out by hand."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from gru_dynamics.cells import GRUCell, NCGRUCell, StackedCell
from gru_dynamics.papers import _kanai_lemmas as kanai, _nc_gru_bound as nc_gru, _pal as pal

# Pal (2019) -------------------------------------------------------------------------------------------


def test_pal_theorem_1_for_one_unit():
    """n = 1, two steps: dh_2/dw = tanh(h_1) + w sech^2(h_1) tanh(h_0); printed and corrected are the same there."""
    w, start, drive = 1.3, 0.4, np.array([0.2, -0.5])
    h_1 = w * np.tanh(start) + drive[0]
    expected = np.tanh(h_1) + w * (1 - np.tanh(h_1) ** 2) * np.tanh(start)
    for as_printed in (False, True):
        found = pal.theorem_1(jnp.array([[w]]), jnp.array([start]), jnp.asarray(drive)[:, None], as_printed=as_printed)
        assert float(found.claimed[0, 0]) == pytest.approx(expected, rel=1e-14)
        assert float(found.measured[0, 0]) == pytest.approx(expected, rel=1e-14)


def test_pal_theorem_1_against_autodiff():
    """The corrected theorem to 1e-12 at 4 units and 6 steps."""
    W, start, drive = jr.normal(jr.key(0), (4, 4)), jr.normal(jr.key(1), (4,)), jr.normal(jr.key(2), (6, 4))
    assert pal.theorem_1(W, start, drive).error < 1e-12 * jnp.max(jnp.abs(pal.theorem_1(W, start, drive).measured))
    assert pal.theorem_1(W, start, drive, as_printed=True).error > 1e-2


def test_pal_matrices_that_are_not_normal():
    """W = [[0, 4], [0, 0]]: no eigenvalue but 0, norm 4, W W = 0."""
    W, rest = jnp.array([[0.0, 4.0], [0.0, 0.0]]), jnp.zeros((1, 2))
    one = pal.theorem_2(W, rest, as_printed=True)
    assert (float(one.bound), float(one.measured)) == (0.0, 4.0)
    assert float(pal.theorem_2(W, rest).excess) <= 1e-14
    two = pal.theorem_4(W, jnp.zeros((2, 2)), as_printed=True)
    assert (float(two.bound), float(two.measured)) == pytest.approx((16.0, 0.0), abs=1e-12)
    assert float(pal.theorem_4(W, jnp.zeros((2, 2))).excess) <= 1e-14
    # A = [[1, 4], [0, 1]] has the eigenvalue 1 alone; it maps (-4, 1) / sqrt 17 to (0, 1) / sqrt 17.
    A, B = jnp.array([[1.0, 4.0], [0.0, 1.0]]), jnp.array([[-4.0, 0.0], [1.0, 0.0]]) / np.sqrt(17)
    printed = pal.lemma_3(A, B, as_printed=True)
    assert (float(printed.bound), float(printed.measured)) == pytest.approx((1.0, 17**-0.5), rel=1e-12)
    assert float(pal.lemma_3(A, B).excess) <= 1e-14


def test_pal_theorem_3_for_a_symmetric_matrix():
    """Left and right eigenvectors are the same: the printed form holds too."""
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    values, coefficients = jnp.array([1.5, 1.2, 0.5]), jnp.array([0.0, 2.0, 1.0])
    for as_printed in (False, True):
        found = pal.theorem_3(values, jnp.asarray(q), coefficients, 5, as_printed=as_printed)
        np.testing.assert_allclose(found.measured, coefficients * values**5, atol=1e-12)
        assert float(found.error) < 1e-12


# Kanai et al. (2017) ----------------------------------------------------------------------------------


def bare(input_size, size, key, **options):
    return GRUCell(input_size, size, use_bias=False, key=key, **options)


def test_kanai_lemmas_for_both_resets_and_layers_of_different_sizes():
    for cell in (bare(0, 4, jr.key(0)), bare(0, 4, jr.key(0), reset="after")):
        assert float(kanai.lemma_1(cell).error) == 0
        assert float(kanai.lemma_2(cell).error) < 1e-15
    stack = StackedCell([bare(2, 3, jr.key(1)), bare(3, 3, jr.key(2)), bare(3, 2, jr.key(3))])
    assert float(kanai.lemma_4(stack).error) < 1e-12
    assert float(kanai.equation_11(stack).error) < 1e-15
    printed = kanai.equation_11(stack, as_printed=True)
    wrong = np.abs(np.asarray(printed.claimed - printed.measured)) > 1e-3
    # Diagonal blocks and what is above them are right, all blocks below are not.
    assert not any(wrong[a:b, a:].any() for a, b in ((0, 3), (3, 6), (6, 8)))
    assert wrong[3:6, :3].any()
    assert wrong[6:, :3].any()
    assert wrong[6:, 3:6].any()
    np.testing.assert_allclose(
        np.sort(np.abs(np.linalg.eigvals(printed.claimed))), np.sort(np.abs(np.linalg.eigvals(printed.measured)))
    )


def test_kanai_numbers():
    """Diagonal matrices: norms, radii and distances are read off."""
    U = jnp.diag(jnp.array([1.6, -1.0, 3.0]))
    three = kanai.lemma_3(U)
    assert (float(three.bound), float(three.measured)) == pytest.approx((1.25, 1.25), abs=1e-14)
    five = kanai.lemma_5(U, jnp.zeros((3, 3)), 0.5)
    # Clipped at 1.5: by 0.1 and 1.5; the competitor 0 is at the norm of U.
    assert float(five.bound[0]) == pytest.approx(np.hypot(0.1, 1.5), rel=1e-12)
    assert float(five.measured[0]) == pytest.approx(np.sqrt(1.6**2 + 1 + 9), rel=1e-12)
    assert float(five.excess) < 1e-12
    six = kanai.lemma_6(U, jnp.eye(3), jnp.asarray(-0.5))
    np.testing.assert_allclose(six.measured, [3.5, 2.1, 0.5], atol=1e-14)
    np.testing.assert_allclose(six.bound, np.array([3.0, 1.6, 1.0]) + 0.5 * np.sqrt(3), atol=1e-14)


def test_kanai_condition_with_biases():
    """U_c = 1.8 I, z = 1/2, r = sigmoid(b): J(0) = (1 + 1.8 r)/2 I, unstable for r > 1/1.8 though sigma_1 < 2."""
    cell = GRUCell(0, 2, key=jr.key(0))
    for b_r, stable in ((0.0, True), (3.0, False)):
        made = eqx.tree_at(
            lambda c: (c.U_c, c.b_r, c.b_z, c.b_c), cell,
            (1.8 * jnp.eye(2), jnp.full((2,), b_r), jnp.zeros((2,)), jnp.zeros((2,))),
        )  # fmt: skip
        r = 1 / (1 + np.exp(-b_r))
        found, printed = kanai.with_gate_biases(made), kanai.with_gate_biases(made, as_printed=True)
        assert float(found.measured) == pytest.approx((1 + 1.8 * r) / 2, rel=1e-12)
        assert float(found.excess) <= 1e-12
        assert (float(found.bound) < 1) == stable
        assert float(printed.bound) == pytest.approx(0.95, rel=1e-12)


# Mucllari et al. (2022) -------------------------------------------------------------------------------


def test_hypotheses_of_corollary_3():
    cell = NCGRUCell(0, 3, orthogonal=("r", "c"), key=jr.key(0))
    gates = eqx.tree_at(
        lambda c: (c.b_r, c.b_z, c.b_c), cell, (jnp.full((3,), 9.0), jnp.full((3,), -9.0), -jnp.ones(3))
    )
    small = nc_gru.hypotheses(gates, jnp.full((3,), 0.1))
    assert bool(small.orthogonal & small.state_bounded & small.candidate_bounded & small.continuous)
    assert float(small.gates_from_binary) < 1e-3
    large = nc_gru.hypotheses(gates, jnp.full((3,), 5.0))
    assert not bool(large.state_bounded | large.candidate_bounded)
    jumping = eqx.tree_at(lambda c: (c.b_c, c.U_r), gates, (jnp.ones(3), 2 * gates.U_r))
    found = nc_gru.hypotheses(jumping, jnp.zeros(3))
    assert not bool(found.continuous | found.orthogonal)


def test_corollaries_order():
    """Each is weaker than the one that it follows from."""
    cell = GRUCell(0, 3, key=jr.key(1))
    state = jr.uniform(jr.key(2), (3,), minval=-1, maxval=1)
    theorem = nc_gru.gate_bound(cell, state)
    assert float(theorem.measured) <= float(theorem.bound) <= float(nc_gru.corollary_1(cell, state).bound)
    for alike in (False, True):
        second = nc_gru.corollary_2(cell, state, alike=alike)
        assert float(theorem.alpha + theorem.beta) == pytest.approx(float(second.measured), rel=1e-14)
        assert float(second.excess) <= 0
        assert float(nc_gru.corollary_2(cell, state, alike=alike, as_printed=True).bound) == (1 if alike else 2)
    orthogonal = NCGRUCell(0, 3, orthogonal=("r", "c"), key=jr.key(3))
    assert float(nc_gru.corollary_3(orthogonal, 10 * state).excess) <= 0


def test_algorithm_1_adds_up_its_errors():
    """Steps that turn on in one direction: the errors of k steps from an exact inverse add up to about k times one."""
    turn = jnp.array([[0.0, 1.0], [-1.0, 0.0]])
    skew, changes = 0.3 * turn, jnp.broadcast_to(-0.01 * turn, (25, 2, 2))
    once, often = nc_gru.algorithm_1(skew, changes), nc_gru.algorithm_1(skew, changes, as_printed=True)
    assert float(once.excess) <= 1e-15
    assert 10 < float(often.measured / once.measured) < 30
