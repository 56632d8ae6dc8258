"""Copying: remember ten digits over a long blank."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, Int, PRNGKey
from ._base import check_at_least
from ._recall import AbstractRecallTask


class Copying(AbstractRecallTask):
    """Repeat M random digits after T blanks, beginning at the marker.

        input    d_1 .. d_M   0 .. 0 (T)   S+1   0 .. 0 (M - 1)          with digits d in 1..S, S = 8, M = 10
        target   0 .. 0 (T + M)            d_1 .. d_M                    baseline = M ln S / (T + 2M)

    **Fields:** `length`, T; `num_symbols`, S; `num_items`, M.

    **Shapes:** inputs `(B, T + 2M, S + 2)` one-hot, targets and weights `(B, T + 2M)`, outputs `(B, T + 2M, S + 1)`.

    **Raises:** `ValueError` for sizes below 1.

    **Source:** Hochreiter & Schmidhuber (1997) in the form of Mucllari et al. (2022), section 4.4.
    """

    length: int = eqx.field(static=True)
    num_symbols: int = eqx.field(static=True, kw_only=True, default=8)
    num_items: int = eqx.field(static=True, kw_only=True, default=10)

    def __check_init__(self):
        check_at_least("Copying", 1, length=self.length, num_symbols=self.num_symbols, num_items=self.num_items)

    @property
    def floor(self) -> float:
        return 0.0

    def show(self, key: PRNGKey, batch_size: int) -> tuple[Int[Array, "B T"], Int[Array, "B M"]]:
        digits = jr.randint(key, (batch_size, self.num_items), 1, self.num_symbols + 1, jnp.int32)
        marker = jnp.full((batch_size, 1), self.num_symbols + 1, digits.dtype)
        blank = jnp.zeros((batch_size, self.length), digits.dtype)
        return jnp.concatenate([digits, blank, marker, jnp.zeros_like(digits)[:, 1:]], axis=1), digits
