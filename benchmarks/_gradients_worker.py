"""One case of `gradients.py` in a process of its own: `python _gradients_worker.py JOB.json`."""

import json
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from _harness import cpu_name, peak_bytes, spread

from gru_dynamics.cells import AbstractCell, ElmanCell, GRUCell, LSTMCell
from gru_dynamics.sensitivity import bptt_factors, loss_landscape
from gru_dynamics.trajectories import rollout


class Squares(eqx.Module):
    """Half the sum of squared distances to targets, at every step."""

    target: jax.Array

    def __call__(self, states: jax.Array) -> jax.Array:
        return jnp.sum((states - self.target) ** 2) / 2


@eqx.filter_jit
def gradient(cell: AbstractCell, state: jax.Array, inputs: jax.Array, loss: Squares) -> Any:
    """The peer: autodiff of the scan."""
    return eqx.filter_grad(lambda cell: loss(rollout(cell, state, inputs)))(cell)


@eqx.filter_jit
def double_loop(cell: AbstractCell, state: jax.Array, inputs: jax.Array, loss: Squares, lags: int) -> jax.Array:
    """The peer: from each reading back step by step, the contributions collected by lag. Jitted, no batches."""
    parameters, rest = eqx.partition(cell, eqx.is_inexact_array)
    states = rollout(cell, state, inputs)
    direct = jax.grad(loss)(states)
    before = jnp.concatenate([state[None], states[:-1]])
    sizes = jax.tree.map(lambda leaf: jnp.zeros((lags, *leaf.shape)), parameters)

    def reading(total: Any, end: jax.Array) -> tuple[Any, None]:
        def step(carry: tuple[Any, jax.Array], lag: jax.Array) -> tuple[tuple[Any, jax.Array], None]:
            total, signal = carry
            t = jnp.maximum(end - lag, 0)

            def run(p: Any, s: jax.Array) -> jax.Array:
                return eqx.combine(p, rest)(s, inputs[t])

            change, back = jax.vjp(run, parameters, before[t])[1](jnp.where(end >= lag, signal, 0))
            total = jax.tree.map(lambda whole, part: whole.at[lag].add(part), total, change)
            return (total, back), None

        return jax.lax.scan(step, (total, direct[end]), jnp.arange(lags))[0][0], None

    total = jax.lax.scan(reading, sizes, jnp.arange(states.shape[0]))[0]
    squares = [jnp.sum(leaf**2, axis=tuple(range(1, leaf.ndim))) for leaf in jax.tree.leaves(total)]
    return jnp.sqrt(jnp.sum(jnp.stack(squares), axis=0))


def make_cell(name: str, inputs: int, units: int) -> AbstractCell:
    key = jr.key(0)
    if name == "lstm":
        return LSTMCell(inputs, units, key=key)
    if name == "elman":
        return ElmanCell(inputs, units, key=key)
    return GRUCell(inputs, units, reset="after" if name == "gru-after" else "before", key=key)


def problem(name: str, job: dict[str, Any], steps: int) -> tuple[AbstractCell, jax.Array, jax.Array, Squares]:
    cell = make_cell(name, job["inputs"], job["units"])
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.normal(size=(steps, job["inputs"])))
    target = jnp.asarray(rng.normal(size=(steps, cell.state_size)))
    return cell, jnp.zeros(cell.state_size), inputs, Squares(target)


def race(runs: int, **methods: Callable[[], Any]) -> dict[str, dict[str, Any]]:
    """Seconds of each method, warm, in turn."""
    for method in methods.values():
        jax.block_until_ready(method())
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(runs):
        for name, method in methods.items():
            began = time.perf_counter()
            jax.block_until_ready(method())
            seconds[name].append(time.perf_counter() - began)
    return {name: spread(found) for name, found in seconds.items()}


def difference(one: Any, other: Any) -> float:
    """Largest difference of two pytrees, relative to the largest entry."""
    pairs = list(zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))
    largest = max(float(jnp.max(jnp.abs(b))) for _, b in pairs)
    return max(float(jnp.max(jnp.abs(a - b))) for a, b in pairs) / largest


def totals(job: dict[str, Any]) -> dict[str, Any]:
    cells = {}
    for name in job["cells"]:
        given = problem(name, job, job["steps"])
        times = race(
            job["runs"], ours=lambda given=given: bptt_factors(*given), grad=lambda given=given: gradient(*given)
        )
        cells[name] = times | {
            "ratio": times["ours"]["median_s"] / times["grad"]["median_s"],
            "difference": difference(bptt_factors(*given).gradient, gradient(*given)),
        }
    return {"units": job["units"], "steps": job["steps"], "cells": cells}


def lags(job: dict[str, Any]) -> dict[str, Any]:
    given, number = problem("gru-before", job, job["steps"]), job["lags"]
    times = race(
        job["runs"],
        ours=lambda: bptt_factors(*given, max_lag=number),
        loop=lambda: double_loop(*given, number),
        grad=lambda: gradient(*given),
    )
    found = bptt_factors(*given, max_lag=number).lags
    assert found is not None
    return times | {
        "units": job["units"],
        "steps": job["steps"],
        "lags": number,
        "ratio": times["loop"]["median_s"] / times["ours"]["median_s"],
        "difference": difference(found.whole_norm, double_loop(*given, number)),
    }


def memory(job: dict[str, Any]) -> dict[str, Any]:
    given = problem("gru-before", job, job["length"])
    jax.block_until_ready(given)
    base = peak_bytes()
    options = {"max_lag": 10} if job["method"].endswith("lags") else {}

    def run() -> Any:
        return gradient(*given) if job["method"] == "jax.grad" else bptt_factors(*given, **options)

    jax.block_until_ready(run())
    began = time.perf_counter()
    jax.block_until_ready(run())
    return {"base_bytes": base, "peak_bytes": peak_bytes(), "run_s": time.perf_counter() - began}


class Follow(eqx.Module):
    """Mean squared distance of a unit from `(-0.9)^k`, started at 1: the example of Rehmer & Kroll."""

    target: jax.Array

    def __call__(self, cell: AbstractCell) -> jax.Array:
        states = rollout(cell, jnp.ones(1), num_steps=self.target.size)
        return jnp.mean((states[:, 0] - self.target) ** 2)


def _recurrent_and_bias(cell: Any) -> Any:
    return cell.U, cell.b


def _keep_gate(cell: Any) -> Any:
    return cell.U_z, cell.b_z


def landscape(job: dict[str, Any]) -> dict[str, Any]:
    loss = Follow((-0.9) ** jnp.arange(1, job["steps"] + 1, dtype=float))
    x = np.linspace(-5, 5, job["points"])
    gru = GRUCell(0, 1, reset=None, key=jr.key(0))
    gru = eqx.tree_at(lambda c: (c.U_c, c.b_c), gru, (jnp.ones((1, 1)), jnp.zeros(1)))
    models = {"rnn": (ElmanCell(0, 1, key=jr.key(0)), _recurrent_and_bias), "gru": (gru, _keep_gate)}
    found = {}
    for name, (cell, where) in models.items():

        def run(cell: AbstractCell = cell, where: Any = where) -> Any:
            return loss_landscape(loss, cell, x, x, where=where, index=((0, 0), 0))

        began = time.perf_counter()
        surface = jax.block_until_ready(run())
        first = time.perf_counter() - began
        times = race(job["runs"], run=run)
        found[name] = times | {
            "compile_s": first - times["run"]["median_s"],
            "steepest": float(surface.steepest),
            "share_above_1": float(surface.share_above(1.0)),
        }
    return {"points": job["points"], "steps": job["steps"], "models": found}


CASES = {"totals": totals, "lags": lags, "memory": memory, "landscape": landscape}

if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    asked = json.loads(path.read_text())
    if jax.default_backend() != asked["device"]:
        raise SystemExit(f"--device {asked['device']}: JAX found only {jax.default_backend()}")
    device = cpu_name() if asked["device"] == "cpu" else jax.devices()[0].device_kind
    path.write_text(json.dumps(CASES[asked["case"]](asked) | {"device": device}))
