"""The methods of the race. Each is a function of a case that returns a `Found`, ready on the host."""

import contextlib
import functools
import io
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from _fixed_points_cases import Case

import gru_dynamics as gd

TOLERANCE = 1e-12  # on q = |F(h) - h|^2 / 2, the default of FixedPointFinder
UNIQUE = 1e-3  # its default again: points that differ by less in every coordinate are one
RATE = 0.05  # with cosine decay to zero the best of 0.01, 0.05, 0.2 and of exponential decay on these cases


class Found(NamedTuple):
    """Reported points `(N, S)`, and how many of the seeds used satisfied the method's own criterion."""

    points: np.ndarray
    converged: int
    seeds: int


class Inapplicable(Exception):
    """The method cannot take the case; the text says why."""


def ours(case: Case) -> Found:
    found = gd.find_fixed_points(case.system, case.seeds, key=jr.key(0), max_reseeds=case.max_reseeds, throw=False)
    mask = np.asarray(found.mask)
    return Found(np.asarray(found.state)[mask], int(found.num_converged), int(found.num_guesses))


@functools.partial(jax.jit, static_argnames="steps")
def _descend(system: gd.CellMap, seeds: jax.Array, steps: int) -> tuple[jax.Array, jax.Array]:
    optimiser = optax.adam(optax.cosine_decay_schedule(RATE, steps))

    def q(states: jax.Array) -> jax.Array:
        return 0.5 * jnp.sum((jax.vmap(system)(states) - states) ** 2, axis=1)

    def step(carry, _):
        states, memory = carry
        change, memory = optimiser.update(jax.grad(lambda s: jnp.mean(q(s)))(states), memory)
        return (optax.apply_updates(states, change), memory), None

    (states, _), _ = jax.lax.scan(step, (seeds, optimiser.init(seeds)), length=steps)
    return states, q(states)


def adam(case: Case, steps: int) -> Found:
    """Gradient descent on the speed, as most users write it: the residual is that of the step, `F(h) - h`."""
    states, q = map(np.asarray, _descend(case.system, case.seeds, steps))
    return Found(_unique(states, q), int((q < TOLERANCE).sum()), len(q))


def _unique(states: np.ndarray, q: np.ndarray) -> np.ndarray:
    """One of each group of near points, the slowest first, without those that still move."""
    left = states[np.argsort(q)][: int((q < TOLERANCE).sum())]
    kept = []
    while len(left):
        kept.append(left[0])
        left = left[(np.abs(left - left[0]) >= UNIQUE).any(axis=1)]
    return np.array(kept).reshape(-1, states.shape[1])


def fixed_point_finder(case: Case, options: dict[str, Any], threads: int, device: str) -> Found:
    """FixedPointFinder on `torch.nn.GRU` with the same weights and seeds, in its default float32 unless told otherwise.

    Jacobians are switched off in its favour: ours are part of the time. Its slow points (q above the tolerance) are
    left out, as for Adam.
    """
    folder = os.environ["FIXED_POINT_FINDER"]
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        import torch
        from FixedPointFinderTorch import FixedPointFinderTorch
    except ImportError as error:
        raise Inapplicable(f"not importable: {error}") from error
    if case.system.cell.reset != "after":
        raise Inapplicable("torch.nn.GRU has no reset before")
    torch.set_num_threads(threads)
    place = "cuda" if device == "gpu" and torch.cuda.is_available() else "cpu"
    options = {"verbose": False, "do_compute_jacobians": False, "do_decompose_jacobians": False} | options
    weights = {name: torch.from_numpy(np.array(array)) for name, array in gd.interop.to_torch(case.system.cell).items()}
    size, inputs = case.seeds.shape[1], max(case.system.cell.input_size, 1)
    network = torch.nn.GRU(inputs, size, bias="bias_hh_l0" in weights, batch_first=True)
    if case.system.cell.input_size == 0:
        weights["weight_ih_l0"] = torch.zeros(3 * size, 1)
    network.load_state_dict(weights)
    dtype = options.get("dtype", "float32")
    network = network.to(getattr(torch, dtype)).to(place)
    with contextlib.redirect_stdout(io.StringIO()):
        finder = FixedPointFinderTorch(network, **options)
        unique, every = finder.find_fixed_points(np.array(case.seeds, dtype), np.zeros((1, inputs), dtype))
    points = np.asarray(unique.xstar, float)[np.asarray(unique.qstar) < TOLERANCE]
    return Found(points, int((np.asarray(every.qstar) < TOLERANCE).sum()), case.seeds.shape[0])


def methods(job: dict[str, Any]) -> dict[str, Callable[[Case], Found]]:
    """The methods that this run was asked for, by name."""
    table: dict[str, Callable[[Case], Found]] = {
        "gru_dynamics": ours,
        "adam": functools.partial(adam, steps=300 if job["quick"] else 3000),
    }
    for number, options in enumerate(job["finder_options"]):
        name = "fixed_point_finder" + (f"_{number}" if number else "")
        table[name] = functools.partial(
            fixed_point_finder, options=options, threads=job["threads"], device=job["device"]
        )
    return table
