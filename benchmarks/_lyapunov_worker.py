"""One case of `lyapunov.py` in a process of its own: `python _lyapunov_worker.py JOB.json`."""

import functools
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
import numpy as np
from _harness import cpu_name, spread

import gru_dynamics as gd

# Steps before rounding makes two chaotic trajectories different.
AGREEMENT_STEPS = 64
Method = Callable[[], Any]


def random_network(job: dict[str, Any]) -> tuple[gd.FunctionMap, jax.Array]:
    size = job["units"]
    rng = np.random.default_rng(0)
    J = jnp.asarray(job["gain"] / size**0.5 * rng.standard_normal((size, size)))
    return gd.FunctionMap(_tanh_step, J), jnp.asarray(rng.standard_normal(size))


def _tanh_step(state: jax.Array, J: jax.Array) -> jax.Array:
    return J @ jnp.tanh(state)


def _tanh_jacobian(state: jax.Array, J: jax.Array) -> jax.Array:
    return J * (1 - jnp.tanh(state) ** 2)[None]


def random_grus(job: dict[str, Any]) -> tuple[gd.GRUCell, jax.Array]:
    """A batch of cells with normal recurrent weights, and their states."""
    size, number = job["units"], job["networks"]
    rng = np.random.default_rng(0)
    template = gd.GRUCell(0, size, key=jax.random.key(0))

    def fill(leaf: jax.Array) -> jax.Array:
        scale = job["gain"] / size**0.5 if leaf.shape == (size, size) else 0.1
        return jnp.asarray(scale * rng.standard_normal((number, *leaf.shape)))

    arrays, rest = eqx.partition(template, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(fill, arrays), rest), jnp.asarray(rng.uniform(-1, 1, (number, size)))


def scan_by_hand(
    step: Callable[[Any, Any], Any], jacobian: Callable[[Any, Any], Any], state: Any, args: Any, job: dict[str, Any]
) -> Any:
    """Benettin's method as in a notebook."""
    burn_in, steps = job["burn_in"], job["steps"]
    start = jnp.linalg.qr(jax.random.normal(jax.random.key(1), (job["units"], job["exponents"])))[0]

    def advance(carry: Any, _: None) -> Any:
        state, basis = carry
        basis, R = jnp.linalg.qr(jacobian(state, args) @ basis)
        return (step(state, args), basis), jnp.log(jnp.abs(jnp.diag(R)))

    carry, _ = jax.lax.scan(advance, (state, start), None, length=burn_in)
    return jnp.mean(jax.lax.scan(advance, carry, None, length=steps)[1], axis=0)


def measure(job: dict[str, Any]) -> dict[str, Any]:
    job = job | {"burn_in": job["steps"] // 10}
    build = _grus if "networks" in job else _network
    methods, interval, agreement = build(job)
    compile_s, found = {}, {}
    for name, method in methods.items():
        jax.clear_caches()
        began = time.perf_counter()
        jax.block_until_ready(method())
        first = time.perf_counter() - began
        began = time.perf_counter()
        found[name] = np.sort(np.asarray(jax.block_until_ready(method())), axis=-1)[..., ::-1]
        compile_s[name] = max(first - (time.perf_counter() - began), 0.0)
    # Freed by the others' turns above.
    for method in methods.values():
        jax.block_until_ready(method())
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(job["runs"]):
        for name, method in methods.items():
            began = time.perf_counter()
            jax.block_until_ready(method())
            seconds[name].append(time.perf_counter() - began)
    absent = "" if importlib.util.find_spec("lyapax") else "not installed"
    return {
        **{name: job[name] for name in ("units", "gain", "exponents", "steps", "burn_in")},
        "networks": job.get("networks", 1),
        "interval": interval,
        "agreement": agreement,
        "agreement_steps": AGREEMENT_STEPS,
        "absent": absent,
        "methods": {
            name: {
                "run": spread(seconds[name]),
                "compile_s": compile_s[name],
                "largest": float(np.mean(found[name][..., 0])),
                "sum": float(np.mean(found[name].sum(axis=-1))),
                "smallest": float(np.mean(found[name][..., -1])),
            }
            for name in methods
        },
    }


def _network(job: dict[str, Any]) -> tuple[dict[str, Method], int, float]:
    system, state = random_network(job)
    k, steps, burn_in = job["exponents"], job["steps"], job["burn_in"]
    ours = functools.partial(gd.lyapunov_spectrum, system, num_exponents=k, throw=False)
    interval = ours(state, num_steps=steps, burn_in=burn_in).interval
    settled = ours(state, num_steps=1, burn_in=burn_in, interval=1).state
    agreement = _largest_gap(
        *(ours(settled, num_steps=AGREEMENT_STEPS, burn_in=0, interval=q).exponents for q in (interval, 1))
    )
    by_hand = jax.jit(functools.partial(scan_by_hand, _tanh_step, _tanh_jacobian, job=job))
    methods: dict[str, Method] = {
        "gru_dynamics": lambda: ours(state, num_steps=steps, burn_in=burn_in).exponents,
        "scan": lambda: by_hand(state, system.args),
    }
    if importlib.util.find_spec("lyapax") is not None:
        for name, every in _intervals(steps, interval).items():
            run = eqx.filter_jit(functools.partial(_lyapax, every=every, job=job))
            methods[name] = functools.partial(run, system, state)
    return methods, interval, agreement


def _grus(job: dict[str, Any]) -> tuple[dict[str, Method], int, float]:
    cells, states = random_grus(job)
    k, steps, burn_in = job["exponents"], job["steps"], job["burn_in"]
    # The default under `vmap`: with 2, fitted to one of the networks, others lose digits.
    interval = 1

    def spectra(every: int, steps: int, cells: Any, states: Any) -> Any:
        def run(cell: Any, state: Any) -> Any:
            return gd.lyapunov_spectrum(
                gd.CellMap(cell), state, num_steps=steps, num_exponents=k, burn_in=burn_in, interval=every, throw=False
            ).exponents

        return eqx.filter_vmap(run)(cells, states)

    def each(function: Callable[[Any, Any], Any]) -> Method:
        run = eqx.filter_jit(eqx.filter_vmap(function))
        return lambda: run(cells, states)

    ours = eqx.filter_jit(functools.partial(spectra, interval, steps))
    agreement = _largest_gap(
        *(eqx.filter_jit(functools.partial(spectra, q, AGREEMENT_STEPS))(cells, states) for q in (interval, 1))
    )
    methods: dict[str, Method] = {
        "gru_dynamics": lambda: ours(cells, states),
        "scan": each(
            lambda cell, state: scan_by_hand(lambda s, c: c(s), lambda s, c: c.jacobians(s)[0], state, cell, job)
        ),
    }
    if importlib.util.find_spec("lyapax") is not None:
        for name, every in _intervals(steps, interval).items():
            methods[name] = each(lambda cell, state, every=every: _lyapax(cell, state, every=every, job=job))
    return methods, interval, agreement


def _intervals(steps: int, interval: int) -> dict[str, int]:
    """lyapax in every step, and as seldom as ours where its rule, that the interval divides the run, allows."""
    every = max(q for q in range(1, interval + 1) if steps % q == 0)
    return {"lyapax": 1} | ({f"lyapax every {every}": every} if every > 1 else {})


def _lyapax(step: Callable[[Any], Any], state: Any, *, every: int, job: dict[str, Any]) -> Any:
    import lyapax

    found = lyapax.lyapunov_spectrum(
        step, state, 1.0, job["steps"], k=job["exponents"], renorm_every=every, t_transient=float(job["burn_in"])
    )
    return found.exponents


def _largest_gap(found: Any, reference: Any) -> float:
    return float(jnp.max(jnp.abs(found - reference)))


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    asked = json.loads(path.read_text())
    if jax.default_backend() != asked["device"]:
        raise SystemExit(f"--device {asked['device']}: JAX found only {jax.default_backend()}")
    device = cpu_name() if asked["device"] == "cpu" else jax.devices()[0].device_kind
    path.write_text(json.dumps(measure(asked) | {"device": device}))
