"""Pictures of Lyapunov exponents, and the command that draws them."""

import functools
import json
from importlib import resources
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gru_dynamics as gd
from gru_dynamics.cli._errors import CommandError
from gru_dynamics.cli._lyapunov import run_lyapunov
from gru_dynamics.interop import WeightError
from gru_dynamics.plot._lyapunov import lyapunov_convergence, lyapunov_exponents
from gru_dynamics.sensitivity._lyapunov import lyapunov_spectrum
from gru_dynamics.systems import library

OPTIONS: dict[str, Any] = {
    "format": "auto",
    "layer": None,
    "prefix": None,
    "reset": None,
    "input": None,
    "flow": False,
    "tau": 1.0,
    "num_steps": 300,
    "num_exponents": None,
    "burn_in": None,
    "time_step": None,
    "starts": 3,
    "seed": 0,
    "json": False,
}


def changed(**options: Any) -> dict[str, Any]:
    return OPTIONS | options


@pytest.fixture(scope="module")
def henon():
    return lyapunov_spectrum(library.henon(), jnp.array([0.1, 0.1]), num_steps=2000)


def marks(ax):
    return {line.get_label(): line for line in ax.containers}


def test_exponents_are_drawn_with_their_intervals(henon):
    ax = lyapunov_exponents(henon)
    assert {"positive (1)", "negative (1)"} <= set(marks(ax))
    line, _, (bars,) = marks(ax)["positive (1)"]
    np.testing.assert_allclose(line.get_ydata(), henon.exponents[:1])
    (segment,) = bars.get_segments()
    np.testing.assert_allclose(np.ptp(segment[:, 1]), 2 * 1.96 * henon.standard_error[0])


def test_lost_directions_are_marked():
    found = lyapunov_spectrum(library.logistic(2.0), jnp.array([0.5]), num_steps=50, throw=False)
    ax = lyapunov_exponents(found)
    assert "minus infinity" in {text.get_text() for text in ax.get_legend().get_texts()}


def test_several_runs_side_by_side():
    starts = jnp.array([[0.1, 0.1], [0.2, 0.0]])
    found = jax.vmap(lambda s: lyapunov_spectrum(library.henon(), s, num_steps=500, throw=False))(starts)
    ax = lyapunov_exponents(found)
    assert len(marks(ax)["positive (1)"][0].get_ydata()) == 2
    with pytest.raises(ValueError, match="2 runs"):
        lyapunov_convergence(found)


def test_convergence_ends_at_the_exponents(henon):
    ax = lyapunov_convergence(henon)
    lines = {line.get_gid(): line for line in ax.lines if line.get_gid()}
    assert set(lines) == {"exponent-1", "exponent-2"}
    np.testing.assert_allclose(lines["exponent-2"].get_ydata()[-1], henon.exponents[1])
    assert lyapunov_convergence(henon, most=1).lines[-1].get_gid() == "exponent-1"


@pytest.fixture(scope="module")
def weights():
    with resources.as_file(resources.files("gru_dynamics.data") / "flipflop_gru16_seed0.safetensors") as path:
        yield path


def test_command(weights, tmp_path, capsys):
    run_lyapunov("gru-dynamics lyapunov", weights, out=tmp_path / "out", **OPTIONS)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"lyapunov.png", "report.html", "result.json"}
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert len(result["runs"]) == 3
    for run in result["runs"]:
        assert run["result"] == "successful"
        assert len(run["exponents"]) == 16
        assert max(run["exponents"]) < 0
        assert run["volume_defect"] < 1e-10
    printed = capsys.readouterr().out
    assert "3 settle where every disturbance dies out" in printed
    assert "data:image/png" in (tmp_path / "out" / "report.html").read_text()


def test_command_as_a_flow_prints_json(weights, tmp_path, capsys):
    options = changed(flow=True, tau=2.0, num_exponents=2, starts=1, json=True, input="0.1,0,-0.1")
    run_lyapunov("gru-dynamics lyapunov", weights, out=tmp_path / "out", **options)
    result = json.loads(capsys.readouterr().out)
    assert result["time_step"] == 0.1
    assert result["system"]["input"] == [0.1, 0, -0.1]
    state = jnp.asarray(result["runs"][0]["final_state"])
    flow = gd.CellFlow(gd.load_cell(weights, "torch"), jnp.array([0.1, 0.0, -0.1]), 2.0)
    assert float(jnp.linalg.norm(flow.velocity(state))) < 0.1
    assert result["runs"][0]["volume_defect"] is None


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"num_exponents": 17}, "at most 16"),
        ({"num_steps": 0}, "--num-steps must be at least 1"),
        ({"starts": 0}, "--starts must be at least 1"),
        ({"burn_in": -1}, "--burn-in"),
        ({"time_step": 0.1}, "without --flow"),
        ({"time_step": -0.1, "flow": True}, "positive"),
        ({"input": "1"}, "--input must be 3 numbers"),
    ],
)
def test_command_with_wrong_options(weights, tmp_path, change, match):
    with pytest.raises(CommandError, match=match):
        run_lyapunov("gru-dynamics lyapunov", weights, out=tmp_path / "out", **changed(**change))
    assert not (tmp_path / "out").exists()


def test_command_with_wrong_file(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    run = functools.partial(run_lyapunov, "gru-dynamics lyapunov", out=tmp_path / "out", **OPTIONS)
    for name in ("notes.txt", "missing.safetensors"):
        with pytest.raises((CommandError, WeightError), match=name):
            run(tmp_path / name)


def test_too_short_a_run_says_so(weights, tmp_path, capsys):
    run_lyapunov("gru-dynamics lyapunov", weights, out=tmp_path / "out", **changed(num_steps=4, starts=1))
    assert "Too few steps" in capsys.readouterr().out
