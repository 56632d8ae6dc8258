"""One measurement of `fixed_points.py` in a process of its own: `python _fixed_points_worker.py JOB.json`."""

import json
import pathlib
import sys
import time
from typing import Any

import _fixed_points_cases as cases
import _fixed_points_methods as method_table
import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from _harness import cpu_name, peak_bytes, spread

import gru_dynamics as gd


def race(job: dict[str, Any]) -> dict[str, Any]:
    """Warm times of all methods on one case, in turn, after a first call that is judged and not timed."""
    case, table = cases.make(job["case"], job["quick"]), method_table.methods(job)
    result: dict[str, Any] = {
        "seeds": case.seeds.shape[0],
        "units": case.seeds.shape[1],
        "known_points": case.count,
        "methods": {},
    }
    for name, method in list(table.items()):
        try:
            found = method(case)
        except method_table.Inapplicable as reason:
            result["methods"][name] = {"skipped": str(reason)}
            del table[name]
            continue
        verdict = cases.judge(case, found.points)
        result["methods"][name] = verdict | {"seeds_used": found.seeds, "seeds_converged": found.converged}
    seconds: dict[str, list[float]] = {name: [] for name in table}
    for _ in range(job["runs"]):
        for name, method in table.items():
            start = time.perf_counter()
            method(case)
            seconds[name].append(time.perf_counter() - start)
    for name, measured in seconds.items():
        result["methods"][name]["warm"] = spread(measured)
    return result


def cold(job: dict[str, Any]) -> dict[str, Any]:
    """First call of one method in this process, and what JAX spent on tracing, lowering and compiling in it."""
    case, method = cases.make(job["case"], job["quick"]), method_table.methods(job)[job["method"]]
    jax.block_until_ready(case)
    spent = {"trace": 0.0, "lower": 0.0, "compile": 0.0}
    stages = {"jaxpr_trace_duration": "trace", "jaxpr_to_mlir_module_duration": "lower"}
    stages["backend_compile_duration"] = "compile"

    def listen(event: str, duration: float, **_: Any) -> None:
        stage = stages.get(event.rpartition("/")[2])
        if stage is not None:
            spent[stage] += duration

    jax.monitoring.register_event_duration_secs_listener(listen)
    start = time.perf_counter()
    try:
        method(case)
    except method_table.Inapplicable as reason:
        return {"skipped": str(reason)}
    return {"cold_s": time.perf_counter() - start, **{f"{stage}_s": value for stage, value in spent.items()}}


def throughput(job: dict[str, Any]) -> dict[str, Any]:
    """Many small networks: all in one vmapped call, against one call each of the same compiled search."""
    number, seeds = (16, 32) if job["quick"] else (1000, 32)
    keys = jr.split(jr.key(5), number)
    cells = eqx.filter_vmap(lambda key: cases.random_gru(16, 2.0, key))(keys)
    guesses = gd.UniformGuesses(num=seeds)

    def search(cell: gd.GRUCell) -> gd.FixedPoints:
        return gd.find_fixed_points(gd.CellMap(cell), guesses, key=jr.key(0), throw=False)

    together, alone = eqx.filter_jit(eqx.filter_vmap(search)), eqx.filter_jit(search)
    some = [jax.tree.map(lambda leaf, i=i: leaf[i], cells) for i in range(min(number, 50))]
    start = time.perf_counter()
    found = jax.block_until_ready(together(cells))
    first = time.perf_counter() - start
    jax.block_until_ready(alone(some[0]))
    batch, single = [], []
    for _ in range(job["runs"]):
        start = time.perf_counter()
        jax.block_until_ready(together(cells))
        batch.append(time.perf_counter() - start)
        start = time.perf_counter()
        for cell in some:
            jax.block_until_ready(alone(cell))
        single.append((time.perf_counter() - start) / len(some))
    mask, residual = np.asarray(found.mask), np.asarray(found.residual)
    return {
        "checkpoints": number,
        "units": 16,
        "seeds_each": seeds,
        "cold_s": first,
        "warm": spread(batch),
        "one_by_one_warm_each": spread(single),
        "checkpoints_per_s": number / float(np.median(batch)),
        "one_by_one_per_s": 1 / float(np.median(single)),
        "points": int(mask.sum()),
        "phantoms": int((residual[mask] > cases.PHANTOM).sum()),
        "index_sum_is_1": int((np.asarray(found.index_sum) == 1).sum()),
    }


def memory(job: dict[str, Any]) -> dict[str, Any]:
    """Peak resident memory of a process that searches from very many seeds, after one that used few."""
    number = 20_000 if job["quick"] else 1_000_000
    system = gd.CellMap(cases.flipflop(0))
    gd.find_fixed_points(system, gd.UniformGuesses(num=256), key=jr.key(0))
    before = peak_bytes()
    start = time.perf_counter()
    found = jax.block_until_ready(gd.find_fixed_points(system, gd.UniformGuesses(num=number), key=jr.key(0)))
    statistics = jax.devices()[0].memory_stats() or {}
    return {
        "seeds": number,
        "units": 16,
        "points": int(found.count),
        "seeds_converged": int(found.num_converged),
        "seeds_used": int(found.num_guesses),
        "cold_s": time.perf_counter() - start,
        "peak_bytes": peak_bytes(),
        "peak_bytes_before": before,
        "device_peak_bytes": statistics.get("peak_bytes_in_use"),
    }


def device(wanted: str) -> str:
    """Name of what the numbers are measured on."""
    if jax.default_backend() != wanted:
        raise SystemExit(f"--device {wanted}: JAX found only {jax.default_backend()}; install a matching jaxlib")
    return cpu_name() if wanted == "cpu" else jax.devices()[0].device_kind


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    asked = json.loads(path.read_text())
    name = device(asked["device"])
    jobs = {"race": race, "cold": cold, "throughput": throughput, "memory": memory}
    path.write_text(json.dumps(jobs[asked["kind"]](asked) | {"device": name}))
