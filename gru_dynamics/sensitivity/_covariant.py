"""Covariant Lyapunov vectors: the directions that the tangent map carries onto each other."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayLike, Float
from ..cells import AbstractCell
from ..fixed_points._precision import highest_precision
from ..systems import AbstractFlow, AbstractMap
from ._lyapunov_checks import check_number, check_state, check_system
from ._lyapunov_run import settle
from ._lyapunov_tangent import TangentMap, is_lost, start_basis, tangent_map, triangularise


class CovariantVectors(eqx.Module):
    """A piece of trajectory with its covariant vectors: `DF(s_t) v_{t,i} = +- exp(growth_{t,i}) v_{t+1,i}`.

    **Fields** (T steps, S state variables, k vectors): `state (T + 1, S)`; `vectors (T + 1, S, k)`, unit columns, the
    fastest growing first; `growth (T, k)`, per step; `result`, a `RESULTS` item.

    **Source:** Ginelli et al. (2007).
    """

    state: Float[Array, "*batch M S"]
    vectors: Float[Array, "*batch M S k"]
    growth: Float[Array, "*batch T k"]
    result: RESULTS

    def angles(self, num_expanding: int) -> Float[Array, "*batch M"]:
        """Smallest angle between the span of the first vectors and that of the others at each state, in radians, shape
        `(T + 1,)`. Bounded away from zero where the dynamics is hyperbolic."""
        k = self.vectors.shape[-1]
        if not 0 < num_expanding < k:
            raise ValueError(f"angles: num_expanding must be between 1 and {k - 1}, got {num_expanding}")
        first = jnp.linalg.qr(self.vectors[..., :num_expanding])[0]
        # Sines instead of cosines: exact for small angles.
        rest = jnp.linalg.qr(self.vectors[..., num_expanding:])[0]
        apart = rest - first @ (first.mT @ rest)
        sines = jnp.linalg.svd(apart, compute_uv=False)[..., -1]
        return jnp.arcsin(jnp.clip(sines, 0, 1))


def covariant_vectors(
    system: AbstractMap | AbstractFlow | AbstractCell,
    state: Float[Array, " S"],
    *,
    num_steps: int | None = None,
    num_vectors: int | None = None,
    inputs: Float[Array, "N I"] | None = None,
    burn_in: int = 500,
    tail: int = 500,
    time_step: ArrayLike | None = None,
    throw: bool = True,
) -> CovariantVectors:
    """Covariant Lyapunov vectors along a trajectory.

    1. Forward through `burn_in`, `num_steps` and `tail` steps: orthonormal bases `Q_t` and factors `R_t`.
    2. Backward from any upper triangular C: `C_{t-1} = R_t^{-1} C_t` with columns normalised. After the tail C has
       turned into the coefficients of the covariant vectors, `V_t = Q_t C_t`.

    Burn-in and tail have to be several times `1 / (lambda_i - lambda_{i+1})` steps.

    **Arguments:** `system`, `state (S,)`, `inputs` and `time_step` as for `lyapunov_spectrum`; `num_steps`, T, with
    `inputs (N, I)` what is left of them, `N - burn_in - tail`; `num_vectors`, k, by default S; `burn_in`; `tail`;
    `throw`, raise when it fails.

    **Returns:** `CovariantVectors`. Memory `(T + tail) k^2 + T S k` numbers.

    **Raises:** `ValueError` for shapes and numbers that make no sense; `RuntimeError` with `throw` when the inputs are
    too short, the trajectory explodes, or a Jacobian is singular (not inside `jax.jit` or `jax.vmap`).

    **Source:** Ginelli et al. (2007), eqs. 1-4.
    """
    where = "covariant_vectors"
    state = check_state(where, state, None)
    check_system(where, system, inputs, time_step)
    size = state.shape[0]
    k = check_number(where, num_vectors, size, None)
    if burn_in < 0 or tail < 0 or (num_steps is not None and num_steps < 1):
        raise ValueError(f"{where}: burn_in and tail must not be negative, and num_steps at least 1.")
    if (num_steps is None) == (inputs is None):
        raise ValueError(f"{where}: give either `num_steps` or, for a cell, `inputs`.")
    dt = None if time_step is None else jnp.asarray(time_step, state.dtype)
    tangent = tangent_map(system, dt, k, size)
    if inputs is not None:
        num_steps = len(inputs) - burn_in - tail
        if num_steps < 1:
            raise ValueError(
                f"{where}: {len(inputs)} inputs are too few for burn_in {burn_in} and tail {tail}; shorten these."
            )
    assert num_steps is not None
    before, after = (None, None) if inputs is None else (inputs[:burn_in], inputs[burn_in:])
    basis = start_basis(size, k, state.dtype)
    if burn_in:
        state, basis, _ = settle(tangent, state, basis, before, burn_in)
    found = _carry(tangent, state, basis, after, num_steps, tail)
    if throw:
        raise_failure(where, found.result)
    return found


@eqx.filter_jit
@highest_precision
def _carry(
    tangent: TangentMap, state: Array, basis: Array, inputs: Array | None, num_steps: int, tail: int
) -> CovariantVectors:
    def forward(carry: tuple[Array, Array], x: Array | None) -> tuple[tuple[Array, Array], Any]:
        state, basis = carry
        state, A = tangent(state, basis, x)
        basis, R = triangularise(A)
        return (state, basis), (state, basis, R)

    def beyond(carry: tuple[Array, Array], x: Array | None) -> tuple[tuple[Array, Array], Array]:
        carry, (_, _, R) = forward(carry, x)
        return carry, R

    def backward(C: Array, R: Array) -> tuple[Array, tuple[Array, Array]]:
        C = jax.scipy.linalg.solve_triangular(R, C)
        length = jnp.linalg.norm(C, axis=0)
        C = C / length[None]
        return C, (C, -jnp.log(length))

    along, past = (None, None) if inputs is None else (inputs[:num_steps], inputs[num_steps:])
    end, (states, bases, factors) = jax.lax.scan(forward, (state, basis), along, length=num_steps)
    _, later = jax.lax.scan(beyond, end, past, length=tail)
    k = basis.shape[1]
    # Any upper triangular matrix with ones on its diagonal does.
    C = jnp.triu(jnp.ones((k, k), basis.dtype))
    last, _ = jax.lax.scan(backward, C / jnp.linalg.norm(C, axis=0)[None], later, reverse=True)
    _, (before, growth) = jax.lax.scan(backward, last, factors, reverse=True)
    coefficients = jnp.concatenate([before, last[None]])
    bases = jnp.concatenate([basis[None], bases])
    states = jnp.concatenate([state[None], states])
    lost = jnp.any(jax.vmap(is_lost)(factors)) | jnp.any(jax.vmap(is_lost)(later))
    result = RESULTS.where(lost, RESULTS.singular_jacobian, RESULTS.successful)
    result = RESULTS.where(jnp.all(jnp.isfinite(states)), result, RESULTS.trajectory_exploded)
    return CovariantVectors(states, bases @ coefficients, growth, result)
