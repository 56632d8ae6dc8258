"""One measurement of `enumerate.py` in a process of its own: `python _enumerate_worker.py JOB.json`."""

import importlib
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
from _harness import cpu_name, spread

import gru_dynamics as gd
from gru_dynamics.fixed_points._boxes import Verdict, examine
from gru_dynamics.linalg import Interval

MAX_POINTS = 16


def draw(number: int, seed: int = 0) -> gd.CellFlow:
    """A batch of two-unit GRUs (reset before), weights and biases normal with one gain each, uniform in 0.5 to 4."""

    def one(key: jax.Array) -> gd.CellFlow:
        key_gain, *keys = jr.split(key, 5)
        gain = jr.uniform(key_gain, minval=0.5, maxval=4.0)
        weights = [gain * jr.normal(k, shape) for k, shape in zip(keys, ((2, 2), (2, 2), (2,), (2,)), strict=True)]
        cell = gd.GRUCell(0, 2, key=key_gain)
        return gd.CellFlow(eqx.tree_at(lambda c: (c.U_c, c.U_r, c.b_c, c.b_r), cell, weights))

    return eqx.filter_vmap(one)(jr.split(jr.key(seed), number))


@eqx.filter_jit
def enumerate_all(systems: gd.CellFlow) -> gd.Enumeration:
    return eqx.filter_vmap(lambda s: gd.enumerate_fixed_points(s, max_points=MAX_POINTS, throw=False))(systems)


@eqx.filter_jit
def search_all(systems: gd.CellFlow, seeds: int) -> gd.FixedPoints:
    guesses = gd.UniformGuesses(num=seeds)
    return eqx.filter_vmap(
        lambda s: gd.find_fixed_points(s, guesses, key=jr.key(0), max_points=MAX_POINTS, throw=False)
    )(systems)


def codac_paver(systems: gd.CellFlow, tolerance: float) -> Callable[[int], int] | None:
    """`pave(number)`: how many separate places hold all fixed points of one system, by codac's contractor and paver."""
    try:
        import codac
    except ImportError:
        return None
    cell = systems.cell
    U, R, b, c = (np.asarray(leaf) for leaf in (cell.U_c, cell.U_r, cell.b_c, cell.b_r))
    zero = codac.IntervalVector([[0, 0], [0, 0]])

    def pave(number: int) -> int:
        h = codac.VectorVar(2)
        reset = [1 / (1 + codac.exp(-(R[number, i, 0] * h[0] + R[number, i, 1] * h[1] + c[number, i]))) for i in (0, 1)]
        inner = [reset[i] * h[i] for i in (0, 1)]
        residual = [
            codac.tanh(U[number, i, 0] * inner[0] + U[number, i, 1] * inner[1] + b[number, i]) - h[i] for i in (0, 1)
        ]
        contractor = codac.CtcInverse(codac.AnalyticFunction([h], codac.vec(*residual)), zero)
        paving = codac.pave(codac.IntervalVector([[-1, 1], [-1, 1]]), contractor, tolerance)
        return len(paving.connected_subsets())

    return pave


def race(job: dict[str, Any]) -> dict[str, Any]:
    """All systems in one call, in turn with codac on some of them one after the other, and with a plain search."""
    number, some = (512, 16) if job["quick"] else (10_000, 200)
    systems = draw(number)
    start = time.perf_counter()
    found = jax.block_until_ready(enumerate_all(systems))
    first = time.perf_counter() - start
    searched = jax.block_until_ready(search_all(systems, job["seeds"]))
    pavers = {tolerance: codac_paver(systems, tolerance) for tolerance in (1e-3, 1e-6)}
    seconds: dict[str, list[float]] = {"enumerate": [], "search": [], **{f"codac {t:g}": [] for t in pavers}}
    places: dict[str, list[int]] = {}
    for _ in range(job["runs"]):
        for name, call in (
            ("enumerate", lambda: enumerate_all(systems)),
            ("search", lambda: search_all(systems, job["seeds"])),
        ):
            start = time.perf_counter()
            jax.block_until_ready(call())
            seconds[name].append((time.perf_counter() - start) / number)
        for tolerance, pave in pavers.items():
            if pave is not None:
                start = time.perf_counter()
                places[f"codac {tolerance:g}"] = [pave(i) for i in range(some)]
                seconds[f"codac {tolerance:g}"].append((time.perf_counter() - start) / some)
    low = np.asarray(found.count)[:, 0]
    certified = np.asarray(found.complete) == gd.Completeness.CERTIFIED
    consistent = np.asarray(searched.complete) == gd.Completeness.CONSISTENT
    counts = np.asarray(searched.count)
    methods = {name: spread(each) | {"per_s": 1 / float(np.median(each))} for name, each in seconds.items() if each}
    boxes = np.asarray(found.num_boxes)
    return {
        "systems": number,
        "units": 2,
        "max_points": MAX_POINTS,
        "cold_s": first,
        "boxes_each": float(boxes.mean()),
        "boxes_most": int(boxes.max()),
        "boxes_per_s": float(boxes.mean()) * methods["enumerate"]["per_s"],
        "certified": int(certified.sum()),
        "kinds_proven": int((np.asarray(found.kind_proven) == np.asarray(found.mask)).all(axis=1).sum()),
        "counts": {str(n): int(((low == n) & certified).sum()) for n in np.unique(low[certified])},
        "open": {"at_least": low[~certified].tolist(), "clusters": np.asarray(found.num_clusters)[~certified].tolist()},
        "search_seeds": job["seeds"],
        "search_consistent": int(consistent.sum()),
        "contradictions_with_search": int((certified & consistent & (counts != low)).sum()),
        "search_short_of_proof": int((certified & (counts < low)).sum()),
        "codac_systems": some,
        "codac_places_equal_count": {
            name: int((np.asarray(each) == low[:some])[certified[:some]].sum()) for name, each in places.items()
        },
        "times_codac": {
            name: methods["enumerate"]["per_s"] / method["per_s"]
            for name, method in methods.items()
            if name.startswith("codac")
        },
        "methods": methods,
    }


def rounding(job: dict[str, Any]) -> dict[str, Any]:
    """One look at each of many boxes, with outward rounding or without, which proves nothing: what rounding costs."""
    number, systems = (512, 64) if job["quick"] else (65_536, 1024)
    if not job["rounded"]:
        modules = ["linalg.intervals." + name for name in ("_rounding", "_interval", "_products", "_functions")]
        for name in [*modules, "fixed_points._krawczyk"]:
            module = importlib.import_module(f"gru_dynamics.{name}")
            for attribute, plain in (
                ("down", lambda x: x),
                ("up", lambda x: x),
                ("sum_slack", lambda terms: 0.0),
                ("cover", lambda terms, bound: bound),
                ("_around", lambda center, error: Interval(center, center)),
                ("_inflated", lambda low, high, ulps: (low, high)),
            ):
                if attribute in vars(module):
                    setattr(module, attribute, plain)
    flows = draw(systems)
    arrays, static = eqx.partition(flows, eqx.is_array)
    corners = jr.uniform(jr.key(1), (2, number, 2), minval=-1.0, maxval=1.0)
    boxes = Interval(jnp.min(corners, axis=0), jnp.max(corners, axis=0))

    @jax.jit
    def look(arrays: Any, boxes: Interval) -> Verdict:
        def one(place: jax.Array, lower: jax.Array, upper: jax.Array) -> Verdict:
            flow = eqx.combine(jax.tree.map(lambda leaf: leaf[place % systems], arrays), static)
            return examine(flow, Interval(lower, upper))

        return jax.vmap(one)(jnp.arange(number), boxes.lower, boxes.upper)

    jax.block_until_ready(look(arrays, boxes))
    seconds = []
    for _ in range(4 * job["runs"]):
        start = time.perf_counter()
        jax.block_until_ready(look(arrays, boxes))
        seconds.append(time.perf_counter() - start)
    return {"boxes": number, "boxes_per_s": number / float(np.median(seconds)), **spread(seconds)}


def single(job: dict[str, Any]) -> dict[str, Any]:
    """One system at a time: random networks of several sizes, decoupled units, and one far too large."""
    sizes = (2, 3) if job["quick"] else (2, 3, 4, 5, 6, 8, 12)
    budget = 2_000 if job["quick"] else 200_000
    cases: dict[str, gd.CellMap] = {}
    for n in sizes:

        def scaled(key: Any, shape: Any, dtype: Any) -> Any:
            return 2 * jr.normal(key, shape, dtype) / jnp.sqrt(jnp.asarray(shape[0], dtype))

        cases[f"elman {n}"] = gd.CellMap(gd.ElmanCell(0, n, recurrent_init=scaled, key=jr.key(1)))
        cases[f"gru {n}"] = gd.CellMap(gd.GRUCell(0, n, recurrent_init=scaled, key=jr.key(1)))
        if n <= 6:
            cases[f"decoupled {n}"] = gd.library.decoupled_tanh(n)
    result = {}
    for name, system in cases.items():
        start = time.perf_counter()
        found = jax.block_until_ready(gd.enumerate_fixed_points(system, max_boxes=budget))
        first = time.perf_counter() - start
        seconds = []
        for _ in range(job["runs"]):
            start = time.perf_counter()
            jax.block_until_ready(gd.enumerate_fixed_points(system, max_boxes=budget))
            seconds.append(time.perf_counter() - start)
        boxes = int(found.num_boxes)
        result[name] = {
            "summary": found.summary().partition(". ")[0],
            "boxes": boxes,
            "cold_s": first,
            "warm": spread(seconds),
            "boxes_per_s": boxes / float(np.median(seconds)),
        }
    return {"budget": budget, "cases": result}


def verify(job: dict[str, Any]) -> dict[str, Any]:
    """`verify_point` on one fixed point of random networks."""
    result = {}
    for n in (8, 16) if job["quick"] else (16, 64, 128, 256, 512):

        def scaled(key: Any, shape: Any, dtype: Any) -> Any:
            return jr.normal(key, shape, dtype) / jnp.sqrt(jnp.asarray(shape[0], dtype))

        cell = gd.GRUCell(0, n, recurrent_init=scaled, key=jr.key(1))
        cell = eqx.tree_at(lambda c: c.b_c, cell, jr.normal(jr.key(2), (n,)))
        system = gd.CellMap(cell)
        points = gd.find_fixed_points(system, gd.UniformGuesses(num=8), key=jr.key(0), throw=False)
        start = time.perf_counter()
        proof = jax.block_until_ready(gd.verify_point(system, points.state[0], throw=False))
        first = time.perf_counter() - start
        seconds = []
        for _ in range(job["runs"]):
            start = time.perf_counter()
            jax.block_until_ready(gd.verify_point(system, points.state[0], throw=False))
            seconds.append(time.perf_counter() - start)
        result[f"gru {n}"] = {
            "proven": bool(proof.proven),
            "radius": float(proof.radius),
            "unique_radius": float(proof.unique_radius),
            "kind_proven": bool(proof.kind_proven),
            "cold_s": first,
            "warm": spread(seconds),
        }
    return result


def device(wanted: str) -> str:
    """Name of what the numbers are measured on."""
    if jax.default_backend() != wanted:
        raise SystemExit(f"--device {wanted}: JAX found only {jax.default_backend()}; install a matching jaxlib")
    return cpu_name() if wanted == "cpu" else jax.devices()[0].device_kind


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    asked = json.loads(path.read_text())
    name = device(asked["device"])
    jobs = {"race": race, "rounding": rounding, "single": single, "verify": verify}
    path.write_text(json.dumps({"result": jobs[asked["kind"]](asked), "device": name}))
