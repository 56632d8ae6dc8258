"""One size of `orthogonal.py` in a process of its own: `python _orthogonal_worker.py JOB.json`."""

import importlib.util
import json
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _harness import cpu_name, spread

import gru_dynamics as gd

RATE = 1e-3
DRIFT_STEPS = 100
# Methods too slow for 100 steps in this time take fewer, at least 3.
DRIFT_SECONDS = 40.0
RUN_SECONDS = 0.1
MODES: dict[str, dict[str, Any]] = {
    "closed_loop": {"mode": "closed_loop"},
    "exact": {"mode": "exact"},
    "rebased": {"mode": "rebased"},
    "rebased qr": {"mode": "rebased", "retraction": gd.linalg.retract_qr},
    "rebased exponential": {"mode": "rebased", "retraction": gd.linalg.retract_exponential},
    "rebased cayley": {"mode": "rebased", "retraction": gd.linalg.retract_cayley},
    "rebased polar": {"mode": "rebased", "retraction": gd.linalg.retract_polar},
    "paper": {"mode": "paper", "reset_every": 50},
    "released": {"mode": "released", "learning_rate": RATE, "reset_every": 49},
}
CERTIFIED = [name for name in MODES if name not in ("paper", "released")]
PEERS = {
    "torch cayley": ("torch", "cayley"),
    "torch matrix_exp": ("torch", "matrix_exp"),
    "torch householder": ("torch", "householder"),
    "geotorch expm": ("geotorch", "expm"),
    "geotorch cayley": ("geotorch", "cayley"),
}


class Ours:
    """A mode of `neumann_cayley`, jitted, its matrix and state donated."""

    def __init__(self, start: np.ndarray, options: dict[str, Any]):
        optimiser = gd.optim.neumann_cayley(optax.adam(RATE), **options)

        def step(matrix: jax.Array, state: Any, gradient: jax.Array) -> tuple[jax.Array, Any]:
            updates, state = optimiser.update(gradient, state, matrix)
            return jnp.asarray(optax.apply_updates(matrix, updates)), state

        self.weight = jnp.asarray(start)
        self.state = jax.jit(optimiser.init)(self.weight)
        # What is donated may share no memory.
        self.weight, self.state = jax.tree.map(jnp.copy, (self.weight, self.state))
        began = time.perf_counter()
        self.run = jax.jit(step, donate_argnums=(0, 1)).lower(self.weight, self.state, self.weight).compile()
        self.compile_s = time.perf_counter() - began

    def put(self, gradient: np.ndarray) -> jax.Array:
        return jax.block_until_ready(jnp.asarray(gradient))

    def step(self, gradient: jax.Array) -> None:
        self.weight, self.state = self.run(self.weight, self.state, gradient)

    def wait(self) -> None:
        jax.block_until_ready((self.weight, self.state))

    def matrix(self) -> np.ndarray:
        return np.asarray(self.weight)


class Peer:
    """A parametrisation of PyTorch or GeoTorch with `torch.optim.Adam`: W forward, its gradient back, Adam's step."""

    compile_s = 0.0

    def __init__(self, start: np.ndarray, library: str, name: str, device: str):
        import torch

        self.torch, self.device = torch, "cuda" if device == "gpu" else "cpu"
        self.module: Any = torch.nn.Module()
        self.module.weight = torch.nn.Parameter(self.put(start).clone())
        if library == "torch":
            torch.nn.utils.parametrizations.orthogonal(self.module, "weight", orthogonal_map=name)
        else:
            import geotorch

            geotorch.orthogonal(self.module, "weight", triv=name)
        self.module.to(self.device)
        with torch.no_grad():
            self.module.weight = self.put(start)
        self.optimiser = torch.optim.Adam(self.module.parameters(), lr=RATE)

    def put(self, gradient: np.ndarray) -> Any:
        return self.torch.from_numpy(gradient).to(self.device)

    def step(self, gradient: Any) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        self.module.weight.backward(gradient)
        self.optimiser.step()

    def wait(self) -> None:
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def matrix(self) -> np.ndarray:
        return self.module.weight.detach().cpu().numpy()


Method = Ours | Peer


def measure(job: dict[str, Any]) -> dict[str, Any]:
    shape = tuple(job["shape"])
    start = _start(shape)
    methods: dict[str, Method] = {name: Ours(start, options) for name, options in MODES.items()}
    absent = _absent(job)
    if importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(job["threads"])
    for name, (library, kind) in PEERS.items():
        if name not in absent:
            methods[name] = Peer(start, library, kind, job["device"])
    gradient = np.random.default_rng(1).standard_normal(shape, np.float32)
    given = {name: method.put(gradient) for name, method in methods.items()}
    # Twice, since the first step warms up; then as many steps a run as fill its time.
    once = {name: min(_time(method, given[name], 1) for _ in range(2)) for name, method in methods.items()}
    steps = {name: max(1, min(100, int(RUN_SECONDS / seconds))) for name, seconds in once.items()}
    product, products = _product(shape), []
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(job["runs"]):
        products.append(product())
        for name, method in methods.items():
            # Another library's threads have just been busy, which matters to short runs only.
            if once[name] < RUN_SECONDS:
                _time(method, given[name], 1)
            seconds[name].append(_time(method, given[name], steps[name]))
    product_s = spread(products)["median_s"]
    measured = {}
    for name, method in methods.items():
        longest, most = (5.0, 10) if job["quick"] else (DRIFT_SECONDS, DRIFT_STEPS)
        count = max(3, min(most, int(longest / once[name])))
        measured[name] = {
            "step": spread(seconds[name]) | {"steps_per_run": steps[name]},
            "compile_s": method.compile_s,
            "drift": _drift(method, shape, count),
            "drift_steps": count,
        }
    return {
        "shape": shape,
        "product_s": product_s,
        "gflop_per_s": 2e-9 * float(np.prod(shape)) * shape[-1] / product_s,
        "methods": measured,
        "absent": absent,
        "ratios": _ratios(measured),
    }


def _start(shape: tuple[int, ...]) -> np.ndarray:
    """Orthogonal matrices as a user would start from: planes turned by random angles, half of D negative."""
    size = shape[-1]
    turns = -np.tan(np.random.default_rng(0).uniform(0, np.pi / 2, (*shape[:-2], size // 2)) / 2)
    rows = 2 * np.arange(size // 2)
    skew = np.zeros(shape)
    skew[..., rows, rows + 1], skew[..., rows + 1, rows] = turns, -turns
    identity = np.eye(size)
    signs = np.where(np.arange(size) < size - size // 2, 1.0, -1.0)
    return (np.linalg.solve(identity + skew, identity - skew) * signs).astype(np.float32)


def _absent(job: dict[str, Any]) -> dict[str, str]:
    absent = {}
    for name, (library, _) in PEERS.items():
        if importlib.util.find_spec("torch") is None or importlib.util.find_spec(library) is None:
            absent[name] = "not installed"
        elif job["device"] == "gpu":
            import torch

            if not torch.cuda.is_available():
                absent[name] = "PyTorch finds no GPU"
    return absent


def _time(method: Method, gradient: Any, steps: int) -> float:
    """Seconds per step."""
    began = time.perf_counter()
    for _ in range(steps):
        method.step(gradient)
    method.wait()
    return (time.perf_counter() - began) / steps


def _product(shape: tuple[int, ...]) -> Callable[[], float]:
    """Seconds of one product of such matrices alone, the unit that a step is counted in."""
    multiply = jax.jit(lambda a, b: jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST))
    left = jnp.asarray(np.random.default_rng(2).standard_normal(shape, np.float32))
    jax.block_until_ready(multiply(left, left))
    count = max(1, min(200, int(2e10 / (2 * np.prod(shape) * shape[-1]))))

    def seconds() -> float:
        multiply(left, left).block_until_ready()
        began = time.perf_counter()
        out = left
        for _ in range(count):
            out = multiply(left, left)
        jax.block_until_ready(out)
        return (time.perf_counter() - began) / count

    return seconds


def _drift(method: Method, shape: tuple[int, ...], steps: int) -> float:
    rng = np.random.default_rng(3)
    for _ in range(steps):
        method.step(method.put(rng.standard_normal(shape, np.float32)))
    method.wait()
    matrix = method.matrix().astype(np.float64)
    defect = np.swapaxes(matrix, -1, -2) @ matrix - np.eye(shape[-1])
    return float(np.max(np.abs(np.linalg.eigvalsh(defect)))) if np.isfinite(defect).all() else float("inf")


def _ratios(measured: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Time of each peer over that of `closed_loop` and of our fastest certified mode."""
    medians = {name: one["step"]["median_s"] for name, one in measured.items()}
    best = min(CERTIFIED, key=medians.__getitem__)
    peers = [name for name in PEERS if name in medians]
    return {
        ours: {peer: medians[peer] / medians[ours] for peer in peers} for ours in dict.fromkeys(("closed_loop", best))
    }


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    asked = json.loads(path.read_text())
    if jax.default_backend() != asked["device"]:
        raise SystemExit(f"--device {asked['device']}: JAX found only {jax.default_backend()}")
    device = cpu_name() if asked["device"] == "cpu" else jax.devices()[0].device_kind
    path.write_text(json.dumps(measure(asked) | {"device": device}))
