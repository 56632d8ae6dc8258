"""The blocks of a sweep as tasks on a Ray cluster."""

import functools
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._errors import SweepError, optional
from ._folder import differing_versions, versions
from ._sweep import Sweep, run_block

_RETRIES = 16


def compute_on_ray(sweep: Sweep, blocks: Sequence[int]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Blocks in the order in which they are finished.

    A task knows the sweep and a block number and writes nothing, so that Ray may repeat it on another node. Only as
    many are submitted as keep the cluster busy: what is lost with a node is small.
    """
    ray = optional("ray", "ray")
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    wanted = versions()
    options = {"max_retries": _RETRIES, "num_cpus": 1, "num_gpus": int(wanted["backend"] == "gpu")}
    task = ray.remote(**options)(_task)
    double = bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]
    shipped = ray.put(_pack(ray, sweep))
    waiting, pending = list(reversed(blocks)), {}
    try:
        while waiting or pending:
            room = 2 * max(1, int(ray.cluster_resources().get("CPU", 1))) - len(pending)
            for _ in range(min(room, len(waiting))):
                block = waiting.pop()
                pending[task.remote(shipped, block, double, wanted)] = block
            ready, _ = ray.wait(list(pending), num_returns=1)
            for reference in ready:
                block = pending.pop(reference)
                yield block, ray.get(reference)
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())
        raise SweepError(
            f"Ray: a block could not be computed ({reason[-300:]}); the parts written so far are kept: "
            "put the cluster right and run again to continue"
        ) from error
    finally:
        for reference in pending:
            ray.cancel(reference, force=True)


def _pack(ray: Any, sweep: Sweep) -> bytes:
    """Arrays travel as NumPy's: a JAX array in float64 would be rounded on arrival, before float64 is switched on."""
    plain = jax.tree.map(lambda leaf: np.asarray(leaf) if _is_plain(leaf) else leaf, sweep)
    return ray.cloudpickle.dumps(plain)


@functools.lru_cache(maxsize=1)
def _unpack(data: bytes) -> Sweep:
    """The same object at every call: functions that arrive anew would be compiled anew."""
    sweep = pickle.loads(data)
    family = jax.tree.map(lambda leaf: jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, sweep.family)
    return eqx.tree_at(lambda sweep: sweep.family, sweep, family)


def _is_plain(leaf: Any) -> bool:
    return eqx.is_array(leaf) and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _task(data: bytes, block: int, double: bool, wanted: dict[str, str]) -> dict[str, np.ndarray]:
    """One block, in a worker."""
    with jax.enable_x64(double):
        unlike = differing_versions(wanted)
        if unlike:
            raise SweepError(f"a worker has other versions than the driver: {', '.join(unlike)}")
        return run_block(_unpack(data), block)
