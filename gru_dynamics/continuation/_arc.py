"""The piece of a curve between two neighbouring points."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .._types import Array, Float, Scalar
from ._curve import AbstractCurve
from ._solver import AbstractLinearSolver, Correction

_CORRECTIONS = 8


class Arc(NamedTuple):
    """Two neighbouring points `a`, `b` `(u,)` with their unit tangents `ta`, `tb` `(u,)`."""

    a: Float[Array, " u"]
    b: Float[Array, " u"]
    ta: Float[Array, " u"]
    tb: Float[Array, " u"]

    @property
    def chord(self) -> Float[Array, " u"]:
        return self.b - self.a

    def at(self, s: Scalar, weights: Float[Array, " u"]) -> Float[Array, " u"]:
        """Cubic through both points with both tangents, `s` in [0, 1]."""
        length = jnp.sqrt(jnp.sum(weights * self.chord**2))
        rise, fall = s * s * (3 - 2 * s), s * (1 - s)
        return self.a + rise * self.chord + length * fall * ((1 - s) * self.ta - s * self.tb)


def on_curve(
    curve: AbstractCurve,
    solver: AbstractLinearSolver,
    aux: Any,
    arc: Arc,
    weights: Float[Array, " u"],
    s: Scalar,
) -> tuple[Float[Array, " u"], Correction, Scalar]:
    """The curve where the plane across the arc at `s` cuts it: point, last correction, and its relative length."""
    target = arc.at(s, weights)
    row = weights * arc.chord
    row = row / jnp.sqrt(jnp.sum(row * arc.chord))

    def body(carry: tuple) -> tuple:
        u, _, _, number = carry
        gap = jnp.dot(row, target - u, precision=jax.lax.Precision.HIGHEST)
        step = solver.correct(curve, u, aux, row, gap)
        return u + step.delta, step, relative(step.delta, u), number + 1

    def unfinished(carry: tuple) -> Array:
        return (carry[2] > rounding(target.dtype)) & (carry[3] < _CORRECTIONS)

    one = jnp.ones((), target.dtype)
    blank = Correction(target, target, one)
    u, step, length, _ = jax.lax.while_loop(unfinished, body, (target, blank, one, jnp.zeros((), jnp.int32)))
    return u, step, length


def relative(delta: Float[Array, " u"], u: Float[Array, " u"]) -> Scalar:
    """Largest component of a step, relative to `1 + max |u|`; inf for nan."""
    length = jnp.max(jnp.abs(delta)) / (1 + jnp.max(jnp.abs(u)))
    return jnp.where(jnp.isnan(length), jnp.inf, length)


def rounding(dtype: Any) -> float:
    """A relative step this short is rounding: 1.1e-13 in float64, 6e-5 in float32."""
    return 500 * float(jnp.finfo(dtype).eps)


def near_zero(dtype: Any) -> float:
    """A relative step or residual this small belongs to a converged point: 1e-9 in float64, 2.4e-5 in float32."""
    return 0.07 * float(jnp.finfo(dtype).eps) ** 0.5
