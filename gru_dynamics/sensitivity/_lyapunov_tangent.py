"""A step of a system together with its derivative, and triangular factors of what it makes of a basis."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Float, Scalar
from ..cells import AbstractCell
from ..linalg import start_subspace
from ..systems import AbstractFlow, AbstractMap, CellFlow, CellMap

System = AbstractMap | AbstractFlow | AbstractCell
Field = Callable[[Array, Array], tuple[Array, Array]]


class Steps(NamedTuple):
    """What a step is given: `inputs (I,)`, and whether it takes place; with leading axes, several steps."""

    inputs: Array | None
    active: Array | None


class TangentMap(eqx.Module):
    """`(s, V) -> (F(s, x), dF/ds V)` for a map, a cell, or one Runge-Kutta step of a flow, at an input x.

    `dense` forms the Jacobian in closed form and multiplies; otherwise each column of V is pushed by autodiff.
    """

    system: AbstractMap | AbstractFlow
    time_step: Scalar | None
    dense: bool = eqx.field(static=True)

    def at(self, input: Array | None) -> AbstractMap | AbstractFlow:
        """The system with its constant input replaced."""
        if input is None:
            return self.system
        if isinstance(self.system, CellFlow):
            return CellFlow(self.system.cell, input, self.system.tau)
        assert isinstance(self.system, CellMap)
        return CellMap(self.system.cell, input)

    def __call__(self, state: Array, basis: Array, input: Array | None) -> tuple[Array, Array]:
        system = self.at(input)
        field = _jacobian_field(system) if self.dense else _jvp_field(system)
        return field(state, basis) if self.time_step is None else _runge_kutta(field, state, basis, self.time_step)

    def advance(self, carry: tuple[Array, Array], steps: Steps) -> tuple[tuple[Array, Array], None]:
        """One step of a scan."""
        state, basis = self(*carry, steps.inputs)
        if steps.active is None:
            return (state, basis), None
        return (jnp.where(steps.active, state, carry[0]), jnp.where(steps.active, basis, carry[1])), None


def tangent_map(system: System, time_step: Scalar | None, num_vectors: int, size: int) -> TangentMap:
    """Closed-form Jacobians for cells when enough vectors are pushed to pay for forming a matrix."""
    if isinstance(system, AbstractCell):
        system = CellMap(system)
    return TangentMap(system, time_step, isinstance(system, CellMap | CellFlow) and 2 * num_vectors >= size)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def start_basis(size: int, num_vectors: int, dtype: jnp.dtype) -> Float[Array, "S k"]:
    """Orthonormal columns without structure, the same in every call."""
    return start_subspace((size, size), num_vectors, dtype)


def triangularise(A: Float[Array, "S k"]) -> tuple[Float[Array, "S k"], Float[Array, "k k"]]:
    """`A = Q R`, Q with orthonormal columns: Gram-Schmidt for up to three columns, Householder beyond.

    A column that depends on those before it gets a zero on the diagonal of R.
    """
    if A.shape[1] > 3:
        Q, R = jnp.linalg.qr(A)
        return Q, R
    columns, entries = [], []
    for index in range(A.shape[1]):
        rest, above = A[:, index], []
        for column in columns:
            above.append(jnp.sum(column * rest))
            rest = rest - above[-1] * column
        length = jnp.sqrt(jnp.sum(rest * rest))
        columns.append(rest / jnp.where(length > 0, length, 1))
        below = [jnp.zeros_like(length)] * (A.shape[1] - index - 1)
        entries.append(jnp.stack([*above, length, *below]))
    return jnp.stack(columns, axis=1), jnp.stack(entries, axis=1)


def eliminate(A: Float[Array, "S k"]) -> tuple[Float[Array, "S k"], Float[Array, "k k"]]:
    """`A = V U` with V unit lower triangular up to its order of rows: LU with partial pivoting.

    The columns of V span the same spaces as those of Q, and are as good a basis to go on with, though not orthonormal:
    what `log |u_ii|` lacks in volume is made up for by the next QR. Two to four times faster than Householder.
    """
    factors, _, order = jax.lax.linalg.lu(A)
    lower = jnp.tril(factors, -1) + jnp.eye(*A.shape, dtype=A.dtype)
    return lower[jnp.argsort(order)], jnp.triu(factors[: A.shape[1]])


def spread(R: Float[Array, "k k"]) -> Scalar:
    """How much longer a column is than the part that is orthogonal to those before it, at most.

    Rounding changes `log |r_ii|` by about eps times this. Columns that are lost altogether do not count.
    """
    diagonal, length = jnp.abs(jnp.diag(R)), jnp.linalg.norm(R, axis=0)
    return jnp.max(jnp.where(is_lost(R), 1, length / jnp.where(diagonal > 0, diagonal, 1)))


def is_lost(R: Float[Array, "k k"]) -> Array:
    """Columns of which nothing but rounding is left beside those before them, `(k,)`."""
    length = jnp.linalg.norm(R, axis=0)
    return jnp.abs(jnp.diag(R)) <= max(4, R.shape[0]) * jnp.finfo(R.dtype).eps * length


def _jacobian_field(system: AbstractMap | AbstractFlow) -> Field:
    def apply(state: Array, basis: Array) -> tuple[Array, Array]:
        return _value(system, state), jnp.matmul(system.jacobian(state), basis)

    return apply


def _jvp_field(system: AbstractMap | AbstractFlow) -> Field:
    def apply(state: Array, basis: Array) -> tuple[Array, Array]:
        value, push = jax.linearize(lambda s: _value(system, s), state)
        return value, jax.vmap(push, in_axes=1, out_axes=1)(basis)

    return apply


def _value(system: AbstractMap | AbstractFlow, state: Array) -> Array:
    return system.velocity(state) if isinstance(system, AbstractFlow) else system(state)


def _runge_kutta(field: Field, state: Array, basis: Array, dt: Scalar) -> tuple[Array, Array]:
    """The classical step of order 4 on state and variational equation; the second is the derivative of the first."""
    k1, K1 = field(state, basis)
    k2, K2 = field(state + dt / 2 * k1, basis + dt / 2 * K1)
    k3, K3 = field(state + dt / 2 * k2, basis + dt / 2 * K2)
    k4, K4 = field(state + dt * k3, basis + dt * K3)
    return state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), basis + dt / 6 * (K1 + 2 * K2 + 2 * K3 + K4)
