"""Shooting: the equations whose roots are periodic orbits."""

import abc
from typing import NamedTuple

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Float, Scalar
from ..systems import AbstractFamily, AbstractFlow, AbstractMap
from ._segments import Shooting, end_of_segment, member, sensitivity, split


class Linearised(NamedTuple):
    """`F (m,)` and `A = dF/du (m, n)`; `segments (M, S, S)`, derivatives of the end of each segment in its start."""

    F: Float[Array, " m"]
    A: Float[Array, "m n"]
    segments: Float[Array, "M S S"]


class AbstractShooting(eqx.Module):
    """Equations `F(u) = 0` for a periodic orbit; `u` begins with its M nodes.

    **Shapes:** `u (n,)`, `F (m,)`; m = n where the orbit is isolated.

    **Source:** Kuznetsov (2004), section 10.2.2.
    """

    @abc.abstractmethod
    def value(self, u: Float[Array, " n"]) -> Float[Array, " m"]:
        """`F(u)`, differentiable in both modes."""

    @abc.abstractmethod
    def linearise(self, u: Float[Array, " n"]) -> Linearised:
        """`F` with its derivative."""

    @abc.abstractmethod
    def furthest(self, u: Float[Array, " n"], step: Float[Array, " n"]) -> Scalar:
        """Largest multiple of a Newton step that is sensible."""


class MapShooting(AbstractShooting):
    """A cycle of a map with M points: `F_i = f(x_i) - x_{i+1}`, indices modulo M.

    **Fields:** `system`; `num_nodes`, M. **Shapes:** `u (M S,)`.

    **Source:** Kuznetsov (2004), section 10.1.
    """

    system: AbstractMap
    num_nodes: int = eqx.field(static=True)

    def value(self, u: Float[Array, " n"]) -> Float[Array, " m"]:
        nodes = u.reshape(self.num_nodes, -1)
        return (jax.vmap(self.system)(nodes) - jnp.roll(nodes, -1, axis=0)).ravel()

    def linearise(self, u: Float[Array, " n"]) -> Linearised:
        nodes = u.reshape(self.num_nodes, -1)
        segments = jax.vmap(self.system.jacobian)(nodes)
        return Linearised(self.value(u), closing_matrix(segments), segments)

    def furthest(self, u: Float[Array, " n"], step: Float[Array, " n"]) -> Scalar:
        return jnp.ones((), u.dtype)


class FlowShooting(AbstractShooting):
    """Multiple shooting for a cycle of a flow through M nodes, a time T/M apart:

        F_i = phi_{T/M}(x_i) - x_{i+1},    rows @ u - values

    **Fields:** `family`, a flow, or a family with one parameter `mu`; `rows (K, n)`, `values (K,)`: linear conditions,
    one that fixes the phase and, where `mu` is unknown, one more; `method`; `num_nodes`, M.

    **Shapes:** `u = (x_1 ... x_M, T)` or `(x_1 ... x_M, T, mu)`, `(n,)`.

    **Source:** Kuznetsov (2004), section 10.2.2; Keller (1968) for multiple shooting.
    """

    family: AbstractFlow | AbstractFamily
    rows: Float[Array, "K n"]
    values: Float[Array, " K"]
    method: Shooting
    num_nodes: int = eqx.field(static=True)

    def value(self, u: Float[Array, " n"]) -> Float[Array, " m"]:
        nodes, period, mu = split(self.family, u, self.num_nodes)
        flow = member(self.family, mu)
        ends = jax.vmap(lambda x: end_of_segment(flow, x, period / self.num_nodes, self.method))(nodes)
        return self._gaps(u, nodes, ends)

    def linearise(self, u: Float[Array, " n"]) -> Linearised:
        nodes, period, mu = split(self.family, u, self.num_nodes)
        arrived = sensitivity(self.family, nodes, period, mu, self.method, dfx.ForwardMode())
        size = nodes.shape[1]
        segments = arrived.derivative[:, :, :size]
        last = jnp.concatenate([arrived.velocity[:, :, None] / self.num_nodes, arrived.derivative[:, :, size:]], axis=2)
        A = jnp.concatenate([closing_matrix(segments), last.reshape(nodes.size, -1)], axis=1)
        return Linearised(self._gaps(u, nodes, arrived.state), jnp.concatenate([A, self.rows]), segments)

    def furthest(self, u: Float[Array, " n"], step: Float[Array, " n"]) -> Scalar:
        """The period changes by no more than a half."""
        place = u.size - self.rows.shape[0]
        return jnp.minimum(1, 0.5 * jnp.abs(u[place]) / jnp.maximum(jnp.abs(step[place]), 1e-300))

    def _gaps(self, u: Array, nodes: Array, ends: Array) -> Array:
        conditions = jnp.matmul(self.rows, u, precision=jax.lax.Precision.HIGHEST) - self.values
        return jnp.concatenate([(ends - jnp.roll(nodes, -1, axis=0)).ravel(), conditions])


def closing_matrix(segments: Float[Array, "M S S"]) -> Float[Array, "n n"]:
    """Derivative of `phi(x_i) - x_{i+1}` in all nodes."""
    count, size, _ = segments.shape
    here = jnp.eye(count, dtype=segments.dtype)
    following = jnp.roll(here, 1, axis=1)
    identity = jnp.eye(size, dtype=segments.dtype)
    blocks = here[:, None, :, None] * segments[:, :, None, :] - following[:, None, :, None] * identity[None, :, None, :]
    return blocks.reshape(count * size, count * size)
