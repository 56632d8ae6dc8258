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
from ._event import AbstractEvent
from ._kinds import Location
from ._refine import Problem, Segment, bisect, newton
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
    for event in events:
        multiplicity = jnp.where(valid, event.multiplicity(changes), 0)
        rows, total = pack(multiplicity > 0)
        rows, count = rows[:capacity], jnp.minimum(total, capacity)
        overflow = overflow | (total > capacity)
        work = table.segments(rows, multiplicity)
        records = _map(lambda problem, row, e=event: _sharp(problem, e, *table.read(row)), problem, work, count)
        parts.append((records, rows, multiplicity[rows], jnp.arange(rows.size, dtype=jnp.int32) < count))
    r, rows, multiplicity, used = jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
    number = jnp.repeat(jnp.arange(len(events), dtype=jnp.int32), parts[0][1].size)
    r = _bisected(problem, events, table, r, rows, number, used)

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


class _Table(eqx.Module):
    """Segments of a branch as rows of one matrix, as `map_rows` takes them."""

    trace: Trace
    spectrum: Complex[Array, "N S"]

    def segments(self, rows: Int[Array, " K"], last: Array) -> Float[Array, "K row"]:
        t, dtype = self.trace, self.trace.u.dtype
        ends = rows, rows + 1
        parts = [t.u[i] for i in ends] + [t.tangent[i] for i in ends] + [t.orientation[i][:, None] for i in ends]
        values = [part for i in ends for part in (self.spectrum[i].real, self.spectrum[i].imag)]
        return jnp.concatenate([*parts, *values, last[rows].astype(dtype)[:, None]], axis=1)

    def read(self, row: Float[Array, " row"]) -> tuple[Segment, Scalar]:
        size, states = self.trace.u.shape[-1], self.spectrum.shape[-1]
        arc = Arc(*(row[k * size : (k + 1) * size] for k in range(4)))
        values = row[4 * size + 2 : -1].reshape(4, states)
        first, second = jax.lax.complex(values[0], values[1]), jax.lax.complex(values[2], values[3])
        return Segment(arc, row[4 * size : 4 * size + 2], first, second), row[-1]


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
    )  # fmt: skip


def _open(event: AbstractEvent, state: Float[Array, " S"]) -> _Record:
    """A record that is left to bisection."""
    zero = jnp.zeros((), state.dtype)
    kind = jnp.asarray(event.kind, jnp.int32)
    return _Record(kind, zero, state, zero, zero + jnp.nan, zero, jnp.zeros((), bool), zero)


def _bisected(
    problem: Problem,
    events: tuple[AbstractEvent, ...],
    table: _Table,
    records: _Record,
    rows: Int[Array, " M"],
    number: Int[Array, " M"],
    used: Bool[Array, " M"],
) -> _Record:
    """The records that Newton's method did not locate, by bisection."""
    open_ones, count = pack(used & ~records.located)

    def one(problem: Problem, row: Float[Array, " row"]) -> _Record:
        kinds = jnp.asarray([event.kind for event in events], jnp.int32)
        frequency = jnp.asarray([event.has_frequency for event in events])
        segment, which = table.read(row)
        event = which.astype(jnp.int32)
        found = bisect(problem, events, event, segment)
        mu = found.u[-1]
        omega = jnp.where(frequency[event], found.extra[0], 0)
        state = problem.curve.family(mu).lift(found.u[:-1])
        return _Record(
            kinds[event], mu, state, omega, jnp.full_like(mu, jnp.nan), found.residual, found.located, found.place
        )

    chosen = rows[open_ones]
    work = (
        table.segments(chosen, jnp.zeros_like(table.trace.mask))
        .at[:, -1]
        .set(number[open_ones].astype(rows_dtype(table)))
    )
    new = _map(one, problem, work, count)
    target = jnp.where(jnp.arange(rows.size, dtype=jnp.int32) < count, open_ones, rows.size)
    return jax.tree.map(lambda old, n: old.at[target].set(n, mode="drop"), records, new)


def rows_dtype(table: _Table) -> Any:
    return table.trace.u.dtype


def no_special_points(size: int, capacity: int, dtype: Any) -> SpecialPoints:
    """An empty list."""
    number, real = jnp.zeros((capacity,), jnp.int32), jnp.zeros((capacity,), dtype)
    return SpecialPoints(
        number, jnp.zeros((capacity,), bool), real, jnp.zeros((capacity, size), dtype), real, real + jnp.nan, number,
        jnp.zeros((capacity, 2), dtype), number, real, number,
    )  # fmt: skip
