"""Loss landscapes against quadratics, autodiff point by point, and a run in NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import without_type_checks

from gru_dynamics.cells import ElmanCell, GRUCell
from gru_dynamics.sensitivity import loss_landscape
from gru_dynamics.trajectories import rollout

HESSIAN = np.array([[2.0, 1.2], [1.2, 3.0]])
CENTRE = np.array([0.2, -0.4])
X, Y = np.linspace(-1, 1, 11), np.linspace(-2, 2, 21)
MODEL = {"w": jnp.array([[5.0, 6.0], [7.0, 8.0]]), "n": jnp.arange(3), "name": "kept"}


def quadratic(model):
    step = jnp.diagonal(model["w"]) - CENTRE
    return step @ HESSIAN @ step / 2 + model["w"][0, 1]


def diagonal(model):
    return model["w"], model["w"]


DIAGONAL = ((0, 0), (1, 1))


def expected_surface():
    steps = np.stack(np.meshgrid(X, Y, indexing="ij"), axis=-1) - CENTRE
    return np.einsum("xyi,ij,xyj->xy", steps, HESSIAN, steps) / 2 + 6, steps @ HESSIAN


def test_quadratic():
    found = loss_landscape(quadratic, MODEL, X, Y, where=diagonal, index=DIAGONAL)
    loss, gradient = expected_surface()
    np.testing.assert_allclose(found.loss, loss, rtol=1e-13)
    np.testing.assert_allclose(found.gradient, gradient, atol=1e-12)
    np.testing.assert_allclose(found.best, CENTRE, atol=1e-12)
    np.testing.assert_allclose(found.lowest, 6)
    assert bool(found.interior)
    values, vectors = np.linalg.eigh(HESSIAN)
    np.testing.assert_allclose(found.curvature, values, rtol=1e-12)
    np.testing.assert_allclose(np.abs(np.sum(np.asarray(found.axes) * vectors, axis=0)), 1, rtol=1e-12)
    np.testing.assert_allclose(found.width, np.sqrt(0.02 * (np.median(loss) - 6) / values), rtol=1e-10)
    slope = np.linalg.norm(gradient, axis=-1)
    np.testing.assert_allclose(found.slope, slope, atol=1e-12)
    np.testing.assert_allclose(found.steepest, slope.max(), rtol=1e-12)
    row, column = np.unravel_index(slope.argmax(), slope.shape)
    np.testing.assert_allclose(found.steepest_at, [X[row], Y[column]])
    for level in (1.0, 3.0):
        np.testing.assert_allclose(found.share_above(level), np.mean(slope > level))


def test_quadratic_rises_by_the_stated_share():
    """One width along an axis from the centre, the loss has gone 1 % of the way to the median."""
    found = loss_landscape(quadratic, MODEL, X, Y, where=diagonal, index=DIAGONAL)
    for column in range(2):
        at = CENTRE + np.asarray(found.width)[column] * np.asarray(found.axes)[:, column]
        value = quadratic(MODEL | {"w": jnp.array([[at[0], 6.0], [0.0, at[1]]])})
        np.testing.assert_allclose(value - 6, 0.01 * (np.median(found.loss) - 6), rtol=1e-9)


def test_directions():
    """Unit directions from where the entries are zero give the same plane; leaves may be left out."""
    start = MODEL | {"w": jnp.array([[0.0, 6.0], [7.0, 0.0]])}
    first = {"w": jnp.array([[1.0, 0.0], [0.0, 0.0]]), "n": None, "name": None}
    second = {"w": jnp.array([[0.0, 0.0], [0.0, 1.0]]), "n": None, "name": None}
    found = loss_landscape(quadratic, start, X, Y, directions=(first, second))
    loss, gradient = expected_surface()
    np.testing.assert_allclose(found.loss, loss, rtol=1e-13)
    np.testing.assert_allclose(found.gradient, gradient, atol=1e-12)


@pytest.mark.parametrize("batch_size", [7, None])
def test_batches_change_nothing(batch_size):
    found = loss_landscape(quadratic, MODEL, X[:3], Y[:5], where=diagonal, index=DIAGONAL, batch_size=batch_size)
    loss, gradient = expected_surface()
    np.testing.assert_allclose(found.loss, loss[:3, :5], rtol=1e-13)
    np.testing.assert_allclose(found.gradient, gradient[:3, :5], atol=1e-12)
    assert not bool(found.interior)


# The academic example of Rehmer & Kroll: x' = -0.9 x from 1 --------------------------------------

TARGET = 0.9 ** np.arange(1, 31) * (-1.0) ** np.arange(1, 31)


def one_unit_loss(cell):
    states = rollout(cell, jnp.ones(1), num_steps=30)
    return jnp.mean((states[:, 0] - TARGET) ** 2)


def recurrent_and_bias(cell):
    return cell.U, cell.b


def gate(cell):
    return cell.U_z, cell.b_z


def numpy_loss(w, b):
    state, total = 1.0, 0.0
    for target in TARGET:
        state = np.tanh(w * state + b)
        total += (state - target) ** 2
    return total / TARGET.size


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_recurrent_unit(mode):
    cell = ElmanCell(0, 1, key=jr.key(0))
    x, y = np.linspace(-3, 3, 7), np.linspace(-1, 1, 5)
    index = ((0, 0), 0)
    found = loss_landscape(one_unit_loss, cell, x, y, where=recurrent_and_bias, index=index, mode=mode)
    np.testing.assert_allclose(found.loss, [[numpy_loss(w, b) for b in y] for w in x], rtol=1e-11)
    step = 1e-6
    slopes = [
        [
            (numpy_loss(w + step, b) - numpy_loss(w - step, b), numpy_loss(w, b + step) - numpy_loss(w, b - step))
            for b in y
        ]
        for w in x
    ]
    np.testing.assert_allclose(found.gradient, np.array(slopes) / (2 * step), atol=2e-7)


def test_gate_of_a_gru():
    cell = GRUCell(0, 1, reset=None, key=jr.key(0))
    x, y = np.linspace(-4, 4, 5), np.linspace(-2, 2, 3)
    found = loss_landscape(one_unit_loss, cell, x, y, where=gate, index=((0, 0), 0))
    for row, column in [(0, 0), (2, 1), (4, 2)]:
        at = eqx.tree_at(gate, cell, (jnp.full((1, 1), x[row]), jnp.full((1,), y[column])))
        value, slope = eqx.filter_value_and_grad(one_unit_loss)(at)
        np.testing.assert_allclose(found.loss[row, column], value, rtol=1e-12)
        np.testing.assert_allclose(found.gradient[row, column], [slope.U_z[0, 0], slope.b_z[0]], rtol=1e-10)


@jax.custom_vjp
def opaque(value):
    return jnp.sin(value)


opaque.defvjp(lambda value: (jnp.sin(value), value), lambda value, out: (out * jnp.cos(value),))


def opaque_loss(model):
    return opaque(model["w"][0, 0]) * model["w"][1, 1]


def test_reverse_mode_takes_what_forward_mode_cannot():
    found = loss_landscape(opaque_loss, MODEL, X, Y, where=diagonal, index=DIAGONAL, mode="reverse")
    np.testing.assert_allclose(found.gradient[..., 1], np.broadcast_to(np.sin(X)[:, None], (11, 21)), rtol=1e-13)
    with pytest.raises(TypeError, match="custom_vjp"):
        loss_landscape(opaque_loss, MODEL, X, Y, where=diagonal, index=DIAGONAL)


# What is not finite ------------------------------------------------------------------------------


def half_defined(model):
    return jnp.log(model["w"][0, 0]) ** 2 + model["w"][1, 1] ** 2


def test_points_that_are_not_finite_count_for_nothing():
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    found = loss_landscape(half_defined, MODEL, x, Y, where=diagonal, index=DIAGONAL)
    assert not np.isfinite(found.loss[:2]).any()
    np.testing.assert_allclose(found.best, [1, 0], atol=1e-15)
    assert np.isfinite(found.width).all()
    assert np.isfinite(found.steepest)
    assert found.share_above(1e9) == 2 / 5


def test_nothing_finite():
    with pytest.raises(RuntimeError, match="inf or nan"):
        loss_landscape(half_defined, MODEL, -np.ones(2), Y, where=diagonal, index=DIAGONAL)
    found = loss_landscape(half_defined, MODEL, -np.ones(2), Y, where=diagonal, index=DIAGONAL, throw=False)
    assert found.share_above(1.0) == 1


def test_many_models():
    def run(shift):
        return loss_landscape(
            quadratic, MODEL | {"w": MODEL["w"] + shift}, X, Y, where=diagonal, index=DIAGONAL, throw=False
        ).lowest

    np.testing.assert_allclose(eqx.filter_vmap(run)(jnp.array([0.0, 1.0])), [6, 7])


def test_compiles_once():
    traces = []

    def counted(model):
        traces.append(0)
        return quadratic(model)

    loss_landscape(counted, MODEL, X, Y, where=diagonal, index=DIAGONAL)
    first = len(traces)
    loss_landscape(counted, MODEL | {"w": 2 * MODEL["w"]}, 2 * X, Y, where=diagonal, index=DIAGONAL)
    assert len(traces) <= first + 1


def only_one(model):
    return (model["w"],)


def whole_numbers(model):
    return model["n"], model["w"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"where": None, "index": None}, "give `where`"),
        ({"directions": (MODEL, MODEL)}, "not both"),
        ({"where": only_one}, "two leaves"),
        ({"where": whole_numbers, "index": (0, (0, 0))}, "real floats"),
        ({"index": None}, "give `index`"),
        ({"index": ((0, 0),)}, "one entry for each"),
        ({"index": ((0, 0), (2, 0))}, "out of range"),
        ({"index": ((0, 0), (0, 0))}, "same entry"),
        ({"x": np.zeros((2, 2))}, "x must be a vector"),
        ({"y": np.zeros(0)}, "y must be a vector"),
        ({"y": np.zeros(2, complex)}, "y must be a vector"),
        ({"batch_size": 0}, "batch_size"),
        ({"mode": "sideways"}, "mode"),
        ({"loss": lambda model: model["w"]}, "one real scalar"),
        ({"loss": lambda model: model["n"][0]}, "one real scalar"),
    ],
)
def test_bad_input(change, message):
    given = {"loss": quadratic, "model": MODEL, "x": X, "y": Y, "where": diagonal, "index": DIAGONAL} | change
    with without_type_checks(), pytest.raises(ValueError, match=message):
        loss_landscape(**given)


def test_bad_directions():
    wrong = {"w": jnp.ones((3, 3)), "n": None, "name": None}
    nothing = {"w": None, "n": None, "name": None}
    for directions, message in [
        ((wrong, wrong), "shape"),
        ((nothing, nothing), "no arrays"),
        ((wrong,), "two pytrees"),
    ]:
        with pytest.raises(ValueError, match=message):
            loss_landscape(quadratic, MODEL, X, Y, directions=directions)
