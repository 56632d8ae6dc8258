"""Layers on top of each other, seen as one cell."""

import itertools
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp

from .._types import Array, Bounds, Float
from ._base import AbstractCell, check_vector


class StackedCell(AbstractCell):
    """Several layers as one cell; states are concatenated, first layer first.

        s_1' = F_1(s_1, x)        s_l' = F_l(s_l, out(s_{l-1}'))                  map: a layer sees the new state below
        ds_l/dt = V_l(s_l, out(s_{l-1}))                                          flow: a layer sees the present one
        residual_l = R_l(h_l, h_{l-1})                                            at rest the layer below has settled

    Map and flow share their fixed points, but a forward Euler step of the flow is the map only for one layer.
    Its Jacobians are block lower triangular, so the spectrum is the union of the layers' spectra. Nested stacks are
    flattened.

    **Fields:** `layers`, a tuple of single-layer cells, each with `input_size` equal to the `hidden_size` below it.

    **Shapes:** state `(sum S_l,)`, resting state `(sum H_l,)`, output `(H_last,)`.

    **Source:** Kanai et al. (2017), eqs. 9-11 and Lemma 4.
    """

    layers: tuple[AbstractCell, ...]
    input_size: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)

    def __init__(self, layers: Sequence[AbstractCell]):
        """**Arguments:** `layers`, first layer first.

        **Raises:** `ValueError` when there is no layer or the sizes of two neighbours do not fit.
        """
        flat: list[AbstractCell] = []
        for layer in layers:
            flat.extend(layer.layers if isinstance(layer, StackedCell) else (layer,))
        if not flat:
            raise ValueError("StackedCell: give at least one layer")
        for number, (below, above) in enumerate(itertools.pairwise(flat)):
            if above.input_size != below.hidden_size:
                raise ValueError(
                    f"StackedCell: layer {number + 1} takes inputs of size {above.input_size}, "
                    f"but layer {number} puts out {below.hidden_size}"
                )
        self.layers = tuple(flat)
        self.input_size, self.hidden_size = flat[0].input_size, flat[-1].hidden_size

    @property
    def state_size(self) -> int:
        return sum(layer.state_size for layer in self.layers)

    @property
    def resting_size(self) -> int:
        return sum(layer.resting_size for layer in self.layers)

    @property
    def bounds(self) -> Bounds | None:
        boxes = [layer.bounds for layer in self.layers]
        if any(box is None for box in boxes):
            return None
        lower, upper = zip(*(box for box in boxes if box is not None), strict=True)
        return jnp.concatenate(lower), jnp.concatenate(upper)

    def _split(self, state: Array) -> list[Array]:
        check_vector("state", state, self.state_size, "StackedCell")
        return _cut(state, [layer.state_size for layer in self.layers])

    def _split_resting(self, resting: Array) -> list[Array]:
        check_vector("resting state", resting, self.resting_size, "StackedCell")
        return _cut(resting, [layer.resting_size for layer in self.layers])

    def __call__(self, state: Float[Array, " S"], input: Float[Array, " I"] | None = None) -> Float[Array, " S"]:
        """The next state of all layers, shape `(S,)`."""
        new, below = [], input
        for layer, part in zip(self.layers, self._split(state), strict=True):
            new.append(layer(part, below))
            below = layer.output(new[-1])
        return jnp.concatenate(new)

    def jacobians(
        self, state: Float[Array, " S"], input: Float[Array, " I"] | None = None
    ) -> tuple[Float[Array, "S S"], Float[Array, "S I"]]:
        blocks, below, below_rows = [], input, None
        for layer, part, row in zip(self.layers, self._split(state), self._rows(), strict=True):
            in_state, in_below = layer.jacobians(part, below)
            rows = jnp.zeros((layer.state_size, self.state_size + self.input_size), state.dtype)
            if below_rows is None:
                rows = rows.at[:, self.state_size :].set(in_below)
            else:
                rows = in_below @ below_rows
            rows = rows.at[:, row : row + layer.state_size].add(in_state)
            blocks.append(rows)
            below, below_rows = layer.output(layer(part, below)), rows[: layer.hidden_size]
        whole = jnp.concatenate(blocks)
        return whole[:, : self.state_size], whole[:, self.state_size :]

    def velocity(self, state: Float[Array, " S"], input: Float[Array, " I"] | None = None) -> Float[Array, " S"]:
        rates, below = [], input
        for layer, part in zip(self.layers, self._split(state), strict=True):
            rates.append(layer.velocity(part, below))
            below = layer.output(part)
        return jnp.concatenate(rates)

    def velocity_jacobians(
        self, state: Float[Array, " S"], input: Float[Array, " I"] | None = None
    ) -> tuple[Float[Array, "S S"], Float[Array, "S I"]]:
        pairs, below = [], input
        for layer, part in zip(self.layers, self._split(state), strict=True):
            pairs.append(layer.velocity_jacobians(part, below))
            below = layer.output(part)
        return self._bidiagonal(pairs, [layer.state_size for layer in self.layers], state.dtype)

    def fixed_point_residual(
        self, resting: Float[Array, " R"], input: Float[Array, " I"] | None = None
    ) -> Float[Array, " R"]:
        parts = self._split_resting(resting)
        belows = [input, *parts[:-1]]
        triples = zip(self.layers, parts, belows, strict=True)
        return jnp.concatenate([layer.fixed_point_residual(part, below) for layer, part, below in triples])

    def residual_jacobians(
        self, resting: Float[Array, " R"], input: Float[Array, " I"] | None = None
    ) -> tuple[Float[Array, "R R"], Float[Array, "R I"]]:
        parts = self._split_resting(resting)
        triples = zip(self.layers, parts, [input, *parts[:-1]], strict=True)
        pairs = [layer.residual_jacobians(part, below) for layer, part, below in triples]
        return self._bidiagonal(pairs, [layer.resting_size for layer in self.layers], resting.dtype)

    def rest(self, state: Float[Array, " S"]) -> Float[Array, " R"]:
        return jnp.concatenate([layer.rest(s) for layer, s in zip(self.layers, self._split(state), strict=True)])

    def lift(self, resting: Float[Array, " R"], input: Float[Array, " I"] | None = None) -> Float[Array, " S"]:
        parts = self._split_resting(resting)
        triples = zip(self.layers, parts, [input, *parts[:-1]], strict=True)
        return jnp.concatenate([layer.lift(part, below) for layer, part, below in triples])

    def output(self, state: Float[Array, " S"]) -> Float[Array, " H"]:
        return self.layers[-1].output(self._split(state)[-1])

    def _rows(self) -> list[int]:
        return [sum(layer.state_size for layer in self.layers[:k]) for k in range(len(self.layers))]

    def _bidiagonal(self, pairs: list[tuple[Array, Array]], sizes: list[int], dtype: jnp.dtype) -> tuple[Array, Array]:
        """Blocks `d/dself` on the diagonal, `d/dbelow` under it; a layer's output is the head of its state."""
        total = sum(sizes)
        in_state = jnp.zeros((total, total), dtype)
        in_input = jnp.zeros((total, self.input_size), dtype)
        start = previous = 0
        for number, (own, below) in enumerate(pairs):
            stop = start + sizes[number]
            in_state = in_state.at[start:stop, start:stop].set(own)
            if number == 0:
                in_input = in_input.at[start:stop].set(below)
            else:
                width = self.layers[number - 1].hidden_size
                in_state = in_state.at[start:stop, previous : previous + width].set(below)
            previous, start = start, stop
        return in_state, in_input


def _cut(vector: Array, sizes: list[int]) -> list[Array]:
    parts, start = [], 0
    for size in sizes:
        parts.append(vector[start : start + size])
        start += size
    return parts
