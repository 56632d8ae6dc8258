"""What every analysis asks of a system."""

import abc
from typing import Any, NamedTuple

import equinox as eqx

from .._types import Array, Bounds, Float
from ..linalg.intervals import Interval


class Enclosure(NamedTuple):
    """Boxes that hold what a system does anywhere in a box of resting states.

    **Fields** (R resting, S state variables), all `Interval`:

    - `residual (R,)` and `residual_jacobian (R, R)`.
    - `image (R,)`: holds every fixed point in the box (the candidate of a cell), or `None` when nothing is known.
    - `jacobian (S, S)`: of the step (map) or the vector field (flow) at the **fixed points** in the box.

    **Source:** Rump (2010), section 5, inclusion functions.
    """

    residual: Interval
    residual_jacobian: Interval
    image: Interval | None
    jacobian: Interval


class AbstractSystem(eqx.Module):
    """An autonomous dynamical system on vectors of shape `(S,)`, either an `AbstractMap` or an `AbstractFlow`.

    Fixed points are sought as zeros of `residual`, a function of the **resting state** `(R,)`; `lift` turns a resting
    state into a state. For all systems but LSTM cells and stacks of them the two are the same vector. The residual is
    signed so that a contraction has index +1: `sign det(-d residual)`.

    **Source:** the interface follows the separation of equation and method in diffrax.
    """

    @property
    @abc.abstractmethod
    def resting_size(self) -> int | None:
        """R, or `None` when the system does not know its own dimension."""

    @property
    @abc.abstractmethod
    def bounds(self) -> Bounds | None:
        """Box `(lower, upper)`, each `(R,)`, that traps all trajectories and holds every fixed point; `None` if none
        is known. On it the fixed-point indices sum to +1."""

    @abc.abstractmethod
    def residual(self, resting: Float[Array, " R"]) -> Float[Array, " R"]:
        """Zero exactly at the fixed points, shape `(R,)`; gate-free for cells."""

    @abc.abstractmethod
    def residual_jacobian(self, resting: Float[Array, " R"]) -> Float[Array, "R R"]:
        """Derivative of `residual`, shape `(R, R)`."""

    @abc.abstractmethod
    def rest(self, state: Float[Array, " S"]) -> Float[Array, " R"]:
        """Resting part of a state."""

    @abc.abstractmethod
    def lift(self, resting: Float[Array, " R"]) -> Float[Array, " S"]:
        """State of a fixed point from its resting part."""

    @abc.abstractmethod
    def jacobian(self, state: Float[Array, " S"]) -> Float[Array, "S S"]:
        """Derivative of the step (map) or of the vector field (flow), shape `(S, S)`."""

    @abc.abstractmethod
    def input_jacobian(self, state: Float[Array, " S"]) -> Float[Array, "S I"]:
        """Derivative of the step or vector field in the constant input, shape `(S, I)`; `(S, 0)` without an input."""

    @abc.abstractmethod
    def velocity(self, state: Float[Array, " S"]) -> Float[Array, " S"]:
        """`F(state) - state` for a map, the vector field for a flow; its norm is the speed."""

    @abc.abstractmethod
    def enclose(self, resting: Interval) -> Enclosure:
        """What the system does in the box `resting`, shape `(R,)`. Raises `TypeError`, saying what to do, when the
        cell or function has no enclosure."""


class AbstractMap(AbstractSystem):
    """A discrete-time system `state' = F(state)`, called `step(state, args=None)`.

    **Shapes:** state `(S,)` -> `(S,)`. A fixed point is stable when all eigenvalues of `jacobian` lie inside the unit
    circle.

    **Source:** Kuznetsov (2004), section 1.3.
    """

    @abc.abstractmethod
    def __call__(self, state: Float[Array, " S"], args: Any = None) -> Float[Array, " S"]:
        """The next state, shape `(S,)`."""


class AbstractFlow(AbstractSystem):
    """A continuous-time system `dstate/dt = f(state)`, called `flow(t, state, args=None)` as diffrax calls a term.

    **Shapes:** time `()`, state `(S,)` -> `(S,)`. A fixed point is stable when all eigenvalues of `jacobian` have
    negative real part.

    **Source:** Kuznetsov (2004), section 1.2; the call signature is diffrax's.
    """

    @abc.abstractmethod
    def __call__(self, t: Any, state: Float[Array, " S"], args: Any = None) -> Float[Array, " S"]:
        """The vector field at `state`, shape `(S,)`."""


def jacobian(system: AbstractSystem, state: Float[Array, " S"]) -> Float[Array, "S S"]:
    """Derivative of the step of a map, `dF/dstate`, or of the vector field of a flow, `df/dstate`.

    **Arguments:** `system`; `state` of shape `(S,)`.

    **Returns:** matrix `(S, S)`, row = output. Closed form for cells, forward-mode autodiff for functions.

    **Raises:** `ValueError` when `state` is not a vector.

    **Source:** Kuznetsov (2004), sections 1.2 and 1.3.
    """
    if state.ndim != 1:
        raise ValueError(f"jacobian: state must be one vector, got shape {state.shape}; use jax.vmap for batches.")
    return system.jacobian(state)
