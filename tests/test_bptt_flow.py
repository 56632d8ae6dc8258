"""The adjoint along a flow, against matrix exponentials and autodiff through the solver."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from catalogue import CELLS, draw, named, without_type_checks

from gru_dynamics._results import RESULTS
from gru_dynamics.sensitivity import GradientFlow, bptt_factors_flow, gradient_horizon
from gru_dynamics.systems import CellFlow, FunctionFlow

TIMES = np.array([0.5, 1.0, 1.7, 3.0])
MATRIX = np.array([[-0.4, 1.0], [-1.0, -0.4]])
WEIGHT = np.array([[1.0, 0.5], [0.0, -1.0], [0.3, 0.2], [1.0, 2.0]])


def linear(t, state, args):
    return args["A"] @ state + args["b"]


def cube(t, state, args):
    return -(state**3)


def weighted(states):
    return jnp.sum(jnp.asarray(WEIGHT) * states)


def squares(states):
    return jnp.sum(states**2) / 2


FLOW = FunctionFlow(linear, {"A": jnp.asarray(MATRIX), "b": jnp.array([0.1, -0.2])})
START = jnp.array([0.6, -0.3])


@functools.cache
def linear_factors():
    return bptt_factors_flow(FLOW, START, jnp.asarray(TIMES), weighted, num_nodes=4)


def adjoint_at(t, before):
    """Sum of `exp(A^T (t_i - t)) w_i` over the readings later than t, or at t too."""
    later = [i for i, time in enumerate(TIMES) if time > t + 1e-12 or (before and time > t - 1e-12)]
    return sum((scipy.linalg.expm(MATRIX.T * (TIMES[i] - t)) @ WEIGHT[i] for i in later), np.zeros(2))


def test_adjoint_of_a_linear_flow():
    found = linear_factors()
    np.testing.assert_allclose(found.adjoint, [adjoint_at(t, True) for t in TIMES], atol=1e-9)
    np.testing.assert_allclose(found.initial, adjoint_at(0.0, False), atol=1e-9)
    nodes = np.concatenate([np.linspace(a, b, 5)[1:] for a, b in zip([0, *TIMES[:-1]], TIMES, strict=True)])
    np.testing.assert_allclose(found.node_time, nodes, rtol=1e-14)
    expected = np.array([adjoint_at(t, True) for t in nodes])
    np.testing.assert_allclose(found.node_adjoint, expected, atol=1e-8)
    # b acts on the state itself: its density is the adjoint.
    np.testing.assert_allclose(found.density.args["b"], np.linalg.norm(expected, axis=1), atol=1e-8)


def test_gradient_of_a_linear_flow():
    """dL/db = sum_i A^-T (exp(A^T t_i) - 1) w_i."""
    found = linear_factors()
    pieces = [scipy.linalg.expm(MATRIX.T * t) - np.eye(2) for t in TIMES]
    expected = sum(np.linalg.solve(MATRIX.T, piece @ w) for piece, w in zip(pieces, WEIGHT, strict=True))
    np.testing.assert_allclose(found.gradient.args["b"], expected, atol=1e-9)
    # The norms of the parts bound that of their sum.
    assert found.interval_norm.args["b"].sum() >= np.linalg.norm(expected)


def test_horizon_of_a_flow():
    """The signal of the last reading decays as exp(-0.4 lag) and turns."""
    found = linear_factors()
    np.testing.assert_allclose(found.left, np.exp(-0.4 * np.asarray(found.node_lag)), rtol=1e-7)
    assert found.node_lag[0] == 0
    assert (np.diff(found.node_lag) > 0).all()
    horizon = gradient_horizon(found)
    np.testing.assert_allclose(horizon.rate, -0.4, rtol=1e-6)
    np.testing.assert_allclose(horizon.horizon[0], 1 / 0.4, rtol=1e-6)
    assert int(horizon.verdict) in (GradientFlow.STEADY, GradientFlow.VANISHING)
    with pytest.raises(ValueError, match="signal"):
        gradient_horizon(found, of="contribution")


@pytest.mark.parametrize("name", ["gru-after", pytest.param("stack-lstm-gru-elman", marks=pytest.mark.slow)])
def test_cell_flows_against_autodiff(name):
    make = named(CELLS, name)[0][1]
    flow = CellFlow(draw(make, gain=2.0), np.array([0.3, -0.7]), tau=1.3)
    state = jnp.linspace(-0.5, 0.5, flow.cell.state_size)
    times = jnp.asarray(TIMES)

    @eqx.filter_jit
    @eqx.filter_grad
    def autodiff(both):
        """Through 3000 steps of the classical method of order 4, whose error is far below 1e-9."""
        flow, state = both
        step = 1e-3

        def advance(s, _):
            k1 = flow(0.0, s)
            k2 = flow(0.0, s + step / 2 * k1)
            k3 = flow(0.0, s + step / 2 * k2)
            k4 = flow(0.0, s + step * k3)
            return (new := s + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)), new

        path = jax.lax.scan(advance, state, None, length=3000)[1]
        return squares(path[np.rint(TIMES / step).astype(int) - 1])

    expected, initial = autodiff((flow, state))
    found = bptt_factors_flow(flow, state, times, squares, num_nodes=2)
    for one, other in zip(jax.tree.leaves(found.gradient), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)
    np.testing.assert_allclose(found.initial, initial, atol=1e-8)
    assert found.gradient.input.shape == (2,)


def test_failures_are_reported():
    # exp(1500) is no float.
    flow = FunctionFlow(linear, {"A": 500 * jnp.eye(2), "b": jnp.zeros(2)})
    found = bptt_factors_flow(flow, START, jnp.asarray(TIMES), weighted, num_nodes=4, throw=False)
    assert bool(found.result == RESULTS.trajectory_exploded)
    with pytest.raises(RuntimeError, match="bptt_factors_flow"):
        bptt_factors_flow(flow, START, jnp.asarray(TIMES), weighted, num_nodes=4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": jnp.zeros(0)}, "T of at least 1"),
        ({"times": jnp.zeros((2, 2))}, "vector"),
        ({"times": jnp.arange(3)}, "float64"),
        ({"state": jnp.zeros((2, 2))}, "one vector"),
        ({"state": jnp.zeros(2, complex)}, "one vector"),
        ({"num_nodes": 0}, "num_nodes"),
        ({"flow": FunctionFlow(cube)}, "no arrays of floats"),
        ({"loss": lambda states: states[0]}, "one real scalar"),
        ({"times": jnp.array([1.0, 0.5])}, "ascend"),
        ({"times": jnp.array([0.0, 0.5])}, "ascend"),
    ],
)
def test_bad_input(change, message):
    given = {"flow": FLOW, "state": START, "times": jnp.asarray(TIMES), "loss": squares} | change
    with without_type_checks(), pytest.raises(ValueError, match=message):
        bptt_factors_flow(**given)
