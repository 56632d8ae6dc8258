"""What a task is: batches from a key, an objective, metrics, and two numbers to compare a loss with."""

import abc

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, Bool, Float, Int, PRNGKey, Scalar, Shaped


class Batch(eqx.Module):
    """B sequences of T steps with what is asked of them.

    **Fields:** `inputs`, real or one-hot `(B, T, I)` or symbols `(B, T)`; `targets`, shape `(B, ...)` as the task says;
    `weights`, `(B, T)` or `(B,)`, how much each target counts (0 for padding); `start ()`, whether a carried state must
    be reset before this batch.

    **Source:** the interface between tasks and training of this library.
    """

    inputs: Float[Array, "B T I"] | Int[Array, "B T"]
    targets: Shaped[Array, "B ..."]
    weights: Float[Array, "B *rest"]
    start: Bool[Array, ""]


class AbstractTask(eqx.Module):
    """Data and a loss, without a model. Implement the abstract members and `fit` trains on it.

    **Shapes:** outputs `(B, T, O)`, inputs and targets as in `Batch`. Losses are in nats.

    **Source:** the interface between tasks and training of this library.
    """

    @property
    @abc.abstractmethod
    def input_size(self) -> int:
        """Width I of the inputs, or the number of symbols when `tokens`."""

    @property
    @abc.abstractmethod
    def output_size(self) -> int:
        """Width O of the outputs."""

    @property
    @abc.abstractmethod
    def tokens(self) -> bool:
        """Whether inputs are symbols `(B, T)` to be embedded."""

    @property
    @abc.abstractmethod
    def carries_state(self) -> bool:
        """Whether each batch continues the one before, so that the state is carried over."""

    @property
    @abc.abstractmethod
    def baseline(self) -> float | None:
        """The loss of a predictor without memory, `None` where it is not known."""

    @property
    @abc.abstractmethod
    def floor(self) -> float:
        """The loss that nothing beats on average."""

    @abc.abstractmethod
    def batch(self, key: PRNGKey, step: Int[Array, ""] | int, batch_size: int) -> Batch:
        """Batch number `step`: a pure function of its arguments. `step` may be traced, `batch_size` may not."""

    @abc.abstractmethod
    def loss(self, outputs: Float[Array, "B T O"], batch: Batch) -> Scalar:
        """The objective, shape `()`: a mean over everything that counts in the batch."""

    @abc.abstractmethod
    def metrics(self, outputs: Float[Array, "B T O"], batch: Batch) -> dict[str, Scalar]:
        """What to report, each `()`; among them the objective under its own name."""

    @abc.abstractmethod
    def steps_per_epoch(self, batch_size: int) -> int | None:
        """Batches after which the data begin again, `None` where they never end."""

    def checked(self, outputs: Float[Array, "B T O"]) -> Float[Array, "B T O"]:
        """`outputs` themselves. Raises `ValueError` when their width is not `output_size`: too few classes would give
        a loss of nan."""
        if outputs.shape[-1] != self.output_size:
            raise ValueError(
                f"{type(self).__name__}: outputs must have {self.output_size} columns, got shape {outputs.shape}; "
                "give the model output_size=task.output_size"
            )
        return outputs


class AbstractGeneratedTask(AbstractTask):
    """A task whose batches are drawn afresh: implement `sample`, and batch number n is drawn from `fold_in(key, n)`.

    **Shapes:** inputs `(B, T, I)`, outputs `(B, T, O)`.

    **Source:** `jax.random.fold_in`.
    """

    @abc.abstractmethod
    def sample(self, key: PRNGKey, batch_size: int) -> Batch:
        """B fresh sequences."""

    @property
    def tokens(self) -> bool:
        return False

    @property
    def carries_state(self) -> bool:
        return False

    def batch(self, key: PRNGKey, step: Int[Array, ""] | int, batch_size: int) -> Batch:
        return self.sample(jr.fold_in(key, step), batch_size)

    def steps_per_epoch(self, batch_size: int) -> int | None:
        return None


def always() -> Bool[Array, ""]:
    """`start` of sequences that do not continue anything."""
    return jnp.asarray(True)


def check_at_least(task: str, smallest: int, **sizes: int) -> None:
    """One line for a size that is too small."""
    for name, size in sizes.items():
        if size < smallest:
            raise ValueError(f"{task}: {name} must be at least {smallest}, got {size}")
