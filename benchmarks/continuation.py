"""How many points of branches per second, with every event located, against JaxCont without events?

    python benchmarks/continuation.py [--device cpu|gpu] [--quick] [--threads 2] [--runs 7] [--only PART ...]

Parts: `race`, the same Brusselator and GRU families at 1 and 1024 branches, ours without events, ours with folds and
Hopf points located, and JaxCont without events (it has none under `vmap`), interleaved; `many`, 10,000 GRU branches
with events; `again`, whether a second family of the same shape compiles again. Prints what it measures and writes the
same numbers to `benchmarks/results/continuation-<device>.json`. JaxCont (PyPI) is raced when it is installed.
"""

import argparse
import pathlib
from collections.abc import Sequence
from typing import Any

import _harness as harness

WORKER = harness.HERE / "_continuation_worker.py"
PARTS = ("race", "many", "again")
PACKAGES = ("gru_dynamics", "jax", "jaxlib", "equinox", "numpy", "jaxcont")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    options = _parse(arguments)
    cores = harness.pin(options.threads)
    env = harness.environment(options.device, options.threads)
    shared = {"quick": options.quick, "device": options.device, "runs": options.runs}
    result: dict[str, Any] = {
        "benchmark": "continuation",
        "device": None,
        "backend": options.device,
        "threads": options.threads,
        "pinned_cores": cores,
        "quick": options.quick,
        "dtype": "float64",
        "units": {"_s": "seconds", "per_s": "points of branches per second"},
        **harness.provenance(PACKAGES),
    }
    print(f"{options.device}, {options.threads} threads, float64, commit {result['commit']}")

    def run(kind: str, **more: Any) -> dict[str, Any]:
        measured = harness.run_worker(WORKER, shared | {"kind": kind} | more, env)
        result["device"] = measured["device"]
        return measured["result"]

    if "race" in options.parts:
        result["race"] = {}
        for family in ("brusselator", "gru"):
            for branches in (1, 64 if options.quick else 1024):
                measured = run("race", family=family, branches=branches)
                result["race"][f"{family} {branches}"] = measured
                print(_race(family, branches, measured), flush=True)
    if "many" in options.parts:
        result["many"] = run("many", branches=256 if options.quick else 10_000)
        print(_many(result["many"]), flush=True)
    if "again" in options.parts:
        result["again"] = run("again")
        print(
            f"a first family compiles in {result['again']['first_s']:.1f} s, a second of the same shape runs in "
            f"{result['again']['second_s']:.4f} s with {result['again']['compilations']} compilations"
        )
    harness.write(options.out, result)
    return result


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="few branches: for tests, not for numbers")
    parser.add_argument("--threads", type=int, default=2, help="cores and threads (default 2)")
    parser.add_argument("--runs", type=int, default=7, help="warm runs of each method, interleaved (default 7)")
    parser.add_argument("--only", dest="parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=pathlib.Path, help="default benchmarks/results/continuation-<device>.json")
    options = parser.parse_args(arguments)
    suffix = "-quick" if options.quick else ""
    options.out = options.out or harness.HERE / "results" / f"continuation-{options.device}{suffix}.json"
    return options


def _race(family: str, branches: int, measured: dict[str, Any]) -> str:
    lines = [f"{family}, {branches} branches"]
    for name, one in measured["methods"].items():
        lines.append(
            f"  {name:<24} {one['points']:>7} points, warm {one['warm']['median_s']:.4f} s "
            f"({one['warm']['min_s']:.4f} to {one['warm']['max_s']:.4f}), {one['per_s']:.3g} points/s, cold "
            f"{one['cold_s']:.1f} s, largest residual {one['residual']:.1e}"
        )
    for name, ratio in measured["ratios"].items():
        lines.append(f"  {name}: {ratio:.2f}")
    lines.append(f"  events: {measured['events']}")
    return "\n".join(lines)


def _many(measured: dict[str, Any]) -> str:
    return (
        f"{measured['branches']} GRU branches with folds and Hopf points: warm {measured['warm']['median_s']:.2f} s, "
        f"{measured['points']} points, {measured['per_s']:.3g}/s, {measured['located']} events located, "
        f"{measured['bracketed']} bracketed, cold {measured['cold_s']:.1f} s, "
        f"peak {measured['peak_bytes'] / 1e9:.2f} GB"
    )


if __name__ == "__main__":
    main()
