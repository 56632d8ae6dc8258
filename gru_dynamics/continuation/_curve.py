"""Curves given by one equation less than there are unknowns."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Float
from ..systems import AbstractFamily


class AbstractCurve(eqx.Module):
    """The solutions of `F(u) = 0`, m equations for m + 1 unknowns, of which the last `num_parameters` are parameters.

    `aux` is a pytree of arrays that the equations may depend on and that is renewed at every accepted point: borders of
    a bordered matrix, the phase condition of a cycle.

    **Shapes:** `u (m + 1,)`, `F (m,)`, Jacobian `(m, m + 1)`.

    **Source:** Allgower & Georg (2003), chapter 2.
    """

    num_parameters: ClassVar[int]

    @abc.abstractmethod
    def start(self, u: Float[Array, " u"]) -> Any:
        """`aux` at the first point."""

    @abc.abstractmethod
    def value(self, u: Float[Array, " u"], aux: Any) -> Float[Array, " m"]:
        """`F(u)`, shape `(m,)`."""

    @abc.abstractmethod
    def linearise(self, u: Float[Array, " u"], aux: Any) -> tuple[Float[Array, " m"], Float[Array, "m u"]]:
        """`F(u)` and its Jacobian, shapes `(m,)` and `(m, m + 1)`."""

    @abc.abstractmethod
    def refresh(self, u: Float[Array, " u"], tangent: Float[Array, " u"], aux: Any) -> Any:
        """`aux` for the next step, after a point was accepted."""


class FixedPointCurve(AbstractCurve):
    """Fixed points of a family with one parameter: `u = (x, mu)` with the resting state `x (R,)`, and the gate-free
    residual `F(x, mu) = 0`.

    **Fields:** `family`, with a parameter of shape `()`.

    **Source:** Kuznetsov (2004), section 10.2.
    """

    num_parameters: ClassVar[int] = 1
    family: AbstractFamily

    def start(self, u: Float[Array, " u"]) -> Any:
        return ()

    def value(self, u: Float[Array, " u"], aux: Any) -> Float[Array, " m"]:
        return self.family(u[-1]).residual(u[:-1])

    def linearise(self, u: Float[Array, " u"], aux: Any) -> tuple[Float[Array, " m"], Float[Array, "m u"]]:
        x, mu = u[:-1], u[-1]
        F, F_mu = jax.jvp(lambda p: self.family(p).residual(x), (mu,), (jnp.ones_like(mu),))
        return F, jnp.concatenate([self.family(mu).residual_jacobian(x), F_mu[:, None]], axis=1)

    def refresh(self, u: Float[Array, " u"], tangent: Float[Array, " u"], aux: Any) -> Any:
        return aux
