"""What continuation does when it is asked for the impossible: an error with advice, or the part that exists."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import without_type_checks

from gru_dynamics._results import RESULTS
from gru_dynamics.bifurcations import (
    BranchPoint,
    Fold,
    Hopf,
    NeimarkSacker,
    PeriodDoubling,
    continue_bifurcation,
    locate,
)
from gru_dynamics.continuation import End, continue_fixed_points
from gru_dynamics.systems import Family, FunctionFlow, library

NOTHING, NAN, NAN_BEYOND, JUMP, NO_ROOT, LINE = range(6)


def _field(t, s, p):
    m = p["m"]
    fields = (
        lambda s: 1 - s,
        lambda s: (m - s) * jnp.nan,
        lambda s: jnp.where(m > 0.5, jnp.nan, m - s),
        lambda s: m - s - jnp.where(m > 0.3, 0.2, 0.0),
        lambda s: 1 + s**2 + m**2,
        lambda s: m - s,
    )
    return jax.lax.switch(p["case"], fields, s)


def _m(system):
    return system.args["m"]


def family(case):
    return Family(FunctionFlow(_field, {"m": jnp.zeros(()), "case": jnp.asarray(case)}), _m)


def follow(case, state, mu=0.0, mu_range=(-1.0, 1.0), **options):
    return continue_fixed_points(family(case), jnp.array([state]), mu, mu_range=mu_range, num_steps=100, **options)


FATAL = [
    (NO_ROOT, 0.0, 0.5, RESULTS.start_not_on_branch),
    (LINE, 5.0, 0.0, RESULTS.start_not_on_branch),
    (NOTHING, 1.0, 0.0, RESULTS.parameter_moves_nothing),
    (NAN, 0.0, 0.0, RESULTS.nonfinite_system),
    (NAN_BEYOND, 0.75, 0.75, RESULTS.nonfinite_system),
    (LINE, 2.0, 2.0, RESULTS.start_out_of_range),
    (LINE, -1.5, -1.5, RESULTS.start_out_of_range),
]


@pytest.mark.parametrize(("case", "state", "mu", "result"), FATAL)
def test_an_unusable_start(case, state, mu, result):
    with pytest.raises(RuntimeError, match=re.escape(f"continue_fixed_points: {RESULTS[result]}")):
        follow(case, state, mu)
    assert follow(case, state, mu, throw=False).result == result


@pytest.mark.parametrize(
    ("case", "start", "edge", "end", "result"),
    [
        (NAN_BEYOND, 0.0, 0.5, End.NONFINITE, RESULTS.nonfinite_branch),
        (JUMP, 0.0, 0.3, End.STUCK, RESULTS.step_too_small),
    ],
)
def test_a_branch_that_stops_keeps_what_is_before(case, start, edge, end, result):
    """Nothing is raised; the last row is as near as the shortest step."""
    branch = follow(case, start)
    assert branch.result == result
    np.testing.assert_array_equal(branch.end, [End.RANGE, end])
    rows = np.asarray(branch.mask)
    mu = np.asarray(branch.mu)[rows]
    assert mu[0] == -1
    assert edge - 1e-6 < mu[-1] <= edge
    np.testing.assert_allclose(np.asarray(branch.state)[rows, 0], mu, rtol=0, atol=1e-14)
    assert np.isfinite(np.asarray(branch.eigenvalues)[rows]).all()
    assert np.asarray(branch.stable)[rows].all()


@pytest.mark.parametrize("at", [-1.0, 1.0])
def test_a_start_at_an_end_of_the_range(at):
    branch = follow(LINE, at, at)
    assert branch.result == RESULTS.successful
    np.testing.assert_allclose(np.asarray(branch.mu)[np.asarray(branch.mask)][[0, -1]], [-1, 1], rtol=0, atol=0)


@pytest.mark.parametrize("mu", [0.5j, True, "0.5", None])
def test_a_parameter_that_is_no_real_number(mu):
    with without_type_checks(), pytest.raises(ValueError, match="mu must hold real numbers"):
        continue_fixed_points(family(LINE), jnp.zeros(1), mu, mu_range=(-1.0, 1.0))
    with without_type_checks(), pytest.raises(ValueError, match="mu_range must hold real numbers"):
        continue_fixed_points(family(LINE), jnp.zeros(1), 0.0, mu_range=(-1.0, mu))


def test_a_vector_of_parameters():
    with pytest.raises(ValueError, match=r"mu must be scalar, got shape \(2,\).*jax.vmap"):
        continue_fixed_points(family(LINE), jnp.zeros(1), jnp.zeros(2), mu_range=(-1.0, 1.0))
    with pytest.raises(ValueError, match=r"mu_range must be scalar, got shape \(2,\)"):
        continue_fixed_points(family(LINE), jnp.zeros(1), 0.0, mu_range=(jnp.zeros(2), 1.0))


def test_a_matrix_of_states():
    with (
        without_type_checks(),
        pytest.raises(ValueError, match=r"state must be one vector, got shape \(2, 1\); use jax.vmap"),
    ):
        continue_fixed_points(family(LINE), jnp.zeros((2, 1)), 0.0, mu_range=(-1.0, 1.0))
    with (
        without_type_checks(),
        pytest.raises(ValueError, match=r"state must be one vector, got shape \(2, 1\); use jax.vmap"),
    ):
        locate(family(LINE), Fold(), state=jnp.zeros((2, 1)), mu=0.0)


def _a(system):
    return system.args["a"]


def _two(system):
    return system.args["a"], system.args["b"]


WRONG = [
    (library.henon(), Hopf(), "Hopf is a bifurcation of flows, and this is a map .*; use NeimarkSacker"),
    (library.lure(), NeimarkSacker(), "NeimarkSacker is a bifurcation of maps, and this is a flow .*; use Hopf"),
    (library.lure(), PeriodDoubling(), "PeriodDoubling is a bifurcation of maps, and this is a flow .*; use Fold"),
]


@pytest.mark.parametrize(("system", "event", "text"), WRONG)
def test_an_event_that_the_system_cannot_have(system, event, text):
    size = 3 if isinstance(system, FunctionFlow) else 2
    state = jnp.zeros(size)
    with pytest.raises(ValueError, match=text):
        continue_fixed_points(Family(system, _a), state, 1.0, mu_range=(0.0, 2.0), events=(Fold(), event))
    with pytest.raises(ValueError, match=text):
        locate(Family(system, _a), event, state=state, mu=1.0)
    with pytest.raises(ValueError, match=text):
        continue_bifurcation(
            Family(system, _two), event, state=state, mu=jnp.ones(2), mu_range=(jnp.zeros(2), 2 * jnp.ones(2))
        )


def test_two_parameters_ask_for_two():
    one, two = Family(library.henon(), _a), Family(library.henon(), _two)
    start, both = {"state": jnp.zeros(2), "mu": jnp.ones(2)}, (jnp.zeros(2), 2 * jnp.ones(2))
    with pytest.raises(ValueError, match="give the family two parameters"):
        continue_bifurcation(one, Fold(), state=jnp.zeros(2), mu=1.0, mu_range=(0.0, 2.0))
    with pytest.raises(ValueError, match="the varied leaf has shape"):
        continue_bifurcation(one, Fold(), mu_range=both, **start)
    with without_type_checks(), pytest.raises(ValueError, match=r"curves of BranchPoint are not followed .* use Fold"):
        continue_bifurcation(two, BranchPoint(), mu_range=both, **start)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"parameters of shape \(2,\).* give the family one"):
        continue_fixed_points(two, jnp.zeros(2), 1.0, mu_range=(0.0, 2.0))


def test_there_is_no_bifurcation():
    fam = family(LINE)
    with pytest.raises(RuntimeError, match=re.escape(f"locate: {RESULTS[RESULTS.not_located]}")):
        locate(fam, Fold(), state=jnp.zeros(1), mu=0.0)
    assert locate(fam, Fold(), state=jnp.zeros(1), mu=0.0, throw=False).result == RESULTS.not_located
    assert locate(fam, Hopf(), state=jnp.zeros(1), mu=0.0, throw=False).result == RESULTS.not_located
