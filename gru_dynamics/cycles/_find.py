"""The verb: the cycle near a state."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import raise_failure
from .._types import Array, ArrayLike, Float, Scalar
from ..fixed_points._precision import highest_precision
from ..linalg._implicit import freeze
from ..systems import AbstractFlow, AbstractMap, FunctionFlow
from ..trajectories import PoincareSection, integrate, section_through
from ._close import close_flow, close_map
from ._cycle import Cycle
from ._segments import Shooting
from ._shooting import FlowShooting


def find_cycle(
    system: AbstractFlow | AbstractMap,
    state: Float[Array, " S"],
    *,
    period: ArrayLike | None = None,
    settle: ArrayLike = 100.0,
    longest: ArrayLike = 1e3,
    num_returns: int = 8,
    num_nodes: int = 1,
    method: Shooting = Shooting(),  # noqa: B008
    throw: bool = True,
) -> Cycle:
    """The periodic orbit near a state, closed by shooting.

        flow: phi_{T/M}(x_i) = x_{i+1}, <f(x_0), x - x_0> = 0;        map: f(x_i) = x_{i+1}        (indices modulo M)

    A flow is followed for `settle` from `state`; the first near return to the section through the state reached there
    gives the period to start from. With `period` nothing is followed: state and period are where Newton's method
    starts, so unstable cycles are found too.

    **Arguments:**

    - `system`: a flow, or a map; for a map `period` is the number of points, a Python integer.
    - `state`: shape `(S,)`, in the basin of a stable cycle, or near any with `period`.
    - `settle`: time before the search for a return; `longest`: the largest time between two crossings of the section;
      `num_returns`: crossings that are looked at, more than one where a cycle winds several times.
    - `num_nodes`: M, shooting nodes of a flow's cycle. More than one where a multiplier is huge or a period long.
    - `method`: tolerances. `throw`: raise when the result is not successful; under `jax.vmap` use `throw=False`.

    **Returns:** a `Cycle`. Its period is the least one if the search for a return gave it; with `period` twice the
    least period is a solution as well for a flow, and for a map a divisor of `period` is reported as failure.

    **Raises:** `ValueError` for a state that is not one vector, or a map without an integer period; `RuntimeError`
    when the trajectory comes to rest or does not return, or Newton's method does not converge (not inside `jax.jit` or
    `jax.vmap`).

    **Source:** Kuznetsov (2004), sections 10.1 and 10.2.2.
    """
    if state.ndim != 1:
        raise ValueError(f"find_cycle: state must be one vector, got shape {state.shape}; use jax.vmap for batches.")
    if isinstance(system, AbstractMap):
        if not isinstance(period, int) or period < 1:
            raise ValueError(f"find_cycle: for a map give `period`, the number of points, got {period!r}")
        cycle = _close_map(system, state, period, method)
    else:
        if state.size < 2:
            raise ValueError("find_cycle: a flow has cycles in two or more dimensions only, got one state variable")
        dtype = state.dtype
        if period is None:
            times = jnp.asarray(settle, dtype), jnp.asarray(longest, dtype)
            state, start = _near_return(freeze(system), jax.lax.stop_gradient(state), *times, num_returns, method)
        else:
            start = jnp.asarray(period, dtype)
        cycle = _close_flow(system, state, start, num_nodes, method)
    if throw:
        raise_failure("find_cycle", cycle.result)
    return cycle


@eqx.filter_jit
@highest_precision
def _near_return(
    flow: AbstractFlow, state: Float[Array, " S"], settle: Scalar, longest: Scalar, num: int, method: Shooting
) -> tuple[Float[Array, " S"], Scalar]:
    """A state on the orbit and its period, nan when there is no return."""
    options = method.options(state.dtype)
    options["max_steps"] = 16**4
    settled = integrate(flow, state, settle, adjoint=dfx.ForwardMode(), **options).ys
    assert settled is not None
    start = settled[-1]
    section = section_through(flow, start)
    # The length of the path is carried along: it is the scale of what is near.
    nothing = jnp.zeros((1,), state.dtype)
    wider = PoincareSection(jnp.concatenate([section.normal, nothing]), section.offset)
    measured = FunctionFlow(_with_length, flow)
    found = wider.crossings(measured, jnp.concatenate([start, nothing]), num=num, longest=longest)
    distance = jnp.linalg.norm(found.state[:, :-1] - start[None], axis=1)
    distance = jnp.where(found.mask, distance, jnp.inf)
    near = distance <= jnp.maximum(1e-3 * found.state[:, -1], 3 * jnp.min(distance))
    first = jnp.argmax(near & found.mask)
    period = jnp.where(found.mask[first], found.time[first], jnp.nan)
    return jnp.where(found.mask[first], found.state[first, :-1], start), period


def _with_length(t: Any, state: Array, flow: AbstractFlow) -> Array:
    velocity = flow(t, state[:-1])
    return jnp.append(velocity, jnp.linalg.norm(velocity))


@eqx.filter_jit
@highest_precision
def _close_flow(
    flow: AbstractFlow, state: Float[Array, " S"], period: Scalar, num_nodes: int, method: Shooting
) -> Cycle:
    frozen = freeze(flow)
    state, period = jax.lax.stop_gradient((state, period))
    nodes = _spread(frozen, state, period, num_nodes, method)
    velocity = frozen(period, state)
    row = velocity / jnp.linalg.norm(velocity)
    rows = jnp.zeros((1, nodes.size + 1), state.dtype).at[0, : state.size].set(row)
    equations = FlowShooting(flow, rows, rows @ jnp.append(nodes.ravel(), period), method, num_nodes)
    return close_flow(equations, jnp.append(nodes.ravel(), period))[0]


def _spread(
    flow: AbstractFlow, state: Float[Array, " S"], period: Scalar, num_nodes: int, method: Shooting
) -> Float[Array, "M S"]:
    """Nodes to start from, along the trajectory from `state`."""
    if num_nodes == 1:
        return state[None]
    times = period * jnp.arange(num_nodes, dtype=state.dtype) / num_nodes
    options = method.options(state.dtype)
    options["max_steps"] = 16**4
    ys = integrate(flow, state, times[-1], saveat=dfx.SaveAt(ts=times), adjoint=dfx.ForwardMode(), **options).ys
    assert ys is not None
    return ys


@eqx.filter_jit
@highest_precision
def _close_map(system: AbstractMap, state: Float[Array, " S"], period: int, method: Shooting) -> Cycle:
    frozen = freeze(system)
    start = jax.lax.stop_gradient(state)
    later = jax.lax.scan(lambda s, _: (frozen(s), frozen(s)), start, length=period - 1)[1]
    u = jnp.concatenate([start[None], later]).ravel()
    return close_map(system, u, period, method)
