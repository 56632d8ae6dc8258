"""All systems of a batch at once: search, refine what was found, gather what could not be decided."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float, Int
from ..linalg.intervals import Interval
from ..systems import AbstractSystem
from ._boxes import Limits, Stack, branch_and_prune
from ._clusters import degree, gather
from ._levenberg_marquardt import largest
from ._proof import count_unstable, prove_existence
from ._rows import each_used


class Sizes(NamedTuple):
    """Room for points and clusters of one system, boxes in work at a time, and whether the root is a trapping box."""

    points: int
    clusters: int
    lanes: int | None
    trapped: bool


class Proven(NamedTuple):
    """A proven point before it is classified."""

    point: Float[Array, " R"]
    lower: Float[Array, " R"]
    upper: Float[Array, " R"]
    region_lower: Float[Array, " R"]
    region_upper: Float[Array, " R"]
    residual: Float[Array, ""]
    sign: Int[Array, ""]
    unstable_dim: Int[Array, ""]
    kind_proven: Bool[Array, ""]


class Surrounded(NamedTuple):
    """Hulls of clusters `(C, R)`, which are used, and the degree of the residual around each, if known."""

    hull: Interval
    used: Bool[Array, " C"]
    degree: Int[Array, " C"]
    known: Bool[Array, " C"]
    around: Interval


def survey(
    sizes: Sizes,
    member: Callable[[Array], AbstractSystem],
    roots: Float[Array, "members ends"],
    max_boxes: Int[Array, " members"],
    min_width: Float[Array, " members"],
) -> Any:
    """All systems at once: search, refine what was found, gather what was not."""
    members, ends = roots.shape
    size = ends // 2
    lanes = min(8192, max(256, members)) if sizes.lanes is None else sizes.lanes
    stack = min(lanes * 24 * size, 2**21)
    numbers = jnp.arange(members, dtype=jnp.int32)
    finite = jax.vmap(lambda number, root: is_finite(member(number), root))(numbers, roots)
    budget = jnp.where(finite, max_boxes, 0)
    limits = Limits(lanes, stack, members * sizes.points, max(8 * members, 2**14), budget, jnp.min(min_width))
    found = branch_and_prune(member, roots, limits)

    grid, used, crowded = _distribute(found.proven, members, sizes.points)

    def refine(place: Array) -> Proven:
        system, row = member(place // sizes.points), grid[place]
        region = Interval(row[:size], row[size:])
        existence = prove_existence(system, region)
        # The region itself is proven already; it stands in where nothing smaller could be.
        small = existence.proven & jnp.all(
            (existence.box.lower >= region.lower) & (existence.box.upper <= region.upper)
        )
        lower = jnp.where(small, existence.box.lower, region.lower)
        upper = jnp.where(small, existence.box.upper, region.upper)
        point = jnp.clip(existence.point, lower, upper)
        unstable, known = count_unstable(system, existence.jacobian)
        sign = jnp.where(small, existence.sign, 0)
        residual = largest(system.residual(point))
        return Proven(point, lower, upper, region.lower, region.upper, residual, sign, unstable, known & small)

    block = 512 if size <= 3 else 64
    rows = each_used(refine, used, block)
    rows = jax.tree.map(lambda x: x.reshape(members, sizes.points, *x.shape[1:]), rows)
    used = used.reshape(members, sizes.points)
    repeated, unclear = jax.vmap(_repeats)(rows, used)

    left = found.undecided
    gap = 8 * limits.min_width
    hulls, open_ = gather(left.rows, left.member, left.size, members, sizes.clusters, gap)
    hulls = hulls.reshape(members * sizes.clusters, ends)

    def around(place: Array) -> tuple[Array, Array, Interval]:
        return degree(member(place // sizes.clusters), Interval(hulls[place, :size], hulls[place, size:]))

    value, proven, box = each_used(around, open_.reshape(-1), 4)
    clusters = Surrounded(Interval(hulls[:, :size], hulls[:, size:]), open_.reshape(-1), value, proven, box)
    clusters = jax.tree.map(lambda x: x.reshape(members, sizes.clusters, *x.shape[1:]), clusters)
    overflow = found.overflow | crowded | unclear
    return rows, used & ~repeated, clusters, found.num_boxes, found.exhausted, overflow


def is_finite(system: AbstractSystem, root: Float[Array, " ends"]) -> Bool[Array, ""]:
    lower, upper = jnp.split(root, 2)
    return jnp.all(jnp.isfinite(system.residual(0.5 * (lower + upper))))


def _distribute(found: Stack, members: int, capacity: int) -> tuple[Array, Array, Array]:
    """Rows of the list in the order of their members, `capacity` for each: `(grid (members * capacity, 2 R), used,
    crowded (members,))`."""
    length = found.member.size
    valid = jnp.arange(length, dtype=jnp.int32) < found.size
    owner = jnp.where(valid, found.member, members)
    order = jnp.argsort(owner, stable=True)
    owner = owner[order]
    first = jnp.searchsorted(owner, jnp.arange(members, dtype=jnp.int32)).astype(jnp.int32)
    rank = jnp.arange(length, dtype=jnp.int32) - first[jnp.minimum(owner, members - 1)]
    place = jnp.where((owner < members) & (rank < capacity), owner * capacity + rank, members * capacity)
    grid = jnp.zeros((members * capacity, found.rows.shape[1])).at[place].set(found.rows[order], mode="drop")
    used = jnp.zeros((members * capacity,), bool).at[place].set(True, mode="drop")
    late = jnp.where((owner < members) & (rank >= capacity), owner, members)
    return grid, used, jnp.zeros((members,), bool).at[late].set(True, mode="drop")


def _repeats(rows: Proven, used: Bool[Array, " K"]) -> tuple[Bool[Array, " K"], Bool[Array, ""]]:
    """Rows that hold the same zero as an earlier one, and whether for some pair this could not be told.

    Two regions with one zero each share it if the small box of one zero lies in the other region, and do not if the
    small boxes have nothing in common.
    """

    def pairs(one: Array, other: Array, compare: Callable[[Array, Array], Array]) -> Array:
        return functools.reduce(
            jnp.logical_and, [compare(one[:, None, i], other[None, :, i]) for i in range(one.shape[1])]
        )

    meet = pairs(rows.lower, rows.upper, jnp.less_equal) & pairs(rows.upper, rows.lower, jnp.greater_equal)
    within = pairs(rows.lower, rows.region_lower, jnp.greater_equal) & pairs(
        rows.upper, rows.region_upper, jnp.less_equal
    )
    earlier = jnp.tril(jnp.ones((used.size, used.size), bool), -1) & used[:, None] & used[None]
    same = meet & (within | within.T) & earlier
    return jnp.any(same, axis=1), jnp.any(meet & ~(within | within.T) & earlier)
