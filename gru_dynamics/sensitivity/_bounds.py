"""How much one step of a cell can stretch a gradient."""

import equinox as eqx

from .._types import Array, Float, Scalar
from ..cells import AbstractCell
from ..fixed_points._precision import highest_precision
from ..linalg import spectral_norm
from ._bounds_box import jacobian_norm_range
from ._bounds_gates import gate_bound

_METHODS = ("jacobian", "theorem1", "interval")


class GradientBound(eqx.Module):
    """A bound on the norm of a one-step Jacobian beside the norm itself.

    **Fields**, each `()`: `bound`, at least `measured`; `measured`, the largest singular value of the Jacobian.

    **Source:** none; a record.
    """

    bound: Scalar
    measured: Scalar


def gradient_bound(
    cell: AbstractCell,
    state: Float[Array, " S"],
    input: Float[Array, " I"] | None = None,
    *,
    method: str = "jacobian",
    splits: int = 64,
) -> GradientBound:
    """How much one step of a cell can stretch a gradient that is propagated through it, `||dstate'/dstate||_2`.

    - `"jacobian"`: the largest singular value of the Jacobian at the state. The best bound there is, of order S^3.
    - `"theorem1"`: from the sizes of gates and matrices at the state, see `gate_bound`. Looser, for any direction of
      change of the matrices that keeps their norms.
    - `"interval"`: a bound for all states of the trapping box at once, see `jacobian_norm_range`. It holds along any
      trajectory at this input: the norm of a product of T Jacobians is at most its T-th power.

    Works under `jax.jit` and `jax.vmap`.

    **Arguments:** `cell`; `state (S,)`; `input (I,)` or `None` for zeros; `method`; `splits` of the box, for
    `"interval"`.

    **Returns:** a `GradientBound`.

    **Raises:** `ValueError` for an unknown method, wrong shapes, and a cell without a trapping box; `TypeError` for a
    cell with which the method can do nothing.

    **Source:** Mucllari et al. (2022), Theorem 1; Pascanu, Mikolov, Bengio (2013), section 2.1.
    """
    if method not in _METHODS:
        raise ValueError(f"gradient_bound: method must be one of {', '.join(_METHODS)}, got {method!r}")
    if state.shape != (cell.state_size,):
        raise ValueError(
            f"gradient_bound: state must have shape ({cell.state_size},), got {state.shape}; use jax.vmap for batches"
        )
    if method == "theorem1":
        found = gate_bound(cell, state, input)
        return GradientBound(found.bound, found.measured)
    measured = _norm(cell, state, input)
    if method == "jacobian":
        return GradientBound(measured, measured)
    return GradientBound(jacobian_norm_range(cell, input, splits=splits).bound, measured)


@eqx.filter_jit
@highest_precision
def _norm(cell: AbstractCell, state: Array, input: Array | None) -> Array:
    return spectral_norm(cell.jacobians(state, input)[0])
