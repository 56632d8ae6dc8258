"""Slow points: ghosts, plateaus and fixed points are told apart."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import gru_dynamics as gd
from gru_dynamics.fixed_points import SlowKind


def rows(points, kind):
    return np.flatnonzero(np.asarray(points.kind) == kind)


def test_the_ghost_of_figure_7():
    """The paper's slow point: one sink, and near the origin the memory of a fold, slow but not fixed."""
    flow = gd.library.jordan("fig:7a")
    points = gd.find_slow_points(flow, gd.UniformGuesses(num=256), key=jr.key(0))
    (ghost,), (fixed,) = rows(points, SlowKind.GHOST), rows(points, SlowKind.FIXED)
    assert np.abs(np.asarray(points.state[ghost])).max() < 0.05
    assert 1e-4 < float(points.speed[ghost]) < 1e-2
    sink = gd.find_fixed_points(flow, gd.UniformGuesses(num=64), key=jr.key(0))
    assert int(sink.count) == 1
    np.testing.assert_allclose(points.state[fixed], sink.state[0], atol=1e-9)


def test_the_ghost_appears_where_the_fold_was():
    """h' = -h + tanh(2 h + b): folds at b = -+0.5328399754, h = +-0.7071067812; just beyond, the ghost is there."""
    cell = gd.ElmanCell(0, 1, key=jr.key(0))
    cell = eqx.tree_at(lambda c: (c.U, c.b), cell, (jnp.array([[2.0]]), jnp.array([-0.5328399754 - 1e-4])))
    points = gd.find_slow_points(gd.CellFlow(cell), gd.UniformGuesses(num=64), key=jr.key(0))
    (ghost,) = rows(points, SlowKind.GHOST)
    np.testing.assert_allclose(points.state[ghost], 0.70710678, atol=1e-3)
    # speed at the fold is (1 - h^2) times the distance of b
    np.testing.assert_allclose(points.speed[ghost], 0.5e-4, rtol=1e-2)


def test_a_closed_gate_is_a_plateau():
    cell = gd.GRUCell(0, 2, reset="after", key=jr.key(0))
    cell = eqx.tree_at(lambda c: (c.U_z, c.b_z), cell, (9 * jnp.eye(2), jnp.array([2.0, 2.0])))
    points = gd.find_slow_points(gd.CellMap(cell), gd.UniformGuesses(num=256), key=jr.key(0))
    plateaus = rows(points, SlowKind.PLATEAU)
    assert plateaus.size >= 1
    assert (np.asarray(points.residual)[plateaus] > 0.1).all()
    assert (np.asarray(points.speed)[plateaus] < 1e-3).all()
    assert rows(points, SlowKind.FIXED).size == 1


def test_max_speed_and_failure():
    flow = gd.library.jordan("fig:7a")
    points = gd.find_slow_points(flow, gd.UniformGuesses(num=256), key=jr.key(0), max_speed=1e-6)
    assert rows(points, SlowKind.GHOST).size == 0
    with pytest.raises(RuntimeError, match="Start nearer"):
        gd.find_slow_points(flow, jnp.array([[-0.9, 0.9]]), key=jr.key(0), max_steps=1)
