"""Both ends of a branch, run until they end, for one curve or for a batch of them in one loop."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float, Int, Scalar
from ._curve import AbstractCurve
from ._kinds import End
from ._method import AbstractMethod
from ._step import Lane, Range, advance, start_lane


class Trace(eqx.Module):
    """Points of a curve in order, N = 2 `num_steps` + 1 rows of which those with `mask` are in use; the start is row
    `num_steps`.

    **Fields:** `u (N, u)`; `tangent (N, u)`, unit vectors towards the next row; `orientation (N,)`, sign of
    `det [A; tangent]`, which changes at branch points; `mask (N,)`; `end (2,)`, an `End` for the first and the last
    row; `lanes`, two `Lane` (leading axis 2), from which `extend` goes on.

    **Source:** Allgower & Georg (2003), chapter 6.
    """

    u: Float[Array, "*batch N u"]
    tangent: Float[Array, "*batch N u"]
    orientation: Float[Array, "*batch N"]
    mask: Bool[Array, "*batch N"]
    end: Int[Array, "*batch 2"]
    lanes: Lane


def trace(
    curve: AbstractCurve,
    u: Float[Array, " u"],
    tangent: Float[Array, " u"],
    orientation: Scalar,
    *,
    method: AbstractMethod,
    allowed: Range,
    num_steps: int,
) -> Trace:
    """Follow a curve from a point on it in both directions.

    **Arguments:** `curve`; `u (u,)`, on the curve; `tangent (u,)`, the direction of the later rows; `orientation ()`,
    sign of `det [A; tangent]`, 0 if unknown (`start_direction` gives both); `method`; `allowed` parameters;
    `num_steps`, largest number of points in each direction.

    **Returns:** a `Trace`.

    **Source:** Allgower & Georg (2003), chapter 6.
    """
    both = jnp.stack([-tangent, tangent]), jnp.stack([-orientation, orientation])
    lanes = jax.vmap(lambda t, sign: start_lane(method, curve, allowed, u, t, sign))(*both)
    return extend(curve, lanes, method=method, allowed=allowed, num_steps=num_steps)


def extend(curve: AbstractCurve, lanes: Lane, *, method: AbstractMethod, allowed: Range, num_steps: int) -> Trace:
    """Go on from the two ends of a trace; the rows of the result begin at those ends.

    **Arguments:** `lanes`, two of them (leading axis 2, points of shape `(2, u)`), others as in `trace`.

    **Returns:** a `Trace` with `num_steps` rows for each end, and between them one row of the backward end's point.

    **Source:** Allgower & Georg (2003), chapter 6.
    """
    start = lanes
    count = jnp.zeros((2,), jnp.int32)
    running = jnp.where(lanes.end == End.STEPS, End.RUNNING, lanes.end).astype(jnp.int32)
    lanes = eqx.tree_at(lambda l: (l.count, l.end), lanes, (count, running))
    lanes, rows = _run((curve, method, allowed), lanes, num_steps)
    return _assemble(start, lanes, rows, num_steps)


def _assemble(start: Lane, lanes: Lane, rows: Float[Array, "2 n row"], num_steps: int) -> Trace:
    size = lanes.point.shape[-1]
    used = jnp.arange(num_steps, dtype=jnp.int32)[None] < lanes.count[:, None]
    # The backward end looks away from the start: turned round, its tangents and orientations change sign.
    back = jnp.concatenate([rows[0, :, :size], -rows[0, :, size:]], axis=1)[::-1]
    middle = jnp.concatenate([start.point[0], -start.tangent[0], -start.orientation[:1]])
    every = jnp.concatenate([back, middle[None], rows[1]])
    mask = jnp.concatenate([used[0, ::-1], jnp.ones((1,), bool), used[1]])
    # Both ends of a closed branch have gone all the way round; one of them is enough.
    closed = lanes.end[1] == End.CLOSED
    mask = mask & ~(closed & (jnp.arange(mask.size, dtype=jnp.int32) < num_steps))
    return Trace(every[:, :size], every[:, size : 2 * size], every[:, -1], mask, lanes.end, lanes)


def _run(problem: Any, lanes: Lane, num_steps: int) -> tuple[Lane, Float[Array, "2 n row"]]:
    """The two lanes of one curve at their ends and the points they accepted, `(2, num_steps, 2 u + 1)`.

    Under `jax.vmap` all curves share one loop that ends when the last lane has ended; vectorised as it stands, the loop
    would copy every buffer of every lane in each iteration.
    """
    arrays, static = eqx.partition(problem, eqx.is_array)

    def batched(arrays: Any, axes: Any, lanes: Lane) -> tuple[Lane, Array]:
        return _loop(arrays, axes, static, lanes, num_steps)

    @jax.custom_batching.custom_vmap
    def single(arrays: Any, lanes: Lane) -> Any:
        one = jax.tree.map(lambda x: x[None], lanes)
        return jax.tree.map(lambda x: x[0], batched(arrays, jax.tree.map(lambda _: None, arrays), one))

    @single.def_vmap
    def batch(axis_size: int, in_batched: Any, arrays: Any, lanes: Lane) -> Any:
        lanes = jax.tree.map(
            lambda x, is_batched: x if is_batched else jnp.broadcast_to(x[None], (axis_size, *x.shape)),
            lanes,
            in_batched[1],
        )
        axes = jax.tree.map(lambda is_batched: 0 if is_batched else None, in_batched[0])
        out = batched(arrays, axes, lanes)
        return out, jax.tree.map(lambda _: True, out)

    return single(arrays, lanes)


def _loop(arrays: Any, axes: Any, static: Any, lanes: Lane, num_steps: int) -> tuple[Lane, Array]:
    """Lanes with axes `(B, 2)`."""
    batch, size = lanes.point.shape[0], lanes.point.shape[-1]
    limit = jnp.asarray(num_steps, jnp.int32)

    def one(arrays: Any, lane: Lane) -> Lane:
        curve, method, allowed = eqx.combine(arrays, static)
        return advance(method, curve, allowed, limit, lane)

    both = jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(axes, 0))
    place = jnp.arange(batch, dtype=jnp.int32)[:, None], jnp.arange(2, dtype=jnp.int32)[None]

    def running(carry: tuple[Lane, Array]) -> Array:
        return jnp.any(carry[0].end == End.RUNNING)

    def body(carry: tuple[Lane, Array]) -> tuple[Lane, Array]:
        lanes, rows = carry
        new = both(arrays, lanes)
        row = jnp.concatenate([new.point, new.tangent, new.orientation[..., None]], axis=-1)
        target = jnp.where(new.count > lanes.count, lanes.count, num_steps)
        return new, rows.at[(*place, target)].set(row, mode="drop")

    rows = jnp.zeros((batch, 2, num_steps, 2 * size + 1), lanes.point.dtype)
    return jax.lax.while_loop(running, body, (lanes, rows))
