"""The interface of every cell, and the one equation that all gated cells share."""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bounds, Float


class Linearisation(NamedTuple):
    """Keep gate and candidate of a gated cell with their first derivatives at one (state, input).

    **Fields** (H hidden units, I inputs):

    - `keep`: z, shape `(H,)`. `keep_state`: dz/dh `(H, H)`. `keep_input`: dz/dx `(H, I)`.
    - `candidate`: c, shape `(H,)`. `candidate_state`: dc/dh `(H, H)`. `candidate_input`: dc/dx `(H, I)`.

    **Source:** chain rule on the relaxation `h' = z h + (1 - z) c`.
    """

    keep: Float[Array, " H"]
    keep_state: Float[Array, "H H"]
    keep_input: Float[Array, "H I"]
    candidate: Float[Array, " H"]
    candidate_state: Float[Array, "H H"]
    candidate_input: Float[Array, "H I"]


class AbstractCell(eqx.Module):
    """One recurrent step `state' = F(state, input)`, unbatched and pure; batch with `jax.vmap`.

    Implement the abstract members and every analysis of this library works on the cell. Two kinds of state occur:

    - the **state** `(S,)` that the step carries (an LSTM carries hidden and cell parts, concatenated);
    - the **resting state** `(R,)`, what is left to solve for at a fixed point after everything that a fixed point
      determines in closed form is eliminated. For single-layer cells it is the hidden output, `(H,)`.

    The residual is a function of the resting state alone and free of the update gate: it vanishes at fixed points and
    nowhere else, however slow the gates are.

    **Shapes:** `state (S,)`, `input (I,)` or `None` for zeros, `resting (R,)`.

    **Source:** Jordan, Sokół, Park (2019), eq. 7, for the gated case.
    """

    input_size: eqx.AbstractVar[int]
    hidden_size: eqx.AbstractVar[int]

    @property
    @abc.abstractmethod
    def state_size(self) -> int:
        """Length S of the carried state."""

    @property
    @abc.abstractmethod
    def resting_size(self) -> int:
        """Length R of the resting state, the unknown of a fixed-point search."""

    @property
    @abc.abstractmethod
    def bounds(self) -> Bounds | None:
        """Trapping box `(lower, upper)` of the resting state, each `(R,)`, or `None` when no box is known."""

    @abc.abstractmethod
    def __call__(self, state: Float[Array, " S"], input: Float[Array, " I"] | None = None) -> Float[Array, " S"]:
        """The next state `F(state, input)`, shape `(S,)`."""

    @abc.abstractmethod
    def jacobians(
        self, state: Float[Array, " S"], input: Float[Array, " I"] | None = None
    ) -> tuple[Float[Array, "S S"], Float[Array, "S I"]]:
        """Derivatives of the step: `(dF/dstate (S, S), dF/dinput (S, I))`."""

    @abc.abstractmethod
    def velocity(self, state: Float[Array, " S"], input: Float[Array, " I"] | None = None) -> Float[Array, " S"]:
        """Right-hand side of the continuous-time cell for unit time constant, shape `(S,)`."""

    @abc.abstractmethod
    def velocity_jacobians(
        self, state: Float[Array, " S"], input: Float[Array, " I"] | None = None
    ) -> tuple[Float[Array, "S S"], Float[Array, "S I"]]:
        """Derivatives of `velocity`: `(d/dstate (S, S), d/dinput (S, I))`."""

    @abc.abstractmethod
    def fixed_point_residual(
        self, resting: Float[Array, " R"], input: Float[Array, " I"] | None = None
    ) -> Float[Array, " R"]:
        """Gate-free residual `G(resting) - resting`, shape `(R,)`; zero exactly at the fixed points."""

    @abc.abstractmethod
    def residual_jacobians(
        self, resting: Float[Array, " R"], input: Float[Array, " I"] | None = None
    ) -> tuple[Float[Array, "R R"], Float[Array, "R I"]]:
        """Derivatives of the residual: `(d/dresting (R, R), d/dinput (R, I))`."""

    @abc.abstractmethod
    def rest(self, state: Float[Array, " S"]) -> Float[Array, " R"]:
        """The resting part of a carried state, shape `(R,)`."""

    @abc.abstractmethod
    def lift(self, resting: Float[Array, " R"], input: Float[Array, " I"] | None = None) -> Float[Array, " S"]:
        """The carried state, shape `(S,)`, that belongs to a resting state at a fixed point."""

    @abc.abstractmethod
    def output(self, state: Float[Array, " S"]) -> Float[Array, " H"]:
        """What the next layer or a readout sees of the state, shape `(H,)`."""


class AbstractGatedCell(AbstractCell):
    """A cell that relaxes toward a candidate, one state variable per unit.

        h' = z(h, x) h + (1 - z(h, x)) c(h, x)        dh/dt = (1 - z)(c - h)        residual = c - h

    `z` in (0, 1) KEEPS the old state. A subclass gives `keep_gate`, `candidate`, `linearise` and `bounds`; the step,
    its Jacobians, the flow and the residual follow and are final. `linearise` may be one line:
    `return autodiff_linearise(self.keep_gate, self.candidate, state, input)`.

    **Shapes:** state, resting state and output are all `(H,)`.

    **Source:** Jordan, Sokół, Park (2019), eqs. 4-7.
    """

    @abc.abstractmethod
    def keep_gate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        """z in [0, 1], shape `(H,)`: the share of the old state that is kept."""

    @abc.abstractmethod
    def candidate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        """c, shape `(H,)`: what the state relaxes to."""

    @abc.abstractmethod
    def linearise(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Linearisation:
        """Gate and candidate with their Jacobians."""

    @property
    def state_size(self) -> int:
        return self.hidden_size

    @property
    def resting_size(self) -> int:
        return self.hidden_size

    def __call__(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        """The next state `z h + (1 - z) c`, shape `(H,)`."""
        z = self.keep_gate(state, input)
        return z * state + (1 - z) * self.candidate(state, input)

    def jacobians(
        self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None
    ) -> tuple[Float[Array, "H H"], Float[Array, "H I"]]:
        in_state, in_input = self.velocity_jacobians(state, input)
        return in_state + jnp.eye(self.hidden_size, dtype=in_state.dtype), in_input

    def velocity(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        return (1 - self.keep_gate(state, input)) * (self.candidate(state, input) - state)

    def velocity_jacobians(
        self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None
    ) -> tuple[Float[Array, "H H"], Float[Array, "H I"]]:
        lin = self.linearise(state, input)
        keep, pull = (1 - lin.keep)[:, None], (state - lin.candidate)[:, None]
        identity = jnp.eye(self.hidden_size, dtype=state.dtype)
        in_state = pull * lin.keep_state + keep * (lin.candidate_state - identity)
        return in_state, pull * lin.keep_input + keep * lin.candidate_input

    def fixed_point_residual(
        self, resting: Float[Array, " H"], input: Float[Array, " I"] | None = None
    ) -> Float[Array, " H"]:
        return self.candidate(resting, input) - resting

    def residual_jacobians(
        self, resting: Float[Array, " H"], input: Float[Array, " I"] | None = None
    ) -> tuple[Float[Array, "H H"], Float[Array, "H I"]]:
        lin = self.linearise(resting, input)
        return lin.candidate_state - jnp.eye(self.hidden_size, dtype=resting.dtype), lin.candidate_input

    def rest(self, state: Float[Array, " H"]) -> Float[Array, " H"]:
        return state

    def lift(self, resting: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        return resting

    def output(self, state: Float[Array, " H"]) -> Float[Array, " H"]:
        return state


def autodiff_linearise(
    keep_gate: Callable[[Array, Array | None], Array],
    candidate: Callable[[Array, Array | None], Array],
    state: Float[Array, " H"],
    input: Float[Array, " I"] | None = None,
) -> Linearisation:
    """`Linearisation` by forward-mode autodiff, for cells whose author has no closed form at hand.

    **Arguments:** `keep_gate` and `candidate`, functions of `(state (H,), input (I,) or None)` returning `(H,)`.

    **Returns:** a `Linearisation`; with `input=None` the input Jacobians have shape `(H, 0)`.

    **Source:** `jax.jacfwd`; about 2 H times the cost of one step.
    """

    def derivatives(function: Callable[[Array, Array | None], Array]) -> tuple[Array, Array]:
        if input is None:
            return jax.jacfwd(function)(state, None), jnp.zeros((state.size, 0), state.dtype)
        return jax.jacfwd(function, argnums=(0, 1))(state, input)  # pyright: ignore[reportReturnType]

    return Linearisation(
        keep_gate(state, input), *derivatives(keep_gate), candidate(state, input), *derivatives(candidate)
    )


def check_vector(name: str, value: Array | None, size: int, cell: str, dtype: jnp.dtype | None = None) -> Array:
    """`value` itself if it has shape `(size,)`; zeros for a missing input; otherwise an error that names the fix.

    Broadcasting would accept `(H, 1)` silently and return a wrong `(H, H)` state.
    """
    if value is None:
        return jnp.zeros((size,), dtype)
    if value.shape != (size,):
        raise ValueError(
            f"{cell}: {name} must have shape ({size},), got {value.shape}. "
            "Cells take one unbatched vector; use jax.vmap for batches."
        )
    return value
