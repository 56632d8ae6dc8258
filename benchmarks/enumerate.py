"""How many small networks can be enumerated with proof per second, and what does rounding cost?

    python benchmarks/enumerate.py [--device cpu|gpu] [--quick] [--threads 2] [--only PART ...] [--out FILE]

Prints what it measures and writes the same numbers to `benchmarks/results/enumerate-<device>.json`. codac (PyPI) is
raced on the same systems when it is installed.
"""

import argparse
import os
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

import _harness as harness

WORKER = harness.HERE / "_enumerate_worker.py"
PARTS = ("race", "rounding", "single", "verify")
PACKAGES = ("gru_dynamics", "jax", "jaxlib", "equinox", "numpy", "codac")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    options = _parse(arguments)
    cores = harness.pin(options.threads)
    env = harness.environment(options.device, options.threads)
    shared = {"quick": options.quick, "device": options.device, "runs": options.runs, "seeds": options.seeds}

    def run(kind: str, **more: Any) -> dict[str, Any]:
        measured = harness.run_worker(WORKER, shared | {"kind": kind} | more, env)
        result["device"] = measured["device"]
        return measured["result"]

    result: dict[str, Any] = {
        "benchmark": "enumerate",
        "device": None,
        "backend": options.device,
        "threads": options.threads,
        "pinned_cores": cores,
        "quick": options.quick,
        "dtype": "float64",
        "units": {"_s": "seconds", "_per_s": "per second", "per_s": "systems per second"},
        **harness.provenance(PACKAGES),
    }
    print(f"{options.device}, {options.threads} threads, float64, commit {result['commit']}")
    if "race" in options.parts:
        result["race"] = run("race")
        print(_race(result["race"]), flush=True)
    if "rounding" in options.parts:
        # Two processes in turn, since what is traced with rounding stays compiled.
        runs: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        for _ in range(options.processes):
            for rounded in (True, False):
                runs[rounded].append(run("rounding", rounded=rounded))
        both = {rounded: statistics.median(each["boxes_per_s"] for each in runs[rounded]) for rounded in runs}
        result["rounding"] = {
            "with": runs[True],
            "without": runs[False],
            "boxes_per_s_with": both[True],
            "boxes_per_s_without": both[False],
            "cost_factor": both[False] / both[True],
        }
        print(
            f"one look at each of {runs[True][0]['boxes']} boxes: {both[True]:.3g} boxes/s with rounding, "
            f"{both[False]:.3g} without: it costs a factor {both[False] / both[True]:.2f}",
            flush=True,
        )
    if "single" in options.parts:
        result["single"] = run("single")
        for name, case in result["single"]["cases"].items():
            print(_single(name, case), flush=True)
    if "verify" in options.parts:
        result["verify"] = run("verify")
        for name, case in result["verify"].items():
            print(
                f"verify_point {name:<9} proven {case['proven']}, radius {case['radius']:.1e}, unique within "
                f"{case['unique_radius']:.1e}, kind proven {case['kind_proven']}, "
                f"cold {case['cold_s']:.2f} s, warm {_times(case['warm'])}"
            )
    harness.write(options.out, result)
    print(f"on {result['device']}; written to {os.path.relpath(options.out)}")
    return result


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="few systems and runs: for tests, not for numbers")
    parser.add_argument("--threads", type=int, default=2, help="cores and threads (default 2)")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--runs", type=int, help="warm runs (default 5, quick 1)")
    parser.add_argument("--processes", type=int, help="processes with and without rounding (default 3, quick 1)")
    parser.add_argument("--seeds", type=int, default=256, help="guesses of the search beside it (default 256)")
    parser.add_argument("--out", type=pathlib.Path, help="default benchmarks/results/enumerate-<device>.json")
    options = parser.parse_args(arguments)
    options.runs = options.runs or (1 if options.quick else 5)
    options.processes = options.processes or (1 if options.quick else 3)
    options.parts = options.only or PARTS
    suffix = "-quick" if options.quick else ""
    options.out = options.out or harness.HERE / "results" / f"enumerate-{options.device}{suffix}.json"
    return options


def _race(measured: dict[str, Any]) -> str:
    lines = [
        f"{measured['systems']} two-unit GRUs in one call: {measured['certified']} certified, boxes each "
        f"{measured['boxes_each']:.1f}, {measured['boxes_per_s']:.3g} boxes/s, first call {measured['cold_s']:.1f} s; "
        f"counts {measured['counts']}, open {len(measured['open']['at_least'])}; "
        f"contradictions with the search: {measured['contradictions_with_search']}, search short of the proof: "
        f"{measured['search_short_of_proof']}"
    ]
    for name, method in measured["methods"].items():
        lines.append(
            f"  {name:<12} {method['per_s']:>9.0f} systems/s, per system {method['median_s']:.2e} s "
            f"[{method['min_s']:.2e}, {method['max_s']:.2e}]"
        )
    lines += [f"  {factor:.0f} times {name}" for name, factor in measured["times_codac"].items()]
    lines += [
        f"  {name}: as many separate places as proven points in {equal} of {measured['codac_systems']} systems"
        for name, equal in measured["codac_places_equal_count"].items()
    ]
    return "\n".join(lines)


def _single(name: str, case: dict[str, Any]) -> str:
    return (
        f"{name:<12} {case['boxes']:>7} boxes, cold {case['cold_s']:.2f} s, warm {_times(case['warm'])}, "
        f"{case['boxes_per_s']:.3g} boxes/s: {case['summary']}"
    )


def _times(warm: dict[str, Any]) -> str:
    return f"{warm['median_s']:.4f} s [{warm['min_s']:.4f}, {warm['max_s']:.4f}]"


if __name__ == "__main__":
    main()
