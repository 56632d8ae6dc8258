"""Lyapunov exponents against closed forms, exact identities and published values."""

import functools
import math
from importlib import resources

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import CELL_FLOWS, CELL_MAPS, CELLS, draw, each, named, without_type_checks

import gru_dynamics as gd
from gru_dynamics._results import RESULTS
from gru_dynamics.sensitivity._lyapunov import lyapunov_spectrum
from gru_dynamics.systems import library


def linear(state, A):
    return A @ state


def tanh_network(state, J):
    return J @ jnp.tanh(state)


def random_network(size, gain, seed=0):
    rng = np.random.default_rng(seed)
    J = jnp.asarray(gain / size**0.5 * rng.standard_normal((size, size)))
    return gd.FunctionMap(tanh_network, J), jnp.asarray(rng.standard_normal(size))


def within(spectrum, truth, factor=1.96):
    """Whether exponents agree with truths within error bars."""
    error = np.abs(np.asarray(spectrum.exponents)[: len(truth)] - truth)
    return error <= factor * np.asarray(spectrum.standard_error)[: len(truth)]


# Closed forms ------------------------------------------------------------------------------------


def test_linear_map():
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((3, 3))
    A = basis @ np.diag([1.1, -0.6, 0.05]) @ np.linalg.inv(basis)
    found = lyapunov_spectrum(gd.FunctionMap(linear, jnp.asarray(A)), jnp.ones(3), num_steps=200, burn_in=200)
    np.testing.assert_allclose(found.exponents, np.log([1.1, 0.6, 0.05]), atol=1e-12)
    assert float(found.volume_defect) < 1e-11


def cat(state, args):
    return jnp.mod(jnp.array([[2.0, 1.0], [1.0, 1.0]]) @ state, 1.0)


def test_cat_map():
    found = lyapunov_spectrum(gd.FunctionMap(cat), jnp.array([0.1, 0.33]), num_steps=400, burn_in=100)
    truth = math.log((3 + 5**0.5) / 2)
    np.testing.assert_allclose(found.exponents, [truth, -truth], atol=1e-12)
    np.testing.assert_allclose(found.kaplan_yorke, 2.0)
    np.testing.assert_allclose(found.entropy, truth, atol=1e-12)


def test_logistic_map():
    found = lyapunov_spectrum(library.logistic(4.0), jnp.array([0.3]), num_steps=20_000)
    assert within(found, [math.log(2)]).all()
    assert float(found.standard_error[0]) < 5e-3


def test_henon_map():
    found = lyapunov_spectrum(library.henon(), jnp.array([0.1, 0.1]), num_steps=50_000)
    assert within(found, [0.41917, -1.62314]).all()
    assert float(found.standard_error[0]) < 3e-3
    np.testing.assert_allclose(jnp.sum(found.exponents), math.log(0.3), atol=1e-12)
    assert float(found.volume_defect) < 1e-12
    np.testing.assert_allclose(found.kaplan_yorke, 1 + found.exponents[0] / -found.exponents[1], rtol=1e-12)


def test_lorenz_flow():
    found = lyapunov_spectrum(library.lorenz(), jnp.array([1.0, 1.0, 20.0]), num_steps=120_000, time_step=0.005)
    assert within(found, [0.9056]).all()
    assert float(found.standard_error[0]) < 0.02
    np.testing.assert_allclose(jnp.sum(found.exponents), -(10 + 1 + 8 / 3), atol=1e-5)
    assert abs(float(found.nearest_zero)) < 0.01
    assert 2.05 < float(found.kaplan_yorke) < 2.07


@pytest.mark.parametrize("mu", [1.0, pytest.param(10.0, marks=pytest.mark.slow)])
def test_van_der_pol_cycle(mu):
    """Zero along the cycle, and the logarithm of its multiplier over its period."""
    period, multiplier = {1.0: (6.663286859323, 8.596951e-4), 10.0: (19.0783695669, None)}[mu]
    steps = 4000 if mu == 1.0 else 20_000
    found = lyapunov_spectrum(
        library.van_der_pol(mu),
        jnp.array([2.0, 0.0]),
        num_steps=10 * steps,
        burn_in=4 * steps,
        time_step=period / steps,
    )
    assert abs(float(found.exponents[0])) < 1e-5
    if multiplier is not None:
        np.testing.assert_allclose(found.exponents[1], math.log(multiplier) / period, rtol=1e-6)
    assert float(found.volume_defect) < 1e-9


def test_hopf_cycle():
    found = lyapunov_spectrum(
        library.hopf_normal_form(0.25), jnp.array([0.5, 0.0]), num_steps=2000, burn_in=2000, time_step=0.02
    )
    np.testing.assert_allclose(found.exponents, [0.0, -0.5], atol=1e-6)


@pytest.mark.parametrize(("gain", "truth"), [(1.5, 0.065217), (2.0, 0.154724), (3.0, 0.310250)])
def test_random_network(gain, truth):
    """The mean over eight networks of 400 units; the truth is for infinitely many, from which they differ by O(1/N)."""

    def largest(seed):
        system, state = random_network(400, gain, seed)
        return lyapunov_run(system, state).exponents[0]

    values = np.array([largest(seed) for seed in range(8)])
    spread = values.std(ddof=1) / len(values) ** 0.5
    assert abs(values.mean() - truth) < 3 * spread + 5 / 400
    assert spread < 0.008


@eqx.filter_jit
def lyapunov_run(system, state):
    return lyapunov_spectrum(system, state, num_steps=1500, num_exponents=1, burn_in=200, interval=8, throw=False)


# Cells -------------------------------------------------------------------------------------------


@each("make", named(CELLS, "gru-before", "stack-lstm-gru-elman"))
def test_stable_cell_is_its_fixed_point(make):
    system = gd.CellMap(draw(make), np.array([0.3, -0.7]))
    state = gd.rollout(system, jnp.zeros(system.cell.state_size), num_steps=2000, save_states=False)
    values = np.sort(np.log(np.abs(np.linalg.eigvals(np.asarray(system.jacobian(state))))))[::-1]
    assert values[0] < -0.01
    found = lyapunov_spectrum(system, state, num_steps=4000, burn_in=200)
    # A complex pair turns for ever, so its exponents converge as 1/T.
    np.testing.assert_allclose(found.exponents, values, atol=2e-3)
    np.testing.assert_allclose(jnp.sum(found.exponents), values.sum(), atol=1e-9)
    assert float(found.volume_defect) < 1e-10


@each("make", named(CELL_MAPS, "map-gru-before", "map-lstm"))
def test_closed_form_and_autodiff_agree(make):
    system = make()
    wrapped = gd.FunctionMap(apply, system)
    state = 0.3 * jnp.ones(system.cell.state_size)
    options = {"num_steps": 60, "burn_in": 5, "throw": False}
    np.testing.assert_allclose(
        lyapunov_spectrum(system, state, **options).exponents,
        lyapunov_spectrum(wrapped, state, **options).exponents,
        atol=1e-11,
    )


def apply(state, system):
    return system(state)


@each("make", named(CELL_FLOWS, "flow-gru-after"))
def test_flow_at_rest(make):
    flow = make()
    state = gd.integrate(flow, jnp.zeros(flow.cell.state_size), 500.0).ys[-1]
    values = np.sort(np.linalg.eigvals(np.asarray(flow.jacobian(state))).real)[::-1]
    found = lyapunov_spectrum(flow, state, num_steps=4000, burn_in=400, time_step=0.1)
    np.testing.assert_allclose(found.exponents, values, atol=2e-3)
    assert float(found.volume_defect) < 1e-12


def test_trained_network_forgets_at_rest():
    with resources.as_file(resources.files("gru_dynamics.data") / "flipflop_gru16_seed0.safetensors") as path:
        system = gd.CellMap(gd.load_cell(path, "torch"))
    starts = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (8, 16)))
    found = jax.jit(jax.vmap(lambda s: lyapunov_spectrum(system, s, num_steps=500, burn_in=500, throw=False)))(starts)
    assert bool(jnp.all(found.exponents + 1.96 * found.standard_error < 0))


def test_driven_gates():
    """With U = 0 the Jacobian is the keep gate of the input, so the exponents are means of its logarithm."""
    cell = gated(jnp.array([[1.0], [-0.5]]), jnp.array([0.2, -1.0]))
    inputs = jnp.asarray(np.random.default_rng(0).standard_normal((600, 1)))
    found = lyapunov_spectrum(cell, jnp.zeros(2), inputs=inputs, burn_in=100)
    gate = jax.nn.sigmoid(inputs[100:] @ cell.W_z.T + cell.b_z[None])
    np.testing.assert_allclose(found.exponents, jnp.sort(jnp.mean(jnp.log(gate), axis=0))[::-1], atol=1e-12)
    assert int(found.num_steps) == 500


def gated(W_z, b_z):
    cell = gd.GRUCell(1, len(b_z), reset=None, key=jr.key(0))
    zeros = jax.tree.map(jnp.zeros_like, cell)
    return eqx.tree_at(lambda c: (c.W_z, c.b_z), zeros, (W_z, b_z))


@pytest.mark.parametrize("flow", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_inputs_replace_the_constant_one(flow):
    cell, constant = draw(dict(CELLS)["gru-before"]), jnp.array([0.3, -0.7])
    make = gd.CellFlow if flow else gd.CellMap
    run = functools.partial(lyapunov_spectrum, state=jnp.zeros(3), burn_in=0, time_step=0.1 if flow else None)
    truth = run(make(cell, constant), num_steps=60)
    for system in (make(cell, jnp.ones(2)),) if flow else (cell, make(cell, jnp.ones(2))):
        found = run(system, inputs=jnp.broadcast_to(constant, (60, 2)))
        np.testing.assert_allclose(found.exponents, truth.exponents, atol=1e-12)


# Error bars --------------------------------------------------------------------------------------


class RandomProduct(gd.cells.AbstractGatedCell):
    """`h' = X h` with the matrix X as input."""

    input_size: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)

    @property
    def bounds(self):
        return None

    def keep_gate(self, state, input=None):
        return jnp.zeros_like(state)

    def candidate(self, state, input=None):
        return input.reshape(state.size, state.size) @ state

    def linearise(self, state, input=None):
        return gd.cells.autodiff_linearise(self.keep_gate, self.candidate, state, input)


def coverage(cell, inputs, truth):
    """Share of runs, one per leading row of the inputs, whose 95 % intervals hold the truth."""
    run = eqx.filter_jit(lambda x: lyapunov_spectrum(cell, jnp.zeros(len(truth)), inputs=x, burn_in=50, throw=False))
    found = eqx.filter_vmap(run)(jnp.asarray(inputs))
    return np.mean(np.abs(np.asarray(found.exponents) - truth) <= 1.96 * np.asarray(found.standard_error), axis=0)


def test_error_bars_of_random_matrices():
    """Gaussian matrices: `lambda_i = (log 2 + psi((n - i + 1) / 2)) / 2` (Newman 1986), i from 1."""
    scipy_special = pytest.importorskip("scipy.special")
    n = 3
    truth = [(math.log(2) + scipy_special.digamma((n - i) / 2)) / 2 for i in range(n)]
    inputs = np.random.default_rng(0).standard_normal((200, 600, n * n))
    share = coverage(RandomProduct(n * n, n), inputs, np.array(truth))
    assert (share > 0.9).all()
    assert (share < 0.99).all()


def test_error_bars_of_correlated_input():
    """Gates driven by an autoregressive process with a correlation time of ten steps."""
    W, b = np.array([1.0, 2.0]), np.array([1.0, -2.0])
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    log_gate = -np.logaddexp(0, -(nodes[:, None] * W + b))
    truth = weights @ log_gate / weights.sum()
    rng, phi = np.random.default_rng(1), math.exp(-1 / 10)
    x = np.empty((200, 3000))
    x[:, 0] = rng.standard_normal(200)
    for t in range(1, x.shape[1]):
        x[:, t] = phi * x[:, t - 1] + (1 - phi**2) ** 0.5 * rng.standard_normal(200)
    share = coverage(gated(jnp.asarray(W)[:, None], jnp.asarray(b)), x[..., None], truth)
    assert (share > 0.9).all()
    assert (share < 0.99).all()


def test_error_bars_of_the_logistic_map():
    """At r = 4 fluctuations cancel in the long run: the bars are too long, never too short."""
    starts = jnp.asarray(np.random.default_rng(2).uniform(0.05, 0.95, (200, 1)))
    run = jax.jit(jax.vmap(lambda s: lyapunov_spectrum(library.logistic(4.0), s, num_steps=1000, throw=False)))
    found = run(starts)
    covered = jnp.abs(found.exponents - math.log(2)) <= 1.96 * found.standard_error
    assert float(jnp.mean(covered.astype(float))) > 0.95
    assert float(jnp.mean(found.standard_error)) < 0.05


@pytest.mark.slow
def test_error_shrinks_with_the_root_of_time():
    inputs = np.random.default_rng(3).standard_normal((16_400, 4))
    errors = [
        float(
            lyapunov_spectrum(
                RandomProduct(4, 2), jnp.zeros(2), inputs=jnp.asarray(inputs[:n]), burn_in=0
            ).standard_error[0]
        )
        for n in (1000, 16_000)
    ]
    assert 2 < errors[0] / errors[1] < 8


# Orthonormalisation ------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [6, 40])
def test_interval_changes_nothing(k):
    system, state = random_network(40, 1.5)
    run = functools.partial(lyapunov_spectrum, system, num_exponents=k, throw=False)
    start = run(state, num_steps=400)
    seldom = run(start.state, num_steps=96, burn_in=0, interval=start.interval)
    always = run(start.state, num_steps=96, burn_in=0, interval=1)
    assert start.interval > 1
    np.testing.assert_allclose(seldom.exponents, always.exponents, atol=1e-9)
    assert float(start.rounding) < 1e-9


def test_interval_too_long_is_seen():
    system, state = random_network(40, 1.5)
    found = lyapunov_spectrum(system, state, num_steps=640, interval=32, throw=False)
    assert found.result != RESULTS.successful or float(found.rounding) > 1e-6


@pytest.mark.parametrize("k", [3, 16])
def test_resume(k):
    system, state = random_network(16, 2.0)
    run = functools.partial(lyapunov_spectrum, system, num_exponents=k)
    whole = run(state, num_steps=1024, burn_in=64, interval=2)
    half = run(state, num_steps=512, burn_in=64, interval=2)
    both = run(num_steps=512, start=half)
    assert int(both.num_steps) == 1024
    np.testing.assert_array_equal(both.state, whole.state)
    # The state is the same to the last bit; the factorisations of two compiled programs are not.
    for name in ("exponents", "standard_error", "history", "time"):
        np.testing.assert_allclose(getattr(both, name), getattr(whole, name), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(both.basis, whole.basis, atol=1e-8)


def test_history_ends_at_the_exponents():
    found = lyapunov_spectrum(library.henon(), jnp.array([0.1, 0.1]), num_steps=1003, interval=2)
    used = np.isfinite(np.asarray(found.time))
    np.testing.assert_allclose(np.asarray(found.history)[used][-1], found.exponents, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(found.time)[used][-1], 1003)
    assert 64 <= used.sum() <= 128
    assert (np.diff(np.asarray(found.time)[used]) > 0).all()


# Transformations ---------------------------------------------------------------------------------


def test_many_networks_at_once():
    cells = [draw(dict(CELLS)["gru-after"], seed, gain=4.0) for seed in range(3)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *cells)
    run = functools.partial(lyapunov_spectrum, num_steps=100, burn_in=20, interval=2, throw=False)
    found = eqx.filter_jit(eqx.filter_vmap(lambda cell: run(gd.CellMap(cell), jnp.zeros(3))))(batch)
    assert found.kaplan_yorke.shape == found.entropy.shape == found.nearest_zero.shape == (3,)
    for lane, cell in enumerate(cells):
        np.testing.assert_allclose(found.exponents[lane], run(gd.CellMap(cell), jnp.zeros(3)).exponents, atol=1e-10)


@pytest.mark.parametrize("k", [2, 4])
def test_gradient(k):
    """Against central differences, over a short run of a network of four units."""
    system, state = random_network(4, 1.2)

    @jax.jit
    def leading(J):
        spectrum = lyapunov_spectrum(
            gd.FunctionMap(tanh_network, J), state, num_steps=12, burn_in=3, num_exponents=k, throw=False
        )
        return spectrum.exponents @ jnp.arange(1.0, k + 1)

    direction = jnp.asarray(np.random.default_rng(5).standard_normal((4, 4)))
    gradient = jax.grad(leading)(system.args)
    step = 1e-5
    central = (leading(system.args + step * direction) - leading(system.args - step * direction)) / (2 * step)
    np.testing.assert_allclose(jnp.sum(gradient * direction), central, rtol=1e-6)


# Bad input ---------------------------------------------------------------------------------------


def test_too_short():
    found = lyapunov_spectrum(library.henon(), jnp.array([0.1, 0.1]), num_steps=5, throw=False)
    assert found.result == RESULTS.too_short
    assert jnp.isnan(found.standard_error).all()
    with pytest.raises(RuntimeError, match="Too few steps"):
        lyapunov_spectrum(library.henon(), jnp.array([0.1, 0.1]), num_steps=5)


@pytest.mark.parametrize("length", [40, 50])
def test_inputs_end_before_the_burn_in(length):
    found = lyapunov_spectrum(
        gated(jnp.ones((2, 1)), jnp.zeros(2)), jnp.zeros(2), inputs=jnp.ones((length, 1)), burn_in=50, throw=False
    )
    assert found.result == RESULTS.too_short
    assert jnp.isnan(found.exponents).all()


def test_exploding_trajectory():
    with pytest.raises(RuntimeError, match="inf or nan"):
        lyapunov_spectrum(library.henon(), jnp.array([5.0, 5.0]), num_steps=100)


def project(state, args):
    return jnp.array([[0.5, 0.2, 0.0, 0.0], [0.0, 0.9, 0.0, 0.1], [0.0, 0.0, 0.0, 0.0], [0.1, 0.0, 0.0, 0.3]]) @ state


def test_singular_jacobian():
    found = lyapunov_spectrum(gd.FunctionMap(project), jnp.ones(4), num_steps=100, throw=False)
    assert found.result == RESULTS.singular_jacobian
    assert float(found.exponents[-1]) == -np.inf
    values = np.linalg.eigvals(np.asarray(jax.jacobian(lambda s: project(s, None))(jnp.ones(4))))
    np.testing.assert_allclose(
        found.exponents[:3], np.sort(np.log(np.abs(values[np.abs(values) > 0])))[::-1], atol=1e-3
    )
    with pytest.raises(RuntimeError, match="singular"):
        lyapunov_spectrum(gd.FunctionMap(project), jnp.ones(4), num_steps=100)
    leading = lyapunov_spectrum(gd.FunctionMap(project), jnp.ones(4), num_steps=100, num_exponents=2)
    np.testing.assert_allclose(leading.exponents, found.exponents[:2], atol=1e-3)


def test_superstable_point():
    found = lyapunov_spectrum(library.logistic(2.0), jnp.array([0.5]), num_steps=50, throw=False)
    assert float(found.exponents[0]) == -np.inf
    assert float(found.kaplan_yorke) == 0


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"num_steps": 10, "num_exponents": 3}, "choose 1 to 2"),
        ({"num_steps": 10, "num_exponents": 0}, "choose 1 to 2"),
        ({"num_steps": 0}, "at least 1"),
        ({}, "give `num_steps`"),
        ({"num_steps": 10, "burn_in": -1}, "negative"),
        ({"num_steps": 10, "interval": 0}, "interval"),
        ({"num_steps": 10, "time_step": 0.1}, "for flows"),
        ({"inputs": np.ones((10, 1))}, "only cells"),
    ],
)
def test_options_that_make_no_sense(options, match):
    if "inputs" in options:
        options = options | {"inputs": jnp.asarray(options["inputs"])}
    with pytest.raises(ValueError, match=match):
        lyapunov_spectrum(library.henon(), jnp.array([0.1, 0.1]), **options)


def test_shapes_that_make_no_sense():
    cell = gated(jnp.ones((2, 1)), jnp.zeros(2))
    with without_type_checks():
        with pytest.raises(ValueError, match="one vector"):
            lyapunov_spectrum(library.henon(), jnp.zeros((3, 2)), num_steps=10)
        with pytest.raises(ValueError, match=r"\(T, 1\)"):
            lyapunov_spectrum(cell, jnp.zeros(2), inputs=jnp.ones((10, 2)))
    with pytest.raises(ValueError, match="time_step"):
        lyapunov_spectrum(library.lorenz(), jnp.ones(3), num_steps=10)
    with pytest.raises(ValueError, match="leave num_steps out"):
        lyapunov_spectrum(cell, jnp.zeros(2), inputs=jnp.ones((10, 1)), burn_in=5, num_steps=7)
