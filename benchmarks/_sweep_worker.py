"""One sweep of `sweep.py` in a process of its own: `python _sweep_worker.py JOB.json`."""

import json
import pathlib
import sys
import tempfile
import time
from typing import Any

import jax
import numpy as np
from _harness import cpu_name, peak_bytes

import gru_dynamics as gd


def sweep_of(job: dict[str, Any]) -> gd.sweeps.Sweep:
    """The plane of both biases of the two-unit GRU of fig. 3a (Jordan, Sokół, Park 2019)."""
    family = gd.sweeps.NamedFamily(gd.library.jordan("fig:3a"), ["b_c[0]", "b_c[1]"])
    side, reach = job["side"], 1.5
    axes = {"b_c[0]": (-reach, reach, side), "b_c[1]": (-reach, reach, side)}
    analyses = {
        "enumerate": gd.sweeps.Enumerate(max_points=16),
        "search": gd.sweeps.Search(num_guesses=job["guesses"], max_points=16),
    }
    return gd.sweeps.Sweep(family, gd.sweeps.Grid(axes), analyses[job["analysis"]], block_size=job["block_size"])


def whole(job: dict[str, Any]) -> dict[str, Any]:
    """All blocks, written to disk and read back."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        gd.sweeps.run(sweep_of(job), folder, progress=False)
        seconds = time.perf_counter() - start
        columns = gd.sweeps.load(folder).columns
        size = sum(file.stat().st_size for file in pathlib.Path(folder).glob("*.parquet"))
    count, complete = np.asarray(columns["count_lower"]), np.asarray(columns["complete"])
    certified = complete == "certified"
    boxes = np.asarray(columns["boxes"], np.int64)
    return {
        "systems": int(count.size),
        "sweep_s": seconds,
        "per_s": count.size / seconds,
        "certified": int(certified.sum()),
        "counts": {str(n): int((count[certified] == n).sum()) for n in np.unique(count[certified])},
        "undecided": int((~certified).sum()),
        "kinds_unproven": int(np.asarray(columns["num_unclear"]).sum()),
        "boxes": int(boxes.sum()),
        "boxes_per_s": int(boxes.sum()) / seconds,
        "table_bytes": size,
        "devices": jax.local_device_count(),
        "peak_bytes": peak_bytes(),
    }


def blocks(job: dict[str, Any]) -> dict[str, Any]:
    """Some blocks by the search, and the same blocks by enumeration, to compare them row by row."""
    searched, proven = sweep_of(job | {"analysis": "search"}), sweep_of(job | {"analysis": "enumerate"})
    gd.sweeps.run_block(searched, job["blocks"][0])
    start = time.perf_counter()
    tables = [gd.sweeps.run_block(searched, number) for number in job["blocks"]]
    seconds = time.perf_counter() - start
    proofs = [gd.sweeps.run_block(proven, number) for number in job["blocks"]]

    def joined(rows: list[dict[str, Any]], name: str) -> np.ndarray:
        return np.concatenate([np.asarray(table[name]) for table in rows])

    count, complete = joined(tables, "count"), joined(tables, "complete")
    low, certified = joined(proofs, "count_lower"), joined(proofs, "complete") == "certified"
    both = certified & (complete == "consistent")
    return {
        "systems": int(count.size),
        "guesses": job["guesses"],
        "search_s": seconds,
        "per_s": count.size / seconds,
        "consistent": int((complete == "consistent").sum()),
        "contradictions": int((both & (count > low)).sum()),
        "consistent_but_short": int((both & (count < low)).sum()),
        "short": int((certified & (count < low)).sum()),
        "peak_bytes": peak_bytes(),
    }


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    asked = json.loads(path.read_text())
    if jax.default_backend() != asked["device"]:
        raise SystemExit(f"--device {asked['device']}: JAX found only {jax.default_backend()}")
    name = cpu_name() if asked["device"] == "cpu" else jax.devices()[0].device_kind
    jobs = {"whole": whole, "blocks": blocks}
    path.write_text(json.dumps({"result": jobs[asked["kind"]](asked), "device": name}))
