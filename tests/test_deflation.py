"""Deflation and whole diagrams against closed forms and proven enumerations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import without_type_checks

from gru_dynamics import RESULTS
from gru_dynamics.bifurcations import Fold
from gru_dynamics.continuation import SpecialKind, continue_all, deflated_fixed_points
from gru_dynamics.fixed_points import UniformGuesses, enumerate_fixed_points
from gru_dynamics.systems import Family, FunctionFamily, FunctionFlow, library


def _mu(system):
    return system.args["mu"]


def _line(reach, num=16):
    return UniformGuesses(jnp.asarray([-reach]), jnp.asarray([reach]), num=num)


def _states_at(diagram, level):
    """States of all branches at a parameter, by linear interpolation between rows."""
    found = []
    for i in np.flatnonzero(np.asarray(diagram.used)):
        branch = jax.tree.map(lambda x, i=i: np.asarray(x[i]), (diagram.branches.state, diagram.branches.mu))
        mask = np.asarray(diagram.branches.mask[i])
        state, mu = branch[0][mask], branch[1][mask]
        for k in np.flatnonzero((mu[:-1] - level) * (mu[1:] - level) < 0):
            share = (level - mu[k]) / (mu[k + 1] - mu[k])
            found.append(state[k] + share * (state[k + 1] - state[k]))
    return np.asarray(found)


def test_from_one_guess_to_all_points_of_a_cubic():
    """Also with the wanted points already known, and with the guess on one of them."""
    system = library.cusp_normal_form(0.0, 1.0)
    known = jnp.asarray([[1.0], [7.0]])
    for guess, mask, truth in [(0.5, [False, False], [-1, 0, 1]), (1.0, [True, False], [-1, 0])]:
        points = deflated_fixed_points(system, known, jnp.asarray(mask), jnp.asarray([[guess]]), max_new=4)
        assert RESULTS[points.result] == ""
        np.testing.assert_allclose(np.sort(np.asarray(points.resting)[np.asarray(points.mask), 0]), truth, atol=1e-12)
        assert (np.asarray(points.residual)[np.asarray(points.mask)] < 1e-12).all()


def test_decoupled_cubic_from_few_guesses():
    """Every point found is one of the 27, none twice; far more of them than guesses."""
    system = library.decoupled_cubic(3)
    guesses = jr.uniform(jr.key(0), (6, 3), minval=-1.5, maxval=1.5)
    points = deflated_fixed_points(system, jnp.zeros((1, 3)), jnp.asarray([True]), guesses, max_new=40)
    found = np.asarray(points.resting)[np.asarray(points.mask)]
    np.testing.assert_allclose(found, np.round(found), atol=1e-12)
    rows = {tuple(row) for row in np.round(found).astype(int)}
    assert len(rows) == len(found) > 12
    assert (0, 0, 0) not in rows
    cut = deflated_fixed_points(system, jnp.zeros((1, 3)), jnp.asarray([True]), guesses, max_new=4)
    assert int(cut.mask.sum()) == 4
    assert bool(cut.result == RESULTS.max_points_reached)


def test_batch_and_shapes():
    guesses = jnp.asarray([[0.3]])
    none = jnp.zeros((1, 1)), jnp.zeros((1,), bool)
    solve = jax.vmap(lambda l: deflated_fixed_points(library.cusp_normal_form(0.0, l), *none, guesses, max_new=4))
    assert np.asarray(solve(jnp.asarray([1.0, -1.0])).mask.sum(axis=1)).tolist() == [3, 1]
    with without_type_checks(), pytest.raises(ValueError, match="components"):
        deflated_fixed_points(library.cusp_normal_form(), *none, jnp.zeros((1, 2)))


def test_s_curve():
    """One branch whether the cubic has folds or not; a batch of two families."""

    def diagram(l):
        return continue_all(Family(library.cusp_normal_form(0.0, l), _mu), (-1.0, 1.0), guesses=_line(2.0))

    diagrams = jax.vmap(diagram)(jnp.asarray([1.0, -1.0]))
    assert np.asarray(diagrams.count).tolist() == [1, 1]
    assert np.asarray(diagrams.result == RESULTS.successful).all()
    for i, l in enumerate([1.0, -1.0]):
        mask = np.asarray(diagrams.branches.mask[i, 0])
        x, mu = np.asarray(diagrams.branches.state[i, 0, :, 0])[mask], np.asarray(diagrams.branches.mu[i, 0])[mask]
        np.testing.assert_allclose(mu, x**3 - l * x, atol=1e-12)
        np.testing.assert_allclose(sorted(mu[[0, -1]]), [-1, 1], atol=1e-12)


def _isola(t, s, p):
    return -(s - 5 + 0.2 * p["mu"]) * (s**2 + p["mu"] ** 2 - 0.25)


@pytest.mark.slow
def test_isola():
    """The circle x^2 + mu^2 = 1/4 beside a straight branch."""
    family = Family(FunctionFlow(_isola, {"mu": jnp.asarray(0.0)}), _mu)
    diagram = continue_all(family, (-2.0, 2.0), guesses=_line(6.0), events=(Fold(),))
    assert int(diagram.count) == 2
    closed = np.asarray(diagram.branches.closed)[:2]
    assert sorted(closed) == [False, True]
    circle = int(np.argmax(closed))
    mask = np.asarray(diagram.branches.mask[circle])
    x, mu = np.asarray(diagram.branches.state[circle, :, 0])[mask], np.asarray(diagram.branches.mu[circle])[mask]
    np.testing.assert_allclose(x**2 + mu**2, 0.25, atol=1e-12)
    points = diagram.special_points
    used = np.asarray(points.mask)
    np.testing.assert_allclose(np.asarray(points.mu)[used], [-0.5, 0.5], atol=1e-10)
    assert np.asarray(points.kind)[used].tolist() == [SpecialKind.FOLD] * 2
    assert np.asarray(diagram.branch)[used].tolist() == [circle] * 2


def _two_units(parts, mu):
    """A GRU whose recurrent matrix turns, or whose bias moves, with the parameter: one program for both."""
    system, turn, shift = parts
    c, s = jnp.cos(turn * mu), jnp.sin(turn * mu)
    rotation = jnp.stack([c, -s, s, c]).reshape(2, 2)
    new = system.cell.U_c @ rotation, system.cell.b_c + mu * shift
    return eqx.tree_at(lambda system: (system.cell.U_c, system.cell.b_c), system, new)


@eqx.filter_jit
def _proven(family, levels):
    def at(mu):
        points = enumerate_fixed_points(family(mu), max_points=16, throw=False)
        return points.state, points.mask

    return jax.vmap(at)(levels)


TURNING = FunctionFamily(_two_units, (library.jordan_rotation(0.0), jnp.asarray(1.0), jnp.zeros(2)), 0.1)
MOVING = FunctionFamily(_two_units, (library.jordan("fig:2"), jnp.asarray(0.0), jnp.asarray([1.0, 0.0])), 0.0)


@pytest.mark.parametrize(
    ("family", "mu_range"),
    [pytest.param(TURNING, (0.05, 0.35), marks=pytest.mark.slow), (MOVING, (-1.6, 1.6))],
    ids=["rotation", "gru"],
)
def test_two_unit_gru(family, mu_range):
    """As many points as the enumeration proves, and the same ones, at five parameters."""
    diagram = continue_all(family, mu_range, num_steps=300)
    assert bool(diagram.result == RESULTS.successful)
    levels = np.linspace(mu_range[0], mu_range[1], 7)[1:-1] + 0.0123
    proven = _proven(family, jnp.asarray(levels))
    counts = []
    for level, states, mask in zip(levels, *(np.asarray(x) for x in proven), strict=True):
        truth, found = states[mask], _states_at(diagram, level)
        assert len(found) == len(truth)
        gaps = np.abs(found[:, None] - truth[None]).max(axis=-1)
        # Rows are 0.03 apart at most.
        assert gaps.min(axis=0).max() < 1e-2
        counts.append(len(truth))
    assert max(counts) > min(counts)


def test_infinite_range():
    with pytest.raises(ValueError, match="finite"):
        continue_all(Family(library.cusp_normal_form(), _mu), (-1.0, np.inf), guesses=_line(2.0))
