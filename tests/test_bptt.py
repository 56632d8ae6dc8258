"""BPTT taken apart, against the Jacobian of every state in the parameters of every step, and closed forms."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import CELLS, HIDDEN_SIZE, INPUT_SIZE, draw, named, without_type_checks

from gru_dynamics._results import RESULTS
from gru_dynamics.cells import GORUCell, NCGRUCell, ScoRNNCell
from gru_dynamics.sensitivity import GradientFlow, bptt_factors, gradient_horizon, product_singular_values
from gru_dynamics.sensitivity._horizon import _slope
from gru_dynamics.systems import CellFlow, CellMap, FunctionMap
from gru_dynamics.trajectories import rollout

T = 6

ORTHOGONAL = [
    ("nc-gru", functools.partial(NCGRUCell, num_negative=1, orthogonal=("r", "c"))),
    ("sco-rnn", functools.partial(ScoRNNCell, num_negative=1)),
    ("goru", GORUCell),
]


class Weighted(eqx.Module):
    """A loss with a curvature, so that what it reads depends on the states."""

    weight: jax.Array

    def __call__(self, states):
        return jnp.sum(self.weight * states) + jnp.sum(states * states) / 2


def linear(state, args):
    return args["A"] @ state + args["b"]


def last(states):
    return jnp.sum(states[-1])


def last_and_first(states):
    return states[0, 0] + states[-1, 1]


def close(actual, expected, scale=1.0):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12 * scale)


def make_cell(make):
    if make in [entry[1] for entry in CELLS]:
        return draw(make)
    template = eqx.filter_eval_shape(make, INPUT_SIZE, 4 if make is GORUCell else HIDDEN_SIZE, key=jr.key(0))
    rng = np.random.default_rng(3)
    return jax.tree.map(lambda leaf: jnp.asarray(0.6 * rng.normal(size=leaf.shape)), template)


def problem(make, length=T):
    cell = make_cell(make)
    rng = np.random.default_rng(1)
    state = jnp.asarray(rng.uniform(-0.5, 0.5, cell.state_size))
    inputs = jnp.asarray(rng.normal(size=(length, INPUT_SIZE)))
    return cell, state, inputs, Weighted(jnp.asarray(rng.normal(size=(length, cell.state_size))))


@eqx.filter_jit
def autodiff(cell, state, inputs, loss):
    return eqx.filter_grad(lambda cell: loss(rollout(cell, state, inputs)))(cell)


@eqx.filter_jit
def reference(cell, state, inputs, loss):
    """The loss's derivative in the states, and that of all states in a copy of the parameters for every step."""
    parameters, rest = eqx.partition(cell, eqx.is_inexact_array)

    def run(copies):
        def step(state, row):
            new = eqx.combine(row[0], rest)(state, row[1])
            return new, new

        return jax.lax.scan(step, state, (copies, inputs))[1]

    copies = jax.tree.map(lambda leaf: jnp.repeat(leaf[None], inputs.shape[0], axis=0), parameters)
    return jax.grad(loss)(run(copies)), jax.jacrev(run)(copies)


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


STRUCTURES = [*named(CELLS, "gru-before", "gru-after", "elman-tanh", "lstm", "stack-lstm-gru-elman"), *ORTHOGONAL]
VARIANTS = [entry for entry in CELLS if entry not in STRUCTURES]


@pytest.mark.parametrize(
    "make",
    [pytest.param(make, id=name) for name, make in STRUCTURES]
    + [pytest.param(make, id=name, marks=pytest.mark.slow) for name, make in VARIANTS],
)
def test_lags_sum_to_the_gradient_of_autodiff(make):
    given = problem(make)
    # More lags than steps do not exist.
    found = bptt_factors(*given, max_lag=10 * T)
    assert found.lags.signal.shape == (T, T)
    for leaf, whole in zip(leaves(found.gradient), leaves(autodiff(*given)), strict=True):
        close(leaf, whole)
    for rest in leaves(found.lags.remainder):
        close(rest, 0)


GRU = named(CELLS, "gru-before")[0][1]


@functools.cache
def gru_factors():
    return bptt_factors(*problem(GRU), max_lag=T, contributions=True, jacobians=True)


def test_every_part():
    found = gru_factors()
    direct, derivative = reference(*problem(GRU))
    close(found.direct, direct)
    per_step, per_lag = [], []
    for copies in leaves(derivative):
        # (T readings, S) and (T readings, S, T steps, ...) to (T readings, T steps, ...)
        parts = np.einsum("ts,tsu...->tu...", direct, copies)
        per_step.append(parts.sum(axis=0).reshape(T, -1))
        per_lag.append(np.stack([sum(parts[t + k, t] for t in range(T - k)) for k in range(T)]).reshape(T, -1))
    wholes = [parts.sum(axis=0) for parts in per_lag]
    for leaf, whole in zip(leaves(found.gradient), wholes, strict=True):
        close(leaf.ravel(), whole)
    for sizes, parts in zip(leaves(found.step_norm), per_step, strict=True):
        close(sizes, np.linalg.norm(parts, axis=1))
    close(found.whole_step_norm, np.linalg.norm(np.concatenate(per_step, axis=1), axis=1))
    lags = found.lags
    for contribution, parts in zip(leaves(lags.contribution), per_lag, strict=True):
        close(contribution.reshape(T, -1), parts)
        close(contribution.sum(axis=0).ravel(), parts.sum(axis=0))
    for sizes, parts in zip(leaves(lags.norm), per_lag, strict=True):
        close(sizes, np.linalg.norm(parts, axis=1))
    per_lag.append(np.concatenate(per_lag, axis=1))
    wholes.append(np.concatenate(wholes))
    close(lags.whole_norm, np.linalg.norm(per_lag[-1], axis=1))
    for cosine, parts, whole in zip([*leaves(lags.cosine), lags.whole_cosine], per_lag, wholes, strict=True):
        sizes = np.linalg.norm(parts, axis=1) * np.linalg.norm(whole)
        told = sizes > 1e-6
        np.testing.assert_allclose(np.asarray(cosine)[told], (parts @ whole)[told] / sizes[told], atol=1e-9)


def test_adjoints_and_signal_from_jacobians():
    cell, state, inputs, _ = problem(GRU)
    found = gru_factors()
    before = np.concatenate([state[None], found.states[:-1]])
    matrices = np.stack([jax.jacfwd(cell)(jnp.asarray(s), x) for s, x in zip(before, inputs, strict=True)])
    close(found.jacobians, matrices)
    signal = np.asarray(found.direct)
    total = np.zeros_like(signal)
    for k in range(T):
        close(found.lags.signal[k], np.linalg.norm(signal, axis=1))
        late = np.linalg.norm(np.asarray(found.direct)[k:])
        close(found.lags.left[k], np.linalg.norm(signal) / late)
        total += signal
        signal = np.concatenate([np.einsum("tij,ti->tj", matrices[1:], signal[1:]), np.zeros_like(signal[:1])])
    close(found.adjoint, total)
    close(found.initial, matrices[0].T @ total[0])


def test_fewer_lags_leave_a_remainder():
    whole = gru_factors().lags
    part = bptt_factors(*problem(GRU), max_lag=2, contributions=True, jacobians=True).lags
    for rest, lags in zip(leaves(part.remainder), leaves(whole.contribution), strict=True):
        close(rest, lags[2:].sum(axis=0))


def test_chunks_change_nothing():
    whole, parts = gru_factors(), bptt_factors(*problem(GRU), max_lag=T, contributions=True, chunk=4)
    assert parts.jacobians is None
    for one, other in zip(leaves((whole.gradient, whole.lags)), leaves((parts.gradient, parts.lags)), strict=True):
        close(one, other)


def test_batches():
    cell, state, inputs, loss = problem(GRU)
    states = jnp.stack([state, -state])

    @eqx.filter_vmap
    def both(state):
        return bptt_factors(cell, state, inputs, loss, max_lag=T, contributions=True, throw=False)

    found = both(states)
    for one, other in zip(
        leaves((gru_factors().adjoint, gru_factors().lags)), leaves((found.adjoint, found.lags)), strict=True
    ):
        close(one, other[0])
        assert other.shape == (2, *one.shape)


def test_compiles_once():
    traces = []

    class Counted(eqx.Module):
        weight: jax.Array

        def __call__(self, states):
            traces.append(0)
            return jnp.sum(self.weight * states)

    cell, state, inputs, loss = problem(GRU)
    bptt_factors(cell, state, inputs, Counted(loss.weight))
    first = len(traces)
    bptt_factors(cell, 2 * state, -inputs, Counted(-loss.weight))
    # Only the look at the shape of the loss is repeated.
    assert len(traces) <= first + 1


# A linear map: everything in closed form --------------------------------------------------------


def rotation(gain, angle=0.7):
    return gain * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def linear_map(matrix):
    return FunctionMap(linear, {"A": jnp.asarray(matrix), "b": jnp.array([0.1, -0.2])})


ONES = jnp.ones(2)


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [(0.9, GradientFlow.VANISHING), (1.0, GradientFlow.STEADY), (1.05, GradientFlow.EXPLODING)],
)
@pytest.mark.parametrize("loss", [last, Weighted(jnp.ones((40, 2)))], ids=["last", "all"])
def test_rotation(gain, verdict, loss):
    found = bptt_factors(linear_map(rotation(gain)), ONES, None, loss, num_steps=40, max_lag=40)
    lags = np.arange(40)
    np.testing.assert_allclose(found.lags.left, gain**lags, rtol=1e-12)
    # s_t depends on b_t once: the adjoints add up to the gradient of b.
    np.testing.assert_allclose(found.gradient.args["b"], found.adjoint.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.step_norm.args["b"], np.linalg.norm(found.adjoint, axis=1), rtol=1e-12)
    before = np.concatenate([ONES[None], found.states[:-1]])
    np.testing.assert_allclose(found.gradient.args["A"], np.asarray(found.adjoint).T @ before, rtol=1e-11)
    horizon = gradient_horizon(found)
    np.testing.assert_allclose(horizon.rate, np.log(gain), atol=1e-13)
    assert horizon.standard_error < 1e-12
    assert int(horizon.verdict) == verdict
    np.testing.assert_array_equal(horizon.fitted, [10, 39])
    if gain < 1:
        np.testing.assert_allclose(horizon.horizon[0], -1 / np.log(gain), rtol=1e-12)
        assert np.isinf(horizon.horizon[1])
    else:
        assert np.isinf(horizon.horizon).all()


def test_horizon_of_one_percent():
    found = bptt_factors(linear_map(rotation(0.5)), ONES, None, last, num_steps=40, max_lag=40)
    horizon = gradient_horizon(found, levels=(0.3, 0.01, 2.0))
    np.testing.assert_allclose(horizon.horizon, [np.log(0.3) / np.log(0.5), np.log(0.01) / np.log(0.5), 0], rtol=1e-12)
    # For `last`, the contribution of lag k to b alone has norm 0.5^k |1|; to A it meets another state.
    other = gradient_horizon(found, of="contribution")
    np.testing.assert_allclose(other.left, found.lags.whole_norm / found.lags.whole_norm[0], rtol=1e-14)


def test_faint_signals_do_not_underflow():
    found = bptt_factors(linear_map(rotation(1e-7)), ONES, None, last, num_steps=40, max_lag=40)
    lags = np.arange(40)
    np.testing.assert_allclose(np.log10(found.lags.left), -7.0 * lags, atol=1e-9)
    np.testing.assert_allclose(np.log10(found.lags.norm.args["b"]), -7.0 * lags + np.log10(2) / 2, atol=1e-9)
    np.testing.assert_allclose(np.log10(found.step_norm.args["b"]), (-7.0 * lags + np.log10(2) / 2)[::-1], atol=1e-9)
    # Parallel to the whole, which the first lag makes up, up to the rotation.
    assert np.isfinite(found.lags.whole_cosine).all()
    np.testing.assert_allclose(gradient_horizon(found).rate, np.log(1e-7), rtol=1e-12)


def test_overflow_explodes():
    """The states stay at zero; the signal passes the largest float after 30 steps."""
    still = FunctionMap(linear, {"A": jnp.asarray(rotation(1e10)), "b": jnp.zeros(2)})
    found = bptt_factors(still, 0 * ONES, None, last, num_steps=40, max_lag=40, throw=False)
    assert bool(found.result != RESULTS.successful)
    horizon = gradient_horizon(found, throw=False)
    assert int(horizon.verdict) == GradientFlow.EXPLODING
    np.testing.assert_allclose(horizon.rate, np.log(1e10), rtol=1e-9)
    assert np.isinf(horizon.horizon).all()


def test_nilpotent_product_vanishes():
    """|lambda_1| says nothing: the first step multiplies the signal by 50, the second wipes it out."""
    found = bptt_factors(linear_map([[0.0, 50.0], [0.0, 0.0]]), ONES, None, last_and_first, num_steps=8, max_lag=8)
    # The readings are e_1 at step 1 and e_2 at step 8; J^T e_1 = 50 e_2 would arrive before the first step.
    np.testing.assert_array_equal(found.lags.signal[0], [1, 0, 0, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(found.lags.signal[1:], 0)
    horizon = gradient_horizon(found)
    assert int(horizon.verdict) == GradientFlow.VANISHING
    np.testing.assert_array_equal(horizon.horizon, [1, 1])
    np.testing.assert_array_equal(found.initial, [0, 50])


def test_nothing_read_so_late():
    found = bptt_factors(linear_map(rotation(0.9)), ONES, None, lambda s: s[1, 0], num_steps=6, max_lag=6)
    np.testing.assert_allclose(found.lags.left[:2], [1, 0.9], rtol=1e-14)
    assert np.isnan(found.lags.left[2:]).all()
    with pytest.raises(RuntimeError, match="gradient_horizon"):
        gradient_horizon(found)
    assert int(gradient_horizon(found, throw=False).verdict) == GradientFlow.UNDECIDED
    assert np.isinf(gradient_horizon(found, throw=False).horizon).all()


@pytest.mark.parametrize("memory", [0.0, 0.7])
def test_error_of_the_rate(memory):
    """A product of random factors, independent or each like the one before: its logarithm is a random walk, and the
    mean of its steps lies within two standard errors in 95 % of draws, somewhat less where steps resemble."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(600, 401))
    for place in range(1, 401):
        noise[:, place] += memory * noise[:, place - 1]
    lag, used = jnp.arange(401.0), jnp.arange(401) >= 1
    slope, error = jax.jit(jax.vmap(_slope, (None, 0, None)))(lag, jnp.cumsum(-0.05 + 0.3 * noise, axis=1), used)
    covered = np.mean(np.abs(slope + 0.05) < 1.96 * error)
    assert (0.92 if memory == 0 else 0.86) < covered < 0.985


# Products of Jacobians ---------------------------------------------------------------------------


def test_products():
    matrices = np.random.default_rng(0).normal(size=(5, 3, 3))
    logs = product_singular_values(jnp.asarray(matrices))
    product = np.eye(3)
    for k, matrix in enumerate(matrices[::-1]):
        product = product @ matrix
        np.testing.assert_allclose(logs[k], np.log(np.linalg.svd(product, compute_uv=False)), atol=1e-10)


def test_products_neither_overflow_nor_invent():
    logs = product_singular_values(jnp.broadcast_to(jnp.diag(jnp.array([1e100, 1e96])), (5, 2, 2)))
    np.testing.assert_allclose(logs[:, 0], 100 * np.log(10) * np.arange(1, 6), rtol=1e-14)
    np.testing.assert_allclose(logs[:3, 1], 96 * np.log(10) * np.arange(1, 4), rtol=1e-14)
    assert (logs[3:, 1] == -np.inf).all()
    nothing = product_singular_values(jnp.zeros((2, 2, 2)))
    assert (nothing == -np.inf).all()


# Short sequences, and input that cannot be used --------------------------------------------------


def test_one_step():
    cell, state, inputs, _ = problem(GRU)
    found = bptt_factors(cell, state, inputs[:1], last, max_lag=3)
    expected = eqx.filter_grad(lambda cell: jnp.sum(cell(state, inputs[0])))(cell)
    for one, other in zip(jax.tree.leaves(found.gradient), jax.tree.leaves(expected), strict=True):
        close(one, other)
    with pytest.raises(RuntimeError, match="gradient_horizon"):
        gradient_horizon(found)


def test_a_map_at_constant_input():
    cell, state, inputs, _ = problem(GRU)
    constant = jnp.broadcast_to(inputs[0], (4, INPUT_SIZE))
    driven = bptt_factors(cell, state, constant, last)
    found = bptt_factors(CellMap(cell, inputs[0]), state, None, last, num_steps=4)
    for one, other in zip(jax.tree.leaves(driven.gradient), jax.tree.leaves(found.gradient.cell), strict=True):
        close(one, other)
    assert found.gradient.input.shape == (INPUT_SIZE,)
    # A cell without inputs runs at zeros.
    free = bptt_factors(cell, state, None, last, num_steps=4)
    zeros = bptt_factors(cell, state, jnp.zeros((4, INPUT_SIZE)), last)
    close(free.adjoint, zeros.adjoint)


def cube(state, args):
    return 3 * state**3


def test_explosions_are_reported():
    explosive = FunctionMap(cube, jnp.zeros(()))
    with pytest.raises(RuntimeError, match="inf or nan"):
        bptt_factors(explosive, ONES, None, last, num_steps=20)
    found = bptt_factors(explosive, ONES, None, last, num_steps=20, throw=False)
    assert bool(found.result == RESULTS.trajectory_exploded)
    with pytest.raises(RuntimeError, match="inf or nan"):
        bptt_factors(linear_map(rotation(0.9)), 0 * ONES, None, lambda s: jnp.sqrt(s[0, 0] - s[0, 0]), num_steps=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": jnp.zeros((0, INPUT_SIZE))}, "T of at least 1"),
        ({"inputs": jnp.zeros((4, 5))}, r"\(T, 2\)"),
        ({"inputs": jnp.zeros((2, 4, INPUT_SIZE))}, "jax.vmap"),
        ({"inputs": jnp.zeros((4, INPUT_SIZE), int)}, "dtype of the state"),
        ({"inputs": jnp.zeros((4, INPUT_SIZE), jnp.float32)}, "dtype of the state"),
        ({"inputs": None}, "num_steps"),
        ({"inputs": None, "num_steps": 0}, "at least 1, got 0"),
        ({"num_steps": 3}, "leave out"),
        ({"state": jnp.zeros((2, HIDDEN_SIZE))}, "one vector of floats"),
        ({"state": jnp.zeros(HIDDEN_SIZE, int)}, "one vector of floats"),
        ({"state": jnp.zeros(HIDDEN_SIZE, complex)}, "one vector of floats"),
        ({"state": jnp.zeros(5)}, "must have shape"),
        ({"loss": lambda states: states[-1]}, "one real scalar"),
        ({"loss": lambda states: jnp.sum(states).astype(complex)}, "one real scalar"),
        ({"loss": lambda states: jnp.sum(states > 0)}, "one real scalar"),
        ({"loss": lambda states: (last(states), 0.0)}, "one real scalar"),
        ({"max_lag": 0}, "max_lag must be at least 1"),
        ({"chunk": 0}, "chunk must be at least 1"),
        ({"contributions": True}, "give `max_lag`"),
    ],
)
def test_bad_input(change, message):
    cell, state, inputs, _ = problem(GRU)
    given = {"cell": cell, "state": state, "inputs": inputs, "loss": last} | change
    with without_type_checks(), pytest.raises(ValueError, match=message):
        bptt_factors(**given)


def test_more_bad_input():
    cell, state, inputs, _ = problem(GRU)
    with without_type_checks(), pytest.raises(ValueError, match="use bptt_factors_flow"):
        bptt_factors(CellFlow(cell), state, None, last, num_steps=3)
    with pytest.raises(ValueError, match="no arrays of floats"):
        bptt_factors(FunctionMap(cube), ONES, None, last, num_steps=3)
    with pytest.raises(ValueError, match="only cells take"):
        bptt_factors(CellMap(cell), state, inputs, last)
    plain = eqx.tree_at(lambda f: f.lags, gru_factors(), None)
    with pytest.raises(ValueError, match="max_lag"):
        gradient_horizon(plain)
    with pytest.raises(ValueError, match="levels"):
        gradient_horizon(gru_factors(), levels=(0.0,))
    with pytest.raises(ValueError, match="skip"):
        gradient_horizon(gru_factors(), skip=1.0)
    with without_type_checks(), pytest.raises(ValueError, match="contribution"):
        gradient_horizon(gru_factors(), of="everything")
