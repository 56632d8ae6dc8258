"""Rollouts against a Python loop, integration against closed forms and known cycles."""

import diffrax as dfx
import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import without_type_checks

import gru_dynamics as gd

_CELL = gd.GRUCell(3, 4, key=jr.key(0))
_rollout = eqx.filter_jit(gd.rollout)
_integrate = eqx.filter_jit(gd.integrate)


def _loop(cell, state, inputs):
    states = []
    for x in inputs:
        state = cell(state, x)
        states.append(state)
    return np.stack(states)


def test_rollout_is_the_loop(getkey):
    state, inputs = jr.normal(getkey(), (4,)), jr.normal(getkey(), (6, 3))
    expected = _loop(_CELL, state, inputs)
    np.testing.assert_allclose(_rollout(_CELL, state, inputs), expected, atol=1e-14)
    np.testing.assert_allclose(_rollout(_CELL, state, inputs, save_states=False), expected[-1], atol=1e-14)
    np.testing.assert_allclose(_rollout(gd.CellMap(_CELL, input=jnp.ones(3)), state, inputs), expected, atol=1e-14)


def test_rollout_of_batches(getkey):
    states, inputs = jr.normal(getkey(), (2, 4)), jr.normal(getkey(), (2, 6, 3))
    both = _rollout(_CELL, states, inputs)
    assert both.shape == (2, 6, 4)
    for b in range(2):
        np.testing.assert_allclose(both[b], _loop(_CELL, states[b], inputs[b]), atol=1e-14)
    shared = _rollout(_CELL, states, inputs[0])
    np.testing.assert_allclose(shared[1], _loop(_CELL, states[1], inputs[0]), atol=1e-14)


def test_rollout_without_inputs(getkey):
    state = jr.normal(getkey(), (4,))
    zeros = _rollout(_CELL, state, num_steps=5)
    np.testing.assert_allclose(zeros, _loop(_CELL, state, jnp.zeros((5, 3))), atol=1e-14)
    constant = _rollout(gd.CellMap(_CELL, input=jnp.ones(3)), state, num_steps=5)
    np.testing.assert_allclose(constant, _loop(_CELL, state, jnp.ones((5, 3))), atol=1e-14)
    henon = gd.library.henon()
    np.testing.assert_allclose(_rollout(henon, jnp.zeros(2), num_steps=2), [[1.0, 0.0], [-0.4, 0.3]], atol=1e-15)
    other = {"a": jnp.array(1.0), "b": jnp.array(0.5)}
    np.testing.assert_allclose(_rollout(henon, jnp.zeros(2), num_steps=2, args=other)[1], [0.0, 0.5], atol=1e-15)


@pytest.mark.parametrize(
    ("state", "inputs", "num_steps", "phrase"),
    [
        ((4,), None, None, "give `inputs` or `num_steps`"),
        ((4,), (5, 3), 5, "leave out `num_steps`"),
        ((4, 1, 1), None, 3, "expected state"),
        ((4,), (2, 5, 3), None, "expected state"),
        ((4, 1), None, 3, "must have shape"),
    ],
)
def test_rollout_says_what_is_wrong(state, inputs, num_steps, phrase):
    inputs = None if inputs is None else jnp.zeros(inputs)
    with without_type_checks(), pytest.raises(ValueError, match=phrase):
        gd.rollout(_CELL, jnp.zeros(state), inputs, num_steps=num_steps)


def test_rollout_of_a_function_map_takes_no_inputs():
    with pytest.raises(ValueError, match="only cells"):
        gd.rollout(gd.library.henon(), jnp.zeros(2), jnp.zeros((3, 1)))


def test_integrate_follows_the_hopf_normal_form():
    """r' = rho r - r^3, theta' = 1: closed form of radius and angle."""
    flow = gd.library.hopf_normal_form(rho=0.25, omega=1.0, l1=-1.0)
    solution = _integrate(flow, jnp.array([0.1, 0.0]), 5.0)
    growth = np.exp(2 * 0.25 * 5.0)
    radius = np.sqrt(0.25 * growth / (growth - 1 + 0.25 / 0.1**2))
    np.testing.assert_allclose(solution.ys[0], radius * np.array([np.cos(5.0), np.sin(5.0)]), atol=1e-8)


def test_integrate_finds_the_period_of_the_papers_cycle():
    """Fig. 5b: period 17.45791322, crossing y = 0 upward at x = 0.6235352."""
    flow = gd.library.jordan("fig:5b")
    start = _integrate(flow, jnp.array([0.6235352, 0.0]), 20 * 17.45791322).ys[0]
    again = _integrate(flow, start, 17.45791322).ys[0]
    np.testing.assert_allclose(again, start, atol=1e-7)
    half = _integrate(flow, start, 17.45791322 / 2).ys[0]
    np.testing.assert_allclose(half, -start, atol=1e-7)


def test_integrate_passes_events_and_dense_output():
    flow = gd.library.jordan("fig:5b")
    event = dfx.Event(lambda t, y, args, **_: y[1], direction=True)
    start = jnp.array([0.6235352, 1e-9])
    solution = gd.integrate(flow, start, 40.0, event=event, saveat=dfx.SaveAt(t1=True, dense=True))
    assert solution.result == dfx.RESULTS.event_occurred
    assert abs(float(solution.ts[0]) - 17.457913) < 0.2
    assert solution.evaluate(jnp.asarray(1.0)).shape == (2,)


def test_euler_with_step_tau_is_the_map():
    cell = gd.GRUCell(0, 4, key=jr.key(3))
    state = jr.uniform(jr.key(1), (4,))
    solution = gd.integrate(
        gd.CellFlow(cell, tau=0.5),
        state,
        1.5,
        dt0=0.5,
        solver=dfx.Euler(),
        stepsize_controller=dfx.ConstantStepSize(),
    )
    np.testing.assert_allclose(solution.ys[0], gd.rollout(cell, state, num_steps=3)[-1], atol=1e-14)


def test_integrate_wants_one_vector():
    with without_type_checks(), pytest.raises(ValueError, match="one vector"):
        gd.integrate(gd.library.jordan("fig:5b"), jnp.zeros((3, 2)), 1.0)
