"""What is worth knowing about one point of a curve of cycles."""

from typing import NamedTuple

import diffrax as dfx
import jax
import jax.numpy as jnp

from .._types import Array, Bool, Complex, Float, Int, Scalar
from ._curve import CycleCurve, plain
from ._cycle import flow_spectrum
from ._segments import member, sensitivity, split

_SAMPLES = 96


class Row(NamedTuple):
    """What is known of one point of a branch: `multipliers (F,)`, `trivial_error ()`, `unstable_dim ()`, `stable ()`,
    `minimum (S,)`, `maximum (S,)`, `residual ()`, and the velocity at the first node, `velocity (S,)`."""

    multipliers: Complex[Array, " F"]
    trivial_error: Scalar
    unstable_dim: Int[Array, ""]
    stable: Bool[Array, ""]
    minimum: Float[Array, " S"]
    maximum: Float[Array, " S"]
    residual: Scalar
    velocity: Float[Array, " S"]


def examine(curve: CycleCurve, u: Float[Array, " u"]) -> Row:
    """Everything about one point."""
    nodes, period, mu = split(curve.family, plain(u), curve.num_nodes)
    flow = member(curve.family, mu)
    each = -(-_SAMPLES // curve.num_nodes)
    arrived = sensitivity(flow, nodes, period, mu[:0], curve.method, dfx.ForwardMode(), each)
    velocity = jax.vmap(lambda x: flow(period, x))(nodes)
    orbit = arrived.samples.reshape(-1, nodes.shape[1])
    peak = jax.vmap(_peak, in_axes=1)
    gaps = jnp.linalg.norm(arrived.state - jnp.roll(nodes, -1, axis=0))
    return Row(*flow_spectrum(arrived.derivative, velocity), -peak(-orbit), peak(orbit), gaps, velocity[0])


def spectrum(curve: CycleCurve, u: Float[Array, " u"], segments: Float[Array, "M S S"]) -> Complex[Array, " F"]:
    """Multipliers from the derivatives of the segments."""
    nodes, period, mu = split(curve.family, plain(u), curve.num_nodes)
    flow = member(curve.family, mu)
    return flow_spectrum(segments, jax.vmap(lambda x: flow(period, x))(nodes))[0]


def _peak(values: Float[Array, " N"]) -> Scalar:
    """Largest value of a periodic sampled curve, from the polynomial of degree 4 through the samples at the top."""
    top = jnp.argmax(values)
    at = values[(top + jnp.arange(-2, 3)) % values.size]
    # Derivatives at the top from five samples, and two Newton steps towards the maximum.
    first = (at[0] - 8 * at[1] + 8 * at[3] - at[4]) / 12
    second = (-at[0] + 16 * at[1] - 30 * at[2] + 16 * at[3] - at[4]) / 12
    third = (-at[0] + 2 * at[1] - 2 * at[3] + at[4]) / 2
    fourth = at[0] - 4 * at[1] + 6 * at[2] - 4 * at[3] + at[4]
    s = jnp.zeros_like(first)
    for _ in range(3):
        slope = first + s * (second + s * (third / 2 + s * fourth / 6))
        bend = second + s * (third + s * fourth / 2)
        s = jnp.clip(s - slope / jnp.where(bend < 0, bend, -jnp.inf), -1, 1)
    above = s * (first + s * (second / 2 + s * (third / 6 + s * fourth / 24)))
    # A parabola through three samples rises by an eighth of this at most; where samples are sparse, more is invented.
    return at[2] + jnp.clip(above, 0, (at[2] - jnp.minimum(at[1], at[3])) / 4)
