"""The command line: what it writes, what it says about bad input, and what it leaves behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.random as jr
import numpy as np
import pytest
import safetensors.numpy

import gru_dynamics as gd
from gru_dynamics import interop
from gru_dynamics.cli import _run, main
from gru_dynamics.cli._inputs import find_readout, read_system

DATA = Path(gd.__file__).parent / "data"
FLIPFLOP = DATA / "flipflop_gru16_seed0.safetensors"


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAX_ENABLE_X64", raising=False)


@pytest.fixture
def weights(tmp_path):
    """A bistable GRU of two units in PyTorch's layout: candidate tanh(h), gates at 1/2, with one input."""
    arrays = {
        "rnn.weight_hh_l0": np.concatenate([np.zeros((4, 2)), 4 * np.eye(2)]).astype(np.float32),
        "rnn.weight_ih_l0": np.concatenate([np.zeros((4, 1)), np.ones((2, 1))]).astype(np.float32),
        "rnn.bias_hh_l0": np.zeros(6, np.float32),
        "rnn.bias_ih_l0": np.zeros(6, np.float32),
        "readout.weight": np.eye(2, dtype=np.float32) / np.float32(0.9575040),
        "readout.bias": np.zeros(2, np.float32),
    }
    path = tmp_path / "net.safetensors"
    safetensors.numpy.save_file(arrays, path)
    return path, arrays


@pytest.fixture
def leftovers(tmp_path):
    """Files of any name that appeared since the test began to call the command."""
    before = set(tmp_path.rglob("*"))
    return lambda: sorted(str(path.relative_to(tmp_path)) for path in set(tmp_path.rglob("*")) - before)


# What it writes ----------------------------------------------------------------------------------


def test_analyze_two_units(weights, capsys, tmp_path):
    path, _ = weights
    assert main(["analyze", str(path), "--out", "out", "--seeds", "128", "--input", "0"]) == 0
    shown = capsys.readouterr()
    files = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert files == ["phase_portrait.png", "report.html", "result.json", "spectrum.png"]
    result = json.loads((tmp_path / "out/result.json").read_text())
    # Two decoupled bistable units, closed form: 3^2 points.
    assert [entry["kind"] for entry in result["fixed_points"]] == ["sink"] * 4 + ["saddle"] * 4 + ["source"]
    h = 0.9575040240772688
    states = np.sort(np.abs([entry["state"] for entry in result["fixed_points"]]), axis=None)
    np.testing.assert_allclose(states, [0.0] * 6 + [h] * 12, atol=1e-12)
    assert result["index_sum"] == 1
    assert result["complete"] == "certified"
    assert result["proof"]["count"] == [9, 9]
    assert all(entry["proven"] and entry["radius"] < 1e-13 for entry in result["fixed_points"])
    assert result["warnings"] == []
    assert result["system"]["reset"] == "after"
    np.testing.assert_allclose(np.abs([entry["readout"] for entry in result["fixed_points"][:4]]), 1, atol=1e-6)
    assert all(len(entry["leads_to"]) == 2 for entry in result["fixed_points"][4:8])
    assert "9 fixed points" in shown.out
    assert "each decision flips one bit" in " ".join(shown.out.split())
    assert "Report: out" in shown.out
    assert all(line.startswith("gru-dynamics: ") for line in shown.err.splitlines())
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_json_alone_on_stdout_and_update_in_place(weights, capsys, tmp_path):
    path, _ = weights
    np.save(tmp_path / "states.npy", np.random.default_rng(0).uniform(-1, 1, (5, 7, 2)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/result.json").write_text("old")
    (tmp_path / "out/notes.txt").write_text("mine")
    words = ["analyze", str(path), "--out", "out", "--seeds", "128", "--input=-0.1", "--json"]
    assert main([*words, "--states", "states.npy"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out/result.json").read_text())
    assert printed["system"]["kind"] == "map"
    assert printed["system"]["input"] == [-0.1]
    assert printed["provenance"]["states"] == "states.npy"
    assert "--seeds 128" in printed["provenance"]["command"]
    assert (tmp_path / "out/notes.txt").read_text() == "mine"
    assert not [file.name for file in (tmp_path / "out").iterdir() if file.name.startswith(".")]


def test_unbounded_cell_has_no_certificate(tmp_path, capsys):
    cell = gd.ElmanCell(1, 1, activation=jax.nn.relu, activation_range=None, key=jr.key(0))
    interop.save_cell(tmp_path / "relu.safetensors", cell)
    assert main(["analyze", "relu.safetensors", "--seeds", "16", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["complete"] == "unknown"
    assert any("not confined" in text for text in result["warnings"])
    assert (tmp_path / "relu-dynamics/report.html").exists()


def test_options_reach_the_system(weights):
    path, _ = weights
    cell = interop.load_cell(path)
    flow, facts = read_system(path, cell, input="0.25", flow=True, tau=3.0)
    assert isinstance(flow, gd.CellFlow)
    assert float(flow.tau) == 3.0
    assert facts["kind"] == "flow"
    state = jax.numpy.array([0.3, -0.2])
    np.testing.assert_allclose(flow(0.0, state), gd.CellFlow(cell, np.array([0.25]))(0.0, state) / 3, rtol=1e-14)
    assert find_readout(path, 2).name == "readout.weight"
    assert find_readout(path, 3) is None


@pytest.mark.parametrize("format", ["gru_dynamics", "torch", "equinox", "flax_linen", "keras"])
def test_convert_there_and_back(weights, tmp_path, format):
    path, _ = weights
    assert main(["convert", str(path), "new.safetensors", "--to", format]) == 0
    old, new = interop.load_cell(path), interop.load_cell(tmp_path / "new.safetensors")
    for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert {array.dtype for array in interop.load_arrays(tmp_path / "new.safetensors").values()} == {np.dtype("f4")}


# Bad input ---------------------------------------------------------------------------------------


def _cases(path: Path, arrays: dict) -> dict[str, tuple[list[str], list[str]]]:
    """Name -> (words after `analyze`, what the one line must hold)."""
    folder = path.parent
    (folder / "empty.safetensors").write_bytes(b"")
    (folder / "text.safetensors").write_text("these are no weights\n" * 9)
    (folder / "text.npz").write_text("these are no weights\n")
    (folder / "cut.safetensors").write_bytes(path.read_bytes()[:200])
    (folder / "folder.safetensors").mkdir()
    (folder / "net.pt").write_bytes(b"PK")
    (folder / "a file").write_text("")
    np.save(folder / "wide.npy", np.zeros((4, 3)))
    np.save(folder / "nan.npy", np.full((4, 2), np.nan))
    np.save(folder / "whole.npy", np.zeros((4, 2), int))
    np.savez(folder / "two.npz", a=np.zeros((4, 2)), b=np.zeros((4, 2)))
    (folder / "text.npy").write_text("no array")
    file = str(path)
    hidden = arrays["rnn.weight_hh_l0"]
    return {
        "missing": (["absent.safetensors"], ["absent.safetensors", "no such file"]),
        "folder": (["folder.safetensors"], ["folder.safetensors", "directory"]),
        "empty": (["empty.safetensors"], ["empty.safetensors", "empty"]),
        "text": (["text.safetensors"], ["text.safetensors", "not a readable"]),
        "text npz": (["text.npz"], ["text.npz", "not an npz"]),
        "truncated": (["cut.safetensors"], ["cut.safetensors", "truncated"]),
        "pickle": (["net.pt"], ["net.pt", "pickle", "safetensors"]),
        "missing keys": (
            [_changed(path, arrays, "keys", {"rnn.weight_ih_l0": None})],
            ["keys.safetensors", "weight_ih_l0", "missing"],
        ),
        "wrong format": ([file, "--format", "haiku"], ["net.safetensors"]),
        "unknown format": ([file, "--format", "caffe"], ["net.safetensors", "caffe", "torch"]),
        "layer": ([file, "--layer", "3"], ["net.safetensors", "layer", "3"]),
        "prefix": ([file, "--prefix", "other"], ["net.safetensors"]),
        "reset": ([file, "--reset", "before"], ["net.safetensors", "reset"]),
        "input length": ([file, "--input", "1,2"], ["net.safetensors", "--input", "1 number", "found 2"]),
        "input words": ([file, "--input", "a"], ["net.safetensors", "--input", "'a'"]),
        "input nan": ([file, "--input", "nan"], ["net.safetensors", "--input", "finite"]),
        "states missing": ([file, "--states", "absent.npz"], ["absent.npz", "no such file"]),
        "states missing npy": ([file, "--states", "absent.npy"], ["absent.npy", "no such file"]),
        "states width": ([file, "--states", "wide.npy"], ["wide.npy", "(T, 2)", "(4, 3)"]),
        "states nan": ([file, "--states", "nan.npy"], ["nan.npy", "8 nan"]),
        "states dtype": ([file, "--states", "whole.npy"], ["whole.npy", "int64"]),
        "states several": ([file, "--states", "two.npz"], ["two.npz", "'states'"]),
        "states text": ([file, "--states", "text.npy"], ["text.npy", "not a readable npy"]),
        "seeds": ([file, "--seeds", "0"], ["net.safetensors", "--seeds", "at least 1", "found 0"]),
        "max points": ([file, "--max-points", "0"], ["net.safetensors", "--max-points"]),
        "tau": ([file, "--flow", "--tau", "-1"], ["net.safetensors", "--tau", "-1"]),
        "out is a file": ([file, "--out", "a file"], ["a file", "--out", "folder"]),
        "out below a file": ([file, "--out", "a file/x"], ["a file", "--out"]),
        "out unwritable": ([file, "--out", "/proc/nowhere"], ["/proc/nowhere", "--out"]),
        "nan weights": (
            [_changed(path, arrays, "nan", {"rnn.weight_hh_l0": np.where(hidden == 4, np.float32(np.nan), hidden)})],
            ["nan.safetensors", "weight_hh_l0", "2 nan"],
        ),
        "inf weights": (
            [_changed(path, arrays, "inf", {"rnn.bias_hh_l0": np.full(6, np.inf, np.float32)})],
            ["inf.safetensors", "bias_hh_l0"],
        ),
        "wrong shape": (
            [_changed(path, arrays, "shape", {"rnn.weight_hh_l0": np.zeros((5, 2), np.float32)})],
            ["shape.safetensors", "weight_hh_l0"],
        ),
    }


def _changed(path: Path, arrays: dict, name: str, changes: dict) -> str:
    kept = {key: value for key, value in {**arrays, **changes}.items() if value is not None}
    safetensors.numpy.save_file(kept, path.with_name(f"{name}.safetensors"))
    return f"{name}.safetensors"


CASES = [
    *("missing", "folder", "empty", "text", "text npz", "truncated", "pickle", "missing keys", "wrong format"),
    *("unknown format", "layer", "prefix", "reset", "input length", "input words", "input nan", "states missing"),
    *("states missing npy", "states width", "states nan", "states dtype", "states several", "states text", "seeds"),
    *("max points", "tau", "out is a file", "out below a file", "out unwritable", "nan weights", "inf weights"),
    "wrong shape",
]


def test_every_case_is_listed(weights):
    assert set(_cases(*weights)) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_bad_input(weights, name, capsys, tmp_path):
    words, parts = _cases(*weights)[name]
    before = set(tmp_path.rglob("*"))
    assert main(["analyze", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1, shown.err
    assert all(part in shown.err for part in parts), shown.err
    assert "Traceback" not in shown.err
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["net.safetensors", "new.safetensors", "--to", "caffe"], ["net.safetensors", "caffe", "keras"]),
        (["net.safetensors", "new.pt", "--to", "torch"], ["new.pt", "pickle"]),
        (["net.safetensors", "no/new.npz", "--to", "torch"], ["no/new.npz", "folder exists"]),
        (["absent.npz", "new.npz", "--to", "torch"], ["absent.npz"]),
        (["net.safetensors", "new.npz", "--to", "haiku"], ["net.safetensors", "reset"]),
    ],
)
def test_bad_conversion(weights, words, parts, capsys, leftovers):
    assert main(["convert", *words]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert all(part in error for part in parts), error
    assert leftovers() == []


def test_debug_shows_the_traceback():
    with pytest.raises(interop.WeightError):
        main(["analyze", "absent.npz", "--debug"])


def test_single_precision_is_refused(weights, monkeypatch, capsys, leftovers):
    monkeypatch.setenv("JAX_ENABLE_X64", "0")
    assert main(["analyze", str(weights[0])]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert all(part in error for part in ("JAX_ENABLE_X64", "expected", "found 0", "unset"))
    assert leftovers() == []


@pytest.mark.parametrize(("failure", "code"), [(KeyboardInterrupt(), 130), (RuntimeError("two\nlines"), 1)])
def test_failures_in_the_middle_leave_nothing(weights, monkeypatch, capsys, leftovers, failure, code):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(_run, "search", fail)
    assert main(["analyze", str(weights[0]), "--out", "out"]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert shown.err.splitlines()[-1].startswith("gru-dynamics: ")
    assert leftovers() == []


def test_help_names_the_commands(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("demo", "analyze", "convert"))


def test_unknown_option(capsys):
    with pytest.raises(SystemExit) as end:
        main(["analyze", "x.npz", "--sedes", "3"])
    assert end.value.code == 2


# In a process of its own -------------------------------------------------------------------------


def test_demo(tmp_path):
    script = Path(sys.executable).with_name("gru-dynamics")
    environment = {key: value for key, value in os.environ.items() if key != "JAX_ENABLE_X64"}
    words = [str(script), "demo", "--out", "deep/demo", "--json"]
    run = subprocess.run(words, capture_output=True, text=True, timeout=300, env=environment, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert all(line.startswith("gru-dynamics: ") for line in run.stderr.splitlines())
    flipflop, plane = json.loads(run.stdout)["analyses"]
    assert np.bincount([entry["unstable_dim"] for entry in flipflop["fixed_points"]]).tolist() == [8, 12, 6, 1]
    signs = {tuple(np.round(entry["readout"]).astype(int)) for entry in flipflop["fixed_points"][:8]}
    assert signs == {(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)}
    # Every decision point joins two memories that differ in one bit: the twelve edges of a cube.
    readouts = [np.round(entry["readout"]) for entry in flipflop["fixed_points"][:8]]
    edges = [entry["leads_to"] for entry in flipflop["fixed_points"][8:20]]
    assert len({frozenset(edge) for edge in edges}) == 12
    assert all((readouts[a] != readouts[b]).sum() == 1 for a, b in edges)
    assert np.bincount([entry["unstable_dim"] for entry in plane["fixed_points"]]).tolist() == [5, 5, 1]
    # Sixteen units are too many for an enumeration, two are not; single points are proven in both.
    for part, complete in ((flipflop, "consistent"), (plane, "certified")):
        assert part["complete"] == complete
        assert all(entry["proven"] for entry in part["fixed_points"])
        # Only double precision gets there.
        assert max(entry["residual"] for entry in part["fixed_points"]) < 1e-14
    files = {file.name for file in (tmp_path / "deep/demo").iterdir()}
    assert {"report.html", "result.json", "flipflop_pca_3d.png", "two_units_phase_portrait.png"} <= files
    assert os.listdir(tmp_path) == ["deep"]
    assert os.listdir(tmp_path / "deep") == ["demo"]
