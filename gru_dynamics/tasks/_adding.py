"""Adding: add the two marked numbers of a long sequence."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, Float, PRNGKey, Scalar
from ._base import AbstractGeneratedTask, Batch, always, check_at_least
from ._metrics import mean_squared_error


class Adding(AbstractGeneratedTask):
    """Inputs are (value, marker): values uniform in [0, 1), markers 0 but for one 1 in each half. The last output is
    to be the sum of the two marked values.

        loss = mean (y_T - (v_a + v_b))^2          baseline = Var(v_a + v_b) = 1/6, of the constant 1

    With an odd length the middle belongs to the second half.

    **Fields:** `length`, T.

    **Shapes:** inputs `(B, T, 2)`, targets and weights `(B,)`, outputs `(B, T, 1)` of which the last step counts.

    **Raises:** `ValueError` for a length below 2.

    **Source:** Hochreiter & Schmidhuber (1997), experiment 4, in the form of Mucllari et al. (2022), section 4.3.
    """

    length: int = eqx.field(static=True)

    def __check_init__(self):
        check_at_least("Adding", 2, length=self.length)

    @property
    def input_size(self) -> int:
        return 2

    @property
    def output_size(self) -> int:
        return 1

    @property
    def baseline(self) -> float | None:
        return 1 / 6

    @property
    def floor(self) -> float:
        return 0.0

    def sample(self, key: PRNGKey, batch_size: int) -> Batch:
        for_values, for_first, for_second = jr.split(key, 3)
        values = jr.uniform(for_values, (batch_size, self.length))
        first = jr.randint(for_first, (batch_size, 1), 0, self.length // 2, jnp.int32)
        second = jr.randint(for_second, (batch_size, 1), self.length // 2, self.length, jnp.int32)
        times = jnp.arange(self.length, dtype=first.dtype)[None]
        markers = ((times == first) | (times == second)).astype(values.dtype)
        sums = jnp.sum(values * markers, axis=1)
        return Batch(jnp.stack([values, markers], axis=-1), sums, jnp.ones_like(sums), always())

    def loss(self, outputs: Float[Array, "B T O"], batch: Batch) -> Scalar:
        return mean_squared_error(self.checked(outputs)[:, -1, 0], batch.targets, batch.weights)

    def metrics(self, outputs: Float[Array, "B T O"], batch: Batch) -> dict[str, Scalar]:
        return {"mse": self.loss(outputs, batch)}
