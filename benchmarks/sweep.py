"""How long does a certified phase diagram of a million two-unit GRUs take, and in how much memory?

    python benchmarks/sweep.py [--device cpu|gpu] [--quick] [--threads 2] [--side 1000] [--out FILE]

Sweeps a plane of parameters with `enumerate_fixed_points`, from the first compilation to the last part on disk; then
some of the same blocks with `find_fixed_points`, and compares row by row. Writes what it prints to
`benchmarks/results/sweep-<device>.json`.
"""

import argparse
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import _harness as harness

WORKER = harness.HERE / "_sweep_worker.py"
PACKAGES = ("gru_dynamics", "jax", "jaxlib", "equinox", "numpy", "pyarrow")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    options = _parse(arguments)
    cores = harness.pin(options.threads)
    env = harness.environment(options.device, options.threads)
    if options.device == "cpu":
        # One XLA device per core: a block on each, at the same time.
        env["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={options.threads}"
    shared = {
        "device": options.device,
        "side": options.side,
        "block_size": options.block_size,
        "guesses": options.guesses,
        "analysis": "enumerate",
    }
    result: dict[str, Any] = {
        "benchmark": "sweep",
        "device": None,
        "backend": options.device,
        "threads": options.threads,
        "pinned_cores": cores,
        "quick": options.quick,
        "dtype": "float64",
        "block_size": options.block_size,
        "units": {"_s": "seconds", "_bytes": "bytes", "per_s": "systems per second"},
        **harness.provenance(PACKAGES),
        "runs": [],
    }
    print(f"{options.device}, {options.threads} threads, float64, commit {result['commit']}")
    for _ in range(options.runs):
        measured = harness.run_worker(WORKER, shared | {"kind": "whole"}, env)
        result["device"] = measured["device"]
        result["runs"].append(measured["result"] | {"process_s": measured["process_s"]})
        print(_whole(result["runs"][-1]), flush=True)
    number = -(-(options.side**2) // options.block_size)
    some = sorted({round(i * (number - 1) / max(options.search_blocks - 1, 1)) for i in range(options.search_blocks)})
    result["search"] = harness.run_worker(WORKER, shared | {"kind": "blocks", "blocks": some}, env)["result"]
    print(_search(result["search"]), flush=True)
    harness.write(options.out, result)
    print(f"on {result['device']}; written to {os.path.relpath(options.out)}")
    return result


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="a small plane: for tests, not for numbers")
    parser.add_argument("--threads", type=int, default=2, help="cores, threads and CPU devices (default 2)")
    parser.add_argument("--side", type=int, help="systems along each side of the plane (default 1000, quick 32)")
    parser.add_argument("--block-size", type=int, help="systems in one program (default 32768, quick 256)")
    parser.add_argument("--guesses", type=int, default=64, help="guesses of the search for each system (default 64)")
    parser.add_argument("--search-blocks", type=int, help="blocks to search as well (default 3, quick 2)")
    parser.add_argument("--runs", type=int, default=1, help="whole sweeps, each in a fresh process (default 1)")
    parser.add_argument("--out", type=pathlib.Path, help="default benchmarks/results/sweep-<device>.json")
    options = parser.parse_args(arguments)
    options.side = options.side or (32 if options.quick else 1000)
    options.block_size = options.block_size or (256 if options.quick else 32768)
    options.search_blocks = options.search_blocks or (2 if options.quick else 3)
    suffix = "-quick" if options.quick else ""
    options.out = options.out or harness.HERE / "results" / f"sweep-{options.device}{suffix}.json"
    return options


def _whole(run: dict[str, Any]) -> str:
    return (
        f"{run['systems']} two-unit GRUs: {run['sweep_s']:.1f} s with compiling and writing, {run['per_s']:.0f}/s, "
        f"{run['certified']} certified, {run['undecided']} undecided, counts {run['counts']}, "
        f"{run['kinds_unproven']} kinds unproven, {run['boxes'] / run['systems']:.1f} boxes each, "
        f"{run['boxes_per_s']:.3g} boxes/s, peak {run['peak_bytes'] / 1e9:.2f} GB, table "
        f"{run['table_bytes'] / 1e6:.1f} MB, {run['devices']} devices"
    )


def _search(measured: dict[str, Any]) -> str:
    return (
        f"search of {measured['systems']} of them, {measured['guesses']} guesses each: {measured['search_s']:.1f} s "
        f"warm, {measured['per_s']:.0f}/s; index sum +1 in {measured['consistent']}; contradictions with the proof "
        f"{measured['contradictions']}; fewer points than proven in {measured['short']}, unnoticed by the index sum in "
        f"{measured['consistent_but_short']}"
    )


if __name__ == "__main__":
    main()
