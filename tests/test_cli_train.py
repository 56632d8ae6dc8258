"""`gru-dynamics train`: what it leaves behind, going on, and one line for bad input."""

import json

import numpy as np
import pytest

from gru_dynamics import interop
from gru_dynamics.cli import main
from gru_dynamics.training import _drive

FILES = ["cell.safetensors", "checkpoint.safetensors", "log.jsonl", "loss.png", "model.safetensors", "result.json"]
QUICK = ["--hidden", "6", "--batch-size", "4", "--block", "5"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"ptb.{split}.txt").write_text("the cat sat on the mat\nthe dog sat\n" * 4)
    return str(folder)


@pytest.mark.slow
def test_interrupt_and_go_on(capsys, tmp_path, monkeypatch):
    words = [
        "train",
        "adding",
        "--length",
        "6",
        "--steps",
        "12",
        "--cell",
        "sco-rnn",
        "--negative",
        "2",
        "--clip",
        "1",
    ]
    words += [*QUICK, "--out", "part"]
    calls = []

    def interrupting(*args, block=_drive.train_block):
        calls.append(0)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return block(*args)

    with monkeypatch.context() as patch:
        patch.setattr(_drive, "train_block", interrupting)
        assert main(words) == 130
    assert "part: stopped after 5 of 12 steps; add --resume" in capsys.readouterr().err
    assert sorted(file.name for file in (tmp_path / "part").iterdir()) == FILES
    assert json.loads((tmp_path / "part/result.json").read_text())["result"] == "interrupted"
    assert main(words) == 2
    assert "add --resume to go on with it" in capsys.readouterr().err
    assert main([*words, "--hidden", "7", "--resume"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "part/checkpoint.safetensors: belongs to another run" in error
    assert "cell.U: float32[6, 6] there, float32[7, 7] here" in error

    assert main([*words, "--resume", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((tmp_path / "part/result.json").read_text())
    assert (result["result"], result["steps"]) == ("successful", 12)
    rows = [json.loads(line) for line in (tmp_path / "part/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == list(range(1, 13))
    cell = interop.load_cell("part/cell.safetensors")
    assert {array.dtype for array in interop.load_arrays("part/cell.safetensors").values()} == {np.dtype("f4")}
    assert (type(cell).__name__, cell.hidden_size) == ("ScoRNNCell", 6)
    assert result["model"]["parameters_cell"] == 6 * (2 + 6 + 1)
    assert result["model"]["parameters"] == 6 * (2 + 6 + 1) + (6 + 1)
    # Two entries -1 of D make the determinant positive.
    assert np.linalg.norm(cell.U.T @ cell.U - np.eye(6), 2) < 1e-6
    assert np.linalg.det(cell.U) == pytest.approx(1, abs=1e-5)
    assert result["largest_drift"]["cell.U"] < 1e-6
    assert result["task"]["baseline"] == pytest.approx(1 / 6)


def test_text_with_seeds(corpus, capsys, tmp_path):
    words = ["train", "ptb-words", "--data", corpus, "--unchecked", "--cell", "elman", "--seeds", "2", "--tie"]
    assert main([*words, "--length", "5", "--steps", "30", "--out", "out", "--json", *QUICK, "--lr", "0.03"]) == 0
    result = json.loads(capsys.readouterr().out)
    losses = [entry["metrics"]["loss"] for entry in result["seeds"]]
    assert len(set(losses)) == 2
    assert result["metrics"]["loss"] == min(losses)
    np.testing.assert_allclose(result["metrics"]["perplexity"], np.exp(result["metrics"]["cross_entropy"]), rtol=1e-5)
    # A memoryless predictor knows the frequencies of the symbols.
    counts = np.unique(("the cat sat on the mat <eos> the dog sat <eos> " * 4).split(), return_counts=True)[1]
    share = counts / counts.sum()
    assert result["task"]["baseline"] == pytest.approx(-(share * np.log(share)).sum())
    assert result["metrics"]["loss"] < result["task"]["baseline"]
    assert interop.load_cell(tmp_path / "out/cell.safetensors").input_size == 6
    assert interop.load_arrays(tmp_path / "out/model.safetensors")["embedding"].shape == (2, len(counts), 6)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["adding", "--cell", "rnn"], ["--cell", "nc-gru, gru, lstm", "'rnn'"]),
        (["addition"], ["adding, copying, denoise", "'addition'"]),
        (["ptb-words"], ["ptb-words", "--data", "nothing is downloaded"]),
        (["ptb-words", "--data", "absent"], ["absent/ptb.train.txt", "found none"]),
        (["ptb-characters", "--data", "corpus"], ["ptb.train.txt", "SHA-256", "--unchecked"]),
        (["nottingham", "--data", "absent"], ["absent/Nottingham.mat", "found none"]),
        (["adding", "--data", "corpus"], ["adding", "--data", "leave it out"]),
        (["adding", "--resume", "--out", "absent"], ["absent/checkpoint.safetensors", "no such file"]),
        (["adding", "--length", "1"], ["adding", "length", "at least 2"]),
        (["adding", "--steps", "0"], ["--steps", "at least 1", "found 0"]),
        (["adding", "--lr", "nan"], ["--lr", "positive", "nan"]),
        (["adding", "--clip", "-1"], ["--clip", "positive", "-1"]),
        (["adding", "--negative", "7"], ["num_negative", "7"]),
        (["adding", "--cell", "gru", "--negative", "1"], ["--negative", "gru"]),
        (["adding", "--cell", "gru", "--mode", "paper"], ["--mode", "orthogonal"]),
        (["adding", "--patience", "2"], ["--patience", "validation"]),
        (["adding", "--dropout", "1"], ["Dropout", "below 1", "1"]),
        (["adding", "--tie"], ["tied weights"]),
        (["adding", "--embedding", "3"], ["--embedding", "real inputs"]),
        (["adding", "--out", "a file"], ["a file", "--out", "folder"]),
        (["adding", "--out", "/proc/nowhere"], ["/proc/nowhere", "--out"]),
    ],
)
def test_bad_input(words, parts, corpus, capsys, tmp_path):
    (tmp_path / "a file").write_text("")
    before = set(tmp_path.rglob("*"))
    assert main(["train", *words, *QUICK]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = [line for line in shown.err.splitlines() if "compiling" not in line]
    assert len(lines) == 1, shown.err
    assert all(part in lines[0] for part in parts), lines[0]
    assert set(tmp_path.rglob("*")) == before


def test_a_run_that_diverges_says_so(capsys, tmp_path):
    words = [
        "train",
        "adding",
        "--length",
        "4",
        "--cell",
        "elman",
        "--lr",
        "1e30",
        "--steps",
        "20",
        "--out",
        "out",
        *QUICK,
    ]
    assert main(words) == 0
    result = json.loads((tmp_path / "out/result.json").read_text())
    assert result["result"] == "training_diverged"
    assert 1 < result["seeds"][0]["failed_step"] <= 20
    assert "training diverged at step" in capsys.readouterr().out
