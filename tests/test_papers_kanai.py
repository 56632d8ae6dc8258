"""Kanai, Fujiwara, Iwamura (2017): the criterion, the printed numbers, and the files of tiny runs."""

import json
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from gru_dynamics.papers import _kanai_sweep as sweep, _kanai_tables as tables
from gru_dynamics.papers._kanai_judge import finished, share, spread
from gru_dynamics.papers._kanai_printed import MEAN_NORM, entries
from gru_dynamics.papers._kanai_train import Arm, Runs, Setting, network, optimiser, spectral_radius, train
from gru_dynamics.papers._options import Options
from gru_dynamics.tasks import Copying, Text, Vocabulary

TINY = Setting(Copying(3, num_items=2), Copying(3, num_items=2), 4, 2, steps=4, checks=2, epoch=2, summed=1)


# When a run counts as failed ------------------------------------------------------------------------


def test_criterion_on_hand_made_curves():
    curves = np.array(
        [
            [2.0, 1.0, 0.5],  # learns
            [2.1, 2.1, 2.1],  # learns nothing, but knows no less
            [2.0, 9.0, 0.5],  # was lost in between
            [2.0, 1.0, np.inf],
            [2.0, np.nan, 1.0],
            [2.0, 1.0, 0.5],  # a step was not finite
        ]
    )
    failed = np.array([0, 0, 0, 0, 0, 7])
    assert finished(curves, failed, math.log(9)).tolist() == [True, True, False, False, False, False]


def test_share_and_its_interval():
    # All of n came through: the lower end solves q^n = 2.5 %. One of two: both ends are square roots.
    whole, half = share(np.full((2, 5), True)), share(np.array([True, False]))
    assert (whole.finished, whole.num, whole.upper) == (10, 10, 1.0)
    assert whole.lower == pytest.approx(0.025**0.1, abs=1e-12)
    assert (half.lower, half.upper) == pytest.approx((1 - 0.975**0.5, 0.975**0.5), abs=1e-12)
    assert whole.text() == "10/10 (69 to 100 %)"


def test_spread_leaves_out_what_is_not_finite():
    assert spread(np.array([3.0, np.nan, 1.0, 2.0])) == {"median": 2.0, "least": 1.0, "greatest": 3.0}
    assert spread(np.array([np.inf]))["median"] is None


def test_spectral_radius_of_the_origin():
    # J(0) = U/4 + I/2; a rotation by a quarter turn scaled by 2 has the eigenvalues (1 +- i)/2.
    turned = np.array([[0.0, -2.0], [2.0, 0.0]], np.float32)
    assert spectral_radius(np.stack([np.diag([2.0, -6.0]), turned])) == pytest.approx([1.0, math.sqrt(0.5)], abs=1e-12)


# What is printed ------------------------------------------------------------------------------------


def test_printed_numbers_say_what_the_text_says():
    rows = entries()
    assert [sum(row.table == table for row in rows) for table in (1, 2, 3, 4)] == [18, 9, 14, 4]
    assert MEAN_NORM == {"words": 10.0, "music": 30.0}
    words = {(row.method, row.arm.name): row.printed for row in rows if row.table in (1, 2)}
    assert min(filter(None, words.values())) == words["SGD, divided by 1.1", "P 0.2"] == 103.5
    assert [name for name, value in words.items() if value is None] == [
        ("Adam 1e-2", "clip 5"),
        ("RMSprop 1e-2", "clip 5"),
    ]
    ball, clip = (
        sorted((row.printed or math.inf, row.method) for row in rows if row.table == 3 and row.arm.name == name)
        for name in ("P 0.2", "clip 15")
    )
    assert ball[0] == (3.38, "Adam 1e-3")
    assert clip[0] == (3.55, "SGD")
    assert (ball[1][0], "SGD") in ball
    # Every delta came through always; no entry-wise threshold did.
    success = {(row.table, row.arm.name): row.success for row in rows if row.success is not None}
    assert [success[2, f"P {delta:g}"] for delta in (0.2, 0.5, 0.8, 1.1, 1.4)] == [100] * 5
    assert [success[2, f"clip {clip}"] for clip in (5, 10, 15, 20)] == [50, 100, 100, 80]
    assert max(value for (table, _), value in success.items() if table == 4) == 70


# Training -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_step_of_each_lane_clips_sums_and_projects():
    """Against the singular values of NumPy: the step is scaled, clipped by its norm, taken and projected.

    `pytest -m slow tests/test_papers_kanai.py`
    """
    model = eqx.filter(network(TINY, jr.key(0)), eqx.is_inexact_array)
    grads = jax.tree.map(lambda leaf: jnp.ones_like(leaf), model)
    arms = [Arm("plain", 0.5), Arm("clip", 0.5, clip=2.0), Arm("P", 0.5, delta=1.4), Arm("P", 0.5, delta=0.8)]
    size = math.sqrt(sum(leaf.size for leaf in jax.tree.leaves(model)))
    optim = optimiser(TINY._replace(summed=3), "sgd")

    def where(tree: Any):
        return tree.cell.U_c

    @jax.jit
    @jax.vmap
    def matrix(hyper):
        with jax.numpy_dtype_promotion("standard"):
            chain = optim(hyper)
            updates, _ = chain.update(grads, chain.init(model), model)
            return model.cell.U_c + where(updates)

    names = ("rate", "clip", "element", "radius", "decay")
    found = matrix({name: jnp.array([getattr(arm, name) for arm in arms], jnp.float32) for name in names})
    start = np.asarray(model.cell.U_c, float)
    expected = [start - 1.5, start - 0.5 * 2 / size]
    for delta in (1.4, 0.8):
        u, s, v = np.linalg.svd(start - 1.5)
        assert s[0] > 2 - delta
        expected.append(u @ np.diag(np.minimum(s, 2 - delta)) @ v)
    np.testing.assert_allclose(np.asarray(found), np.stack(expected), atol=2e-6)


def test_sweep_writes_its_files(tmp_path):
    arms = [Arm("plain", 1e30), Arm("clip at 1", 1.0, clip=1.0), Arm("P, delta 1.4", 1.0, delta=1.4)]
    runs = train(TINY, "sgd", arms, 2, lambda line: None)
    files, text, result = sweep.report(tmp_path, TINY, runs, Options(seeds=2))
    assert all((tmp_path / name).stat().st_size > 0 for name in files)
    assert files[0] == "kanai-sweep.html"
    written = json.loads((tmp_path / "result.json").read_text())
    assert written == json.loads(json.dumps(result))
    plain, clip, ball = written["runs"]
    assert plain["finished"] == 0
    assert (clip["finished"], ball["finished"], ball["num"]) == (2, 2, 2)
    assert np.isfinite([*clip["last_losses"], *ball["last_losses"], *ball["sigmas"], *clip["rhos"]]).all()
    assert ball["sigma_ever"] <= 0.6 * (1 + 1e-6)
    assert ball["rho_ever"] <= 0.65 * (1 + 1e-6)
    assert "P, delta 1.4 is complete where a clipping is not at no rate" in text


def test_tables_write_their_files(tmp_path):
    """Two networks each, the second of the clipped ones diverged: P_0.2 at perplexities 2 and 4, clipping at 2.5."""
    text = Text(np.array([1, 0] * 4), Vocabulary(tuple("abcde")), unit="word", window=3)
    setting = Setting(text, text, 4, 2, steps=2, checks=2, epoch=1, summed=3)
    wanted = [row for row in entries() if row.method == "RMSprop 1e-3" and row.table == 1]
    valid = np.log(np.array([[[2.5, 2.0], [4.0, 4.5]], [[3.5, 2.5], [3.5, 6.0]]]))
    ones = np.ones((2, 2, 2))
    runs = Runs(
        tuple(row.arm for row in wanted), ones, 8 * ones, np.array([1, 2]), valid, 1.8 * ones, 0.9 * ones,
        np.zeros((2, 2), int),
    )  # fmt: skip
    files, summary, result = tables.report(tmp_path, [(wanted, setting, runs)], Options(seeds=2))
    assert all((tmp_path / name).stat().st_size > 0 for name in files)
    ball, clip = result["tables"]
    assert (ball["printed"], clip["printed"]) == (116.0, 115.5)
    assert (ball["finished"], clip["finished"]) == (2, 1)
    assert (ball["measured"], ball["deviation"]) == pytest.approx((3.0, math.sqrt(2)))
    assert clip["values"] == pytest.approx([2.5])
    assert "better than clipping in 0 of 1 settings, printed 0; 1 of 1 comparisons come out as printed" in summary
    written = (tmp_path / "table.md").read_text()
    assert "| RMSprop 1e-3 | P 0.2 | 116 | 3 ± 1.4 |  | 2/2 (16 to 100 %) |" in written


def test_few_words_keeps_the_most_frequent():
    vocabulary = Vocabulary(("rare", "often", "<unk>", "most"))
    text = Text(np.array([0, 1, 1, 2, 3, 3, 3] * 20), vocabulary, unit="word", window=2)
    short, valid = tables._few_words(text, text, num=3, length=100, window=2)
    assert short.vocabulary.symbols == ("<unk>", "most", "often")
    assert np.asarray(short.symbols)[:7].tolist() == [0, 2, 2, 0, 1, 1, 1]
    assert (short.num_symbols, valid.num_symbols) == (100, 5)


def test_sweep_has_every_method_at_every_rate():
    arms = sweep.arms_of()
    assert len(arms) == len({(arm.name, arm.rate) for arm in arms}) == 7 * 5
    assert sweep.setting_of("paper").steps > sweep.setting_of("small").steps
