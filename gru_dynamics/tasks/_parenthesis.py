"""Parenthesis: count what is still open, for several kinds of parentheses at once."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from .._types import Array, Float, Int, PRNGKey, Scalar
from ._base import AbstractGeneratedTask, Batch, always, check_at_least
from ._metrics import accuracy, cross_entropy, mean_squared_error

# Counts run from 0 to 5 and stay there when one more is opened, or closed at 0.
_HIGHEST = 5


class Parenthesis(AbstractGeneratedTask):
    """At each step, how many parentheses of each kind are open, counted up to 5.

        n' = clip(n + 1, 0, 5) at "(",   clip(n - 1, 0, 5) at ")",   n otherwise

    Symbols are uniform over one noise symbol (0), K opening (1 to K) and K closing ones (K + 1 to 2K). The paper's
    variant has K = 10 and, as the paper names no loss, the mean cross-entropy over the kinds; the released one has
    K = 3 and the mean squared error of the one-hot counts. `baseline` is the best constant, by the distribution of the
    count over all steps.

    **Fields:** `length`, T; `variant`, `"paper"` or `"released"`.

    **Shapes:** inputs `(B, T, 2K + 1)` one-hot, targets `(B, T, K)` counts, weights `(B, T)`, outputs `(B, T, 6K)`,
    six in a row for each kind.

    **Raises:** `ValueError` for a length below 1 or another variant.

    **Source:** Foerster et al. (2017) and Jing et al. (2019) in the form of Mucllari et al. (2022), section 4.1, and
    its released code.
    """

    length: int = eqx.field(static=True)
    variant: Literal["paper", "released"] = eqx.field(static=True, kw_only=True, default="paper")

    def __check_init__(self):
        check_at_least("Parenthesis", 1, length=self.length)
        if self.variant not in ("paper", "released"):
            raise ValueError(f"Parenthesis: variant must be 'paper' or 'released', got {self.variant!r}")

    @property
    def num_kinds(self) -> int:
        """K, kinds of parentheses."""
        return 10 if self.variant == "paper" else 3

    @property
    def input_size(self) -> int:
        return 2 * self.num_kinds + 1

    @property
    def output_size(self) -> int:
        return (_HIGHEST + 1) * self.num_kinds

    @property
    def baseline(self) -> float | None:
        p = _mean_distribution(self.length, 1 / self.input_size)
        if self.variant == "paper":
            return float(-np.sum(p * np.log(np.where(p > 0, p, 1))))
        return float((1 - np.sum(p**2)) / (_HIGHEST + 1))

    @property
    def floor(self) -> float:
        return 0.0

    def sample(self, key: PRNGKey, batch_size: int) -> Batch:
        symbols = jr.randint(key, (batch_size, self.length), 0, self.input_size, jnp.int32)
        kinds = jnp.arange(1, self.num_kinds + 1, dtype=symbols.dtype)[None, None]
        opened = symbols[..., None] == kinds
        closed = symbols[..., None] == kinds + self.num_kinds
        counts = _clipped_sum(opened.astype(symbols.dtype) - closed.astype(symbols.dtype))
        return Batch(jax.nn.one_hot(symbols, self.input_size), counts, jnp.ones(symbols.shape), always())

    def loss(self, outputs: Float[Array, "B T O"], batch: Batch) -> Scalar:
        logits, weights = self._by_kind(outputs, batch)
        if self.variant == "paper":
            return cross_entropy(logits, batch.targets, weights)
        one_hot = jax.nn.one_hot(batch.targets, _HIGHEST + 1, dtype=logits.dtype)
        return mean_squared_error(logits, one_hot, jnp.broadcast_to(weights[..., None], logits.shape))

    def metrics(self, outputs: Float[Array, "B T O"], batch: Batch) -> dict[str, Scalar]:
        """The loss, named `cross_entropy` or `mse`, and the `accuracy` of the counts, each `()`."""
        logits, weights = self._by_kind(outputs, batch)
        name = "cross_entropy" if self.variant == "paper" else "mse"
        return {name: self.loss(outputs, batch), "accuracy": accuracy(logits, batch.targets, weights)}

    def _by_kind(self, outputs: Array, batch: Batch) -> tuple[Float[Array, "B T K 6"], Float[Array, "B T K"]]:
        logits = self.checked(outputs).reshape(*batch.targets.shape, _HIGHEST + 1)
        return logits, jnp.broadcast_to(batch.weights[..., None], batch.targets.shape)


def _clipped_sum(steps: Int[Array, "B T K"]) -> Int[Array, "B T K"]:
    """`n_t = clip(n_{t-1} + step_t, 0, 5)` from `n_0 = 0`, along axis 1."""

    def add(count: Array, step: Array) -> tuple[Array, Array]:
        count = jnp.clip(count + step, 0, _HIGHEST)
        return count, count

    _, counts = jax.lax.scan(add, jnp.zeros_like(steps[:, 0]), jnp.swapaxes(steps, 0, 1))
    return jnp.swapaxes(counts, 0, 1)


def _mean_distribution(length: int, probability: float) -> np.ndarray:
    """Distribution over 0..5 of a count at a random step, opened and closed with this probability each."""
    levels = np.arange(_HIGHEST + 1)
    transition = (1 - 2 * probability) * np.eye(_HIGHEST + 1)
    for move in (-1, 1):
        transition[levels, np.clip(levels + move, 0, _HIGHEST)] += probability
    now, total = np.eye(_HIGHEST + 1)[0], np.zeros(_HIGHEST + 1)
    for _ in range(length):
        now = now @ transition
        total += now
    return total / length
