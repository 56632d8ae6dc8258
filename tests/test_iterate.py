"""Iterates of maps: periodic points, multipliers, families."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import CELL_MAPS, UNBOUNDED_CELLS, draw, each, named, without_type_checks

from gru_dynamics.fixed_points import UniformGuesses, find_fixed_points
from gru_dynamics.linalg import Interval
from gru_dynamics.systems import CellMap, Family, FunctionMap, Iterate, library


def _rate(system):
    return system.map.args["r"]


@eqx.filter_jit
def everything(system, state):
    return {
        "step": system(state),
        "residual": system.residual(state),
        "velocity": system.velocity(state),
        "jacobian": system.jacobian(state),
        "residual_jacobian": system.residual_jacobian(state),
        "autodiff": jax.jacfwd(system)(state),
        "input_jacobian": system.input_jacobian(state),
    }


@pytest.mark.parametrize("times", [1, 2, 7, 64])
def test_equals_repeated_steps(times):
    step = library.henon(1.2)
    start = jnp.array([0.1, -0.2])
    expected = functools.reduce(lambda state, _: step(state), range(times), start)
    values = everything(Iterate(step, times), start)
    # The exponent of this map is below 0.42, so rounding grows by no more than e^(0.42 times).
    rounding = 1e-15 * np.exp(0.42 * times)
    np.testing.assert_allclose(values["step"], expected, rtol=0, atol=10 * rounding)
    np.testing.assert_array_equal(values["velocity"], values["residual"])
    np.testing.assert_allclose(values["residual"], expected - start, rtol=0, atol=10 * rounding)
    scale = np.max(np.abs(values["autodiff"]))
    np.testing.assert_allclose(values["jacobian"], values["autodiff"], rtol=0, atol=1e-14 * times * scale)
    np.testing.assert_array_equal(values["residual_jacobian"], values["jacobian"] - np.eye(2))
    assert values["input_jacobian"].shape == (2, 0)
    determinant = np.linalg.det(values["jacobian"]) if times < 20 else (-0.3) ** times
    assert determinant == pytest.approx((-0.3) ** times, rel=1e-9)  # every step contracts areas by -b


@each("make", named(CELL_MAPS, "map-gru-after", "map-lstm", "map-stack-lstm-gru-elman"))
def test_cells(make):
    """Jacobians in the full state and in the input, also where the memory is not part of the resting state."""
    step = make()
    state = jnp.linspace(-0.8, 0.9, step.cell.state_size)
    third = Iterate(step, 3)
    values = everything(third, state)
    assert np.max(np.abs(values["autodiff"])) > 1e-3
    np.testing.assert_allclose(values["step"], step(step(step(state))), rtol=0, atol=1e-15)
    np.testing.assert_allclose(values["jacobian"], values["autodiff"], rtol=0, atol=1e-15)
    by_input = jax.jacfwd(lambda input: Iterate(CellMap(step.cell, input), 3)(state))(step.input)
    assert np.max(np.abs(by_input)) > 1e-3
    np.testing.assert_allclose(values["input_jacobian"], by_input, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(third.lift(third.rest(state)), state)
    assert third.resting_size == step.cell.state_size


def test_bounds_are_those_of_the_map_where_they_bound_the_state():
    gru = named(CELL_MAPS, "map-gru-before")[0][1]()
    np.testing.assert_array_equal(Iterate(gru, 2).bounds, gru.bounds)
    lstm = named(CELL_MAPS, "map-lstm")[0][1]()
    assert lstm.bounds is not None
    assert Iterate(lstm, 2).bounds is None
    assert Iterate(library.henon(), 2).bounds is None
    assert Iterate(library.henon(), 2).resting_size is None
    assert Iterate(CellMap(draw(UNBOUNDED_CELLS[0][1])), 2).bounds is None


def test_iterate_of_an_iterate():
    step, state = library.delayed_logistic(), jnp.array([0.4, 0.6])
    twice_thrice, sixth = everything(Iterate(Iterate(step, 3), 2), state), everything(Iterate(step, 6), state)
    for name in ("step", "jacobian"):
        np.testing.assert_allclose(twice_thrice[name], sixth[name], rtol=0, atol=1e-14)


def test_arguments_replace_those_of_the_map():
    doubled = Iterate(FunctionMap(lambda state, p: p * state, jnp.asarray(2.0)), 3)
    np.testing.assert_array_equal(doubled(jnp.ones(2)), [8.0, 8.0])
    np.testing.assert_array_equal(doubled(jnp.ones(2), jnp.asarray(3.0)), [27.0, 27.0])


@pytest.mark.parametrize(("times", "r"), [(2, 1 + 6**0.5), (4, 3.544090359551923), (8, 3.564407266095433)])
def test_period_doublings_of_the_logistic_map(times, r):
    """The cycle of length k that passes through the attractor has multiplier -1 there."""
    system = Iterate(library.logistic(r), times)
    state = functools.reduce(lambda x, _: r * x * (1 - x), range(4096), 0.4)
    for _ in range(20):  # Newton: attraction is only algebraic at the doubling itself
        values = everything(system, jnp.array([state]))
        state -= float(values["residual"][0] / values["residual_jacobian"][0, 0])
    assert system.jacobian(jnp.array([state]))[0, 0] == pytest.approx(-1, abs=1e-10)


def test_period_three_fold_of_the_logistic_map():
    """At r = 1 + sqrt 8 the graph of F^3 touches the diagonal; the family varies the rate of the map within."""
    family = Family(Iterate(library.logistic(), 3), _rate)
    assert family.mu == 3.2
    system = family(1 + 8**0.5)
    curvature = jax.grad(lambda x: system.jacobian(x[None])[0, 0])
    x = jnp.asarray(0.51)
    for _ in range(8):
        x = x - system.residual_jacobian(x[None])[0, 0] / curvature(x)
    assert abs(float(system.residual(x[None])[0])) <= 1e-14
    slope = jax.jacfwd(lambda mu: family(mu).residual(x[None]))(family.mu)
    step = 1e-6
    difference = (family(3.2 + step).residual(x[None]) - family(3.2 - step).residual(x[None])) / (2 * step)
    np.testing.assert_allclose(slope, difference, rtol=0, atol=1e-8)


@pytest.mark.parametrize(("times", "number"), [(1, 2), (2, 4), (3, 2), (4, 8)])
def test_periodic_points_of_henon(times, number):
    """a = 1.4, b = 0.3 has 2, 4, 2, 8 points with F^k(x) = x for k = 1 ... 4."""
    guesses = UniformGuesses(np.array([-1.5, -0.5]), np.array([1.5, 0.5]), num=256)
    points = find_fixed_points(Iterate(library.henon(), times), guesses, key=jr.key(0))
    assert int(np.sum(points.mask)) == number
    for state in np.asarray(points.state)[np.asarray(points.mask)]:
        orbit = functools.reduce(lambda s, _: np.array([1 - 1.4 * s[0] ** 2 + s[1], 0.3 * s[0]]), range(times), state)
        np.testing.assert_allclose(orbit, state, rtol=0, atol=1e-12)


def test_index_sum_of_a_cell():
    """The box of the cell traps its iterates too, so the certificate holds: h = tanh(-2 h) has one fixed point, and its
    second iterate, where h -> -h makes it tanh(2 tanh(2 h)), three."""
    step = library.decoupled_tanh(1, -2.0)
    points = find_fixed_points(Iterate(step, 2), UniformGuesses(-1.0, 1.0, num=32), key=jr.key(0))
    found = np.sort(np.asarray(points.state)[np.asarray(points.mask), 0])
    np.testing.assert_allclose(found, [-0.9575040240772688, 0.0, 0.9575040240772688], rtol=0, atol=1e-12)
    assert int(points.index_sum) == 1


@eqx.filter_jit
@eqx.debug.assert_max_traces(max_traces=1)
def _residual_once(system, state):
    return system.residual(state)


def test_parameters_do_not_retrace_and_batches():
    rates = jnp.array([2.9, 3.2, 3.5])
    family, state = Family(Iterate(library.logistic(), 3), _rate), jnp.array([0.3])
    single = [float(_residual_once(family(r), state)[0]) for r in rates]
    np.testing.assert_allclose(jax.vmap(lambda r: family(r).residual(state)[0])(rates), single, rtol=0, atol=1e-15)


def test_no_enclosure():
    box = Interval(jnp.zeros(1), jnp.ones(1))
    with pytest.raises(TypeError, match=r"no enclosure.*use find_fixed_points"):
        Iterate(library.decoupled_tanh(1), 2).enclose(box)


@pytest.mark.parametrize("times", [0, -1, 2.0])
def test_wrong_times_raise(times):
    with without_type_checks(), pytest.raises(ValueError, match="times must be a positive integer, got"):
        Iterate(library.henon(), times)
