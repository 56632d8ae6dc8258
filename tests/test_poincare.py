"""Returns to a section against closed forms, known cycles and finite differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gru_dynamics as gd
from gru_dynamics.trajectories import PoincareSection, section_through

UP = PoincareSection(jnp.array([0.0, 1.0]), 0.0, 1)
DOWN = PoincareSection(jnp.array([0.0, 1.0]), 0.0, -1)


@eqx.filter_jit
def crossings(section, flow, state, num=4, **options):
    return section.crossings(flow, state, num=num, **options)


def test_returns_of_the_hopf_normal_form():
    """r' = rho r - r^3, theta' = 1: every return takes 2 pi, and the radius has a closed form."""
    found = crossings(UP, gd.library.hopf_normal_form(rho=0.25), jnp.array([0.1, 0.0]))
    times = 2 * np.pi * np.arange(1, 5)
    growth = np.exp(0.5 * times)
    assert np.asarray(found.mask).all()
    np.testing.assert_allclose(found.time, times, atol=1e-10)
    np.testing.assert_allclose(found.state[:, 0], np.sqrt(0.25 * growth / (growth - 1 + 25)), atol=1e-11)
    np.testing.assert_allclose(found.state[:, 1], 0, atol=1e-15)


def test_direction_and_starts_beside_the_section():
    flow = gd.library.hopf_normal_form(rho=1.0)
    start = jnp.array([np.cos(1.0), np.sin(1.0)])
    np.testing.assert_allclose(crossings(UP, flow, start).time[0], 2 * np.pi - 1, atol=1e-10)
    down = crossings(DOWN, flow, start)
    np.testing.assert_allclose(down.time[:2], [np.pi - 1, 3 * np.pi - 1], atol=1e-10)
    np.testing.assert_allclose(down.state[0], [-1, 0], atol=1e-10)
    # On the section, but on the way down: the next upward crossing is half a turn away.
    np.testing.assert_allclose(crossings(UP, flow, jnp.array([-1.0, 0.0])).time[0], np.pi, atol=1e-10)


@pytest.mark.parametrize("error", [-1e-16, 0.0, 1e-16])
def test_a_start_on_the_section_does_not_count(error):
    found = crossings(UP, gd.library.hopf_normal_form(rho=1.0), jnp.array([1.0, error]))
    np.testing.assert_allclose(found.time[0], 2 * np.pi, atol=1e-10)


@pytest.mark.slow
def test_the_papers_cycle():
    """Fig. 5b: period 17.45791322, crossing y = 0 upward at x = 0.6235352."""
    flow = gd.library.jordan("fig:5b")
    found = crossings(UP, flow, jnp.array([0.6, 0.0]), num=20)
    np.testing.assert_allclose(found.time[-1] - found.time[-2], 17.45791322, atol=1e-8)
    np.testing.assert_allclose(found.state[-1, 0], 0.6235352, atol=1e-7)


def test_no_return():
    flow = gd.library.hopf_normal_form(rho=-1.0, omega=1e-3)
    found = crossings(UP, flow, jnp.array([1.0, 0.0]), longest=50.0)
    assert not np.asarray(found.mask).any()
    state, time = eqx.filter_jit(UP.return_map)(flow, jnp.array([1.0, 0.0]), longest=50.0)
    assert np.isnan(time)
    assert np.isnan(state).all()


@jax.jit
def _return(mu, x, height):
    section = PoincareSection(jnp.array([0.1, 1.0]), height, -1)
    state, time = section.return_map(gd.library.van_der_pol(mu), jnp.stack([x, height - 0.1 * x]))
    return jnp.append(state, time)


def test_derivatives_are_those_of_the_implicit_function():
    at, step = (1.0, 2.3, 0.05), 1e-4
    value = [jnp.asarray(v) for v in at]
    forward = jax.jit(jax.jacfwd(_return, argnums=(0, 1, 2)))(*value)
    reverse = jax.jit(jax.jacrev(_return, argnums=(0, 1, 2)))(*value)
    for k in range(3):
        plus, minus = ([jnp.asarray(v + sign * step * (i == k)) for i, v in enumerate(at)] for sign in (1, -1))
        expected = (_return(*plus) - _return(*minus)) / (2 * step)
        np.testing.assert_allclose(forward[k], expected, atol=1e-7)
        np.testing.assert_allclose(reverse[k], forward[k], atol=1e-9)


@pytest.mark.slow
def test_a_batch_of_starts():
    flow = gd.library.hopf_normal_form(rho=1.0)
    angles = jnp.array([0.5, 1.0, 6.0])
    starts = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    _, time = jax.vmap(lambda s: UP.return_map(flow, s))(starts)
    np.testing.assert_allclose(time, 2 * np.pi - angles, atol=1e-9)


def test_section_through_a_state():
    state = jnp.array([2.0, 0.0])
    section = section_through(gd.library.van_der_pol(), state)
    np.testing.assert_allclose(section.normal, [0, -1], atol=1e-15)
    assert float(section.height(state)) == 0


def test_bad_sections():
    with pytest.raises(ValueError, match="direction must be"):
        PoincareSection(jnp.array([0.0, 1.0]), 0.0, 2)
    with pytest.raises(ValueError, match="does not match"):
        UP.crossings(gd.library.lorenz(), jnp.zeros(3))
