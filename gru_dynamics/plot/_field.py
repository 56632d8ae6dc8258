"""The one thing pictures compute: the given system on a grid or at given states."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._types import Array, ArrayLike, Complex, Float
from ..fixed_points import linearise
from ..systems import AbstractSystem


def states_like(system: AbstractSystem, states: ArrayLike) -> Array:
    """States in the float dtype of the system's own arrays, or JAX's default when it has none."""
    leaves = jax.tree.leaves(eqx.filter(system, eqx.is_inexact_array))
    return jnp.asarray(states, jnp.result_type(*leaves) if leaves else jnp.zeros(()).dtype)


def on_grid(system: AbstractSystem, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Velocity and residual on the grid `x` by `y`, each of shape `(2, len(y), len(x))`."""
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    velocity, residual = _field(system, states_like(system, grid.reshape(-1, 2)))
    return _to_grid(velocity, grid.shape), _to_grid(residual, grid.shape)


def modes(system: AbstractSystem, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues `(N, S)` and eigenvectors in columns `(N, S, S)` at the states `(N, S)`."""
    values, vectors = _modes(system, states_like(system, states))
    return np.asarray(values), np.asarray(vectors)


@eqx.filter_jit
def _field(system: AbstractSystem, states: Float[Array, "N 2"]) -> tuple[Float[Array, "N 2"], Float[Array, "N 2"]]:
    """Velocity, and what vanishes on the nullclines: the gate-free residual where it lives in the same plane."""
    velocity = jax.vmap(system.velocity)(states)
    resting = jax.vmap(system.rest)(states)
    return velocity, jax.vmap(system.residual)(resting) if resting.shape == states.shape else velocity


@eqx.filter_jit
def _modes(
    system: AbstractSystem, states: Float[Array, "N S"]
) -> tuple[Complex[Array, "N S"], Complex[Array, "N S S"]]:
    linear = jax.vmap(linearise, in_axes=(None, 0))(system, states)
    return linear.eigenvalues, linear.right


def _to_grid(values: Array, shape: tuple[int, ...]) -> np.ndarray:
    return np.moveaxis(np.asarray(values).reshape(shape), -1, 0)
