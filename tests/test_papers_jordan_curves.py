"""Figures 2 to 7 of Jordan, Sokół, Park (2019) with the curves behind them: closed forms, known numbers, and files."""

import json
import re
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import gru_dynamics as gd
from gru_dynamics.bifurcations import Fold, Hopf, NeimarkSacker, locate
from gru_dynamics.papers import _jordan_automata as automata, _jordan_loops as loops, _jordan_slow as slow
from gru_dynamics.papers._jordan_curves_table import KNOWN, Entry, markdown
from gru_dynamics.papers._jordan_figures import fold_of_figure_7
from gru_dynamics.papers._jordan_knobs import ALPHA, GAIN, at, knob, rotation, with_matrix
from gru_dynamics.papers._jordan_map_and_flow import ANGLES, origin_kind
from gru_dynamics.papers._jordan_measure import measure
from gru_dynamics.papers._jordan_rotation import cycle_facts, passage, settled


@pytest.fixture(scope="module")
def measured():
    cases = ("fig:2", "fig:4a", "fig:4b", "fig:6a")
    return dict(zip(cases, measure([gd.library.jordan(case) for case in cases], ghosts=False), strict=True))


# The family --------------------------------------------------------------------------------------


def test_equation_8():
    """At alpha = pi/5 the knob gives the library's own system, and the printed matrix to its digits."""
    flow = at(rotation(), np.pi / 5)
    same: Any = gd.library.jordan_rotation(np.pi / 5)
    printed: Any = gd.library.jordan("fig:5b")
    np.testing.assert_allclose(flow.cell.U_c, same.cell.U_c, atol=1e-15)
    np.testing.assert_allclose(flow.cell.U_c, printed.cell.U_c, atol=5e-5)
    assert isinstance(at(rotation(discrete=True), 0.3), gd.CellMap)


@pytest.mark.parametrize(("which", "value"), [(ALPHA, 0.0), (GAIN, 1.0)])
def test_a_knob_at_rest_changes_nothing(which, value):
    flow: Any = gd.library.jordan("fig:3c")
    family = knob(flow, which)
    assert float(family.mu) == value
    same = at(family, value)
    np.testing.assert_array_equal(same.cell.U_c, flow.cell.U_c)
    np.testing.assert_array_equal(same.cell.b_c, flow.cell.b_c)


@pytest.mark.slow
def test_map_and_flow_part_between_two_angles():
    hopf = locate(rotation(), Hopf(), state=jnp.zeros(2), mu=0.8)
    ring = locate(rotation(discrete=True), NeimarkSacker(), state=jnp.zeros(2), mu=1.3)
    np.testing.assert_allclose(hopf.mu, 0.8410686706, atol=1e-10)
    np.testing.assert_allclose(hopf.omega, 0.5590169944, atol=1e-10)
    np.testing.assert_allclose(hopf.coefficient, -0.75 / np.sin(hopf.mu), rtol=1e-10)
    np.testing.assert_allclose(ring.mu, 1.3181160717, atol=1e-10)
    kinds = [
        tuple(origin_kind(rotation(discrete=d), alpha, discrete=d)[0].name for d in (False, True)) for alpha in ANGLES
    ]
    assert kinds == [("SOURCE", "SOURCE"), ("SINK", "SOURCE"), ("SINK", "SINK")]
    reach = np.abs(settled(rotation(discrete=True), np.array(ANGLES))).max(axis=(1, 2))
    assert (reach[:2] > 0.3).all()
    assert reach[2] < 1e-6


@pytest.mark.slow
def test_periods():
    for case in ("fig:5b", "fig:5c"):
        np.testing.assert_allclose(cycle_facts(gd.library.jordan(case))["period"], KNOWN[case], atol=1e-6)
    np.testing.assert_allclose(cycle_facts(at(rotation(), np.pi / 5))["period"], KNOWN["pi/5"], atol=1e-8)


@pytest.mark.slow
def test_passage_past_a_fold():
    """Near the folds T = 4 factor / sqrt(d) + constant + O(sqrt(d)): the difference of two periods gives the factor."""
    fold = locate(rotation(), Fold(), state=jnp.array([0.56, 0.9]), mu=0.148)
    factor = 4 * passage(rotation(), fold)
    near, far = (cycle_facts(at(rotation(), fold.mu + d))["period"] for d in (1e-3, 4e-3))
    np.testing.assert_allclose((near - far) * 2 * np.sqrt(1e-3), factor, rtol=1e-2)


# Loops -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("case", "number"), [("fig:4a", 1), ("fig:4b", 2)])
def test_borders_of_the_homoclinic_regions(measured, case, number):
    """One region in 4a, two in 4b; and each line leaves the origin and comes back to it by way of the saddle."""
    found = loops.borders(measured[case])
    assert len(found) == number
    for line in found:
        assert np.linalg.norm(line[[0, -1]], axis=1).max() < 0.02
        assert np.linalg.norm(line, axis=1).max() > 0.9


def test_area():
    angles = np.linspace(0, 2 * np.pi, 2001)
    ring = np.stack([2 * np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(loops.area(ring), 2 * np.pi, rtol=1e-5)


def test_turned_origin_is_a_hopf_point():
    family = knob(with_matrix(gd.library.jordan("fig:4a")), GAIN, alpha=loops.TURN)
    hopf = locate(family, Hopf(), state=jnp.zeros(2), mu=2.0)
    np.testing.assert_allclose(hopf.mu, 2 / np.cos(loops.TURN), atol=1e-12)
    assert float(hopf.coefficient) < 0


# Slow sets ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_singular_entries_of_figure_6(measured):
    """With U_r = 0 the residual's Jacobian at 0 is U/2 - 1."""
    cell: Any = measured["fig:6a"].flow.cell
    U = np.asarray(cell.U_c)
    for i in range(2):
        for j in range(2):
            changed = U.copy()
            changed[i, j] = slow._needed(U, i, j)
            assert abs(np.linalg.det(changed / 2 - np.eye(2))) < 1e-12


@pytest.mark.slow
def test_fold_and_passage_of_figure_7():
    family = slow.bias_family()
    bias, state = fold_of_figure_7()
    fold = locate(family, Fold(), state=jnp.asarray(state), mu=bias)
    np.testing.assert_allclose(fold.mu, bias, atol=1e-12)
    assert 0 < bias < slow.printed_bias(gd.library.jordan("fig:7a"))
    factor = passage(family, fold)
    near, far = (slow.time_near(at(family, fold.mu + d), np.asarray(fold.state)) for d in (2.5e-5, 1e-4))
    np.testing.assert_allclose((near - far) * 0.01, factor, rtol=2e-2)


# Automata ----------------------------------------------------------------------------------------


def test_input_is_added_to_the_candidate():
    flow = gd.library.jordan("fig:3a")
    with_input = automata.driven(flow)
    state, push = jnp.array([0.3, -0.2]), jnp.array([0.4, 1.0])
    np.testing.assert_allclose(with_input(0.0, state), flow(0.0, state), atol=1e-15)
    pushed = gd.CellFlow(with_input.cell, push)(0.0, state)
    candidate = np.tanh(np.arctanh(np.asarray(flow.residual(state) + state)) + np.asarray(push))
    np.testing.assert_allclose(pushed, (candidate - state) / 2, atol=1e-14)


@pytest.mark.slow
def test_automaton_of_figure_2(measured):
    """Two independent memories of one bit: a pulse writes the sign of its component and leaves the other."""
    one = automata.automaton("fig:2", measured["fig:2"])
    sign = np.sign(one.sinks)
    assert len({tuple(row) for row in sign}) == 4
    pulses = np.sign(np.array(automata.PULSES["fig:2"]))
    written = np.where(pulses[:, None] != 0, pulses[:, None], sign[None])
    assert (one.transitions >= 0).all()
    np.testing.assert_array_equal(sign[one.transitions], written)
    labels = np.asarray(one.graph.attractors.label)
    off_axis = np.abs(np.asarray(one.graph.attractors.states)).min(axis=1) > 0
    np.testing.assert_array_equal(sign[labels[off_axis]], np.sign(np.asarray(one.graph.attractors.states))[off_axis])


# Files -------------------------------------------------------------------------------------------


def test_table():
    text = markdown([Entry("5", "a | b", "", "", "1", "one.")])
    assert "| 5 | a \\| b |  |  | 1 | one. |" in text


def test_name():
    assert "jordan-figures" in gd.papers.names()


@pytest.mark.slow
def test_whole_reproduction(tmp_path):
    done = gd.papers.reproduce("jordan-figures", tmp_path)
    assert sorted(done.files) == sorted(file.name for file in tmp_path.iterdir())
    facts = done.result["figures"]
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(json.dumps(done.result))

    five = facts["5"]
    alpha = five["folds"]["alpha"]
    assert len(alpha) == 4
    assert np.ptp(alpha) < 1e-12
    assert five["end"]["kind"] == "infinite_period"
    np.testing.assert_allclose(five["end"]["alpha"], alpha[0], atol=1e-6)
    np.testing.assert_allclose(five["end"]["rate"], five["end"]["rate_from_the_folds"], rtol=1e-2)
    assert five["end"]["all_stable"]
    for case, known in KNOWN.items():
        np.testing.assert_allclose(five["cycles"][case]["period"], known, atol=1e-6)

    for one in facts["4"].values():
        end = one["homoclinic"]
        np.testing.assert_allclose(end["gain_from_the_manifolds"], end["gain_from_the_period"], atol=1e-6)
        np.testing.assert_allclose(sum(one["areas"]), one["area_by_states"], rtol=0.1)
    assert facts["map and flow"]["largest_difference_of_folds"] < 1e-9
    assert [(one["flow"], one["map"]) for one in facts["map and flow"]["origin"]] == [
        ("source", "source"), ("sink", "source"), ("sink", "sink"),
    ]  # fmt: skip

    page = (tmp_path / "figures.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    anchors = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors
