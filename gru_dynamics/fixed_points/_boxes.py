"""Branch and prune: one flat stack of boxes for all systems of a batch.

A fixed number of lanes takes boxes from the top of the stack. A box without a zero is dropped, a region with exactly
one is written to the list of the proven, a box too small to go on to the list of the undecided; all others are
contracted, halved, and put back. Taking from the top keeps the stack short: it holds the siblings along one path per
lane. When the stack runs low the next systems bring in their root boxes, so lanes are busy until the last system.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float, Int
from ..linalg.intervals import Interval
from ..systems import AbstractSystem
from ._krawczyk import krawczyk
from ._members import pack

# Where a box is cut: not in the middle, since zeros like to sit there.
_CUT = 127 / 256

# A region is this much larger than its box, so that a zero on a common face of two boxes is in the interior of both,
# and no thinner than this share of its widest side, so that a side that has shrunk to rounding has an interior.
_INFLATION, _THINNEST = 1.0625, 1 / 256


class Verdict(NamedTuple):
    """One box after one look at it: `region` holds exactly one zero if `unique`; else the zeros of the box, if it is
    not `empty`, are in `kept`."""

    empty: Bool[Array, ""]
    unique: Bool[Array, ""]
    region: Interval
    kept: Interval


def examine(system: AbstractSystem, box: Interval) -> Verdict:
    """Krawczyk's operator on a slightly larger region, and the image of the region under the system itself."""
    middle, radius = box.midpoint, box.radius
    reach = _INFLATION * radius + _THINNEST * jnp.max(radius)
    region = Interval(middle - reach, middle + reach)
    newton = krawczyk(system, region)
    enclosure = newton.enclosure
    kept = box.intersect(newton.image)
    empty = jnp.any(box.disjoint(newton.image)) | ~jnp.all(enclosure.residual.contains(0.0))
    if enclosure.image is not None:
        kept = kept.intersect(enclosure.image)
        empty |= jnp.any(box.disjoint(enclosure.image))
    empty |= jnp.any(kept.lower > kept.upper)
    return Verdict(empty, newton.unique, region, kept)


class Stack(NamedTuple):
    """Boxes as rows `(length, 2 R)`, lower then upper ends, with the number of their system; the first `size` count."""

    rows: Float[Array, "length ends"]
    member: Int[Array, " length"]
    size: Int[Array, ""]

    def push(self, wanted: Bool[Array, " num"], rows: Array, member: Array) -> "Stack":
        """With the wanted rows on top. There must be room for `num` more."""
        source, number = pack(wanted)
        return Stack(
            jax.lax.dynamic_update_slice(self.rows, rows[source], (self.size, jnp.zeros_like(self.size))),
            jax.lax.dynamic_update_slice(self.member, member[source], (self.size,)),
            self.size + number,
        )


def _empty_stack(length: int, size: int) -> Stack:
    return Stack(jnp.zeros((length, 2 * size)), jnp.zeros((length,), jnp.int32), jnp.zeros((), jnp.int32))


class Sorted(NamedTuple):
    """Outcome for `members` systems: regions with exactly one zero each, boxes that are undecided, the number of boxes
    looked at `(members,)`, and whether a budget or a list ended the work on a system early `(members,)`."""

    proven: Stack
    undecided: Stack
    num_boxes: Int[Array, " members"]
    exhausted: Bool[Array, " members"]
    overflow: Bool[Array, " members"]


class Limits(NamedTuple):
    """Static sizes: boxes in work at a time, room on the stack and in the two lists; and the dynamic limits: boxes
    looked at `(members,)`, and the width below which a box is not halved further `()`."""

    lanes: int
    stack: int
    proven: int
    undecided: int
    max_boxes: Any
    min_width: Any


class _Carry(NamedTuple):
    waiting: Stack
    upcoming: Int[Array, ""]
    found: Sorted


def branch_and_prune(
    member: Callable[[Array], AbstractSystem], roots: Float[Array, "members ends"], limits: Limits
) -> Sorted:
    """Sort the root boxes `(members, 2 R)` of all systems into empty, proven and undecided."""
    members, ends = roots.shape
    size = ends // 2
    many = limits.lanes
    few = 256 if many > 1024 else many
    nothing = jnp.zeros((members,), bool)
    carry = _Carry(
        _empty_stack(limits.stack + 2 * many, size),
        jnp.zeros((), jnp.int32),
        Sorted(
            _empty_stack(limits.proven + many, size),
            _empty_stack(limits.undecided + many, size),
            jnp.zeros((members,), jnp.int32),
            nothing,
            nothing,
        ),
    )
    # The end of a long queue is a few deep boxes: they are worked off with fewer lanes.
    for lanes in dict.fromkeys((many, few)):
        enough = 0 if lanes == few else lanes // 4

        def unfinished(carry: _Carry, enough: int = enough) -> Array:
            return carry.waiting.size + (members - carry.upcoming) > enough

        def body(carry: _Carry, lanes: int = lanes) -> _Carry:
            return _round(member, roots, limits, lanes, carry)

        carry = jax.lax.while_loop(unfinished, body, carry)
    return carry.found


def _round(member: Callable, roots: Array, limits: Limits, lanes: int, carry: _Carry) -> _Carry:
    waiting, upcoming, found = carry
    members, ends = roots.shape
    size = ends // 2

    # The top of the stack, then roots of new systems, as many as there are lanes.
    popped = jnp.minimum(waiting.size, lanes)
    base = waiting.size - popped
    fresh = jnp.minimum(lanes - popped, members - upcoming)
    lane = jnp.arange(lanes, dtype=jnp.int32)
    is_popped, active = lane < popped, lane < popped + fresh
    root = jnp.clip(upcoming + lane - popped, 0, members - 1)
    rows = jax.lax.dynamic_slice(waiting.rows, (base, jnp.zeros_like(base)), (lanes, ends))
    rows = jnp.where(is_popped[:, None], rows, roots[root])
    owner = jnp.where(is_popped, jax.lax.dynamic_slice(waiting.member, (base,), (lanes,)), root)

    verdict = jax.vmap(lambda number, row: examine(member(number), Interval(row[:size], row[size:])))(owner, rows)
    kept, width = verdict.kept, verdict.kept.upper - verdict.kept.lower
    widest, before = jnp.max(width, axis=1), jnp.max(rows[:, size:] - rows[:, :size], axis=1)
    spent = found.num_boxes.at[jnp.where(active, owner, members)].add(1, mode="drop")
    tired = spent[owner] >= limits.max_boxes[owner]

    unique = active & verdict.unique & ~verdict.empty
    open_ = active & ~verdict.unique & ~verdict.empty
    undecided = open_ & ((before < limits.min_width) | tired)
    alive = open_ & ~undecided
    halve = alive & (widest > 0.5 * before)

    axis = jnp.argmax(width, axis=1)[:, None] == jnp.arange(size)[None]
    cut = kept.lower + _CUT * width
    kept_rows = jnp.concatenate([kept.lower, kept.upper], axis=1)
    lower_half = jnp.concatenate([kept.lower, jnp.where(axis & halve[:, None], cut, kept.upper)], axis=1)
    upper_half = jnp.concatenate([jnp.where(axis, cut, kept.lower), kept.upper], axis=1)
    regions = jnp.concatenate([verdict.region.lower, verdict.region.upper], axis=1)

    waiting = Stack(waiting.rows, waiting.member, base).push(
        jnp.stack([alive, halve], axis=1).reshape(2 * lanes),
        jnp.stack([lower_half, upper_half], axis=1).reshape(2 * lanes, ends),
        jnp.stack([owner, owner], axis=1).reshape(2 * lanes),
    )
    proven = found.proven.push(unique, regions, owner)
    undecided_list = found.undecided.push(undecided, kept_rows, owner)

    waiting, lost = _cut_off(waiting, limits.stack, 2 * lanes, members)
    proven, lost_proven = _cut_off(proven, limits.proven, lanes, members)
    undecided_list, lost_undecided = _cut_off(undecided_list, limits.undecided, lanes, members)
    overflow = found.overflow | lost | lost_proven | lost_undecided
    exhausted = found.exhausted.at[jnp.where(undecided & tired, owner, members)].set(True, mode="drop")
    return _Carry(waiting, upcoming + fresh, Sorted(proven, undecided_list, spent, exhausted, overflow))


def _cut_off(stack: Stack, limit: int, newest: int, members: int) -> tuple[Stack, Bool[Array, " members"]]:
    """The stack with at most `limit` rows, and which systems lost a row: at most the newest are beyond the limit."""
    beyond = jax.lax.dynamic_slice(stack.member, (limit,), (newest,))
    gone = limit + jnp.arange(newest, dtype=jnp.int32) < stack.size
    lost = jnp.zeros((members,), bool).at[jnp.where(gone, beyond, members)].set(True, mode="drop")
    return Stack(stack.rows, stack.member, jnp.minimum(stack.size, limit)), lost
