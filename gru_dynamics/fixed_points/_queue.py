"""Run a method from many guesses without waiting for the slowest.

A batch of lanes works through a queue: when a lane converges or gives up, its result is written out and the next guess
takes its place. Memory is that of the lanes, whatever the number of guesses, and time is the sum of all steps over the
number of lanes instead of the sum of the slowest ones.
"""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float, Int


class Method(Protocol):
    """`init(problem, point) -> lane`, `step(problem, lane) -> lane`; a lane is a tuple with a field `point`."""

    @property
    def max_steps(self) -> int: ...

    @property
    def lanes(self) -> int | None: ...

    def init(self, problem: Any, point: Array) -> Any: ...

    def step(self, problem: Any, lane: Any) -> Any: ...


def default_lanes(size: int) -> int:
    """As many lanes as keep their Jacobians near the cache, 2 MiB in float64, within reason."""
    return min(512, max(8, 2**18 // max(size, 1) ** 2))


def run_queue(
    method: Method,
    problem: Any,
    guesses: Float[Array, "num R"],
    total: Int[Array, ""],
    succeeded: Callable[[Any], Array],
) -> tuple[Float[Array, "num R"], Bool[Array, " num"]]:
    """End points `(num, R)` of the first `total` guesses and which of them `succeeded(lane)`."""
    num, size = guesses.shape
    lanes = min(num, method.lanes or default_lanes(size))
    init, step = jax.vmap(lambda point: method.init(problem, point)), jax.vmap(lambda lane: method.step(problem, lane))

    def body(carry):
        lane, steps, source, upcoming, ends, success = carry
        lane, steps = step(lane), steps + 1
        good = jax.vmap(succeeded)(lane)
        finished = (good | (steps >= method.max_steps)) & (source < total)
        # Rows beyond the end are dropped: that is where unfinished and idle lanes write.
        row = jnp.where(finished, source, num)
        ends = ends.at[row].set(lane.point, mode="drop")
        success = success.at[row].set(good, mode="drop")
        following = upcoming + jnp.cumsum(finished, dtype=source.dtype) - 1
        source = jnp.where(finished, following, source)
        fresh = init(guesses[jnp.minimum(source, num - 1)])
        lane = jax.tree.map(lambda new, old: jnp.where(_expand(finished, new), new, old), fresh, lane)
        upcoming = upcoming + jnp.sum(finished, dtype=source.dtype)
        return lane, jnp.where(finished, 0, steps), source, upcoming, ends, success

    def unfinished(carry):
        return jnp.any(carry[2] < total)

    start = (
        init(guesses[:lanes]),
        jnp.zeros((lanes,), jnp.int32),
        jnp.arange(lanes, dtype=jnp.int32),
        jnp.asarray(lanes, jnp.int32),
        jnp.zeros_like(guesses),
        jnp.zeros((num,), bool),
    )
    _, _, _, _, ends, success = jax.lax.while_loop(unfinished, body, start)
    return ends, success


def _expand(flag: Array, like: Array) -> Array:
    return flag.reshape(flag.shape + (1,) * (like.ndim - flag.ndim))
