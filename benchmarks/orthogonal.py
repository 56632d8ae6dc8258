"""What does one training step pay for an orthogonal matrix, and how orthogonal is it, against PyTorch and GeoTorch?

    python benchmarks/orthogonal.py [--device cpu|gpu] [--quick] [--threads 2] [--runs 7] [--only CASE ...]

Cases: one matrix of 64, 128, 256, 512, 1024 or 2048 rows, and `batch`, 256 matrices of 118 rows at once. Every mode of
`optim.neumann_cayley` and every map of `torch.nn.utils.parametrizations.orthogonal` and `geotorch.orthogonal` takes
Adam steps in float32 on the same matrix, given the same gradients; the methods take turns. Prints what it measures and
writes the same numbers to `benchmarks/results/orthogonal-<device>.json`. PyTorch and GeoTorch (PyPI) are raced when
they are installed.
"""

import argparse
import pathlib
from collections.abc import Sequence
from typing import Any

import _harness as harness

WORKER = harness.HERE / "_orthogonal_worker.py"
CASES = {str(n): (n, n) for n in (64, 128, 256, 512, 1024, 2048)} | {"batch": (256, 118, 118)}
LARGE = "2048"
PACKAGES = ("gru_dynamics", "jax", "jaxlib", "optax", "numpy", "torch", "geotorch")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    options = _parse(arguments)
    cores = harness.pin(options.threads)
    env = harness.environment(options.device, options.threads)
    result: dict[str, Any] = {
        "benchmark": "orthogonal",
        "device": None,
        "backend": options.device,
        "threads": options.threads,
        "pinned_cores": cores,
        "quick": options.quick,
        "dtype": "float32",
        "units": {"_s": "seconds per optimiser step", "drift": "||W^T W - I||_2, in float64, largest of a batch"},
        **harness.provenance(PACKAGES),
        "cases": {},
    }
    print(f"{options.device}, {options.threads} threads, float32, commit {result['commit']}")
    for name in options.cases:
        runs = min(options.runs, 3) if name == LARGE else options.runs
        job = {"shape": CASES[name], "device": options.device, "threads": options.threads, "quick": options.quick}
        measured = harness.run_worker(WORKER, job | {"runs": runs}, env)
        result["device"] = measured.pop("device")
        result["cases"][name] = measured
        print(_table(name, measured), flush=True)
    print(_summary(result["cases"]))
    harness.write(options.out, result)
    return result


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="few runs, no 2048: for tests, not for numbers")
    parser.add_argument("--threads", type=int, default=2, help="cores and threads (default 2)")
    parser.add_argument("--runs", type=int, help="warm runs of each method, interleaved (default 7, with --quick 2)")
    parser.add_argument("--only", dest="cases", nargs="+", choices=CASES)
    parser.add_argument("--out", type=pathlib.Path, help="default benchmarks/results/orthogonal-<device>.json")
    options = parser.parse_args(arguments)
    options.runs = options.runs or (2 if options.quick else 7)
    options.cases = options.cases or [name for name in CASES if not (options.quick and name == LARGE)]
    suffix = ("" if options.threads == 2 else f"-{options.threads}threads") + ("-quick" if options.quick else "")
    options.out = options.out or harness.HERE / "results" / f"orthogonal-{options.device}{suffix}.json"
    return options


def _table(name: str, case: dict[str, Any]) -> str:
    shape = "x".join(map(str, case["shape"]))
    product = case["product_s"]
    lines = [f"{name} ({shape}): one product of matrices {product:.3g} s ({case['gflop_per_s']:.0f} GFLOP/s)"]
    for method, one in case["methods"].items():
        step = one["step"]
        lines.append(
            f"  {method:<28} {step['median_s']:.3g} s ({step['min_s']:.3g} to {step['max_s']:.3g}), "
            f"{step['median_s'] / product:.1f} products, drift {one['drift']:.1e} after {one['drift_steps']}, "
            f"compile {one['compile_s']:.1f} s"
        )
    lines += [f"  {method}: not run, {why}" for method, why in case["absent"].items()]
    return "\n".join(lines)


def _summary(cases: dict[str, Any]) -> str:
    lines = ["time of the peer over ours (drift of the peer)"]
    for name, case in cases.items():
        methods = case["methods"]
        for ours, ratios in case["ratios"].items():
            drift = methods[ours]["drift"]
            text = ", ".join(f"{peer} {r:.2f} ({methods[peer]['drift']:.0e})" for peer, r in ratios.items())
            lines.append(f"  {name:<6} {ours} ({drift:.0e}): {text}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
