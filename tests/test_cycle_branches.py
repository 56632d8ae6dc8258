"""Branches of cycles: their bifurcations and how they begin and end, against closed forms."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import gru_dynamics as gd
from gru_dynamics import cycles
from gru_dynamics.continuation import End, Location, SpecialKind
from gru_dynamics.cycles import continue_cycles, find_cycle
from gru_dynamics.trajectories import PoincareSection

# Families with closed forms ----------------------------------------------------------------------


def _bautin(x, y, a):
    """r' = a r + r^3 - r^5, theta' = 1: two cycles r^2 = (1 -+ sqrt(1 + 4 a)) / 2, fold at a = -1/4, Hopf at 0."""
    growth = a + (x * x + y * y) - (x * x + y * y) ** 2
    return growth * x - y, x + growth * y


def _snic(x, y, a):
    """r' = r (1 - r^2), theta' = a - cos(theta) at r = 1: period 2 pi / sqrt(a^2 - 1), multiplier exp(-2 T)."""
    growth, turn = 1 - x * x - y * y, a - x
    return growth * x - turn * y, growth * y + turn * x


def _loop(x, y, a):
    """With H = y^2/2 - x^2/2 + x^3/3: dH/dt = -y^2 (a + H). The cycles are H = -a; Hopf at a = 1/6, where H has its
    minimum, homoclinic at a = 0 to the saddle at the origin with eigenvalues +-1."""
    return y, x - x * x - y * (a + _energy(x, y))


def _energy(x, y):
    return y * y / 2 - x * x / 2 + x**3 / 3


def _planar(t, s, p):
    """One function for all, so that they share compiled code."""
    fields = jnp.stack([jnp.stack(f(s[0], s[1], p["a"])) for f in (_bautin, _snic, _loop)])
    return jnp.sum(p["which"][:, None] * fields, axis=0)


def _bundle(t, s, p):
    """A circle of period 2 pi and multiplier exp(-4 pi), with (u, v) around it: with twist 1 they turn by half a circle
    in one round, multipliers -exp(2 pi a) and -exp(-pi); with twist 0, multipliers exp(2 pi (a +- 0.3 i))."""
    x, y, u, v = s
    a, k = p["a"], p["twist"]
    growth, mean, half = 1 - (x * x + y * y), (a - 0.5) / 2, (a + 0.5) / 2
    twisted = (mean + half * x) * u + (half * y - 0.5) * v, (half * y + 0.5) * u + (mean - half * x) * v
    turned = a * u - 0.3 * v, 0.3 * u + a * v
    uv = [k * p + (1 - k) * q for p, q in zip(twisted, turned, strict=True)]
    return jnp.stack([growth * x - y, x + growth * y, *uv])


def _a(system):
    return system.args["a"]


def planar(name, a):
    which = jnp.asarray([name == other for other in ("bautin", "snic", "loop")], float)
    return gd.Family(gd.FunctionFlow(_planar, {"a": jnp.asarray(a), "which": which}), _a)


def member(family, a) -> Any:
    return family(jnp.asarray(a))


def follow(family: Any, mu, start, period, mu_range, max_period=1000.0, num_nodes=4):
    cycle = find_cycle(member(family, mu), jnp.asarray(start), period=period, num_nodes=num_nodes)
    return continue_cycles(family, cycle, mu, mu_range=mu_range, period_range=(0.0, max_period), num_steps=120)


def used(branch):
    mask = np.asarray(branch.mask)
    return {
        name: np.asarray(getattr(branch, name))[mask]
        for name in ("mu", "period", "states", "amplitude", "multipliers", "stable", "unstable_dim", "residual")
    }


def special(branch):
    """`(kind, mu, period, omega)` of each special point; all must have been located."""
    points = branch.special_points
    rows = np.flatnonzero(np.asarray(points.mask))
    assert (np.asarray(points.location)[rows] == Location.CONVERGED).all()
    return [
        (SpecialKind(int(points.kind[k])), float(points.mu[k]), float(branch.special_period[k]), float(points.omega[k]))
        for k in rows
    ]


# Branches ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bautin():
    return follow(planar("bautin", 0.1), 0.1, [1.04, 0.0], 6.3, (-1.0, 0.5))


@pytest.mark.slow
def test_fold_of_cycles(bautin):
    """r' = a r + r^3 - r^5: through the fold at a = -1/4 down to the Hopf point at a = 0."""
    rows = used(bautin)
    square = 0.25 * rows["amplitude"][:, 0] ** 2
    np.testing.assert_allclose(rows["mu"], square**2 - square, atol=1e-8)
    np.testing.assert_allclose(rows["amplitude"][:, 1], rows["amplitude"][:, 0], atol=1e-7)
    np.testing.assert_allclose(rows["period"], 2 * np.pi, atol=1e-8)
    slope = rows["mu"] + 3 * square - 5 * square**2
    np.testing.assert_allclose(rows["multipliers"][:, 0], np.exp(2 * np.pi * slope), rtol=1e-6)
    assert (rows["stable"] == (square > 0.5)).all()
    hopf, fold = special(bautin)
    assert (hopf[0], fold[0]) == (SpecialKind.HOPF, SpecialKind.CYCLE_FOLD)
    np.testing.assert_allclose([hopf[1], fold[1]], [0, -0.25], atol=1e-10)
    np.testing.assert_allclose([hopf[2], fold[2]], 2 * np.pi, atol=1e-9)
    assert int(bautin.end[1]) == End.RANGE
    np.testing.assert_allclose(rows["mu"][-1], 0.5, atol=1e-12)


def test_a_row_is_a_cycle(bautin):
    row = int(np.flatnonzero(np.asarray(bautin.mask))[2])
    cycle = bautin.cycle(row)
    flow = member(planar("bautin", 0.1), bautin.mu[row])
    again = find_cycle(flow, cycle.states[0], period=cycle.period, num_nodes=4)
    np.testing.assert_allclose(again.multipliers, cycle.multipliers, rtol=1e-8)


def test_saddle_node_on_the_cycle():
    """T = 2 pi / sqrt(a^2 - 1) without bound as a falls to 1."""
    family = planar("snic", 1.5)
    branch = follow(family, 1.5, [1.0, 0.0], 5.6, (0.0, 2.0))
    rows = used(branch)
    np.testing.assert_allclose(rows["period"], 2 * np.pi / np.sqrt(rows["mu"] ** 2 - 1), rtol=1e-7)
    np.testing.assert_allclose(rows["period"][0], 1000, rtol=1e-9)
    short = rows["period"] < 8
    np.testing.assert_allclose(rows["multipliers"][short, 0], np.exp(-2 * rows["period"][short]), rtol=1e-6)
    assert special(branch) == []
    limit = cycles.period_limit(branch)
    assert int(limit.kind) == SpecialKind.INFINITE_PERIOD
    np.testing.assert_allclose(limit.mu, 1.0, atol=1e-8)
    np.testing.assert_allclose(limit.rate, np.sqrt(2) * np.pi, rtol=1e-4)


def test_homoclinic_end():
    """Cycles are the level sets H = -a; their period is an integral in closed form, infinite at a = 0."""
    family = planar("loop", 0.05)
    cycle = find_cycle(member(family, 0.05), jnp.array([1.45, 0.0]), period=7.4, num_nodes=4)
    limit, branch = cycles.find_homoclinic(family, cycle, 0.05, mu_range=(-1.0, 1.0), max_period=22.0, num_steps=120)
    rows = used(branch)
    np.testing.assert_allclose(
        _energy(rows["states"][..., 0], rows["states"][..., 1]),
        -rows["mu"][:, None] + 0 * rows["states"][..., 0],
        atol=1e-8,
    )
    assert int(limit.kind) == SpecialKind.HOMOCLINIC
    assert float(limit.misfit[0]) < 0.1 * float(limit.misfit[1])
    np.testing.assert_allclose(limit.mu, 0, atol=1e-9)
    np.testing.assert_allclose(limit.rate, 1, atol=1e-3)
    (hopf,) = special(branch)
    assert hopf[0] == SpecialKind.HOPF
    np.testing.assert_allclose(hopf[1:], [1 / 6, 2 * np.pi, 1], atol=1e-9)


def test_no_homoclinic_end(bautin):
    assert int(cycles.period_limit(bautin).kind) == SpecialKind.NONE


@pytest.mark.slow
def test_saddle_connection():
    family = planar("loop", 0.05)
    section = PoincareSection(jnp.array([0.0, 1.0]), 0.0, -1)
    gap = eqx.filter_jit(cycles.saddle_connection_gap)
    gaps = [float(gap(member(family, a), jnp.zeros(2), section)) for a in (-0.01, 0.01)]
    assert gaps[0] * gaps[1] < 0
    found = cycles.find_saddle_connection(family, jnp.zeros(2), 0.05, section)
    np.testing.assert_allclose(found.mu, 0, atol=1e-10)
    np.testing.assert_allclose(found.eigenvalues, [1, -1], atol=1e-9)


@pytest.mark.parametrize(
    ("twist", "kind", "omega"),
    [
        pytest.param(1.0, SpecialKind.CYCLE_PERIOD_DOUBLING, 0.0, marks=pytest.mark.slow),
        (0.0, SpecialKind.CYCLE_TORUS, 0.6 * np.pi),
    ],
)
def test_period_doubling_and_torus(twist, kind, omega):
    flow = gd.FunctionFlow(_bundle, {"a": jnp.asarray(-0.1), "twist": jnp.asarray(twist)})
    branch = follow(gd.Family(flow, _a), -0.1, [1.0, 0.0, 0.0, 0.0], 6.3, (-0.3, 0.2), num_nodes=1)
    ((found, mu, period, angle),) = special(branch)
    assert found == kind
    np.testing.assert_allclose(mu, 0, atol=1e-9)
    np.testing.assert_allclose([period, angle], [2 * np.pi, omega], atol=1e-8)
    rows = used(branch)
    modulus = np.exp(2 * np.pi * rows["mu"])
    others = np.exp(-np.pi) + 0 * modulus if twist else modulus
    expected = np.sort(np.stack([modulus, others, np.exp(-4 * np.pi) + 0 * modulus], axis=1), axis=1)[:, ::-1]
    np.testing.assert_allclose(np.abs(rows["multipliers"]), expected, rtol=1e-7)
    assert (rows["unstable_dim"] == np.where(rows["mu"] > 1e-9, 1 if twist else 2, 0)).all()


def test_starts_that_are_no_cycle():
    family = planar("bautin", 0.1)
    cycle = find_cycle(member(family, 0.1), jnp.array([1.04, 0.0]), period=6.3, num_nodes=4)
    far = eqx.tree_at(lambda c: c.states, cycle, 3 * cycle.states)

    def go(cycle, mu, mu_range):
        return continue_cycles(family, cycle, mu, mu_range=mu_range, period_range=(0.0, 1000.0), num_steps=120)

    with pytest.raises(RuntimeError, match="continue_cycles"):
        go(far, 0.1, (-1.0, 0.5))
    with pytest.raises(RuntimeError, match="outside"):
        go(cycle, 0.1, (0.2, 0.5))
    with pytest.raises(ValueError, match="scalar"):
        go(cycle, jnp.array([0.1]), (-1.0, 0.5))


@pytest.mark.slow
def test_the_papers_cycle_ends_on_four_saddle_nodes():
    """Equation 8 with gain 3: from the Hopf point at arccos(2/3) down to the fold, where the period is infinite."""

    def rotation(_, alpha):
        return gd.library.jordan_rotation(alpha)

    family = gd.FunctionFamily(rotation, jnp.zeros(()), 0.7)
    cycle = find_cycle(member(family, 0.7), jnp.array([0.6, 0.0]))
    limit, branch = cycles.find_homoclinic(family, cycle, 0.7, mu_range=(0.0, 1.0), max_period=2000.0)

    def fold(v):
        flow = gd.library.jordan_rotation(v[2])
        x = jnp.asarray(v[:2])
        return np.append(np.asarray(flow.residual(x)), float(jnp.linalg.det(flow.residual_jacobian(x))))

    alpha = scipy.optimize.fsolve(fold, [0.56, 0.9, 0.148], xtol=1e-12)[2]
    assert int(limit.kind) == SpecialKind.INFINITE_PERIOD
    np.testing.assert_allclose(limit.mu, alpha, atol=1e-6)
    (hopf,) = special(branch)
    np.testing.assert_allclose(hopf[1], np.arccos(2 / 3), atol=1e-9)
    assert used(branch)["stable"].all()
