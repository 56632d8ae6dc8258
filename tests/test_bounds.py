"""Bounds on the one-step Jacobian: against the Jacobian itself, closed forms, and everywhere in a box."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import GRUS, each, named

from gru_dynamics.cells import ElmanCell, GRUCell, LSTMCell, NCGRUCell, StackedCell
from gru_dynamics.sensitivity._bounds import gradient_bound
from gru_dynamics.sensitivity._bounds_box import jacobian_norm_range
from gru_dynamics.sensitivity._bounds_gates import gate_bound

H, I = 3, 2


def with_fields(cell, **fields):
    names = tuple(fields)
    values = [jnp.asarray(value, float).reshape(getattr(cell, name).shape) for name, value in fields.items()]
    return eqx.tree_at(lambda cell: [getattr(cell, name) for name in names], cell, values)


def scaled(cell, factor):
    return jax.tree.map(lambda leaf: factor * leaf if eqx.is_inexact_array(leaf) else leaf, cell)


def norm(cell, state, input=None):
    """By NumPy from an autodiff Jacobian."""
    return np.linalg.norm(np.asarray(jax.jacfwd(lambda h: cell(h, input))(state)), 2)


# From the sizes of gates and matrices -----------------------------------------------------------------


def many(make, num, key):
    cells = eqx.filter_vmap(lambda k: scaled(make(I, k), 4.0))(jr.split(key, num))
    states, inputs = jr.uniform(key, (num, H), minval=-1, maxval=1), jr.normal(key, (num, I))
    return cells, states, inputs


@each(
    "make",
    [
        *named(GRUS, "gru-before", "gru-after", "gru-None-nobias"),
        ("nc-gru", lambda size, key: NCGRUCell(size, H, orthogonal=("r", "c"), key=key)),
    ],
)
def test_gate_bound_is_never_below_the_norm(make):
    cells, states, inputs = many(make, 2000, jr.key(0))
    found = eqx.filter_vmap(gate_bound)(cells, states, inputs)
    assert np.all(np.asarray(found.measured) <= np.asarray(found.bound) * (1 + 1e-12))
    # It is of the right size, not only large.
    assert np.median(np.asarray(found.bound / found.measured)) < 20
    first = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, cells)
    assert found.measured[0] == pytest.approx(norm(first, states[0], inputs[0]), rel=1e-12)


def test_gate_bound_by_hand():
    """Two decoupled units, numbers by the formulas of the paper."""
    cell = with_fields(
        GRUCell(0, 2, key=jr.key(0)),
        U_r=np.diag([1.0, -2.0]), U_z=np.diag([0.5, 3.0]), U_c=np.diag([-1.5, 0.2]),
        b_r=[0.1, -0.3], b_z=[1.0, -1.0], b_c=[0.4, 0.0],
    )  # fmt: skip
    h = np.array([0.3, -0.8])
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    r = sigmoid(np.array([1.0, -2.0]) * h + [0.1, -0.3])
    u = 1 - sigmoid(np.array([0.5, 3.0]) * h + [1.0, -1.0])
    c = np.tanh(np.array([-1.5, 0.2]) * r * h + [0.4, 0.0])
    alpha = (u * (1 - u)).max() * (0.8 + np.abs(c).max()) * 3 + (1 - u).max()
    beta = u.max() * ((r * (1 - r)).max() * 2 * 0.8 + r.max())
    found = gate_bound(cell, jnp.asarray(h))
    assert (float(found.alpha), float(found.beta)) == pytest.approx((alpha, beta), rel=1e-12)
    assert float(found.bound) == pytest.approx(alpha + 1.5 * beta, rel=1e-12)
    printed = gate_bound(cell, jnp.asarray(h), as_printed=True)
    beta = u.max() * ((r * (1 - r)).max() * 2 * 0.3 + r.max())
    assert float(printed.beta) == pytest.approx(beta, rel=1e-12)


def test_printed_bound_fails_where_state_and_candidate_are_negative():
    cell = with_fields(GRUCell(0, 1, key=jr.key(0)), U_r=-4, U_z=0, U_c=2, b_r=-2, b_z=-4, b_c=1)
    state = jnp.array([-0.9])
    printed, right = gate_bound(cell, state, as_printed=True), gate_bound(cell, state)
    assert printed.measured > printed.bound + 0.1
    assert right.measured <= right.bound


# Over a box -------------------------------------------------------------------------------------------

_BOXED = [
    ("gru-before", lambda key: scaled(GRUCell(I, 2, key=key), 3.0), None),
    ("gru-after", lambda key: scaled(GRUCell(I, 2, reset="after", key=key), 3.0), None),
    ("gru-none", lambda key: scaled(GRUCell(I, 2, reset=None, use_bias=False, key=key), 3.0), None),
    ("elman", lambda key: scaled(ElmanCell(I, 2, leak=0.4, key=key), 2.0), None),
    (
        "nc-gru",
        lambda key: NCGRUCell(I, 2, orthogonal=("r", "c"), key=key),
        (np.array([0.5, 0.5]), np.array([3.0, 2.0])),
    ),
]


@pytest.mark.parametrize(("make", "bounds"), [case[1:] for case in _BOXED], ids=[case[0] for case in _BOXED])
def test_interval_bound_holds_at_ten_thousand_states(make, bounds):
    cell, input = make(jr.key(3)), jnp.array([0.3, -0.7])
    lower, upper = (jnp.asarray(end, float) for end in (cell.bounds if bounds is None else bounds))
    states = jr.uniform(jr.key(4), (10_000, 2), minval=lower, maxval=upper)
    norms = jnp.linalg.norm(jax.vmap(lambda h: cell.jacobians(h, input)[0])(states), ord=2, axis=(1, 2))
    found = jacobian_norm_range(cell, input, bounds=bounds, splits=255)
    assert float(jnp.max(norms)) <= float(found.bound)
    assert norm(cell, found.state, input) == pytest.approx(float(found.measured), rel=1e-12)
    assert np.all((found.state >= lower) & (found.state <= upper))
    if bounds is None:
        assert float(found.bound) <= 1.02 * float(jnp.max(norms))
        assert float(found.measured) >= 0.99 * float(jnp.max(norms))


def test_interval_bound_is_sharp_for_one_unit():
    """J = w (1 - c^2) is largest at h = 0, with the value w; with a leak l it is 1 - l + l w."""
    for leak, expected in ((None, 2.5), (0.4, 0.6 + 0.4 * 2.5)):
        cell = with_fields(ElmanCell(0, 1, leak=leak, key=jr.key(0)), U=2.5, b=0.0)
        found = jacobian_norm_range(cell, splits=8)
        assert expected <= float(found.bound) <= expected * (1 + 1e-12)
    # A gated one against a grid; without a cut the bound is looser and holds as well.
    cell = scaled(GRUCell(0, 1, key=jr.key(5)), 6.0)
    grid = jnp.linspace(-1.0, 1.0, 20_001)[:, None]
    largest = float(jnp.max(jnp.abs(jax.vmap(lambda h: cell.jacobians(h)[0])(grid))))
    found = jacobian_norm_range(cell, splits=400)
    assert largest <= float(found.bound) <= 1.01 * largest
    assert float(found.bound) < float(jacobian_norm_range(cell, splits=0).bound)


def test_interval_bound_limits_a_product_along_a_trajectory():
    cell = scaled(GRUCell(I, H, key=jr.key(6)), 2.0)
    state, input, total = jnp.full((H,), 0.2), jnp.ones((I,)), np.eye(H)
    for _ in range(8):
        total = np.asarray(cell.jacobians(state, input)[0]) @ total
        state = cell(state, input)
    bound = float(gradient_bound(cell, state, input, method="interval").bound)
    assert np.linalg.norm(total, 2) <= bound**8


# The entry --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_methods_under_vmap():
    cells, states, inputs = many(lambda size, key: GRUCell(size, H, reset=None, key=key), 16, jr.key(7))
    found = {}
    for method in ("jacobian", "theorem1", "interval"):
        batch = eqx.filter_vmap(lambda *case, m=method: gradient_bound(*case, method=m, splits=4))
        found[method] = eqx.filter_jit(batch)(cells, states, inputs)
        assert found[method].bound.shape == (16,)
        np.testing.assert_allclose(found[method].measured, found["jacobian"].measured, rtol=1e-12)
    assert np.all(np.asarray(found["jacobian"].bound) == np.asarray(found["jacobian"].measured))
    for method in ("theorem1", "interval"):
        assert np.all(np.asarray(found[method].bound) >= np.asarray(found["jacobian"].bound))
    one = jax.tree.map(lambda leaf: leaf[5] if eqx.is_array(leaf) else leaf, cells)
    assert float(found["interval"].bound[5]) == pytest.approx(
        float(jacobian_norm_range(one, inputs[5], splits=4).bound)
    )


def test_jacobian_method_takes_every_cell():
    for cell in (
        LSTMCell(I, 2, key=jr.key(0)),
        StackedCell([GRUCell(I, 2, key=jr.key(1)), GRUCell(2, 1, key=jr.key(2))]),
    ):
        state = jr.normal(jr.key(8), (cell.state_size,))
        found = gradient_bound(cell, state, jnp.ones((I,)))
        assert float(found.bound) == pytest.approx(norm(cell, state, jnp.ones((I,))), rel=1e-12)


def test_bad_input():
    gru, lstm, nc = GRUCell(I, H, key=jr.key(0)), LSTMCell(I, H, key=jr.key(0)), NCGRUCell(I, H, key=jr.key(0))
    state = jnp.zeros((H,))
    with pytest.raises(ValueError, match=r"method must be one of jacobian, theorem1, interval, got 'exact'"):
        gradient_bound(gru, state, method="exact")
    with pytest.raises(ValueError, match=r"state must have shape \(3,\), got \(4,\); use jax.vmap"):
        gradient_bound(gru, jnp.zeros((4,)))
    with pytest.raises(TypeError, match=r'expected a GRUCell or an NCGRUCell, got LSTMCell.*method="jacobian"'):
        gradient_bound(lstm, jnp.zeros((2 * H,)), method="theorem1")
    with pytest.raises(TypeError, match="got LSTMCell, whose Jacobian has no enclosure"):
        gradient_bound(lstm, jnp.zeros((2 * H,)), method="interval")
    with pytest.raises(ValueError, match="NCGRUCell has no trapping box; give one as `bounds`"):
        gradient_bound(nc, state, method="interval")
    with pytest.raises(ValueError, match="splits must be at least 0, got -1"):
        jacobian_norm_range(gru, splits=-1)
    with pytest.raises(ValueError, match=r"bounds must have shape \(3,\) each"):
        jacobian_norm_range(gru, bounds=(-1.0, 1.0))
    with pytest.raises(ValueError, match=r"input must have shape \(2,\), got \(3,\)"):
        jacobian_norm_range(gru, jnp.zeros((3,)))


def test_boxes_about_which_nothing_can_be_said():
    gru, nc = GRUCell(I, H, key=jr.key(0)), with_fields(NCGRUCell(0, 2, key=jr.key(0)), b_c=[0.1, -0.1])
    empty = jacobian_norm_range(gru, bounds=(np.ones(H), -np.ones(H)), splits=2)
    assert np.isnan(empty.bound)
    # modReLU jumps where its argument is 0, here at the origin.
    jumping = jacobian_norm_range(nc, bounds=(-np.ones(2), np.ones(2)), splits=8)
    assert np.isinf(jumping.bound)
    assert np.isfinite(jumping.measured)
