"""Where a branch of cycles ends because the cycle shrinks to a fixed point."""

import jax
import jax.numpy as jnp

from .._results import RESULTS
from .._types import Array, Bool, Float, Int, Scalar
from ..bifurcations import Hopf, Located, locate
from ..continuation import Location, SpecialKind, SpecialPoints, Trace
from ._curve import CycleCurve, plain
from ._segments import member, split


def cut(
    velocity: Float[Array, "N S"], mask: Bool[Array, " N"]
) -> tuple[Bool[Array, " N"], Int[Array, " 2"], Bool[Array, " 2"]]:
    """The mask without what lies beyond a Hopf point, the last row before it in each direction, and whether there is
    one.

    Beyond it the branch comes back on itself with the first node on the other side of the fixed point, where the
    velocity has turned round.
    """
    count = mask.size
    start = count // 2
    number = jnp.arange(count, dtype=jnp.int32)
    turned = jnp.sum(velocity[:-1] * velocity[1:], axis=1) < 0
    turned = turned & mask[:-1] & mask[1:]
    interval = number[:-1]
    first = jnp.min(jnp.where(turned & (interval >= start), interval, count))
    last = jnp.max(jnp.where(turned & (interval < start), interval, -1)) + 1
    kept = mask & (number <= first) & (number >= last)
    return (
        kept,
        jnp.stack([last, jnp.minimum(first, count - 1)]).astype(jnp.int32),
        jnp.stack([last > 0, first < count]),
    )


def hopf_points(
    curve: CycleCurve, trace: Trace, rows: Int[Array, " 2"], there: Bool[Array, " 2"]
) -> tuple[SpecialPoints, Float[Array, " 2"]]:
    """The Hopf points next to two rows, by Newton's method on their own equations, and the periods of the cycles that
    are born there."""

    def one(row: Int[Array, ""]) -> tuple[Located, Array]:
        nodes, period, mu = split(curve.family, plain(trace.u[row]), curve.num_nodes)
        centre = _centre(curve, nodes, period, mu)
        hopf = locate(curve.family, Hopf(), state=centre, mu=mu[0], omega=2 * jnp.pi / period, throw=False)
        moved = jnp.maximum(jnp.abs(hopf.mu - mu[0]), jnp.max(jnp.abs(hopf.state - centre)))
        near = moved <= 0.3 * (1 + jnp.max(jnp.abs(trace.u[row])))
        return hopf, near & (hopf.result == RESULTS.successful)

    hopf, found = jax.vmap(one)(rows)
    mu = jnp.where(found, hopf.mu, trace.u[rows, -1])
    omega = jnp.where(found, hopf.omega, 2 * jnp.pi / jnp.exp(trace.u[rows, -2]))
    location = jnp.where(found, Location.CONVERGED, Location.BRACKETED)
    points = SpecialPoints(
        kind=jnp.where(there, SpecialKind.HOPF, SpecialKind.NONE).astype(jnp.int32),
        mask=there,
        mu=mu,
        state=hopf.state,
        omega=omega,
        coefficient=jnp.where(found, hopf.coefficient, jnp.nan),
        multiplicity=there.astype(jnp.int32),
        bracket=jnp.stack([trace.u[rows, -1], mu], axis=1),
        row=rows,
        residual=hopf.residual,
        location=jnp.where(there, location, Location.NONE).astype(jnp.int32),
    )
    return points, 2 * jnp.pi / omega


def _centre(curve: CycleCurve, nodes: Float[Array, "M S"], period: Scalar, mu: Float[Array, " P"]) -> Array:
    """The fixed point inside a small orbit, by one Newton step from a node: exact where the flow is linear."""
    flow = member(curve.family, mu)
    return nodes[0] - jnp.linalg.solve(flow.jacobian(nodes[0]), flow(period, nodes[0]))
