"""How many of the known fixed points does each method find, and how fast?

    python benchmarks/fixed_points.py [--device cpu|gpu] [--quick] [--threads 2] [--only CASE ...] [--out FILE]

Prints a table and writes the same numbers to `benchmarks/results/fixed_points-<device>.json`. To race FixedPointFinder
(PyTorch) too, set FIXED_POINT_FINDER to the folder that holds its `FixedPointFinderTorch.py`.
"""

import argparse
import json
import os
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

import _harness as harness

WORKER = harness.HERE / "_fixed_points_worker.py"
CASES = (
    "product_gru",
    "flipflop0_visited",
    "flipflop0_uniform",
    "flipflop1_uniform",
    "random_gain1",
    "random_gain2",
    "jordan_fig3a",
)
QUICK_CASES = ("product_gru", "flipflop0_uniform", "random_gain1", "jordan_fig3a")
EXTRAS = ("throughput", "memory")
PACKAGES = ("gru_dynamics", "jax", "jaxlib", "equinox", "optax", "numpy", "torch")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    options = _parse(arguments)
    cores = harness.pin(options.threads)
    env = harness.environment(options.device, options.threads)
    finder_options = options.finder_options if os.environ.get("FIXED_POINT_FINDER") else []
    shared = {
        "quick": options.quick,
        "device": options.device,
        "threads": options.threads,
        "finder_options": finder_options,
        "runs": options.runs,
    }

    def run(kind: str, **more: Any) -> dict[str, Any]:
        measured = harness.run_worker(WORKER, shared | {"kind": kind} | more, env)
        result["device"] = measured.pop("device")
        return measured

    result: dict[str, Any] = {
        "benchmark": "fixed_points",
        "device": None,
        "backend": options.device,
        "threads": options.threads,
        "pinned_cores": cores,
        "quick": options.quick,
        "dtype": "float64",
        "units": {"_s": "seconds", "_bytes": "bytes", "_per_s": "per second"},
        **harness.provenance(PACKAGES),
        "fixed_point_finder": finder_options or "not run: FIXED_POINT_FINDER is not set",
        "cases": {},
    }
    print(f"{options.device}, {options.threads} threads, float64, commit {result['commit']}")
    if not finder_options:
        print("FixedPointFinder not run: set FIXED_POINT_FINDER to the folder of its FixedPointFinderTorch.py")
    print(_HEADER)
    for case in options.cases:
        measured = run("race", case=case)
        racers = {name: method for name, method in measured["methods"].items() if "skipped" not in method}
        fresh: dict[str, list[dict[str, Any]]] = {name: [] for name in racers}
        for _ in range(options.cold_runs):
            for name, runs in fresh.items():
                runs.append(run("cold", case=case, method=name))
        for name, runs in fresh.items():
            racers[name]["cold"] = harness.spread([once["cold_s"] for once in runs])
            for stage in ("trace_s", "lower_s", "compile_s"):
                racers[name]["cold"][stage] = statistics.median(once[stage] for once in runs)
        result["cases"][case] = measured
        for name, method in measured["methods"].items():
            print(_row(case, name, measured, method), flush=True)
    for extra, report in (("throughput", _throughput), ("memory", _memory)):
        if extra in options.extras:
            result[extra] = run(extra)
            print(report(result[extra]), flush=True)
    harness.write(options.out, result)
    print(f"on {result['device']}; written to {os.path.relpath(options.out)}")
    return result


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="small networks and few runs: for tests, not for numbers")
    parser.add_argument("--threads", type=int, default=2, help="cores and threads of every method (default 2)")
    parser.add_argument("--only", nargs="+", choices=CASES + EXTRAS, metavar="CASE", help=", ".join(CASES + EXTRAS))
    parser.add_argument("--runs", type=int, help="warm runs of each method (default 7, quick 2)")
    parser.add_argument("--cold-runs", type=int, help="fresh processes per method and case (default 3, quick 1)")
    parser.add_argument(
        "--finder-options",
        action="append",
        type=json.loads,
        metavar="JSON",
        help="options of FixedPointFinder; give it several times to race several settings (default: its own)",
    )
    parser.add_argument("--out", type=pathlib.Path, help="default benchmarks/results/fixed_points-<device>.json")
    options = parser.parse_args(arguments)
    options.runs = options.runs or (2 if options.quick else 7)
    options.cold_runs = options.cold_runs or (1 if options.quick else 3)
    options.finder_options = options.finder_options or [{}]
    asked = options.only or (QUICK_CASES if options.quick else CASES) + EXTRAS
    options.cases = [name for name in CASES if name in asked]
    options.extras = [name for name in EXTRAS if name in asked]
    suffix = "-quick" if options.quick else ""
    options.out = options.out or harness.HERE / "results" / f"fixed_points-{options.device}{suffix}.json"
    return options


_HEADER = (
    f"{'case':<18} {'method':<20} {'found':>9} {'recall':>7} {'at 1e-3':>8} {'phantoms':>8} "
    f"{'seeds converged':>16} {'cold s':>8} {'compile s':>9} {'warm s: median [min, max]':>28}"
)


def _row(case: str, name: str, measured: dict[str, Any], method: dict[str, Any]) -> str:
    if "skipped" in method:
        return f"{case:<18} {name:<20} not run: {method['skipped']}"

    def share(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    known = measured["known_points"]
    found = f"{method['found_within_1e-06']}/{'?' if known is None else known}"
    seeds = f"{method['seeds_converged']}/{method['seeds_used']}"
    warm, cold = method["warm"], method["cold"]
    compiling = cold["trace_s"] + cold["lower_s"] + cold["compile_s"]
    times = f"{warm['median_s']:.4f} [{warm['min_s']:.4f}, {warm['max_s']:.4f}]"
    return (
        f"{case:<18} {name:<20} {found:>9} {share(method['recall_1e-06']):>7} {share(method['recall_1e-03']):>8} "
        f"{method['phantoms']:>8} {seeds:>16} {cold['median_s']:>8.3f} {compiling:>9.3f} {times:>28}"
    )


def _throughput(measured: dict[str, Any]) -> str:
    return (
        f"throughput: {measured['checkpoints']} GRU({measured['units']}), {measured['seeds_each']} seeds each, in one: "
        f"cold {measured['cold_s']:.2f} s, warm {measured['warm']['median_s']:.3f} s "
        f"[{measured['warm']['min_s']:.3f}, {measured['warm']['max_s']:.3f}] = "
        f"{measured['checkpoints_per_s']:.0f}/s; one by one {measured['one_by_one_per_s']:.0f}/s; "
        f"{measured['points']} points, {measured['phantoms']} phantoms, "
        f"index sum +1 in {measured['index_sum_is_1']}"
    )


def _memory(measured: dict[str, Any]) -> str:
    device = measured["device_peak_bytes"]
    on_device = "" if device is None else f", device {device / 1e9:.2f} GB"
    return (
        f"memory: {measured['seeds']} seeds of a GRU({measured['units']}): peak {measured['peak_bytes'] / 1e9:.2f} GB "
        f"resident ({measured['peak_bytes_before'] / 1e9:.2f} GB before){on_device}, {measured['cold_s']:.1f} s, "
        f"{measured['points']} points, {measured['seeds_converged']}/{measured['seeds_used']} converged"
    )


if __name__ == "__main__":
    main()
