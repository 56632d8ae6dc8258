"""All special points of a traced branch."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bool, Complex, Float, Int, Scalar
from ..fixed_points._members import pack
from ..fixed_points._rows import map_rows
from ._arc import Arc
from ._branch import SpecialPoints
from ._crossings import crossing
from ._event import AbstractEvent, Crossing
from ._kinds import Location
from ._refine import Item, Problem, Segment, bisect, newton
from ._trace import Trace


class _Record(eqx.Module):
    """One row of `SpecialPoints`, and its place along the branch."""

    kind: Array
    mu: Array
    state: Array
    omega: Array
    coefficient: Array
    residual: Array
    located: Array
    place: Array
    event: Array
    multiplicity: Array
    genuine: Array


def special_points(
    problem: Problem,
    events: tuple[AbstractEvent, ...],
    trace: Trace,
    spectrum: Complex[Array, "N S"],
    capacity: int,
) -> tuple[SpecialPoints, Bool[Array, ""]]:
    """Every interval in which an event is noticed, refined; and whether there were more than `capacity`."""
    system = problem.curve.family(trace.u[0, -1])
    pairs = spectrum[:-1], spectrum[1:]
    slopes, signs = (trace.tangent[:-1, -1], trace.tangent[1:, -1]), (trace.orientation[:-1], trace.orientation[1:])
    changes = jax.vmap(lambda v, s, o: crossing(system, v, s, o))(pairs, slopes, signs)
    valid = trace.mask[:-1] & trace.mask[1:]
    table = _Table(trace, spectrum)
    parts, overflow = [], jnp.zeros((), bool)
    for number, event in enumerate(events):
        multiplicity = jnp.where(valid & ~changes.compound, event.multiplicity(changes), 0)
        rows, total = pack(multiplicity > 0)
        rows, count = rows[:capacity], jnp.minimum(total, capacity)
        overflow = overflow | (total > capacity)
        work = table.segments(rows, multiplicity[rows], rows)
        records = _map(lambda problem, row, e=event: _sharp(problem, e, *table.read(row)[:2]), problem, work, count)
        place = jnp.arange(rows.size, dtype=jnp.int32)
        records = eqx.tree_at(
            lambda r: (r.event, r.multiplicity), records, (jnp.full_like(rows, number), multiplicity[rows])
        )
        parts.append((records, rows, jnp.zeros_like(rows), place < count))
    parts.append(_apart(changes, valid, capacity, parts[0][0]))
    r, rows, nth, used = jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
    r = _bisected(problem, events, table, r, rows, nth, used)
    used = used & r.genuine
    used = used & ~_again(r, used)
    multiplicity = r.multiplicity

    order = jnp.argsort(jnp.where(used, rows.astype(r.place.dtype) + r.place, jnp.inf))[:capacity]
    overflow = overflow | (jnp.sum(used, dtype=jnp.int32) > capacity)
    r, rows, used, multiplicity = jax.tree.map(lambda x: x[order], (r, rows, used, multiplicity))
    bracket = jnp.stack([trace.u[rows, -1], trace.u[rows + 1, -1]], axis=1)
    location = jnp.where(r.located, Location.CONVERGED, Location.BRACKETED).astype(jnp.int32)
    coefficient = jnp.where(used, r.coefficient, jnp.nan)
    listed = (r.mu, r.state, r.omega, multiplicity, bracket, rows, r.residual, location)
    mu, state, omega, multiplicity, bracket, rows, residual, location = (_where(used, x) for x in listed)
    points = SpecialPoints(
        _where(used, r.kind), used, mu, state, omega, coefficient, multiplicity, bracket, rows, residual, location
    )
    return points, overflow


def _where(used: Bool[Array, " K"], x: Array) -> Array:
    return jnp.where(used.reshape(-1, *[1] * (x.ndim - 1)), x, jnp.zeros_like(x))


def _again(r: _Record, used: Bool[Array, " M"]) -> Bool[Array, " M"]:
    """Located points that are in the list already: both ends of a loop may have passed them."""
    where = jnp.concatenate([r.mu[:, None], r.state], axis=1)
    near = (
        jnp.max(jnp.abs(where[:, None] - where[None]), axis=-1) <= 1e-7 * (1 + jnp.max(jnp.abs(where), axis=1))[:, None]
    )
    number = jnp.arange(used.size, dtype=jnp.int32)
    same = near & (r.event[:, None] == r.event[None]) & (number[None] < number[:, None])
    return jnp.any(same & (used & r.located)[None], axis=1) & r.located


def _apart(
    changes: Crossing, valid: Bool[Array, " I"], capacity: int, like: _Record
) -> tuple[_Record, Int[Array, " K"], Int[Array, " K"], Bool[Array, " K"]]:
    """Blank records, row, number of the eigenvalue, and use of what has to be taken apart: one item for each of several
    eigenvalues that cross in an interval, and one, numbered 0, for a turn of a branch next to a branch point."""
    several = jnp.where(changes.compound, jnp.abs(changes.change), 0)
    turn = changes.fold & changes.branching & ~changes.compound
    ends = jnp.cumsum(jnp.where(valid, several + turn.astype(jnp.int32), 0), dtype=jnp.int32)
    slot = jnp.arange(min(capacity, valid.size), dtype=jnp.int32)
    row = jnp.searchsorted(ends, slot, side="right").astype(jnp.int32)
    row = jnp.minimum(row, valid.size - 1)
    before = jnp.where(row > 0, ends[row - 1], 0)
    nth = jnp.where(changes.compound[row], slot - before + 1, 0)
    blank = jax.tree.map(jnp.zeros_like, like)
    blank = eqx.tree_at(lambda r: r.event, blank, jnp.full_like(blank.event, -1))
    return blank, row, nth, slot < ends[-1]


class _Table(eqx.Module):
    """Segments of a branch as rows of one matrix, as `map_rows` takes them, with two numbers at the end."""

    trace: Trace
    spectrum: Complex[Array, "N S"]

    def segments(self, rows: Int[Array, " K"], *numbers: Int[Array, " K"]) -> Float[Array, "K row"]:
        t, dtype = self.trace, self.trace.u.dtype
        ends = rows, rows + 1
        parts = [t.u[i] for i in ends] + [t.tangent[i] for i in ends] + [t.orientation[i][:, None] for i in ends]
        values = [part for i in ends for part in (self.spectrum[i].real, self.spectrum[i].imag)]
        return jnp.concatenate([*parts, *values, *(n.astype(dtype)[:, None] for n in numbers)], axis=1)

    def read(self, row: Float[Array, " row"]) -> tuple[Segment, Scalar, Scalar]:
        size, states = self.trace.u.shape[-1], self.spectrum.shape[-1]
        arc = Arc(*(row[k * size : (k + 1) * size] for k in range(4)))
        values = row[4 * size + 2 : -2].reshape(4, states)
        first, second = jax.lax.complex(values[0], values[1]), jax.lax.complex(values[2], values[3])
        return Segment(arc, row[4 * size : 4 * size + 2], first, second), row[-2], row[-1]


def _map(function: Any, problem: Problem, rows: Float[Array, "K row"], count: Int[Array, ""]) -> Any:
    """`function` of the first rows; the work is one list for all branches of a batch."""
    shapes = jax.eval_shape(lambda row: function(problem, row), rows[0])
    blank = jax.tree.map(lambda leaf: jnp.zeros((rows.shape[0], *leaf.shape), leaf.dtype), shapes)
    return map_rows(function, problem, rows, blank, jnp.zeros((), jnp.int32), count, shapes.state.size, few=True)


@eqx.filter_jit
def _sharp(problem: Problem, event: AbstractEvent, segment: Segment, multiplicity: Scalar) -> _Record:
    """By Newton's method, with the normal form. Jitted, so that it is traced once."""
    family = problem.curve.family
    if not problem.method.solver.dense:
        return _open(event, family(segment.arc.a[-1]).lift(segment.arc.a[:-1]))
    found = newton(problem, event, segment)
    mu = found.u[-1]
    state = family(mu).lift(found.u[:-1])
    kind, coefficient = event.normal_form(family, state, mu, found.extra)
    # The formulas are for a simple critical eigenvalue at a known point.
    known = found.located & (multiplicity == 1)
    omega = found.extra[0] if event.has_frequency else jnp.zeros_like(mu)
    return _Record(
        jnp.where(known, kind, event.kind).astype(jnp.int32), mu, state, omega,
        jnp.where(known, coefficient, jnp.nan), found.residual, found.located, jnp.clip(found.place, 0, 1),
        kind, kind, jnp.ones((), bool),
    )  # fmt: skip


def _open(event: AbstractEvent, state: Float[Array, " S"]) -> _Record:
    """A record that is left to bisection."""
    zero = jnp.zeros((), state.dtype)
    kind = jnp.asarray(event.kind, jnp.int32)
    return _Record(kind, zero, state, zero, zero + jnp.nan, zero, jnp.zeros((), bool), zero, kind, kind, kind > 0)


def _bisected(
    problem: Problem,
    events: tuple[AbstractEvent, ...],
    table: _Table,
    records: _Record,
    rows: Int[Array, " M"],
    nth: Int[Array, " M"],
    used: Bool[Array, " M"],
) -> _Record:
    """The records that Newton's method did not locate, by bisection."""
    left, count = pack(used & ~records.located)

    def one(problem: Problem, row: Float[Array, " row"]) -> _Record:
        kinds = jnp.asarray([event.kind for event in events], jnp.int32)
        frequency = jnp.asarray([event.has_frequency for event in events])
        segment, number, nth = table.read(row)
        b = bisect(problem, events, Item(number.astype(jnp.int32), nth.astype(jnp.int32)), segment)
        mu = b.found.u[-1]
        omega = jnp.where(frequency[b.event], b.found.extra[0], 0)
        state = problem.curve.family(mu).lift(b.found.u[:-1])
        nan = jnp.full_like(mu, jnp.nan)
        return _Record(
            kinds[b.event], mu, state, omega, nan, b.found.residual, b.found.located, b.found.place, b.event,
            b.multiplicity, b.genuine,
        )  # fmt: skip

    work = table.segments(rows[left], records.event[left], nth[left])
    new = _map(one, problem, work, count)
    target = jnp.where(jnp.arange(rows.size, dtype=jnp.int32) < count, left, rows.size)
    return jax.tree.map(lambda old, n: old.at[target].set(n, mode="drop"), records, new)


def no_special_points(size: int, capacity: int, dtype: Any) -> SpecialPoints:
    """An empty list."""
    number, real = jnp.zeros((capacity,), jnp.int32), jnp.zeros((capacity,), dtype)
    return SpecialPoints(
        number, jnp.zeros((capacity,), bool), real, jnp.zeros((capacity, size), dtype), real, real + jnp.nan, number,
        jnp.zeros((capacity, 2), dtype), number, real, number,
    )  # fmt: skip
