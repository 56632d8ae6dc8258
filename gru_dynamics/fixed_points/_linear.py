"""The linear system at a fixed point."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Complex, Float
from ..linalg import eigensystem
from ..systems import AbstractMap, AbstractSystem
from ._precision import highest_precision


class LinearSystem(eqx.Module):
    """The linearisation `s' = s* + A (s - s*) + B (x - x*)` of a map, or `ds/dt = A (s - s*) + B (x - x*)` of a flow.

    **Fields** (S states, I inputs):

    - `A (S, S)`, `B (S, I)`: Jacobians in state and input.
    - `eigenvalues (S,)`; `right (S, S)`, eigenvectors in columns; `left (S, S)`, in rows, with `left @ right = I`.
      Input along `left[k]` is what mode k remembers; the state moves along `right[:, k]`.
    - `time_constants (S,)`: steps (map) or time (flow) in which a mode decays to 1/e, negative for growing modes:
      `-1 / ln|lambda|` or `-1 / Re lambda`.
    - `frequencies (S,)`: cycles per step or per unit of time, `arg(lambda) / 2 pi` or `Im(lambda) / 2 pi`.
    - `gain (S, I)`: how the fixed point moves with a constant input, `(I - A)^-1 B` or `-A^-1 B`.

    **Source:** Sussillo & Barak (2013), section 2; Maheswaranathan et al. (2019) for the modes.
    """

    A: Float[Array, "S S"]
    B: Float[Array, "S I"]
    eigenvalues: Complex[Array, " S"]
    right: Complex[Array, "S S"]
    left: Complex[Array, "S S"]
    time_constants: Float[Array, " S"]
    frequencies: Float[Array, " S"]
    gain: Float[Array, "S I"]


@highest_precision
def linearise(system: AbstractSystem, state: Float[Array, " S"]) -> LinearSystem:
    """Linear system at one fixed point; batch over points with `jax.vmap(linearise, in_axes=(None, 0))`.

    **Arguments:** `system`; `state`, a fixed point, shape `(S,)`.

    **Returns:** a `LinearSystem`, modes ordered as in `FixedPoints`: slowest decay or fastest growth first.

    **Raises:** `ValueError` when `state` is not one vector.

    **Source:** Kuznetsov (2004), section 2.2.
    """
    if state.ndim != 1:
        raise ValueError(f"linearise: state must be one vector, got shape {state.shape}; use jax.vmap for batches.")
    A, B = system.jacobian(state), system.input_jacobian(state)
    values, right, left = eigensystem(A)
    order = _spectral_order(system, values)
    values, right, left = values[order], right[:, order], left[order]
    turn = 2 * jnp.pi
    if isinstance(system, AbstractMap):
        time_constants, frequencies = -1 / jnp.log(jnp.abs(values)), jnp.angle(values) / turn
        stiffness = jnp.eye(state.size, dtype=A.dtype) - A
    else:
        time_constants, frequencies = -1 / values.real, values.imag / turn
        stiffness = -A
    return LinearSystem(A, B, values, right, left, time_constants, frequencies, jnp.linalg.solve(stiffness, B))


def sort_spectrum(system: AbstractSystem, values: Complex[Array, " S"]) -> Complex[Array, " S"]:
    """Eigenvalues by modulus (map) or real part (flow), falling; of a pair the positive imaginary part first."""
    return values[jax.lax.stop_gradient(_spectral_order(system, values))]


def _spectral_order(system: AbstractSystem, values: Complex[Array, " S"]) -> Array:
    leading = jnp.abs(values) if isinstance(system, AbstractMap) else values.real
    index = jnp.arange(values.size, dtype=jnp.int32)
    return jax.lax.sort((-leading, -values.imag, index), num_keys=2)[2]
