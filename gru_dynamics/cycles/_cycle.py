"""One periodic orbit."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import RESULTS
from .._types import Array, Bool, Complex, Float, Int, Scalar
from ..linalg import eigenvalues
from ..systems import AbstractFlow
from ..trajectories import integrate
from ._segments import Shooting


class Cycle(eqx.Module):
    """A periodic orbit: a limit cycle of a flow, or a cycle of a map.

    **Fields:**

    - `states (M, S)`: nodes a time T/M apart, or the points of a map's cycle in order.
    - `period ()`: T in units of the flow's time, or the number of points.
    - `multipliers (F,)`: Floquet multipliers, largest modulus first. For a flow the `S - 1` that are not trivial, those
      of the return map of a section; for a map all S. Of a flow they are known to about `rtol` times the largest
      derivative along a segment: smaller ones are zero, not more.
    - `trivial_error ()`: how far the velocity of a flow is from being carried to itself, summed over the segments
      (with one node: how far the trivial multiplier is from 1), a check of the multipliers; 0 for a map.
    - `unstable_dim ()`: multipliers outside the unit circle. `stable ()`: all are inside.
    - `residual ()`: 2-norm of all gaps. `result`: a `RESULTS` item.

    States and period are differentiable in everything the system depends on, multipliers where they are simple.

    **Source:** Kuznetsov (2004), section 1.5.
    """

    states: Float[Array, "*batch M S"]
    period: Float[Array, "*batch"]
    multipliers: Complex[Array, "*batch F"]
    trivial_error: Float[Array, "*batch"]
    unstable_dim: Int[Array, "*batch"]
    stable: Bool[Array, "*batch"]
    residual: Float[Array, "*batch"]
    result: RESULTS

    def orbit(
        self,
        flow: AbstractFlow,
        num: int = 500,
        method: Shooting = Shooting(),  # noqa: B008
    ) -> tuple[Float[Array, " N"], Float[Array, "N S"]]:
        """The orbit of a flow at equal times.

        **Arguments:** `flow`, of which this is a cycle; `num`, the least number of samples; `method`.

        **Returns:** times `(N,)` from 0 to the period and states `(N, S)`, N the first multiple of M not below `num`,
        and one more that closes the orbit.

        **Source:** Kuznetsov (2004), section 1.5.
        """
        return _orbit(flow, self.states, self.period, -(-num // self.states.shape[0]), method)


@eqx.filter_jit
def _orbit(
    flow: AbstractFlow, nodes: Float[Array, "M S"], period: Scalar, each: int, method: Shooting
) -> tuple[Float[Array, " N"], Float[Array, "N S"]]:
    count = nodes.shape[0]
    part = period / count
    local = part * jnp.arange(each, dtype=nodes.dtype) / each
    times = part * jnp.arange(count, dtype=nodes.dtype)[:, None] + local[None]

    def segment(node: Array) -> Array:
        saveat = dfx.SaveAt(ts=local)
        solution = integrate(
            flow, node, part, saveat=saveat, adjoint=dfx.DirectAdjoint(), **method.options(nodes.dtype)
        )
        assert solution.ys is not None
        return solution.ys

    states = jax.vmap(segment)(nodes).reshape(-1, nodes.shape[1])
    return jnp.append(times.ravel(), period), jnp.concatenate([states, nodes[:1]])


def flow_spectrum(
    segments: Float[Array, "M S S"], velocity: Float[Array, "M S"]
) -> tuple[Complex[Array, " F"], Scalar, Int[Array, ""], Bool[Array, ""]]:
    """Multipliers, error of the trivial one, unstable dimension and stability of a flow's cycle, from the derivatives
    of the segments and the velocities at the nodes.

    The trivial multiplier belongs to the velocity. It is divided out of each segment, `Q_{i+1}^T Y_i Q_i` with columns
    of `Q_i` that span the complement of the velocity: where another multiplier is 1 too nothing has to be told apart.
    """
    Q = jax.vmap(complement)(velocity)
    reduced = _product(jnp.swapaxes(jnp.roll(Q, -1, axis=0), 1, 2), _product(segments, Q))
    carried = jax.vmap(_product)(segments, velocity)
    arrived = jnp.roll(velocity, -1, axis=0)
    error = jnp.sum(jnp.linalg.norm(carried - arrived, axis=1) / jnp.linalg.norm(arrived, axis=1))
    values, outside, stable = spectrum_of(reduced)
    return values, error, outside, stable


def spectrum_of(
    factors: Float[Array, "M F F"],
) -> tuple[Complex[Array, " F"], Int[Array, ""], Bool[Array, ""]]:
    """Eigenvalues of the product of the factors, largest first; how many are outside the unit circle; whether all are
    inside."""
    product = chain(factors)
    finite = jnp.all(jnp.isfinite(product))
    values = eigenvalues(jnp.where(finite, product, 0))
    values = values[jnp.argsort(-jnp.abs(jax.lax.stop_gradient(values)))]
    values = jnp.where(finite, values, jnp.nan)
    return values, jnp.sum(jnp.abs(values) > 1, dtype=jnp.int32), jnp.all(jnp.abs(values) < 1)


def chain(factors: Float[Array, "M F F"]) -> Float[Array, "F F"]:
    """Product of the factors, the last on the left."""
    identity = jnp.eye(factors.shape[1], dtype=factors.dtype)
    return jax.lax.scan(lambda done, factor: (_product(factor, done), None), identity, factors)[0]


def complement(vector: Float[Array, " S"]) -> Float[Array, "S F"]:
    """Orthonormal columns that span the complement of a vector: those of a Householder reflection after the first."""
    length = jnp.linalg.norm(vector)
    w = vector.at[0].add(jnp.where(vector[0] < 0, -length, length))
    reflection = jnp.eye(vector.size, dtype=vector.dtype) - 2 * w[:, None] * w[None] / jnp.sum(w * w)
    return reflection[:, 1:]


def _product(A: Array, B: Array) -> Array:
    return jnp.matmul(A, B, precision=jax.lax.Precision.HIGHEST)
