"""Run a method from many guesses without waiting for the slowest.

A batch of lanes works through a queue: when a lane converges or gives up, its result is written out and the next guess
takes its place. Memory is that of the lanes, whatever the number of guesses, and time is the sum of all steps over the
number of lanes instead of the sum of the slowest ones.

Under `jax.vmap` over problems there is still one queue: it holds the guesses of all problems, and each lane gathers the
arrays of the problem that its guess belongs to.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float, Int
from ._members import line_up, with_members


@runtime_checkable
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
    succeeded: Callable[[Any, Any], Array],
) -> tuple[Float[Array, "num R"], Bool[Array, " num"]]:
    """End points `(num, R)` of the first `total` guesses and which of them `succeeded(problem, lane)`."""

    def run(member: Callable[[Array], Any], guesses: Array, total: Array) -> tuple[Array, Array]:
        return _run(method, member, guesses, total, succeeded)

    return with_members(run, problem, guesses, total)


def _run(
    method: Method,
    member: Callable[[Array], Any],
    guesses: Float[Array, "members num R"],
    total: Int[Array, " members"],
    succeeded: Callable[[Any, Any], Array],
) -> tuple[Float[Array, "members num R"], Bool[Array, "members num"]]:
    """One queue for the first `total[m]` guesses of every problem `member(m)`."""
    members, num, size = guesses.shape
    length = members * num
    flat = guesses.reshape(length, size)
    queue, waiting = line_up(jnp.zeros_like(total), total, num)
    lanes = min(length, method.lanes or default_lanes(size))

    @jax.vmap
    def init(guess: Array) -> Any:
        return method.init(member(guess // num), flat[guess])

    @jax.vmap
    def step(guess: Array, lane: Any) -> tuple[Any, Array]:
        problem = member(guess // num)
        lane = method.step(problem, lane)
        return lane, succeeded(problem, lane)

    def body(carry):
        lane, steps, position, upcoming, ends, success = carry
        guess = queue[jnp.minimum(position, length - 1)]
        lane, good = step(guess, lane)
        steps = steps + 1
        finished = (good | (steps >= method.max_steps)) & (position < waiting)
        # Rows beyond the end are dropped: that is where unfinished and idle lanes write.
        row = jnp.where(finished, guess, length)
        ends = ends.at[row].set(lane.point, mode="drop")
        success = success.at[row].set(good, mode="drop")
        position = jnp.where(finished, upcoming + jnp.cumsum(finished, dtype=jnp.int32) - 1, position)
        upcoming = upcoming + jnp.sum(finished, dtype=jnp.int32)
        fresh = init(queue[jnp.minimum(position, length - 1)])
        lane = jax.tree.map(lambda new, old: jnp.where(_expand(finished, new), new, old), fresh, lane)
        return lane, jnp.where(finished, 0, steps), position, upcoming, ends, success

    def unfinished(carry):
        return jnp.any(carry[2] < waiting)

    first = jnp.arange(lanes, dtype=jnp.int32)
    zeros = jnp.zeros((lanes,), jnp.int32)
    start = (
        init(queue[first]),
        zeros,
        first,
        jnp.asarray(lanes, jnp.int32),
        jnp.zeros_like(flat),
        jnp.zeros(length, bool),
    )
    _, _, _, _, ends, success = jax.lax.while_loop(unfinished, body, start)
    return ends.reshape(guesses.shape), success.reshape(members, num)


def _expand(flag: Array, like: Array) -> Array:
    return flag.reshape(flag.shape + (1,) * (like.ndim - flag.ndim))
