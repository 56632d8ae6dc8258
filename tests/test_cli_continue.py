"""`gru-dynamics continue`: what it finds, what it says about bad input, and what it leaves behind."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gru_dynamics as gd
from gru_dynamics import interop
from gru_dynamics._report import collect_continuation
from gru_dynamics.cli import main
from gru_dynamics.cli._continue_source import _systems, read_source
from gru_dynamics.cli._errors import CommandError
from gru_dynamics.cli._follow import Settings, follow_from, passes
from gru_dynamics.cli._parameter import named_family

NETWORK = {"system": None, "tau": 1.0, "input": None, "format": "auto", "layer": None, "prefix": None, "reset": None}
QUICK = ["--steps", "400", "--seeds", "32", "--max-points", "8"]


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAX_ENABLE_X64", raising=False)


@pytest.fixture
def net(tmp_path):
    """h' = tanh(2 h + b), one unit with one input."""
    cell = gd.ElmanCell(1, 1, key=jax.random.key(0))
    cell = eqx.tree_at(lambda c: (c.U, c.b, c.W), cell, (jnp.full((1, 1), 2.0), jnp.zeros(1), jnp.ones((1, 1))))
    interop.save_cell(tmp_path / "net.safetensors", cell)
    return "net.safetensors"


# What it finds -----------------------------------------------------------------------------------


def test_brusselator(capsys, tmp_path):
    """Hopf at B = 1 + A^2 with omega = A; for A = 1 its l1 is -1/2."""
    words = ["continue", "library:brusselator", "--parameter", "B", "--range", "1", "4", "--start", "1.5,3", *QUICK]
    assert main([*words, "--out", "out"]) == 0
    shown = capsys.readouterr()
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "bifurcation.png", "branches.npz", "report.html", "result.json",
    ]  # fmt: skip
    result = json.loads((tmp_path / "out/result.json").read_text())
    assert len(result["branches"]) == 1
    assert result["searched"] == [{"parameter": 1.5, "fixed_points": 1}, {"parameter": 3.0, "fixed_points": 1}]
    (hopf,) = result["special_points"]
    assert (hopf["kind"], hopf["located"], hopf["branches"]) == ("hopf", True, [1])
    np.testing.assert_allclose([hopf["parameter"], hopf["omega"], hopf["coefficient"]], [2, 1, -0.5], rtol=1e-9)
    np.testing.assert_allclose(hopf["state"], [1, 2], rtol=1e-9)
    assert "supercritical" in hopf["meaning"]
    with np.load(tmp_path / "out/branches.npz") as arrays:
        mu, state = arrays["branch_1_mu"], arrays["branch_1_state"]
        np.testing.assert_allclose(state, np.stack([np.ones_like(mu), mu], axis=1), atol=1e-9)  # (A, B/A)
        np.testing.assert_array_equal(arrays["branch_1_stable"], mu < 2)
    assert "It leaves the range at 1 and 4." in shown.out
    assert "1 at 1.5, 1 at 3" in shown.out
    assert "Report: out" in shown.out
    assert all(line.startswith("gru-dynamics: ") for line in shown.err.splitlines())
    page = (tmp_path / "out/report.html").read_text()
    assert all(text in page for text in ("data:image/png;base64,", "supercritical", "library:brusselator", "Branch 1"))


@pytest.mark.slow
def test_network_in_the_whole_range(net, capsys, tmp_path):
    """h = tanh(2 h + b) has folds at |b| = sqrt 2 - arctanh sqrt(1/2), on one branch; all its points are on it."""
    words = ["continue", net, "--parameter", "b[0]", "--range", "-1", "1", "--events", "fold", *QUICK]
    assert main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "net-continuation/result.json").read_text())
    assert len(printed["branches"]) == 1
    assert printed["branches"][0]["ends"] == [-1.0, 1.0]
    assert printed["branches"][0]["reasons"] == ["end of the range"] * 2
    fold = np.sqrt(2) - np.arctanh(np.sqrt(0.5))
    np.testing.assert_allclose([p["parameter"] for p in printed["special_points"]], [-fold, fold], rtol=1e-10)
    assert [p["kind"] for p in printed["special_points"]] == ["fold", "fold"]
    assert printed["system"]["sha256"]
    assert printed["warnings"] == []


# What it says ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def followed():
    """The branch of the Brusselator, B from 1 to 4, with its Hopf point at B = 2."""
    family = named_family(gd.library.brusselator(), "B", "here")
    guesses = gd.UniformGuesses(jnp.full((2,), -10.0), jnp.full((2,), 10.0), num=32)
    settings = Settings((1.0, 4.0), 400, gd.all_events(family(2.0)), 8, 0)
    return follow_from(family, guesses, [1.5, 3.0], settings).branches


def test_advice_for_bracketed_points(followed):
    (branch,) = followed
    points = branch.special_points
    loose = eqx.tree_at(
        lambda p: (p.location, p.multiplicity, p.coefficient),
        points,
        (
            jnp.where(points.mask, gd.Location.BRACKETED, 0).astype(jnp.int32),
            2 * points.multiplicity,
            jnp.full_like(points.coefficient, jnp.nan),
        ),
    )
    facts = collect_continuation("t", {}, "B", (1.0, 4.0), [], [eqx.tree_at(lambda b: b.special_points, branch, loose)])
    (point,) = facts.special
    assert point.bracket[0] <= 2 <= point.bracket[1]
    assert point.coefficient is None
    assert point.meaning == "2 pairs of eigenvalues cross at once"
    assert "hopf (bracketed)" in facts.table()
    words = " ".join(facts.words())
    assert "2 eigenvalues cross at once" in words
    low, high = (float(word.rstrip(".")) for word in words.split("--range ")[1].split()[:2])
    assert low < point.bracket[0] < point.bracket[1] < high
    json.dumps(facts.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (gd.End.STEPS, "raise --steps"),
        (gd.End.STUCK, "smooth"),
        (gd.End.NONFINITE, "narrow --range"),
    ],
)
def test_why_a_branch_ended(followed, end, text):
    branch = eqx.tree_at(lambda b: b.end, followed[0], jnp.array([gd.End.RANGE, end], jnp.int32))
    facts = collect_continuation("t", {}, "B", (1.0, 4.0), [], [branch])
    assert text in facts.words()[0]
    assert "at 1, end of the range; at 4, " in facts.words()[0]
    closed = eqx.tree_at(lambda b: b.end, branch, jnp.full((2,), gd.End.CLOSED, jnp.int32))
    assert "closes on itself" in collect_continuation("t", {}, "B", (1.0, 4.0), [], [closed]).words()[0]


def test_points_of_several_branches_are_listed_once(followed):
    facts = collect_continuation("t", {}, "B", (1.0, 4.0), [], followed * 2)
    assert [point.branches for point in facts.special] == [(1, 2)]
    none = eqx.tree_at(lambda b: b.special_points.mask, followed[0], jnp.zeros_like(followed[0].special_points.mask))
    assert collect_continuation("t", {}, "B", (1.0, 4.0), [], [none]).table() == "No special points."


def test_which_point_a_branch_passes(followed):
    """At B = 3 the branch is at (1, 3)."""
    states = np.array([[1.0, 3.0], [1.0, 2.9], [5.0, 5.0]])
    assert [passes(followed[0], 3.0, number, states) for number in range(3)] == [True, False, False]
    assert not passes(followed[0], 3.0, 0, states[2:])
    assert passes(followed[0], 4.0, 0, np.array([[1.0, 4.0]]))  # the last row
    assert not passes(followed[0], 4.5, 0, np.array([[1.0, 4.5]]))


# Names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "leaf"),
    [
        ("b_c[1]", lambda s: s.cell.b_c[1]),
        ("cell.b_c[-1]", lambda s: s.cell.b_c[1]),
        ("U_c[0, 1]", lambda s: s.cell.U_c[0, 1]),
        ("tau", lambda s: s.tau),
    ],
)
def test_named_numbers(name, leaf):
    system = gd.library.jordan("fig:3a")
    family = named_family(system, name, "here")
    assert float(family.mu) == float(leaf(system))
    changed = family(jnp.asarray(0.75))
    assert float(leaf(changed)) == 0.75
    different = [
        a.size for a, b in zip(jax.tree.leaves(changed), jax.tree.leaves(system), strict=True) if (a != b).any()
    ]
    assert len(different) == 1


def test_gain_multiplies_a_whole_matrix():
    system = gd.library.jordan("fig:3a")
    family = named_family(system, "gain:U_c", "here")
    assert float(family.mu) == 1
    np.testing.assert_array_equal(family(jnp.asarray(0.5)).cell.U_c, 0.5 * system.cell.U_c)
    np.testing.assert_array_equal(family(jnp.asarray(0.5)).cell.U_r, system.cell.U_r)


def test_library_systems_know_their_size():
    """Each starts at the dimension that its docstring gives."""
    sizes = {"henon": 2, "lorenz": 3, "cusp_normal_form": 1, "multiplicity": 15, "bratu,n=7": 7, "jordan,case=fig:2": 2}
    assert {name: read_source(f"library:{name}", **NETWORK).size for name in sizes} == sizes
    given = read_source("library:brusselator,A=1.5,B=2", **NETWORK).system
    assert float(given.args["A"]) == 1.5
    assert len(_systems()) > 15


# Bad input ---------------------------------------------------------------------------------------

LIB = "library:brusselator"
B = [LIB, "--parameter", "B", "--range", "0", "1"]
UNIT = ["--range", "0", "1"]
BAD = {
    "missing file": (["absent.npz", "--parameter", "b[0]"], ["absent.npz", "no such file"]),
    "text": (["text.npz", "--parameter", "b[0]"], ["text.npz", "not an npz"]),
    "unknown system": (["library:nothing"], ["library:nothing", "brusselator", "choose"]),
    "unknown argument": (["library:brusselator,C=1"], ["A, B", "'C'"]),
    "argument is no number": (["library:brusselator,A=x"], ["A must be a number", "'x'"]),
    "argument missing": (["library:jordan"], ["needs case"]),
    "unknown case": (["library:jordan,case=fig:99"], ["fig:99", "fig:3a"]),
    "kind": ([LIB, "--system", "map"], ["--system must be flow", "map"]),
    "no parameter": ([LIB, "--range", "0", "1"], ["--parameter", "choose one of A, B"]),
    "unknown parameter": ([LIB, "--parameter", "C", "--range", "0", "1"], ["'C'", "choose one of A, B"]),
    "unknown weight": (["net.safetensors", "--parameter", "q[0]", *UNIT], ["'q[0]'", "U[0..0,0..0]", "gain:"]),
    "index": (["net.safetensors", "--parameter", "b[3]", *UNIT], ["b[i] with 0 to 0", "'b[3]'"]),
    "whole matrix": (["net.safetensors", "--parameter", "U", *UNIT], ["U[i,j]", "gain:U"]),
    "index of a number": ([LIB, "--parameter", "B[0]", "--range", "0", "1"], ["a single number", "write B"]),
    "gain of an entry": (["net.safetensors", "--parameter", "gain:U[0,0]", *UNIT], ["gain:U"]),
    "no range": ([LIB, "--parameter", "B"], ["--range", "found no"]),
    "reversed": ([LIB, "--parameter", "B", "--range", "4", "1"], ["--range", "found 4 1", "--range 1 4"]),
    "empty range": ([LIB, "--parameter", "B", "--range", "1", "1"], ["--range", "widen"]),
    "words": ([LIB, "--parameter", "B", "--range", "a", "1"], ["--range", "'a'"]),
    "infinite": ([LIB, "--parameter", "B", "--range", "0", "inf"], ["--range", "finite"]),
    "start outside": ([*B, "--start", "0.5,3"], ["--start", "0 to 1", "found 3"]),
    "start is a word": ([*B, "--start", "x"], ["--start", "'x'"]),
    "events": ([*B, "--events", "hof"], ["--events", "hopf", "'hof'"]),
    "events of maps": ([*B, "--events", "period-doubling"], ["--events", "flow"]),
    "component": ([*B, "--component", "2"], ["--component", "0 to 1", "norm"]),
    "box": ([*B, "--box", "1", "0"], ["--box", "LOWER < UPPER"]),
    "steps": ([*B, "--steps", "0"], ["--steps", "at least 1"]),
    "out": ([*B, "--out", "text.npz"], ["--out", "folder"]),
    "input": (["net.safetensors", "--input", "1,2"], ["--input", "found 2"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(net, name, capsys, tmp_path):
    words, parts = BAD[name]
    (tmp_path / "text.npz").write_text("these are no weights\n")
    before = set(tmp_path.rglob("*"))
    assert main(["continue", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1, shown.err
    assert all(part in shown.err for part in parts), shown.err
    assert set(tmp_path.rglob("*")) == before


def test_parameter_that_moves_nothing(net, capsys, tmp_path):
    """The time constant of a flow moves no fixed point."""
    words = ["continue", net, "--system", "flow", "--parameter", "tau", "--range", "0.5", "2", "--events", "none"]
    assert main([*words, "--start", "1", *QUICK]) == 2
    assert "expected --parameter to change the system" in capsys.readouterr().err
    assert not (tmp_path / "net-continuation").exists()


def test_no_fixed_point(capsys, tmp_path):
    """The Hénon map has none for a < -(1 - b)^2/4."""
    words = ["continue", "library:henon", "--parameter", "a", "--range", "-2", "-1", "--start=-1.5", "--events", "none"]
    assert main([*words, *QUICK]) == 2
    error = capsys.readouterr().err
    assert "found none at a = -1.5" in error
    assert "--box" in error
    assert list(tmp_path.iterdir()) == []


def test_errors_are_raised_with_debug():
    with pytest.raises(CommandError):
        main(["continue", LIB, "--debug"])
