"""Networks whose fixed points are known, and how a list of found points is judged against them."""

import itertools
from importlib import resources
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import gru_dynamics as gd

ROOT = 0.9575040240772688  # tanh(2 x) = x
PHANTOM = 1e-6  # a reported point with a larger gate-free residual is not a fixed point


class Case(NamedTuple):
    """A map, starting points for every method alike, and what is known: the points, or their number, or nothing."""

    system: gd.CellMap
    seeds: jax.Array
    truth: np.ndarray | None
    count: int | None
    max_reseeds: int


def names(quick: bool) -> list[str]:
    some = ["product_gru", "flipflop0_uniform", "random_gain1", "jordan_fig3a"]
    every = ["product_gru", "flipflop0_visited", "flipflop0_uniform", "flipflop1_uniform"]
    return some if quick else [*every, "random_gain1", "random_gain2", "jordan_fig3a"]


def make(name: str, quick: bool) -> Case:
    if name == "product_gru":
        units, num = (3, 512) if quick else (6, 8192)
        truth = np.array(list(itertools.product((-ROOT, 0.0, ROOT), repeat=units)))
        return Case(gd.library.product_gru(units, key=jr.key(1)), _uniform(num, units), truth, len(truth), 8)
    if name.startswith("flipflop"):
        network, how = name.removeprefix("flipflop").split("_")
        system, num = gd.CellMap(flipflop(int(network))), 256 if quick else 1024
        seeds = _visited(num) if how == "visited" else _uniform(num, 16)
        return Case(system, seeds, None, {"0": 27, "1": 25}[network], 8)
    if name.startswith("random"):
        units, num = (16, 32) if quick else (64, 256)
        system = gd.CellMap(random_gru(units, float(name.removeprefix("random_gain")), jr.key(3)))
        return Case(system, _uniform(num, units), None, None, 0)
    # All methods get the step of the cell; map and flow share their fixed points.
    flow = gd.library.jordan("fig:3a")
    return Case(gd.CellMap(flow.cell), _uniform(128 if quick else 1024, 2), None, 11, 8)


def flipflop(seed: int) -> gd.GRUCell:
    with resources.as_file(resources.files("gru_dynamics.data") / f"flipflop_gru16_seed{seed}.safetensors") as path:
        return gd.load_cell(path)


def random_gru(units: int, gain: float, key: jax.Array) -> gd.GRUCell:
    """Reset after, no biases, recurrent weights normal with standard deviation gain / sqrt(units)."""
    cell = gd.GRUCell(0, units, reset="after", use_bias=False, key=key)
    weights = gain / units**0.5 * jr.normal(key, (3, units, units))
    return eqx.tree_at(lambda c: (c.U_r, c.U_z, c.U_c), cell, tuple(weights))


def judge(case: Case, reported: np.ndarray) -> dict[str, Any]:
    """Phantoms among the reported points `(N, S)`, and the share of the known points that they hit.

    Where the points themselves are known, distances are to these. Where only their number is published, each reported
    point is polished by Newton's method here, whoever reported it, and the distinct limits (residual below 1e-10, more
    than 1e-4 apart) that have a reported point within the radius are counted.
    """
    residual = _residuals(case.system, reported)
    verdict = {
        "reported": len(reported),
        "phantoms": int((residual > PHANTOM).sum()),
        "phantoms_above_1e-3": int((residual > 1e-3).sum()),
        "largest_residual": float(residual.max()) if len(residual) else None,
    }
    roots = case.truth if case.truth is not None else _limits(case.system, reported)
    for radius in (1e-6, 1e-3):
        hit = 0
        if len(reported):
            apart = np.array([np.linalg.norm(reported - root, axis=1).min() for root in roots])
            hit = int((apart <= radius).sum())
        recall = None if case.count is None else min(hit / case.count, 1.0)
        verdict |= {f"found_within_{radius:.0e}": hit, f"recall_{radius:.0e}": recall}
    return verdict


def _uniform(num: int, units: int) -> jax.Array:
    return jr.uniform(jr.key(0), (num, units), minval=-1.0, maxval=1.0)


def _visited(num: int) -> jax.Array:
    path = resources.files("gru_dynamics.data") / "flipflop_gru16_seed0_states.npz"
    with resources.as_file(path) as file, np.load(file) as arrays:
        return jnp.asarray(arrays["states"][:num], float)


def _residuals(system: gd.CellMap, points: np.ndarray) -> np.ndarray:
    if not len(points):
        return np.zeros(0)
    return np.abs(np.asarray(jax.vmap(system.residual)(jnp.asarray(points)))).max(axis=1)


def _limits(system: gd.CellMap, points: np.ndarray) -> np.ndarray:
    """Distinct ends of Newton's method, without those that ran away from the point they started at."""
    distinct = np.zeros((0, points.shape[1]))
    if not len(points):
        return distinct
    ends = jnp.asarray(points)
    for _ in range(8):
        r = jax.vmap(system.residual)(ends)
        J = jax.vmap(jax.jacfwd(system.residual))(ends)
        ends = ends - jnp.linalg.solve(J, r[..., None])[..., 0]
    ends = np.asarray(ends)
    real = (_residuals(system, ends) < 1e-10) & (np.linalg.norm(ends - points, axis=1) < 1e-2)
    for end in ends[real]:
        if not (np.linalg.norm(distinct - end, axis=1) <= 1e-4).any():
            distinct = np.concatenate([distinct, end[None]])
    return distinct
