"""How many training steps per second on the denoise task, against the same model in PyTorch?

    python benchmarks/training.py [--device cpu|gpu] [--quick] [--threads 2] [--runs 7] [--only MODEL ...]

Models: `nc-gru`, the paper's orthogonal GRU (118 units, U_c orthogonal), where PyTorch runs a loop of the same
equations with `torch.nn.utils.parametrizations.orthogonal` (Cayley); `gru`, where PyTorch has its own kernel
(`torch.nn.GRU`). T = 200 (220 steps in all), batches of 128, Adam, float32. Ours is `gru_dynamics.fit` with all it
does: batches drawn inside the program, finite-checks, the log. PyTorch is given one batch that is drawn beforehand.
Both in one process, interleaved. Prints what it measures and writes the same numbers to
`benchmarks/results/training-<device>.json`.
"""

import argparse
import pathlib
from collections.abc import Sequence
from typing import Any

import _harness as harness

WORKER = harness.HERE / "_training_worker.py"
MODELS = ("nc-gru", "gru")
PACKAGES = ("gru_dynamics", "jax", "jaxlib", "equinox", "optax", "numpy", "torch")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    options = _parse(arguments)
    cores = harness.pin(options.threads)
    env = harness.environment(options.device, options.threads)
    result: dict[str, Any] = {
        "benchmark": "training",
        "device": None,
        "backend": options.device,
        "threads": options.threads,
        "pinned_cores": cores,
        "quick": options.quick,
        "dtype": "float32",
        "units": {"_s": "seconds", "steps_per_s": "training steps per second"},
        **harness.provenance(PACKAGES),
        "models": {},
    }
    print(f"{options.device}, {options.threads} threads, float32, commit {result['commit']}")
    for model in options.models:
        job = {"model": model, "quick": options.quick, "runs": options.runs, "threads": options.threads}
        measured = harness.run_worker(WORKER, job, env)
        result["device"] = measured["device"]
        result["models"][model] = measured["result"]
        print(_told(model, measured["result"]), flush=True)
    harness.write(options.out, result)
    return result


def _told(model: str, measured: dict[str, Any]) -> str:
    lines = [f"{model}: {measured['units']} units, T = {measured['length']}, batches of {measured['batch']}"]
    for name, one in measured["methods"].items():
        warm = one["step"]
        lines.append(
            f"  {name:<14} {1 / warm['median_s']:.3g} steps/s (a step {warm['median_s']:.4f} s, {warm['min_s']:.4f} to "
            f"{warm['max_s']:.4f}), first call {one['cold_s']:.1f} s"
        )
    if "ratio" in measured:
        lines.append(f"  steps per second, ours to PyTorch: {measured['ratio']:.2f}")
    return "\n".join(lines)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="small: for tests, not for numbers")
    parser.add_argument("--threads", type=int, default=2, help="cores and threads (default 2)")
    parser.add_argument("--runs", type=int, default=7, help="runs of each, interleaved (default 7)")
    parser.add_argument("--only", dest="models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--out", type=pathlib.Path, help="default benchmarks/results/training-<device>.json")
    options = parser.parse_args(arguments)
    suffix = "-quick" if options.quick else ""
    options.out = options.out or harness.HERE / "results" / f"training-{options.device}{suffix}.json"
    return options


if __name__ == "__main__":
    main()
