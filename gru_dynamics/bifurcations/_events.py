"""The bifurcations of codimension one of fixed points."""

import abc
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Complex, Float, Int, Scalar, Shaped
from ..continuation import AbstractEvent, Crossing, SpecialKind
from ..continuation._singular import Borders, any_borders, equations, family_derivative, linearised_equations, split
from ..linalg import solve
from ..systems import AbstractFamily, AbstractFlow, AbstractMap, AbstractSystem
from ._normal_forms import (
    branch_point_coefficients,
    first_lyapunov_coefficient,
    flip_coefficient,
    fold_coefficient,
    neimark_sacker_coefficient,
)


def _kind(kind: SpecialKind) -> Int[Array, ""]:
    return jnp.asarray(kind, jnp.int32)


def _flow_only(system: AbstractSystem, name: str, instead: str) -> None:
    if not isinstance(system, AbstractFlow):
        raise ValueError(
            f"{name} is a bifurcation of flows, and this is a map ({type(system).__name__}); use {instead}"
        )


def _map_only(system: AbstractSystem, name: str, instead: str) -> None:
    if not isinstance(system, AbstractMap):
        raise ValueError(
            f"{name} is a bifurcation of maps, and this is a flow ({type(system).__name__}); use {instead}"
        )


class AbstractMatrixEvent(AbstractEvent):
    """An event at which a square matrix `M(x, extra, mu)` is singular: `F(x, mu) = 0, sigma = 0` with

        [M, b; c^H, 0] [v; sigma] = [0; 1]

    **Shapes:** M `(R, R)` or `(S, S)`, real or complex.

    **Source:** Govaerts (2000), chapter 4; Kuznetsov (2004), section 10.2.
    """

    is_angle: ClassVar[bool] = False

    @abc.abstractmethod
    def matrix(self, system: AbstractSystem, x: Float[Array, " R"], extra: Float[Array, " e"]) -> Shaped[Array, "S S"]:
        """M at a resting state."""

    def canonical(self, extra: Float[Array, " e"]) -> tuple[Float[Array, " e"], Bool[Array, ""]]:
        if not self.has_frequency:
            return extra, jnp.ones((), bool)
        # `+-omega`, and angles that differ by a turn, belong to the same pair of eigenvalues.
        folded = jnp.abs(jnp.arctan2(jnp.sin(extra), jnp.cos(extra))) if self.is_angle else jnp.abs(extra)
        least = jnp.minimum(folded, jnp.pi - folded) if self.is_angle else folded
        return folded, jnp.all(least > 1e-6)

    def any_borders(self, family: AbstractFamily, u: Array, num_parameters: int) -> Borders:
        def matrix(u: Array) -> Array:
            x, extra, mu = split(u, self.num_extra, num_parameters)
            return self.matrix(family(mu), x, extra)

        M = jax.eval_shape(matrix, u)
        return any_borders(M.shape[0], M.dtype)

    def equations(self, family: AbstractFamily, u: Array, borders: Any, num_parameters: int) -> Array:
        return equations(family, self.matrix, u, borders, self.num_extra, num_parameters)

    def linearise(self, family: AbstractFamily, u: Array, borders: Any, num_parameters: int) -> tuple:
        return linearised_equations(family, self.matrix, u, borders, self.num_extra, num_parameters)


def _shifted(J: Float[Array, "S S"], real: Scalar, imaginary: Scalar) -> Complex[Array, "S S"]:
    """`J - (real + i imaginary) I`."""
    eigenvalue = jax.lax.complex(real, imaginary)
    return J.astype(eigenvalue.dtype) - eigenvalue * jnp.eye(J.shape[0], dtype=eigenvalue.dtype)


def _nothing(value: Complex[Array, ""]) -> Float[Array, " e"]:
    return jnp.zeros((0,), value.real.dtype)


class Fold(AbstractMatrixEvent):
    """Fold (saddle-node, limit point): two fixed points meet and vanish. Defined by

        F(x, mu) = 0,    d F / d x singular

    with the gate-free residual F; coefficient `a = <p, B(q, q)>/2` of the vector field or map, `<q,q> = <p,q> = 1`.

    **Shapes:** unknowns `(x, mu)`, `(R + 1,)`.

    **Source:** Kuznetsov (2004), sections 3.2, 4.2 and 10.2.
    """

    kind: ClassVar[SpecialKind] = SpecialKind.FOLD
    num_extra: ClassVar[int] = 0
    has_frequency: ClassVar[bool] = False

    def check(self, system: AbstractSystem) -> None:
        pass

    def multiplicity(self, crossing: Crossing) -> Int[Array, "*I"]:
        return jnp.where(crossing.fold & ~crossing.branching, jnp.maximum(crossing.real, 1), 0)

    def guess(self, value: Complex[Array, ""]) -> Float[Array, " e"]:
        return _nothing(value)

    def matrix(self, system: AbstractSystem, x: Array, extra: Array) -> Array:
        return system.residual_jacobian(x)

    def normal_form(self, family: AbstractFamily, state: Array, mu: Array, extra: Array) -> tuple[Array, Scalar]:
        return _kind(self.kind), fold_coefficient(family(mu), state)


class PeriodDoubling(AbstractMatrixEvent):
    """Period doubling (flip) of a map: an eigenvalue passes -1. Defined by

        F(x, mu) = 0,    J + I singular

    Coefficient `c`: positive when the 2-cycle that appears is stable (supercritical).

    **Shapes:** unknowns `(x, mu)`, `(R + 1,)`.

    **Source:** Kuznetsov (2004), sections 4.5 and 5.4.
    """

    kind: ClassVar[SpecialKind] = SpecialKind.PERIOD_DOUBLING
    num_extra: ClassVar[int] = 0
    has_frequency: ClassVar[bool] = False

    def check(self, system: AbstractSystem) -> None:
        _map_only(system, "PeriodDoubling", "Fold, BranchPoint or Hopf")

    def multiplicity(self, crossing: Crossing) -> Int[Array, "*I"]:
        return crossing.flips

    def guess(self, value: Complex[Array, ""]) -> Float[Array, " e"]:
        return _nothing(value)

    def matrix(self, system: AbstractSystem, x: Array, extra: Array) -> Array:
        J = system.jacobian(system.lift(x))
        return J + jnp.eye(J.shape[0], dtype=J.dtype)

    def normal_form(self, family: AbstractFamily, state: Array, mu: Array, extra: Array) -> tuple[Array, Scalar]:
        return _kind(self.kind), flip_coefficient(family(mu), state)


class Hopf(AbstractMatrixEvent):
    """Hopf bifurcation of a flow: a pair of eigenvalues crosses the imaginary axis at `+-i omega`. Defined by

        F(x, mu) = 0,    J - i omega I singular

    Coefficient: first Lyapunov coefficient `l1 = Re c1 / omega` with `<q,q> = <p,q> = 1`; negative when the cycle that
    appears is stable (supercritical).

    **Shapes:** unknowns `(x, omega, mu)`, `(R + 2,)`; omega in radians per unit of time.

    **Source:** Kuznetsov (2004), sections 3.4, 5.4 and 10.2.
    """

    kind: ClassVar[SpecialKind] = SpecialKind.HOPF
    num_extra: ClassVar[int] = 1
    has_frequency: ClassVar[bool] = True

    def check(self, system: AbstractSystem) -> None:
        _flow_only(system, "Hopf", "NeimarkSacker")

    def multiplicity(self, crossing: Crossing) -> Int[Array, "*I"]:
        return crossing.pairs

    def guess(self, value: Complex[Array, ""]) -> Float[Array, " e"]:
        return jnp.abs(value.imag)[None]

    def matrix(self, system: AbstractSystem, x: Array, extra: Array) -> Array:
        return _shifted(system.jacobian(system.lift(x)), jnp.zeros_like(extra[0]), extra[0])

    def normal_form(self, family: AbstractFamily, state: Array, mu: Array, extra: Array) -> tuple[Array, Scalar]:
        return _kind(self.kind), first_lyapunov_coefficient(family(mu), state, extra[0])


class NeimarkSacker(AbstractMatrixEvent):
    """Neimark-Sacker bifurcation of a map: eigenvalues `exp(+-i theta)` cross the unit circle. Defined by

        F(x, mu) = 0,    J - exp(i theta) I singular

    Coefficient `d = Re(exp(-i theta) c1)`: negative when the closed curve that appears is stable (supercritical).

    **Shapes:** unknowns `(x, theta, mu)`, `(R + 2,)`; theta in radians per step.

    **Source:** Kuznetsov (2004), sections 4.7 and 5.4.
    """

    kind: ClassVar[SpecialKind] = SpecialKind.NEIMARK_SACKER
    num_extra: ClassVar[int] = 1
    has_frequency: ClassVar[bool] = True
    is_angle: ClassVar[bool] = True

    def check(self, system: AbstractSystem) -> None:
        _map_only(system, "NeimarkSacker", "Hopf")

    def multiplicity(self, crossing: Crossing) -> Int[Array, "*I"]:
        return crossing.pairs

    def guess(self, value: Complex[Array, ""]) -> Float[Array, " e"]:
        return jnp.abs(jnp.angle(value))[None]

    def matrix(self, system: AbstractSystem, x: Array, extra: Array) -> Array:
        return _shifted(system.jacobian(system.lift(x)), jnp.cos(extra[0]), jnp.sin(extra[0]))

    def normal_form(self, family: AbstractFamily, state: Array, mu: Array, extra: Array) -> tuple[Array, Scalar]:
        return _kind(self.kind), neimark_sacker_coefficient(family(mu), state, extra[0])


class _BranchBorders(NamedTuple):
    """Column `b (R,)` and two rows `c (2, R + 1)` that make `[A, b; c, 0]` regular for `A = [F_x, F_mu]`."""

    b: Float[Array, " R"]
    c: Float[Array, "2 u"]


class BranchPoint(AbstractEvent):
    """Branch point: two branches of fixed points cross (transcritical or pitchfork). Defined by

        F(x, mu) + beta b = 0,    rank [F_x, F_mu] = R - 1

    with a fixed vector b that keeps the equations regular; `beta` is 0 at a true branch point and measures how far
    a perturbed one is from being one. Coefficient: the quadratic one of the transcritical, the cubic one of the
    pitchfork normal form.

    **Shapes:** unknowns `(x, beta, mu)`, `(R + 2,)`, with one parameter.

    **Source:** Allgower & Georg (2003), chapter 8; Beyn et al. (2002), section 4.
    """

    kind: ClassVar[SpecialKind] = SpecialKind.BRANCH_POINT
    num_extra: ClassVar[int] = 1
    has_frequency: ClassVar[bool] = False

    def check(self, system: AbstractSystem) -> None:
        pass

    def multiplicity(self, crossing: Crossing) -> Int[Array, "*I"]:
        even = ~crossing.fold & (crossing.real >= 2)
        return jnp.where(crossing.branching | even, jnp.maximum(crossing.real, 1), 0)

    def guess(self, value: Complex[Array, ""]) -> Float[Array, " e"]:
        return jnp.zeros((1,), value.real.dtype)

    def canonical(self, extra: Float[Array, " e"]) -> tuple[Float[Array, " e"], Bool[Array, ""]]:
        return extra, jnp.ones((), bool)

    def any_borders(self, family: AbstractFamily, u: Array, num_parameters: int) -> _BranchBorders:
        size = u.size - 2
        start = any_borders(3 * (size + 1), u.dtype).b.reshape(3, size + 1)
        return _BranchBorders(start[0, :size], start[1:])

    def equations(self, family: AbstractFamily, u: Array, borders: Any, num_parameters: int) -> Array:
        x, beta, mu = split(u, 1, num_parameters)
        F, F_mu = family_derivative(family, x, mu)
        A = jnp.concatenate([family(mu).residual_jacobian(x), F_mu], axis=1)
        return jnp.concatenate([F + beta * borders.b, _rank_defect(A, borders)[0]])

    def linearise(self, family: AbstractFamily, u: Array, borders: Any, num_parameters: int) -> tuple:
        x, beta, mu = split(u, 1, num_parameters)
        F, F_mu = family_derivative(family, x, mu)
        A = jnp.concatenate([family(mu).residual_jacobian(x), F_mu], axis=1)
        g, w, V = _rank_defect(A, borders)

        def forms(u: Array) -> Array:
            x, _, mu = split(u, 1, num_parameters)
            slopes = family_derivative(family, x, mu)[1]
            return -w @ jnp.concatenate([family(mu).residual_jacobian(x), slopes], axis=1) @ V

        upper = jnp.concatenate([A[:, : x.size], borders.b[:, None], A[:, x.size :]], axis=1)
        G, DG = jnp.concatenate([F + beta * borders.b, g]), jnp.concatenate([upper, jax.jacrev(forms)(u)])
        return G, DG, _BranchBorders(w / jnp.linalg.norm(w), jnp.linalg.qr(V)[0].T)

    def normal_form(self, family: AbstractFamily, state: Array, mu: Array, extra: Array) -> tuple[Array, Scalar]:
        a, c = branch_point_coefficients(family(mu), state)
        pitchfork = jnp.abs(a) <= 1e-5 * (1 + jnp.abs(c))
        kind = jnp.where(pitchfork, SpecialKind.PITCHFORK, SpecialKind.TRANSCRITICAL)
        return kind.astype(jnp.int32), jnp.where(pitchfork, c, a)


def _rank_defect(A: Float[Array, "R u"], borders: _BranchBorders) -> tuple[Array, Array, Array]:
    """`g (2,)`, zero exactly where A has not full rank, with left and right null vectors `w (R,)` and `V (u, 2)`."""
    size = A.shape[0]
    M = jnp.block([[A, borders.b[:, None]], [borders.c, jnp.zeros((2, 1), A.dtype)]])
    units = jnp.eye(size + 2, dtype=A.dtype)
    left = solve(M.T, units[-1])
    V = jnp.stack([solve(M, units[-2]), solve(M, units[-1])], axis=1)[:-1]
    return left[size:], left[:size], V


def all_events(system: AbstractSystem) -> tuple[AbstractEvent, ...]:
    """Every event that a branch of fixed points of this system can have.

    **Arguments:** `system`, a map or flow with states of any shape `(S,)`.

    **Returns:** `(Fold, BranchPoint, Hopf)` for a flow, `(Fold, BranchPoint, PeriodDoubling, NeimarkSacker)` for a map.

    **Source:** Kuznetsov (2004), chapters 3 and 4.
    """
    if isinstance(system, AbstractMap):
        return Fold(), BranchPoint(), PeriodDoubling(), NeimarkSacker()
    return Fold(), BranchPoint(), Hopf()
