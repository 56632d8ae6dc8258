"""What a cell does in a box, against the same formulas in ball arithmetic (python-flint), and the proofs about
eigenvalues against matrices whose eigenvalues are known."""

import functools
import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from flint import acb, acb_mat, arb, arb_mat, ctx, fmpq, fmpq_mat

import gru_dynamics as gd
from gru_dynamics.fixed_points import _proof
from gru_dynamics.linalg import Interval

UNITS, INPUTS, CELLS, BOXES = 3, 2, 10, 4
GAINS = np.array([0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0])
TAU = 0.3
NOTHING = arb(0)


# The formulas of the cells, with derivatives, in ball arithmetic -----------------------------------


class Dual:
    """A ball with its derivatives in the state."""

    def __init__(self, value, slopes):
        self.value, self.slopes = value, slopes

    def _with(self, value, own, other=None, others=None):
        slopes = [own * s for s in self.slopes]
        if other is not None:
            slopes = [a + others * b for a, b in zip(slopes, other.slopes, strict=True)]
        return Dual(value, slopes)

    def __add__(self, other):
        if not isinstance(other, Dual):
            return Dual(self.value + other, self.slopes)
        return self._with(self.value + other.value, arb(1), other, arb(1))

    def __mul__(self, other):
        if not isinstance(other, Dual):
            return self._with(self.value * other, other)
        return self._with(self.value * other.value, other.value, other, self.value)

    def __sub__(self, other):
        return self + other * arb(-1)

    def tanh(self):
        value = self.value.tanh()
        return self._with(value, 1 - value * value)

    def sigmoid(self):
        value = 1 / (1 + (-self.value).exp())
        return self._with(value, value * (1 - value))

    def relu(self):
        return self if self.value > 0 else self * NOTHING


def balls(array) -> Any:
    return None if array is None else np.vectorize(lambda x: arb(float(x)), otypes=[object])(np.asarray(array))


def affine(W, x, U, h, b):
    """`W x + U h + b` of balls and duals."""
    out = []
    for i in range(len(h)):
        total = functools.reduce(lambda a, b: a + b, [h[j] * U[i, j] for j in range(len(h))])
        if x is not None and W is not None:
            for j in range(len(x)):
                total = total + W[i, j] * x[j]
        out.append(total if b is None else total + b[i])
    return out


def gru(cell, x, h):
    """`(z, c)` as the class docstring of `GRUCell` has them."""
    w = {
        name: balls(getattr(cell, name))
        for name in (["W_r", "W_z", "W_c", "U_r", "U_z", "U_c", "b_r", "b_z", "b_c", "b_hc"])
    }
    z = [v.sigmoid() for v in affine(w["W_z"], x, w["U_z"], h, w["b_z"])]
    if cell.reset is None:
        return z, [v.tanh() for v in affine(w["W_c"], x, w["U_c"], h, w["b_c"])]
    r = [v.sigmoid() for v in affine(w["W_r"], x, w["U_r"], h, w["b_r"])]
    if cell.reset == "before":
        reset = [a * b for a, b in zip(r, h, strict=True)]
        return z, [v.tanh() for v in affine(w["W_c"], x, w["U_c"], reset, w["b_c"])]
    drive = [a * b for a, b in zip(r, affine(None, None, w["U_c"], h, w["b_hc"]), strict=True)]
    for i in range(len(h)):
        for j, value in enumerate([] if x is None else x):
            drive[i] = drive[i] + w["W_c"][i, j] * value
        if w["b_c"] is not None:
            drive[i] = drive[i] + w["b_c"][i]
    return z, [v.tanh() for v in drive]


def elman(cell, x, h):
    """`(z, c)` as the class docstring of `ElmanCell` has them, with `z = 1 - leak`."""
    drive = affine(balls(cell.W), x, balls(cell.U), h, balls(cell.b))
    name = {jnp.tanh: "tanh", jax.nn.sigmoid: "sigmoid", jax.nn.relu: "relu"}[cell.activation]
    leak = np.ones(len(h)) if cell.leak is None else np.broadcast_to(np.asarray(cell.leak), (len(h),))
    zeros = [NOTHING] * len(h)
    return [Dual(1 - arb(float(a)), zeros) for a in leak], [getattr(v, name)() for v in drive]


def evaluate(cell, x, point):
    """Candidate, residual, its Jacobian, and the Jacobians of step and flow at a point of balls."""
    n = len(point)
    h = [Dual(value, [arb(int(i == j)) for j in range(n)]) for i, value in enumerate(point)]
    z, c = (gru if isinstance(cell, gd.GRUCell) else elman)(cell, x, h)
    residual = [a - b for a, b in zip(c, h, strict=True)]
    step = [a * b + (a * arb(-1) + arb(1)) * d for a, b, d in zip(z, h, c, strict=True)]
    flow = [(a - b) * (1 / arb(float(TAU))) for a, b in zip(step, h, strict=True)]
    slopes = [[v.slopes for v in values] for values in (residual, step, flow)]
    return [v.value for v in c], [v.value for v in residual], *slopes


# Random cells and boxes ----------------------------------------------------------------------------


def _gru_cell(reset, use_bias, inputs):
    return gd.GRUCell(inputs, UNITS, reset=reset, use_bias=use_bias, key=jr.key(0))


def _elman_cell(**options):
    return gd.ElmanCell(INPUTS, UNITS, key=jr.key(0), **options)


KINDS = {
    **{
        f"gru-{reset}-{'bias' if use_bias else 'nobias'}-{inputs}": functools.partial(
            _gru_cell, reset, use_bias, inputs
        )
        for reset, use_bias, inputs in [
            ("before", True, INPUTS),
            ("before", False, 0),
            ("after", True, INPUTS),
            ("after", False, 0),
            (None, True, INPUTS),
            (None, False, 0),
        ]
    },
    "elman-tanh": _elman_cell,
    "elman-tanh-leak": functools.partial(_elman_cell, leak=0.3),
    "elman-sigmoid-leaks": functools.partial(_elman_cell, activation=jax.nn.sigmoid, leak=np.array([0.2, 0.5, 1.0])),
    "elman-relu-nobias": functools.partial(_elman_cell, activation=jax.nn.relu, use_bias=False, leak=0.7),
}


def random_cells(kind, seed=0):
    """`CELLS` cells of one kind, stacked, with weights and biases of all gains."""
    rng = np.random.default_rng(seed)

    def fill(path, leaf):
        if path[-1].name == "leak":
            return jnp.broadcast_to(leaf, (CELLS, *leaf.shape))
        gain = GAINS.reshape((CELLS,) + (1,) * leaf.ndim)
        return jnp.asarray(rng.normal(size=(CELLS, *leaf.shape)) * gain / UNITS**0.5)

    return jax.tree_util.tree_map_with_path(fill, KINDS[kind]())


def pick(stacked, number):
    return jax.tree.map(lambda leaf: leaf[number] if eqx.is_array(leaf) else leaf, stacked)


def _enclose_all(cells, lower, upper, inputs):
    """Enclosures of map and flow `(CELLS, BOXES, ...)`, and what the library computes at the lower corners."""

    def one(cell, low, high, x):
        systems = gd.CellMap(cell, x), gd.CellFlow(cell, x, TAU)
        found = [system.enclose(Interval(low, high)) for system in systems]
        values = [(s.residual(low), s.residual_jacobian(low), s.jacobian(low)) for s in systems]
        return found, values

    def boxes(cell, low, high, x):
        return jax.vmap(lambda a, b: one(cell, a, b, x))(low, high)

    return eqx.filter_vmap(boxes)(cells, lower, upper, inputs)


enclose_all = eqx.filter_jit(_enclose_all)


def outside(box, index, value, slack: Any = 0.0):
    """Whether the components `box[index]` fail to hold the balls `value` somewhere."""
    low, high = np.asarray(box.lower)[index].ravel().tolist(), np.asarray(box.upper)[index].ravel().tolist()
    flat = np.array(value, dtype=object).ravel()
    assert len(flat) == len(low)
    return any(arb(a) > v + slack or arb(b) < v - slack for a, b, v in zip(low, high, flat, strict=True))


def random_boxes(seed):
    """Boxes `(CELLS, BOXES, UNITS)` of widths from 0 to 2."""
    rng = np.random.default_rng(seed)
    width = rng.choice([0.0, 1e-15, 1e-9, 1e-3, 0.3, 2.0], (CELLS, BOXES, 1)) * rng.random((CELLS, BOXES, UNITS))
    width[:, 0] = 0.0
    lower = rng.uniform(-1.2, 1.2, (CELLS, BOXES, UNITS))
    return lower, lower + width


def members(rng, low, high):
    """The two outermost corners, another corner, and a point inside."""
    corner = np.where(rng.random(len(low)) < 0.5, low, high)
    return [low, high, corner, np.clip(low + rng.random(len(low)) * (high - low), low, high)]


def missed(kind, enclose=enclose_all):
    """How often an enclosure of residual, Jacobian or image fails to hold the truth at a member of its box."""
    cells, (low, high) = random_cells(kind), random_boxes(1)
    rng = np.random.default_rng(2)
    inputs = jnp.asarray(rng.normal(size=(CELLS, cells.input_size)))
    (as_map, as_flow), _ = enclose(cells, jnp.asarray(low), jnp.asarray(high), inputs)
    count = 0
    with ctx.workprec(200):
        for n, k in itertools.product(range(CELLS), range(BOXES)):
            cell, x = pick(cells, n), balls(inputs[n])
            for point in members(rng, low[n, k], high[n, k]):
                c, residual, slope, _, _ = evaluate(cell, x, balls(point))
                for found in (as_map, as_flow):
                    count += outside(found.image, (n, k), c)
                    count += outside(found.residual, (n, k), residual)
                    count += outside(found.residual_jacobian, (n, k), slope)
    return count


@pytest.mark.parametrize("kind", KINDS)
def test_enclosures_hold_what_the_cell_does_anywhere_in_the_box(kind):
    assert missed(kind) == 0


def exact_fixed_point(cell, x, start):
    """A fixed point near `start` to 60 digits by Newton's method in balls, or `None`."""
    point = balls(start)
    for _ in range(12):
        residual, slope = evaluate(cell, x, point)[1:3]
        try:
            step = arb_mat([list(row) for row in slope]).solve(arb_mat([[v] for v in residual]))
        except ZeroDivisionError:
            return None
        point = [arb(arb(p - step[i, 0]).mid()) for i, p in enumerate(point)]
    residual = evaluate(cell, x, point)[1]
    close = all(abs(r) < arb(10) ** -60 for r in residual) and all(
        abs(p - arb(float(s))) < 1 for p, s in zip(point, start, strict=True)
    )
    return point if close else None


@pytest.mark.parametrize("kind", KINDS)
def test_jacobians_of_step_and_flow_hold_those_of_the_fixed_points_in_the_box(kind):
    """The enclosures leave out the derivative of the update gate, which has no effect at fixed points only."""
    cells = random_cells(kind, seed=3)
    rng = np.random.default_rng(4)
    inputs = jnp.asarray(rng.normal(size=(CELLS, cells.input_size)))
    low, high = np.zeros((2, CELLS, BOXES, UNITS))
    points = {}
    with ctx.workprec(300):
        for n, k in itertools.product(range(CELLS), range(BOXES)):
            start = np.tanh(rng.normal(size=UNITS))
            cell = pick(cells, n)
            for _ in range(60):
                start = 0.5 * start + 0.5 * np.asarray(cell_step(cell, jnp.asarray(start), inputs[n]))
            point = exact_fixed_point(cell, balls(inputs[n]), start)
            center = start if point is None else np.array([float(p) for p in point])
            if point is not None:
                points[n, k] = point
            width = [1e-15, 1e-12, 1e-6, 0.1][k] * max(1.0, float(np.max(np.abs(center))))
            low[n, k], high[n, k] = (
                center - width * (0.5 + rng.random(UNITS)),
                center + width * (0.5 + rng.random(UNITS)),
            )
        assert len(points) >= 4
        (as_map, as_flow), _ = enclose_all(cells, jnp.asarray(low), jnp.asarray(high), inputs)
        slack = arb(10) ** -50
        for (n, k), point in points.items():
            c, residual, slope, step, flow = evaluate(pick(cells, n), balls(inputs[n]), point)
            for found, jacobian in ((as_map, step), (as_flow, flow)):
                assert not outside(found.image, (n, k), c, slack)
                assert not outside(found.residual, (n, k), residual, slack)
                assert not outside(found.residual_jacobian, (n, k), slope, slack)
                assert not outside(found.jacobian, (n, k), jacobian, slack)


@eqx.filter_jit
def cell_step(cell, state, input):
    return cell.candidate(state, input)


@pytest.mark.parametrize("kind", KINDS)
def test_enclosures_agree_with_the_library_and_are_tight(kind):
    """The library's own values lie in the box up to rounding, and the box of a point is a few rounding errors wide."""
    cells = random_cells(kind, seed=5)
    low, high = random_boxes(6)
    inputs = jnp.asarray(np.random.default_rng(7).normal(size=(CELLS, cells.input_size)))
    found, values = enclose_all(cells, jnp.asarray(low), jnp.asarray(high), inputs)
    for enclosure, (residual, slope, _) in zip(found, values, strict=True):
        for box, value in ((enclosure.residual, residual), (enclosure.residual_jacobian, slope)):
            slack = 1e-12 * (1 + np.abs(value))
            assert (np.asarray(box.lower) <= value + slack).all()
            assert (np.asarray(box.upper) >= value - slack).all()
        moderate = GAINS <= 2
        for box in (enclosure.residual, enclosure.residual_jacobian, enclosure.image, enclosure.jacobian):
            assert np.asarray(box.width)[moderate, 0].max() < 2e-13


def test_a_formula_without_its_reset_gate_is_caught(monkeypatch):
    """The comparison can fail: the enclosure of a GRU whose reset gate is ignored is not one of the GRU."""
    original = gd.GRUCell.enclose

    def wrong(self, resting, input=None):
        return original(eqx.tree_at(lambda cell: cell.U_r, self, 0 * self.U_r), resting, input)

    monkeypatch.setattr(gd.GRUCell, "enclose", wrong)
    # a new function, so that nothing compiled before is used
    assert missed("gru-before-bias-2", eqx.filter_jit(lambda a, b, c, d: _enclose_all(a, b, c, d))) > 0


def test_cells_without_an_enclosure_say_what_to_do():
    point = Interval(jnp.zeros(2), jnp.zeros(2))
    gru_cell = gd.GRUCell(0, 2, key=jr.key(0))
    for cell in (gd.LSTMCell(0, 2, key=jr.key(0)), gd.StackedCell([gru_cell])):
        for system in (gd.CellMap(cell), gd.CellFlow(cell)):
            with pytest.raises(TypeError, match="find_fixed_points") as caught:
                system.enclose(point)
            assert "enclose" in str(caught.value)
    for activation in (jnp.sin, jax.nn.softplus):
        with pytest.raises(ValueError, match="tanh, sigmoid, relu"):
            gd.CellMap(gd.ElmanCell(0, 2, activation=activation, key=jr.key(0))).enclose(point)
    for function in (gd.FunctionFlow(lambda t, h, args: -h), gd.FunctionMap(lambda h, args: 0.5 * h)):
        with pytest.raises(TypeError, match="enclosure="):
            function.enclose(point)


# Eigenvalues ---------------------------------------------------------------------------------------


@eqx.filter_jit
def count_all(lower, upper):
    """`((right, proven), (outside, proven), sign)` for stacks of interval matrices."""

    def one(low, high):
        J = Interval(low, high)
        return _proof.count_right_half(J), _proof.count_outside_circle(J), _proof.determinant_sign(J)

    return jax.vmap(one)(lower, upper)


def rational(matrix):
    return fmpq_mat([[fmpq(*float(x).as_integer_ratio()) for x in row] for row in matrix])


def spectrum(matrix):
    """Enclosures of the eigenvalues of a matrix of floats."""
    n = len(matrix)
    return acb_mat(n, n, [acb(float(x)) for x in np.ravel(matrix)]).eig(multiple=True)


def certain(values, test):
    """How many eigenvalues pass `test`, a function that returns a ball to be compared with 0; `None` if unclear."""
    signs = [test(value) for value in values]
    if all(s > 0 or s < 0 for s in signs):
        return sum(bool(s > 0) for s in signs)
    return None


def check_counts(n, middle, width, rng, members=2):
    """Wherever a count is proven, members of the interval matrix have it; returns the share of the proven."""
    lower, upper = middle - width, middle + width
    (right, right_proven), (out, out_proven), sign = jax.tree.map(
        np.asarray, count_all(jnp.asarray(lower), jnp.asarray(upper))
    )
    with ctx.workprec(300):
        for k in range(len(middle)):
            for corner in range(members):
                member = np.where(rng.random((n, n)) < 0.5, lower[k], upper[k]) if corner else middle[k]
                if right_proven[k] or out_proven[k]:
                    values = spectrum(member)
                    if right_proven[k]:
                        number = certain(values, lambda v: v.real)
                        assert number == right[k]
                    if out_proven[k]:
                        number = certain(values, lambda v: abs(v) - 1)
                        assert number == out[k]
                det = rational(member).det()
                assert sign[k] == 0 or sign[k] == (det > 0) - (det < 0)
    return right_proven, out_proven, sign != 0


SIZES = [1, 2, 3, 4, 5, 6]
COUNT = 40


@pytest.mark.parametrize("n", SIZES)
def test_counted_eigenvalues_are_those_of_every_member(n):
    rng = np.random.default_rng(n)
    middle = rng.normal(size=(COUNT, n, n)) * rng.choice([0.3, 1.0, 10.0], (COUNT, 1, 1))
    # a third of them has an eigenvalue next to the imaginary axis or the unit circle
    for k in range(0, COUNT, 3):
        values: Any = np.linalg.eigvals(middle[k])
        at = (
            values[0].real
            if k % 2
            else values[0].real - np.sign(values[0].real) * np.sqrt(max(0, 1 - values[0].imag ** 2))
        )
        middle[k] -= (at + rng.choice([0.0, 1e-15, 1e-12, -1e-9])) * np.eye(n)
    check_counts(n, middle, rng.choice([0.0, 1e-15, 1e-9, 1e-3, 0.1], (COUNT, 1, 1)), rng)


@pytest.mark.parametrize("n", SIZES)
def test_comfortable_matrices_are_always_decided(n):
    rng = np.random.default_rng(10 + n)
    middle = rng.normal(size=(8 * COUNT, n, n))
    spectra: Any = np.linalg.eig(middle)
    values, vectors = spectra
    gap = np.minimum(np.abs(values.real), np.abs(np.abs(values) - 1)).min(axis=1)
    good = middle[(gap > 1e-2) & (np.linalg.cond(vectors) < 100)][:COUNT]
    good = np.concatenate([good, np.eye(n)[None] * np.full((COUNT - len(good), 1, 1), 0.5)])
    for proven in check_counts(n, good, np.full((COUNT, 1, 1), 1e-12), rng, members=1):
        assert proven.all()


def _unimodular(rng, n):
    """An integer matrix of determinant 1 and its inverse."""
    forward, backward = np.eye(n), np.eye(n)
    for _ in range(3 if n > 1 else 0):
        i, j = rng.choice(n, 2, replace=False)
        shear = np.eye(n)
        shear[i, j] = rng.choice([-1.0, 1.0])
        forward, backward = forward @ shear, (2 * np.eye(n) - shear) @ backward
    return forward, backward


@pytest.mark.parametrize("n", SIZES)
def test_defective_repeated_and_boundary_eigenvalues(n):
    """Jordan forms with known eigenvalues in integer coordinates, all exact in floating point."""
    rng = np.random.default_rng(20 + n)
    pairs = [np.array([[0.0, -w], [w, 0.0]]) + a * np.eye(2) for w in (1.0, 0.5, 2.0) for a in (0.0, 0.5, -0.5)]
    matrices, right, out, determinant, boundary = [], [], [], [], []
    for _ in range(COUNT):
        form, values, position = np.zeros((n, n)), [], 0
        eigenvalue = rng.choice([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5])
        while position < n:
            if position + 2 <= n and rng.random() < 0.3:
                pair = pairs[rng.integers(len(pairs))]
                form[position : position + 2, position : position + 2] = pair
                values += [complex(pair[0, 0], pair[1, 0]), complex(pair[0, 0], -pair[1, 0])]
                position += 2
                continue
            if rng.random() < 0.4:
                eigenvalue = rng.choice([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5])
            form[position, position] = eigenvalue
            if position and values[-1] == eigenvalue and rng.random() < 0.5:
                form[position - 1, position] = 1.0
            values.append(complex(eigenvalue))
            position += 1
        forward, backward = _unimodular(rng, n)
        matrices.append(forward @ form @ backward)
        squares = [v.real**2 + v.imag**2 for v in values]
        right.append(sum(v.real > 0 for v in values))
        out.append(sum(s > 1 for s in squares))
        boundary.append((any(v.real == 0 for v in values), any(s == 1 for s in squares)))
        determinant.append(float(np.sign(np.prod(values).real)))
    stack = jnp.asarray(np.stack(matrices))
    (number, proven), (number_out, proven_out), sign = jax.tree.map(np.asarray, count_all(stack, stack))
    on_axis, on_circle = np.array(boundary).T
    assert not (proven & on_axis).any()
    assert not (proven_out & on_circle).any()
    np.testing.assert_array_equal(number[proven], np.array(right)[proven])
    np.testing.assert_array_equal(number_out[proven_out], np.array(out)[proven_out])
    np.testing.assert_array_equal(sign[sign != 0], np.array(determinant)[sign != 0])
    if n <= 2:
        assert (proven | on_axis).all()
        assert (proven_out | on_circle).all()


@pytest.mark.parametrize("n", [2, 3])
def test_unknown_matrices_are_never_decided(n):
    nothing = jnp.full((COUNT, n, n), jnp.nan)
    (_, proven), (_, proven_out), sign = count_all(nothing, nothing)
    assert not bool(jnp.any(proven) | jnp.any(proven_out) | jnp.any(sign != 0))
    wide = jnp.full((COUNT, n, n), jnp.inf)
    (_, proven), (_, proven_out), sign = count_all(-wide, wide)
    assert not bool(jnp.any(proven) | jnp.any(proven_out) | jnp.any(sign != 0))
