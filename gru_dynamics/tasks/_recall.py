"""What Copying and Denoise share: symbols are shown, and later asked for in order at the end of the sequence."""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Float, Int, PRNGKey, Scalar
from ._base import AbstractGeneratedTask, Batch, always
from ._metrics import accuracy, cross_entropy


class AbstractRecallTask(AbstractGeneratedTask):
    """M items out of S symbols are shown, then asked for in order in the last M of T + 2M steps.

    Input symbols are 0 for blank, 1 to S for items and S + 1 for the marker; output classes 0 to S. The loss is the
    cross-entropy over all steps. Without memory the best is 0 before the end and 1/S each there:

        baseline = M ln S / (T + 2M)

    **Fields:** `length`, T; `num_symbols`, S; `num_items`, M.

    **Shapes:** inputs `(B, T + 2M, S + 2)` one-hot, targets and weights `(B, T + 2M)`, outputs `(B, T + 2M, S + 1)`.

    **Source:** Mucllari et al. (2022), sections 4.2 and 4.4.
    """

    length: eqx.AbstractVar[int]
    num_symbols: eqx.AbstractVar[int]
    num_items: eqx.AbstractVar[int]

    @abc.abstractmethod
    def show(self, key: PRNGKey, batch_size: int) -> tuple[Int[Array, "B T"], Int[Array, "B M"]]:
        """Input symbols `(B, T + 2M)` and the items to recall `(B, M)`."""

    @property
    def input_size(self) -> int:
        return self.num_symbols + 2

    @property
    def output_size(self) -> int:
        return self.num_symbols + 1

    @property
    def baseline(self) -> float | None:
        return self.num_items * math.log(self.num_symbols) / (self.length + 2 * self.num_items)

    def sample(self, key: PRNGKey, batch_size: int) -> Batch:
        shown, items = self.show(key, batch_size)
        targets = jnp.pad(items, ((0, 0), (shown.shape[1] - self.num_items, 0)))
        return Batch(jax.nn.one_hot(shown, self.input_size), targets, jnp.ones(shown.shape), always())

    def loss(self, outputs: Float[Array, "B T O"], batch: Batch) -> Scalar:
        return cross_entropy(self.checked(outputs), batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "B T O"], batch: Batch) -> dict[str, Scalar]:
        """`cross_entropy` over all steps and `accuracy` of the recalled items alone, each `()`."""
        last = slice(-self.num_items, None)
        recalled = accuracy(outputs[:, last], batch.targets[:, last], batch.weights[:, last])
        return {"cross_entropy": self.loss(outputs, batch), "accuracy": recalled}
