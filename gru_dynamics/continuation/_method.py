"""How a branch is followed: predictor, the equation that closes the corrector, and the length of the steps."""

import abc

import equinox as eqx
import jax.numpy as jnp

from .._types import Array, ArrayLike, Float
from ._solver import AbstractLinearSolver, Dense


class AbstractMethod(eqx.Module):
    """A predictor-corrector method. Lengths are measured as

        |du|^2 = theta/n |dx|^2 + (1 - theta) |dmu|^2        with mu in units of the width of its range

    so a change of the parameter's unit changes nothing, and many states do not outweigh the parameter. The predictor is
    the tangent at the last point, `max_step` long at most and shorter where the branch turns by more than `max_angle`.

    **Fields**, numbers of shape `()`: `theta` in (0, 1); `initial_step`, `min_step`, `max_step`, lengths; `max_angle`
    in radians; `max_corrections`, Newton steps per point; `tolerance`: a point is accepted after a Newton step shorter
    than its square root, relative to `1 + max |u|`; `solver`, the linear algebra.

    **Source:** Allgower & Georg (2003), chapters 3 and 6; the weights follow BifurcationKit.jl.
    """

    theta: eqx.AbstractVar[float]
    initial_step: eqx.AbstractVar[float]
    min_step: eqx.AbstractVar[float]
    max_step: eqx.AbstractVar[float]
    max_angle: eqx.AbstractVar[float]
    tolerance: eqx.AbstractVar[float]
    max_corrections: eqx.AbstractVar[int]
    solver: eqx.AbstractVar[AbstractLinearSolver]

    @abc.abstractmethod
    def row(self, tangent: Float[Array, " u"], weights: Float[Array, " u"]) -> Float[Array, " u"]:
        """The row that closes the corrector, `row . (u - u_last) = gap`, with `row . tangent > 0`."""


class PseudoArclength(AbstractMethod):
    """Pseudo-arclength continuation: the corrector moves in the plane normal to the tangent, and passes folds.

        F(u) = 0,    <tangent, u - u_last> = step

    **Fields:** see `AbstractMethod`; numbers of shape `()`.

    **Source:** Keller (1977); Allgower & Georg (2003), section 6.1.
    """

    theta: float = 0.5
    initial_step: float = 3e-3
    min_step: float = 1e-8
    max_step: float = 0.03
    max_angle: float = 0.4
    tolerance: float = 1e-14
    max_corrections: int = eqx.field(static=True, default=8)
    solver: AbstractLinearSolver = Dense()

    def row(self, tangent: Float[Array, " u"], weights: Float[Array, " u"]) -> Float[Array, " u"]:
        return weights * tangent


class Natural(AbstractMethod):
    """Natural continuation: the corrector keeps the parameter. It stops at folds, and takes a curve's first parameter
    when there are several.

        F(x, mu) = 0,    mu = mu_last +- step

    **Fields:** see `AbstractMethod`; numbers of shape `()`.

    **Source:** Allgower & Georg (2003), chapter 1.
    """

    theta: float = 0.5
    initial_step: float = 3e-3
    min_step: float = 1e-8
    max_step: float = 0.03
    max_angle: float = 0.4
    tolerance: float = 1e-14
    max_corrections: int = eqx.field(static=True, default=8)
    num_parameters: int = eqx.field(static=True, default=1)
    solver: AbstractLinearSolver = Dense()

    def row(self, tangent: Float[Array, " u"], weights: Float[Array, " u"]) -> Float[Array, " u"]:
        place = tangent.size - self.num_parameters
        unit = jnp.zeros_like(tangent).at[place].set(jnp.sqrt(weights[place]))
        return unit * jnp.where(tangent[place] < 0, -1, 1).astype(tangent.dtype)


def metric(theta: ArrayLike, size: int, width: Float[Array, " p"]) -> Float[Array, " u"]:
    """Weights of the inner product, `(u,)`."""
    states = size - width.size
    return jnp.concatenate([jnp.full((states,), theta / states, width.dtype), (1 - theta) / width**2])
