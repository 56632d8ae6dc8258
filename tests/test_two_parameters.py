"""Curves of bifurcations and their points of codimension two, against closed forms: exact lists, nothing invented."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_dynamics._results import RESULTS
from gru_dynamics.bifurcations import Fold, Hopf, NeimarkSacker, PeriodDoubling, continue_bifurcation
from gru_dynamics.continuation import Location, SpecialKind as K
from gru_dynamics.systems import Family, FunctionFlow, FunctionMap

# One program follows one event of one function, so all flows are one function and all maps are another, each
# jitted, so that it is traced once. States that a
# system does not need decay.


@jax.jit
def _flow(s, p):
    m, l = p["m"], p["l"]
    x, y, u, v = s

    def normal(x, y, rho, omega, c=-1.0, e=0.0):
        square = x * x + y * y
        growth = rho + c * square + e * square**2
        return growth * x - omega * y, omega * x + growth * y

    fields = (
        lambda: (m + l * x - x**3, -y, -2 * u, -3 * v),  # cusp
        lambda: (-x + jnp.tanh(l * x + m), -y, -2 * u, -3 * v),  # one unit
        lambda: (y, m + l * x + x * x - x * y, -2 * u, -3 * v),  # Bogdanov-Takens
        lambda: (*normal(x, y, m, 1.0, l, -1.0), -2 * u, -3 * v),  # Bautin
        lambda: (m - x * x, *normal(y, u, l, 1.3), -3 * v),  # a fold and a pair
        lambda: (*normal(x, y, m, 1.0), *normal(u, v, l, 1.7)),  # two pairs
    )
    return jax.lax.switch(p["case"], [lambda f=f: jnp.stack(f()) for f in fields])


@jax.jit
def _map(s, p):
    m, l = p["m"], p["l"]
    x, y, w = s

    def turn(x, y, growth, angle):
        return growth * (jnp.cos(angle) * x - jnp.sin(angle) * y), growth * (jnp.sin(angle) * x + jnp.cos(angle) * y)

    def shrink(x, y, growth):
        return turn(x, y, growth - (x * x + y * y), 1.0)

    steps = (
        lambda: (1 - m * x * x + y, l * x, 0.3 * w),  # Henon
        lambda: (*(jnp.tanh(z) for z in turn(x, y, m, l)), 0.3 * w),  # two units that turn
        lambda: (x + m - x * x, -(1 + l) * y + y**3, 0.3 * w),  # a fold and a flip
        lambda: (-(1 + m) * x + l * x**3 + x**5, 0.5 * y, 0.3 * w),  # a degenerate flip
        lambda: (-(1 + m) * x + x**3, *shrink(y, w, 1 + l)),  # a flip and a pair
        lambda: (x + m - x * x, *shrink(y, w, 1 + l)),  # a fold and a pair
        lambda: (*turn(x, y, 1 + m + l * (x * x + y * y) - (x * x + y * y) ** 2, 1.0), 0.3 * w),  # a degenerate circle
    )
    return jax.lax.switch(p["case"], [lambda f=f: jnp.stack(f()) for f in steps])


def _flows(t, s, p):
    return _flow(s, p)


def _maps(s, p):
    return _map(s, p)


CUSP, UNIT, BOGDANOV_TAKENS, BAUTIN, FOLD_AND_PAIR, TWO_PAIRS = range(6)
HENON, TURNING, FOLD_AND_FLIP, FLIP, FLIP_AND_CIRCLE, FOLD_AND_CIRCLE, CIRCLE = range(7)


def _both(system):
    return system.args["m"], system.args["l"]


class Case(NamedTuple):
    """`points`: kind, parameters, state of each point on the curve that begins at `state`, `mu`. `curve`: zero on the
    curve, and `omega` the frequency or angle, both functions of the two parameters."""

    event: Fold | Hopf | PeriodDoubling | NeimarkSacker
    case: int
    state: tuple[float, ...]
    mu: tuple[float, float]
    points: list[tuple[K, tuple[float, float], tuple[float, ...]]]
    curve: Callable
    omega: Callable | None = None
    lower: tuple[float, float] = (-1.0, -1.0)
    upper: tuple[float, float] = (1.0, 1.0)


ORIGIN = (0.0, 0.0)
NOWHERE = (0.0, 0.0, 0.0, 0.0)
REST = (0.0, 0.0, 0.0)

FLOWS = {
    "cusp": Case(
        Fold(), CUSP, (3**-0.5, 0.0, 0.0, 0.0), (-(4**0.5) / 27**0.5, 1.0), [(K.CUSP, ORIGIN, NOWHERE)],
        lambda m, l: 27 * m**2 - 4 * l**3, lower=(-2.0, -2.0), upper=(2.0, 2.0),
    ),
    "unit": Case(
        Fold(), UNIT, (0.5**0.5, 0.0, 0.0, 0.0), (-0.5328399754, 2.0), [(K.CUSP, (0.0, 1.0), NOWHERE)],
        lambda m, l: np.abs(m) - l * np.sqrt(1 - 1 / l) + np.arctanh(np.sqrt(1 - 1 / l)),
        lower=(-2.0, 0.5), upper=(2.0, 4.0),
    ),
    "bogdanov_takens_on_folds": Case(
        Fold(), BOGDANOV_TAKENS, (0.4, 0.0, 0.0, 0.0), (0.16, -0.8), [(K.BOGDANOV_TAKENS, ORIGIN, NOWHERE)],
        lambda m, l: 4 * m - l**2,
    ),
    "zero_hopf_on_folds": Case(
        Fold(), FOLD_AND_PAIR, NOWHERE, (0.0, -0.6), [(K.ZERO_HOPF, ORIGIN, NOWHERE)], lambda m, l: m
    ),
    "bogdanov_takens_on_hopf_points": Case(
        Hopf(), BOGDANOV_TAKENS, NOWHERE, (0.0, -0.8), [(K.BOGDANOV_TAKENS, ORIGIN, NOWHERE)],
        lambda m, l: m, lambda m, l: np.sqrt(np.maximum(-l, 0)),
    ),
    "generalised_hopf": Case(
        Hopf(), BAUTIN, NOWHERE, (0.0, -0.5), [(K.GENERALISED_HOPF, ORIGIN, NOWHERE)],
        lambda m, l: m, lambda m, l: np.ones_like(m),
    ),
    "zero_hopf_on_hopf_points": Case(
        Hopf(), FOLD_AND_PAIR, (0.6, 0.0, 0.0, 0.0), (0.36, 0.0), [(K.ZERO_HOPF, ORIGIN, NOWHERE)],
        lambda m, l: l, lambda m, l: np.full_like(m, 1.3),
    ),
    "hopf_hopf": Case(
        Hopf(), TWO_PAIRS, NOWHERE, (0.0, -0.5), [(K.HOPF_HOPF, ORIGIN, NOWHERE)],
        lambda m, l: m, lambda m, l: np.ones_like(m),
    ),
}  # fmt: skip

MAPS = {
    "henon_folds": Case(
        Fold(), HENON, (2 / 0.7, 0.6 / 0.7, 0.0), (-0.1225, 0.3), [(K.RESONANCE_1_1, (-1.0, -1.0), (1.0, -1.0, 0.0))],
        lambda m, l: m + (1 - l) ** 2 / 4, lower=(-2.0, -1.5), upper=(3.0, 0.8),
    ),
    "fold_flip_on_folds": Case(
        Fold(), FOLD_AND_FLIP, REST, (0.0, -0.6), [(K.FOLD_FLIP, ORIGIN, REST)], lambda m, l: m
    ),
    "fold_and_circle_on_folds": Case(
        Fold(), FOLD_AND_CIRCLE, REST, (0.0, -0.6), [(K.FOLD_NEIMARK_SACKER, ORIGIN, REST)], lambda m, l: m
    ),
    "henon_flips": Case(
        PeriodDoubling(), HENON, (2 / 2.1, 0.6 / 2.1, 0.0), (0.3675, 0.3),
        [(K.RESONANCE_1_2, (3.0, -1.0), (1 / 3, -1 / 3, 0.0))],
        lambda m, l: m - 3 * (1 - l) ** 2 / 4, lower=(-2.0, -1.5), upper=(6.0, 0.8),
    ),
    "fold_flip_on_flips": Case(
        PeriodDoubling(), FOLD_AND_FLIP, (0.6, 0.0, 0.0), (0.36, 0.0), [(K.FOLD_FLIP, ORIGIN, REST)], lambda m, l: l
    ),
    "degenerate_flip": Case(
        PeriodDoubling(), FLIP, REST, (0.0, -0.5), [(K.DEGENERATE_FLIP, ORIGIN, REST)], lambda m, l: m
    ),
    "flip_and_circle_on_flips": Case(
        PeriodDoubling(), FLIP_AND_CIRCLE, REST, (0.0, -0.6), [(K.FLIP_NEIMARK_SACKER, ORIGIN, REST)],
        lambda m, l: m,
    ),
    "resonances": Case(
        NeimarkSacker(), TURNING, REST, (1.0, 1.0),
        [
            (K.RESONANCE_1_1, (1.0, 0.0), REST), (K.RESONANCE_1_4, (1.0, np.pi / 2), REST),
            (K.RESONANCE_1_3, (1.0, 2 * np.pi / 3), REST), (K.RESONANCE_1_2, (1.0, np.pi), REST),
        ],
        lambda m, l: m - 1, lambda m, l: l, lower=(0.5, -0.5), upper=(2.0, 3.5),
    ),
    "flip_and_circle_on_circles": Case(
        NeimarkSacker(), FLIP_AND_CIRCLE, REST, (-0.6, 0.0), [(K.FLIP_NEIMARK_SACKER, ORIGIN, REST)],
        lambda m, l: l, lambda m, l: np.ones_like(m),
    ),
    "fold_and_circle_on_circles": Case(
        NeimarkSacker(), FOLD_AND_CIRCLE, (0.6, 0.0, 0.0), (0.36, 0.0), [(K.FOLD_NEIMARK_SACKER, ORIGIN, REST)],
        lambda m, l: l, lambda m, l: np.ones_like(m),
    ),
    "degenerate_circle": Case(
        NeimarkSacker(), CIRCLE, REST, (0.0, -0.5), [(K.DEGENERATE_NEIMARK_SACKER, ORIGIN, REST)],
        lambda m, l: m, lambda m, l: np.ones_like(m),
    ),
}  # fmt: skip


def check(make, function, case: Case):
    arguments = {"m": jnp.zeros(()), "l": jnp.zeros(()), "case": jnp.asarray(case.case)}
    family = Family(make(function, arguments), _both)
    ends = jnp.array(case.lower), jnp.array(case.upper)
    branch = continue_bifurcation(
        family, case.event, state=jnp.array(case.state), mu=jnp.array(case.mu), mu_range=ends, num_steps=150
    )
    assert branch.result == RESULTS.successful
    rows = np.asarray(branch.mask)
    m, l = np.asarray(branch.mu)[rows].T
    np.testing.assert_allclose(case.curve(m, l), 0, rtol=0, atol=1e-8)
    omega = np.zeros_like(m) if case.omega is None else case.omega(m, l)
    np.testing.assert_allclose(np.asarray(branch.omega)[rows], omega, rtol=0, atol=1e-7)
    points = branch.special_points
    used = np.flatnonzero(np.asarray(points.mask))
    used = used[np.lexsort(np.asarray(points.mu)[used].round(6).T)]
    assert [K(int(points.kind[k])) for k in used] == [kind for kind, _, _ in case.points]
    for k, (_, mu, state) in zip(used, case.points, strict=True):
        assert int(points.location[k]) == Location.CONVERGED
        np.testing.assert_allclose(points.mu[k], mu, rtol=0, atol=1e-9)
        np.testing.assert_allclose(points.state[k], state, rtol=0, atol=1e-9)
    return branch


def _some(cases, quick):
    """All names, those that are not quick marked slow: each event compiles a program of its own."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in cases]


@pytest.mark.parametrize("name", _some(FLOWS, ("bogdanov_takens_on_hopf_points",)))
def test_flows(name):
    check(FunctionFlow, _flows, FLOWS[name])


@pytest.mark.parametrize("name", _some(MAPS, ("resonances",)))
def test_maps(name):
    check(FunctionMap, _maps, MAPS[name])


@pytest.mark.slow
def test_coefficients_along_the_curves():
    """The quadratic coefficient of the cusp's folds is -3 x, the first Lyapunov coefficient of Bautin's is c/omega."""
    branch = check(FunctionFlow, _flows, FLOWS["cusp"])
    rows = np.asarray(branch.mask)
    x = np.asarray(branch.state)[rows, 0]
    np.testing.assert_allclose(np.abs(np.asarray(branch.coefficient)[rows]), 3 * np.abs(x), rtol=0, atol=1e-9)
    branch = check(FunctionFlow, _flows, FLOWS["generalised_hopf"])
    rows = np.asarray(branch.mask)
    ratio = np.asarray(branch.coefficient)[rows] / np.asarray(branch.mu)[rows, 1]
    assert (ratio > 0).all()
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-8)


@pytest.mark.slow
def test_no_bifurcation_at_the_start():
    arguments = {"m": jnp.zeros(()), "l": jnp.zeros(()), "case": jnp.asarray(FOLD_AND_PAIR)}
    family = Family(FunctionFlow(_flows, arguments), _both)
    ends = -jnp.ones(2), jnp.ones(2)
    options = {"mu_range": ends, "num_steps": 150}
    with pytest.raises(RuntimeError, match="did not converge"):
        continue_bifurcation(family, Hopf(), state=jnp.full(4, 9.0), mu=jnp.array([-0.9, -0.9]), **options)
    with pytest.raises(RuntimeError, match="outside `mu_range`"):
        continue_bifurcation(family, Fold(), state=jnp.zeros(4), mu=jnp.array([0.0, -3.0]), **options)
