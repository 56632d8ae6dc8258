"""The equations of a curve of bifurcations in two parameters."""

from typing import Any, ClassVar

from .._types import Array, Float
from ..continuation import AbstractCurve
from ..systems import AbstractFamily
from ._events import AbstractMatrixEvent


class BifurcationCurve(AbstractCurve):
    """Bifurcation points of a family with two parameters, `u = (x, extra, mu)` with `mu (2,)`: the minimally augmented
    equations of an event, with borders that follow the null vectors.

    **Fields:** `family`, with parameters of shape `(2,)`; `event`.

    **Source:** Govaerts (2000), chapter 4; Kuznetsov (2004), section 10.3.
    """

    num_parameters: ClassVar[int] = 2
    family: AbstractFamily
    event: AbstractMatrixEvent

    def start(self, u: Float[Array, " u"]) -> Any:
        borders = self.event.any_borders(self.family, u, 2)
        for _ in range(2):
            borders = self.event.linearise(self.family, u, borders, 2)[2]
        return borders

    def value(self, u: Float[Array, " u"], aux: Any) -> Float[Array, " m"]:
        return self.event.equations(self.family, u, aux, 2)

    def linearise(self, u: Float[Array, " u"], aux: Any) -> tuple[Float[Array, " m"], Float[Array, "m u"]]:
        return self.event.linearise(self.family, u, aux, 2)[:2]

    def refresh(self, u: Float[Array, " u"], tangent: Float[Array, " u"], aux: Any) -> Any:
        return self.event.linearise(self.family, u, aux, 2)[2]
