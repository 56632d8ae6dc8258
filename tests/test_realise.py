"""Topologies: counted, checked against each other, and made exact."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gru_dynamics as gd
from gru_dynamics import bifurcations
from gru_dynamics.bifurcations import Topology, jordan_family, portrait, realise_topology, topology


def one_unit(system, b):
    return eqx.tree_at(lambda s: s.cell.b_c, system, b[None])


def gru(u_h, u_r=0.0, b_r=0.0):
    """The family of one-unit GRUs in their candidate's bias; for u_r = b_r = 0 it is h' = -h + tanh(u_h/2 h + b)."""
    cell = gd.GRUCell(0, 1, reset="before", key=jax.random.key(0))
    values = jnp.array([[u_h]]), jnp.array([[u_r]]), jnp.zeros((1, 1)), jnp.zeros(1), jnp.array([b_r]), jnp.zeros(1)
    cell = eqx.tree_at(lambda c: (c.U_c, c.U_r, c.U_z, c.b_c, c.b_r, c.b_z), cell, values)
    return gd.FunctionFamily(one_unit, gd.CellFlow(cell), 0.0)


def rotation(system, alpha):
    return gd.library.jordan_rotation(alpha)


@functools.cache
def realised(row, **options):
    return realise_topology(jordan_family(f"table3:{row}"), bifurcations.repaired_rows()[row], throw=False, **options)


# The table ---------------------------------------------------------------------------------------


def test_the_table_has_36_different_rows():
    rows = bifurcations.paper_rows()
    assert len(rows) == len(set(rows.values())) == 36
    assert rows["xxxvi"] == Topology(sinks=5, sources=1, saddles=5)
    assert rows["iv"].fixed_points == 4


def test_rows_that_break_the_index_sum_are_found_and_repaired():
    impossible = bifurcations.impossible_rows()
    assert set(impossible) == {"xi", "xxiv"}
    (swap,) = impossible["xxiv"]
    assert "sources" in swap.text
    assert "saddles" in swap.text
    assert swap.topology == Topology(sinks=4, sources=0, saddles=3)
    (odd,) = impossible["xi"]
    assert "pitchfork" in odd.text
    assert all(row.index_sum == 1 for row in bifurcations.repaired_rows().values())


def test_row_of_a_topology():
    assert Topology(5, 1, 5).row == "xxxvi"
    assert Topology(4, 0, 3).row == "xxiv"
    assert Topology(4, 3, 0).row is None
    assert Topology(1, 0, 0).row is None
    assert str(Topology(1, 0, 0, 2, 0, 1)) == "1 sink, 2 saddle-sink folds, 1 codimension-2 point"


# Counting ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ["ii", "ix", "x", "xv", "xxii", "xxiii", "xxiv", "xxxi", "xxxiii", "xxxvi"])
def test_rows_that_hold_at_the_printed_parameters(row):
    assert topology(gd.library.jordan(f"table3:{row}")).row == row


@pytest.mark.parametrize(("row", "others"), [("iv", 3), ("v", 1), ("xviii", 1)])
def test_the_whole_jacobian_vanishes_at_the_origin(row, others):
    seen = portrait(gd.library.jordan(f"table3:{row}"))
    assert seen.topology.row == row
    at = seen.degenerate
    (null,) = np.flatnonzero(np.asarray(at.mask & (at.order == 1)))
    assert int(at.mask.sum()) == others
    np.testing.assert_allclose(at.resting[null], 0, atol=1e-12)
    np.testing.assert_allclose(gd.library.jordan(f"table3:{row}").residual_jacobian(at.resting[null]), 0, atol=1e-12)
    assert int(at.degree[null]) == 0
    assert bool(at.degree_known[null])


def test_a_fold_in_closed_form():
    """Case iv: y' = tanh(y / (1 + e^y)) - y = -y^2/2 + ... and r = 1/2 at the origin of the other axis."""
    at = portrait(gd.library.jordan("table3:iv")).degenerate
    folds = np.asarray(at.mask & (at.order == 2))
    np.testing.assert_allclose(np.asarray(at.quadratic)[folds], -0.5, atol=1e-9)
    products = np.sum(np.asarray(at.left * at.right), axis=1)
    np.testing.assert_allclose(products[folds], 1, atol=1e-12)


# Realising ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (gru(4.0), {(0.7071067812, -0.5328399754), (-0.7071067812, 0.5328399754)}),
        (gru(8.0), {(-0.8660254038, 2.1471437182), (0.8660254038, -2.1471437182)}),
        (gru(4.0, 2.0, 0.5), {(-0.34323253, 0.26489683)}),
    ],
)
def test_folds_of_one_unit(family, expected):
    """w = 2, 4: h = +-sqrt(1 - 1/w), b = artanh(h) - w h."""
    target = Topology(sinks=1, sources=0, saddles=0, saddle_sink=1, dimension=1)
    found = realise_topology(family, target)
    assert found.verified
    h = float(found.degenerate.state[np.argmax(found.degenerate.mask), 0])
    assert min(abs(h - x) + abs(float(found.mu) - b) for x, b in expected) < 1e-8
    assert float(found.distance) == pytest.approx(abs(float(found.mu)))


def test_the_far_fold_from_a_start():
    """The second fold of the last family above is the farther one; starting beside it, it is what is found."""
    family = gru(4.0, 2.0, 0.5)
    near = gd.FunctionFamily(one_unit, family.system, -1.8)
    target = Topology(sinks=1, sources=0, saddles=0, saddle_sink=1, dimension=1)
    found = realise_topology(near, target)
    row = np.argmax(found.degenerate.mask)
    np.testing.assert_allclose([found.degenerate.state[row, 0], found.mu], [0.87357656, -1.81228315], atol=1e-8)


@pytest.mark.slow
def test_four_folds_in_one_parameter():
    """By symmetry the four saddle-nodes of eq. 8 appear at one alpha: the printed U_c is 3 R(alpha), rounded."""
    family = gd.FunctionFamily(rotation, None, np.arctan2(0.4409, 2.9674))
    found = realise_topology(family, bifurcations.paper_rows()["xiv"])
    assert found.verified
    assert found.topology.row == "xiv"
    assert float(found.distance) < 1e-3
    assert float(found.determinant) < 1e-12
    assert int(found.degenerate.mask.sum()) == 4
    points = np.asarray(found.degenerate.state)[np.asarray(found.degenerate.mask)]
    turned = points @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    assert all(np.min(np.linalg.norm(points - p, axis=1)) < 1e-9 for p in turned)


@pytest.mark.parametrize(("row", "distance"), [("vi", 1e-5), ("vii", 1e-4), ("xvi", 1e-3), ("xxviii", 1e-6)])
def test_rows_that_are_nearly_right(row, distance):
    found = realised(row)
    assert found.verified, found.reason
    assert found.topology.row == row
    assert 0 < float(found.distance) < distance
    assert found.is_minimum
    assert not found.at_margin
    assert float(found.residual) < 1e-12
    assert float(found.determinant) < 1e-12
    used = np.asarray(found.degenerate.mask)
    assert np.all(np.abs(np.asarray(found.degenerate.quadratic)[used]) > 0.1)
    assert np.all(np.asarray(found.enumeration.kind_proven)[np.asarray(found.enumeration.mask)])
    assert int(found.enumeration.num_clusters) == used.sum()


def test_the_change_is_the_shortest():
    """At the least distance the change of the parameters is along w df/dmu of the fold."""
    found = realised("xvi")
    family = jordan_family("table3:xvi")
    row = np.argmax(found.degenerate.mask)
    x, w = found.degenerate.resting[row], found.degenerate.left[row]
    normal = w @ jax.jacfwd(lambda mu: family(mu).residual(x))(found.mu)
    change = found.mu - family.mu
    cosine = jnp.dot(normal, change) / jnp.linalg.norm(normal) / jnp.linalg.norm(change)
    assert abs(float(cosine)) == pytest.approx(1, abs=1e-6)


def test_weights_steer_the_change():
    """A parameter that is a thousand times dearer hardly moves."""
    free = realised("xvi")
    weights = np.ones(12)
    dear = int(np.argmax(np.abs(np.asarray(free.mu) - np.asarray(jordan_family("table3:xvi").mu))))
    weights[dear] = 1e3
    found = realise_topology(jordan_family("table3:xvi"), bifurcations.paper_rows()["xvi"], weights=weights)
    assert found.verified
    assert abs(float(found.mu[dear] - jordan_family("table3:xvi").mu[dear])) < 1e-6 < float(free.largest_change)


def test_nothing_to_do():
    found = realised("xxii")
    assert found.verified
    assert float(found.distance) == 0
    assert found.num_candidates == 1


# Failures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (bifurcations.paper_rows()["xxiv"], "must sum to"),
        (Topology(3, 0, 2), "no degenerate point to move to"),
    ],
)
def test_impossible_targets(target, text):
    family = jordan_family("table3:xxii")
    found = realise_topology(family, target, throw=False)
    assert not found.verified
    assert text in found.reason
    assert np.isnan(float(found.distance))
    assert found.topology.row == "xxii"
    with pytest.raises(RuntimeError, match=text):
        realise_topology(family, target)


def test_a_target_out_of_reach():
    """Case xvi is far from nine points and a fold."""
    found = realise_topology(
        jordan_family("table3:xvi"), Topology(5, 0, 4, saddle_source=1), throw=False, max_candidates=2
    )
    assert not found.verified
    assert "starts" in found.reason
    assert found.num_candidates <= 5


def test_wrong_shapes():
    with pytest.raises(ValueError, match="shape of mu"):
        realise_topology(jordan_family("table3:ii"), Topology(2, 0, 1), weights=jnp.ones(3))


@pytest.mark.slow
@pytest.mark.parametrize("row", bifurcations.paper_rows())
def test_every_row(row):
    family = jordan_family(f"table3:{row}")
    starts = [np.asarray(jordan_family(f"table3:{name}").mu) for name in bifurcations.paper_rows()]
    starts.sort(key=lambda mu: float(np.linalg.norm(mu - np.asarray(family.mu))))
    found = realise_topology(family, bifurcations.repaired_rows()[row], starts=starts[1:9])
    assert found.topology.row == row
    assert float(found.determinant) < 1e-12
