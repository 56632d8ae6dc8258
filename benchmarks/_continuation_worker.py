"""One part of `continuation.py` in a process of its own: `python _continuation_worker.py JOB.json`."""

import importlib.util
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

import gru_dynamics as gd

EVENTS = (gd.Fold(), gd.Hopf())
RANGES = {"brusselator": (0.5, 6.0), "gru": (-6.0, 6.0)}
# Ours measures steps in another norm; with these both make about as many points.
STEPS = {"brusselator": 0.05, "gru": 0.013}
LIMIT = 300


def _B(system: Any) -> Any:
    return system.args["B"]


def _bias(system: Any) -> Any:
    return system.cell.b_c


def brusselator(A: Any) -> gd.Family:
    return gd.Family(gd.library.brusselator(A=A), _B)


def gru(cell: gd.GRUCell) -> gd.Family:
    return gd.Family(gd.CellFlow(cell), _bias, 0)


FAMILIES: dict[str, Callable[[Any], gd.Family]] = {"brusselator": brusselator, "gru": gru}


def random_grus(number: int, seed: int = 0) -> gd.GRUCell:
    """Two-unit GRUs (reset before), weights and biases normal, gains 0.5 to 4."""
    rng = np.random.default_rng(seed)
    gain = rng.uniform(0.5, 4.0, number)
    template = gd.GRUCell(0, 2, key=jr.key(0))

    def draw(leaf: Any) -> Any:
        values = rng.normal(size=(number, *leaf.shape)) * gain.reshape(-1, *[1] * leaf.ndim)
        return jnp.asarray(values)

    return jax.tree.map(lambda leaf: draw(leaf) if eqx.is_array(leaf) else leaf, template)


@eqx.filter_jit
def _settled(cells: gd.GRUCell, mu: Any) -> jax.Array:
    def one(cell: gd.GRUCell) -> jax.Array:
        system = gru(cell)(mu)
        state = jax.lax.fori_loop(0, 400, lambda _, x: x + 0.5 * system.residual(x), jnp.zeros(2))
        return gd.fixed_point(system, state, throw=False)

    return eqx.filter_vmap(one)(cells)


def start(family: str, branches: int) -> tuple[Any, jax.Array]:
    if family == "brusselator":
        A = jnp.linspace(0.5, 2.0, branches)
        return A, jnp.stack([A, 0.5 / A], axis=1)
    cells = random_grus(branches)
    return cells, _settled(cells, jnp.asarray(RANGES["gru"][0]))


def ours(family: str, events: tuple) -> Callable[..., Any]:
    method = gd.PseudoArclength(max_step=STEPS[family])
    low, high = RANGES[family]

    @eqx.filter_jit
    def run(arguments: Any, states: Any) -> Any:
        def one(argument: Any, state: Any) -> Any:
            return gd.continue_fixed_points(
                FAMILIES[family](argument), state, low, mu_range=(low, high), num_steps=LIMIT, method=method,
                events=events, max_special_points=8, throw=False,
            )  # fmt: skip

        return eqx.filter_vmap(one)(arguments, states)

    return run


def jaxcont(family: str) -> Callable[..., Any]:
    import jaxcont as peer

    low, high = RANGES[family]
    settings = peer.ContinuationPar(ds=0.01, ds_max=0.1, max_steps=LIMIT, newton_tol=1e-10)

    def residual(u: Any, p: Any, argument: Any) -> Any:
        return FAMILIES[family](argument)(p).residual(u)

    @eqx.filter_jit
    def run(arguments: Any, states: Any) -> Any:
        def one(argument: Any, state: Any) -> Any:
            problem = peer.bif_problem(residual, state, low, args=argument)
            return peer.continuation(problem, peer.PseudoArclength(), p_span=(low, high), settings=settings).branch

        return eqx.filter_vmap(one)(arguments, states)

    return run


def _points(branch: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    if isinstance(branch, gd.Branch):
        return branch.state, branch.mu, branch.mask
    return branch.states, branch.params, branch.valid


def _residual(family: str, arguments: Any, branch: Any) -> float:
    """Largest residual of all points, evaluated afterwards and in the same way for everyone."""
    states, mus, mask = _points(branch)

    def one(argument: Any, states: Any, mus: Any) -> Any:
        return jax.vmap(lambda x, m: jnp.max(jnp.abs(FAMILIES[family](argument)(m).residual(x))))(states, mus)

    return float(jnp.max(jnp.where(mask, eqx.filter_vmap(one)(arguments, states, mus), 0)))


def race(job: dict[str, Any]) -> dict[str, Any]:
    family, branches = job["family"], job["branches"]
    arguments, states = start(family, branches)
    methods = {"ours, no events": ours(family, ()), "ours, events located": ours(family, EVENTS)}
    if importlib.util.find_spec("jaxcont") is not None:
        methods["JaxCont, no events"] = jaxcont(family)
    cold, last = {}, {}
    for name, run in methods.items():
        began = time.perf_counter()
        last[name] = jax.block_until_ready(run(arguments, states))
        cold[name] = time.perf_counter() - began
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(job["runs"]):
        for name, run in methods.items():
            began = time.perf_counter()
            jax.block_until_ready(run(arguments, states))
            seconds[name].append(time.perf_counter() - began)
    measured = {}
    for name, branch in last.items():
        points, warm = int(_points(branch)[2].sum()), spread(seconds[name])
        measured[name] = {
            "points": points,
            "warm": warm,
            "per_s": points / warm["median_s"],
            "cold_s": cold[name],
            "residual": _residual(family, arguments, branch),
        }
    rates = {name: one["per_s"] for name, one in measured.items()}
    peer = rates.get("JaxCont, no events")
    ratios = {} if peer is None else {f"{n} / JaxCont": r / peer for n, r in rates.items() if n.startswith("ours")}
    special = last["ours, events located"].special_points
    return {"methods": measured, "ratios": ratios, "events": _events(family, arguments, special)}


def _events(family: str, arguments: Any, special: Any) -> dict[str, Any]:
    mask, location = np.asarray(special.mask), np.asarray(special.location)
    counts = {
        "located": int((location == gd.Location.CONVERGED).sum()),
        "bracketed": int((location == gd.Location.BRACKETED).sum()),
        "largest_residual": float(np.max(np.where(mask, np.asarray(special.residual), 0))),
    }
    if family == "brusselator":
        # One Hopf point on each branch, at B = 1 + A^2.
        error = np.abs(np.asarray(special.mu)[:, 0] - 1 - np.asarray(arguments) ** 2)
        counts |= {"one_each": bool((mask.sum(axis=1) == 1).all()), "largest_error": float(error.max())}
    return counts


def many(job: dict[str, Any]) -> dict[str, Any]:
    arguments, states = start("gru", job["branches"])
    method, (low, high) = gd.PseudoArclength(), RANGES["gru"]

    @eqx.filter_jit
    def run(arguments: Any, states: Any) -> Any:
        def one(argument: Any, state: Any) -> Any:
            return gd.continue_fixed_points(
                gru(argument), state, low, mu_range=(low, high), num_steps=150, method=method, events=EVENTS,
                max_special_points=8, throw=False,
            )  # fmt: skip

        return eqx.filter_vmap(one)(arguments, states)

    began = time.perf_counter()
    branch = jax.block_until_ready(run(arguments, states))
    cold, seconds = time.perf_counter() - began, []
    for _ in range(min(job["runs"], 3)):
        began = time.perf_counter()
        jax.block_until_ready(run(arguments, states))
        seconds.append(time.perf_counter() - began)
    points, warm = int(branch.mask.sum()), spread(seconds)
    ends = np.asarray(branch.end)
    return {
        "branches": job["branches"],
        "points": points,
        "warm": warm,
        "per_s": points / warm["median_s"],
        "cold_s": cold,
        **_events("gru", arguments, branch.special_points),
        "ends": {end.name.lower(): int((ends == end).sum()) for end in gd.End},
        "peak_bytes": peak_bytes(),
    }


def again(job: dict[str, Any]) -> dict[str, Any]:
    """Two families of one shape after each other, and how often XLA compiled for the second."""
    compiled: list[str] = []

    def listen(event: str, *_: Any, **__: Any) -> None:
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    cells = [jax.tree.map(lambda leaf, i=i: leaf[i], random_grus(2)) for i in range(2)]
    low, high = RANGES["gru"]
    states = _settled(random_grus(2), jnp.asarray(low))
    seconds, counts = [], []
    for cell, state in zip(cells, [states[0], states[1]], strict=True):
        before, began = len(compiled), time.perf_counter()
        branch = gd.continue_fixed_points(gru(cell), state, low, mu_range=(low, high), events=EVENTS, throw=False)
        jax.block_until_ready(branch)
        seconds.append(time.perf_counter() - began)
        counts.append(len(compiled) - before)
    return {"first_s": seconds[0], "second_s": seconds[1], "first_compilations": counts[0], "compilations": counts[1]}


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    asked = json.loads(path.read_text())
    if jax.default_backend() != asked["device"]:
        raise SystemExit(f"--device {asked['device']}: JAX found only {jax.default_backend()}")
    name = cpu_name() if asked["device"] == "cpu" else jax.devices()[0].device_kind
    path.write_text(json.dumps({"result": globals()[asked["kind"]](asked), "device": name}))
