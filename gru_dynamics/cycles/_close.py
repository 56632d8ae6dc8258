"""From a start of Newton's method to a cycle with multipliers, derivatives and an outcome."""

import diffrax as dfx
import jax
import jax.numpy as jnp

from .._results import RESULTS
from .._types import Array, Bool, Float, Scalar
from ..linalg._implicit import attach_root, freeze
from ..systems import AbstractMap
from ._cycle import Cycle, flow_spectrum, spectrum_of
from ._newton import newton
from ._segments import Shooting, member, sensitivity, split
from ._shooting import FlowShooting, MapShooting


def close_flow(equations: FlowShooting, u: Float[Array, " n"]) -> tuple[Cycle, Float[Array, " P"]]:
    """The cycle that solves the equations near `u`, and the parameters that were unknown, `(P,)`."""
    method = equations.method
    root = newton(freeze(equations), jax.lax.stop_gradient(u), method.max_iterations)
    closed = _is_closed(root.residual, root.u, method)
    nodes, period, mu = split(equations.family, attach_root(equations.value, root.u, closed), equations.num_nodes)
    flow = member(equations.family, mu)
    segments = sensitivity(flow, nodes, period, mu[:0], method, dfx.DirectAdjoint()).derivative
    velocity = jax.vmap(lambda x: flow(period, x))(nodes)
    # A fixed point solves the equations too, with any period, and any state solves them with none.
    still = jnp.max(jnp.abs(velocity)) * period <= 1e-6 * (1 + jnp.max(jnp.abs(nodes)))
    result = RESULTS.where(closed, RESULTS.successful, RESULTS.not_converged)
    result = RESULTS.where(still, RESULTS.no_cycle, result)
    result = RESULTS.where(jnp.isfinite(period), result, RESULTS.no_return)
    return Cycle(nodes, period, *flow_spectrum(segments, velocity), root.residual, result), mu


def close_map(system: AbstractMap, u: Float[Array, " n"], num_points: int, method: Shooting) -> Cycle:
    """The cycle of a map near `u`."""
    root = newton(freeze(MapShooting(system, num_points)), jax.lax.stop_gradient(u), method.max_iterations)
    closed = _is_closed(root.residual, root.u, method)
    states = attach_root(MapShooting(system, num_points).value, root.u, closed).reshape(num_points, -1)
    segments = jax.vmap(system.jacobian)(states)
    least = least_period(states, 1e-6)
    result = RESULTS.where(closed, RESULTS.successful, RESULTS.not_converged)
    result = RESULTS.where(closed & (least < num_points), RESULTS.lower_period, result)
    period = jnp.asarray(num_points, u.dtype)
    values, outside, stable = spectrum_of(segments)
    return Cycle(states, period, values, jnp.zeros_like(period), outside, stable, root.residual, result)


def least_period(states: Float[Array, "M S"], near: float) -> Array:
    """Least p for which the points repeat after p, within `near` relative to `1 + max |states|`."""
    count = states.shape[0]
    shifts = jnp.arange(1, count + 1, dtype=jnp.int32)
    gap = jax.vmap(lambda p: jnp.max(jnp.abs(states - jnp.roll(states, -p, axis=0))))(shifts)
    return shifts[jnp.argmax(gap <= near * (1 + jnp.max(jnp.abs(states))))]


def _is_closed(residual: Scalar, u: Float[Array, " n"], method: Shooting) -> Bool[Array, ""]:
    return residual <= method.limit(u.dtype) * (1 + jnp.max(jnp.abs(u)))
