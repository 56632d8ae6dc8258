"""The reproductions of Mucllari et al. (2022): printed numbers by arithmetic, verdicts on made-up runs, files of tiny
real runs, and options that make no sense."""

import json
import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import gru_dynamics as gd
from gru_dynamics.cells import num_parameters
from gru_dynamics.cli import main
from gru_dynamics.papers import _nc_gru as nc, _nc_gru_norm as norm, _nc_gru_texts as texts
from gru_dynamics.papers._nc_gru_columns import GORU, GRU, LSTM, RC, SCO, C, Claim, Column
from gru_dynamics.papers._nc_gru_run import Network, Run, Setting, build, optimiser
from gru_dynamics.papers._nc_gru_words import judge
from gru_dynamics.papers._options import OptionError, Options
from gru_dynamics.tasks import Adding, Copying, Text, Vocabulary

PAPER, SMALL = Options("paper"), Options()
GENERATED = [name for name in nc.EXPERIMENTS if "data" not in nc.TAKES[name]]
TABLES = ("table1", "table2", "table3", "table4")


def columns(name, options):
    return nc.EXPERIMENTS[name].columns(options)


def tiny_texts():
    rng = np.random.default_rng(0)
    vocabulary = Vocabulary(tuple("abcdefgh"))
    train, valid, test = (Text(rng.integers(0, 8, 700), vocabulary, unit="character", window=5) for _ in range(3))
    return train, valid, test


def made_up(network, metric, seconds=(1e-3,)):
    metric = np.asarray(metric, float)
    loss = np.repeat(metric[:, None], 8, axis=1)
    return Run(network, 10, "float32", loss, metric, None, np.asarray(seconds), int(np.isinf(metric).sum()))


# What is printed ---------------------------------------------------------------------------------


def test_printed_losses_beside_those_without_memory():
    """Denoise and Copying: M ln S / (T + 20). The printed LSTM and GRU of Denoise, and LSTM of Copying, learned
    nothing; NC-GRU of Copying is between 43 and 49 %; scoRNN of Adding at T = 400 is at 1/6."""
    for T, printed in zip((200, 400), columns("table2", PAPER), strict=True):
        for name in (LSTM, GRU):
            assert printed.printed[name] == pytest.approx(10 * math.log(9) / (T + 20), rel=0.04)
    for T, column in zip((1000, 2000), columns("table4", PAPER), strict=True):
        without = 10 * math.log(8) / (T + 20)
        assert column.setting.task.baseline == pytest.approx(without, rel=1e-12)
        assert column.printed[LSTM] == pytest.approx(without, rel=2e-3)
        assert all(0.42 < column.printed[name] / without < 0.49 for name in (C, RC))
        assert column.printed[SCO] < 0.03 * without
    assert columns("table3", PAPER)[1].printed[SCO] == pytest.approx(1 / 6, rel=0.03)


@pytest.mark.parametrize("name", TABLES)
def test_sentences_of_the_paper_hold_for_its_own_numbers(name):
    """Each claim of section 4 against the printed table that it is about; that of 4.1 and 4.2 on two matrices too."""
    for column in columns(name, PAPER):
        runs = [
            made_up(one, [column.printed[one.name]]) for one in column.setting.networks if one.name in column.printed
        ]
        said = [claim for claim in column.claims if claim.printed and "comparable" not in claim.text]
        assert [judge(claim, column, runs).answer for claim in said] == ["reproduces"] * len(said)


def test_parameters_as_counted_by_hand():
    """Matrices, biases and readout; n(n-1)/2 for an orthogonal matrix; widths of Copying 10 in, 9 out."""
    (column, _) = columns("table4", PAPER)
    counts = {one.name: num_parameters(jax.eval_shape(lambda one=one: build(one, column.setting, jr.key(0)))) for one in
              column.setting.networks}  # fmt: skip

    def by_hand(n, blocks, orthogonal):
        return blocks * n * 10 + (blocks - orthogonal) * n * n + orthogonal * n * (n - 1) // 2 + blocks * n + 9 * n + 9

    assert counts[LSTM] == by_hand(68, 4, 0)
    assert counts[GRU] == by_hand(78, 3, 0)
    assert counts[SCO] == by_hand(190, 1, 1)
    assert counts[C] == by_hand(96, 3, 1)
    assert counts[RC] == by_hand(96, 3, 2)
    # GORU: two full matrices, and four layers of plane rotations in place of the third.
    assert counts[GORU] == by_hand(100, 3, 0) - 100 * 100 + 2 * 50 + 2 * 49


# Verdicts ----------------------------------------------------------------------------------------

A, B = Network("a", "gru", (3,)), Network("b", "gru", (3,))
COLUMN = Column("made up", Setting(Adding(10), (A, B), 1, 1, 1e-3, 1e-3))


@pytest.mark.parametrize(
    ("better", "worse", "answer"),
    [
        ([0.01, 0.02, 0.03], [0.04, 0.05, 0.06], "reproduces"),
        ([0.01, 0.02, 0.05], [0.04, 0.05, 0.06], "holds in the median, but the ranges overlap"),
        ([0.04, 0.05, 0.06], [0.01, 0.02, 0.03], "does not reproduce"),
        ([0.02, 0.05, 0.06], [0.01, 0.02, 0.03], "does not hold in the median, but the ranges overlap"),
        ([0.16, 0.16, 0.16], [0.165, 0.166, 0.167], "not testable at this scale"),
        ([np.inf, np.inf, np.inf], [0.01, 0.02, 0.03], "does not reproduce"),
        ([0.01, 0.02, np.inf], [0.04, 0.05, 0.06], "holds in the median, but the ranges overlap"),
    ],
)
def test_judge(better, worse, answer):
    runs = [made_up(A, better), made_up(B, worse)]
    assert judge(Claim("a is better", "section 0", ("a",), ("b",)), COLUMN, runs).answer == answer


def test_judge_of_limits_questions_and_times():
    runs = [made_up(A, [0.01, 0.02], [0.002]), made_up(B, [0.5, 0.5], [0.001])]
    assert judge(Claim("x", "", ("a",), limit=0.03), COLUMN, runs).answer == "yes"
    assert judge(Claim("x", "", ("a",), limit=0.015), COLUMN, runs).answer == "no"
    assert judge(Claim("x", "", ("b",), ("a",)), COLUMN, runs).answer == "no"
    faster = judge(Claim("x", "section 0", ("a",), ("b",), of="seconds"), COLUMN, runs)
    assert faster.answer == "does not reproduce"
    assert "2 [2, 2]" in faster.text


# Runs and files ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_is_in_float32_and_written(tmp_path, monkeypatch):
    """`pytest -m slow tests/test_papers_nc_gru.py -k float32`: two seeds, three steps; x64 is on, as on the command
    line."""
    network = Network(GRU, "gru", (4,))
    column = Column(
        "T = 10", Setting(Copying(10), (network,), 3, 2, 1e-3, 1e-3), {GRU: 0.5}, (Claim("x", "", (GRU,), limit=0.0),)
    )
    monkeypatch.setitem(nc.EXPERIMENTS, "table4", nc.EXPERIMENTS["table4"]._replace(columns=lambda options: [column]))
    found = gd.papers.reproduce("nc-gru-table4", tmp_path, seeds=2)
    assert jnp.zeros(()).dtype == jnp.float64
    (one,) = found.result["columns"][0]["networks"]
    assert one["dtype"] == "float32"
    assert np.isfinite(one["measured"]).all()
    assert len(one["measured"]) == 2
    check_files(found, tmp_path)


def check_files(found, folder):
    assert all((folder / name).stat().st_size > 200 for name in found.files)
    result = json.loads((folder / "result.json").read_text())
    assert result == json.loads(json.dumps(found.result))
    assert "NaN" not in (folder / "table.md").read_text()
    for part in result["columns"]:
        for one in part.get("networks", ()):
            assert f"| {one['network']} |" in (folder / "table.md").read_text()


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_files_of_made_up_runs(scale, tmp_path, monkeypatch):
    """Every number and network of a table arrives in its files, also of one that diverged."""

    def fake(network, setting, seeds):
        run = made_up(network, np.linspace(0.01, 0.02, seeds))
        return run._replace(metric=np.full(seeds, np.inf), failed=seeds) if network.name == LSTM else run

    monkeypatch.setattr(nc, "train", fake)
    found = gd.papers.reproduce("nc-gru-table3", tmp_path, scale=scale, seeds=2)
    check_files(found, tmp_path)
    assert found.result["columns"][0]["networks"][0]["median"] is None
    assert found.result["columns"][0]["networks"][-1]["median"] == pytest.approx(0.015)
    assert "2 of 2 diverged" in (tmp_path / "table.md").read_text()
    assert "printed 0.5755, measured 1." in found.summary


def test_files_of_made_up_times(tmp_path, monkeypatch):
    def fake(networks, setting):
        fast, slow = (1e-3, 2e-3, 3e-3), (4e-3, 5e-3, 6e-3)
        return [made_up(one, [np.nan], fast if one.name.startswith("Neumann") else slow) for one in networks]

    monkeypatch.setattr(nc, "race", fake)
    found = gd.papers.reproduce("nc-gru-figure6", tmp_path)
    check_files(found, tmp_path)
    assert [one["answer"] for one in found.result["columns"][0]["claims"]] == ["reproduces"]
    assert "| Neumann 2 | 2 | 1 to 3 | 10 |" in (tmp_path / "table.md").read_text()


@pytest.mark.slow
def test_norm_is_within_the_bound_of_pick():
    """`pytest -m slow tests/test_papers_nc_gru.py -k norm`:
    ||X dA||_2 <= ||dA||_2 <= max |dA_ij| cot(pi/2n), and Adam's first step has entries of the learning rate."""
    setting = norm.setting_of(SMALL)
    (network,) = setting.networks
    tiny = setting._replace(networks=(network._replace(hidden=(6,), options={"num_negative": 2}),), steps=4)
    found = norm.norms(tiny, 2)
    assert found.size.shape == (2, 4)
    assert found.pick == pytest.approx(1e-3 / math.tan(math.pi / 12), rel=1e-12)
    assert np.all(found.size <= found.entry / 1e-3 * found.pick * (1 + 1e-5))
    assert found.entry[:, 0] == pytest.approx(1e-3, rel=1e-3)
    assert np.all(found.size > 0)


@pytest.mark.parametrize("name", [*GENERATED, "characters"])
def test_every_network_of_every_name_can_be_built(name):
    """Shapes only: models and optimisers of all rows at both scales."""
    for options in (SMALL, PAPER):
        for column in [texts.characters(tiny_texts(), options)] if name == "characters" else columns(name, options):
            for network in column.setting.networks:
                model = jax.eval_shape(lambda network=network, column=column: build(network, column.setting, jr.key(0)))
                assert num_parameters(model) > 0
                optimiser(network, column.setting, model)
            names = {network.name for network in column.setting.networks}
            assert set(column.printed) <= names
            assert all({*claim.better, *claim.worse} <= names for claim in column.claims)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GENERATED, "characters", "words", "figure8"])
def test_tiny_run_of_each_name(name, tmp_path, monkeypatch):
    """`pytest -m slow tests/test_papers_nc_gru.py -k tiny`: two seeds and three steps of all networks."""
    if name == "figure8":
        tiny = norm.setting_of(SMALL)._replace(steps=3)
        monkeypatch.setattr(norm, "setting_of", lambda options: tiny)
        found = gd.papers.reproduce("nc-gru-figure8", tmp_path, seeds=2)
    else:
        of_text = {"characters": texts.characters, "words": texts.words}
        taken = [of_text[name](tiny_texts(), SMALL)] if name in of_text else columns(name, SMALL)
        short = [
            one._replace(setting=one.setting._replace(steps=min(one.setting.steps, 3), batch_size=2)) for one in taken
        ]
        home = {"characters": "table5", "words": "table6"}.get(name) or name
        monkeypatch.setitem(nc.EXPERIMENTS, home, nc.EXPERIMENTS[home]._replace(columns=lambda options: short))
        data = tmp_path if name in of_text else None
        seeds = 3 if name == "figure6" else 2
        found = gd.papers.reproduce(f"nc-gru-{home}", tmp_path / "out", seeds=seeds, data=data)
    check_files(found, tmp_path if name == "figure8" else tmp_path / "out")
    for one in found.result["columns"][0].get("networks", ()):
        assert one["dtype"] == "float32"
        assert np.isfinite(one["measured"] if name != "figure6" else one["seconds_per_step"]).all()
        assert one["drift"] is None or "released" in one["network"] or max(one["drift"]) < 1e-5


# Options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("nc-gru-table1", {"scale": "large"}, "scale: expected small or paper, found 'large'"),
        ("nc-gru-table1", {"seeds": 0}, "seeds: expected a number from 1 up"),
        ("nc-gru-table1", {"data": "."}, "expected no data"),
        ("nc-gru-table5", {}, "expected data"),
        ("nc-gru-figure6", {"seeds": 5}, "expected no seeds"),
        ("jordan-atlas", {"scale": "paper"}, "expected no scale"),
        ("jordan-figures", {"seeds": 5}, "expected no seeds"),
        ("nc-gru-table9", {}, "what can be reproduced: jordan-atlas"),
    ],
)
def test_options_that_make_no_sense(name, options, expected, tmp_path):
    with pytest.raises(OptionError, match=expected):
        gd.papers.reproduce(name, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["jordan-atlas", "--scale", "paper"], "jordan-atlas: expected no scale"),
        (["nc-gru-table6"], "nc-gru-table6: expected data"),
        (["nc-gru-table6", "--data", "nowhere"], "expected a data file, found none"),
        (["nc-gru-figure7", "--seeds", "0"], "seeds: expected a number from 1 up"),
    ],
)
def test_command_says_in_one_line(words, expected, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("JAX_ENABLE_X64", raising=False)
    assert main(["reproduce", *words, "--out", str(tmp_path / "out")]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert expected in shown.err
    assert not (tmp_path / "out").exists()
