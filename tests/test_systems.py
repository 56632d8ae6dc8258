"""Maps, flows and the textbook systems against what the textbooks say."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import (
    CELL_FLOWS,
    CELL_MAPS,
    DIMENSIONS,
    INPUT_SIZE,
    KNOWN_POINTS,
    LIBRARY,
    LIBRARY_FLOWS,
    LIBRARY_MAPS,
    REPRESENTATIVE_CELLS,
    TANH_2,
    UNBOUNDED_CELLS,
    draw,
    each,
    named,
    polish,
    without_type_checks,
)

from gru_dynamics.cells import ElmanCell, GRUCell
from gru_dynamics.systems import (
    AbstractFlow,
    AbstractMap,
    CellFlow,
    CellMap,
    FunctionFlow,
    FunctionMap,
    jacobian,
    library,
)

INPUT = jnp.array([0.3, -0.7])
REPRESENTATIVES = (
    LIBRARY
    + named(CELL_MAPS, "map-gru-after", "map-stack-lstm-gru-elman")
    + named(CELL_FLOWS, "flow-gru-before", "flow-lstm")
)


@eqx.filter_jit
def _everything(system, state):
    """What a system says at one state, and its derivatives by autodiff."""

    def advance(state):
        return system(state) if isinstance(system, AbstractMap) else system(0.0, state)

    resting = system.rest(state)
    return {
        "advance": advance(state),
        "velocity": system.velocity(state),
        "jacobian": (jacobian(system, state), jax.jacfwd(advance)(state)),
        "residual": system.residual(resting),
        "residual_jacobian": (system.residual_jacobian(resting), jax.jacfwd(system.residual)(resting)),
        "input_jacobian": system.input_jacobian(state),
        "lifted": system.lift(resting),
        "rested": system.rest(system.lift(resting)),
    }


def everything(system, state):
    return jax.tree.map(np.asarray, _everything(system, jnp.asarray(state)))


def state_size(system):
    return system.cell.state_size if isinstance(system, CellMap | CellFlow) else None


@functools.cache
def at_a_state(name, make):
    system = make()
    size = state_size(system) or DIMENSIONS[name]
    state = np.random.default_rng(0).uniform(-0.9, 0.9, size)
    return system, state, everything(system, state)


each_system = pytest.mark.parametrize("entry", REPRESENTATIVES, ids=[name for name, _ in REPRESENTATIVES])


@each_system
def test_jacobians_equal_autodiff(entry):
    _, _, values = at_a_state(*entry)
    for which in ("jacobian", "residual_jacobian"):
        ours, autodiff = values[which]
        assert np.max(np.abs(autodiff)) > 1e-3
        np.testing.assert_allclose(ours, autodiff, rtol=1e-14, atol=1e-14)


@each_system
def test_velocity_is_the_change_of_state(entry):
    system, state, values = at_a_state(*entry)
    is_map = isinstance(system, AbstractMap)
    assert isinstance(system, AbstractMap | AbstractFlow)
    change = values["advance"] - state if is_map else values["advance"]
    np.testing.assert_allclose(values["velocity"], change, rtol=1e-15, atol=1e-15)


@each_system
def test_shapes(entry):
    system, state, values = at_a_state(*entry)
    resting_size = values["residual"].shape[0]
    assert values["advance"].shape == values["lifted"].shape == state.shape
    assert values["input_jacobian"].shape == (len(state), 0 if entry in LIBRARY else INPUT_SIZE)
    np.testing.assert_array_equal(values["rested"], np.asarray(system.rest(jnp.asarray(state))))
    assert system.resting_size in (resting_size, None)
    if system.bounds is None:
        return
    lower, upper = map(np.asarray, system.bounds)
    assert lower.shape == upper.shape == (resting_size,)
    assert np.all(lower < upper)


@each("make", named(CELL_MAPS, "map-gru-before", "map-lstm"))
def test_input_jacobian_of_maps(make):
    system = make()
    state = jnp.linspace(-1, 1, system.cell.state_size)
    oracle = jax.jacfwd(lambda input: CellMap(system.cell, input)(state))(INPUT)
    np.testing.assert_allclose(system.input_jacobian(state), oracle, rtol=0, atol=1e-14)


@each("make", named(CELL_FLOWS, "flow-gru-before", "flow-lstm"))
def test_input_jacobian_of_flows(make):
    """With the time constant 2.5 of the catalogue."""
    system = make()
    state = jnp.linspace(-1, 1, system.cell.state_size)
    oracle = jax.jacfwd(lambda input: system.cell.velocity(state, input) / 2.5)(INPUT)
    np.testing.assert_allclose(system.input_jacobian(state), oracle, rtol=0, atol=1e-14)


# Cells -------------------------------------------------------------------------------------------


@each("make", REPRESENTATIVE_CELLS)
def test_cell_systems_call_the_cell(make):
    """Time and `args` are there for diffrax and optimistix; a cell ignores both."""
    cell = draw(make)
    step, flow, slow = CellMap(cell, INPUT), CellFlow(cell, INPUT), CellFlow(cell, INPUT, tau=4.0)
    state, resting = jnp.linspace(-1, 1, cell.state_size), jnp.linspace(-1, 1, cell.resting_size)
    for value in (step(state), step(state, None), step(state, args={"p": 1.0})):
        np.testing.assert_array_equal(value, cell(state, INPUT))
    for value in (flow(0.0, state), flow(7.0, state, None), flow(jnp.zeros(()), state, args=3)):
        np.testing.assert_array_equal(value, cell.velocity(state, INPUT))
    np.testing.assert_array_equal(4 * slow(0.0, state), flow(0.0, state))
    for system in (step, flow, slow):
        np.testing.assert_array_equal(system.residual(resting), cell.fixed_point_residual(resting, INPUT))
        np.testing.assert_array_equal(system.bounds, cell.bounds)
        assert system.resting_size == cell.resting_size


def test_no_input_is_zero_input():
    cell = GRUCell(2, 3, key=jr.key(0))
    state = jnp.array([0.1, -0.2, 0.3])
    np.testing.assert_array_equal(CellMap(cell)(state), CellMap(cell, jnp.zeros(2))(state))
    np.testing.assert_array_equal(CellFlow(cell)(0.0, state), CellFlow(cell, np.zeros(2))(0.0, state))


@pytest.mark.parametrize("kind", [CellMap, CellFlow])
@pytest.mark.parametrize("shape", [(3,), (1, 2), ()])
def test_wrong_constant_input_raises(kind, shape):
    cell = GRUCell(2, 3, key=jr.key(0))
    with without_type_checks(), pytest.raises(ValueError, match=r"constant input must have shape \(2,\), got \("):
        kind(cell, np.zeros(shape))


@each("make", UNBOUNDED_CELLS)
def test_unbounded_cells_have_no_box(make):
    assert CellMap(draw(make)).bounds is None
    assert CellFlow(draw(make)).bounds is None


# Functions ---------------------------------------------------------------------------------------


def _scale(state, args):
    return args["p"] * state


def _drift(t, state, args):
    return args["p"] * state + t


STATE = jnp.array([1.0, -2.0])


def test_function_map():
    step = FunctionMap(_scale, {"p": jnp.asarray(3.0)})
    np.testing.assert_array_equal(step(STATE), 3 * STATE)
    np.testing.assert_array_equal(step(STATE, None), 3 * STATE)
    np.testing.assert_array_equal(step(STATE, {"p": 5.0}), 5 * STATE)
    np.testing.assert_array_equal(step(STATE, args={"p": 5.0}), 5 * STATE)
    np.testing.assert_array_equal(step.residual(STATE), 2 * STATE)
    np.testing.assert_array_equal(jacobian(step, STATE), 3 * np.eye(2))
    assert step.args["p"] == 3.0


def test_function_flow():
    flow = FunctionFlow(_drift, {"p": jnp.asarray(3.0)})
    np.testing.assert_array_equal(flow(0.0, STATE), 3 * STATE)
    np.testing.assert_array_equal(flow(0.5, STATE), 3 * STATE + 0.5)
    np.testing.assert_array_equal(flow(0.5, STATE, {"p": 5.0}), 5 * STATE + 0.5)
    np.testing.assert_array_equal(flow.residual(STATE), 3 * STATE)  # at t = 0
    np.testing.assert_array_equal(flow.velocity(STATE), 3 * STATE)
    np.testing.assert_array_equal(jacobian(flow, STATE), 3 * np.eye(2))


@pytest.mark.parametrize(("kind", "function"), [(FunctionMap, _scale), (FunctionFlow, _drift)])
def test_bounds_of_functions(kind, function):
    assert kind(function, {"p": 3.0}).bounds is None
    assert kind(function, {"p": 3.0}).resting_size is None
    boxed = kind(function, {"p": 3.0}, bounds=(np.array([-1.0, -2.0]), np.array([1.0, 2.0])))
    np.testing.assert_array_equal(boxed.bounds, [[-1.0, -2.0], [1.0, 2.0]])
    assert boxed.resting_size == 2
    for lower, upper in ((np.zeros(2), np.ones(3)), (np.zeros(()), np.ones(())), (np.zeros((2, 1)), np.ones((2, 1)))):
        with without_type_checks(), pytest.raises(ValueError, match="two vectors of the same length, got shapes"):
            kind(function, None, bounds=(lower, upper))


@pytest.mark.parametrize("shape", [(2, 1), ()])
def test_jacobian_of_a_batch_raises(shape):
    with without_type_checks(), pytest.raises(ValueError, match=r"state must be one vector, got shape \(.*jax\.vmap"):
        jacobian(library.henon(), jnp.zeros(shape))


@eqx.filter_jit
@eqx.debug.assert_max_traces(max_traces=1)
def _residual_once(system, state):
    return system.residual(state)


def test_parameters_do_not_retrace():
    values = {float(_residual_once(library.henon(a), STATE)[0]) for a in (1.0, 1.2, 1.4)}
    assert len(values) == 3


@eqx.filter_jit
@eqx.debug.assert_max_traces(max_traces=1)
def _flow_once(system, state):
    return system(0.0, state)


def test_input_and_tau_do_not_retrace():
    cell = ElmanCell(1, 2, key=jr.key(0))
    systems = [CellFlow(cell, jnp.array([x]), jnp.asarray(tau)) for x, tau in ((0.0, 1.0), (1.0, 1.0), (1.0, 2.0))]
    assert len({float(_flow_once(system, STATE)[0]) for system in systems}) == 3


# The library: fixed points -----------------------------------------------------------------------


def unstable(system, matrix):
    eigenvalues = np.linalg.eigvals(matrix)
    return np.sum(np.abs(eigenvalues) > 1 if isinstance(system, AbstractMap) else eigenvalues.real > 0)


@each("known", KNOWN_POINTS)
def test_known_fixed_points(known):
    """Residual, speed and number of unstable directions at every fixed point that is known in closed form."""
    system = known.make()
    for state, dimension in zip(known.states, known.unstable, strict=True):
        values = everything(system, state)
        assert np.max(np.abs(values["residual"])) <= 1e-12 * (1 + np.max(np.abs(state)))
        assert np.max(np.abs(values["velocity"])) <= 1e-12 * (1 + np.max(np.abs(state)))
        assert unstable(system, values["jacobian"][1]) == dimension


@each("known", named(KNOWN_POINTS, "decoupled-cubic", "decoupled-tanh", "product-gru", "product-gru-6"))
def test_known_fixed_points_are_complete(known):
    """Where there is a trapping box the indices of the list sum to +1."""
    system = known.make()
    assert system.bounds is not None
    matrices = np.stack([everything(system, state)["residual_jacobian"][1] for state in known.states])
    assert np.sum(np.linalg.slogdet(-matrices)[0]) == 1


def test_every_library_system_is_in_the_catalogue():
    names = {name for name, value in vars(library).items() if getattr(value, "__module__", "") == library.__name__}
    public = {name for name in names if not name.startswith("_")} - {"jordan_cases"}
    listed = {getattr(make, "func", make).__name__ for _, make in LIBRARY_MAPS + LIBRARY_FLOWS}
    assert listed == public


def test_henon_points():
    for x in (0.6313544771, -1.1313544771):
        values = everything(library.henon(), np.array([x, 0.3 * x]))
        assert np.max(np.abs(values["residual"])) <= 3e-10  # the printed digits: 5e-11 times |2 a x + 0.7| and 1
        root = polish(library.henon(), np.array([x, 0.3 * x]))
        assert abs(root[0] - x) <= 6e-11


def test_lorenz_points_at_other_parameters():
    rho, beta = 12.0, 2.0
    wing = np.sqrt(beta * (rho - 1))
    for sign in (1, -1):
        values = everything(library.lorenz(rho=rho, beta=beta), np.array([sign * wing, sign * wing, rho - 1]))
        assert np.max(np.abs(values["residual"])) <= 1e-13


@pytest.mark.parametrize(("weight", "point"), [(2.0, 0.9575040240772688), (3.0, 0.9949015284526)])
def test_decoupled_tanh(weight, point):
    """3^n points; one coordinate at 0 adds one unstable direction."""
    assert np.tanh(weight * point) == pytest.approx(point, abs=1e-13)
    system = library.decoupled_tanh(3, weight)
    for coordinates, dimension in (
        ((point, -point, point), 0),
        ((0, point, -point), 1),
        ((0, 0, -point), 2),
        ((0, 0, 0), 3),
    ):
        values = everything(system, np.array(coordinates, float))
        assert np.max(np.abs(values["residual"])) <= 1e-13
        assert unstable(system, values["jacobian"][0]) == dimension


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_product_gru_eigenvalues(seed):
    """`z + (1 - z) 2 (1 - h*^2)` for any keep gate; with no key the gate is 1/2."""
    system = library.product_gru(3, key=None if seed is None else jr.key(seed))
    state = np.array([TANH_2, 0.0, -TANH_2])
    values = everything(system, state)
    assert np.max(np.abs(values["residual"])) <= 1e-15
    z = np.asarray(system.cell.keep_gate(jnp.asarray(state)))
    assert np.all(z == 0.5) if seed is None else np.all(z != 0.5)
    expected = z + (1 - z) * 2 * (1 - state**2)
    np.testing.assert_allclose(np.sort(np.linalg.eigvals(values["jacobian"][0]).real), np.sort(expected), atol=1e-14)


# The library: bifurcations, at the printed parameters --------------------------------------------


def spectrum(system, state):
    values = everything(system, state)
    assert np.max(np.abs(values["residual"])) <= 1e-12
    return np.linalg.eigvals(values["jacobian"][1])


@pytest.mark.parametrize("A", [0.7, 1.0, 2.0])
def test_brusselator_hopf(A):
    """Fixed point (A, B/A); at B = 1 + A^2 the eigenvalues are +-iA."""
    eigenvalues = spectrum(library.brusselator(A, 1 + A * A), np.array([A, (1 + A * A) / A]))
    np.testing.assert_allclose(np.sort_complex(eigenvalues), [-1j * A, 1j * A], atol=1e-14)


@pytest.mark.parametrize("I", [0.3312813375, 1.4187186625])
def test_fitzhugh_nagumo_hopf(I):
    """Trace `1 - v^2 - 0.064 = 0`, so v = +-sqrt(0.936); at the printed current this is the fixed point."""
    v = -np.sqrt(0.936) if I < 1 else np.sqrt(0.936)
    state = polish(library.fitzhugh_nagumo(I), np.array([v, (v + 0.7) / 0.8]))
    assert abs(state[0] - v) <= 1e-9
    eigenvalues = spectrum(library.fitzhugh_nagumo(I), state)
    assert np.max(np.abs(eigenvalues.real)) <= 1e-9
    assert np.max(eigenvalues.imag) == pytest.approx(0.2755068057, abs=1e-9)


def test_lorenz_hopf():
    rho, beta = 470 / 19, 8 / 3
    wing = np.sqrt(beta * (rho - 1))
    eigenvalues = spectrum(library.lorenz(rho=rho), np.array([wing, wing, rho - 1]))
    pair = eigenvalues[np.abs(eigenvalues.imag) > 1]
    assert np.max(np.abs(pair.real)) <= 1e-12
    np.testing.assert_allclose(np.sort(pair.imag), [-9.6245300637, 9.6245300637], atol=1e-9)


@pytest.mark.parametrize("rho", [-0.2, 0.0, 0.3])
def test_hopf_normal_form(rho):
    system = library.hopf_normal_form(rho, omega=1.5)
    np.testing.assert_allclose(np.sort_complex(spectrum(system, np.zeros(2))), [rho - 1.5j, rho + 1.5j], atol=1e-15)
    if rho > 0:  # on the cycle of radius sqrt(rho) the field is a rotation
        on_cycle = np.sqrt(rho) * np.array([0.6, 0.8])
        field = everything(system, on_cycle)["advance"]
        np.testing.assert_allclose(field, 1.5 * np.array([-on_cycle[1], on_cycle[0]]), atol=1e-15)


@pytest.mark.parametrize("sign", [1, -1])
def test_cusp_normal_form_folds(sign):
    """At mu = -+0.3849001795 the point x = +-1/sqrt 3 is double."""
    eigenvalues = spectrum(library.cusp_normal_form(-sign * 2 / (3 * np.sqrt(3))), np.array([sign / np.sqrt(3)]))
    assert 2 / (3 * np.sqrt(3)) == pytest.approx(0.3849001795, abs=1e-10)
    assert abs(eigenvalues[0]) <= 1e-15


def test_van_der_pol_trace():
    for mu in (-1.0, 0.5):
        assert np.sum(spectrum(library.van_der_pol(mu), np.zeros(2))).real == pytest.approx(mu, abs=1e-15)


@pytest.mark.parametrize(("a", "multiplier"), [(-0.1225, 1.0), (0.3675, -1.0)])
def test_henon_fold_and_flip(a, multiplier):
    """b = 0.3: the upper fixed point `x = (-(1 - b) + sqrt((1 - b)^2 + 4 a)) / 2 a`."""
    x = (-0.7 + np.sqrt(max(0.49 + 4 * a, 0.0))) / (2 * a)
    assert np.min(np.abs(spectrum(library.henon(a), np.array([x, 0.3 * x])) - multiplier)) <= 1e-7


def test_logistic_flip():
    assert spectrum(library.logistic(3.0), np.array([2 / 3]))[0] == pytest.approx(-1, abs=1e-14)


def test_delayed_logistic_neimark_sacker():
    """r = 2: multipliers exp(+-i pi/3)."""
    eigenvalues = spectrum(library.delayed_logistic(2.0), np.array([0.5, 0.5]))
    np.testing.assert_allclose(np.sort_complex(eigenvalues), np.exp(np.array([-1j, 1j]) * np.pi / 3), atol=1e-14)


# The cells of Jordan et al. ----------------------------------------------------------------------


def test_rotation_hopf_of_the_flow():
    """alpha = arccos(2/3) = 0.8410686706, omega = 0.5590169944; the printed pi/3.8 is 0.8267."""
    alpha = np.arccos(2 / 3)
    assert alpha == pytest.approx(0.8410686706, abs=1e-10)
    eigenvalues = spectrum(library.jordan_rotation(alpha), np.zeros(2))
    assert np.max(np.abs(eigenvalues.real)) <= 1e-15
    np.testing.assert_allclose(np.sort(eigenvalues.imag), [-0.5590169944, 0.5590169944], atol=1e-10)
    assert np.max(spectrum(library.jordan_rotation(alpha - 0.01), np.zeros(2)).real) > 1e-3  # unstable below


def test_rotation_neimark_sacker_of_the_map():
    """The map of the same cell turns at arccos(1/4) = 1.3181160717, far from the flow's Hopf point."""
    alpha = np.arccos(1 / 4)
    assert alpha == pytest.approx(1.3181160717, abs=1e-10)
    step = CellMap(library.jordan_rotation(alpha).cell)
    np.testing.assert_allclose(np.abs(spectrum(step, np.zeros(2))), 1.0, atol=1e-15)
    at_hopf = CellMap(library.jordan_rotation(np.arccos(2 / 3)).cell)
    assert np.min(np.abs(spectrum(at_hopf, np.zeros(2)))) > 1.1


def test_rotation_turns_counterclockwise():
    """`U_c = 3 R(alpha)` maps the first unit vector to `3 (cos, sin)`."""
    cell = library.jordan_rotation(0.3).cell
    np.testing.assert_allclose(cell.U_c @ jnp.array([1.0, 0.0]), 3 * np.array([np.cos(0.3), np.sin(0.3)]), atol=1e-15)


def _roman(number):
    numerals = (("x", 10), ("ix", 9), ("v", 5), ("iv", 4), ("i", 1))
    out = ""
    for letters, value in numerals:
        out += letters * (number // value)
        number %= value
    return out


def test_jordan_cases_are_complete():
    figures = {f"fig:{panel}" for panel in ("2", "3a", "3b", "3c", "4a", "4b", "5a", "5b", "5c", "6a", "7a")}
    assert set(library.jordan_cases()) == {f"table3:{_roman(n)}" for n in range(1, 37)} | figures
    assert len(library.jordan_cases()) == 47


def test_jordan_cases_are_as_in_the_paper():
    """Equation 7 with keep gate 1/2, written out in NumPy with the numbers that the case carries."""
    state = np.array([0.3, -0.6])
    for case in library.jordan_cases():
        flow = library.jordan(case)
        cell = flow.cell
        U_c, U_r, b_c, b_r = (np.asarray(value) for value in (cell.U_c, cell.U_r, cell.b_c, cell.b_r))
        reset = 1 / (1 + np.exp(-(U_r @ state + b_r)))
        expected = (np.tanh(U_c @ (reset * state) + b_c) - state) / 2
        np.testing.assert_allclose(everything(flow, state)["advance"], expected, rtol=0, atol=1e-15)


# Typed by hand from tables 1 and 3 of the paper: U_h and U_r by rows, b_h, b_r.
PRINTED = {
    "table3:i": ([2, 2, 2, 2], [100, 100, 100, 100], [0, 0], [0, 0]),
    "table3:vi": ([2, 0, 0, 2], [1, -2, 3, 1], [-0.06, 0], [0.2, -0.85]),
    "table3:viii": ([1.2, 0, 0, 2], [5, 20.5, 8, 5], [0, 0], [-0.275, -3.3]),
    "table3:ix": ([3, 3, 0, 3], [0, 0, 0, 0], [0, 0], [0, 0]),
    "table3:xiv": ([2.9674, -0.4409, 0.4409, 2.9674], [0, 0, 0, 0], [0, 0], [0, 0]),
    "table3:xix": ([10, 0, 0, 6], [-3, 5, -5, 3], [0, 0], [-3, -3]),
    "table3:xxi": ([2.9763, -0.376, 0.376, 2.9763], [0, 0, 0, 0], [0.0315, 0], [-0.015, -0.015]),
    "table3:xxvii": ([7, 0, 0, 3], [6, 3, 9, 6], [0.62, 0.373], [4, 3.4]),
    "table3:xxviii": ([6, 0, 0, 10], [0, 0, -5, -8], [-0.08, 0], [0, -2]),
    "table3:xxix": ([2, 0, 0, 3], [-10, -11.6, 8, 5], [0, 0], [4, 4.8]),
    "table3:xxxiv": ([1, 0, 0, 1], [5, 8, 8, 5], [0, 0], [4.4, 4.9]),
    "table3:xxxvi": ([2, 0, 0, 2], [5, 8, 8, 5], [0, 0], [5, 5]),
    "fig:4a": ([2, 0, 0, 2], [5, 9, 5, 9], [0, 0], [0, 0]),
    "fig:5b": ([2.4271, -1.7634, 1.7634, 2.4271], [0, 0, 0, 0], [0, 0], [0, 0]),
    "fig:6a": ([0.1, -0.1, -1, 0], [0, 0, 0, 0], [0, 0], [0, 0]),
    "fig:7a": ([2, 2, 2, 2], [100, 100, 100, 100], [0.01, 0], [0, 0]),
}


@pytest.mark.parametrize("case", PRINTED)
def test_jordan_parameters(case):
    cell = library.jordan(case).cell
    candidate, reset, b_c, b_r = PRINTED[case]
    np.testing.assert_array_equal(np.ravel(cell.U_c), candidate)
    np.testing.assert_array_equal(np.ravel(cell.U_r), reset)
    np.testing.assert_array_equal(cell.b_c, b_c)
    np.testing.assert_array_equal(cell.b_r, b_r)
    for name in ("U_z", "b_z"):
        assert not np.any(getattr(cell, name))
    assert (cell.input_size, cell.hidden_size, cell.reset) == (0, 2, "before")


@pytest.mark.parametrize("case", ["table3:iv", "table3:v", "table3:xviii"])
def test_wholly_degenerate_origins(case):
    """`U_h = 2 I` and r = 1/2: C = I, so all four entries of the residual's Jacobian vanish, and the flow's too."""
    values = everything(library.jordan(case), np.zeros(2))
    np.testing.assert_array_equal(values["residual"], np.zeros(2))
    np.testing.assert_array_equal(values["residual_jacobian"][0], np.zeros((2, 2)))
    np.testing.assert_array_equal(values["jacobian"][0], np.zeros((2, 2)))


def test_unknown_jordan_case_raises():
    with pytest.raises(ValueError, match=r"unknown case 'xxxvii'; the cases are table3:i, .*fig:7a"):
        library.jordan("xxxvii")
