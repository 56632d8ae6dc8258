"""One model of the training race, in a fresh process: `python _training_worker.py job.json`."""

import json
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import _harness as harness
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

import gru_dynamics as gd

try:
    import torch
except ImportError:
    torch = None


def main(path: str) -> None:
    job = json.loads(pathlib.Path(path).read_text())
    sizes = (10, 12, 8, 2) if job["quick"] else (200, 118, 128, 10)
    length, units, batch, steps = sizes
    task = gd.tasks.Denoise(length=length)
    makers = {"gru_dynamics": ours(job["model"], task, units, batch, steps)}
    if torch is not None:
        torch.set_num_threads(job["threads"])
        makers["PyTorch"] = peer(job["model"], task, units, batch, steps)
    methods: dict[str, dict[str, Any]] = {}
    for name, run in makers.items():
        start = time.perf_counter()
        run()
        methods[name] = {"cold_s": time.perf_counter() - start, "runs": []}
    for _ in range(job["runs"]):
        for name, run in makers.items():
            start = time.perf_counter()
            run()
            methods[name]["runs"].append((time.perf_counter() - start) / steps)
    result: dict[str, Any] = {"length": length, "units": units, "batch": batch, "steps_per_run": steps}
    result["methods"] = {
        name: {"cold_s": one["cold_s"], "step": harness.spread(one["runs"])} for name, one in methods.items()
    }
    if "PyTorch" in methods:
        pairs = zip(methods["PyTorch"]["runs"], methods["gru_dynamics"]["runs"], strict=True)
        result["ratio"] = statistics.median(theirs / own for theirs, own in pairs)
    device = harness.cpu_name() if jax.default_backend() == "cpu" else jax.devices()[0].device_kind
    pathlib.Path(path).write_text(json.dumps({"device": device, "result": result}))


def ours(kind: str, task: Any, units: int, batch: int, steps: int) -> Callable[[], None]:
    key = jr.key(0)
    if kind == "nc-gru":
        cell = gd.NCGRUCell(task.input_size, units, dtype=jnp.float32, key=key)
    else:
        cell = gd.GRUCell(task.input_size, units, reset="after", dtype=jnp.float32, key=key)
    model = gd.SequenceModel(cell, task.output_size, key=key)
    optim = gd.optim.constrained(optax.adam(1e-3), model)

    def run() -> None:
        _, log = gd.fit(model, task, optim, steps=steps, batch_size=batch, block=steps, key=key)
        assert bool(np.all(log.taken))

    return run


def peer(kind: str, task: Any, units: int, batch: int, steps: int) -> Callable[[], None]:
    assert torch is not None
    drawn = task.batch(jr.key(0), 0, batch)
    device = "cuda" if jax.default_backend() == "gpu" else "cpu"
    inputs = torch.tensor(np.asarray(drawn.inputs, np.float32), device=device)
    targets = torch.tensor(np.asarray(drawn.targets, np.int64), device=device)
    model = Loop(task.input_size, units, task.output_size) if kind == "nc-gru" else Kernel(task, units)
    model = model.to(device)
    optim = torch.optim.Adam(model.parameters(), lr=1e-3)

    def run() -> None:
        for _ in range(steps):
            optim.zero_grad(set_to_none=True)
            outputs = model(inputs)
            loss = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())
            loss.backward()
            optim.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return run


if torch is not None:

    class Loop(torch.nn.Module):
        """The orthogonal GRU of Mucllari et al. (2022), eq. 19, step by step; products of inputs outside."""

        def __init__(self, inputs: int, units: int, outputs: int):
            super().__init__()
            self.outer = torch.nn.Linear(inputs, 3 * units)
            self.gates = torch.nn.Linear(units, 2 * units, bias=False)
            square = torch.nn.Linear(units, units, bias=False)
            self.candidate = torch.nn.utils.parametrizations.orthogonal(square, orthogonal_map="cayley")
            self.threshold = torch.nn.Parameter(torch.zeros(units))
            self.readout = torch.nn.Linear(units, outputs)

        def forward(self, inputs: Any) -> Any:
            before = self.outer(inputs)
            # One evaluation of the parametrisation for the whole sequence.
            matrix = self.candidate.weight
            units = matrix.shape[0]
            state = inputs.new_zeros(inputs.shape[0], units)
            states = []
            for x in before.unbind(1):
                gates = torch.sigmoid(x[:, : 2 * units] + self.gates(state))
                r, z = gates[:, :units], gates[:, units:]
                c = x[:, 2 * units :] + (r * state) @ matrix.T
                c = torch.sign(c) * torch.relu(torch.abs(c) + self.threshold)
                state = z * state + (1 - z) * c
                states.append(state)
            return self.readout(torch.stack(states, 1))

    class Kernel(torch.nn.Module):
        """`torch.nn.GRU` with a readout."""

        def __init__(self, task: Any, units: int):
            super().__init__()
            self.gru = torch.nn.GRU(task.input_size, units, batch_first=True)
            self.readout = torch.nn.Linear(units, task.output_size)

        def forward(self, inputs: Any) -> Any:
            return self.readout(self.gru(inputs)[0])


if __name__ == "__main__":
    main(sys.argv[1])
