"""One bifurcation point: its place to nine digits, its derivatives in every weight, and training on its distance."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import polish
from jax.flatten_util import ravel_pytree
from scipy.optimize import brentq

import gru_dynamics as gd
from gru_dynamics import library
from gru_dynamics.bifurcations import (
    Fold,
    Hopf,
    IterateFamily,
    NeimarkSacker,
    PeriodDoubling,
    bifurcation_distance,
    locate,
)
from gru_dynamics.systems import CellFlow, CellMap, Family, FunctionFamily, Iterate


def argument(name):
    """A `where` that is the same function for the same name."""
    return _ARGUMENTS.setdefault(name, lambda system: system.args[name])


_ARGUMENTS = {}


def rate(system):
    return system.map.args["r"]


def nonlinearity(system):
    return system.map.args["a"]


def near(value, truth, tolerance=1e-9):
    np.testing.assert_allclose(value, truth, rtol=0, atol=tolerance)


# Exact cases ---------------------------------------------------------------------------------------


def turned(cell, alpha):
    """Eq. 8 of Jordan et al.: `U_c = 3 R(alpha)`."""
    c, s = jnp.cos(alpha), jnp.sin(alpha)
    return eqx.tree_at(lambda c: c.U_c, cell, 3 * jnp.stack([jnp.stack([c, -s]), jnp.stack([s, c])]))


def turned_flow(cell, alpha):
    return CellFlow(turned(cell, alpha))


def turned_map(cell, alpha):
    return CellMap(turned(cell, alpha))


def test_map_and_flow_of_one_gru_oscillate_at_different_angles():
    cell = library.jordan_rotation(0.0).cell
    hopf = locate(FunctionFamily(turned_flow, cell, 0.9), Hopf(), state=jnp.array([0.01, -0.02]), mu=0.9)
    alpha = np.arccos(2 / 3)
    near(hopf.mu, alpha)
    near(hopf.state, [0, 0])
    near(hopf.omega, 0.75 * np.sin(alpha))
    near(hopf.omega, 0.5590169944, 1e-10)
    near(hopf.first_lyapunov, -0.75 / np.sin(alpha))
    torus = locate(FunctionFamily(turned_map, cell, 1.2), NeimarkSacker(), state=jnp.array([0.01, -0.02]), mu=1.2)
    alpha = np.arccos(1 / 4)
    near(torus.mu, alpha)
    near(torus.omega, np.angle(0.5 + 0.75 * np.exp(1j * alpha)))


def test_hopf_of_lorenz():
    start = {"state": jnp.array([7.9, 7.9, 23.0]), "mu": 24.0}
    point = locate(Family(library.lorenz(), argument("rho")), Hopf(), **start)
    rho = 470 / 19
    near(point.mu, rho)
    near(point.omega, 9.6245300637)
    near(point.state, [np.sqrt(8 / 3 * (rho - 1))] * 2 + [rho - 1], 1e-8)
    assert point.coefficient > 0


@pytest.mark.parametrize("omega", [None, 1.2])
def test_hopf_of_lure(omega):
    point = locate(Family(library.lure(), argument("a")), Hopf(), state=jnp.zeros(3), mu=1.2, omega=omega)
    for value, truth in ((point.mu, 1), (point.omega, 1), (point.coefficient, -0.3)):
        near(value, truth)


@pytest.mark.parametrize(("guess", "printed"), [(0.9, (0.87357656, -1.81228315)), (-0.3, (-0.34323253, 0.26489683))])
def test_folds_of_a_one_unit_gru(guess, printed):
    """On the branch b = atanh(h) - u h r(h); a fold is where the slope of that vanishes."""

    def reset(h):
        return 1 / (1 + np.exp(-(2 * h + 0.5)))

    def slope(h):
        return 1 / (1 - h * h) - 4 * reset(h) * (1 + 2 * h * (1 - reset(h)))

    h = brentq(slope, guess - 0.1, guess + 0.05, xtol=1e-15)
    cell = gd.GRUCell(0, 1, key=jax.random.key(0))
    weights = {"U_c": 4.0, "U_r": 2.0, "b_r": 0.5}
    cell = eqx.tree_at(
        lambda c: [getattr(c, name) for name in weights],
        jax.tree.map(lambda x: jnp.zeros_like(x) if eqx.is_array(x) else x, cell),
        [jnp.full_like(getattr(cell, name), value) for name, value in weights.items()],
    )
    b = np.arctanh(guess) - 4 * guess * reset(guess)
    for system in (CellFlow(cell), CellMap(cell)):
        point = locate(Family(system, lambda s: s.cell.b_c, 0), Fold(), state=jnp.array([guess]), mu=b)
        near(point.state, [h])
        near(point.mu, np.arctanh(h) - 4 * h * reset(h))
        near([point.state[0], point.mu], printed, 6e-9)


@pytest.mark.parametrize(("n", "truth"), [(15, 3.5066811168), (63, 3.5133843732)])
def test_fold_of_bratu(n, truth):
    x = jnp.arange(1, n + 1, dtype=jnp.float64) / (n + 1)
    point = locate(Family(library.bratu(n), argument("lam")), Fold(), state=4.7 * x * (1 - x), mu=3.5)
    near(point.mu, truth)


@pytest.mark.parametrize(
    ("times", "truth"), [(1, 3.0), (2, 1 + 6**0.5), (4, 3.544090359551923), (8, 3.564407266095433)]
)
def test_period_doublings_of_the_logistic_map(times, truth):
    r = truth - 1e-3
    state = functools.reduce(lambda x, _: r * x * (1 - x), range(4000), 0.4)
    family = IterateFamily(Family(library.logistic(), argument("r")), times)
    point = locate(family, PeriodDoubling(), state=jnp.array([state]), mu=r)
    near(point.mu, truth)
    assert point.coefficient > 0
    # Another way to say it: the parameter of the map inside an iterate.
    inside = locate(Family(Iterate(library.logistic(), times), rate), PeriodDoubling(), state=point.state, mu=r)
    near(inside.mu, truth)


def test_period_three_fold_of_the_logistic_map():
    point = locate(Family(Iterate(library.logistic(), 3), rate), Fold(), state=jnp.array([0.51]), mu=3.83)
    near(point.mu, 1 + 8**0.5)


def test_henon():
    b = 0.3
    family = Family(library.henon(), argument("a"))
    fold = locate(family, Fold(), state=jnp.array([2.8, 0.8]), mu=-0.12)
    near(fold.mu, -((1 - b) ** 2) / 4)
    near(fold.state, np.array([1, b]) * 2 / (1 - b))
    flip = locate(family, PeriodDoubling(), state=jnp.array([0.9, 0.3]), mu=0.4)
    near(flip.mu, 3 * (1 - b) ** 2 / 4)
    near(flip.state, np.array([1, b]) * 2 / (3 * (1 - b)))
    twice = Family(Iterate(library.henon(), 2), nonlinearity)
    second = locate(twice, PeriodDoubling(), state=jnp.array([1.2, -0.13]), mu=0.9)
    near(second.mu, 0.9125)


# Derivatives ---------------------------------------------------------------------------------------


def bias(system):
    return system.cell.b_c


def amplified(system, gain):
    return eqx.tree_at(lambda s: s.cell.U_c, system, system.cell.U_c * gain)


def near_rotation(alpha):
    """`R(alpha)` with every weight a little off, so that every weight matters."""
    cell = library.jordan_rotation(alpha, 1.0).cell
    flat, unravel = ravel_pytree(cell)
    return unravel(flat + jnp.asarray(0.05 * np.random.default_rng(0).normal(size=flat.shape)))


def near_fold():
    cell = library.jordan_rotation(0.0, 1.0).cell
    cell = eqx.tree_at(
        lambda c: (c.U_c, c.U_r, c.b_r),
        cell,
        (jnp.array([[4.0, 0.3], [0.2, 0.5]]), jnp.diag(jnp.array([2.0, 1.0])), jnp.array([0.5, 0.0])),
    )
    flat, unravel = ravel_pytree(cell)
    return unravel(flat + jnp.asarray(0.05 * np.random.default_rng(0).normal(size=flat.shape)))


def hopf_family(cell):
    return FunctionFamily(amplified, CellFlow(cell), 3.7)


def circle_family(cell):
    return FunctionFamily(amplified, CellMap(cell), 2.5)


def fold_family(cell):
    return Family(CellFlow(cell), bias, 0)


def numbers(point):
    return jnp.concatenate([point.mu[None], point.state, point.omega[None], point.coefficient[None]])


@pytest.mark.parametrize(
    ("make", "event", "cell", "state", "mu"),
    [
        (fold_family, Fold(), near_fold(), (0.87, 0.3), -1.8),
        pytest.param(hopf_family, Hopf(), near_rotation(1.0), (0.0, 0.0), 3.7, marks=pytest.mark.slow),
        pytest.param(circle_family, NeimarkSacker(), near_rotation(1.0), (0.0, 0.0), 2.55, marks=pytest.mark.slow),
    ],
)
def test_derivatives_in_every_weight(make, event, cell, state, mu):
    theta, unravel = ravel_pytree(cell)
    start = locate(make(cell), event, state=jnp.array(state), mu=mu)

    def of(theta):
        where = {"state": start.state, "mu": start.mu, "omega": start.omega if event.has_frequency else None}
        point = locate(make(unravel(theta)), event, throw=False, **where)
        return numbers(point), point.result == gd.RESULTS.successful

    @jax.jit
    def everything(theta):
        step = 1e-5
        moves = step * jnp.eye(theta.size)
        (up, fine), (down, good) = (jax.vmap(of)(theta[None] + sign * moves) for sign in (1, -1))
        differences = ((up - down) / (2 * step)).T
        reverse, forward = (jac(lambda t: of(t)[0])(theta) for jac in (jax.jacrev, jax.jacfwd))
        return reverse, forward, differences, jnp.all(fine & good)

    reverse, forward, differences, located = everything(theta)
    assert located
    np.testing.assert_allclose(reverse, forward, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(reverse, differences, rtol=1e-6, atol=1e-7)
    moving = np.abs(differences).max(axis=1) > 1e-3
    np.testing.assert_array_equal(moving, [True, True, True, event.has_frequency, True])


# Training ------------------------------------------------------------------------------------------


@eqx.filter_jit
def put_hopf(theta, unravel, target, last):
    """One step of least length towards a Hopf point at `target`."""

    def gap(theta):
        d = bifurcation_distance(hopf_family(unravel(theta)), Hopf(), state=jnp.zeros(2), mu=target, near=last)
        return d.parameter, d

    (value, d), slope = jax.value_and_grad(gap, has_aux=True)(theta)
    return theta - value * slope / jnp.sum(slope**2), d


def test_training_puts_a_hopf_point_where_it_is_wanted():
    cell, target = near_rotation(1.0), 2.9
    theta, unravel = ravel_pytree(cell)
    unravel = jax.tree_util.Partial(unravel)
    last = locate(hopf_family(cell), Hopf(), state=jnp.zeros(2), mu=3.7)
    before = abs(float(last.mu) - target)
    gaps = []
    for _ in range(8):
        theta, d = put_hopf(theta, unravel, jnp.asarray(target), last)
        last = d.located
        gaps.append(abs(float(d.parameter)))
    assert gaps[0] == pytest.approx(before, abs=1e-9)
    assert before > 0.5
    assert gaps[-1] < 1e-9
    system = hopf_family(unravel(theta))(target)
    values = np.linalg.eigvals(np.asarray(system.jacobian(jnp.asarray(polish(system, np.zeros(2))))))
    near(values.real, 0, 1e-8)
    near(np.abs(values.imag), last.omega, 1e-8)
    near(d.margin, 0, 1e-8)


@eqx.filter_jit
def leave_fold(theta, unravel, state, wanted):
    def short(theta):
        d = bifurcation_distance(fold_family(unravel(theta)), Fold(), state=state)
        return jax.nn.relu(wanted - d.margin), d.margin

    (value, margin), slope = jax.value_and_grad(short, has_aux=True)(theta)
    return theta - value * slope / (jnp.sum(slope**2) + 1e-12), margin


def test_training_keeps_a_fold_away():
    """The margin, the smallest singular value of the residual's Jacobian, rises from 0.05 to 0.3 and more."""
    cell = near_fold()
    fold = locate(fold_family(cell), Fold(), state=jnp.array([0.87, 0.3]), mu=-1.8)
    cell = fold_family(cell)(fold.mu + 0.01).cell
    state = jnp.asarray(polish(CellFlow(cell), fold.state + jnp.array([0.1, 0.0])))
    theta, unravel = ravel_pytree(cell)
    unravel = jax.tree_util.Partial(unravel)
    margins = []
    for _ in range(20):
        theta, margin = leave_fold(theta, unravel, state, 0.35)
        margins.append(float(margin))
        system = CellFlow(unravel(theta))
        state = jnp.asarray(polish(system, state))
    assert margins[0] < 0.2
    assert margins[-1] > 0.3
    smallest = np.linalg.svd(np.asarray(system.residual_jacobian(state)), compute_uv=False)[-1]
    assert smallest > 0.3
