"""Thousands of random networks in one call: every index sum is +1, every reported point is real."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import gru_dynamics as gd


@eqx.filter_jit
def sweep(cells, keys, num):
    def one(cell, key):
        return gd.find_fixed_points(gd.CellMap(cell), gd.UniformGuesses(num=num), key=key, max_points=32, throw=False)

    return eqx.filter_vmap(one)(cells, keys)


def scaled(cell, gain):
    return jax.tree.map(lambda x: gain * x if eqx.is_array(x) else x, cell)


def random_gru(reset, key):
    """Standard normal weights times a gain uniform in [0.5, 4], biases half as large."""
    key_gain, *keys = jr.split(key, 7)
    gain = jr.uniform(key_gain, (), minval=0.5, maxval=4.0)
    cell = gd.GRUCell(0, 2, reset=reset, key=key)
    weights = [gain * jr.normal(k, (2, 2)) for k in keys[:3]] + [gain / 2 * jr.normal(k, (2,)) for k in keys[3:]]
    return eqx.tree_at(lambda c: (c.U_r, c.U_z, c.U_c, c.b_r, c.b_z, c.b_c), cell, tuple(weights))


def random_lstm(key):
    return scaled(gd.LSTMCell(0, 4, key=key), 5.0)


def random_stack(key):
    below, above = jr.split(key)
    layers = [gd.GRUCell(0, 3, key=below), gd.GRUCell(3, 3, reset="after", key=above)]
    return scaled(gd.StackedCell(layers), 4.0)


def run(make, count):
    cells = eqx.filter_vmap(make)(jr.split(jr.key(0), count))
    return sweep(cells, jr.split(jr.key(1), count), 64)


def before(key):
    return random_gru("before", key)


def after(key):
    return random_gru("after", key)


@pytest.mark.parametrize(
    ("make", "count", "bistable"),
    [
        (before, 5000, 500),
        (after, 5000, 500),
        (random_lstm, 200, 10),
        pytest.param(random_stack, 200, 10, marks=pytest.mark.slow),
    ],
)
def test_index_sum_is_one(make, count, bistable):
    points = run(make, count)
    assert (np.asarray(points.index_sum) == 1).mean() >= 0.999
    assert (np.asarray(points.count) > 1).sum() >= bistable, "a sweep of trivial systems shows nothing"
    mask = np.asarray(points.mask)
    assert (np.asarray(points.residual)[mask] < 1e-12).all()
    visible = np.asarray(points.state)[mask]
    if make is not random_lstm:  # whose memory part is not bounded by 1
        assert (np.abs(visible) < 1).all()


def test_gru_64_converges_from_every_seed():
    for gain in (1.0, 2.0):
        keys = jr.split(jr.key(1), 3)
        cell = gd.GRUCell(0, 64, reset="after", use_bias=False, key=jr.key(0))
        weights = tuple(gain / 8 * jr.normal(k, (64, 64)) for k in keys)
        cell = eqx.tree_at(lambda c: (c.U_r, c.U_z, c.U_c), cell, weights)
        points = gd.find_fixed_points(gd.CellMap(cell), gd.UniformGuesses(num=256), key=jr.key(0))
        assert int(points.num_converged) == int(points.num_guesses) == 256
        assert int(points.index_sum) == 1


@pytest.mark.slow
def test_a_thousand_checkpoints_in_one_call():
    cells = eqx.filter_vmap(lambda k: scaled(gd.GRUCell(0, 16, reset="after", key=k), 6.0))(jr.split(jr.key(0), 1000))
    points = sweep(cells, jr.split(jr.key(1), 1000), 16)
    assert points.state.shape == (1000, 32, 16)
    assert (np.asarray(points.index_sum) == 1).mean() >= 0.99
    assert (np.asarray(points.residual)[np.asarray(points.mask)] < 1e-12).all()


def test_the_update_gate_changes_the_stability_of_some_points():
    """With b_z = (3, -3) a few percent of fixed points change stability; none moves, saddles stay saddles."""
    cells, keys = eqx.filter_vmap(after)(jr.split(jr.key(0), 5000)), jr.split(jr.key(1), 5000)
    points = sweep(cells, keys, 64)
    mask = np.asarray(points.mask)
    dims = []
    for b_z in ((0.0, 0.0), (3.0, -3.0)):
        gate = jnp.zeros_like(cells.U_z), jnp.broadcast_to(jnp.array(b_z), cells.b_z.shape)
        flows = eqx.tree_at(lambda c: (c.U_z, c.b_z), cells, gate)
        dims.append(_flow_unstable_dims(flows, points.state)[mask])
    changed = dims[0] != dims[1]
    assert 0.002 < changed.mean() < 0.1
    assert ((dims[0] == 1) == (dims[1] == 1)).all()


@eqx.filter_jit
def _flow_eigenvalues(cells, states):
    return eqx.filter_vmap(lambda cell, s: jax.vmap(lambda h: gd.jacobian(gd.CellFlow(cell), h))(s))(cells, states)


def _flow_unstable_dims(cells, states):
    return (np.linalg.eigvals(np.asarray(_flow_eigenvalues(cells, states))).real > 0).sum(-1)
