"""Search, merge, and search again where the index sum says that something is missing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._types import Array, Bool, Float, Int
from ..systems import AbstractSystem
from ._classify import Located, locate
from ._levenberg_marquardt import LevenbergMarquardt
from ._merge import merge
from ._queue import run_queue
from ._rows import map_rows


class Options(eqx.Module):
    """Settings of a search, all static."""

    method: LevenbergMarquardt
    tolerance: float = eqx.field(static=True)
    distance: float = eqx.field(static=True)
    max_points: int = eqx.field(static=True)
    max_reseeds: int = eqx.field(static=True)
    block: int = eqx.field(static=True)


class Found(eqx.Module):
    """Distinct points so far: rows of `located` and `hits (K,)`, the first `count` in use, and how the search went."""

    located: Located
    hits: Int[Array, " K"]
    count: Int[Array, ""]
    overflow: Bool[Array, ""]
    num_located: Int[Array, ""]
    num_guesses: Int[Array, ""]
    num_converged: Int[Array, ""]

    @property
    def used(self) -> Bool[Array, " K"]:
        return jnp.arange(self.hits.size, dtype=jnp.int32) < self.count

    @property
    def index_sum(self) -> Int[Array, ""]:
        return jnp.sum(jnp.where(self.used, self.located.sign, 0), dtype=jnp.int32)


def search(system: AbstractSystem, guesses: Float[Array, "num R"], options: Options) -> Found:
    """Distinct fixed points reached from `guesses`, in blocks.

    1. Iterate one block of guesses and merge what converged into the list.
    2. When the user's guesses are used up, refine the list and sum its indices.
    3. While the sum is not +1 (and the system has a trapping box), go on with blocks of new guesses made from the list:
       uniform in the box, midpoints of pairs, and steps along directions that leave saddles.
    """
    num, size = guesses.shape
    capacity = options.max_points
    num_blocks = -(-num // options.block)
    padded = jnp.pad(guesses, ((0, num_blocks * options.block - num), (0, 0)))
    rounds = num_blocks + (options.max_reseeds if system.bounds is not None else 0)

    def body(carry):
        number, found = carry
        given = number < num_blocks
        block = jax.lax.dynamic_slice_in_dim(padded, number * options.block, options.block)
        if rounds > num_blocks:
            draws = _draws(number, options.block, size + 4, guesses.dtype)
            block = jnp.where(given, block, _reseed(system, found, draws))
        # Under vmap the loop also runs for systems that are done: they ask for nothing.
        more = jnp.where(found.index_sum != 1, options.block, 0)
        total = jnp.where(given, jnp.minimum(num - number * options.block, options.block), more).astype(jnp.int32)
        ends, success = run_queue(
            options.method, system, block, total, lambda _, lane: lane.residual <= options.tolerance
        )
        found = _absorb(found, ends, success, total, options)
        # New points are appended, so those located in an earlier round stay as they are.
        stop = jnp.where(number + 1 < num_blocks, 0, found.count)
        located = map_rows(locate, system, found.located.point, found.located, found.num_located, stop, size)
        return number + 1, eqx.tree_at(lambda f: (f.located, f.num_located), found, (located, stop))

    def unfinished(carry):
        number, found = carry
        return (number < num_blocks) | ((number < rounds) & (found.index_sum != 1))

    zero = jnp.zeros((), jnp.int32)
    row = jnp.zeros((capacity,), guesses.dtype)
    nothing = Located(jnp.zeros((capacity, size), guesses.dtype), row, row, row, jnp.zeros((capacity,), jnp.int32))
    empty = Found(nothing, jnp.zeros((capacity,), jnp.int32), zero, jnp.zeros((), bool), zero, zero, zero)
    return jax.lax.while_loop(unfinished, body, (zero, empty))[1]


def _absorb(
    found: Found,
    ends: Float[Array, "block R"],
    success: Bool[Array, " block"],
    total: Int[Array, ""],
    options: Options,
) -> Found:
    """The list with the distinct new points appended; what is known of each row is left to `locate`."""
    capacity = options.max_points
    points = jnp.concatenate([found.located.point, ends])
    # The list comes first, so its points lead: they do not wander and keep their order.
    label = merge(points, jnp.concatenate([found.used, success]), options.distance)
    leader = label == jnp.arange(label.size, dtype=label.dtype)
    hits = jax.ops.segment_sum(jnp.concatenate([found.hits, success.astype(jnp.int32)]), label, label.size + 1)
    # Compaction: leaders move to the front, in their order; the rest falls off the end.
    row = jnp.where(leader, jnp.cumsum(leader, dtype=jnp.int32) - 1, capacity)
    count = jnp.sum(leader, dtype=jnp.int32)
    return Found(
        found.located._replace(point=jnp.zeros_like(found.located.point).at[row].set(points, mode="drop")),
        jnp.zeros_like(found.hits).at[row].set(hits[:-1], mode="drop"),
        jnp.minimum(count, capacity),
        found.overflow | (count > capacity),
        # Refined points can turn out to be one. Rows then move up, and what is known of them belongs to others.
        jnp.where(jnp.all(leader[:capacity] == found.used), found.num_located, 0),
        found.num_guesses + total.astype(jnp.int32),
        found.num_converged + jnp.sum(success, dtype=jnp.int32),
    )


def _draws(number: Int[Array, ""], num: int, width: int, dtype: jnp.dtype) -> Float[Array, "num width"]:
    """Round `number` of a Kronecker sequence in the unit cube: multiples of fixed generic angles, modulo 1.

    Reseeding needs spread, not chance, and a random generator here would take longer to compile than all the rest.
    """
    angles = np.random.default_rng(0).uniform(size=width)
    step = (number * num + jnp.arange(1, num + 1, dtype=jnp.int32)).astype(dtype)
    return jnp.modf(step[:, None] * jnp.asarray(angles, dtype)[None])[0]


def _reseed(system: AbstractSystem, found: Found, draws: Float[Array, "num D"]) -> Float[Array, "num R"]:
    """New guesses, a third of each kind: uniform, between two found points, away from one along where it expands."""
    assert system.bounds is not None
    lower, upper = (end[None] for end in system.bounds)
    points, count = found.located.point, found.count
    (num, _), (_, size), dtype = draws.shape, points.shape, points.dtype
    unit, (weight, kind, one, two) = draws[:, :size], jnp.split(draws[:, size:], 4, axis=1)
    first, second = (points[jnp.floor(pick[:, 0] * count.astype(dtype)).astype(jnp.int32)] for pick in (one, two))

    def expanding(_, way):
        # Power iteration on J + 2 I favours the eigenvalues of the residual with the largest real part.
        way = jnp.einsum("krc,kc->kr", jacobians, way) + 2 * way
        return way / jnp.linalg.norm(way, axis=1, keepdims=True)

    # One direction for each of a few points is enough; a Jacobian for every guess would cost as much as a solve.
    few = min(num, 64)
    jacobians = jax.vmap(system.residual_jacobian)(first[:few])
    way = jax.lax.fori_loop(0, 8, expanding, unit[:few] - 0.5)
    repeated = jnp.arange(num, dtype=jnp.int32) % few
    reach = jnp.linalg.norm(upper - lower) * (weight - 0.5)
    away = jnp.clip(first[repeated] + reach * way[repeated], lower, upper)
    uniform, between = lower + (upper - lower) * unit, first + weight * (second - first)
    return jnp.where((kind < 1 / 3) | (count == 0), uniform, jnp.where(kind < 2 / 3, between, away))
