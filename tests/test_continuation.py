"""Branches of fixed points and what is found on them, against closed forms; no event is ever invented."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gru_dynamics as gd
from gru_dynamics._results import RESULTS
from gru_dynamics.bifurcations import BranchPoint, Fold, Hopf, NeimarkSacker, PeriodDoubling
from gru_dynamics.continuation import (
    Branch,
    End,
    Location,
    Natural,
    PseudoArclength,
    SpecialKind,
    continue_fixed_points,
    extend_branch,
)
from gru_dynamics.systems import Family, FunctionFlow, FunctionMap

# Systems -----------------------------------------------------------------------------------------
#
# A program takes seconds to compile, so the systems of one dimension are one function with a switch in it. `m` is the
# parameter that is continued, `a` and `b` are others.


@jax.jit
def _line(t, s, p):
    m, a, b = p["m"], p["a"], p["b"]
    fields = (
        lambda s: m + a * s - s**3,  # cusp normal form in mu
        lambda s: b + m * s - s**3,  # and in l: a pitchfork for b = 0
        lambda s: m * s - s**2,  # transcritical
        lambda s: s**2 + m**2 - 1,  # an isola, the unit circle
        lambda s: -s + jnp.tanh(a * s + m),  # one unit
        lambda s: m**2 - s - s**3,  # even in the parameter
        lambda s: s * (m - (s - a) ** 2 + a**2),  # transcritical at 0, fold at -a^2
    )
    return jax.lax.switch(p["case"], fields, s)


@jax.jit
def _plane(t, s, p):
    m, a = p["m"], p["a"]
    x, y = s

    def rotation(s):
        turned = jnp.stack([jnp.cos(a) * x - jnp.sin(a) * y, jnp.sin(a) * x + jnp.cos(a) * y])
        return -s + jnp.tanh(m * turned)

    fields = (
        lambda s: jnp.stack([a - (m + 1) * x + x * x * y, m * x - x * x * y]),  # Brusselator
        lambda s: jnp.stack([x - x**3 / 3 - y + m, 0.08 * (x + 0.7 - 0.8 * y)]),  # FitzHugh-Nagumo
        rotation,
        lambda s: jnp.stack([y, m * (1 - x**2) * y - x]),  # van der Pol
        lambda s: (m - jnp.stack([0.0 * a, a])) * s - s**3,  # two pitchforks, at 0 and a
    )
    return jax.lax.switch(p["case"], fields, s)


@jax.jit
def _henon_and_others(s, p):
    m, a = p["m"], p["a"]
    x, y = s
    steps = (
        lambda s: jnp.stack([1 - m * x * x + y, a * x]),  # Henon
        lambda s: jnp.stack([m * x * (1 - y), x]),  # delayed logistic
        lambda s: jnp.tanh(m * jnp.stack([jnp.cos(a) * x - jnp.sin(a) * y, jnp.sin(a) * x + jnp.cos(a) * y])),
        lambda s: jnp.stack([m * x * (1 - x), 0.5 * y]),  # logistic
        lambda s: jnp.stack([a * x + (1 - a) * jnp.tanh(m * x), 0.5 * y]),  # one unit with a constant gate
    )
    return jax.lax.switch(p["case"], steps, s)


def _parameter(system):
    return system.args["m"]


def family(make, function, case, a=0.0, b=0.0):
    arguments = {"m": jnp.zeros(()), "a": jnp.asarray(float(a)), "b": jnp.asarray(float(b)), "case": jnp.asarray(case)}
    return Family(make(function, arguments), _parameter)


def line(case, **others):
    return family(FunctionFlow, _line, case, **others)


def plane(case, **others):
    return family(FunctionFlow, _plane, case, **others)


def step(case, **others):
    return family(FunctionMap, _henon_and_others, case, **others)


FLOW_EVENTS = (Fold(), BranchPoint(), Hopf())
MAP_EVENTS = (Fold(), BranchPoint(), PeriodDoubling(), NeimarkSacker())
CUSP, PITCHFORK, TRANSCRITICAL, ISOLA, UNIT, EVEN, BENT = range(7)
BRUSSELATOR, FITZHUGH_NAGUMO, ROTATION, VAN_DER_POL, TWO_PITCHFORKS = range(5)
HENON, DELAYED_LOGISTIC, ROTATION_MAP, LOGISTIC, GATE = range(5)


class Point(NamedTuple):
    kind: SpecialKind
    mu: float
    state: tuple[float, ...]
    omega: float = 0.0
    coefficient: float | None = None


def follow(fam, state, mu, mu_range, *, num_steps=120, **options) -> Branch:
    events = FLOW_EVENTS if isinstance(fam(jnp.asarray(float(mu))), FunctionFlow) else MAP_EVENTS
    return continue_fixed_points(
        fam, jnp.array(state, float), float(mu), mu_range=mu_range, num_steps=num_steps, events=events, **options
    )


def kinds(branch: Branch) -> list[SpecialKind]:
    points = branch.special_points
    return [SpecialKind(int(k)) for k in np.asarray(points.kind)[np.asarray(points.mask)]]


def check(branch: Branch, expected: list[Point]):
    """These points, in this order, and no other."""
    points = branch.special_points
    assert kinds(branch) == [point.kind for point in expected]
    for row, point in enumerate(expected):
        assert int(points.location[row]) == Location.CONVERGED
        assert float(points.mu[row]) == pytest.approx(point.mu, rel=1e-9, abs=1e-9)
        np.testing.assert_allclose(points.state[row], point.state, rtol=0, atol=1e-7)
        assert float(points.omega[row]) == pytest.approx(point.omega, rel=1e-9)
        assert int(points.multiplicity[row]) == 1
        if point.coefficient is not None:
            assert float(points.coefficient[row]) == pytest.approx(point.coefficient, rel=1e-6, abs=1e-9)


# Exact cases -------------------------------------------------------------------------------------


def test_folds_of_the_cusp_normal_form():
    x, mu = 1 / np.sqrt(3), 2 / 27**0.5
    branch = follow(line(CUSP, a=1), [-1.3], 1.3 - 1.3**3, (-1, 1))
    check(
        branch,
        [Point(SpecialKind.FOLD, mu, (-x,), coefficient=3 * x), Point(SpecialKind.FOLD, -mu, (x,), coefficient=-3 * x)],
    )


@pytest.mark.parametrize("w", [2.0, 4.0])
def test_folds_of_a_tanh_unit(w):
    h = np.sqrt(1 - 1 / w)
    b = w * h - np.arctanh(h)
    start = -0.99
    branch = follow(line(UNIT, a=w), [start], np.arctanh(start) - w * start, (-3, 3))
    expected = [
        Point(SpecialKind.FOLD, b, (-h,), coefficient=w * h),
        Point(SpecialKind.FOLD, -b, (h,), coefficient=-w * h),
    ]
    check(branch, expected)


def test_branch_points():
    pitchfork = Point(SpecialKind.PITCHFORK, 0.0, (0.0,), coefficient=-1)
    check(follow(line(PITCHFORK), [0.0], -0.5, (-1, 1)), [pitchfork])
    check(follow(line(PITCHFORK), [0.5], 0.25, (-1, 1)), [pitchfork])
    check(
        follow(line(TRANSCRITICAL), [0.0], -0.5, (-1, 1)),
        [Point(SpecialKind.TRANSCRITICAL, 0.0, (0.0,), coefficient=-1)],
    )


def test_hopf_points():
    A = 1.3
    l1 = -(2 + A * A) / (2 * A * (1 + 2 * A * A))
    branch = follow(plane(BRUSSELATOR, a=A), [A, 1.5 / A], 1.5, (1, 4))
    check(branch, [Point(SpecialKind.HOPF, 1 + A * A, (A, (1 + A * A) / A), A, l1)])
    theta = 0.7
    branch = follow(plane(ROTATION, a=theta), [0.0, 0.0], 1.0, (0.5, 2))
    check(branch, [Point(SpecialKind.HOPF, 1 / np.cos(theta), (0.0, 0.0), np.tan(theta), -1 / np.sin(2 * theta))])
    omega, v = np.sqrt(0.08 - 0.064**2), np.sqrt(0.936)
    expected = [Point(SpecialKind.HOPF, x**3 / 3 - x + (x + 0.7) / 0.8, (x, (x + 0.7) / 0.8), omega) for x in (-v, v)]
    branch = follow(plane(FITZHUGH_NAGUMO), [-1.1994, -0.6243], 0.0, (-0.5, 2))
    check(branch, expected)
    assert expected[0].mu == pytest.approx(0.3312813375, abs=1e-10)
    assert (np.asarray(branch.special_points.coefficient)[:2] > 0).all()


def test_maps():
    b = 0.3
    a = -((1 - b) ** 2) / 4
    at = -(1 - b) / (2 * a)
    first = [
        Point(SpecialKind.FOLD, a, (at, b * at)),
        Point(SpecialKind.PERIOD_DOUBLING, 3 * (1 - b) ** 2 / 4, (2 / (3 * (1 - b)), 2 * b / (3 * (1 - b)))),
    ]
    start = (-(1 - b) + np.sqrt((1 - b) ** 2 + 4 * 0.1)) / (2 * 0.1)
    branch = follow(step(HENON, a=b), [start, b * start], 0.1, (-0.2, 1.0))
    assert sorted(kinds(branch)) == sorted(point.kind for point in first)
    points = branch.special_points
    order = np.argsort(np.asarray(points.mu)[:2])
    np.testing.assert_allclose(np.asarray(points.mu)[order], [point.mu for point in first], rtol=0, atol=1e-9)
    check(
        follow(step(DELAYED_LOGISTIC), [1 - 1 / 1.7] * 2, 1.7, (1.4, 2.2)),
        [Point(SpecialKind.NEIMARK_SACKER, 2.0, (0.5, 0.5), np.pi / 3, -1)],
    )
    check(
        follow(step(ROTATION_MAP, a=0.7), [0.0, 0.0], 0.5, (0.2, 1.5)),
        [Point(SpecialKind.NEIMARK_SACKER, 1.0, (0.0, 0.0), 0.7, -0.5)],
    )
    check(
        follow(step(LOGISTIC), [0.5, 0.0], 2.0, (0.5, 3.4)),
        [
            Point(SpecialKind.TRANSCRITICAL, 1.0, (0.0, 0.0), coefficient=-1),
            Point(SpecialKind.PERIOD_DOUBLING, 3.0, (2 / 3, 0.0), coefficient=9),
        ],
    )
    z = 0.5
    w = -(1 + z) / (1 - z)
    check(
        follow(step(GATE, a=z), [0.0, 0.0], 0.0, (-4, 2)),
        [
            Point(SpecialKind.PERIOD_DOUBLING, w, (0.0, 0.0), coefficient=-(1 - z) * w**3 / 3),
            Point(SpecialKind.PITCHFORK, 1.0, (0.0, 0.0)),
        ],
    )


# Several events within one step --------------------------------------------------------------------


@pytest.mark.parametrize("width", [1.0, 50.0, 1000.0])
def test_a_hopf_point_is_found_whatever_the_width_of_the_range(width):
    """The pair of van der Pol is complex for |mu| < 2 only, less than a step of the widest range."""
    check(
        follow(plane(VAN_DER_POL), [0.0, 0.0], -0.5, (-width, width)), [Point(SpecialKind.HOPF, 0.0, (0.0, 0.0), 1.0)]
    )


@pytest.mark.parametrize("gap", [0.3, 0.01, 0.001])
def test_near_branch_points_are_told_apart(gap):
    branch = follow(plane(TWO_PITCHFORKS, a=gap), [0.0, 0.0], -0.5, (-1, 1))
    # The kind is told by a normal form, which belongs to a point that is alone within its step.
    assert set(kinds(branch)) <= {SpecialKind.PITCHFORK, SpecialKind.BRANCH_POINT}
    points = branch.special_points
    np.testing.assert_allclose(np.asarray(points.mu)[np.asarray(points.mask)], [0, gap], rtol=0, atol=1e-9)
    assert (np.asarray(points.location)[np.asarray(points.mask)] == Location.CONVERGED).all()


@pytest.mark.parametrize("bend", [0.1, 0.01])
def test_a_fold_next_to_a_branch_point(bend):
    branch = follow(line(BENT, a=bend), [0.5], (0.5 - bend) ** 2 - bend**2, (-1, 1))
    found = sorted(zip(kinds(branch), np.asarray(branch.special_points.mu), strict=False))
    assert [kind for kind, _ in found] == [SpecialKind.FOLD, SpecialKind.TRANSCRITICAL]
    np.testing.assert_allclose([mu for _, mu in found], [-(bend**2), 0.0], rtol=0, atol=1e-9)


# Ends ----------------------------------------------------------------------------------------------


def test_an_isola_is_closed_with_two_folds():
    branch = follow(line(ISOLA), [0.8], 0.6, (-2, 2))
    assert bool(branch.closed)
    assert kinds(branch) == [SpecialKind.FOLD] * 2
    np.testing.assert_allclose(np.sort(np.asarray(branch.special_points.mu)[:2]), [-1, 1], rtol=0, atol=1e-9)
    rows = np.flatnonzero(np.asarray(branch.mask))
    np.testing.assert_array_equal(branch.state[rows[0]], branch.state[rows[-1]])
    assert (np.asarray(branch.end) == End.CLOSED).all()


@pytest.mark.slow
@pytest.mark.parametrize("first", [60, 115])
def test_an_isola_that_is_closed_after_a_pause(first):
    whole = follow(line(ISOLA), [0.8], 0.6, (-2, 2), num_steps=first + 60)
    half = follow(line(ISOLA), [0.8], 0.6, (-2, 2), num_steps=first)
    assert not bool(half.closed)
    joined = extend_branch(line(ISOLA), half, mu_range=(-2, 2), num_steps=60, events=FLOW_EVENTS)
    assert bool(joined.closed)
    for ours, theirs in zip(*(jax.tree.leaves((b.mu, b.mask, b.special_points)) for b in (joined, whole)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_another_sheet_near_the_start_is_no_return():
    """The three sheets are 0.02 apart, less than a step."""
    l = 3e-4
    fold = 2 * (l / 3) ** 1.5
    branch = follow(line(CUSP, a=l), [-(l**0.5)], 0.0, (-3 * fold, 3 * fold))
    assert not bool(branch.closed)
    assert (np.asarray(branch.end) == End.RANGE).all()
    assert kinds(branch) == [SpecialKind.FOLD] * 2


def test_a_start_at_a_fold():
    branch = follow(line(ISOLA), [0.0], 1.0, (-2, 2))
    assert bool(branch.closed)
    assert kinds(branch) == [SpecialKind.FOLD] * 2


@pytest.mark.parametrize(("tangent", "lowest"), [((0.0, 1.0), -1.0), ((1.0, 0.0), 0.0)])
def test_a_start_at_a_branch_point(tangent, lowest):
    """Where `tangent` chooses the branch."""
    branch = follow(line(PITCHFORK), [0.0], 0.0, (-1, 1), tangent=jnp.array(tangent))
    assert branch.result == RESULTS.successful
    assert (np.asarray(branch.end) == End.RANGE).all()
    assert float(jnp.min(jnp.where(branch.mask, branch.mu, jnp.inf))) == pytest.approx(lowest, abs=1e-9)
    if lowest < 0:
        check(branch, [Point(SpecialKind.PITCHFORK, 0.0, (0.0,))])


def test_an_even_family_from_the_end_of_its_range():
    branch = follow(line(EVEN), [0.6823278038280193], 1.0, (-1, 1))
    assert branch.result == RESULTS.successful
    assert kinds(branch) == []
    np.testing.assert_allclose(branch.mu[np.flatnonzero(np.asarray(branch.mask))[[0, -1]]], [-1, 1], rtol=0, atol=0)


def test_natural_continuation_stops_at_a_fold():
    start = jnp.array([-1.3]), 1.3 - 1.3**3
    branch = continue_fixed_points(line(CUSP, a=1), *start, mu_range=(-1, 1), num_steps=120, method=Natural())
    assert branch.result == RESULTS.step_too_small
    assert float(jnp.max(jnp.where(branch.mask, branch.mu, -jnp.inf))) == pytest.approx(2 / 27**0.5, abs=1e-6)


# Pausing ---------------------------------------------------------------------------------------------


def test_pause_and_resume(tmp_path):
    """Bit for bit, also through a file."""
    fam, options = line(CUSP, a=1), {"mu_range": (-1.0, 1.0), "events": FLOW_EVENTS}
    start = jnp.array([-1.3]), 1.3 - 1.3**3
    whole = continue_fixed_points(fam, *start, num_steps=120, **options)
    half = continue_fixed_points(fam, *start, num_steps=60, **options)
    assert half.result == RESULTS.steps_spent
    eqx.tree_serialise_leaves(tmp_path / "branch.eqx", half)
    again = eqx.tree_deserialise_leaves(tmp_path / "branch.eqx", half)
    joined = extend_branch(fam, again, num_steps=60, **options)
    for name in ("mu", "state", "mask", "tangent", "eigenvalues", "special_points", "end"):
        for ours, theirs in zip(*(jax.tree.leaves(getattr(b, name)) for b in (joined, whole)), strict=True):
            rows = np.asarray(whole.mask) if ours.shape[:1] == whole.mask.shape else slice(None)
            np.testing.assert_array_equal(np.asarray(ours)[rows], np.asarray(theirs)[rows])


# Batches, programs, cells and precisions ---------------------------------------------------------------


@jax.jit
def batch_of_units(w, start, b):
    def one(w, start, b):
        fam = Family(FunctionFlow(_line, {"m": b, "a": w, "b": 0 * w, "case": jnp.asarray(UNIT)}), _parameter)
        return continue_fixed_points(fam, start, b, mu_range=(-3, 3), num_steps=120, events=(Fold(),), throw=False)

    return jax.vmap(one)(w, start, b)


def test_a_batch_under_jit():
    """Units with weights below and above the cusp at w = 1 in one program, each with its own folds."""
    w = np.array([0.5, 1.5, 2.0, 4.0])
    h = np.tanh(-2.0)
    branch = batch_of_units(jnp.asarray(w), jnp.full((4, 1), h), jnp.asarray(-2.0 - w * h))
    assert (np.asarray(branch.end) == End.RANGE).all()
    points = branch.special_points
    for k in range(4):
        found = np.asarray(points.mu)[k][np.asarray(points.mask)[k]]
        at = np.sqrt(1 - 1 / w[k]) if w[k] > 1 else np.nan
        expected = [s * (w[k] * at - np.arctanh(at)) for s in (1, -1)] if w[k] > 1 else []
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
        rows = np.asarray(branch.mask)[k]
        x, b = np.asarray(branch.state)[k][rows, 0], np.asarray(branch.mu)[k][rows]
        np.testing.assert_allclose(b, np.arctanh(x) - w[k] * x, rtol=0, atol=1e-9)


def test_other_numbers_are_not_another_program():
    traced = []

    def field(t, s, p):
        traced.append(1)
        return p["m"] - p["a"] * s

    def run(a, mu, end, step):
        fam = Family(FunctionFlow(field, {"m": jnp.zeros(()), "a": jnp.asarray(a)}), _parameter)
        method = PseudoArclength(max_step=step, tolerance=step * 1e-10)
        return continue_fixed_points(fam, jnp.array([mu / a]), mu, mu_range=(-1.0, end), num_steps=60, method=method)

    run(1.0, 0.0, 1.0, 0.03)
    first = len(traced)
    branch = run(2.0, 0.5, 1.5, 0.05)
    # `family(mu)` itself is called once outside, which evaluates no field.
    assert len(traced) == first > 0
    assert float(branch.mu[np.flatnonzero(np.asarray(branch.mask))[-1]]) == 1.5


def _lowest_bias(system):
    cell = system.cell.layers[0] if isinstance(system.cell, gd.StackedCell) else system.cell
    return cell.b_c if isinstance(cell, gd.GRUCell) else cell.b_g


def cells():
    keys = jax.random.split(jax.random.key(0), 3)
    return {
        "lstm": gd.LSTMCell(0, 2, key=keys[0]),
        "stack": gd.StackedCell([gd.GRUCell(0, 2, key=keys[1]), gd.LSTMCell(2, 1, key=keys[2])]),
    }


@pytest.mark.parametrize("name", ["lstm", "stack"])
def test_cells_whose_state_is_larger_than_their_resting_state(name):
    """Every row is a fixed point of the map itself, with the eigenvalues of its whole Jacobian."""
    cell = jax.tree.map(lambda x: 3 * x if eqx.is_array(x) else x, cells()[name])
    fam = Family(gd.CellMap(cell), _lowest_bias, 0)
    settled = jax.lax.fori_loop(0, 500, lambda _, x: fam(-1.0)(x), jnp.zeros(4))
    start = gd.fixed_point(fam(-1.0), settled)
    branch = continue_fixed_points(fam, start, -1.0, mu_range=(-2.0, 2.0), num_steps=60)
    rows = np.flatnonzero(np.asarray(branch.mask))
    assert rows.size > 20
    for row in rows[:: rows.size // 5]:
        system, state = fam(branch.mu[row]), branch.state[row]
        np.testing.assert_allclose(system(state), state, rtol=0, atol=1e-10)
        values = np.linalg.eigvals(np.asarray(jax.jacfwd(system)(state)))
        ours = np.asarray(branch.eigenvalues[row])
        np.testing.assert_allclose(np.sort(np.abs(ours)), np.sort(np.abs(values)), rtol=0, atol=1e-7)
        assert int(branch.unstable_dim[row]) == int(np.sum(np.abs(values) > 1))


def test_single_precision():
    w = 2.0
    fam = jax.tree.map(lambda x: x.astype(jnp.float32) if eqx.is_inexact_array(x) else x, line(UNIT, a=w))
    h = np.sqrt(1 - 1 / w)
    start = np.float32(-0.99)
    branch = continue_fixed_points(
        fam, jnp.asarray([start]), float(np.arctanh(start) - w * start), mu_range=(-3, 3), events=(Fold(),)
    )
    assert branch.mu.dtype == branch.state.dtype == branch.special_points.mu.dtype == jnp.float32
    assert kinds(branch) == [SpecialKind.FOLD] * 2
    found = branch.special_points
    b = w * h - np.arctanh(h)
    np.testing.assert_allclose(found.mu[:2], [b, -b], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.state[:2, 0], [-h, h], rtol=0, atol=3e-4)
