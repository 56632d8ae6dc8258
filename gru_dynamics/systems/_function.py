"""Any user function as a map or a flow."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, ArrayLike, ArrayTree, Bounds, Float
from ..linalg.intervals import Interval
from ._base import AbstractFlow, AbstractMap, AbstractSystem, Enclosure

FunctionEnclosure = Callable[[Any, Any], Any]


def _box(bounds: tuple[ArrayLike, ArrayLike] | None) -> Bounds | None:
    if bounds is None:
        return None
    lower, upper = (jnp.asarray(end, jnp.zeros(()).dtype) for end in bounds)
    if lower.ndim != 1 or lower.shape != upper.shape:
        raise ValueError(f"bounds must be two vectors of the same length, got shapes {lower.shape} and {upper.shape}")
    return lower, upper


class _AbstractFunctionSystem(AbstractSystem):
    """What map and flow of a function have in common: the resting state is the state."""

    box: eqx.AbstractVar[Bounds | None]
    enclosure: eqx.AbstractVar[FunctionEnclosure | None]

    @property
    def resting_size(self) -> int | None:
        return None if self.box is None else self.box[0].size

    @property
    def bounds(self) -> Bounds | None:
        return self.box

    def residual_jacobian(self, resting: Float[Array, " S"]) -> Float[Array, "S S"]:
        return jax.jacfwd(self.residual)(resting)

    def rest(self, state: Float[Array, " S"]) -> Float[Array, " S"]:
        return state

    def lift(self, resting: Float[Array, " S"]) -> Float[Array, " S"]:
        return resting

    def input_jacobian(self, state: Float[Array, " S"]) -> Float[Array, "S I"]:
        return jnp.zeros((state.size, 0), state.dtype)

    def _enclose(self, state: Interval, args: ArrayTree) -> tuple[Interval, Interval]:
        if self.enclosure is None:
            raise TypeError(
                f"this {type(self).__name__} has no enclosure, so nothing can be proven about its fixed points; give "
                "it `enclosure=`, a function (box, args) -> (value, jacobian) on gru_dynamics.linalg.Interval."
            )
        return self.enclosure(state, args)


class FunctionMap(_AbstractFunctionSystem, AbstractMap):
    """The map `state' = function(state, args)`.

    **Fields:** `function`, called with a state `(S,)` and `args`; `args`, a pytree of parameters that `Family` may
    vary; `bounds`, two vectors `(S,)`: a box that the map sends into itself, which gives the index certificate, or
    `None`; `enclosure`, for proofs: `(box, args) -> (value, jacobian)`, three `Interval` of shapes `(S,)`,
    `(S,)` and `(S, S)`, that hold every value and derivative of the function in the box, or `None`.

    **Shapes:** state `(S,)` -> `(S,)`. The resting state is the state; the residual is `function(state, args) - state`.

    **Raises:** `ValueError` when `bounds` are not two vectors of one length.

    **Source:** the signature is that of optimistix.
    """

    function: Callable[[Any, Any], Any]
    args: ArrayTree
    box: Bounds | None
    enclosure: FunctionEnclosure | None

    def __init__(
        self,
        function: Callable[[Any, Any], Any],
        args: ArrayTree = None,
        *,
        bounds: tuple[ArrayLike, ArrayLike] | None = None,
        enclosure: FunctionEnclosure | None = None,
    ):
        self.function, self.args, self.box, self.enclosure = function, args, _box(bounds), enclosure

    def __call__(self, state: Float[Array, " S"], args: ArrayTree = None) -> Float[Array, " S"]:
        return self.function(state, self.args if args is None else args)

    def residual(self, resting: Float[Array, " S"]) -> Float[Array, " S"]:
        return self(resting) - resting

    def jacobian(self, state: Float[Array, " S"]) -> Float[Array, "S S"]:
        return jax.jacfwd(self)(state)

    def velocity(self, state: Float[Array, " S"]) -> Float[Array, " S"]:
        return self(state) - state

    def enclose(self, resting: Interval) -> Enclosure:
        value, jacobian = self._enclose(resting, self.args)
        return Enclosure(value - resting, jacobian - jnp.eye(resting.shape[0]), value, jacobian)


class FunctionFlow(_AbstractFunctionSystem, AbstractFlow):
    """The flow `dstate/dt = function(t, state, args)`, autonomous; analyses evaluate it at `t = 0`.

    **Fields:** `function`, called with a time `()`, a state `(S,)` and `args`; `args`, a pytree of parameters that
    `Family` may vary; `bounds`, two vectors `(S,)`: a box on whose boundary the field points inward, which gives the
    index certificate, or `None`; `enclosure`, for proofs: `(box, args) -> (value, jacobian)`, three `Interval` of
    shapes `(S,)`, `(S,)` and `(S, S)`, that hold every value and derivative of the function in the box, or `None`.

    **Shapes:** state `(S,)` -> `(S,)`. The resting state is the state; the residual is the vector field.

    **Raises:** `ValueError` when `bounds` are not two vectors of one length.

    **Source:** the signature is that of diffrax.
    """

    function: Callable[[Any, Any, Any], Any]
    args: ArrayTree
    box: Bounds | None
    enclosure: FunctionEnclosure | None

    def __init__(
        self,
        function: Callable[[Any, Any, Any], Any],
        args: ArrayTree = None,
        *,
        bounds: tuple[ArrayLike, ArrayLike] | None = None,
        enclosure: FunctionEnclosure | None = None,
    ):
        self.function, self.args, self.box, self.enclosure = function, args, _box(bounds), enclosure

    def __call__(self, t: Any, state: Float[Array, " S"], args: ArrayTree = None) -> Float[Array, " S"]:
        return self.function(t, state, self.args if args is None else args)

    def residual(self, resting: Float[Array, " S"]) -> Float[Array, " S"]:
        return self(jnp.zeros((), resting.dtype), resting)

    def jacobian(self, state: Float[Array, " S"]) -> Float[Array, "S S"]:
        return self.residual_jacobian(state)

    def velocity(self, state: Float[Array, " S"]) -> Float[Array, " S"]:
        return self.residual(state)

    def enclose(self, resting: Interval) -> Enclosure:
        value, jacobian = self._enclose(resting, self.args)
        return Enclosure(value, jacobian, None, jacobian)
