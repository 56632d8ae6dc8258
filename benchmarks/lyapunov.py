"""How long do Lyapunov exponents take, and how exact are they, against lyapax and a scan with QR in every step?

    python benchmarks/lyapunov.py [--device cpu|gpu] [--quick] [--threads 2] [--runs 7] [--only CASE ...]

Cases: the random network x+ = J tanh(x) with gain g and N units, all exponents (`full`) or the leading ones, and
`gru16`, the whole spectra of 1000 GRUs of 16 units at once. Ours at its defaults; lyapax (PyPI) orthonormalising in
every step, its default, and as seldom as ours; and `scan`, what one writes by hand: the Jacobian in closed form, one
product and one QR a step. All start from the same state in float64, take the same burn-in and as many steps, and take
turns. Prints what it measures and writes the same numbers to `benchmarks/results/lyapunov-<device>.json`.
"""

import argparse
import pathlib
from collections.abc import Sequence
from typing import Any

import _harness as harness

WORKER = harness.HERE / "_lyapunov_worker.py"
CASES: dict[str, dict[str, Any]] = {
    "n100-g1.5-full": {"units": 100, "gain": 1.5, "exponents": 100, "steps": 3000},
    "n100-g2-full": {"units": 100, "gain": 2.0, "exponents": 100, "steps": 3000},
    "n100-g1.5-k5": {"units": 100, "gain": 1.5, "exponents": 5, "steps": 3000},
    "n512-g2-k20": {"units": 512, "gain": 2.0, "exponents": 20, "steps": 3000},
    "gru16": {"networks": 1000, "units": 16, "gain": 2.0, "exponents": 16, "steps": 512},
}
PACKAGES = ("gru_dynamics", "jax", "jaxlib", "equinox", "numpy", "lyapax")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    options = _parse(arguments)
    cores = harness.pin(options.threads)
    env = harness.environment(options.device, options.threads)
    result: dict[str, Any] = {
        "benchmark": "lyapunov",
        "device": None,
        "backend": options.device,
        "threads": options.threads,
        "pinned_cores": cores,
        "quick": options.quick,
        "dtype": "float64",
        "units": {"_s": "seconds for burn-in and counted steps together", "exponents": "per step"},
        **harness.provenance(PACKAGES),
        "cases": {},
    }
    print(f"{options.device}, {options.threads} threads, float64, commit {result['commit']}")
    for name in options.cases:
        case = dict(CASES[name])
        if options.quick:
            case |= {"steps": 200} | ({"networks": 20} if "networks" in case else {})
        job = case | {"device": options.device, "runs": options.runs}
        measured = harness.run_worker(WORKER, job, env)
        result["device"] = measured.pop("device")
        result["cases"][name] = measured
        print(_table(name, measured), flush=True)
    harness.write(options.out, result)
    return result


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="few steps: for tests, not for numbers")
    parser.add_argument("--threads", type=int, default=2, help="cores and threads (default 2)")
    parser.add_argument("--runs", type=int, help="warm runs of each method, interleaved (default 7, with --quick 2)")
    parser.add_argument("--only", dest="cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--out", type=pathlib.Path, help="default benchmarks/results/lyapunov-<device>.json")
    options = parser.parse_args(arguments)
    options.runs = options.runs or (2 if options.quick else 7)
    suffix = ("" if options.threads == 2 else f"-{options.threads}threads") + ("-quick" if options.quick else "")
    options.out = options.out or harness.HERE / "results" / f"lyapunov-{options.device}{suffix}.json"
    return options


def _table(name: str, case: dict[str, Any]) -> str:
    lines = [
        f"{name}: {case['burn_in']} + {case['steps']} steps, {case['exponents']} exponents of {case['units']} units, "
        f"ours factorises every {case['interval']} steps"
    ]
    for method, one in case["methods"].items():
        run = one["run"]
        ratio = run["median_s"] / case["methods"]["gru_dynamics"]["run"]["median_s"]
        lines.append(
            f"  {method:<22} {run['median_s']:.3g} s ({run['min_s']:.3g} to {run['max_s']:.3g}), {ratio:.2f} of ours, "
            f"compile {one['compile_s']:.1f} s, largest exponent {one['largest']:.5f}, sum {one['sum']:.4f}"
        )
    lines.append(
        f"  on one trajectory of {case['agreement_steps']} steps our exponents differ from those with QR in every step "
        f"by {case['agreement']:.1e}"
    )
    if case["absent"]:
        lines.append(f"  lyapax: not run, {case['absent']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
