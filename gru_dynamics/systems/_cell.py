"""A recurrent cell at constant input, as a map and as a flow."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, ArrayLike, Bounds, Float, Scalar
from ..cells import AbstractCell, CellEnclosure, Enclosable
from ..linalg.intervals import Interval
from ._base import AbstractFlow, AbstractMap, AbstractSystem, Enclosure


def _constant_input(cell: AbstractCell, input: ArrayLike | None) -> Array | None:
    if input is None:
        return None
    value = jnp.asarray(input)
    if value.shape != (cell.input_size,):
        raise ValueError(f"the constant input must have shape ({cell.input_size},), got {value.shape}")
    return value


class _AbstractCellSystem(AbstractSystem):
    """What map and flow of a cell have in common: everything about fixed points."""

    cell: eqx.AbstractVar[AbstractCell]
    input: eqx.AbstractVar[Float[Array, " I"] | None]

    @property
    def resting_size(self) -> int:
        return self.cell.resting_size

    @property
    def bounds(self) -> Bounds | None:
        return self.cell.bounds

    def residual(self, resting: Float[Array, " R"]) -> Float[Array, " R"]:
        return self.cell.fixed_point_residual(resting, self.input)

    def residual_jacobian(self, resting: Float[Array, " R"]) -> Float[Array, "R R"]:
        return self.cell.residual_jacobians(resting, self.input)[0]

    def rest(self, state: Float[Array, " S"]) -> Float[Array, " R"]:
        return self.cell.rest(state)

    def lift(self, resting: Float[Array, " R"]) -> Float[Array, " S"]:
        return self.cell.lift(resting, self.input)

    def _enclose(self, resting: Interval) -> CellEnclosure:
        if not isinstance(self.cell, Enclosable):
            raise TypeError(
                f"{type(self.cell).__name__} has no enclosure, so nothing can be proven about its fixed points; use "
                "find_fixed_points, or give the cell a method `enclose` (see gru_dynamics.cells.Enclosable)."
            )
        return self.cell.enclose(resting, self.input)


class CellMap(_AbstractCellSystem, AbstractMap):
    """The discrete map `state' = cell(state, input)` at a constant input.

    **Fields:** `cell`; `input`, shape `(I,)`, or `None` for zeros.

    **Shapes:** state `(S,)`, resting state `(R,)`, both as the cell's.

    **Raises:** `ValueError` when the input does not have the cell's size.

    **Source:** Cho et al. (2014) for the step; the residual is that of Jordan et al. (2019), eq. 7, without its gate.
    """

    cell: AbstractCell
    input: Float[Array, " I"] | None

    def __init__(self, cell: AbstractCell, input: ArrayLike | None = None):
        self.cell, self.input = cell, _constant_input(cell, input)

    def __call__(self, state: Float[Array, " S"], args: Any = None) -> Float[Array, " S"]:
        return self.cell(state, self.input)

    def jacobian(self, state: Float[Array, " S"]) -> Float[Array, "S S"]:
        return self.cell.jacobians(state, self.input)[0]

    def input_jacobian(self, state: Float[Array, " S"]) -> Float[Array, "S I"]:
        return self.cell.jacobians(state, self.input)[1]

    def velocity(self, state: Float[Array, " S"]) -> Float[Array, " S"]:
        return self.cell(state, self.input) - state

    def enclose(self, resting: Interval) -> Enclosure:
        cell = self._enclose(resting)
        identity = jnp.eye(resting.shape[0])
        return Enclosure(cell.image - resting, cell.image_jacobian - identity, cell.image, cell.step_jacobian)


class CellFlow(_AbstractCellSystem, AbstractFlow):
    """The continuous-time cell at a constant input.

        tau dh/dt = (1 - z(h, x)) (c(h, x) - h)                    gated cells

    For a single layer, forward Euler with `dt = tau` is the map of the same cell; map and flow share fixed points.

    **Fields:** `cell`; `input`, shape `(I,)`, or `None` for zeros; `tau`, the time constant, shape `()`, in the
    units of time that `integrate` uses.

    **Shapes:** state `(S,)`, resting state `(R,)`, both as the cell's.

    **Raises:** `ValueError` when the input does not have the cell's size.

    **Source:** Jordan, Sokół, Park (2019), eq. 7.
    """

    cell: AbstractCell
    input: Float[Array, " I"] | None
    tau: Scalar

    def __init__(self, cell: AbstractCell, input: ArrayLike | None = None, tau: ArrayLike = 1.0):
        self.cell, self.input = cell, _constant_input(cell, input)
        leaves = jax.tree.leaves(eqx.filter(cell, eqx.is_inexact_array))
        self.tau = jnp.asarray(tau, leaves[0].dtype if leaves else None)

    def __call__(self, t: Any, state: Float[Array, " S"], args: Any = None) -> Float[Array, " S"]:
        return self.velocity(state)

    def jacobian(self, state: Float[Array, " S"]) -> Float[Array, "S S"]:
        return self.cell.velocity_jacobians(state, self.input)[0] / self.tau

    def input_jacobian(self, state: Float[Array, " S"]) -> Float[Array, "S I"]:
        return self.cell.velocity_jacobians(state, self.input)[1] / self.tau

    def velocity(self, state: Float[Array, " S"]) -> Float[Array, " S"]:
        return self.cell.velocity(state, self.input) / self.tau

    def enclose(self, resting: Interval) -> Enclosure:
        cell = self._enclose(resting)
        identity = jnp.eye(resting.shape[0])
        jacobian = cell.velocity_jacobian / self.tau
        return Enclosure(cell.image - resting, cell.image_jacobian - identity, cell.image, jacobian)
