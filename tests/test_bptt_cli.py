"""`gru-dynamics gradients`: what it leaves behind, and one line for bad input."""

import json

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from gru_dynamics.cells import ElmanCell
from gru_dynamics.cli._errors import CommandError
from gru_dynamics.cli._gradients import run_gradients
from gru_dynamics.interop import save_cell


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def weights(tmp_path):
    """h' = tanh(0.8 R h + x / 1000), nearly linear: the signal falls by 0.8 per step."""
    cell = ElmanCell(2, 2, use_bias=False, key=jr.key(0))
    turn = 0.8 * jnp.array([[jnp.cos(0.5), -jnp.sin(0.5)], [jnp.sin(0.5), jnp.cos(0.5)]])
    cell = eqx.tree_at(lambda c: (c.W, c.U), cell, (1e-3 * jnp.eye(2), turn))
    save_cell(tmp_path / "net.safetensors", cell)
    return tmp_path / "net.safetensors"


def run(weights, **change):
    given = {
        "data": None, "loss": "last", "steps": 60, "max_lag": None, "sequence": 0, "format": "auto", "layer": None,
        "prefix": None, "reset": None, "seed": 0, "out": None, "json": False,
    } | change  # fmt: skip
    run_gradients("gru-dynamics gradients", weights, **given)


def test_white_noise(weights, tmp_path, capsys):
    run(weights)
    folder = tmp_path / "net-gradients"
    assert sorted(file.name for file in folder.iterdir()) == ["gradients.png", "report.html", "result.json"]
    result = json.loads((folder / "result.json").read_text())
    assert result["data"] == {"source": "white noise, standard normal", "steps": 60, "seed": 0}
    assert (result["verdict"], result["lags"], result["steps"]) == ("vanishing", 60, 60)
    assert result["rate_per_step"] == pytest.approx(np.log(0.8), abs=1e-4)
    assert result["horizon"][0]["lag"] == pytest.approx(-1 / np.log(0.8), abs=1e-3)
    assert set(result["parameters"]) == {"W", "U"}
    printed = capsys.readouterr().out
    assert "the gradient is vanishing" in printed
    assert "white noise" in printed
    assert "1 % of the signal is left after 20.6" in printed
    assert (folder / "gradients.png").read_bytes().startswith(b"\x89PNG")


def test_given_sequences(weights, tmp_path, capsys):
    inputs = np.random.default_rng(0).normal(size=(3, 20, 2))
    np.savez(tmp_path / "data.npz", inputs=inputs)
    run(weights, data=tmp_path / "data.npz", sequence=2, loss="sum-of-squares", json=True, max_lag=10)
    whole = json.loads(capsys.readouterr().out)
    assert whole["data"] == {"source": "data.npz", "sequence": 2, "sequences": 3, "steps": 20}
    assert (whole["lags"], whole["loss"]) == (10, "sum-of-squares")
    np.savetxt(tmp_path / "data.csv", inputs[2], delimiter=",", header="a,b", comments="")
    run(weights, data=tmp_path / "data.csv", loss="sum-of-squares", json=True, max_lag=10)
    again = json.loads(capsys.readouterr().out)
    assert again["value"] == pytest.approx(whole["value"], rel=1e-12)
    assert again["left"] == pytest.approx(whole["left"], rel=1e-12)


@pytest.mark.parametrize(
    ("array", "change", "message"),
    [
        (np.zeros((5, 3)), {}, r"shape \(T, 2\)"),
        (np.zeros((0, 2)), {}, r"shape \(T, 2\)"),
        (np.full((5, 2), np.nan), {}, "10 nan or inf of 10"),
        (np.zeros((5, 2), complex), {}, "real numbers"),
        (np.zeros((2, 5, 2)), {"sequence": 2}, "--sequence must lie in 0 to 1"),
    ],
)
def test_bad_data(weights, tmp_path, array, change, message):
    np.savez(tmp_path / "data.npz", inputs=array)
    with pytest.raises(CommandError, match=message):
        run(weights, data=tmp_path / "data.npz", **change)
    assert not (tmp_path / "net-gradients").exists()


def test_bad_options(weights, tmp_path):
    with pytest.raises(CommandError, match="--steps must be at least 1"):
        run(weights, steps=0)
    with pytest.raises(CommandError, match=r"missing\.csv"):
        run(weights, data=tmp_path / "missing.csv")
    np.savez(tmp_path / "data.npz", a=np.zeros((5, 2)), b=np.zeros((5, 2)))
    with pytest.raises(CommandError, match="named 'inputs', found a, b"):
        run(weights, data=tmp_path / "data.npz")
