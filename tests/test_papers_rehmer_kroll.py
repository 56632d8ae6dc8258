"""Rehmer & Kroll (2020), figures 3 to 9: closed forms of what the pictures show, and the files."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from gru_dynamics.papers import (
    _rehmer_kroll as reproduction,
    _rehmer_kroll_figure_3 as figure_3,
    _rehmer_kroll_landscapes as landscapes,
    _rehmer_kroll_shapes as shapes,
)
from gru_dynamics.papers._rehmer_kroll_equations import Unit, equation_8, equation_9, equation_11, equation_12, step

# Figure 3 ---------------------------------------------------------------------------------------------


def test_largest_gradients_are_where_calculus_puts_them():
    """In w_z, (1 - s)(1 + s)^2 + s along t = -s, largest at s = (sqrt 7 - 1)/3; printed, the same without the last
    term, at s = 1/3; in w_c, 2 - s^2 at t = 0."""
    printed, true, candidate = figure_3.facts(*figure_3.surfaces())
    s = (np.sqrt(7) - 1) / 3
    assert true["largest"] == pytest.approx((1 - s) * (1 + s) ** 2 + s, abs=1e-5)
    assert (true["s"], true["t"]) == pytest.approx((s, -s), abs=5e-3)
    assert printed["largest"] == pytest.approx(2 / 3 * (4 / 3) ** 2, abs=1e-5)
    assert (printed["s"], printed["t"]) == pytest.approx((1 / 3, -1 / 3), abs=5e-3)
    assert (candidate["largest"], candidate["s"], candidate["t"]) == (2.0, 0.0, 0.0)
    assert [row["open_gate"] for row in (printed, true, candidate)] == pytest.approx([0, 1, 1], abs=1e-12)
    words = figure_3.sentences([printed, true, candidate])
    assert [("is false" in line, "holds" in line) for line in words] == [(True, False), (True, False), (False, True)]


def test_equations_by_differences():
    unit = Unit(*map(jnp.asarray, (0.2, -0.3, 1.4, -1.6, 0.6, -0.8)))
    numbers, h = np.array([float(value) for value in unit[:5]]), 1e-6

    def slope(place):
        ends = []
        for sign in (1, -1):
            moved = numbers.copy()
            moved[place] += sign * h
            moved[4] += sign * h * float(unit.slope)
            ends.append(float(step(*map(jnp.asarray, moved))))
        return (ends[0] - ends[1]) / (2 * h)

    for equation, place in ((equation_8, 0), (equation_9, 2)):
        assert float(equation(unit).claimed) == pytest.approx(slope(place), abs=1e-9)
        assert float(equation(unit).measured) == pytest.approx(slope(place), abs=1e-9)
        assert float(equation(unit, as_printed=True).error) > 0.05
    for equation in (equation_11, equation_12):
        assert float(equation(unit).error) < 1e-14
        wrong = np.abs(np.asarray(equation(unit, as_printed=True).claimed - equation(unit).measured))
        assert wrong[0] > 0.05
        assert wrong[1] < 1e-14


# Figures 4 to 7 ---------------------------------------------------------------------------------------


def test_distances_along_the_paths():
    rows = {row["shape"]: row for row in shapes.facts()}
    p = shapes.PARAMETERS
    # x sigmoid(-p x) is largest where u tanh(u / 2) = 1 + ... : 0.2784645 / p, for every p.
    np.testing.assert_allclose(np.array(rows["ReLU"]["distances"]) * p, 0.2784645, rtol=2e-3)
    # sigmoid(-p) |x - tanh 2x|, at the end of the interval.
    expected = (3 - np.tanh(6)) / (1 + np.exp(p[:16]))
    for name in ("tanh", "identity"):
        np.testing.assert_allclose(rows[name]["distances"][:16], expected, rtol=1e-9, atol=1e-15)
    # tanh(0.3 * 3) against 3 tanh(0.3): it stays.
    assert rows["leaky ReLU"]["distances"][-1] == pytest.approx(3 * np.tanh(0.3) - np.tanh(0.9), rel=1e-6)
    assert rows["leaky ReLU"]["rate"].startswith("stays at 0.158")
    assert [rows[name]["rate"] for name in ("tanh", "binary step", "identity")] == ["exponential in p"] * 3
    for name in ("ReLU", "swish", "line"):
        assert float(rows[name]["rate"].removeprefix("p^")) == pytest.approx(-1, abs=0.02)


# Figures 8 and 9 --------------------------------------------------------------------------------------


def mean_square(next_state):
    x = target = 1.0
    errors = []
    for _ in range(100):
        x, target = next_state(x), -0.9 * target
        errors.append((x - target) ** 2)
    return np.mean(errors)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


_NEXT = (
    lambda w, b: lambda x: np.tanh(w * x + b),
    lambda w, b: lambda x: sigmoid(w * x + b) * x + (1 - sigmoid(w * x + b)) * np.tanh(x),
    lambda w, b: lambda x: sigmoid(x) * x + (1 - sigmoid(x)) * np.tanh(w * x + b),
)


@pytest.fixture(scope="module")
def planes():
    return landscapes.planes(21)


def test_landscapes_at_single_points(planes):
    for plane, model in zip(planes, _NEXT, strict=True):
        found = plane.landscape
        for i, j in ((0, 20), (7, 10), (13, 4)):
            w, b = float(found.x[i]), float(found.y[j])
            assert float(found.loss[i, j]) == pytest.approx(mean_square(model(w, b)), rel=1e-9)
            h = 1e-6
            slopes = [
                (mean_square(model(w + h * u, b + h * v)) - mean_square(model(w - h * u, b - h * v))) / (2 * h)
                for u, v in ((1, 0), (0, 1))
            ]
            np.testing.assert_allclose(found.gradient[i, j], slopes, rtol=1e-4, atol=1e-7)


def test_what_is_said_about_the_landscapes(planes):
    rnn, gate, candidate = rows = landscapes.facts(planes)
    assert rnn["steepest"] > candidate["steepest"] > gate["steepest"]
    assert rnn["interior"]
    assert not gate["interior"]
    # No gate makes the sign alternate: half the squares of 0.9^k are left at least.
    left = sum(0.81**k for k in range(1, 101, 2)) / 100
    assert gate["least_loss"] >= left * (1 - 1e-12)
    words = " ".join(landscapes.sentences(rows, [1.0, 2.0, 3.0]))
    assert f"RNN {rnn['steepest']:.4g}" in words
    assert f"{rnn['steepest'] / candidate['steepest']:.3g} times as steep" in words


@pytest.mark.slow
def test_files(tmp_path):
    files, text, result = reproduction.report(tmp_path, lambda line: None, 21)
    assert files[0] == "page.html"
    assert all((tmp_path / name).stat().st_size > 0 for name in files)
    written = json.loads((tmp_path / "result.json").read_text())
    assert written == json.loads(json.dumps(result))
    assert [len(written[name]) for name in written if name.startswith("Figure")] == [3, 8, 3]
    assert "Steepest gradient on the grid: RNN" in text
    assert "| leaky ReLU |" in (tmp_path / "table.md").read_text()
