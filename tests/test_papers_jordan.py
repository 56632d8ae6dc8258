"""The atlas of Jordan, Sokół, Park (2019): counts, comparisons, figures' numbers, and the files that are written."""

import csv
import dataclasses
import json
import re

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import gru_dynamics as gd
from gru_dynamics.bifurcations import paper_rows
from gru_dynamics.cli import main
from gru_dynamics.papers import _jordan_atlas as atlas
from gru_dynamics.papers._jordan_cases import _realise, cases
from gru_dynamics.papers._jordan_figures import KNOWN_5B, fold_of_figure_7, outcomes
from gru_dynamics.papers._jordan_orbits import limit_cycle
from gru_dynamics.papers._jordan_tables import measured_text, printed_text, verdict
from gru_dynamics.papers._jordan_units import KNOWN_FOLDS, UNIT, bias_of, folds, theorem_3

# One of each sort: rounded pair, vanished, exact degenerate, two misprints by index, another misprint, plain, figures.
NAMES = ("table3:iv", "table3:xi", "table3:xii", "table3:xxiv", "table3:xxviii", "table3:xxxiv", "table3:xxxvi")
FIGURES = ("fig:2", "fig:4b", "fig:5a")


@pytest.fixture(scope="module")
def found():
    plain = cases([*NAMES, *FIGURES], lambda text: None, realise=False)
    return {case.short: case for case in plain}


@pytest.fixture(scope="module")
def theorem():
    return theorem_3(num=400)


# At the printed parameters -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("xi", "5 = 3/0/2"),
        ("xii", "3 = 2/0/1"),
        ("xxiv", "7 = 4/0/3"),
        ("xxviii", "9 = 4/1/4"),
        ("xxxiv", "1 = 1/0/0"),
        ("xxxvi", "11 = 5/1/5"),
        ("fig. 2", "9 = 4/1/4"),
        ("iv", ">= 1 = 1/0/0 + 2 ss + 1 c2"),
        ("fig. 4b", ">= 4 = 1/0/2 + 1 c2"),
    ],
)
def test_certified_counts(found, name, expected):
    one = found[name].measured
    assert measured_text(one) == expected
    assert one.kinds_proven
    assert one.degree_sum == 1


def test_rank_zero_is_found_by_program(found):
    """The whole Jacobian vanishes at the origin of iv; the degree of 4b allows for its two homoclinic regions."""
    assert [(point.kind, point.rank, point.degree) for point in found["iv"].measured.degenerate].count(
        ("codim2", 0, 0)
    ) == 1
    (point,) = found["fig. 4b"].measured.degenerate
    assert (point.kind, point.rank, point.degree) == ("codim2", 0, 2)
    assert np.all(point.state == 0)
    assert any("at least two regions of homoclinic orbits" in text for text in found["fig. 4b"].verdict.words)


@pytest.mark.parametrize(
    ("name", "expected", "said"),
    [
        ("iv", "as printed", "rank 0"),
        ("xi", "misprint", "No system can have the printed row xi"),
        ("xii", "rounded", "vanished"),
        ("xxiv", "misprint", "swap the columns"),
        ("xxviii", "rounded", "a simple source and a simple saddle 3.5e-04 apart"),
        ("xxxiv", "misprint", "Measured: 1 sink"),
        ("xxxvi", "as printed", ""),
    ],
)
def test_verdicts(found, name, expected, said):
    case = found[name]
    assert verdict(case) == expected
    assert said in " ".join(case.verdict.words)


def test_vanished_points_are_slow(found):
    """Both ghosts of xii are local minima of |f| far above rounding and far below the speed elsewhere."""
    case = found["xii"]
    assert len(case.verdict.vanished) == 2
    for ghost in case.verdict.vanished:
        size = np.linalg.norm(case.measured.flow.residual(jnp.asarray(ghost.state)))
        assert size == pytest.approx(ghost.residual, rel=1e-9)
        assert 1e-5 < size < 1e-2


def test_map_differs_from_flow(found):
    ((state, flow, discrete, size),) = found["fig. 5a"].measured.flips
    assert (flow, discrete) == ("sink", "source")
    # U_h = 3 R(pi/3): multipliers (1 + 3/2 exp(+-i pi/3)) / 2 of the map at the origin.
    assert size == pytest.approx(abs(1 + 1.5 * np.exp(1j * np.pi / 3)) / 2, abs=1e-4)
    assert np.abs(state).max() < 1e-12


def test_text_of_counts():
    assert printed_text(paper_rows()["xv"]) == "6 = 2/0/1 + 2 ss + 1 su"
    assert printed_text(None) == ""


# Figures -----------------------------------------------------------------------------------------


def test_folds_of_one_unit():
    found = folds(*UNIT)
    assert np.abs(np.array(found) - np.array(KNOWN_FOLDS)).max() < 1e-8
    for h, b in found:
        near = bias_of(np.array([h - 1e-5, h, h + 1e-5]), *UNIT)
        assert abs(near[2] - near[0]) < 1e-9
        assert near[1] == pytest.approx(b, abs=1e-15)


def test_theorem_3(theorem):
    assert theorem["systems"] == 400
    assert theorem["violations"] == 0
    assert sum(theorem["counts"].values()) + theorem["undecided"] == 400
    assert set(theorem["counts"]) == {"1", "3"}


def test_limit_cycle():
    cycle = limit_cycle(gd.library.jordan("fig:5b"), np.array([0.6, 0.0]), 300.0, 60.0, turns=2)
    assert cycle.period == pytest.approx(KNOWN_5B["period"], abs=1e-8)
    assert cycle.crossing[0] == pytest.approx(KNOWN_5B["crossing"], abs=1e-7)
    assert cycle.change < 1e-9


def test_automaton(found):
    """Each of the four saddles lies between two neighbouring sinks, and all four sides of the square occur."""
    edges = {tuple(sorted(ends)) for _, *ends in outcomes(found["fig. 2"].measured)}
    assert len(edges) == 4
    assert set().union(*edges) == {0, 1, 2, 3}


def test_fold_of_figure_7():
    bias, state = fold_of_figure_7()
    flow = eqx.tree_at(lambda s: s.cell.b_c, gd.library.jordan("fig:7a"), jnp.array([bias, 0.0]))
    assert np.abs(flow.residual(jnp.asarray(state))).max() < 1e-12
    assert abs(np.linalg.det(flow.residual_jacobian(jnp.asarray(state)))) < 1e-10


# Files -------------------------------------------------------------------------------------------


def moved(realised):
    """As if the parameters had to be changed, so that all branches of the page are taken."""
    assert realised.verified
    assert float(realised.distance) == 0
    return eqx.tree_at(lambda r: r.distance, realised, jnp.asarray(0.25))


def test_files(found, theorem, tmp_path):
    chosen = [found[name] for name in ("iv", "xxiv", "xxviii", "fig. 2")]
    chosen[1] = dataclasses.replace(chosen[1], realised=moved(_realise("table3:xxiv", "xxiv")))
    files, summary, result = atlas.write(tmp_path, lambda text: None, chosen, theorem, ("2",))
    assert sorted(files) == sorted(file.name for file in tmp_path.iterdir())
    assert "xxiv" in summary

    page = (tmp_path / "atlas.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "<script" not in page
    assert page.count('class="card"') == 1 + 4
    assert "Exact, 0.25 away" in page
    anchors = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors

    rows = {row["case"]: row for row in csv.DictReader((tmp_path / "table.csv").read_text().splitlines())}
    assert set(rows) == {case.name for case in chosen}
    assert rows["table3:xxiv"]["realised"] == "True"
    assert float(rows["table3:xxiv"]["distance"]) == 0.25
    assert rows["table3:xxviii"]["realised"] == ""
    assert rows["table3:xxviii"]["printed_saddle_source"] == "1"
    assert rows["table3:xxiv"]["measured_saddles"] == "3"

    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(json.dumps(result))
    table = (tmp_path / "table.md").read_text().splitlines()
    assert sum(line.startswith("| ") for line in table) == 2 + len(chosen)
    assert all(line.count(" | ") >= 5 for line in table if line.startswith("| "))


def test_registry(tmp_path):
    assert gd.papers.names()[:2] == ("jordan-atlas", "jordan-figures")
    with pytest.raises(ValueError, match="what can be reproduced: jordan-atlas"):
        gd.papers.reproduce("jordan-atlass", tmp_path)


def test_command_with_unknown_name(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_ENABLE_X64", raising=False)
    assert main(["reproduce", "nothing", "--out", str(tmp_path / "out")]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert "jordan-atlas" in shown.err
    assert shown.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_whole_atlas(tmp_path):
    """All 36 rows realised exactly, or why not; the numbers of the figures beside the known ones."""
    result = gd.papers.reproduce("jordan-atlas", tmp_path).result
    table = [case for case in result["cases"] if case["case"].startswith("table3:")]
    exact = [case["realised"] for case in table if case["realised"]["verified"]]
    assert len(table) == 36
    assert len(exact) >= 34
    assert all(one["residual"] < 1e-12 and one["determinant"] < 1e-12 for one in exact)
    assert all(case["measured"]["index_sum"] == 1 for case in result["cases"])
    assert result["theorem_3"]["violations"] == 0
    slow = result["figures"]["5"]["fig:5c"]
    assert slow["period"] == pytest.approx(slow["known_period"], abs=1e-5)
    assert slow["largest"] == pytest.approx(slow["known_largest"], abs=2e-7)
