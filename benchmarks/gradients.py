"""What does it cost to take a gradient apart, and to look at a whole plane of losses?

    python benchmarks/gradients.py [--quick] [--threads 2] [--runs 7] [--only CASE ...]

Cases: `totals`, the split by step beside one jitted `jax.grad` of the same loss (128 units, 1000 steps); `lags`, the
split by lag beside a double loop over readings and steps; `memory`, resident memory over the length of the sequence, up
to 1e5 steps, beside `jax.grad`; `landscape`, loss and gradient on 200 x 200 points of two planes of Rehmer & Kroll
(2020) (100 steps, one unit). All in float64. Prints what it measures and writes the same numbers to
`benchmarks/results/gradients-<device>.json`.
"""

import argparse
import pathlib
from collections.abc import Sequence
from typing import Any

import _harness as harness

WORKER = harness.HERE / "_gradients_worker.py"
PACKAGES = ("gru_dynamics", "jax", "jaxlib", "numpy")
LENGTHS = (25_000, 50_000, 100_000)
FULL: dict[str, dict[str, Any]] = {
    "totals": {"units": 128, "inputs": 64, "steps": 1000, "cells": ["gru-before", "gru-after", "lstm", "elman"]},
    "lags": {"units": 64, "inputs": 16, "steps": 400, "lags": 100},
    "memory": {"units": 64, "inputs": 16, "lengths": list(LENGTHS)},
    "landscape": {"points": 200, "steps": 100},
}
QUICK: dict[str, dict[str, Any]] = {
    "totals": {"units": 8, "inputs": 2, "steps": 50, "cells": ["gru-before"]},
    "lags": {"units": 4, "inputs": 2, "steps": 20, "lags": 5},
    "memory": {"units": 4, "inputs": 2, "lengths": [2000, 4000]},
    "landscape": {"points": 10, "steps": 10},
}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    options = _parse(arguments)
    cores = harness.pin(options.threads)
    env = harness.environment(options.device, options.threads)
    result: dict[str, Any] = {
        "benchmark": "gradients",
        "device": None,
        "backend": options.device,
        "threads": options.threads,
        "pinned_cores": cores,
        "quick": options.quick,
        "dtype": "float64",
        "units": {"_s": "seconds of a warm call", "bytes": "of resident memory", "difference": "relative, largest"},
        **harness.provenance(PACKAGES),
        "cases": {},
    }
    print(f"{options.device}, {options.threads} threads, float64, commit {result['commit']}")
    for name in options.cases:
        job = {"case": name, "device": options.device, "runs": options.runs} | (QUICK if options.quick else FULL)[name]
        if name == "memory":
            measured = _memory(job, env)
        else:
            measured = harness.run_worker(WORKER, job, env)
        result["device"] = measured.pop("device")
        result["cases"][name] = measured
        print(_TABLES[name](measured), flush=True)
    harness.write(options.out, result)
    return result


def _memory(job: dict[str, Any], env: dict[str, str]) -> dict[str, Any]:
    """Each method and length in a process of its own, since a process never gives its peak back."""
    rows: list[dict[str, Any]] = []
    device = None
    for method in ("bptt_factors", "bptt_factors, 10 lags", "jax.grad"):
        for length in job["lengths"]:
            one = harness.run_worker(WORKER, job | {"method": method, "length": length}, env)
            device = one["device"]
            rows.append(
                {"method": method, "length": length} | {k: one[k] for k in ("peak_bytes", "base_bytes", "run_s")}
            )
    slopes = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        slopes[method] = (mine[-1]["peak_bytes"] - mine[0]["peak_bytes"]) / (mine[-1]["length"] - mine[0]["length"])
    return {"device": device, "units": job["units"], "rows": rows, "bytes_per_step": slopes}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: for tests, not for numbers")
    parser.add_argument("--threads", type=int, default=2, help="cores and threads (default 2)")
    parser.add_argument("--runs", type=int, help="warm runs of each method, interleaved (default 7, with --quick 2)")
    parser.add_argument("--only", dest="cases", nargs="+", choices=FULL)
    parser.add_argument("--out", type=pathlib.Path, help="default benchmarks/results/gradients-<device>.json")
    options = parser.parse_args(arguments)
    options.runs = options.runs or (2 if options.quick else 7)
    options.cases = options.cases or list(FULL)
    suffix = ("" if options.threads == 2 else f"-{options.threads}threads") + ("-quick" if options.quick else "")
    options.out = options.out or harness.HERE / "results" / f"gradients-{options.device}{suffix}.json"
    return options


def _spread(one: dict[str, Any]) -> str:
    return f"{one['median_s']:.4g} s ({one['min_s']:.4g} to {one['max_s']:.4g})"


def _totals_table(case: dict[str, Any]) -> str:
    lines = [f"totals: {case['units']} units, {case['steps']} steps; split by step over one jax.grad"]
    for name, one in case["cells"].items():
        lines.append(
            f"  {name:<11} ours {_spread(one['ours'])}, jax.grad {_spread(one['grad'])}: {one['ratio']:.2f}; "
            f"difference {one['difference']:.1e}"
        )
    return "\n".join(lines)


def _lags_table(case: dict[str, Any]) -> str:
    return (
        f"lags: GRU, {case['units']} units, {case['steps']} steps, {case['lags']} lags\n"
        f"  ours {_spread(case['ours'])}, double loop {_spread(case['loop'])}: {case['ratio']:.1f} times faster; "
        f"one jax.grad {_spread(case['grad'])}; difference {case['difference']:.1e}"
    )


def _memory_table(case: dict[str, Any]) -> str:
    lines = [f"memory: GRU, {case['units']} units"]
    for row in case["rows"]:
        lines.append(
            f"  {row['method']:<22} {row['length']:>7} steps: peak {row['peak_bytes'] / 2**20:.0f} MiB, "
            f"{row['base_bytes'] / 2**20:.0f} before the call, {row['run_s']:.2f} s warm"
        )
    lines += [f"  {name}: {slope:.0f} bytes per step" for name, slope in case["bytes_per_step"].items()]
    return "\n".join(lines)


def _landscape_table(case: dict[str, Any]) -> str:
    lines = [f"landscape: {case['points']} x {case['points']} points, {case['steps']} steps, loss and gradient"]
    for name, one in case["models"].items():
        lines.append(
            f"  {name:<9} {_spread(one['run'])}, compile {one['compile_s']:.1f} s, steepest gradient "
            f"{one['steepest']:.4g}, share above 1: {one['share_above_1']:.3f}"
        )
    return "\n".join(lines)


_TABLES = {"totals": _totals_table, "lags": _lags_table, "memory": _memory_table, "landscape": _landscape_table}


if __name__ == "__main__":
    main()
