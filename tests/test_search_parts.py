"""The queue and the merge, each against a brute-force statement of what it must do."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from gru_dynamics import library
from gru_dynamics.fixed_points import LevenbergMarquardt
from gru_dynamics.fixed_points._merge import merge
from gru_dynamics.fixed_points._queue import run_queue
from gru_dynamics.fixed_points._rows import map_rows

_merge = eqx.filter_jit(merge)


def _check_labels(points, valid, label, distance):
    points, valid, label = np.asarray(points), np.asarray(valid), np.asarray(label)
    num = len(points)
    assert (label[~valid] == num).all()
    assert (label[valid] < num).all()
    leaders = np.flatnonzero(label == np.arange(num))
    assert set(label[valid]) == set(leaders)
    for i in np.flatnonzero(valid):
        assert np.linalg.norm(points[i] - points[label[i]]) <= distance
    for i in leaders:
        for j in leaders:
            assert i == j or np.linalg.norm(points[i] - points[j]) > distance


@pytest.mark.parametrize("seed", range(3))
def test_merge_finds_scattered_clusters(seed):
    key = jr.key(seed)
    centres = jr.uniform(key, (5, 3), minval=-1, maxval=1)
    pick = jr.randint(jr.fold_in(key, 1), (64,), 0, 5)
    points = centres[pick] + 1e-7 * jr.normal(jr.fold_in(key, 2), (64, 3))
    valid = jr.bernoulli(jr.fold_in(key, 3), 0.9, (64,))
    label = _merge(points, valid, 1e-5)
    _check_labels(points, valid, label, 1e-5)
    assert len(set(np.asarray(label)[np.asarray(valid)])) == len(set(np.asarray(pick)[np.asarray(valid)]))


def test_merge_separates_points_that_project_alike():
    """Points far apart in the plane orthogonal to the projection share one run and need several passes."""
    direction = jr.normal(jr.key(0), (3,))
    direction = direction / jnp.linalg.norm(direction)
    others = jr.normal(jr.key(1), (64, 3))
    flat = others - jnp.outer(others @ direction, direction)
    label = _merge(flat, jnp.ones(64, bool), 1e-5)
    np.testing.assert_array_equal(label, np.arange(64))


def test_merge_of_a_chain_keeps_leaders_apart():
    chain = jnp.zeros((64, 3)).at[:, 0].set(0.6e-5 * jnp.arange(64.0))
    label = _merge(chain, jnp.ones(64, bool), 1e-5)
    _check_labels(chain, np.ones(64, bool), label, 1e-5)


def _converged(_, lane):
    return lane.residual < 1e-12


@eqx.filter_jit
def _run(system, guesses, total, lanes, max_steps):
    return run_queue(LevenbergMarquardt(max_steps, lanes=lanes), system, guesses, total, _converged)


@pytest.mark.parametrize("lanes", [1, 7, 64])
def test_queue_result_does_not_depend_on_the_number_of_lanes(lanes):
    system = library.jordan("fig:3a")
    guesses = jr.uniform(jr.key(0), (50, 2), minval=-1, maxval=1)
    ends, success = _run(system, guesses, jnp.asarray(50, jnp.int32), lanes, 50)
    reference, _ = _run(system, guesses, jnp.asarray(50, jnp.int32), 50, 50)
    assert success.all()
    np.testing.assert_allclose(ends, reference, atol=1e-12)


def test_queue_stops_at_the_given_total_and_at_max_steps():
    system = library.jordan("fig:3a")
    guesses = jr.uniform(jr.key(0), (50, 2), minval=-1, maxval=1)
    _, success = _run(system, guesses, jnp.asarray(20, jnp.int32), 7, 50)
    np.testing.assert_array_equal(success, np.arange(50) < 20)
    _, success = _run(system, guesses, jnp.asarray(50, jnp.int32), 7, 1)
    assert not success.any()


def test_map_rows_leaves_unused_rows_at_zero():
    rows = jr.normal(jr.key(0), (11, 3))
    start, stop = jnp.asarray(5, jnp.int32), jnp.asarray(7, jnp.int32)
    zeros = jnp.zeros_like(rows)
    out = np.asarray(jax.jit(lambda: map_rows(lambda _, row: jnp.sin(row), None, rows, zeros, start, stop, 16))())
    np.testing.assert_allclose(out[5:7], np.sin(rows[5:7]))
    assert (np.delete(out, (5, 6), axis=0) == 0).all()


def _scaled_sine(problem, row):
    return problem["scale"] * jnp.sin(row)


@pytest.mark.parametrize("size", [2, 16, 64])
def test_rows_of_a_batch_are_one_list(size):
    """Ragged ranges and a problem of its own for each member, against a loop."""
    rows, scale = jr.normal(jr.key(0), (4, 9, 3)), jnp.array([1.0, 2.0, 3.0, 4.0])
    start, stop = jnp.array([0, 2, 9, 5], jnp.int32), jnp.array([9, 4, 9, 3], jnp.int32)

    @jax.jit
    @jax.vmap
    def batched(scale, rows, start, stop):
        return map_rows(_scaled_sine, {"scale": scale}, rows, jnp.zeros_like(rows), start, stop, size)

    out = batched(scale, rows, start, stop)
    expected = np.zeros_like(rows)
    for m in range(4):
        inside = slice(int(start[m]), max(int(start[m]), int(stop[m])))
        expected[m, inside] = float(scale[m]) * np.sin(rows[m, inside])
    np.testing.assert_allclose(out, expected, atol=1e-15)


def test_queue_of_a_batch_gives_each_system_its_own_answers():
    systems = [library.jordan_rotation(angle) for angle in (0.3, 0.9, 1.5)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *systems)
    guesses = jr.uniform(jr.key(0), (3, 20, 2), minval=-1, maxval=1)
    total = jnp.array([20, 0, 7], jnp.int32)
    ends, success = eqx.filter_vmap(_run)(batch, guesses, total, 7, 50)
    assert success.any()
    assert not success[1].any()
    for m in range(3):
        alone, good = _run(systems[m], guesses[m], total[m], 7, 50)
        np.testing.assert_array_equal(success[m], good)
        np.testing.assert_allclose(ends[m][good], alone[good], atol=1e-10)
