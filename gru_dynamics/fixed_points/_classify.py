"""Stability and index of located points."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Complex, Float, Int
from ..linalg import inverse_and_sign
from ..systems import AbstractMap, AbstractSystem
from ._levenberg_marquardt import clip, largest
from ._points import Kind


class Located(NamedTuple):
    """A refined point: `point (R,)`, its largest residual, and how regular it is.

    `smallest = 1 / |J^-1|_F` is at most a factor sqrt(R) below the smallest singular value of the residual Jacobian J;
    `norm = |J|_F`; `sign = sign det(-J)`, the index of a simple point.
    """

    point: Array
    residual: Array
    smallest: Array
    norm: Array
    sign: Array


def locate(system: AbstractSystem, point: Float[Array, " R"], max_steps: int = 10) -> Located:
    """Squeeze the last digits out of a converged point by Newton's method, and judge it by the last Jacobian.

    A simple point takes one or two steps. At a singular one each step gains half a digit, and all are needed to tell
    it from a pair of simple points.
    """

    def body(carry):
        located, _, number = carry
        point = located.point
        r, J = system.residual(point), -system.residual_jacobian(point)
        inverse_J, det_sign = inverse_and_sign(J)
        trial = clip(point + inverse_J @ r, system.bounds)
        old, new = largest(r), largest(system.residual(trial))
        smallest = 1 / jnp.linalg.norm(inverse_J)
        better = new < old
        judged = Located(
            jnp.where(better, trial, point),
            jnp.minimum(new, old),
            jnp.where(jnp.isfinite(smallest), smallest, 0),
            jnp.linalg.norm(J),
            det_sign.astype(jnp.int32),
        )
        return judged, better, number + 1

    def unfinished(carry):
        return carry[1] & (carry[2] < max_steps)

    zero = jnp.zeros((), point.dtype)
    number = jnp.zeros((), jnp.int32)
    return jax.lax.while_loop(unfinished, body, (Located(point, zero, zero, zero, number), number == 0, number))[0]


def stability(
    system: AbstractSystem, values: Complex[Array, " S"], singular: Bool[Array, ""], tolerance: float
) -> tuple[Int[Array, ""], Int[Array, ""], Bool[Array, ""]]:
    """`(kind, unstable_dim, focus)` from the eigenvalues of the map or flow.

    A closed gate multiplies `lambda - 1` (map) or `lambda` (flow) by a tiny number without making the point degenerate,
    so the distance to the stability boundary is taken relative to that; whether an eigenvalue is 1 or 0 is left to
    `singular`, which comes from the gate-free residual.
    """
    if isinstance(system, AbstractMap):
        excess, scale = jnp.abs(values) - 1, jnp.abs(values - 1)
    else:
        excess, scale = values.real, jnp.abs(values)
    neutral = jnp.any(jnp.abs(excess) <= tolerance * scale)
    unstable_dim = jnp.sum(excess > 0, dtype=jnp.int32)
    kind = jnp.where(unstable_dim == 0, Kind.SINK, jnp.where(unstable_dim == values.size, Kind.SOURCE, Kind.SADDLE))
    kind = jnp.where(singular | neutral, Kind.DEGENERATE, kind).astype(jnp.int32)
    focus = jnp.any(values.imag != 0) if values.size == 2 else jnp.zeros((), bool)
    return kind, unstable_dim, focus
