"""The loops behind a Lyapunov spectrum: to settle, and to count."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Float, Scalar
from ..fixed_points._precision import highest_precision
from ..linalg import run_after
from ._lyapunov_record import GrowthRecord, add, make_room
from ._lyapunov_tangent import Steps, TangentMap, eliminate, is_lost, spread, triangularise

LONGEST = 32
# Rows between two checks of the volume.
_CHECK = 16


class Run(NamedTuple):
    """What `count` leaves: `state (S,)`, `basis (S, k)`, `record`; `defect` and `checked`, sums over the checked rows
    of the defect of the volume and of time; `noise`, the sum of spreads."""

    state: Array
    basis: Array
    record: GrowthRecord
    defect: Scalar
    checked: Scalar
    noise: Scalar


@eqx.filter_jit
@highest_precision
def settle(
    tangent: TangentMap, state: Float[Array, " S"], basis: Float[Array, "S k"], inputs: Array | None, num_steps: int
) -> tuple[Float[Array, " S"], Float[Array, "S k"], Float[Array, " L"]]:
    """Burn-in, orthonormalising after each step. Also the mean spread of columns after 1, 2, ... 32 steps, from
    products of the triangular factors."""
    identity = jnp.eye(basis.shape[1], dtype=basis.dtype)

    def step(carry: tuple[Array, ...], row: tuple[Array, Array | None]) -> tuple[tuple[Array, ...], None]:
        state, basis, product, total = carry
        index, x = row
        state, basis = tangent(state, basis, x)
        basis, R = triangularise(basis)
        place = index % LONGEST
        product = jnp.matmul(R, jnp.where(place == 0, identity, product))
        size = jnp.max(jnp.abs(product))
        wide = jnp.where((size < 1e100) & ~jnp.any(is_lost(product)), spread(product), jnp.inf)
        return (state, basis, product, total.at[place].add(wide)), None

    first = state, basis, identity, jnp.zeros((LONGEST,), state.dtype)
    state, basis, _, total = jax.lax.scan(step, first, (jnp.arange(num_steps, dtype=jnp.int32), inputs))[0]
    times = (num_steps - jnp.arange(LONGEST, dtype=jnp.int32) + LONGEST - 1) // LONGEST
    mean = jnp.where(times > 0, total / jnp.maximum(times, 1).astype(total.dtype), jnp.inf)
    return state, basis, jax.lax.cummax(mean)


@highest_precision
def count(
    tangent: TangentMap,
    state: Float[Array, " S"],
    basis: Float[Array, "S k"],
    record: GrowthRecord,
    inputs: Array | None,
    num_steps: int,
    interval: int,
) -> Run:
    """`num_steps` steps in rows: a triangular factor after every `interval` steps, orthonormal at the end of a row."""
    factors = factors_per_row(*basis.shape)
    rows = -(-num_steps // (factors * interval))
    zero = jnp.zeros((), state.dtype)
    dt = jnp.ones((), state.dtype) if tangent.time_step is None else tangent.time_step

    def factor(carry: tuple[Array, ...], xs: tuple[Array, Steps]) -> tuple[tuple[Array, ...], None]:
        state, basis, growth, noise = carry
        index, steps = xs
        (state, basis), _ = jax.lax.scan(
            lambda carry, step: tangent.advance(carry, step), (state, basis), steps, length=interval
        )
        if factors == 1:
            basis, R = triangularise(basis)
        else:
            basis, R = jax.lax.cond(index == factors - 1, triangularise, eliminate, basis)
        return (state, basis, growth + _log_diagonal(R), noise + spread(R)), None

    def row(run: Run, steps: Steps) -> tuple[Run, None]:
        split = jax.tree.map(lambda leaf: leaf.reshape(factors, interval, *leaf.shape[1:]), steps)
        first = run.state, run.basis, jnp.zeros_like(run.record.total), run.noise
        order = jnp.arange(factors, dtype=jnp.int32)
        (state, basis, growth, noise), _ = jax.lax.scan(factor, first, (order, split))
        number = zero + factors * interval if steps.active is None else jnp.sum(steps.active, dtype=zero.dtype)
        defect, checked = run.defect, run.checked
        if basis.shape[0] == basis.shape[1]:
            check = run.record.rows % _CHECK == 0
            # Not at the same time as the factorisations above.
            begin = run_after(run.state, basis)
            volume = jax.lax.cond(check, lambda: _log_volume(tangent, begin, steps, factors * interval), lambda: zero)
            defect = defect + jnp.where(check, jnp.sum(growth) - volume, 0)
            checked = checked + jnp.where(check, number * dt, 0)
        return Run(state, basis, add(run.record, growth, number * dt), defect, checked, noise), None

    run = Run(state, basis, make_room(record, rows), zero, zero, zero)
    return jax.lax.scan(row, run, _in_rows(inputs, num_steps, rows, factors * interval), length=rows)[0]


def _in_rows(inputs: Array | None, num_steps: int, rows: int, in_row: int) -> Steps:
    """What the steps of each row are given; beyond the last step the rest of a row stands still."""
    rest = rows * in_row - num_steps
    if inputs is not None:
        inputs = jnp.pad(inputs, ((0, rest), (0, 0))).reshape(rows, in_row, inputs.shape[1])
    active = (jnp.arange(rows * in_row) < num_steps).reshape(rows, in_row) if rest else None
    return Steps(inputs, active)


def factors_per_row(size: int, num_vectors: int) -> int:
    """LU pays for bases that are nearly square; seven out of eight factorisations are LU then."""
    return 8 if num_vectors >= 16 and 2 * num_vectors >= size else 1


def _log_diagonal(R: Array) -> Array:
    diagonal = jnp.abs(jnp.diag(R))
    lost = is_lost(R)
    return jnp.where(lost, -jnp.inf, jnp.log(jnp.where(lost, 1, diagonal)))


def _log_volume(tangent: TangentMap, state: Array, steps: Steps, num_steps: int) -> Scalar:
    """Sum of `log |det J|` over some steps."""
    identity = jnp.eye(state.size, dtype=state.dtype)

    def step(carry: tuple[Array, Array], xs: Steps) -> tuple[tuple[Array, Array], None]:
        state, total = carry
        (state, J), _ = tangent.advance((state, identity), xs)
        return (state, total + jnp.linalg.slogdet(J)[1]), None

    return jax.lax.scan(step, (state, jnp.zeros((), state.dtype)), steps, length=num_steps)[0][1]
