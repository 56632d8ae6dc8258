"""Denoise: pick the data out of the noise, remember them, say them in order."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, Int, PRNGKey
from ._base import check_at_least
from ._collisions import collision_floor
from ._recall import AbstractRecallTask


class Denoise(AbstractRecallTask):
    """Repeat the M data symbols that are scattered over the first T + M - 1 steps, one step after the marker.

        input    M symbols in 1..S at random places among T - 1 blanks   S+1   0 .. 0 (M)        S = 9, M = 10
        target   0 .. 0 (T + M)                                                d_1 .. d_M

    The paper scatters over T steps and does not say how long the sequence is; this is the released layout, of length
    T + 2M. The released code draws the places with replacement: where places coincide only the last of their symbols
    is seen but all are asked for, so no model gets below a positive `floor`. It also leaves the marker out of
    its one-hot code, so that its inputs are one narrower than these.

    **Fields:** `length`, T; `num_symbols`, S; `num_items`, M; `replacement`, draw the places as released.

    **Shapes:** inputs `(B, T + 2M, S + 2)` one-hot, targets and weights `(B, T + 2M)`, outputs `(B, T + 2M, S + 1)`.

    **Raises:** `ValueError` for sizes below 1.

    **Source:** Jing et al. (2019) in the form of Mucllari et al. (2022), section 4.2, and its released code.
    """

    length: int = eqx.field(static=True)
    num_symbols: int = eqx.field(static=True, kw_only=True, default=9)
    num_items: int = eqx.field(static=True, kw_only=True, default=10)
    replacement: bool = eqx.field(static=True, kw_only=True, default=False)

    def __check_init__(self):
        check_at_least("Denoise", 1, length=self.length, num_symbols=self.num_symbols, num_items=self.num_items)

    @property
    def num_places(self) -> int:
        """Steps before the marker, T + M - 1."""
        return self.length + self.num_items - 1

    @property
    def floor(self) -> float:
        """0, or with replacement the mean entropy of the targets given the inputs, by exact enumeration."""
        if not self.replacement:
            return 0.0
        total = collision_floor(self.num_places, self.num_items, self.num_symbols)
        return total / (self.length + 2 * self.num_items)

    def show(self, key: PRNGKey, batch_size: int) -> tuple[Int[Array, "B T"], Int[Array, "B M"]]:
        for_items, for_places = jr.split(key)
        items = jr.randint(for_items, (batch_size, self.num_items), 1, self.num_symbols + 1, jnp.int32)
        places = self._places(for_places, batch_size)
        # Of equal places only the last is written: scattering twice to one place has no defined order.
        is_last = jnp.pad(places[:, 1:] != places[:, :-1], ((0, 0), (0, 1)), constant_values=True)
        places = jnp.where(is_last, places, self.num_places)
        empty = jnp.zeros((self.num_places,), items.dtype)
        scattered = jax.vmap(lambda place, item: empty.at[place].set(item, mode="drop"))(places, items)
        marker = jnp.full((batch_size, 1), self.num_symbols + 1, items.dtype)
        return jnp.concatenate([scattered, marker, jnp.zeros_like(items)], axis=1), items

    def _places(self, key: PRNGKey, batch_size: int) -> Int[Array, "B M"]:
        """Places in increasing order."""
        if self.replacement:
            return jnp.sort(jr.randint(key, (batch_size, self.num_items), 0, self.num_places, jnp.int32), axis=1)
        # The M largest of independent uniform numbers stand at M places without replacement.
        _, places = jax.lax.top_k(jr.uniform(key, (batch_size, self.num_places)), self.num_items)
        return jnp.sort(places, axis=1)
