"""Cycles of flows and maps: periods, multipliers, derivatives and births, against closed forms."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.integrate

import gru_dynamics as gd
from gru_dynamics.cycles import cycle_from_hopf, cycles_of_map, find_cycle
from gru_dynamics.trajectories import PoincareSection

# One cycle of a flow -----------------------------------------------------------------------------


@pytest.mark.parametrize("num_nodes", [pytest.param(1, marks=pytest.mark.slow), 4])
@pytest.mark.parametrize(("mu", "period"), [(1.0, 6.663286859323), (10.0, 19.0783695669)])
def test_van_der_pol(mu, period, num_nodes):
    flow = gd.library.van_der_pol(mu)
    cycle = find_cycle(flow, jnp.array([1.0, 0.0]), num_nodes=num_nodes)
    np.testing.assert_allclose(cycle.period, period, atol=1e-9)
    assert cycle.states.shape == (num_nodes, 2)
    assert bool(cycle.stable)
    assert float(cycle.trivial_error) < 1e-8
    if mu == 1:
        np.testing.assert_allclose(cycle.multipliers, [8.596951e-4], atol=1e-9)
        _, states = cycle.orbit(flow, 4000)
        np.testing.assert_allclose(states[:, 0].max(), 2.0086198609, atol=1e-6)


@pytest.mark.slow
def test_the_papers_cycles():
    up = PoincareSection(jnp.array([0.0, 1.0]))
    flow = gd.library.jordan("fig:5b")
    cycle = find_cycle(flow, jnp.array([0.6, 0.0]))
    np.testing.assert_allclose(cycle.period, 17.45791322, atol=1e-8)
    crossing, _ = up.return_map(flow, cycle.states[0])
    np.testing.assert_allclose(crossing[0], 0.6235352, atol=1e-7)
    flow = gd.library.jordan("fig:5c")
    cycle = find_cycle(flow, jnp.array([0.6, 0.0]))
    np.testing.assert_allclose(cycle.period, 625.349230, atol=1e-6)
    np.testing.assert_allclose(cycle.orbit(flow, 20_000)[1][:, 0].max(), 0.90290677, atol=1e-7)
    cycle = find_cycle(gd.library.jordan_rotation(np.pi / 5), jnp.array([0.6, 0.0]))
    np.testing.assert_allclose(cycle.period, 17.45796528, atol=1e-8)


@pytest.mark.slow
def test_unstable_cycle_from_a_period():
    """r' = (-r + r^3) / 10 is unstable at r = 1, multiplier exp(0.4 pi); no trajectory settles there."""
    flow = gd.library.hopf_normal_form(rho=-0.1, l1=0.1)
    cycle = find_cycle(flow, jnp.array([1.05, 0.1]), period=6.0)
    np.testing.assert_allclose(jnp.linalg.norm(cycle.states[0]), 1.0, atol=1e-10)
    np.testing.assert_allclose(cycle.period, 2 * np.pi, atol=1e-9)
    np.testing.assert_allclose(cycle.multipliers, [np.exp(0.4 * np.pi)], rtol=1e-9)
    assert int(cycle.unstable_dim) == 1


def test_orbit_closes_and_has_equal_times():
    flow = gd.library.hopf_normal_form(rho=1.0)
    cycle = find_cycle(flow, jnp.array([0.5, 0.0]))
    times, states = cycle.orbit(flow, 50)
    assert times.shape == (51,)
    angles = np.arctan2(cycle.states[0, 1], cycle.states[0, 0]) + np.asarray(times)
    np.testing.assert_allclose(times, np.linspace(0, 2 * np.pi, 51), atol=1e-9)
    np.testing.assert_allclose(states, np.stack([np.cos(angles), np.sin(angles)], axis=1), atol=1e-7)


def _measure(rho, omega):
    cycle = find_cycle(gd.library.hopf_normal_form(rho, omega), jnp.array([0.3, 0.0]), throw=False)
    values = jnp.stack([cycle.period, jnp.linalg.norm(cycle.states[0]), cycle.multipliers[0].real])
    return values, values


@pytest.mark.slow
def test_derivatives_of_a_batch():
    """T = 2 pi / omega, radius sqrt(rho), multiplier m = exp(-4 pi rho / omega)."""
    rho, omega = np.array([0.1, 0.4, 1.0]), np.array([0.5, 1.0, 2.0])
    derivatives = jax.jit(jax.vmap(jax.jacrev(_measure, argnums=(0, 1), has_aux=True)))
    (by_rho, by_omega), values = derivatives(jnp.asarray(rho), jnp.asarray(omega))
    m, nothing = np.exp(-4 * np.pi * rho / omega), np.zeros(3)
    np.testing.assert_allclose(values.T, [2 * np.pi / omega, rho**0.5, m], atol=1e-9)
    np.testing.assert_allclose(by_rho.T, [nothing, 0.5 * rho**-0.5, -4 * np.pi / omega * m], atol=1e-8)
    np.testing.assert_allclose(by_omega.T, [-2 * np.pi / omega**2, nothing, 4 * np.pi * rho / omega**2 * m], atol=1e-8)


def test_no_cycle():
    with pytest.raises(RuntimeError, match="find_cycle"):
        find_cycle(gd.library.hopf_normal_form(rho=-1.0), jnp.array([0.5, 0.0]))
    with pytest.raises(RuntimeError, match="find_cycle"):
        find_cycle(gd.library.hopf_normal_form(rho=-1.0), jnp.array([0.05, 0.0]), period=6.0)
    with pytest.raises(ValueError, match="number of points"):
        find_cycle(gd.library.henon(), jnp.zeros(2))
    with pytest.raises(ValueError, match="two or more dimensions"):
        find_cycle(gd.library.cusp_normal_form(), jnp.zeros(1))


# Cycles of maps ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def henon():
    box = gd.UniformGuesses(jnp.array([-2.0, -1.0]), jnp.array([2.0, 1.0]), num=256)
    return [cycles_of_map(gd.library.henon(), k, box, key=jr.key(0), max_points=32) for k in (4, 5)]


def test_numbers_of_henon_cycles(henon):
    """Points with f^n(x) = x, n = 1..5: 2, 4, 2, 8, 2; so two fixed points, one 2-cycle and one 4-cycle."""
    assert [int(found.points.mask.sum()) for found in henon] == [8, 2]
    periods = [np.asarray(found.period)[np.asarray(found.mask)].tolist() for found in henon]
    assert periods == [[1, 1, 2, 4], [1, 1]]


def test_multipliers_of_henon_cycles(henon):
    """Their product is (-b)^p for a cycle of p points."""
    found = henon[0]
    for row in np.flatnonzero(np.asarray(found.mask)):
        p = int(found.period[row])
        np.testing.assert_allclose(np.prod(np.asarray(found.multipliers[row])), (-0.3) ** p, rtol=1e-6)
        points = np.asarray(found.states[row])
        np.testing.assert_allclose(points, np.roll(points, p, axis=0), atol=1e-5)
        assert int(found.unstable_dim[row]) == 1


@jax.jit
def _two_cycle(r):
    cycle = find_cycle(gd.library.logistic(r), jnp.array([0.5]), period=2, throw=False)
    return jnp.append(jnp.sort(cycle.states[:, 0]), cycle.multipliers[0].real)


def test_logistic_two_cycle():
    """x = (r + 1 -+ sqrt((r - 3)(r + 1))) / 2r with multiplier 4 + 2r - r^2, derivative 2 - 2r."""
    r = 3.2
    root = np.sqrt((r - 3) * (r + 1))
    expected = [(r + 1 - root) / (2 * r), (r + 1 + root) / (2 * r), 4 + 2 * r - r * r]
    np.testing.assert_allclose(_two_cycle(jnp.asarray(r)), expected, atol=1e-13)
    slope = jax.jit(jax.grad(lambda r: _two_cycle(r)[2]))(jnp.asarray(r))
    np.testing.assert_allclose(slope, 2 - 2 * r, atol=1e-12)


def test_a_shorter_period_is_reported():
    with pytest.raises(RuntimeError, match="find_cycle"):
        find_cycle(gd.library.logistic(3.2), jnp.array([0.5]), period=4)


# Born at a Hopf point ----------------------------------------------------------------------------


def _rho(system):
    return system.args["rho"]


class _Hopf(NamedTuple):
    mu: float
    state: jax.Array
    omega: float


def _born(l1):
    family = gd.Family(gd.library.hopf_normal_form(l1=l1, omega=1.5), _rho)
    cycle, mu = cycle_from_hopf(family, _Hopf(0.0, jnp.zeros(2), 1.5), 0.1, throw=False)
    values = jnp.stack([mu, jnp.linalg.norm(cycle.states[0]), cycle.period])
    return values, (values, cycle.stable)


def test_from_hopf_on_both_sides():
    """mu = -l1 amplitude^2: supercritical and subcritical."""
    l1 = np.array([-1.0, 2.0])
    slope, (values, stable) = jax.jit(jax.vmap(jax.jacfwd(_born, has_aux=True)))(jnp.asarray(l1))
    expected = [-0.01 * l1, np.full(2, 0.1), np.full(2, 2 * np.pi / 1.5)]
    np.testing.assert_allclose(values.T, expected, atol=1e-9)
    np.testing.assert_allclose(slope.T, [[-0.01] * 2, [0] * 2, [0] * 2], atol=1e-9)
    assert stable.tolist() == [True, False]


def test_from_the_subcritical_hopf_point_of_lorenz():
    """rho = 470/19, omega = 9.6245300637; scipy comes back to the same state after the period."""
    rho = 470 / 19
    r = np.sqrt(8 / 3 * (rho - 1))
    family = gd.Family(gd.library.lorenz(), _rho)
    cycle, mu = cycle_from_hopf(family, _Hopf(rho, jnp.array([r, r, rho - 1]), 9.6245300637), 0.5, num_nodes=2)
    assert mu < rho
    assert int(cycle.unstable_dim) == 1
    start = np.asarray(cycle.states[0])
    flow = lambda t, s: [10 * (s[1] - s[0]), s[0] * (float(mu) - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]]  # noqa: E731
    end = scipy.integrate.solve_ivp(flow, (0, float(cycle.period)), start, method="DOP853", rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(end.y[:, -1], start, atol=1e-8)
