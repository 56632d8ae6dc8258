"""From a point that is nearly fixed to one that is, with derivatives."""

import jax
import jax.numpy as jnp
from jax.core import Tracer

from .._results import RESULTS
from .._types import Array, Bool, Float
from ..linalg._implicit import attach_root, freeze
from ..systems import AbstractSystem
from ._classify import locate
from ._guesses import float_dtype
from ._precision import highest_precision
from ._tolerances import residual_tolerance


def attach_gradient(system: AbstractSystem, point: Float[Array, " R"], simple: Bool[Array, ""]) -> Float[Array, " R"]:
    """`point` itself, with the implicit derivative `d point = -J^-1 d residual` in everything `system` depends on; zero
    where `simple` is False: the residual Jacobian is singular or the row is padding."""
    return attach_root(system.residual, point, simple)


@highest_precision
def fixed_point(
    system: AbstractSystem, state: Float[Array, " S"], *, max_steps: int = 20, throw: bool = True
) -> Float[Array, " S"]:
    """The fixed point next to `state`, differentiable to any order in the weights, the input and every other leaf.

        d state / d theta = -(d residual / d state)^-1 d residual / d theta

    **Arguments:** `system`; `state`, shape `(S,)`, near the point; `max_steps` of Newton's method; `throw`, whether to
    raise when it does not converge. Under `jax.vmap` use `throw=False` and check the residual yourself.

    **Returns:** the fixed point, shape `(S,)`.

    **Raises:** `ValueError` when `state` is not one vector, `RuntimeError` when Newton's method does not converge (not
    inside `jax.jit`).

    **Source:** implicit function theorem; Kuznetsov (2004), section 2.2.
    """
    if state.ndim != 1:
        raise ValueError(f"fixed_point: state must be one vector, got shape {state.shape}; use jax.vmap for batches.")
    frozen = freeze(system)
    located = locate(frozen, jax.lax.stop_gradient(system.rest(state)), max_steps)
    size = located.residual
    if throw and not isinstance(size, Tracer) and not size <= residual_tolerance(float_dtype(system)):
        raise RuntimeError(f"fixed_point: {RESULTS[RESULTS.not_converged]} Largest residual {float(size):.1e}.")
    return system.lift(attach_gradient(system, located.point, jnp.ones((), bool)))
