"""Orthogonal cells against their papers' equations in NumPy, autodiff, explicit rotations and printed counts."""

import functools
import itertools
import json
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from catalogue import each, without_type_checks

from gru_dynamics import Completeness, UniformGuesses, find_fixed_points, interop
from gru_dynamics.cells import (
    GORUCell,
    GRUCell,
    LSTMCell,
    NCGRUCell,
    ScoRNNCell,
    StackedCell,
    autodiff_linearise,
    modrelu,
    num_parameters,
)
from gru_dynamics.linalg import Constrained, Orthogonal
from gru_dynamics.systems import CellFlow, CellMap

I, H = 2, 5
INPUT = jnp.array([0.4, -0.9])
STATE = np.array([0.3, -0.5, 0.8, 0.1, -0.2])


def shapes(maker, width, size=H, **options):
    return eqx.filter_eval_shape(maker, width, size, key=jr.key(0), **options)


def fill(template, seed=0):
    """A cell with every array drawn anew: biases of both signs, matrices of no special kind."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(0.7 * rng.normal(size=leaf.shape), leaf.dtype), template)


@functools.cache
def start(maker, **options):
    """A new cell as NumPy arrays; one compilation, not one for each operation of its initialisers."""
    options |= {} if maker is GORUCell else {"num_negative": 33}
    return jax.tree.map(np.asarray, eqx.filter_jit(maker)(20, 60, key=jr.key(5), **options))


# Factories of shapes, by input size.
CELLS = [
    ("nc-gru-c", functools.partial(shapes, NCGRUCell, num_negative=2)),
    ("nc-gru-rc", functools.partial(shapes, NCGRUCell, num_negative=2, orthogonal=("r", "c"))),
    ("nc-gru-rzc", functools.partial(shapes, NCGRUCell, num_negative=2, orthogonal=("r", "z", "c"))),
    ("sco-rnn", functools.partial(shapes, ScoRNNCell, num_negative=2)),
    ("goru", functools.partial(shapes, GORUCell, capacity=3)),
]
KINDS = [CELLS[0], *CELLS[3:]]


def draw(make, seed=0, width=I):
    return fill(make(width), seed)


def a_stack():
    return StackedCell([draw(make, width=I if number == 0 else H) for number, (_, make) in enumerate(CELLS)])


def close(actual, expected, atol=1e-14):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


# modReLU -----------------------------------------------------------------------------------------

XS, BS = (
    grid.ravel() for grid in np.meshgrid([-2.0, -0.5, -0.3, -0.1, 0.0, 0.1, 0.3, 0.5, 2.0], [-0.3, -0.0, 0.0, 0.3])
)


def test_modrelu_is_its_formula():
    expected = np.sign(XS) * np.maximum(np.abs(XS) + BS, 0)
    close(modrelu(jnp.asarray(XS), jnp.asarray(BS)), expected, 1e-16)
    close(modrelu(jnp.asarray(-XS), jnp.asarray(BS)), -expected, 1e-16)


def test_modrelu_derivatives():
    """1 where active, 0 in the dead zone, in b the sign of x; central differences away from the kinks."""
    in_x, in_b = jax.vmap(jax.grad(modrelu, argnums=(0, 1)))(jnp.asarray(XS), jnp.asarray(BS))
    active = np.abs(XS) + BS >= 0
    np.testing.assert_array_equal(in_x, active.astype(float))
    np.testing.assert_array_equal(in_b, active * np.sign(XS))
    smooth, step = (np.abs(np.abs(XS) + BS) > 1e-3) & ((XS != 0) | (BS < 0)), 1e-6
    for slope, dx, db in ((in_x, step, 0.0), (in_b, 0.0, step)):
        ahead, behind = (modrelu(jnp.asarray(XS + s * dx), jnp.asarray(BS + s * db)) for s in (1, -1))
        close(np.asarray(slope)[smooth], np.asarray((ahead - behind) / (2 * step))[smooth], 1e-9)


def test_modrelu_without_bias_is_the_identity_also_at_zero():
    """Training starts there: state, input and bias all zero."""
    zero = jnp.zeros(())
    assert modrelu(zero, zero) == 0
    assert jax.grad(modrelu)(zero, zero) == 1


def test_modrelu_jump_dead_zone_and_nan():
    tiny = jnp.array([-1e-300, 1e-300])
    np.testing.assert_array_equal(modrelu(tiny, jnp.full(2, 0.25)), [-0.25, 0.25])
    np.testing.assert_array_equal(modrelu(jnp.array([-0.2, 0.2]), jnp.full(2, -0.25)), [0, 0])
    assert np.isnan(modrelu(jnp.array([jnp.nan, 1.0]), jnp.array([0.1, jnp.nan]))).all()


# The equations -----------------------------------------------------------------------------------


@eqx.filter_jit
def _step(cell):
    return cell(jnp.asarray(STATE), INPUT), getattr(cell, "reset_gate", cell.keep_gate)(jnp.asarray(STATE), INPUT)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _modrelu(x, b):
    return np.sign(x) * np.maximum(np.abs(x) + b, 0)


def test_nc_gru_is_equation_19():
    """As printed, with the write gate u: the weights of our keep gate z = 1 - u with the sign changed."""
    for seed in range(5):
        cell = draw(CELLS[0][1], seed)
        w = {name: np.asarray(value) for name, value in vars(cell).items()}
        x = np.asarray(INPUT)
        W_u, U_u, b_u = -w["W_z"], -w["U_z"], -w["b_z"]
        r = _sigmoid(w["W_r"] @ x + w["U_r"] @ STATE + w["b_r"])
        u = _sigmoid(W_u @ x + U_u @ STATE + b_u)
        c = _modrelu(w["W_c"] @ x + w["U_c"] @ (r * STATE), w["b_c"])
        for actual, expected in zip(_step(cell), ((1 - u) * STATE + u * c, r), strict=True):
            close(actual, expected)


def test_sco_rnn_equation():
    cell = draw(CELLS[3][1])
    drive = np.asarray(cell.W) @ np.asarray(INPUT) + np.asarray(cell.U) @ STATE
    close(_step(cell)[0], _modrelu(drive, np.asarray(cell.b)))


def rotations(even, odd, size):
    """The matrix of the layers, one plane at a time; later ones on the left."""
    total = np.eye(size)
    for layer in range(len(even) + len(odd)):
        start = layer % 2
        for plane, angle in enumerate(np.asarray((even, odd)[start])[layer // 2]):
            i = start + 2 * plane
            turn = np.eye(size)
            turn[i : i + 2, i : i + 2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
            total = turn @ total
    return total


def test_goru_equations():
    """`h~ = modReLU(W_x x + r * (U h))`, `h' = z h + (1 - z) h~`, U as explicit rotations."""
    for seed in range(5):
        cell = draw(CELLS[4][1], seed)
        w = {name: np.asarray(value) for name, value in vars(cell).items()}
        x = np.asarray(INPUT)
        r = _sigmoid(w["W_r"] @ x + w["U_r"] @ STATE + w["b_r"])
        z = _sigmoid(w["W_z"] @ x + w["U_z"] @ STATE + w["b_z"])
        U = rotations(cell.even_angles, cell.odd_angles, H)
        c = _modrelu(w["W_c"] @ x + r * (U @ STATE), w["b_c"])
        for actual, expected in zip(_step(cell), (z * STATE + (1 - z) * c, r), strict=True):
            close(actual, expected)


@pytest.mark.parametrize(("size", "capacity"), [(1, 1), (2, 1), (2, 2), (5, 1), (5, 3), (5, 4), (6, 6), (16, 11)])
def test_goru_matrix(size, capacity):
    cell = fill(shapes(GORUCell, 0, size, capacity=capacity), size)
    U = np.asarray(jax.jit(lambda: cell.U_c)())
    close(U, rotations(cell.even_angles, cell.odd_angles, size))
    close(U.T @ U, np.eye(size))
    close(np.linalg.det(U), 1.0)
    layers = [*cell.even_angles, *cell.odd_angles]
    assert len(layers) == capacity
    if capacity == size:  # one angle for each dimension of the rotation group
        assert sum(layer.size for layer in layers) == size * (size - 1) // 2


def test_goru_turns_from_the_first_axis_to_the_second():
    cell = eqx.tree_at(lambda c: c.even_angles, fill(shapes(GORUCell, 0, 2, capacity=1)), jnp.array([[0.3]]))
    close(np.asarray(jax.jit(lambda: cell.U_c)())[:, 0], [np.cos(0.3), np.sin(0.3)])


# Jacobians ---------------------------------------------------------------------------------------


@eqx.filter_jit
def _jacobians(cell, states, input):
    def at(state):
        flow = CellFlow(cell, input, 1.0)
        closed = cell.jacobians(state, input), cell.velocity_jacobians(state, input)
        oracle = (
            jax.jacfwd(cell, argnums=(0, 1))(state, input),
            jax.jacfwd(cell.velocity, argnums=(0, 1))(state, input),
        )
        residual = cell.residual_jacobians(state, input), jax.jacfwd(cell.fixed_point_residual, (0, 1))(state, input)
        lin = cell.linearise(state, input), autodiff_linearise(cell.keep_gate, cell.candidate, state, input)
        return closed, oracle, residual, lin, (flow(0.0, state), cell(state, input) - state)

    return jax.vmap(at)(states)


@each("make", KINDS)
def test_closed_form_jacobians(make):
    cell, states = draw(make), jnp.asarray(np.random.default_rng(1).uniform(-1.5, 1.5, (200, H)))
    closed, oracle, residual, (lin, autodiff), (velocity, difference) = _jacobians(cell, states, INPUT)
    for ours, theirs in (*zip(closed, oracle, strict=True), residual, (lin, autodiff)):
        for a, b in zip(ours, theirs, strict=True):
            assert a.shape == b.shape
            close(a, b, 2e-14)
    close(velocity, difference, 1e-14)
    slopes = np.max(np.abs(autodiff.candidate_state), axis=2) > 0  # units active and silent, both put to the test
    assert 0.02 < np.mean(slopes) < 0.98


def test_origin_with_a_dead_zone_sees_only_the_gate():
    """For b_c < 0 and no drive the candidate is 0 around the origin, so J = diag(z), the keep gate there."""
    cell = draw(CELLS[0][1])
    cell = eqx.tree_at(lambda c: c.b_c, cell, jnp.full((H,), -0.1))
    zero = jnp.zeros((H,))
    in_state, keep = jax.jit(lambda: (cell.jacobians(zero)[0], cell.keep_gate(zero)))()
    close(in_state, np.diag(keep), 1e-16)


@each("make", KINDS)
def test_gradients_at_the_start_of_training(make):
    """At state, input and drive 0 every derivative is finite, and those of the input weights are not lost."""
    cell, zero = draw(make), jnp.zeros((H,))
    cell = eqx.tree_at(lambda c: c.b if isinstance(c, ScoRNNCell) else c.b_c, cell, zero)

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(cell, x):
        return jnp.sum(cell(cell(zero, x), x))

    for x in (INPUT, jnp.zeros((I,))):
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient(cell, x)))
    of_input = gradient(cell, INPUT)
    assert np.any(np.asarray(of_input.W if isinstance(cell, ScoRNNCell) else of_input.W_c) != 0)


# Fixed points ------------------------------------------------------------------------------------


def test_fixed_points_in_closed_form():
    """With U_c = I, r = z = 1/2 a unit rests where `h = sgn(h) (|h|/2 + b)`: at 0 and, for b > 0, at +-2b."""
    b = np.array([0.3, 0.4])
    zero = jnp.zeros((2, 2))
    cell = eqx.tree_at(
        lambda c: (c.U_r, c.U_z, c.U_c, c.b_r, c.b_z, c.b_c),
        fill(shapes(NCGRUCell, 0, 2)),
        (zero, zero, jnp.eye(2), zero[0], zero[0], jnp.asarray(b)),
    )
    points = find_fixed_points(CellMap(cell), UniformGuesses(-1.0, 1.0, num=64), key=jr.key(0))
    assert int(points.complete) == Completeness.UNKNOWN
    found = np.asarray(points.state)[np.asarray(points.mask)]
    nearest = np.array([-2, 0, 2])[:, None] * b
    assert np.max(np.min(np.abs(found[:, None] - nearest), axis=1)) < 1e-12
    corners = np.all(np.abs(found) > 0.1, axis=1)
    assert len(found[corners]) == 4
    close(np.asarray(points.eigenvalues)[np.asarray(points.mask)][corners], np.full((4, 2), 0.75), 1e-12)
    assert cell.bounds is None


@pytest.mark.slow
@each("make", KINDS)
def test_search_runs_on_drawn_cells(make):
    """Whatever is found is a fixed point of the step. `pytest -m slow tests/test_cells_orthogonal.py`"""
    cell = draw(make)
    points = find_fixed_points(CellMap(cell, INPUT), UniformGuesses(-3.0, 3.0, num=256), key=jr.key(0), throw=False)
    assert int(points.complete) == Completeness.UNKNOWN
    for state in np.asarray(points.state)[np.asarray(points.mask)]:
        close(cell(jnp.asarray(state), INPUT), state, 1e-12)


# How they start ----------------------------------------------------------------------------------


def test_orthogonal_matrices_at_the_start():
    """Eigen-angles of `Z = U D` lie in [-pi/2, pi/2] and fill it; det U = (-1)^33; no two matrices are alike."""
    cell, sco = start(NCGRUCell, orthogonal=("r", "c")), start(ScoRNNCell)
    signs = np.where(np.arange(60) < 60 - 33, 1.0, -1.0)
    for U in (cell.U_r, cell.U_c, sco.U):
        close(U.T @ U, np.eye(60))
        close(np.linalg.det(U), -1.0, 1e-12)
        angles = np.abs(np.angle(np.linalg.eigvals(U * signs)))
        assert np.max(angles) <= np.pi / 2 + 1e-12
        assert np.min(angles) < np.pi / 8 < 3 * np.pi / 8 < np.max(angles)
    assert all(np.max(np.abs(a - b)) > 0.1 for a, b in itertools.combinations((cell.U_r, cell.U_c, sco.U), 2))


def test_other_arrays_at_the_start():
    """The ranges of the released codes, and the whole of each, up to 2 %."""

    def spans(array, limit):
        return 0.98 * limit < np.max(array) <= limit and -limit <= np.min(array) < -0.98 * limit

    cell = start(NCGRUCell, orthogonal=("r", "c"))
    assert spans(cell.W_r, (6 / 80) ** 0.5)
    assert spans(cell.W_z, (6 / 80) ** 0.5)
    assert spans(cell.U_z, (6 / 120) ** 0.5)
    assert spans(cell.W_c, (6 / 20) ** 0.5)
    assert 0.09 < np.max(np.abs(cell.b_c)) < 0.1
    assert not np.any(cell.b_r)
    assert not np.any(cell.b_z)
    sco = start(ScoRNNCell)
    assert spans(sco.W, 0.01)
    assert not np.any(sco.b)
    goru = start(GORUCell)
    assert spans(goru.U_r, 0.01)
    assert 0.9 * np.pi < np.max(np.abs(goru.even_angles)) <= np.pi
    assert np.all(goru.b_r == 2.0)
    defaults = [shapes(make, I, 9) for make in (NCGRUCell, ScoRNNCell, GORUCell)]
    assert [defaults[0].num_negative, defaults[1].num_negative, defaults[2].capacity] == [4, 4, 4]
    assert shapes(GORUCell, I, 3).capacity == 3


def test_constraints():
    expected = [("U_c",), ("U_r", "U_c"), ("U_r", "U_z", "U_c"), ("U",), None]
    for layer, names in zip(a_stack().layers, expected, strict=True):
        if names is None:
            assert not isinstance(layer, Constrained)
        else:
            assert isinstance(layer, Constrained)
            assert layer.constraints == dict.fromkeys(names, Orthogonal(2))


# Counts ------------------------------------------------------------------------------------------

# Sizes of Mucllari et al. (2022) and free parameters with the readout: the output layer has a bias, a gate has one.
COUNTS = {
    "parenthesis": ((7, 18), (42, 50, 110, 64, 56), (9174, 9618, 8873, 11024, 10182, 8586)),
    "denoise": ((10, 10), (90, 100, 200, 128, 118), (37270, 34310, 24110, 38536, 39835, 32814)),
    "adding": ((2, 1), (68, 70, 190, 128, 80), (19381, 15401, 18716, 34303, 16761, 13521)),
    "copying": ((10, 9), (68, 78, 190, 100, 96), (22109, 21537, 21764, 24407, 27033, 22377)),
}


@pytest.mark.parametrize("task", COUNTS)
def test_counts_of_the_paper(task):
    (width, outputs), (lstm, gru, sco, goru, nc), expected = COUNTS[task]
    makers = (
        (LSTMCell, lstm),
        (GRUCell, gru),
        (ScoRNNCell, sco),
        (functools.partial(GORUCell, capacity=4), goru),
        (NCGRUCell, nc),
        (functools.partial(NCGRUCell, orthogonal=("r", "c")), nc),
    )
    counts = []
    for make, size in makers:
        counts.append(num_parameters((shapes(make, width, size), shapes(eqx.nn.Linear, size, outputs))))
    assert tuple(counts) == expected


def test_counts_of_arrays():
    assert num_parameters({"a": jnp.zeros((2, 3)), "b": [np.zeros(4), 1.5, None], "steps": np.zeros((), int)}) == 10
    sco, gru = fill(shapes(ScoRNNCell, I)), shapes(GRUCell, H)
    seeds = jax.tree.map(lambda leaf: np.stack([leaf] * 3), sco)
    assert num_parameters(sco) == I * H + H + H * (H - 1) // 2 == 25
    assert num_parameters(seeds) == 3 * 25
    assert num_parameters(StackedCell([sco, gru])) == 25 + 165


# Shapes, dtypes, errors --------------------------------------------------------------------------


@each("make", KINDS)
def test_shapes_and_missing_inputs(make):
    cell, state = draw(make), jnp.asarray(STATE)
    np.testing.assert_array_equal(*eqx.filter_jit(lambda cell: (cell(state), cell(state, jnp.zeros((I,)))))(cell))
    in_state, in_input = jax.eval_shape(lambda cell: cell.jacobians(state), make(0))
    assert (in_state.shape, in_input.shape) == ((H, H), (H, 0))
    with without_type_checks():
        for method in (cell, cell.velocity, cell.jacobians, cell.fixed_point_residual):
            with pytest.raises(ValueError, match=r"state must have shape \(5,\), got \(5, 1\).*jax\.vmap"):
                method(state[:, None], INPUT)
            with pytest.raises(ValueError, match=r"input must have shape \(2,\), got \(3,\)"):
                method(state, jnp.zeros((3,)))


@each("make", CELLS)
def test_float32_stays_float32(make):
    cell = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), draw(make))
    state, input = jnp.asarray(STATE, jnp.float32), INPUT.astype(jnp.float32)
    functions = (cell, cell.jacobians, cell.velocity_jacobians, cell.fixed_point_residual, cell.residual_jacobians)
    outputs = jax.eval_shape(lambda: [function(state, input) for function in functions])
    assert {leaf.dtype for leaf in jax.tree.leaves(outputs)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("maker", [NCGRUCell, ScoRNNCell, GORUCell])
def test_dtype_of_the_weights(maker):
    for dtype in (None, jnp.float32, jnp.float64):
        leaves = jax.tree.leaves(shapes(maker, I, dtype=dtype))
        assert {leaf.dtype for leaf in leaves} == {jnp.dtype(dtype or jnp.float64)}


def test_bad_options():
    cases = [
        (
            lambda: NCGRUCell(I, H, num_negative=6, key=jr.key(0)),
            r"NCGRUCell: num_negative must lie in 0\.\.5, .* got 6",
        ),
        (lambda: ScoRNNCell(I, H, num_negative=-1, key=jr.key(0)), r"ScoRNNCell: num_negative .* got -1"),
        (lambda: NCGRUCell(I, H, orthogonal=("u", "c"), key=jr.key(0)), r"gate u of the paper is 1 - z here.*\"z\""),
        (
            lambda: NCGRUCell(I, H, orthogonal=("r",), key=jr.key(0)),
            r'must name "c" and may name "r", "z", got \(\'r\',\)',
        ),
        (lambda: NCGRUCell(I, H, orthogonal=(), key=jr.key(0)), 'must name "c"'),
        (lambda: NCGRUCell(I, H, orthogonal=("c", "c"), key=jr.key(0)), "got"),
        (lambda: GORUCell(I, H, capacity=0, key=jr.key(0)), r"capacity must lie in 1\.\.5, .* got 0"),
        (lambda: GORUCell(I, H, capacity=6, key=jr.key(0)), "got 6"),
    ]
    for call, text in cases:
        with pytest.raises(ValueError, match=text):
            call()
    assert shapes(NCGRUCell, I, orthogonal=("c", "r")).orthogonal == ("r", "c")


# Files -------------------------------------------------------------------------------------------


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


@each("make", CELLS)
@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_files_round_trip(make, ending, tmp_path):
    path, cell = tmp_path / f"cell{ending}", draw(make)
    interop.save_cell(path, cell)
    same(interop.load_cell(path), cell)
    half = interop.load_cell(path, dtype=jnp.float32)
    assert {leaf.dtype for leaf in jax.tree.leaves(half)} == {jnp.dtype(jnp.float32)}


def test_stacks_round_trip(tmp_path):
    path = tmp_path / "stack.safetensors"
    stack = StackedCell([a_stack(), fill(shapes(GRUCell, H))])
    interop.save_cell(path, stack)
    again = interop.load_cell(path)
    assert isinstance(again, StackedCell)
    same(again, stack)
    assert [isinstance(layer, Constrained) for layer in again.layers] == [True] * 4 + [False] * 2
    same(interop.load_cell(path, layer=3), stack.layers[3])


def test_headers(tmp_path):
    extras = {
        "nc-gru-rc": {"num_negative": 2, "orthogonal": ["r", "c"]},
        "sco-rnn": {"num_negative": 2},
        "goru": {"capacity": 3},
    }
    for name, extra in extras.items():
        cell = draw(dict(CELLS)[name])
        interop.save_cell(tmp_path / "c.safetensors", cell)
        with safetensors.safe_open(tmp_path / "c.safetensors", "numpy") as file:
            header = json.loads(file.metadata()["gru_dynamics"])
        sizes = {"cell": type(cell).__name__, "input_size": I, "hidden_size": H, "dtype": "float64"}
        assert header["layers"] == [sizes | extra]


def rewrite(path, change, rename=None):
    with safetensors.safe_open(path, "numpy") as file:
        arrays, header = {k: file.get_tensor(k) for k in file.keys()}, json.loads(file.metadata()["gru_dynamics"])  # noqa: SIM118
    header["layers"][0] |= change
    arrays = {(rename or {}).get(name, name): array for name, array in arrays.items()}
    safetensors.numpy.save_file(arrays, path, {"gru_dynamics": json.dumps(header)})


@pytest.mark.parametrize(
    ("name", "change", "rename", "text"),
    [
        ("nc-gru-c", {"num_negative": None}, {}, "must have num_negative, a whole number, found None"),
        ("nc-gru-c", {"num_negative": 6}, {}, r"describes no cell: NCGRUCell: num_negative must lie in 0\.\.5"),
        ("nc-gru-c", {"orthogonal": "c"}, {}, "must have orthogonal, a list of gates, found 'c'"),
        ("nc-gru-c", {"orthogonal": ["u", "c"]}, {}, 'name it "z"'),
        ("sco-rnn", {"num_negative": True}, {}, "a whole number, found True"),
        ("goru", {"capacity": 4}, {}, r"'odd_angles' must have shape \(2, 2\), found \(1, 2\)"),
        ("goru", {"capacity": 9}, {}, r"capacity must lie in 1\.\.5"),
        ("goru", {"hidden_size": -1}, {}, "known cell and its sizes"),
        ("goru", {"input_size": -1}, {}, "known cell and its sizes"),
        ("goru", {"cell": "EUNNCell"}, {}, "must name a known cell"),
        ("nc-gru-c", {}, {"b_c": "b_m"}, "'b_c' is missing"),
        ("nc-gru-c", {"cell": "ScoRNNCell"}, {}, "'W' is missing"),
        ("nc-gru-c", {"hidden_size": 6}, {}, r"'W_r' must have shape \(6, 2\), found \(5, 2\)"),
    ],
)
def test_bad_files(name, change, rename, text, tmp_path):
    path = tmp_path / "c.safetensors"
    interop.save_cell(path, draw(dict(CELLS)[name]))
    rewrite(path, change, rename)
    with pytest.raises(interop.WeightError, match=text) as caught:
        interop.load_cell(path)
    assert "\n" not in str(caught.value)
    assert "c.safetensors" in str(caught.value)


def test_unknown_arrays_are_rejected(tmp_path):
    path = tmp_path / "c.npz"
    interop.save_cell(path, draw(CELLS[0][1]))
    arrays: dict[str, Any] = {**np.load(path), "b_hc": np.zeros(H)}
    np.savez(path, **arrays)
    with pytest.raises(interop.WeightError, match="unknown entry 'b_hc'"):
        interop.load_cell(path)


@each("make", KINDS)
def test_other_frameworks_have_none_of_them(make):
    cell = draw(make)
    for format in interop.FORMATS:
        with pytest.raises(interop.WeightError, match=type(cell).__name__) as caught:
            interop.to_weights(cell, format)
        assert "\n" not in str(caught.value)
