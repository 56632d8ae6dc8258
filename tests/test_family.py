"""Families: what `where` and `index` vary, under every transformation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import without_type_checks

from gru_dynamics.cells import GRUCell
from gru_dynamics.systems import CellFlow, CellMap, Family, FunctionFamily, FunctionMap, library

CELL = GRUCell(2, 3, key=jr.key(0))
STEP = CellMap(CELL, jnp.array([0.5, -0.5]))
STATE = jnp.array([0.2, -0.4, 0.6])


def _bias(system):
    return system.cell.b_c


def _weights(system):
    return system.cell.U_c


def _input(system):
    return system.input


def _bias_and_weights(system):
    return system.cell.b_c, system.cell.U_c


def _henon_a(system):
    return system.args["a"]


def _henon_both(system):
    return system.args["a"], system.args["b"]


def _gain(system, mu):
    return eqx.tree_at(_weights, system, mu * system.cell.U_c)


def _shift_and_gain(system, mu):
    return eqx.tree_at(_bias_and_weights, system, (system.cell.b_c + mu[0], mu[1] * system.cell.U_c))


# name, family, another value of mu, how to read the varied numbers from a system
FAMILIES = {
    "leaf": (Family(STEP, _bias), jnp.array([1.0, 2.0, 3.0]), _bias),
    "matrix": (Family(STEP, _weights), jnp.arange(9.0).reshape(3, 3), _weights),
    "element": (Family(STEP, _bias, 1), jnp.asarray(0.7), lambda s: s.cell.b_c[1]),
    "matrix-element": (Family(STEP, _weights, (2, 0)), jnp.asarray(0.7), lambda s: s.cell.U_c[2, 0]),
    "row": (Family(STEP, _weights, 1), jnp.array([1.0, 2.0, 3.0]), lambda s: s.cell.U_c[1]),
    "input-element": (Family(STEP, _input, 0), jnp.asarray(-2.0), lambda s: s.input[0]),
    "several": (
        Family(STEP, _bias_and_weights, (2, (0, 1))),
        jnp.array([3.0, 4.0]),
        lambda s: jnp.stack([s.cell.b_c[2], s.cell.U_c[0, 1]]),
    ),
    "argument": (Family(library.henon(), _henon_a), jnp.asarray(0.9), _henon_a),
    "arguments": (
        Family(library.henon(), _henon_both),
        jnp.array([0.9, 0.2]),
        lambda s: jnp.stack([s.args["a"], s.args["b"]]),
    ),
}
each_family = pytest.mark.parametrize(("family", "mu", "read"), FAMILIES.values(), ids=FAMILIES)


@eqx.filter_jit
def _residual(family, mu, state):
    return family(mu).residual(state)


def state_of(family):
    return STATE if isinstance(family.system, CellMap) else STATE[:2]


@each_family
def test_member_at_the_present_parameters_is_the_system(family, mu, read):
    assert family.mu.shape == mu.shape
    np.testing.assert_array_equal(family.mu, read(family.system))
    assert eqx.tree_equal(family(family.mu), family.system)


@each_family
def test_member_has_the_new_parameters_and_nothing_else(family, mu, read):
    before = family.mu
    member = family(mu)
    np.testing.assert_array_equal(read(member), mu)
    assert eqx.tree_equal(Family(member, family.where, family.index)(before), family.system)
    np.testing.assert_array_equal(family.mu, before)  # the family itself is unchanged


@pytest.mark.parametrize("name", ["leaf", "several", "arguments"])
def test_under_jit(name):
    family, mu, _ = FAMILIES[name]
    state = state_of(family)
    np.testing.assert_allclose(_residual(family, mu, state), family(mu).residual(state), rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", ["leaf", "several", "arguments"])
def test_under_vmap(name):
    family, mu, _ = FAMILIES[name]
    mus = jnp.stack([family.mu, mu, 2 * mu])
    state = state_of(family)
    batched = jax.vmap(lambda mu: family(mu).residual(state))(mus)
    np.testing.assert_allclose(batched, jnp.stack([_residual(family, m, state) for m in mus]), rtol=0, atol=1e-15)
    assert jnp.max(jnp.abs(batched[1] - batched[0])) > 1e-3


def test_gradient_in_an_element():
    """`d residual_i / d b_c[1]` is `1 - c_1^2` for i = 1 and 0 for the others."""
    family, _, _ = FAMILIES["element"]
    slope = jax.jacfwd(lambda mu: family(mu).residual(STATE))(family.mu)
    c = CELL.candidate(STATE, STEP.input)
    np.testing.assert_allclose(slope, [0.0, 1 - c[1] ** 2, 0.0], rtol=0, atol=1e-15)


def test_gradient_in_several():
    """In reverse mode: the Hénon map's `-x^2` and `x`, summed over both components."""
    family, mu, _ = FAMILIES["arguments"]
    slope = jax.grad(lambda mu: jnp.sum(family(mu).residual(STATE[:2])))(mu)
    np.testing.assert_allclose(slope, [-(STATE[0] ** 2), STATE[0]], rtol=0, atol=1e-15)


@eqx.filter_jit
@eqx.debug.assert_max_traces(max_traces=1)
def _residual_once(family, mu, state):
    return family(mu).residual(state)


def test_new_parameters_do_not_retrace():
    for a in (1.0, 1.1):
        family = Family(library.henon(a), _henon_a)
        for mu in (0.3, 0.6):
            expected = 1 - mu * STATE[0] ** 2 + STATE[1] - STATE[0]
            assert _residual_once(family, jnp.asarray(mu), STATE[:2])[0] == pytest.approx(float(expected), abs=1e-15)


def test_python_numbers():
    """As parameters, and as the leaf that is varied."""
    np.testing.assert_array_equal(Family(STEP, _bias, 1)(2).cell.b_c[1], 2.0)
    np.testing.assert_array_equal(Family(library.henon(), _henon_both)((1, 0.5)).args["b"], 0.5)

    family = Family(CellFlow(CELL, tau=4.0), lambda system: system.tau)
    assert family.mu == 4.0
    np.testing.assert_array_equal(4 * family(4.0)(0.0, STATE), family(1.0)(0.0, STATE))
    slope = jax.grad(lambda tau: jnp.sum(family(tau).velocity(STATE)))(jnp.asarray(2.0))
    assert slope == pytest.approx(-float(jnp.sum(CELL.velocity(STATE))) / 4, abs=1e-15)


def test_parameters_take_the_dtype_of_the_leaf():
    cell = GRUCell(0, 2, dtype=jnp.dtype(jnp.float32), key=jr.key(0))
    member = Family(CellMap(cell), _bias, 0)(0.3)
    assert member.cell.b_c.dtype == jnp.float32


@pytest.mark.parametrize("index", [(1, 0), [1, 0]], ids=["tuple", "list"])
def test_index_of_one_leaf(index):
    assert Family(STEP, _weights, index).mu == CELL.U_c[1, 0]


# Functions of the user ---------------------------------------------------------------------------


def test_function_family():
    family = FunctionFamily(_gain, STEP, 1.0)
    assert family.mu.shape == ()
    assert eqx.tree_equal(family(family.mu), STEP)
    np.testing.assert_array_equal(family(2.0).cell.U_c, 2 * CELL.U_c)
    np.testing.assert_allclose(_residual(family, jnp.asarray(2.0), STATE), family(2.0).residual(STATE), atol=1e-15)


def test_function_family_of_several():
    family = FunctionFamily(_shift_and_gain, STEP, [0.0, 1.0])
    assert family.mu.shape == (2,)
    assert eqx.tree_equal(family(family.mu), STEP)
    mus = jnp.array([[0.0, 1.0], [0.3, 2.0]])
    batched = jax.vmap(lambda mu: family(mu).residual(STATE))(mus)
    np.testing.assert_allclose(batched[1], family(mus[1]).residual(STATE), rtol=0, atol=1e-15)
    slope = jax.jacfwd(lambda mu: family(mu).residual(STATE))(family.mu)
    c = CELL.candidate(STATE, STEP.input)
    np.testing.assert_allclose(slope[:, 0], 1 - c**2, rtol=0, atol=1e-15)


# Errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "index", "message"),
    [
        (_bias_and_weights, (1,), "2 leaves but 1 indices"),
        (_bias_and_weights, (1, (0, 0), 2), "2 leaves but 3 indices"),
        (_bias_and_weights, None, r"must each be a scalar, got shapes \[\(3,\), \(3, 3\)\]; give `index`"),
        (_bias_and_weights, (1, 0), r"must each be a scalar, got shapes \[\(\), \(3,\)\]"),
        (_bias_and_weights, (None, (0, 0)), r"must each be a scalar, got shapes \[\(3,\), \(\)\]"),
    ],
)
def test_wrong_indices_raise(where, index, message):
    with pytest.raises(ValueError, match=message):
        Family(STEP, where, index)


@pytest.mark.parametrize("number", [1, 3])
def test_wrong_number_of_parameters_raises(number):
    family = Family(library.henon(), _henon_both)
    with pytest.raises(ValueError, match=f"expected 2 parameters, got {number}"):
        family(jnp.ones((number,)))


@pytest.mark.parametrize(
    ("name", "mu"), [("leaf", jnp.ones((4,))), ("leaf", 1.0), ("matrix", jnp.ones((3,))), ("argument", jnp.ones((1,)))]
)
def test_wrong_shape_of_a_leaf_raises(name, mu):
    with (
        without_type_checks(),
        pytest.raises(ValueError, match=r"varied leaf has shape \(.*got a parameter of shape \("),
    ):
        FAMILIES[name][0](mu)


@pytest.mark.parametrize("mu", [jnp.ones((2,)), jnp.ones((1,))])
def test_wrong_shape_of_an_element_raises(mu):
    with without_type_checks(), pytest.raises(ValueError, match="shape"):
        FAMILIES["element"][0](mu)


def test_index_out_of_range_raises():
    """`array.at[index].set` would drop the value in silence, and `array[index]` return another element."""
    with pytest.raises((ValueError, IndexError)):
        Family(STEP, _bias, 3)


def test_function_systems_vary_their_arguments():
    family = Family(FunctionMap(lambda s, p: p["w"] @ s, {"w": jnp.eye(2)}), lambda system: system.args["w"], (0, 1))
    np.testing.assert_array_equal(family(5.0)(jnp.ones(2)), [6.0, 1.0])


def _both_biases(system):
    return system.cell.b_c, system.cell.b_c


def test_two_elements_of_one_leaf():
    family = Family(library.jordan("fig:3b"), _both_biases, (0, 1))
    np.testing.assert_array_equal(family(jnp.array([0.3, -0.7])).cell.b_c, [0.3, -0.7])
    np.testing.assert_array_equal(jax.jit(lambda mu: family(mu).cell.b_c)(jnp.array([0.3, -0.7])), [0.3, -0.7])
