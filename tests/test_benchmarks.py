"""The benchmark scripts run, and their result files hold what the README says. Nothing here is timed."""

import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parent.parent / "benchmarks" / "fixed_points.py"


def run(folder, *options, script=SCRIPT):
    out = folder / "result.json"
    command = [sys.executable, str(script), "--quick", "--runs", "1", "--out", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text()), done.stdout


@pytest.mark.skipif(not SCRIPT.exists(), reason="the benchmarks are not part of the source archive")
def test_fixed_points(tmp_path, monkeypatch):
    monkeypatch.delenv("FIXED_POINT_FINDER", raising=False)
    result, printed = run(tmp_path, "--only", "product_gru")
    assert result["benchmark"] == "fixed_points"
    assert result["backend"] == "cpu"
    assert result["quick"] is True
    assert {"device", "versions", "commit", "date", "command", "units", "threads"} <= result.keys()
    assert result["versions"]["jax"]
    assert result["fixed_point_finder"].startswith("not run")
    assert "FixedPointFinder not run" in printed

    case = result["cases"]["product_gru"]
    assert (case["known_points"], case["units"]) == (27, 3)
    assert set(case["methods"]) == {"gru_dynamics", "adam"}
    for method in case["methods"].values():
        assert {"reported", "phantoms", "recall_1e-06", "recall_1e-03", "seeds_converged"} <= method.keys()
        assert len(method["warm"]["runs_s"]) == len(method["cold"]["runs_s"]) == 1
        assert method["cold"]["compile_s"] > 0
    ours = case["methods"]["gru_dynamics"]
    assert (ours["recall_1e-06"], ours["reported"], ours["phantoms"]) == (1.0, 27, 0)
    # The table shows the file's own numbers.
    assert f"{ours['warm']['median_s']:.4f}" in printed


@pytest.mark.skipif(not SCRIPT.exists(), reason="the benchmarks are not part of the source archive")
@pytest.mark.slow
def test_enumerate(tmp_path):
    result, printed = run(tmp_path, "--only", "verify", script=SCRIPT.with_name("enumerate.py"))
    assert {"device", "versions", "commit", "date", "command", "units", "threads"} <= result.keys()
    assert all(case["proven"] and case["kind_proven"] for case in result["verify"].values())
    assert f"radius {result['verify']['gru 8']['radius']:.1e}" in printed


@pytest.mark.slow
def test_enumerate_race(tmp_path):
    result, _ = run(tmp_path, "--only", "race", script=SCRIPT.with_name("enumerate.py"))
    assert result["race"]["contradictions_with_search"] == 0
    assert result["race"]["certified"] == sum(result["race"]["counts"].values())


@pytest.mark.slow
def test_sweep(tmp_path):
    result, _ = run(tmp_path, script=SCRIPT.with_name("sweep.py"))
    assert result["runs"][0]["systems"] == 32 * 32
    assert result["search"]["contradictions"] == 0


@pytest.mark.slow
def test_orthogonal(tmp_path):
    result, printed = run(tmp_path, "--only", "64", script=SCRIPT.with_name("orthogonal.py"))
    case = result["cases"]["64"]
    assert case["shape"] == [64, 64]
    assert f"drift {case['methods']['closed_loop']['drift']:.1e}" in printed
    drifts = {name: method["drift"] for name, method in case["methods"].items()}
    # Rounding alone leaves about sqrt(64) eps = 1e-6; the released scheme is known not to be orthogonal.
    assert max(drifts["closed_loop"], drifts["exact"], drifts["rebased"]) < 2e-6
    assert drifts["released"] > 1e-3
    assert set(case["methods"]) | set(case["absent"]) >= {"torch cayley", "geotorch expm"}
    assert "closed_loop" in case["ratios"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gradients", "lyapunov", "training"])
def test_runs_and_says_where(tmp_path, name):
    result, printed = run(tmp_path, script=SCRIPT.with_name(f"{name}.py"))
    assert {"device", "versions", "commit", "date", "command", "units", "threads"} <= result.keys()
    assert result["benchmark"] == name
    assert result["quick"] is True
    assert printed.startswith("cpu, 2 threads")


@pytest.mark.slow
def test_throughput_and_memory(tmp_path):
    result, _ = run(tmp_path, "--only", "throughput", "memory")
    throughput, memory = result["throughput"], result["memory"]
    assert throughput["phantoms"] == 0
    assert throughput["index_sum_is_1"] == throughput["checkpoints"]
    assert memory["points"] == 27
    assert memory["peak_bytes_before"] <= memory["peak_bytes"] < 2e9


def test_a_wrong_recall_is_seen(monkeypatch):
    """The judge misses what is not there, and counts a point that is no fixed point as a phantom."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    cases = pytest.importorskip("_fixed_points_cases")
    case = cases.make("product_gru", True)
    reported = case.truth.copy()[:-2]
    reported[0] += 1e-4
    verdict = cases.judge(case, reported)
    assert verdict["found_within_1e-06"] == 24
    assert verdict["found_within_1e-03"] == 25
    assert (verdict["phantoms"], verdict["phantoms_above_1e-3"]) == (1, 0)
