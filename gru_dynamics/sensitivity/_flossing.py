"""Lyapunov exponents as a training penalty."""

import jax.numpy as jnp

from .._types import Array, ArrayLike, Float, Scalar
from ..cells import AbstractCell
from ..systems import AbstractFlow, AbstractMap
from ._lyapunov import lyapunov_spectrum


def flossing_penalty(
    system: AbstractMap | AbstractFlow | AbstractCell,
    state: Float[Array, " S"],
    inputs: Float[Array, "T I"] | None = None,
    num_exponents: int = 1,
    target: ArrayLike = 0.0,
    *,
    num_steps: int | None = None,
    burn_in: int = 0,
    interval: int = 1,
    time_step: ArrayLike | None = None,
) -> Scalar:
    """Penalty that drives the leading Lyapunov exponents to a target, for use beside a loss or before training.

        sum_i (lambda_i - target_i)^2

    Exponents near zero keep gradients from vanishing and exploding over T steps. The gradient goes through the
    trajectory and the orthonormalisations; it is exact for the finite sequence, so keep that as short as the task
    asks, and the exponents of a batch apart (`jax.vmap`, then the mean).

    **Arguments:** `system`; `state (S,)`; `inputs (T, I)`, for cells; `num_exponents`, k; `target`, a number or `(k,)`
    in descending order; `num_steps`, instead of inputs; `burn_in`, steps that are not counted; `interval` and
    `time_step` as for `lyapunov_spectrum`.

    **Returns:** scalar `()`, differentiable in the weights and in `state`.

    **Raises:** `ValueError` as `lyapunov_spectrum`.

    **Source:** Engelken (2023), eq. 5.
    """
    found = lyapunov_spectrum(
        system,
        state,
        num_steps=num_steps,
        num_exponents=num_exponents,
        inputs=inputs,
        burn_in=burn_in,
        interval=interval,
        time_step=time_step,
        throw=False,
    )
    gap = found.exponents - jnp.asarray(target, found.exponents.dtype)
    return jnp.sum(gap * gap)
