"""What the search could not decide, gathered into clusters, and how many zeros each must hold at least."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float, Int
from ..linalg.intervals import Interval, as_interval, matmul, matvec
from ..systems import AbstractSystem

# Sides of the square around a cluster are cut into so many pieces; the square is tried at these sizes relative to the
# cluster's hull.
_PIECES = 64
_SIZES = (2.0, 6.0, 20.0, 60.0)


def gather(
    rows: Float[Array, "length ends"],
    member: Int[Array, " length"],
    size: Int[Array, ""],
    members: int,
    slots: int,
    gap: Float[Array, ""],
) -> tuple[Float[Array, "members slots ends"], Bool[Array, "members slots"]]:
    """Hulls of the groups of boxes that touch, at most `slots` per member: `(hulls, used)`.

    Boxes closer than `gap` or twice their own width touch. With all slots taken, further boxes join the last cluster.
    """
    ends = rows.shape[1]
    half = ends // 2

    def body(number: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        hulls, used = carry
        own, here = hulls[member[number]], used[member[number]]

        def touching(candidate: Array, here: Array) -> Array:
            margin = gap + 2 * jnp.max(candidate[half:] - candidate[:half])
            low, high = candidate[None, :half] - margin, candidate[None, half:] + margin
            return here & jnp.all((own[:, :half] <= high) & (own[:, half:] >= low), axis=1)

        def absorb(carry: tuple[Array, Array]) -> tuple[Array, Array]:
            candidate, here = carry
            touched = touching(candidate, here)
            low = jnp.min(jnp.where(touched[:, None], own[:, :half], jnp.inf), axis=0)
            high = jnp.max(jnp.where(touched[:, None], own[:, half:], -jnp.inf), axis=0)
            merged = jnp.concatenate([jnp.minimum(low, candidate[:half]), jnp.maximum(high, candidate[half:])])
            return merged, here & ~touched

        candidate, here = jax.lax.while_loop(
            lambda carry: jnp.any(touching(*carry)) | jnp.all(carry[1]), _force(absorb, own, half), (rows[number], here)
        )
        slot = jnp.argmin(here)
        return hulls.at[member[number], slot].set(candidate), used.at[member[number]].set(here.at[slot].set(True))

    start = jnp.zeros((members, slots, ends)), jnp.zeros((members, slots), bool)
    return jax.lax.fori_loop(0, size, body, start)


def _force(absorb: Callable, own: Array, half: int) -> Callable:
    """`absorb`, or when no slot is free, the last slot's cluster whether it touches or not."""

    def body(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        candidate, here = carry
        last = own[-1]
        joined = jnp.concatenate(
            [jnp.minimum(candidate[:half], last[:half]), jnp.maximum(candidate[half:], last[half:])]
        )
        full = jnp.all(here)
        merged, remaining = absorb(carry)
        return jnp.where(full, joined, merged), jnp.where(full, here.at[-1].set(False), remaining)

    return body


def degree(system: AbstractSystem, hull: Interval) -> tuple[Int[Array, ""], Bool[Array, ""], Interval]:
    """`(degree, proven, box)`: the sum of the indices of the zeros in `box`, which contains `hull`.

    In one dimension it follows from the signs at the ends; in two it is the winding number of the residual along the
    boundary, counted by the half planes that proven enclosures of its pieces lie in. Beyond, nothing is proven here.

    **Source:** Kearfott (1979), An efficient degree-computation method for a generalized method of bisection; for the
    sign convention see `FixedPoints.index`.
    """
    size = hull.shape[0]
    if size > 2:
        return jnp.zeros((), jnp.int32), jnp.zeros((), bool), hull
    around = _ends if size == 1 else _winding
    reach = jnp.max(hull.radius) + 1e-9

    def body(carry: tuple[Array, Array, Array, Interval]) -> tuple[Array, Array, Array, Interval]:
        number = carry[0]
        scale = jnp.asarray(_SIZES)[number]
        box = Interval(hull.midpoint - scale * reach, hull.midpoint + scale * reach)
        return (number + 1, *around(system, box), box)

    def unfinished(carry: tuple[Array, Array, Array, Interval]) -> Array:
        return (carry[0] < len(_SIZES)) & ~carry[2]

    zero = jnp.zeros((), jnp.int32)
    _, value, proven, box = jax.lax.while_loop(unfinished, body, (zero, zero, zero > 0, hull))
    return value, proven, box


def _ends(system: AbstractSystem, box: Interval) -> tuple[Array, Array]:
    left, right = (system.enclose(as_interval(end)).residual[0] for end in (box.lower, box.upper))
    falling, rising = (left.lower > 0) & (right.upper < 0), (left.upper < 0) & (right.lower > 0)
    level = ((left.lower > 0) & (right.lower > 0)) | ((left.upper < 0) & (right.upper < 0))
    return jnp.where(falling, 1, jnp.where(rising, -1, 0)).astype(jnp.int32), falling | rising | level


def _winding(system: AbstractSystem, box: Interval) -> tuple[Array, Array]:
    knots = jnp.linspace(0.0, 1.0, _PIECES + 1)
    x = (box.lower[0] + knots * (box.upper[0] - box.lower[0])).at[-1].set(box.upper[0])
    y = (box.lower[1] + knots * (box.upper[1] - box.lower[1])).at[-1].set(box.upper[1])
    bottom, top, left, right = (jnp.full((_PIECES,), end) for end in (y[0], y[-1], x[0], x[-1]))
    lower = jnp.stack(
        [
            jnp.concatenate([x[:-1], right, x[:-1][::-1], left]),
            jnp.concatenate([bottom, y[:-1], top, y[:-1][::-1]]),
        ],
        axis=1,
    )
    upper = jnp.stack(
        [
            jnp.concatenate([x[1:], right, x[1:][::-1], left]),
            jnp.concatenate([bottom, y[1:], top, y[1:][::-1]]),
        ],
        axis=1,
    )
    turn = _alignment(system.residual_jacobian(box.midpoint))

    # Mean value form, turned: M f(m) + (M f'(piece)) (piece - m). With M applied last, the large variation of one
    # component would drown the small one.
    pieces = Interval(lower, upper)
    middles, number = pieces.midpoint, 4 * _PIECES
    both = jax.vmap(system.enclose)(Interval(jnp.concatenate([lower, middles]), jnp.concatenate([upper, middles])))
    slope = jax.vmap(functools.partial(matmul, turn))(both.residual_jacobian[:number])
    value = jax.vmap(functools.partial(matvec, turn))(both.residual[number:])
    image = value + jax.vmap(matvec)(slope, pieces - middles)
    # Half planes in the order of their angle; a piece may lie in two, then either will do.
    sides = jnp.stack(
        [image.lower[:, 0] > 0, image.lower[:, 1] > 0, image.upper[:, 0] < 0, image.upper[:, 1] < 0], axis=1
    )
    known = jnp.all(jnp.any(sides, axis=1))
    side = jnp.argmax(sides, axis=1)
    turns = (jnp.roll(side, -1) - side + 1) % 4 - 1
    return (jnp.sum(turns) // 4).astype(jnp.int32), known & jnp.all(turns != 2)


def _alignment(J: Float[Array, "2 2"]) -> Float[Array, "2 2"]:
    """A rotation that turns the dominant left singular direction of J into the first axis: near a fold the residual is
    large along it and of second order across. Its determinant is near 1, so it keeps winding numbers."""
    column = jnp.where(jnp.linalg.norm(J[:, 0]) > jnp.linalg.norm(J[:, 1]), J[:, 0], J[:, 1])
    length = jnp.linalg.norm(column)
    direction = jnp.where(length > 0, column / jnp.where(length > 0, length, 1.0), jnp.asarray([1.0, 0.0]))
    return jnp.stack([direction, jnp.stack([-direction[1], direction[0]])])
