"""Cells against autodiff, closed forms and the exact properties of the relaxation equation."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import (
    BOUNDED_CELLS,
    CELLS,
    ELMANS,
    GATED_CELLS,
    GRUS,
    HIDDEN_SIZE,
    INPUT_SIZE,
    INPUT_SIZES,
    LSTMS,
    PROPERTY,
    SINGLE_LAYERS,
    STACKS,
    draw,
    each,
    named,
    without_type_checks,
)
from hypothesis import given, strategies as st

from gru_dynamics.cells import (
    AbstractGatedCell,
    ElmanCell,
    GRUCell,
    LSTMCell,
    StackedCell,
    autodiff_linearise,
    glorot,
    orthogonal,
    uniform_fan,
)
from gru_dynamics.systems import CellFlow, CellMap

EPS = float(np.finfo(float).eps)
TAU = 2.0  # a power of two: multiplying by it is exact
EXCITE = 3.0
INPUT = jnp.array([0.4, -0.9])

# One compilation for each cell of the catalogue serves most tests of this file ------------------------------------


@eqx.filter_jit
def _measure(cell, states, restings, input):
    """Closed forms and oracles at `states (N, S)`, `restings (N, R)`, and the roots that Newton reaches from these."""
    flow = CellFlow(cell, input, TAU)
    size = cell.state_size

    def residual(resting):
        return cell.fixed_point_residual(resting, input)

    def both(state_and_input):
        state, input = jnp.split(state_and_input, [size])
        return jnp.concatenate([cell(state, input), CellFlow(cell, input, TAU)(0.0, state)])

    def residual_of_both(resting_and_input):
        return cell.fixed_point_residual(*jnp.split(resting_and_input, [cell.resting_size]))

    def newton(resting):
        def correct(_, h):
            return h - jnp.linalg.solve(jax.jacfwd(residual)(h), residual(h))

        return jax.lax.fori_loop(0, 30, correct, resting)

    def at(state, resting):
        of_both = jax.jacfwd(both)(jnp.concatenate([state, input]))
        of_residual = jax.jacfwd(residual_of_both)(jnp.concatenate([resting, input]))
        gated = isinstance(cell, AbstractGatedCell)
        return {
            "state": state,
            "resting": resting,
            "rest": cell.rest(state),
            "step": cell(state, input),
            "flow": flow(0.0, state),
            "residual": residual(resting),
            "keep": cell.keep_gate(resting, input) if gated else None,
            "candidate_jacobian": jax.jacfwd(cell.candidate)(resting, input) if gated else None,
            "closed": {
                "step": jnp.hstack(cell.jacobians(state, input)),
                "velocity": jnp.hstack(cell.velocity_jacobians(state, input)),
                "residual": jnp.hstack(cell.residual_jacobians(resting, input)),
            },
            "autodiff": {"step": of_both[:size], "velocity": TAU * of_both[size:], "residual": of_residual},
        }

    roots = jax.vmap(newton)(restings)
    lifted = jax.vmap(cell.lift, in_axes=(0, None))(roots, input)
    measured = jax.vmap(at)(jnp.concatenate([states, lifted]), jnp.concatenate([restings, roots]))
    settled = jax.lax.fori_loop(0, 3000, lambda _, state: cell(state, input), states[0])
    return measured, {
        "state": settled,
        "step": cell(settled, input),
        "residual": residual(cell.rest(settled)),
        "relifted": cell.lift(cell.rest(settled), input),
    }


@functools.cache
def measured(make, excite=0.0, number=600):
    """`_measure` in NumPy: at random states, at the fixed points, and where the step comes to rest.

    Starts that Newton's method loses are left out.
    """
    cell, rng = draw(make, excite=excite), np.random.default_rng(1)
    states = rng.uniform(-1.5, 1.5, (number, cell.state_size))
    restings = rng.uniform(-1.0, 1.0, (number, cell.resting_size))
    everywhere, settled = jax.tree.map(np.asarray, _measure(cell, jnp.asarray(states), jnp.asarray(restings), INPUT))
    anywhere, points = (jax.tree.map(lambda array, s=s: array[s], everywhere) for s in np.s_[:number, number:])
    converged = np.max(np.abs(points["residual"]), axis=1) < 1e-13
    return anywhere, jax.tree.map(lambda array: array[converged], points), settled


def cases(cells):
    """Each cell as a contraction and, where it is bounded, with bistable units: many fixed points."""
    plain = [(name, (make, 0.0)) for name, make in cells]
    excited = [(f"{name}-excited", (make, EXCITE)) for name, make in cells if (name, make) in BOUNDED_CELLS]
    return plain + excited


def at_random_states(make, excite=0.0):
    return measured(make, excite)[0]


def at_fixed_points(make, excite=0.0):
    return measured(make, excite)[1]


def distinct(points):
    """Positions of one of each set of equal rows."""
    kept = []
    for i, point in enumerate(points):
        if all(np.max(np.abs(point - points[j])) > 1e-8 for j in kept):
            kept.append(i)
    return kept


def indices(points):
    """`sign det(-dR)` of each fixed point, and how far its matrix is from singular."""
    size = points["resting"].shape[1]
    matrices = -points["autodiff"]["residual"][:, :, :size]
    singular_values = np.linalg.svd(matrices, compute_uv=False)
    return np.linalg.slogdet(matrices)[0], singular_values[:, -1] / singular_values[:, 0]


# Jacobians ---------------------------------------------------------------------------------------


@each("case", cases(CELLS))
@pytest.mark.parametrize("which", ["step", "velocity", "residual"])
def test_closed_form_jacobians(case, which):
    """In the state and in the input, side by side."""
    values = at_random_states(*case)
    closed, autodiff = values["closed"][which], values["autodiff"][which]
    size = values["resting" if which == "residual" else "state"].shape[1]
    assert closed.shape == (len(closed), size, size + INPUT_SIZE)
    assert np.all(np.max(np.abs(autodiff), axis=(0, 1)) > 1e-3)  # every column is put to the test
    assert np.max(np.abs(closed - autodiff)) <= 1e-14 * max(1.0, np.max(np.abs(autodiff)))


@eqx.filter_jit
def _jacobians_without_input(cell, state):
    return jax.jacfwd(cell)(state, None), cell.jacobians(state, None), cell.jacobians(state, jnp.zeros((0,)))


@each("make", named(CELLS, "gru-before", "stack-gru-gru"))
def test_jacobians_of_autonomous_cells(make):
    cell = draw(make, input_size=0)
    oracle, *both = _jacobians_without_input(cell, jnp.linspace(-1, 1, cell.state_size))
    for in_state, in_input in both:
        assert in_input.shape == (cell.state_size, 0)
        np.testing.assert_allclose(in_state, oracle, rtol=0, atol=1e-14)


@eqx.filter_jit
def _linearisations(cell, state, input):
    return cell.linearise(state, input), autodiff_linearise(cell.keep_gate, cell.candidate, state, input)


@each("make", named(CELLS, "gru-before", "elman-leaky"))
@pytest.mark.parametrize("input", [INPUT, None], ids=["input", "none"])
def test_linearise_equals_autodiff(make, input):
    """Without an input autodiff has nothing to differentiate by: its input Jacobians have shape `(H, 0)`."""
    closed, oracle = _linearisations(draw(make), jnp.array([0.2, -1.0, 0.7]), input)
    for name, ours, autodiff in zip(closed._fields, closed, oracle, strict=True):
        if input is None and name.endswith("_input"):
            assert autodiff.shape == (HIDDEN_SIZE, 0)
        else:
            assert ours.shape == autodiff.shape
            np.testing.assert_allclose(ours, autodiff, rtol=0, atol=1e-14)


# Fixed points ------------------------------------------------------------------------------------


@each("case", cases(CELLS))
def test_roots_of_the_residual_are_fixed_points(case):
    points = at_fixed_points(*case)
    assert len(points["resting"]) > 0
    scale = 1 + np.max(np.abs(points["state"]))
    assert np.max(np.abs(points["step"] - points["state"])) <= 1e-12 * scale
    assert np.max(np.abs(points["flow"])) <= 1e-12 * scale
    np.testing.assert_array_equal(points["rest"], points["resting"])


@each("make", CELLS)
def test_fixed_points_of_the_step_are_roots(make):
    """The other way round: run the step until it rests, without any use of the residual."""
    settled = measured(make)[2]
    assert np.max(np.abs(settled["step"] - settled["state"])) <= 1e-14
    assert np.max(np.abs(settled["residual"])) <= 1e-12
    np.testing.assert_allclose(settled["relifted"], settled["state"], rtol=0, atol=1e-12)


@each("make", SINGLE_LAYERS)
def test_forward_euler_of_the_flow_is_the_map(make):
    values = at_random_states(make)
    np.testing.assert_allclose(values["state"] + TAU * values["flow"], values["step"], rtol=0, atol=4e-15)


@each("make", STACKS)
def test_forward_euler_of_a_stack_is_not_the_map(make):
    """In the map an upper layer sees the new state below, in the flow the present one."""
    values = at_random_states(make)
    error = np.abs(values["state"] + TAU * values["flow"] - values["step"])
    below = draw(make).layers[0].state_size
    assert np.max(error[:, :below]) <= 4e-15
    assert np.max(error) > 1e-2


@each("case", cases(SINGLE_LAYERS))
def test_map_and_flow_jacobians_differ_by_the_identity(case):
    """`J_map - I = tau J_flow`, everywhere for one layer."""
    for values in measured(*case)[:2]:
        of_map, of_flow = values["autodiff"]["step"], values["autodiff"]["velocity"]
        identity = np.eye(*of_map.shape[1:])
        assert np.max(np.abs(of_map - identity - of_flow)) <= 1e-14 * (1 + np.max(np.abs(of_map)))


@each("case", cases(GATED_CELLS))
def test_jacobian_factorises_at_fixed_points(case):
    """`J_map - I = diag(1 - z) (C - I)` at a fixed point, where the derivative of the gate meets a zero."""
    points = at_fixed_points(*case)
    identity = np.eye(HIDDEN_SIZE)
    of_candidate = points["candidate_jacobian"] - identity
    factorised = (1 - points["keep"])[:, :, None] * of_candidate
    of_map, of_residual = (points["autodiff"][which][:, :, :HIDDEN_SIZE] for which in ("step", "residual"))
    assert np.max(np.abs(of_map - identity - factorised)) <= 1e-11
    np.testing.assert_allclose(of_residual, of_candidate, rtol=0, atol=1e-14)


@each("case", cases(CELLS))
def test_residual_and_step_agree_on_the_index(case):
    """`sign det(-dR) = sign det(I - J_map) = sign det(-J_flow)`, for LSTMs and stacks too."""
    points = at_fixed_points(*case)
    size, identity = points["state"].shape[1], np.eye(points["state"].shape[1])
    reduced, margin = indices(points)
    regular = margin > 1e-6
    assert np.any(regular)
    of_map = np.linalg.slogdet(identity - points["autodiff"]["step"][:, :, :size])[0]
    of_flow = np.linalg.slogdet(-points["autodiff"]["velocity"][:, :, :size])[0]
    np.testing.assert_array_equal(of_map[regular], reduced[regular])
    np.testing.assert_array_equal(of_flow[regular], reduced[regular])


@each("case", cases(BOUNDED_CELLS))
def test_indices_sum_to_one(case):
    """Lefschetz: a trapping box holds fixed points whose indices sum to +1, however many there are."""
    points = at_fixed_points(*case)
    index, margin = indices(points)
    one_of_each = distinct(points["resting"])
    assert np.min(margin) > 1e-6
    assert np.sum(index[one_of_each]) == 1


@pytest.mark.parametrize("kind", [GRUS, ELMANS, LSTMS, STACKS], ids=["gru", "elman", "lstm", "stack"])
def test_both_indices_occur(kind):
    """The two tests above see saddles: in every kind some cell with excited units has them."""
    assert {-1, 1} == {int(index) for _, make in kind for index in indices(at_fixed_points(make, EXCITE))[0]}


@each("make", named(CELLS, "gru-before", "gru-after", "gru-None"))
def test_saturated_gate_fools_the_step_but_not_the_residual(make):
    """With z = 1 to machine precision every state is a fixed point of the rounded step: a phantom, not a root."""
    cell = draw(make)
    shut = eqx.tree_at(lambda c: c.b_z, cell, jnp.full((HIDDEN_SIZE,), 60.0))
    state = jnp.array([0.9, -0.8, 0.7])
    assert jnp.max(jnp.abs(shut(state, INPUT) - state)) <= EPS
    assert jnp.max(jnp.abs(shut.fixed_point_residual(state, INPUT))) > 0.1
    np.testing.assert_array_equal(shut.fixed_point_residual(state, INPUT), cell.fixed_point_residual(state, INPUT))


# The trapping box --------------------------------------------------------------------------------


@eqx.filter_jit
def _images(cell, restings, input):
    """Images `(N, R)` under the reduced map and, for gated cells, under the step."""
    reduced = jax.vmap(lambda h: h + cell.fixed_point_residual(h, input))(restings)
    stepped = jax.vmap(lambda h: cell(h, input))(restings) if isinstance(cell, AbstractGatedCell) else reduced
    return reduced, stepped


@each("make", [(name, make) for name, make in BOUNDED_CELLS if "nobias" not in name])
@PROPERTY
@given(seed=st.integers(0, 2**31 - 1), gain=st.floats(0.01, 50.0))
def test_box_is_mapped_into_itself(make, seed, gain):
    cell, rng = draw(make, seed, gain=gain), np.random.default_rng(seed)
    lower, upper = map(np.asarray, cell.bounds)
    shares = np.concatenate([rng.uniform(size=(20, len(lower))), rng.integers(0, 2, (20, len(lower)))])  # and corners
    input = jnp.asarray(rng.normal(size=INPUT_SIZE))
    for image in map(np.asarray, _images(cell, jnp.asarray(lower + (upper - lower) * shares), input)):
        assert np.all(image >= lower - 4 * EPS)  # false for nan, too
        assert np.all(image <= upper + 4 * EPS)


def test_bounds():
    for _, make in BOUNDED_CELLS:
        cell = draw(make)
        lower, upper = cell.bounds
        assert lower.shape == upper.shape == (cell.resting_size,)
    assert ElmanCell(0, 3, activation=jax.nn.softplus, key=jr.key(0)).bounds is None
    given_range = ElmanCell(0, 2, activation=jax.nn.softplus, activation_range=(0.0, 9.0), key=jr.key(0))
    np.testing.assert_array_equal(given_range.bounds, [[0.0, 0.0], [9.0, 9.0]])
    half_bounded = [GRUCell(0, 2, key=jr.key(0)), ElmanCell(2, 2, activation=jax.nn.relu, key=jr.key(0))]
    assert StackedCell(half_bounded).bounds is None


def test_leaky_mixture_needs_no_box_of_zero():
    """A sigmoid network lives in [0, 1], and its box says so."""
    lower, upper = ElmanCell(0, 3, activation=jax.nn.sigmoid, key=jr.key(0)).bounds
    np.testing.assert_array_equal(lower, np.zeros(3))
    np.testing.assert_array_equal(upper, np.ones(3))


# The equations themselves ------------------------------------------------------------------------


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


@each("make", GRUS)
def test_gru_equations(make):
    cell = draw(make, 8)
    h, x = np.array([0.3, -0.5, 0.8]), np.asarray(INPUT)
    zero = np.zeros(HIDDEN_SIZE)
    b_r, b_z, b_c, b_hc = (zero if b is None else np.asarray(b) for b in (cell.b_r, cell.b_z, cell.b_c, cell.b_hc))
    z = _sigmoid(cell.W_z @ x + cell.U_z @ h + b_z)
    r = np.ones(HIDDEN_SIZE) if cell.reset is None else _sigmoid(cell.W_r @ x + cell.U_r @ h + b_r)
    if cell.reset == "after":
        c = np.tanh(cell.W_c @ x + r * (cell.U_c @ h + b_hc) + b_c)
    else:
        c = np.tanh(cell.W_c @ x + cell.U_c @ (r * h) + b_c)
    np.testing.assert_allclose(cell(jnp.asarray(h), INPUT), z * h + (1 - z) * c, rtol=0, atol=1e-15)
    np.testing.assert_allclose(cell.reset_gate(jnp.asarray(h), INPUT), r, rtol=0, atol=1e-15)


@each("make", LSTMS)
def test_lstm_equations(make):
    """`m' = f m + i g`, `h' = o tanh(m')`; `lift` solves `m = f m + i g` at any hidden state."""
    cell = draw(make, 9)
    h, m, x = np.array([0.3, -0.5, 0.8]), np.array([1.2, 0.1, -0.7]), np.asarray(INPUT)

    def drive(gate):
        b = getattr(cell, f"b_{gate}")
        return getattr(cell, f"W_{gate}") @ x + getattr(cell, f"U_{gate}") @ h + (0 if b is None else np.asarray(b))

    i, f, g, o = _sigmoid(drive("i")), _sigmoid(drive("f")), np.tanh(drive("g")), _sigmoid(drive("o"))
    new = f * m + i * g
    expected = np.concatenate([o * np.tanh(new), new])
    np.testing.assert_allclose(cell(jnp.asarray(np.concatenate([h, m])), INPUT), expected, rtol=0, atol=1e-15)

    lifted = np.asarray(cell.lift(jnp.asarray(h), INPUT))
    np.testing.assert_array_equal(lifted[:HIDDEN_SIZE], h)
    memory = lifted[HIDDEN_SIZE:]
    np.testing.assert_allclose(f * memory + i * g, memory, rtol=0, atol=1e-15)


def test_elman_equations():
    leak = np.array([0.2, 0.5, 0.9])
    cell = ElmanCell(INPUT_SIZE, 3, leak=leak, key=jr.key(1))
    h, x = np.array([0.3, -0.5, 0.8]), np.asarray(INPUT)
    c = np.tanh(cell.W @ x + cell.U @ h + np.asarray(cell.b))
    expected = (1 - leak) * h + leak * c
    np.testing.assert_allclose(cell(jnp.asarray(h), INPUT), expected, rtol=0, atol=1e-15)


@each("make", CELLS)
def test_missing_input_is_zero(make):
    cell = draw(make, 1)
    state = jnp.linspace(-1, 1, cell.state_size)
    np.testing.assert_array_equal(cell(state), cell(state, jnp.zeros(INPUT_SIZE)))


def test_stack_runs_its_layers():
    below, above = GRUCell(2, 3, key=jr.key(0)), LSTMCell(3, 2, key=jr.key(1))
    stack = StackedCell([below, above])
    first, second = jr.normal(jr.key(2), (3,)), jr.normal(jr.key(3), (4,))
    new_first = below(first, INPUT)
    expected = jnp.concatenate([new_first, above(second, new_first)])
    state = jnp.concatenate([first, second])
    np.testing.assert_array_equal(stack(state, INPUT), expected)
    np.testing.assert_array_equal(stack.output(state), second[:2])
    np.testing.assert_array_equal(stack.rest(state), jnp.concatenate([first, second[:2]]))
    assert (stack.state_size, stack.resting_size, stack.input_size, stack.hidden_size) == (7, 5, 2, 2)


def test_nested_stacks_are_flat():
    a, b, c = GRUCell(1, 2, key=jr.key(0)), LSTMCell(2, 2, key=jr.key(1)), ElmanCell(2, 2, key=jr.key(2))
    assert StackedCell([StackedCell([a, b]), c]).layers == StackedCell([a, StackedCell([b, c])]).layers == (a, b, c)


# Equivalences and symmetry -----------------------------------------------------------------------


def _as_before(after, U_c):
    """The `reset="before"` cell with the same weights but `U_c`."""
    before = GRUCell(INPUT_SIZE, HIDDEN_SIZE, reset="before", key=jr.key(0))

    def weights(cell):
        return (cell.W_r, cell.W_z, cell.W_c, cell.U_r, cell.U_z, cell.b_r, cell.b_z, cell.b_c)

    return eqx.tree_at(lambda c: (*weights(c), c.U_c), before, (*weights(after), U_c))


def _after_without_bias_inside(key):
    cell = GRUCell(INPUT_SIZE, HIDDEN_SIZE, reset="after", key=key)
    return eqx.tree_at(lambda c: c.b_hc, cell, jnp.zeros((HIDDEN_SIZE,)))


def test_diagonal_candidate_weights_make_the_resets_equal(getkey):
    after = _after_without_bias_inside(getkey())
    state = jr.normal(getkey(), (HIDDEN_SIZE,))
    general = _as_before(after, after.U_c)
    assert jnp.max(jnp.abs(general(state, INPUT) - after(state, INPUT))) > 1e-3  # different networks in general
    after = eqx.tree_at(lambda c: c.U_c, after, jnp.diag(jr.normal(getkey(), (HIDDEN_SIZE,))))
    before = _as_before(after, after.U_c)
    np.testing.assert_allclose(before(state, INPUT), after(state, INPUT), rtol=0, atol=1e-15)


def test_constant_reset_gate_makes_the_resets_similar(getkey):
    """With `U_r = 0` and a given input, r is constant: `after(U_c)` is `before(D(r) U_c D(r)^-1)`."""
    after = eqx.tree_at(lambda c: c.U_r, _after_without_bias_inside(getkey()), jnp.zeros((HIDDEN_SIZE, HIDDEN_SIZE)))
    state = jr.normal(getkey(), (HIDDEN_SIZE,))
    r = after.reset_gate(state, INPUT)
    before = _as_before(after, r[:, None] * after.U_c / r[None, :])
    np.testing.assert_allclose(before(state, INPUT), after(state, INPUT), rtol=0, atol=1e-15)
    assert jnp.max(jnp.abs(_as_before(after, after.U_c)(state, INPUT) - after(state, INPUT))) > 1e-4


@each("make", GRUS)
def test_odd_symmetry(make):
    """`f(-h; -U_r, -U_z, -W_c, -b_c, -b_hc) = -f(h)`, also with `-x, -W_r, -W_z` in place of `-W_c`."""
    cell = draw(make, 3)
    state = jr.normal(jr.key(4), (HIDDEN_SIZE,))
    value = cell(state, INPUT)

    def negated(*names):
        present = [name for name in names if getattr(cell, name) is not None]
        return eqx.tree_at(
            lambda c: [getattr(c, name) for name in present], cell, [-getattr(cell, name) for name in present]
        )

    by_weights = negated("U_r", "U_z", "W_c", "b_c", "b_hc")
    by_input = negated("U_r", "U_z", "W_r", "W_z", "b_c", "b_hc")
    np.testing.assert_allclose(by_weights(-state, INPUT), -value, rtol=0, atol=1e-15)
    np.testing.assert_allclose(by_input(-state, -INPUT), -value, rtol=0, atol=1e-15)


# Shapes, dtypes, errors --------------------------------------------------------------------------


@each("make", CELLS)
@pytest.mark.parametrize("input_size", INPUT_SIZES)
def test_sizes(make, input_size):
    cell = make(input_size, jr.key(0))
    state, resting = jnp.zeros((cell.state_size,)), jnp.zeros((cell.resting_size,))
    assert cell.input_size == input_size
    for input in (None, jnp.zeros((input_size,))):
        assert jax.eval_shape(cell, state, input).shape == (cell.state_size,)
        assert jax.eval_shape(cell.velocity, state, input).shape == (cell.state_size,)
        assert jax.eval_shape(cell.fixed_point_residual, resting, input).shape == (cell.resting_size,)
        assert jax.eval_shape(cell.lift, resting, input).shape == (cell.state_size,)
    assert jax.eval_shape(cell.output, state).shape == (cell.hidden_size,)
    assert jax.eval_shape(cell.rest, state).shape == (cell.resting_size,)


@each("make", CELLS)
def test_float32_stays_float32(make):
    """Under x64: no constant of the code widens the dtype. Strict promotion raises where one would mix in."""
    cell = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), draw(make))
    state = jnp.zeros((cell.state_size,), jnp.float32)
    resting = jnp.zeros((cell.resting_size,), jnp.float32)
    input = jnp.zeros((INPUT_SIZE,), jnp.float32)

    def everything(state, resting, input):
        flow, step = CellFlow(cell, input), CellMap(cell, input)
        return (
            [function(state, input) for function in (cell, cell.velocity, cell.jacobians, cell.velocity_jacobians)],
            [function(resting, input) for function in (cell.fixed_point_residual, cell.residual_jacobians, cell.lift)],
            [cell.output(state), cell.rest(state), cell(state), cell.fixed_point_residual(resting), cell.lift(resting)],
            [flow(jnp.zeros((), jnp.float32), state), flow.jacobian(state), flow.residual(resting), step(state)],
            cell.bounds,
        )

    dtypes = {leaf.dtype for leaf in jax.tree.leaves(jax.eval_shape(everything, state, resting, input))}
    assert dtypes == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("kind", [GRUCell, ElmanCell, LSTMCell])
@pytest.mark.parametrize("dtype", [jnp.dtype(jnp.float32), jnp.dtype(jnp.float64)], ids=str)
def test_dtype_of_the_weights(kind, dtype):
    cell = kind(2, 3, dtype=dtype, key=jr.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(cell)} == {dtype}
    assert {leaf.dtype for leaf in jax.tree.leaves(kind(2, 3, key=jr.key(0)))} == {jnp.dtype(jnp.float64)}


def _raises_shape(call, what, expected, got):
    pattern = rf"{what} must have shape \({expected},\), got \({got}\).*jax\.vmap"
    with without_type_checks(), pytest.raises(ValueError, match=pattern):
        call()


@each("make", CELLS)
def test_wrong_states_raise(make):
    cell = draw(make)
    size = cell.state_size
    _raises_shape(lambda: cell(jnp.zeros((size, 1)), INPUT), "state", size, f"{size}, 1")
    _raises_shape(lambda: cell(jnp.zeros((size + 1,)), INPUT), "state", size, f"{size + 1},")
    _raises_shape(lambda: cell(jnp.zeros((1, size)), INPUT), "state", size, f"1, {size}")
    for method in (cell.velocity, cell.jacobians, cell.velocity_jacobians):
        _raises_shape(lambda method=method: method(jnp.zeros((size, 1)), INPUT), "state", size, f"{size}, 1")
    size = cell.resting_size
    for method in (cell.fixed_point_residual, cell.residual_jacobians):
        _raises_shape(lambda method=method: method(jnp.zeros((size, 1)), INPUT), "state", size, f"{size}, 1")


@each("make", CELLS)
def test_wrong_inputs_raise(make):
    cell = draw(make)
    state, resting = jnp.zeros((cell.state_size,)), jnp.zeros((cell.resting_size,))
    for shape, text in (((3,), "3,"), ((2, 1), "2, 1"), ((), "")):
        for method, argument in ((cell, state), (cell.jacobians, state), (cell.fixed_point_residual, resting)):
            _raises_shape(lambda m=method, a=argument, s=shape: m(a, jnp.zeros(s)), "input", INPUT_SIZE, text)


@pytest.mark.parametrize("reset", ["Before", "torch", True, ""])
def test_unknown_reset_raises(reset):
    with without_type_checks(), pytest.raises(ValueError, match='reset must be "before", "after" or None, got'):
        GRUCell(2, 3, reset=reset, key=jr.key(0))


def test_stack_errors():
    with pytest.raises(ValueError, match="at least one layer"):
        StackedCell([])
    with pytest.raises(ValueError, match="layer 1 takes inputs of size 2, but layer 0 puts out 3"):
        StackedCell([GRUCell(1, 3, key=jr.key(0)), GRUCell(2, 3, key=jr.key(1))])


# Initialisers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("init", "shape", "limit"),
    [
        (glorot, (40, 20), (6 / 60) ** 0.5),
        (glorot, (20, 40), (6 / 60) ** 0.5),
        (uniform_fan, (40, 20), 40**-0.5),
        (uniform_fan, (20, 40), 20**-0.5),
    ],
)
def test_uniform_initialisers(init, shape, limit, getkey):
    draw = np.asarray(init(getkey(), shape, jnp.dtype(jnp.float64)))
    assert draw.shape == shape
    assert 0.98 * limit < np.max(draw) <= limit
    assert -limit <= np.min(draw) < -0.98 * limit
    # 800 draws of variance limit^2 / 3: five standard errors of the mean and of the second moment
    assert abs(np.mean(draw)) < 5 * limit / np.sqrt(3 * 800)
    assert abs(np.mean(draw**2) - limit**2 / 3) < 5 * limit**2 * np.sqrt(4 / 45 / 800)


@pytest.mark.parametrize("shape", [(6, 6), (6, 4), (4, 6), (1, 1)])
def test_orthogonal_initialiser(shape, getkey):
    draw = np.asarray(orthogonal(getkey(), shape, jnp.dtype(jnp.float64)))
    assert draw.shape == shape
    gram = draw.T @ draw if shape[0] >= shape[1] else draw @ draw.T
    np.testing.assert_allclose(gram, np.eye(min(shape)), rtol=0, atol=1e-14)


def test_orthogonal_initialiser_is_haar(getkey):
    """Without the sign correction of the QR factors the trace would not have mean zero."""
    draws = jax.vmap(lambda key: orthogonal(key, (2, 2), jnp.dtype(jnp.float64)))(jr.split(getkey(), 2000))
    traces = np.trace(np.asarray(draws), axis1=1, axis2=2)
    determinants = np.linalg.det(np.asarray(draws))
    assert abs(np.mean(traces)) < 5 * np.sqrt(1 / 2000)  # E trace = 0, E trace^2 = 1 on O(n)
    assert abs(np.mean(determinants)) < 5 * np.sqrt(1 / 2000)


@pytest.mark.parametrize("init", [glorot, orthogonal, uniform_fan])
def test_initialisers_without_input(init):
    assert init(jr.key(0), (3, 0), jnp.dtype(jnp.float32)).shape == (3, 0)


@pytest.mark.parametrize("kind", [GRUCell, ElmanCell, LSTMCell])
def test_cells_use_their_initialisers(kind):
    """Biases start at zero, except with the default initialiser, which draws them as its framework does."""
    cell = kind(2, 3, input_init=glorot, recurrent_init=orthogonal, key=jr.key(0))
    names = [name for name in vars(cell) if getattr(getattr(cell, name), "ndim", 0) > 0]
    recurrent, biases = ([name for name in names if name.startswith(letter)] for letter in "Ub")
    assert recurrent
    assert biases
    for name in recurrent:
        np.testing.assert_allclose(getattr(cell, name) @ getattr(cell, name).T, np.eye(3), rtol=0, atol=1e-14)
    for name in biases:
        np.testing.assert_array_equal(getattr(cell, name), np.zeros(3))
        assert jnp.all(getattr(kind(2, 3, key=jr.key(0)), name) != 0)
    matrices = [np.asarray(leaf) for leaf in jax.tree.leaves(kind(3, 3, key=jr.key(0))) if leaf.ndim == 2]
    assert all(np.max(np.abs(a - b)) > 0.1 for a, b in itertools.combinations(matrices, 2))  # no key used twice


@each("make", CELLS)
def test_no_bias_means_no_bias(make):
    """A cell without biases rests at zero without input."""
    cell = draw(make)
    names = [name for layer in getattr(cell, "layers", (cell,)) for name, value in vars(layer).items() if value is None]
    biases = {name for name in names if name.startswith("b")}
    at_zero = np.asarray(cell.fixed_point_residual(jnp.zeros((cell.resting_size,))))
    activation = getattr(cell, "activation", jnp.tanh)
    expect_rest = biases >= {"b_c"} or biases >= {"b_g"} or biases >= {"b"}
    assert np.all(at_zero == 0) == (expect_rest and activation is jnp.tanh)


# Transformations ---------------------------------------------------------------------------------


@eqx.filter_jit
def _batched_step(cells, state, input):
    return eqx.filter_vmap(lambda cell: cell(state, input))(cells)


@each("make", named(CELLS, "gru-after", "stack-lstm-gru-elman"))
def test_vmap_over_cells(make):
    cells = [draw(make, seed) for seed in range(3)]
    state = jnp.linspace(-1, 1, cells[0].state_size)
    batched = _batched_step(jax.tree.map(lambda *leaves: jnp.stack(leaves), *cells), state, INPUT)
    assert jnp.max(jnp.abs(batched[0] - batched[1])) > 1e-2
    np.testing.assert_allclose(batched, jnp.stack([cell(state, INPUT) for cell in cells]), rtol=0, atol=1e-15)


@eqx.filter_jit
@eqx.debug.assert_max_traces(max_traces=1)
def _step_gru(cell, state, input):
    return cell(state, input)


@eqx.filter_jit
@eqx.debug.assert_max_traces(max_traces=1)
def _step_stack(cell, state, input):
    return cell(state, input)


@pytest.mark.parametrize(
    ("step", "name"), [(_step_gru, "gru-before"), (_step_stack, "stack-lstm-gru-elman")], ids=["gru", "stack"]
)
def test_second_call_does_not_retrace(step, name):
    (_, make), *_ = named(CELLS, name)
    values = []
    for seed in (0, 1):
        cell = draw(make, seed)
        values.append(step(cell, jnp.full((cell.state_size,), 0.1 * seed), INPUT))
    assert not jnp.array_equal(*values)


@eqx.filter_jit
@eqx.filter_value_and_grad
def _loss(cell, state, input):
    return jnp.sum(cell(state, input) ** 2)


@each("make", named(CELLS, "gru-after", "stack-lstm-gru-elman"))
def test_gradient_in_the_weights(make):
    """Every weight takes part: its gradient is finite, not zero, and a central difference agrees along it."""
    cell = draw(make)
    state = jnp.linspace(-1, 1, cell.state_size)
    _, slope = _loss(cell, state, INPUT)
    leaves = jax.tree.leaves(slope)
    assert len(leaves) == len(jax.tree.leaves(cell))
    assert all(np.all(np.isfinite(leaf)) and np.any(np.asarray(leaf) != 0) for leaf in leaves)
    above, below = (
        _loss(jax.tree.map(lambda w, d, s=s: w + s * d, cell, slope), state, INPUT)[0] for s in (1e-5, -1e-5)
    )
    squared = sum(float(np.sum(np.asarray(leaf) ** 2)) for leaf in leaves)
    assert float(above - below) / 2e-5 == pytest.approx(squared, rel=1e-7)
