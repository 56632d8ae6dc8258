"""Cycles of a family as a curve."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from .._types import Array, Float, Scalar
from ..continuation import AbstractCurve
from ..systems import AbstractFamily
from ._segments import Shooting, member
from ._shooting import FlowShooting, Linearised


class Phase(NamedTuple):
    """The phase condition `<direction, x_0> = offset`: `direction (S,)`, a unit vector, and `offset ()`."""

    direction: Float[Array, " S"]
    offset: Scalar


class CycleCurve(AbstractCurve):
    """Cycles of a family with one parameter, by multiple shooting with M nodes:

        u = (x_1 ... x_M, log T, mu),    phi_{T/M}(x_i; mu) = x_{i+1},    <f(x_0*), x_0 - x_0*> = 0

    with `x_0*` the first node at the last accepted point. The period is followed by its logarithm, and as a second
    parameter, so that both can be bounded.

    **Fields:** `family`; `method`, tolerances of the integration; `num_nodes`, M. **Shapes:** `u (M S + 2,)`.

    **Source:** Kuznetsov (2004), section 10.2.2.
    """

    num_parameters: ClassVar[int] = 2
    family: AbstractFamily
    method: Shooting
    num_nodes: int = eqx.field(static=True)

    def start(self, u: Float[Array, " u"]) -> Phase:
        first = u[: (u.size - 2) // self.num_nodes]
        velocity = member(self.family, u[-1:])(jnp.zeros((), u.dtype), first)
        direction = velocity / jnp.linalg.norm(velocity)
        return Phase(direction, jnp.sum(direction * first))

    def refresh(self, u: Float[Array, " u"], tangent: Float[Array, " u"], aux: Any) -> Phase:
        return self.start(u)

    def value(self, u: Float[Array, " u"], aux: Phase) -> Float[Array, " m"]:
        return self._equations(u, aux).value(plain(u))

    def linearise(self, u: Float[Array, " u"], aux: Phase) -> tuple[Float[Array, " m"], Float[Array, "m u"]]:
        F, A, _ = self.with_segments(u, aux)
        return F, A

    def with_segments(self, u: Float[Array, " u"], aux: Phase) -> Linearised:
        """`F (m,)`, `A (m, m + 1)` and the derivatives of the segments `(M, S, S)`, from which the multipliers come."""
        F, A, segments = self._equations(u, aux).linearise(plain(u))
        return Linearised(F, A.at[:, -2].multiply(jnp.exp(u[-2])), segments)

    def _equations(self, u: Float[Array, " u"], aux: Phase) -> FlowShooting:
        rows = jnp.zeros((1, u.size), u.dtype).at[0, : aux.direction.size].set(aux.direction)
        return FlowShooting(self.family, rows, aux.offset[None], self.method, self.num_nodes)


def plain(u: Float[Array, " u"]) -> Float[Array, " u"]:
    """The same point with the period itself."""
    return u.at[-2].set(jnp.exp(u[-2]))
