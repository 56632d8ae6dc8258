"""What every benchmark needs: pinned threads, fresh processes, versions, and a result file. Imports no JAX."""

import datetime
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
_POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")


def environment(device: str, threads: int) -> dict[str, str]:
    """Variables for a worker: float64, one platform, no compilation cache on disk, `threads` threads in every pool."""
    kept = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    kept |= dict.fromkeys(_POOLS, str(threads))
    kept |= {"JAX_ENABLE_X64": "1", "JAX_ENABLE_COMPILATION_CACHE": "0"}
    if device == "cpu":
        kept["JAX_PLATFORMS"] = "cpu"
    else:
        kept.pop("JAX_PLATFORMS", None)
    return kept


def pin(threads: int) -> int | None:
    """Confine this process and its children to `threads` cores, which also sizes XLA's pools; `None` off Linux."""
    if sys.platform != "linux":
        return None
    cores = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cores)
    return len(cores)


def run_worker(script: pathlib.Path, job: dict[str, Any], env: dict[str, str]) -> dict[str, Any]:
    """Run `script FILE` in a fresh process, `FILE` holding the job, and return the JSON object it leaves there."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "job.json"
        path.write_text(json.dumps(job))
        start = time.perf_counter()
        done = subprocess.run([sys.executable, str(script), str(path)], env=env, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{script.name} failed on {json.dumps(job)}:\n{done.stdout}{done.stderr}")
        return json.loads(path.read_text()) | {"process_s": time.perf_counter() - start}


def spread(seconds: Sequence[float]) -> dict[str, Any]:
    """Median, extremes and the measurements themselves."""
    return {
        "median_s": statistics.median(seconds),
        "min_s": min(seconds),
        "max_s": max(seconds),
        "runs_s": list(seconds),
    }


def provenance(packages: Sequence[str]) -> dict[str, Any]:
    """Versions, commit and date that belong to a set of numbers."""
    versions = {"python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "versions": versions,
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": None if (status := _git("status", "--porcelain")) is None else bool(status),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", f"benchmarks/{pathlib.Path(sys.argv[0]).name}", *sys.argv[1:]]),
    }


def cpu_name() -> str:
    """The processor as the system calls it, with the number of cores it has in all."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def peak_bytes() -> int:
    """Most memory that this process has held, resident."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def write(path: pathlib.Path, result: dict[str, Any]) -> None:
    """The result as JSON; a file already there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(HERE), *words], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
