"""The linear algebra of one correction."""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from .._types import Array, Complex, Float, Scalar
from ..fixed_points._linear import sort_spectrum
from ..linalg import eigenvalues, solve_and_sign
from ..systems import AbstractSystem
from ._curve import AbstractCurve


class Correction(NamedTuple):
    """One Newton step and the tangent at the same point:

        [A; row] delta = [-F; gap],    [A; row] tangent = [0; 1],    sign = sign det [A; row]

    **Fields:** `delta (u,)`, `tangent (u,)` (not normalised), `sign ()`, 0 where it is not known.

    **Source:** Allgower & Georg (2003), chapter 4.
    """

    delta: Float[Array, " u"]
    tangent: Float[Array, " u"]
    sign: Scalar


class AbstractLinearSolver(eqx.Module):
    """Solves the bordered systems of a continuation. `dense` says whether matrices of the system's size may be formed.

    **Shapes:** `u`, `row` `(m + 1,)`; `gap ()`.

    **Source:** Govaerts (2000), chapter 3.
    """

    dense: ClassVar[bool]

    @abc.abstractmethod
    def correct(
        self, curve: AbstractCurve, u: Float[Array, " u"], aux: Any, row: Float[Array, " u"], gap: Scalar
    ) -> Correction:
        """Newton step and tangent at `u`."""

    @abc.abstractmethod
    def spectrum(self, system: AbstractSystem, state: Float[Array, " S"]) -> Complex[Array, " k"]:
        """Eigenvalues of the Jacobian, most unstable first: all, or as many as the solver can give."""


class Dense(AbstractLinearSolver):
    """The bordered matrix in full: closed form up to three unknowns, LU with partial pivoting beyond.

    **Shapes:** matrices `(m + 1, m + 1)`; sensible up to a few thousand unknowns.

    **Source:** Golub & Van Loan (2013), section 3.4.
    """

    dense: ClassVar[bool] = True

    def correct(
        self, curve: AbstractCurve, u: Float[Array, " u"], aux: Any, row: Float[Array, " u"], gap: Scalar
    ) -> Correction:
        F, A = curve.linearise(u, aux)
        zeros = jnp.zeros_like(F)
        right = jnp.stack([jnp.append(-F, gap), jnp.append(zeros, jnp.ones_like(gap))], axis=1)
        columns, sign = solve_and_sign(jnp.concatenate([A, row[None]]), right)
        return Correction(columns[:, 0], columns[:, 1], sign)

    def spectrum(self, system: AbstractSystem, state: Float[Array, " S"]) -> Complex[Array, " S"]:
        return sort_spectrum(system, eigenvalues(system.jacobian(state)))
