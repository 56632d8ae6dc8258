"""Pictures of gradient flow and of loss landscapes: what is drawn is what was computed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_dynamics.plot import gradient_flow, loss_surface
from gru_dynamics.plot._landscape import surface_limits
from gru_dynamics.sensitivity import bptt_factors, gradient_horizon, loss_landscape
from gru_dynamics.systems import FunctionMap


def shrink(state, args):
    return args * state


def total(states):
    return jnp.sum(states)


@functools.cache
def factors():
    found = bptt_factors(FunctionMap(shrink, jnp.array(0.5)), jnp.ones(2), None, total, num_steps=12, max_lag=8)
    return found, gradient_horizon(found)


def drawn(ax, gid):
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def test_gradient_flow():
    found, horizon = factors()
    ax = gradient_flow(found, horizon)
    map_of_signal = ax.collections[0].get_array().reshape(8, 12)
    lag, step = np.indices((8, 12))
    there = lag + step < 12
    np.testing.assert_array_equal(np.ma.getmaskarray(map_of_signal), ~there)
    expected = np.log10(np.sqrt(2) * 0.5**lag)
    np.testing.assert_allclose(np.asarray(map_of_signal)[there], expected[there], atol=1e-12)
    side = ax.child_axes[0]
    x, y = drawn(side, "left")[0].get_data()
    np.testing.assert_allclose(x, 0.5**y, rtol=1e-12)
    fit = drawn(side, "fit")[0].get_data()
    np.testing.assert_allclose(fit[0], 0.5 ** np.asarray(fit[1]), rtol=1e-9)
    np.testing.assert_allclose(drawn(ax, "horizon")[0].get_ydata(), 1 / np.log(2), rtol=1e-12)
    assert "vanishing" in side.get_title(loc="left")
    # Without a horizon there is only the profile.
    assert not drawn(gradient_flow(found).child_axes[0], "fit")
    ax.figure.draw_without_rendering()


def test_gradient_flow_that_vanished_at_once():
    found = bptt_factors(FunctionMap(shrink, jnp.array(0.0)), jnp.ones(2), None, total, num_steps=4, max_lag=4)
    ax = gradient_flow(found, gradient_horizon(found))
    assert "vanishing" in ax.child_axes[0].get_title(loc="left")
    ax.figure.draw_without_rendering()


def bowl(model):
    return model["a"] ** 2 + 10 * model["b"] ** 2 + 0.5


def both(model):
    return model["a"], model["b"]


@functools.cache
def landscape():
    model = {"a": jnp.array(0.0), "b": jnp.array(0.0)}
    return loss_landscape(bowl, model, np.linspace(-1, 1, 9), np.linspace(-2, 2, 5), where=both)


def test_loss_surface():
    found = landscape()
    ax = loss_surface(found, labels=("$a$", "$b$"))
    np.testing.assert_allclose(ax.collections[0].get_array().reshape(5, 9), np.asarray(found.loss).T)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$a$", "$b$")
    np.testing.assert_allclose(drawn(ax, "best")[0].get_data(), [[0], [0]], atol=1e-15)
    np.testing.assert_allclose(np.abs(drawn(ax, "steepest")[0].get_data()), [[1], [2]])
    # Along the valley and across it.
    for column, direction in enumerate(([1, 0], [0, 1])):
        line = np.diff(np.asarray(drawn(ax, f"axis-{column}")[0].get_data()), axis=1)[:, 0]
        np.testing.assert_allclose(np.abs(line) / np.linalg.norm(line), direction, atol=1e-12)
    assert ax.collections[0].norm.vmin == pytest.approx(0.5)
    ax.figure.draw_without_rendering()


def test_gradient_surface_on_a_common_scale():
    found = landscape()
    ax = loss_surface(found, value="gradient", limits=(0.1, 100.0), marks=False, bar=False)
    np.testing.assert_allclose(ax.collections[0].get_array().reshape(5, 9), np.asarray(found.slope).T)
    assert (ax.collections[0].norm.vmin, ax.collections[0].norm.vmax) == (0.1, 100.0)
    assert not drawn(ax, "best")
    ax.figure.draw_without_rendering()


def test_limits():
    assert surface_limits(np.array([0.0, 1e-3, np.nan, 10.0]), True) == (1e-3, 10.0)
    assert surface_limits(np.array([1e-30, 10.0]), True) == (1e-7, 10.0)
    assert surface_limits(np.array([-1.0, 3.0, np.inf]), False) == (-1.0, 3.0)
    low, high = surface_limits(np.array([2.0, 2.0]), True)
    assert low < 2 < high


def test_bad_input():
    plain = bptt_factors(FunctionMap(shrink, jnp.array(0.5)), jnp.ones(2), None, total, num_steps=12)
    with pytest.raises(ValueError, match="max_lag"):
        gradient_flow(plain)
    with pytest.raises(ValueError, match="batch"):
        gradient_flow(jax.tree.map(lambda leaf: leaf[None], factors()[0]))
    with pytest.raises(ValueError, match="batch"):
        loss_surface(jax.tree.map(lambda leaf: leaf[None], landscape()))
