"""Branch switching against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import without_type_checks

from gru_dynamics import RESULTS, continue_fixed_points
from gru_dynamics.bifurcations import (
    BranchPoint,
    Fold,
    IterateFamily,
    PeriodDoubling,
    branch_tangents,
    switch_branch,
    switch_period_doubling,
)
from gru_dynamics.continuation import SpecialKind
from gru_dynamics.systems import Family, FunctionFlow, library


def _l(system):
    return system.args["l"]


def _r(system):
    return system.args["r"]


def _rho(system):
    return system.args["rho"]


def _used(branch):
    mask = np.asarray(branch.mask)
    return np.asarray(branch.state)[mask], np.asarray(branch.mu)[mask]


def test_pitchfork():
    family = Family(library.cusp_normal_form(0.0, 0.0), _l)
    tangents = np.asarray(branch_tangents(family, jnp.zeros(1), 0.0))
    np.testing.assert_allclose(np.abs(tangents), [[0, 1], [1, 0]], atol=1e-12)
    start = switch_branch(family, jnp.zeros(1), 0.0)
    branch = continue_fixed_points(
        family, start.state, start.mu, mu_range=(-1.0, 1.0), tangent=start.tangent, events=(BranchPoint(), Fold())
    )
    x, mu = _used(branch)
    np.testing.assert_allclose(x[:, 0] ** 2, mu, atol=1e-11)
    np.testing.assert_allclose(sorted(x[[0, -1], 0]), [-1, 1], atol=1e-11)


@pytest.mark.parametrize("come_along_the_origin", [True, False])
def test_transcritical(come_along_the_origin):
    family = Family(library.logistic(), _r)
    other = None if come_along_the_origin else jnp.asarray([1.0, 1.0])
    start = switch_branch(family, jnp.zeros(1), 1.0, along=other)
    branch = continue_fixed_points(family, start.state, start.mu, mu_range=(0.5, 3.5), tangent=start.tangent)
    x, r = _used(branch)
    np.testing.assert_allclose(x[:, 0], 1 - 1 / r if come_along_the_origin else 0, atol=1e-11)
    np.testing.assert_allclose(sorted(r[[0, -1]]), [0.5, 3.5], atol=1e-11)


def test_lorenz():
    """From the branch as it was located, with the tangent of its row."""
    family = Family(library.lorenz(), _rho)
    trivial = continue_fixed_points(family, jnp.zeros(3), 0.5, mu_range=(0.2, 3.0), events=(BranchPoint(),))
    points = trivial.special_points
    assert int(points.mask.sum()) == 1
    start = switch_branch(family, points.state[0], points.mu[0], along=trivial.tangent[points.row[0]])
    branch = continue_fixed_points(family, start.state, start.mu, mu_range=(0.2, 3.0), tangent=start.tangent)
    state, rho = _used(branch)
    truth = np.sign(state[:, 0]) * np.sqrt(8 / 3 * (rho - 1))
    np.testing.assert_allclose(state[:, 2], rho - 1, atol=1e-10)
    np.testing.assert_allclose(state[:, 0] ** 2, 8 / 3 * (rho - 1), atol=1e-10)
    np.testing.assert_allclose(state[:, 1], truth, atol=1e-5)
    assert np.sign(state[0, 0]) == -np.sign(state[-1, 0])


def test_period_doubling_of_the_logistic_map():
    family = Family(library.logistic(), _r)
    start = switch_period_doubling(family, jnp.asarray([2 / 3]), 3.0)
    branch = continue_fixed_points(
        IterateFamily(family, 2),
        start.state,
        start.mu,
        mu_range=(2.9, 3.6),
        tangent=start.tangent,
        events=(PeriodDoubling(),),
    )
    x, r = _used(branch)
    root = np.sqrt(np.maximum((r - 3) * (r + 1), 0))
    upper, lower = (r + 1 + root) / (2 * r), (r + 1 - root) / (2 * r)
    assert r.min() > 3 - 1e-12
    np.testing.assert_allclose(np.minimum(np.abs(x[:, 0] - upper), np.abs(x[:, 0] - lower)), 0, atol=1e-9)
    points = branch.special_points
    flips = np.asarray(points.mu)[np.asarray(points.mask)]
    # Once for each of the two points of the cycle.
    np.testing.assert_allclose(flips, 1 + np.sqrt(6), atol=1e-10)
    assert flips.size == 2
    assert (np.asarray(points.kind)[np.asarray(points.mask)] == SpecialKind.PERIOD_DOUBLING).all()


def _isolated(t, s, p):
    return p["l"] ** 2 + s**2


def test_no_branches_cross():
    """At an isolated point, at a regular point, at a fold, and where two eigenvalues vanish at once."""
    isola = Family(FunctionFlow(_isolated, {"l": jnp.asarray(0.0)}), _l)
    cusp = Family(library.cusp_normal_form(0.0, 1.0), _l)
    double = Family(library.multiplicity(), _l)
    for family, state, mu in [
        (isola, jnp.zeros(1), 0.0),
        (cusp, jnp.zeros(1), 0.5),
        (double, jnp.zeros(15), 2.0),
    ]:
        assert np.isnan(np.asarray(branch_tangents(family, state, mu))).all()
        with pytest.raises(RuntimeError, match="switch_branch"):
            switch_branch(family, state, mu)
    with pytest.raises(RuntimeError, match="switch_period_doubling"):
        switch_period_doubling(Family(library.logistic(), _r), jnp.asarray([2 / 3]), 2.9)
    with without_type_checks(), pytest.raises(ValueError, match="one vector"):
        switch_branch(isola, jnp.zeros((2, 1)), 0.0)


def test_batch():
    """A branch point and a regular point in one call."""
    family = Family(library.logistic(), _r)
    starts = jax.vmap(lambda mu: switch_branch(family, jnp.zeros(1), mu, throw=False))(jnp.asarray([1.0, 0.5]))
    assert np.asarray(starts.result == RESULTS.successful).tolist() == [True, False]
    np.testing.assert_allclose(starts.state[0, 0], 1 - 1 / starts.mu[0], atol=1e-12)
