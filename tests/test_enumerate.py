"""Every fixed point with proof, against systems whose fixed points are known, and against the search from guesses.

Systems of one structure and size share one compilation, so the tests draw all they need from few structures: one-unit,
three-unit and six-unit Elman cells, two-unit GRUs singly and in one large batch, and quadratic vector fields.
"""

import functools
import itertools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from catalogue import TANH_2, TANH_3
from flint import arb, ctx

import gru_dynamics as gd
from gru_dynamics import RESULTS, Completeness, Kind
from gru_dynamics.fixed_points import _krawczyk
from gru_dynamics.fixed_points._enumeration import NO_BOUND
from gru_dynamics.linalg import Interval
from gru_dynamics.linalg.intervals import _functions, _interval, _rounding

CERTIFIED, INCOMPLETE = Completeness.CERTIFIED, Completeness.INCOMPLETE
FOLD_2 = math.atanh(math.sqrt(0.5)) - math.sqrt(2)  # b at the fold of h = tanh(2 h + b), -0.5328399754


# Systems -------------------------------------------------------------------------------------------


@functools.cache
def _elman(n):
    return gd.ElmanCell(0, n, key=jr.key(0))


def elman(U, b):
    return eqx.tree_at(lambda c: (c.U, c.b), _elman(len(b)), (jnp.asarray(U, float), jnp.asarray(b, float)))


def elman_map(U, b=None):
    U = np.atleast_2d(np.asarray(U, float))
    return gd.CellMap(elman(U, np.zeros(len(U)) if b is None else np.asarray(b, float)))


@functools.cache
def _gru(reset):
    return gd.GRUCell(0, 2, reset=reset, key=jr.key(0))


def with_fields(cell, new):
    names = tuple(new)
    values = tuple(jnp.asarray(value) for value in new.values())
    return eqx.tree_at(lambda c: tuple(getattr(c, name) for name in names), cell, values)


def gru_flow(U_c, b_c=(0.0, 0.0), U_r=((0.0, 0.0), (0.0, 0.0)), b_r=(0.0, 0.0)):
    """Two-unit GRU, reset before, keep gate 1/2."""
    new = {"U_c": U_c, "b_c": b_c, "U_r": U_r, "b_r": b_r, "U_z": np.zeros((2, 2)), "b_z": np.zeros(2)}
    return gd.CellFlow(with_fields(_gru("before"), new))


CASES = [case for case in gd.library.jordan_cases() if case != "fig:4a"]  # a curve of points, nearly
BATCH = 5000


@functools.cache
def named_systems(reset):
    """Systems at the head of the batch, by name."""
    if reset == "after":
        products = [gd.library.product_gru(2, key=jr.key(seed)).cell for seed in range(3)]
        zeros = {name: jnp.zeros(2) for name in ("b_r", "b_z", "b_c", "b_hc")}
        fields = [{name: getattr(cell, name) for name in ("U_r", "U_z", "U_c")} | zeros for cell in products]
        named = {f"product {n}": gd.CellFlow(with_fields(_gru("after"), new)) for n, new in enumerate(fields)}
        broken = eqx.tree_at(lambda f: f.cell.U_c, named["product 0"], jnp.full((2, 2), jnp.nan))
        return {**named, "nan": broken}
    return {
        **{case: gd.library.jordan(case) for case in CASES},
        "bistable": gru_flow(4 * np.eye(2)),
        "pitchforks": gru_flow(np.diag([2.0, 4.0])),
    }


@functools.cache
def random_grus(reset):
    """`BATCH` two-unit GRUs with gains 0.5 to 4 and biases, stacked, `named_systems` first."""
    rng = np.random.default_rng(0)
    gain = rng.uniform(0.5, 4, BATCH)

    def fill(leaf):
        return rng.normal(size=(BATCH, *leaf.shape)) * gain.reshape((BATCH,) + (1,) * leaf.ndim)

    flow = gd.CellFlow(_gru(reset))
    flows = eqx.tree_at(lambda f: (f.cell, f.tau), flow, (jax.tree.map(fill, _gru(reset)), np.ones(BATCH)))
    for n, system in enumerate(named_systems(reset).values()):
        jax.tree.map(lambda rows, one, n=n: rows.__setitem__(n, np.asarray(one)), flows, system)
    return jax.tree.map(jnp.asarray, flows)


@eqx.filter_jit
def _enumerate_all(systems):
    return eqx.filter_vmap(lambda system: gd.enumerate_fixed_points(system, max_points=16, throw=False))(systems)


@eqx.filter_jit
def _find_all(systems):
    guesses = gd.UniformGuesses(num=64)
    return eqx.filter_vmap(
        lambda s: gd.find_fixed_points(s, guesses, key=jr.key(1), max_points=16, max_reseeds=2, throw=False)
    )(systems)


@functools.cache
def all_enumerated(reset):
    return _enumerate_all(random_grus(reset))


def arrays(tree, *names):
    return (np.asarray(getattr(tree, name)) for name in names)


def pick(tree, number):
    return jax.tree.map(lambda leaf: leaf[number] if eqx.is_array(leaf) else leaf, tree)


def case(name, reset="before"):
    return pick(all_enumerated(reset), list(named_systems(reset)).index(name))


# Helpers -------------------------------------------------------------------------------------------


def points_of(enumeration):
    return np.asarray(enumeration.state)[np.asarray(enumeration.mask)]


def kinds_of(enumeration):
    """Numbers of sinks, saddles, sources."""
    kind = np.asarray(enumeration.kind)[np.asarray(enumeration.mask)]
    return tuple(int((kind == k).sum()) for k in (Kind.SINK, Kind.SADDLE, Kind.SOURCE))


def assert_same_points(ours, theirs, atol=1e-9):
    """As sets, one to one."""
    assert len(ours) == len(theirs)
    if len(ours) == 0:
        return
    apart = np.max(np.abs(np.asarray(ours)[:, None] - np.asarray(theirs)[None]), axis=-1)
    assert (np.sort(apart, axis=1)[:, 0] < atol).all()
    assert len(set(np.argmin(apart, axis=1).tolist())) == len(theirs)


def assert_boxes_hold(enumeration, states):
    """Each of the points, known to about 1e-13, lies in one proven box."""
    lower, upper, mask = arrays(enumeration, "lower", "upper", "mask")
    inside = (states[:, None] >= lower[mask] - 1e-12) & (states[:, None] <= upper[mask] + 1e-12)
    assert (inside.all(axis=-1).sum(axis=1) == 1).all()


def assert_honest(enumeration, truth=None):
    """What must hold of every answer, complete or not."""
    mask = np.asarray(enumeration.mask)
    low, high = (int(x) for x in np.asarray(enumeration.count))
    assert np.asarray(enumeration.points.proven)[mask].all()
    assert not np.asarray(enumeration.points.proven)[~mask].any()
    assert (np.asarray(enumeration.lower)[mask] <= np.asarray(enumeration.upper)[mask]).all()
    assert int(enumeration.complete) in (CERTIFIED, INCOMPLETE)
    assert low <= high
    if int(enumeration.complete) == CERTIFIED:
        assert low == high == mask.sum()
    if truth is not None:
        assert low <= truth <= high


def assert_complete(enumeration, states=None):
    assert_honest(enumeration)
    assert int(enumeration.complete) == CERTIFIED
    assert bool(enumeration.result == RESULTS.successful)
    assert np.asarray(enumeration.kind_proven)[np.asarray(enumeration.mask)].all()
    if states is not None:
        assert_same_points(points_of(enumeration), states)
        assert_boxes_hold(enumeration, np.asarray(states, float))


def index_total(enumeration):
    """Sum of the indices of the proven points and the degrees of the clusters; `None` unless all are proven."""
    used, degree, proven = arrays(enumeration.clusters, "mask", "degree", "degree_proven")
    if not proven[used].all():
        return None
    index = np.asarray(enumeration.points.index)[np.asarray(enumeration.mask)]
    return int(index.sum()) + int(degree[used].sum())


# Known systems -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_decoupled_units_have_three_to_the_n_points(n):
    """n bistable units beside 6 - n units with one point each."""
    found = gd.enumerate_fixed_points(elman_map(np.diag([2.0] * n + [0.5] * (6 - n))))
    grid = np.array(list(itertools.product((-TANH_2, 0.0, TANH_2), repeat=n)))
    assert_complete(found, np.pad(grid, ((0, 0), (0, 6 - n))))
    unstable = np.asarray(found.unstable_dim)[np.asarray(found.mask)]
    assert np.bincount(unstable).tolist() == [math.comb(n, k) * 2 ** (n - k) for k in range(n + 1)]
    assert int(found.index_sum) == 1
    assert np.asarray(found.points.radius)[np.asarray(found.mask)].max() < 1e-13


def test_decoupled_units_with_weight_three():
    found = gd.enumerate_fixed_points(elman_map(np.diag([3.0, 3.0, 0.5, 0.5, 0.5, 0.5])))
    grid = np.array(list(itertools.product((-TANH_3, 0.0, TANH_3), repeat=2)))
    assert_complete(found, np.pad(grid, ((0, 0), (0, 4))))


@pytest.mark.slow
def test_product_gru_has_the_same_points_whatever_its_update_gate():
    grid = np.array(list(itertools.product((-TANH_2, 0.0, TANH_2), repeat=2)))
    for seed in range(3):
        found = case(f"product {seed}", "after")
        assert_complete(found, grid)
        assert kinds_of(found) == (4, 4, 1)


def _monomials(s):
    x, y = s[0], s[1]
    return [x * 0.0 + 1.0, x, y, x * x, x * y, y * y]


def _quadratic(t, s, coefficients):
    return coefficients @ jnp.stack(_monomials(s))


def _quadratic_enclosure(s, coefficients):
    x, y = s[0], s[1]
    terms = [x * 0.0 + 1.0, x, y, x.square, x * y, y.square]
    zero = x * 0.0
    in_x = [zero, zero + 1.0, zero, 2.0 * x, y, zero]
    in_y = [zero, zero, zero + 1.0, zero, x, 2.0 * y]

    def combine(basis):
        column = jax.tree.map(lambda *leaves: jnp.stack(leaves), *basis)
        return gd.linalg.intervals.matvec(coefficients, column)

    columns = combine(in_x), combine(in_y)
    return combine(terms), jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=1), *columns)


def quadratic(*rows):
    """The flow of two quadratic polynomials with coefficients of 1, x, y, x^2, x y, y^2."""
    return gd.FunctionFlow(_quadratic, jnp.asarray(rows, float), enclosure=_quadratic_enclosure)


def test_circle_and_line_meet_exactly_twice():
    system = quadratic([-1, 0, 0, 1, 0, 1], [0, -2, 1, 0, 0, 0])
    root = 1 / math.sqrt(5)
    found = gd.enumerate_fixed_points(system, (np.full(2, -3.0), np.full(2, 4.0)))
    assert_complete(found, [[root, 2 * root], [-root, -2 * root]])


def test_henon():
    found = gd.enumerate_fixed_points(
        quadratic([1, -1, 1, -1.4, 0, 0], [0, 0.3, -1, 0, 0, 0]), (np.full(2, -5.0), np.full(2, 5.0))
    )
    x = np.array([0.6313544771, -1.1313544771])
    assert_honest(found)
    assert int(found.complete) == CERTIFIED
    assert_same_points(points_of(found), np.stack([x, 0.3 * x], axis=1), 1e-9)


def test_circle_and_distant_line_do_not_meet():
    system = quadratic([-1, 0, 0, 1, 0, 1], [-1.5, 0, 1, 0, 0, 0])
    assert_complete(gd.enumerate_fixed_points(system, (np.full(2, -3.0), np.full(2, 4.0))), np.zeros((0, 2)))


def test_tangent_line_is_one_cluster_of_degree_zero():
    system = quadratic([-1, 0, 0, 1, 0, 1], [-1, 0, 1, 0, 0, 0])
    found = gd.enumerate_fixed_points(system, (np.full(2, -3.0), np.full(2, 4.0)))
    assert_honest(found, truth=1)
    assert int(found.num_clusters) == 1
    assert (int(found.clusters.degree[0]), bool(found.clusters.degree_proven[0])) == (0, True)
    assert tuple(np.asarray(found.count)) == (0, NO_BOUND)


def _cusps(t, s, args):
    return args["mu"] + args["l"] * s - s**3


def _cusps_enclosure(s, args):
    squared = s.square
    value = args["mu"] + s * (args["l"] - squared)
    return value, (args["l"] - 3.0 * squared)[:, None] * jnp.eye(3)


def cusps(mu, l):
    """Three decoupled units `x' = mu + l x - x^3`."""
    ends = np.full(3, 2.0)
    args = {"mu": jnp.asarray(mu, float), "l": jnp.asarray(l, float)}
    return gd.FunctionFlow(_cusps, args, bounds=(-ends, ends), enclosure=_cusps_enclosure)


def test_decoupled_cubic_has_27_points():
    found = gd.enumerate_fixed_points(cusps(np.zeros(3), np.ones(3)))
    assert_complete(found, np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=3))))
    unstable = np.asarray(found.unstable_dim)[np.asarray(found.mask)]
    assert np.bincount(unstable).tolist() == [8, 12, 6, 1]
    with pytest.raises(TypeError, match="enclosure="):
        gd.enumerate_fixed_points(gd.library.decoupled_cubic(3))


def test_random_elman_cells_of_gain_two_complete():
    rng = np.random.default_rng(0)
    for n in (2, 6):
        U, b = np.zeros((6, 6)), np.zeros(6)
        U[:n, :n] = 2 * rng.normal(size=(n, n)) / math.sqrt(n)
        b[:n] = 0.1 * rng.normal(size=n)
        system = elman_map(U, b)
        found = gd.enumerate_fixed_points(system)
        assert_honest(found)
        assert int(found.complete) == CERTIFIED
        assert int(found.index_sum) == 1
        assert int(found.count[0]) % 2 == 1
        searched = gd.find_fixed_points(system, gd.UniformGuesses(num=512), key=jr.key(0), max_points=64)
        assert_same_points(points_of(found), np.asarray(searched.state)[np.asarray(searched.mask)])


# Ten thousand random GRUs ----------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [pytest.param("before", marks=pytest.mark.slow), "after"])
def test_ten_thousand_random_grus_agree_with_the_search(reset):
    """Certified counts are odd, indices sum to one, and where the search, too, calls its list consistent, both have
    the same points: one in each proven box, and a proven box at each."""
    ours, theirs = all_enumerated(reset), _find_all(random_grus(reset))
    first = len(named_systems(reset))
    mask, complete, count, state, lower, upper, kind, kind_proven, index_sum = arrays(
        ours, "mask", "complete", "count", "state", "lower", "upper", "kind", "kind_proven", "index_sum"
    )
    certified, number = complete == CERTIFIED, mask.sum(axis=1)
    assert certified[first:].mean() > 0.999
    np.testing.assert_array_equal(count[certified], np.stack([number, number], axis=1)[certified])
    assert (number[certified] % 2 == 1).all()
    assert (index_sum[certified] == 1).all()
    assert (np.asarray(ours.points.proven) == mask).all()
    assert (number[first:] > 1).mean() > 0.05

    seen, seen_kind, seen_state, claimed = arrays(theirs, "mask", "kind", "state", "complete")
    regular = certified & ~(seen & (seen_kind == Kind.DEGENERATE)).any(axis=1)
    assert regular.mean() > 0.98
    apart = np.max(np.abs(state[:, :, None] - seen_state[:, None]), axis=-1)
    apart = np.where(mask[:, :, None] & seen[:, None], apart, np.inf)
    nearest = apart.argmin(axis=1)
    # what the search finds is never a point that the proof excludes, and in one box there is one point
    rows, columns = np.nonzero(seen & regular[:, None])
    box = nearest[rows, columns]
    assert len(set(zip(rows.tolist(), box.tolist(), strict=True))) == len(rows)
    assert (seen_state[rows, columns] >= lower[rows, box] - 1e-8).all()
    assert (seen_state[rows, columns] <= upper[rows, box] + 1e-8).all()
    # every proven point is one, to the last digits
    assert (np.asarray(ours.points.residual)[mask] < 1e-12).all()
    assert (np.asarray(ours.points.radius)[mask & certified[:, None]] < 1e-6).all()
    # the point of the box is anywhere within the radius, so the radius reaches both ends
    reach = np.maximum(upper - state, state - lower).max(axis=-1)
    assert (reach[mask] <= np.asarray(ours.points.radius)[mask]).all()
    proven = kind_proven[rows, box]
    assert proven.mean() > 0.999
    assert (seen_kind[rows, columns] == kind[rows, box])[proven].all()
    # where the search claims that none is missing, it has them all
    both = regular & (claimed == Completeness.CONSISTENT)
    assert both.mean() > 0.95
    missed = both & (seen.sum(axis=1) != number)
    assert missed.sum() == 0, f"{missed.sum()} consistent lists lack points"


@pytest.mark.parametrize("reset", ["before", "after"])
def test_indices_and_degrees_sum_to_one(reset):
    ours = all_enumerated(reset)
    undecided = np.asarray(ours.clusters.mask).any(axis=1) & np.asarray(ours.result != RESULTS.nonfinite_system)
    totals = [index_total(pick(ours, n)) for n in np.flatnonzero(undecided)]
    assert all(total in (None, 1) for total in totals)
    if reset == "before":
        assert totals.count(1) >= 4


# The cases of Jordan, Sokół, Park (2019) -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("table3:ii", (2, 1, 0)),
        ("table3:iii", (2, 2, 1)),
        ("table3:vi", (2, 2, 1)),
        ("table3:xiv", (4, 4, 1)),
        ("table3:xxiv", (4, 3, 0)),
        ("table3:xxxi", (4, 4, 1)),
        ("table3:xxxiii", (5, 4, 0)),
        ("table3:xxxvi", (5, 5, 1)),
        ("fig:2", (4, 4, 1)),
        ("fig:3a", (5, 5, 1)),
        ("fig:5b", (0, 0, 1)),
    ],
)
def test_printed_parameters(name, kinds):
    found = case(name)
    assert_complete(found)
    assert kinds_of(found) == kinds
    assert tuple(np.asarray(found.count)) == (sum(kinds), sum(kinds))


def _gru_residual(flow, h):
    """Residual of the GRU with reset before at a state of two balls."""
    U_r, b_r, U_c, b_c = (x.tolist() for x in arrays(flow.cell, "U_r", "b_r", "U_c", "b_c"))
    rh = [h[i] / (1 + (-(U_r[i][0] * h[0] + U_r[i][1] * h[1] + b_r[i])).exp()) for i in range(2)]
    return [(U_c[i][0] * rh[0] + U_c[i][1] * rh[1] + b_c[i]).tanh() - h[i] for i in range(2)]


def winding(flow, low, high):
    """Turns of the residual along the rectangle, from differences of angles, in 60 digits and on a grid that is refined
    where they are large: next to a degenerate point the residual is tiny and turns within a millionth of a side."""
    (x0, y0), (x1, y1) = ((arb(float(v)) for v in corner) for corner in (low, high))
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]

    def angle(side, t):
        (a, b), (c, d) = corners[side], corners[side + 1]
        u, v = _gru_residual(flow, (a + t * (c - a), b + t * (d - b)))
        scale = max(abs(u), abs(v))
        return math.atan2(float(v / scale), float(u / scale))

    def turned(side, left, right, start, end, depth):
        turn = (end - start + math.pi) % (2 * math.pi) - math.pi
        if abs(turn) < 0.8:
            return turn
        assert depth < 100
        middle = (left + right) / 2
        between = angle(side, middle)
        return turned(side, left, middle, start, between, depth + 1) + turned(
            side, middle, right, between, end, depth + 1
        )

    total = 0.0
    with ctx.workprec(200):
        for side in range(4):
            knots = [arb(k) / 32 for k in range(33)]
            angles = [angle(side, t) for t in knots]
            total += sum(turned(side, knots[k], knots[k + 1], angles[k], angles[k + 1], 0) for k in range(32))
    return round(total / (2 * math.pi))


@pytest.mark.parametrize(
    ("name", "degrees", "lowest"),
    [
        ("table3:iv", [0, 0, 0], 1),
        ("table3:v", [0], 3),
        ("table3:xv", [0, 0, 0], 3),
        ("table3:xviii", [0], 5),
        ("fig:4b", [2], 4),
    ],
)
def test_degenerate_points_become_clusters_with_a_degree(name, degrees, lowest):
    found = case(name)
    used, degree, proven, low, high = arrays(found.clusters, "mask", "degree", "degree_proven", "lower", "upper")
    assert_honest(found)
    assert int(found.complete) == INCOMPLETE
    assert proven[used].all()
    assert degree[used].tolist() == degrees
    assert tuple(np.asarray(found.count)) == (lowest, NO_BOUND)
    assert "undecided cluster" in found.table()
    assert index_total(found) == 1
    if name == "fig:4b":
        assert (low[0] <= 0).all()
        assert (high[0] >= 0).all()


def test_degrees_agree_with_a_fine_winding_number():
    """The winding number around a cluster counts the proven points beside it, too."""
    flows, ours = random_grus("before"), all_enumerated("before")
    used, degree, proven, low, high = arrays(ours.clusters, "mask", "degree", "degree_proven", "lower", "upper")
    mask, state, index = np.asarray(ours.mask), np.asarray(ours.state), np.asarray(ours.points.index)
    checked = 0
    for n, k in zip(*np.nonzero(used & proven), strict=True):
        margin = 10 * np.max(high[n, k] - low[n, k]) + 1e-7
        left, right = low[n, k] - margin, high[n, k] + margin
        near = np.all((low[n] <= right) & (high[n] >= left), axis=1) & used[n]
        if near.sum() > 1:
            continue
        inside = mask[n] & (state[n] > left).all(axis=1) & (state[n] < right).all(axis=1)
        assert winding(pick(flows, n), left, right) == degree[n, k] + index[n][inside].sum()
        checked += 1
    assert checked >= 9


# Degenerate points -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_fold_of_one_unit(sign):
    found = gd.enumerate_fixed_points(elman_map([[2.0]], [sign * FOLD_2]))
    assert abs(FOLD_2) == pytest.approx(0.5328399754, abs=1e-10)
    assert_honest(found)
    assert int(found.complete) == INCOMPLETE
    assert bool(found.result == RESULTS.undecided_cluster)
    assert tuple(np.asarray(found.count)) == (1, NO_BOUND)
    assert int(found.num_clusters) == 1
    assert (int(found.clusters.degree[0]), bool(found.clusters.degree_proven[0])) == (0, True)
    assert float(found.clusters.lower[0, 0]) <= sign * math.sqrt(0.5) <= float(found.clusters.upper[0, 0])
    assert "Lower `min_width`" in found.summary()


@pytest.mark.parametrize(("shift", "number"), [(1e-8, 3), (-1e-8, 1), (1e-4, 3), (-1e-4, 1)])
def test_beside_the_fold_the_count_is_proven(shift, number):
    found = gd.enumerate_fixed_points(elman_map([[2.0]], [FOLD_2 + shift]))
    assert_complete(found)
    assert int(found.count[0]) == number


def test_cusp_and_pitchfork_of_one_unit():
    found = gd.enumerate_fixed_points(elman_map([[1.0]]))
    assert_honest(found, truth=1)
    assert tuple(np.asarray(found.count)) == (1, NO_BOUND)
    assert (int(found.clusters.degree[0]), bool(found.clusters.degree_proven[0])) == (1, True)
    assert_complete(gd.enumerate_fixed_points(elman_map([[1 + 1e-7]])))
    assert int(gd.enumerate_fixed_points(elman_map([[1 + 1e-7]])).count[0]) == 3
    assert_complete(gd.enumerate_fixed_points(elman_map([[1 - 1e-7]])), [[0.0]])


def test_pitchforks_of_two_units():
    """h1 = tanh(h1) beside a bistable unit: three pitchfork points, of degrees 1, -1, 1."""
    found = case("pitchforks")
    assert_honest(found, truth=3)
    degree = np.asarray(found.clusters.degree)[np.asarray(found.clusters.mask)]
    assert np.asarray(found.clusters.degree_proven)[np.asarray(found.clusters.mask)].all()
    assert sorted(degree.tolist()) == [-1, 1, 1]
    assert tuple(np.asarray(found.count)) == (3, NO_BOUND)
    assert index_total(found) == 1


@pytest.mark.parametrize(("shift", "truth"), [(-1e-14, 3), (1e-14, 1)])
def test_near_a_fold_of_three_units_no_point_is_invented(shift, truth):
    """Too near to decide at the default width: the bounds on the count must hold the truth on both sides."""
    fold = 2 / (3 * math.sqrt(3))  # x' = mu + x - x^3 has one point above it
    found = gd.enumerate_fixed_points(cusps([fold + shift, 0.0, 0.0], [1.0, -1.0, -1.0]))
    assert int(found.num_clusters) == 1
    assert_honest(found, truth=truth)


# Limits ----------------------------------------------------------------------------------------------


def test_a_spent_budget_is_an_honest_partial_answer():
    found = gd.enumerate_fixed_points(elman_map(2 * np.eye(6)), max_boxes=2500)
    assert_honest(found, truth=729)
    assert int(found.complete) == INCOMPLETE
    assert bool(found.result == RESULTS.box_budget_spent)
    assert "Raise `max_boxes`" in found.summary()
    assert int(found.count[1]) == NO_BOUND
    assert int(found.num_clusters) > 0
    assert int(found.mask.sum()) > 0
    truth = np.array([-TANH_2, 0.0, TANH_2])
    assert (np.abs(points_of(found)[..., None] - truth).min(axis=-1) < 1e-12).all()


def test_too_few_rows_are_an_honest_partial_answer():
    found = gd.enumerate_fixed_points(elman_map([[2.0]]), max_points=2)
    assert_honest(found, truth=3)
    assert bool(found.result == RESULTS.enumeration_overflow)
    assert "Raise `max_points`" in found.summary()
    assert int(found.mask.sum()) == 2


def test_twelve_units_end_within_the_budget():
    rng = np.random.default_rng(12)
    system = elman_map(1.5 * rng.normal(size=(12, 12)) / math.sqrt(12), 0.1 * rng.normal(size=12))
    found = gd.enumerate_fixed_points(system, max_boxes=2000, max_points=32, max_clusters=4)
    assert_honest(found)
    assert int(found.num_boxes) <= 2000 + 256 * 12
    assert int(found.complete) == INCOMPLETE
    assert bool(found.result == RESULTS.box_budget_spent)
    assert "verify=True" in found.summary()


# Boxes of the user -------------------------------------------------------------------------------------


FOUR = [-0.25, 0, 0, 1, 0, 0], [-0.25, 0, 0, 0, 0, 1]  # x^2 = y^2 = 1/4


def test_a_part_of_the_box_holds_a_part_of_the_points():
    left = gd.enumerate_fixed_points(quadratic(*FOUR), (np.array([-2.0, -2.0]), np.array([0.3, 2.0])))
    assert_complete(left, [[-0.5, -0.5], [-0.5, 0.5]])
    everything = gd.enumerate_fixed_points(quadratic(*FOUR), (np.full(2, -1e6), np.full(2, 1e5)))
    assert_complete(everything, np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]))
    nothing = gd.enumerate_fixed_points(quadratic(*FOUR), (np.full(2, -0.4), np.full(2, 0.4)))
    assert_complete(nothing, np.zeros((0, 2)))


def test_a_face_through_points_leaves_them_open():
    """Whether a point on the face is in the box cannot be told; two others are inside."""
    found = gd.enumerate_fixed_points(quadratic(*FOUR), (np.array([-0.5, -2.0]), np.array([2.0, 2.0])))
    assert_honest(found, truth=4)
    assert int(found.complete) == INCOMPLETE
    assert int(found.count[0]) <= 2
    corner = gd.enumerate_fixed_points(quadratic(*FOUR), (np.full(2, 0.5), np.full(2, 2.0)))
    assert_honest(corner, truth=1)
    assert int(corner.complete) == INCOMPLETE


def test_what_cannot_be_enumerated_says_why():
    unbounded = quadratic([1, -1, 1, -1.4, 0, 0], [0, 0.3, -1, 0, 0, 0])
    with pytest.raises(ValueError, match=r"bounds=\(lower, upper\)"):
        gd.enumerate_fixed_points(unbounded)
    with pytest.raises(ValueError, match="two vectors of length 2"):
        gd.enumerate_fixed_points(gru_flow(np.eye(2)), (np.zeros(3), np.ones(3)))
    with pytest.raises(TypeError, match="LSTMCell has no enclosure"):
        gd.enumerate_fixed_points(gd.CellMap(gd.LSTMCell(0, 1, key=jr.key(0))))
    system = gru_flow(np.eye(2))
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(ValueError, match="JAX_ENABLE_X64=1"):
            gd.enumerate_fixed_points(system)
    finally:
        jax.config.update("jax_enable_x64", True)


def test_float32_weights_are_the_numbers_they_are():
    system = gru_flow(np.array([[2.3, 0.1], [-0.1, 3.1]]))
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), system)
    found = gd.enumerate_fixed_points(single)
    rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), single)
    assert_complete(found, points_of(gd.enumerate_fixed_points(rounded)))
    assert found.state.dtype == jnp.float64
    for point in points_of(found):
        assert all(abs(value) < 1e-14 for value in _gru_residual(rounded, [arb(x) for x in point.tolist()]))


# Transformations -----------------------------------------------------------------------------------------


def test_a_batch_gives_what_single_calls_give():
    """Another number of rows and of lanes, and no other systems beside, make no difference."""
    flows = random_grus("before")
    names = list(named_systems("before"))
    for n in [*range(8), names.index("table3:xxxvi"), names.index("fig:4b"), *range(100, 106)]:
        alone, batched = gd.enumerate_fixed_points(pick(flows, n)), pick(all_enumerated("before"), n)
        assert_same_points(points_of(alone), points_of(batched), 1e-14)
        np.testing.assert_array_equal(alone.count, batched.count)
        assert kinds_of(alone) == kinds_of(batched)
        assert int(alone.complete) == int(batched.complete)
        assert int(alone.num_clusters) == int(batched.num_clusters)


def test_nan_weights_are_an_error_and_do_not_touch_other_members():
    found = case("nan", "after")
    assert bool(found.result == RESULTS.nonfinite_system)
    assert int(found.complete) == INCOMPLETE
    assert int(found.mask.sum()) == 0
    assert int(found.count[0]) == 0
    others = all_enumerated("after").result
    assert int(np.sum(np.asarray(others == RESULTS.nonfinite_system))) == 1
    assert not np.asarray(others == RESULTS.enumeration_overflow).any()
    bad = eqx.tree_at(lambda f: f.cell.U_c, gru_flow(np.eye(2)), jnp.full((2, 2), jnp.nan))
    with pytest.raises(RuntimeError, match="weights"):
        gd.enumerate_fixed_points(bad)


def test_points_differentiate_in_the_weights():
    flow: Any = gd.library.jordan("table3:xxxvi")

    def total(U_c):
        found = gd.enumerate_fixed_points(eqx.tree_at(lambda f: f.cell.U_c, flow, U_c), throw=False)
        return jnp.sum(jnp.where(found.mask[:, None], jnp.sin(2 * found.state), 0.0))

    U_c = flow.cell.U_c
    gradient, step = np.asarray(jax.jit(jax.grad(total))(U_c)), 1e-6
    assert np.isfinite(gradient).all()
    for i, j in np.ndindex(2, 2):
        values = [float(total(U_c.at[i, j].add(s * step))) for s in (1, -1)]
        np.testing.assert_allclose(gradient[i, j], (values[0] - values[1]) / (2 * step), rtol=1e-5, atol=1e-6)


# The comparison with the truth can fail --------------------------------------------------------------------


def test_wrong_bounds_are_caught(monkeypatch):
    """tanh enclosed by too little, and no rounding: points are lost, or boxes miss them."""
    monkeypatch.setattr(
        _functions, "_inflated", lambda low, high, ulps: (low + 1e-3 * jnp.abs(low), high - 1e-3 * jnp.abs(high))
    )
    for module, end in itertools.product((_functions, _interval, _rounding, _krawczyk), ("down", "up")):
        monkeypatch.setattr(module, end, lambda x: x)

    # functions of this test alone, so that nothing compiled before or after is shared
    def enclosure(box, args):
        value = gd.linalg.intervals.tanh(2.0 * box)
        return value, 2.0 * gd.linalg.intervals.tanh_slope(value)[:, None]

    system = gd.FunctionMap(lambda h, args: jnp.tanh(2 * h), bounds=(-np.ones(1), np.ones(1)), enclosure=enclosure)
    with pytest.raises(AssertionError):
        assert_complete(gd.enumerate_fixed_points(system), [[-TANH_2], [0.0], [TANH_2]])


def test_the_enclosure_of_a_quadratic_holds_its_values():
    rng = np.random.default_rng(0)
    coefficients = jnp.asarray(rng.normal(size=(2, 6)))
    low = rng.normal(size=2)
    high = low + rng.random(2)
    value, slope = _quadratic_enclosure(Interval(jnp.asarray(low), jnp.asarray(high)), coefficients)
    for _ in range(20):
        s = jnp.asarray(low + rng.random(2) * (high - low))
        assert bool(jnp.all(value.contains(_quadratic(0.0, s, coefficients))))
        assert bool(jnp.all(slope.contains(jax.jacfwd(lambda s: _quadratic(0.0, s, coefficients))(s))))
