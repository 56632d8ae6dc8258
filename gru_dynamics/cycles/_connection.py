"""Homoclinic orbits of planar saddles, from their manifolds."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayLike, Float, Scalar
from ..fixed_points import fixed_point
from ..fixed_points._precision import highest_precision
from ..linalg import eigenvalues
from ..linalg._implicit import freeze
from ..systems import AbstractFamily, AbstractFlow, FunctionFlow
from ..trajectories import PoincareSection
from ._segments import member

Sides = tuple[int, int]


def saddle_connection_gap(
    flow: AbstractFlow,
    saddle: Float[Array, "2"],
    section: PoincareSection,
    *,
    sides: Sides = (1, 1),
    start: ArrayLike = 1e-6,
    longest: ArrayLike = 1e3,
) -> Scalar:
    """Signed distance, along a section, from the stable to the unstable manifold of a saddle in the plane.

        gap = <t, P_u - P_s>,    t = (-normal_2, normal_1)

    `P_u` is the first crossing of the unstable manifold, `P_s` that of the stable manifold followed back in time. The
    gap is zero where they are one orbit: a homoclinic orbit. It is differentiable in the flow.

    **Arguments:** `flow`; `saddle (2,)`, or a state near it; `section`, crossed by the loop once, in its direction,
    away from the saddle; `sides`: of each eigenvector, unstable and stable, +1 for the half with positive first
    component (or second, if the first is 0), -1 for the other; `start ()`, distance from the saddle at which the
    manifolds start, in units of the state: the error is its square; `longest ()`, time until the section.

    **Returns:** the gap `()`, in units of the normal's inverse; nan when a manifold does not reach the section.

    **Raises:** `ValueError` for a state that is not in the plane.

    **Source:** Kuznetsov (2004), section 6.1 (the split function).
    """
    if saddle.shape != (2,):
        raise ValueError(f"saddle_connection_gap: expected a saddle (2,), got {saddle.shape}")
    point = fixed_point(flow, saddle, throw=False)
    J = flow.jacobian(point)
    values = eigenvalues(J).real
    start = jnp.asarray(start, saddle.dtype)
    unstable = point + sides[0] * start * _eigenvector(J, values[0])
    stable = point + sides[1] * start * _eigenvector(J, values[1])
    there, _ = section.return_map(flow, unstable, longest=longest)
    back = PoincareSection(section.normal, section.offset, -section.direction)
    here, _ = back.return_map(FunctionFlow(_reversed, flow), stable, longest=longest)
    along = jnp.stack([-section.normal[1], section.normal[0]]) / jnp.sum(section.normal**2)
    gap = jnp.sum(along * (there - here))
    return jnp.where((values[0] > 0) & (values[1] < 0), gap, jnp.nan)


class SaddleConnection(eqx.Module):
    """A homoclinic orbit of a planar saddle.

    **Fields:** `mu ()`, the parameter; `saddle (2,)`; `eigenvalues (2,)` of it, whose sum, the saddle quantity, tells
    whether the cycle that ends here is stable (negative) or not; `gap ()`, what is left of the gap; `result`.

    **Source:** Kuznetsov (2004), section 6.2 (Andronov & Leontovich).
    """

    mu: Float[Array, "*batch"]
    saddle: Float[Array, "*batch 2"]
    eigenvalues: Float[Array, "*batch 2"]
    gap: Float[Array, "*batch"]
    result: RESULTS


def find_saddle_connection(
    family: AbstractFamily,
    saddle: Float[Array, "2"],
    mu: ArrayLike,
    section: PoincareSection,
    *,
    sides: Sides = (1, 1),
    start: ArrayLike = 1e-6,
    longest: ArrayLike = 1e3,
    max_steps: int = 20,
    throw: bool = True,
) -> SaddleConnection:
    """The parameter at which a planar saddle has a homoclinic orbit: the zero of `saddle_connection_gap`, by Newton's
    method.

    **Arguments:** `family` of planar flows with one parameter; `mu ()`, near the zero; `max_steps` of Newton's method;
    `throw`, raise when it does not converge; all others as for `saddle_connection_gap`.

    **Returns:** a `SaddleConnection`.

    **Raises:** `RuntimeError` when Newton's method does not converge (not inside `jax.jit` or `jax.vmap`).

    **Source:** Kuznetsov (2004), sections 6.1 and 6.2.
    """
    dtype = saddle.dtype
    numbers = (jnp.asarray(value, dtype) for value in (mu, start, longest))
    found = _connect(freeze(family), saddle, section, sides, max_steps, *numbers)
    if throw:
        raise_failure("find_saddle_connection", found.result)
    return found


class _Iterate(NamedTuple):
    mu: Array
    gap: Array
    step: Array
    rounds: Array


@eqx.filter_jit
@highest_precision
def _connect(
    family: AbstractFamily,
    saddle: Float[Array, "2"],
    section: PoincareSection,
    sides: Sides,
    max_steps: int,
    mu: Scalar,
    start: Scalar,
    longest: Scalar,
) -> SaddleConnection:
    def gap(mu: Scalar) -> Scalar:
        flow = member(family, mu[None])
        return saddle_connection_gap(flow, saddle, section, sides=sides, start=start, longest=longest)

    def body(now: _Iterate) -> _Iterate:
        value, slope = jax.jvp(gap, (now.mu,), (jnp.ones_like(now.mu),))
        step = -value / slope
        return _Iterate(now.mu + step, jnp.abs(value), jnp.abs(step), now.rounds + 1)

    def unfinished(now: _Iterate) -> Array:
        return (now.step > 1e-13 * (1 + jnp.abs(now.mu))) & (now.rounds < max_steps)

    far = jnp.asarray(jnp.inf, mu.dtype)
    end = jax.lax.while_loop(unfinished, body, _Iterate(mu, far, far, jnp.zeros((), jnp.int32)))
    flow = member(family, end.mu[None])
    point = fixed_point(flow, saddle, throw=False)
    converged = end.step <= 1e-8 * (1 + jnp.abs(end.mu))
    result = RESULTS.where(converged, RESULTS.successful, RESULTS.not_converged)
    return SaddleConnection(end.mu, point, eigenvalues(flow.jacobian(point)).real, end.gap, result)


def _eigenvector(J: Float[Array, "2 2"], value: Scalar) -> Float[Array, "2"]:
    """Unit eigenvector of a real eigenvalue, with the first component that is not zero positive."""
    rows = jnp.stack([jnp.stack([J[0, 1], value - J[0, 0]]), jnp.stack([value - J[1, 1], J[1, 0]])])
    sizes = jnp.sum(jax.lax.stop_gradient(rows) ** 2, axis=1)
    vector = jnp.where(sizes[0] >= sizes[1], rows[0], rows[1])
    vector = vector / jnp.linalg.norm(vector)
    leading = jnp.where(jnp.abs(vector[0]) > 1e-12, vector[0], vector[1])
    return jnp.where(leading < 0, -vector, vector)


def _reversed(t: Array, state: Array, flow: AbstractFlow) -> Array:
    return -flow(t, state)
