"""The iterates of a map, whose fixed points are its periodic points."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bounds, Float
from ..linalg.intervals import Interval
from ._base import AbstractMap, Enclosure


class Iterate(AbstractMap):
    """The k-th iterate of a map, `state' = F(F(... F(state)))`, k times.

    Its fixed points are the points of period k of the map and of every period that divides k; its eigenvalues there
    are the multipliers of the periodic orbit.

    **Fields:** `map`, any map; `times`, the number k of compositions, at least 1.

    **Shapes:** state `(S,)` -> `(S,)`. The resting state is the full state `(S,)`, since along a periodic orbit nothing
    can be eliminated; the residual is `F^k(state) - state`.

    **Raises:** `ValueError` when `times` is not a positive integer.

    **Source:** Kuznetsov (2004), section 1.2.2; the Jacobian is the chain rule along the orbit.
    """

    map: AbstractMap
    times: int = eqx.field(static=True)

    def __check_init__(self):
        if not isinstance(self.times, int) or self.times < 1:
            raise ValueError(f"Iterate: times must be a positive integer, got {self.times!r}")

    @property
    def resting_size(self) -> int | None:
        size = self.map.resting_size
        if size is None:
            return None
        leaves = jax.tree.leaves(eqx.filter(self.map, eqx.is_inexact_array))
        dtype = leaves[0].dtype if leaves else jnp.zeros(()).dtype
        return jax.eval_shape(self.map.lift, jax.ShapeDtypeStruct((size,), dtype)).shape[0]

    @property
    def bounds(self) -> Bounds | None:
        """A box of resting states that the map cannot leave is one of states only if the two are the same."""
        return self.map.bounds if self.resting_size == self.map.resting_size else None

    def __call__(self, state: Float[Array, " S"], args: Any = None) -> Float[Array, " S"]:
        return _repeat(lambda s: self.map(s, args), state, self.times)

    def residual(self, resting: Float[Array, " S"]) -> Float[Array, " S"]:
        return self(resting) - resting

    def residual_jacobian(self, resting: Float[Array, " S"]) -> Float[Array, "S S"]:
        return self.jacobian(resting) - jnp.eye(resting.size, dtype=resting.dtype)

    def rest(self, state: Float[Array, " S"]) -> Float[Array, " S"]:
        return state

    def lift(self, resting: Float[Array, " S"]) -> Float[Array, " S"]:
        return resting

    def jacobian(self, state: Float[Array, " S"]) -> Float[Array, "S S"]:
        def advance(carry: tuple[Array, Array]) -> tuple[Array, Array]:
            s, product = carry
            return self.map(s), _product(self.map.jacobian(s), product)

        first = self.map(state), self.map.jacobian(state)
        return _repeat(advance, first, self.times - 1)[1]

    def input_jacobian(self, state: Float[Array, " S"]) -> Float[Array, "S I"]:
        def advance(carry: tuple[Array, Array]) -> tuple[Array, Array]:
            s, total = carry
            return self.map(s), _product(self.map.jacobian(s), total) + self.map.input_jacobian(s)

        first = self.map(state), self.map.input_jacobian(state)
        return _repeat(advance, first, self.times - 1)[1]

    def velocity(self, state: Float[Array, " S"]) -> Float[Array, " S"]:
        return self.residual(state)

    def enclose(self, resting: Interval) -> Enclosure:
        raise TypeError(
            "Iterate has no enclosure: that of its map holds at fixed points only, not along an orbit; use "
            "find_fixed_points, or write the iterate as a FunctionMap with `enclosure=`."
        )


def _product(left: Array, right: Array) -> Array:
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


def _repeat(function: Callable[[Any], Any], start: Any, times: int) -> Any:
    # Written out, four steps already compile for longer than the loop, and run no faster.
    return jax.lax.scan(lambda carry, _: (function(carry), None), start, length=times)[0]
