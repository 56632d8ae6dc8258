"""A bound on the one-step Jacobian of a gated cell from the sizes of its gates and matrices."""

import functools

import equinox as eqx
import jax.numpy as jnp

from .._types import Array, Float, Scalar
from ..cells import AbstractCell, GRUCell, NCGRUCell
from ..fixed_points._precision import highest_precision
from ..linalg import spectral_norm


class GateBound(eqx.Module):
    """What the sizes of gates and matrices say about the norm of a one-step Jacobian, `bound = alpha + beta ||U_c||_2`.

    **Fields**, each `()`: `bound`; `measured`, the norm `sigma_1` of the Jacobian itself; `alpha`, `beta`.

    **Source:** Mucllari et al. (2022), Theorem 1.
    """

    bound: Scalar
    measured: Scalar
    alpha: Scalar
    beta: Scalar


def gate_bound(
    cell: AbstractCell,
    state: Float[Array, " H"],
    input: Float[Array, " I"] | None = None,
    *,
    as_printed: bool = False,
) -> GateBound:
    """Bound on the norm of the one-step Jacobian `dh'/dh` of a gated recurrent unit.

        ||dh'/dh||_2 <= alpha + beta ||U_c||_2
        alpha = delta_u (max |h_i| + max |c_i|) ||U_z||_2 + max z_i
        beta = max(1 - z_i) (delta_r ||U_r||_2 max |h_i| + max r_i)
        delta_u = max z_i (1 - z_i),   delta_r = max r_i (1 - r_i)

    with the keep gate z, which is `1 - u` of the paper. It holds for every candidate whose activation has a slope of at
    most 1 and is differentiable at the state, for tanh as for modReLU. For `reset="after"` the reset gate multiplies
    `U_c h + b_hc` instead of h, so its part, with `max |U_c h + b_hc|` for `max |h_i|`, moves into alpha; for
    `reset=None`, `beta = max(1 - z_i)`.

    **Arguments:** `cell`, a `GRUCell` or an `NCGRUCell`; `state (H,)`; `input (I,)` or `None` for zeros;
    `as_printed=True`, with `max h_i` and `max c_i` as in the paper: then it is not a bound, and false where these are
    negative.

    **Returns:** a `GateBound`.

    **Raises:** `TypeError` for cells without these gates; `ValueError` for wrong shapes.

    **Source:** Mucllari et al. (2022), Theorem 1, eqs. 8-12; corrected by absolute values.
    """
    if not isinstance(cell, GRUCell | NCGRUCell):
        raise TypeError(
            f"gate_bound: expected a GRUCell or an NCGRUCell, got {type(cell).__name__}; for other cells use "
            'gradient_bound with method="jacobian"'
        )
    return _gate_bound(cell, state, input, as_printed)


@eqx.filter_jit
@highest_precision
def _gate_bound(cell: GRUCell | NCGRUCell, state: Array, input: Array | None, as_printed: bool) -> GateBound:
    keep, candidate = cell.keep_gate(state, input), cell.candidate(state, input)
    reset = cell.reset_gate(state, input)
    jacobian = cell.jacobians(state, input)[0]
    U_r = jnp.zeros_like(cell.U_c) if cell.U_r is None else cell.U_r
    # One decomposition for all four.
    of_r, of_z, of_c, measured = spectral_norm(jnp.stack([U_r, cell.U_z, cell.U_c, jacobian]))
    largest = jnp.max if as_printed else functools.partial(jnp.linalg.norm, ord=jnp.inf)
    delta_u, delta_r = jnp.max(keep * (1 - keep)), jnp.max(reset * (1 - reset))
    opening = jnp.max(1 - keep)
    alpha = delta_u * (largest(state) + largest(candidate)) * of_z + jnp.max(keep)
    if isinstance(cell, GRUCell) and cell.reset == "after":
        drive = cell.U_c @ state
        drive = drive if cell.b_hc is None else drive + cell.b_hc
        alpha = alpha + opening * delta_r * of_r * largest(drive)
        beta = opening * jnp.max(reset)
    else:
        beta = opening * (delta_r * of_r * largest(state) + jnp.max(reset))
    return GateBound(alpha + beta * of_c, measured, alpha, beta)
