"""Mucllari et al. (2022): corollaries 1 to 3 of Theorem 1 (`sensitivity.gate_bound`), as printed and corrected."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float, Scalar
from ..cells import GRUCell, NCGRUCell
from ..linalg import cayley_inverse, inverse_residual, neumann_step, product, run_after, spectral_norm
from ..sensitivity._bounds_gates import gate_bound
from ._theorem import Inequality


@eqx.filter_jit
def corollary_1(cell: GRUCell, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Inequality:
    """A bound for all states and gates.

        ||dh'/dh||_2 <= ||U_z||_2 / 2 + 1 + (||U_r||_2 / 4 + 1) ||U_c||_2           for |h_i| <= 1, |c_i| <= 1

    The proof needs absolute values, which tanh and h_0 = 0 give; that `c_i >= 0`, as it says, is not so.

    **Arguments:** `cell`, with `reset="before"`; `state (H,)` in [-1, 1]^H; `input (I,)` or `None`.

    **Returns:** an `Inequality` of shape `()` for the norm of the Jacobian.

    **Source:** Mucllari et al. (2022), Corollary 1, eq. 13.
    """
    found = gate_bound(cell, state, input)
    assert cell.U_r is not None
    matrices = jnp.stack([cell.U_z, cell.U_r, cell.U_c])
    of_z, of_r, of_c = spectral_norm(run_after(matrices, found.bound))
    return Inequality(of_z / 2 + 1 + (of_r / 4 + 1) * of_c, found.measured)


@eqx.filter_jit
def corollary_2(
    cell: GRUCell | NCGRUCell,
    state: Float[Array, " H"],
    input: Float[Array, " I"] | None = None,
    *,
    alike: bool = False,
    as_printed: bool = False,
) -> Inequality:
    """The bound for gates that are nearly open or closed.

        alpha + beta <= 2 + e,   or <= 1 + max z_i - min z_i + e           e = delta_z s ||U_z||_2 + delta_r m ||U_r||_2

    with m = max |h_i| and s = m + max |c_i|, at most 1 and 2 for tanh. Printed is 2, or 1 where all gates are alike,
    with no e: but gates of matrices with large norms turn fast also where they are nearly closed. For the second claim
    the update gates have to be alike; the reset gates need not be.

    **Arguments:** `cell`, with `reset="before"`; `state (H,)`; `input (I,)` or `None`; `alike`, the second claim;
    `as_printed`.

    **Returns:** an `Inequality` of shape `()` for `alpha + beta`.

    **Source:** Mucllari et al. (2022), Corollary 2, eqs. 14, 15.
    """
    found = gate_bound(cell, state, input)
    measured = found.alpha + found.beta
    if as_printed:
        return Inequality(jnp.full_like(measured, 1.0 if alike else 2.0), measured)
    assert cell.U_r is not None
    of_z, of_r = spectral_norm(run_after(jnp.stack([cell.U_z, cell.U_r]), found.bound))
    keep, reset = cell.keep_gate(state, input), cell.reset_gate(state, input)
    size = jnp.max(jnp.abs(state))
    reach = size + jnp.max(jnp.abs(cell.candidate(state, input)))
    bound = 1 + jnp.max(keep) - jnp.min(keep) if alike else jnp.full_like(measured, 2.0)
    turning = jnp.max(keep * (1 - keep)) * reach * of_z + jnp.max(reset * (1 - reset)) * size * of_r
    return Inequality(bound + turning, measured)


@eqx.filter_jit
def corollary_3(
    cell: NCGRUCell,
    state: Float[Array, " H"],
    input: Float[Array, " I"] | None = None,
    *,
    alike: bool = False,
    as_printed: bool = False,
) -> Inequality:
    """The bound for an orthogonal cell whose gates are nearly open or closed: Corollary 2 with `||U_c||_2 = 1`.

    Printed is 2, or 1 where all gates are alike. Its proof takes |h_i| <= 1 from tanh, but modReLU is not bounded; see
    `hypotheses`.

    **Arguments:** as `corollary_2`.

    **Returns:** an `Inequality` of shape `()` for the norm of the Jacobian.

    **Source:** Mucllari et al. (2022), Corollary 3, eqs. 21, 22.
    """
    found = gate_bound(cell, state, input)
    bound = corollary_2(cell, state, input, alike=alike, as_printed=as_printed).bound
    return Inequality(bound, found.measured)


class Hypotheses(eqx.Module):
    """Which hypotheses of Corollary 3 hold at a state.

    **Fields**, each `()`: `orthogonal`, whether `U_r` and `U_c` are; `state_bounded` and `candidate_bounded`, whether
    no `|h_i|`, `|c_i|` exceeds 1; `continuous`, whether modReLU has no jump (no positive bias); `gates_from_binary`,
    the largest distance of a gate from 0 and 1.

    **Source:** Mucllari et al. (2022), Corollary 3 and section 8.
    """

    orthogonal: Bool[Array, ""]
    state_bounded: Bool[Array, ""]
    candidate_bounded: Bool[Array, ""]
    continuous: Bool[Array, ""]
    gates_from_binary: Scalar


@eqx.filter_jit
def hypotheses(cell: NCGRUCell, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Hypotheses:
    """What the proof of Corollary 3 uses, checked at a state of an orthogonal cell.

    **Arguments:** `cell`; `state (H,)`; `input (I,)` or `None`.

    **Returns:** `Hypotheses`.

    **Source:** Mucllari et al. (2022), Corollary 3 and section 8.
    """
    matrices = jnp.stack([cell.U_r, cell.U_c])
    defect = product(matrices.mT, matrices) - jnp.eye(cell.hidden_size, dtype=matrices.dtype)[None]
    gates = jnp.stack([cell.keep_gate(state, input), cell.reset_gate(state, input)])
    return Hypotheses(
        jnp.max(jnp.abs(defect)) < jnp.sqrt(jnp.finfo(defect.dtype).eps),
        jnp.max(jnp.abs(state)) <= 1,
        jnp.max(jnp.abs(cell.candidate(state, input))) <= 1,
        jnp.all(cell.b_c <= 0),
        jnp.max(jnp.minimum(gates, 1 - gates)),
    )


@eqx.filter_jit
def algorithm_1(skew: Float[Array, "n n"], changes: Float[Array, "T n n"], *, as_printed: bool = False) -> Inequality:
    """How far line 7 of Algorithm 1 leaves the inverse X of I + A, `||I - X (I + A)||_2`.

    One step from the exact inverse leaves `||E^3||_2 <= ||E||_2^3` with `E = X dA`. The paper's remark on the order of
    the error is about one such step; the algorithm is open loop, and what one step leaves no later step takes away.

    **Arguments:** `skew`, A, `(n, n)`; `changes`, dA, `(T, n, n)`; `as_printed`, all T steps without a reset, else
    each from the exact inverse.

    **Returns:** an `Inequality` of shape `()`: the error at the end, or the largest of all steps, and the largest
    `||E||_2^3`.

    **Source:** Mucllari et al. (2022), Algorithm 1, line 7, and section 3.2.
    """

    def step(carry: tuple[Array, Array], change: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        skew, inverse = carry
        inverse = inverse if as_printed else cayley_inverse(skew)
        size = product(inverse, change)
        skew, inverse = skew - change, neumann_step(inverse, change, 2)
        return (skew, inverse), (inverse_residual(inverse, skew), size)

    _, (left, size) = jax.lax.scan(step, (skew, cayley_inverse(skew)), changes)
    norms = spectral_norm(jnp.concatenate([left, size]))
    steps = changes.shape[0]
    error = norms[steps - 1] if as_printed else jnp.max(norms[:steps])
    return Inequality(jnp.max(norms[steps:]) ** 3, error)
