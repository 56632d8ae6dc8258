"""What can happen on a branch: how it is noticed, and the equations that hold there."""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from .._types import Array, Bool, Complex, Float, Int, Scalar
from ..systems import AbstractFamily, AbstractSystem
from ._kinds import SpecialKind


class Crossing(NamedTuple):
    """What changes between neighbouring rows of a branch; every field `(I,)` for I intervals.

    `fold`: the branch turns round in the parameter. `branching`: the orientation changes. `real`, `flips`, `pairs`: how
    many real eigenvalues (at +1 for maps), real eigenvalues at -1, and complex pairs cross the stability boundary.
    `change`: by how much the number of unstable eigenvalues changes.

    **Source:** the counts follow BifurcationKit.jl; Kuznetsov (2004), section 10.2.
    """

    fold: Bool[Array, "*I"]
    branching: Bool[Array, "*I"]
    real: Int[Array, "*I"]
    flips: Int[Array, "*I"]
    pairs: Int[Array, "*I"]
    change: Int[Array, "*I"]

    @property
    def compound(self) -> Bool[Array, "*I"]:
        """Whether several eigenvalues cross that are not one pair: what they are shows only when they are apart."""
        one_pair = (self.pairs == 1) & (self.real == 0) & (self.flips == 0)
        several = jnp.abs(self.change) >= 2
        return several & ~(one_pair & (jnp.abs(self.change) == 2))


class AbstractEvent(eqx.Module):
    """A bifurcation of codimension one of fixed points.

    Its defining equations are `G(u) = 0` for `u = (x, extra, mu)`: the resting state `x (R,)`, `num_extra` further
    unknowns (a frequency), and the parameters, `()` or `(p,)`.

    **Source:** Govaerts (2000), chapter 4; minimally augmented systems.
    """

    kind: ClassVar[SpecialKind]
    num_extra: ClassVar[int]
    has_frequency: ClassVar[bool]

    @abc.abstractmethod
    def check(self, system: AbstractSystem) -> None:
        """`ValueError`, saying what to use instead, for a system that cannot have this bifurcation."""

    @abc.abstractmethod
    def multiplicity(self, crossing: Crossing) -> Int[Array, "*I"]:
        """How many eigenvalues or pairs are involved, 0 where nothing happens, `(I,)`."""

    @abc.abstractmethod
    def guess(self, value: Complex[Array, ""]) -> Float[Array, " e"]:
        """The extra unknowns `(e,)` from the critical eigenvalue."""

    @abc.abstractmethod
    def canonical(self, extra: Float[Array, " e"]) -> tuple[Float[Array, " e"], Bool[Array, ""]]:
        """Of the extra unknowns that describe the same point the usual ones, and whether they are admissible."""

    @abc.abstractmethod
    def any_borders(self, family: AbstractFamily, u: Float[Array, " u"], num_parameters: int) -> Any:
        """Auxiliary vectors with which the equations are regular in general; two calls of `linearise` make them good
        ones."""

    @abc.abstractmethod
    def equations(
        self, family: AbstractFamily, u: Float[Array, " u"], borders: Any, num_parameters: int
    ) -> Float[Array, " m"]:
        """`G(u)`, shape `(m,)`, to be differentiated in anything."""

    @abc.abstractmethod
    def linearise(
        self, family: AbstractFamily, u: Float[Array, " u"], borders: Any, num_parameters: int
    ) -> tuple[Float[Array, " m"], Float[Array, "m u"], Any]:
        """`G(u)`, its Jacobian `(m, u)` and renewed borders."""

    @abc.abstractmethod
    def normal_form(
        self, family: AbstractFamily, state: Float[Array, " S"], mu: Array, extra: Float[Array, " e"]
    ) -> tuple[Int[Array, ""], Scalar]:
        """The kind, when the normal form tells more than `kind` does, and the coefficient."""
