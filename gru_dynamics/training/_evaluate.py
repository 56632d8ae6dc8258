"""Metrics of a model on a task, and the validation of a run."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from .._types import Array, ArrayTree, Float, Int, PRNGKey
from ._batch import draw, forward, replicated, restart, split
from ._errors import TrainingError
from ._state import Program, TrainState, is_active, select


def evaluate(
    model: Any, task: Any, *, key: PRNGKey, batch_size: int, num_batches: int | None = None, mesh: Mesh | None = None
) -> dict[str, Float[Array, ""]]:
    """Loss and metrics over several batches, without dropout.

    Batches are weighted by the sum of their weights, so that the result is the mean over all counted entries; the
    perplexity is averaged as its logarithm. Where the task continues from batch to batch, so does the state.

    **Arguments:** `model`, a `SequenceModel`; `task`, an `AbstractTask`; `key` of the data; `batch_size`;
    `num_batches`, by default one pass over the data, or 1 for generated data; `mesh`, devices to spread a batch over.

    **Returns:** scalars of shape `()` by name: `loss`, and the metrics of the task.

    **Raises:** `TrainingError` for sizes that are not positive or do not fit the mesh.

    **Source:** `perplexity = exp(mean cross-entropy)`.
    """
    num_batches = batches_of(task, batch_size, num_batches)
    check_mesh(mesh, batch_size)
    params, frozen = eqx.partition(model, eqx.is_inexact_array)
    return _evaluate_jitted(params, frozen, task, key, batch_size, num_batches, mesh)


@eqx.filter_jit
def validate(
    state: TrainState, frozen: ArrayTree, program: Program, step: Int[Array | np.ndarray, ""]
) -> tuple[TrainState, dict[str, Array]]:
    """Measure the run on its validation data, the same data each time, and remember the best parameters."""

    def run(state: TrainState, frozen: ArrayTree) -> tuple[TrainState, dict[str, Array]]:
        task, sizes = program.validation, (program.batch_size, program.validation_batches)
        metrics = _evaluate(state.params, frozen, task, state.keys[2], *sizes, program.mesh)
        active = is_active(state, program.patience)
        better = active & (metrics["loss"] < state.best_loss)
        now = (state.params, metrics["loss"], jnp.asarray(step), jnp.zeros_like(state.stale))
        before = (state.best, state.best_loss, state.best_step, state.stale + active.astype(state.stale.dtype))
        best, best_loss, best_step, stale = select(better, now, before)
        state = dataclasses.replace(state, best=best, best_loss=best_loss, best_step=best_step, stale=stale)
        return state, metrics

    return eqx.filter_vmap(run)(state, frozen) if program.lanes else run(state, frozen)


def _evaluate(
    params: ArrayTree, frozen: ArrayTree, task: Any, key: PRNGKey, batch_size: int, num_batches: int, mesh: Mesh | None
) -> dict[str, Array]:
    model = eqx.combine(params, frozen)
    rest = model.initial_state()
    start = jnp.broadcast_to(rest[None, :], (batch_size, rest.size))

    def body(carry: Array, step: Array) -> tuple[Array, tuple[Array, dict[str, Array]]]:
        batch = draw(task, key, step, batch_size, rest.dtype, mesh)
        outputs, carry = forward(model, batch.inputs, split(restart(task, batch, carry, rest), mesh), None)
        values = {"loss": task.loss(outputs, batch), **task.metrics(outputs, batch)}
        return carry, (batch.weights.sum(), {name: value.astype(rest.dtype) for name, value in values.items()})

    steps = jnp.arange(num_batches, dtype=jnp.int32)
    _, (weights, values) = jax.lax.scan(body, start, steps)
    means = {name: _mean(name, value, weights) for name, value in values.items()}
    return replicated(means, mesh)


_evaluate_jitted = eqx.filter_jit(_evaluate)


def _mean(name: str, values: Array, weights: Array) -> Array:
    """Weighted mean; a batch without weight has no say, whatever its value."""
    values = jnp.log(values) if name == "perplexity" else values
    share = weights / weights.sum()
    mean = jnp.where(share > 0, share * values, jnp.zeros_like(values)).sum()
    return jnp.exp(mean) if name == "perplexity" else mean


def positive(**numbers: int | None) -> None:
    """Numbers that must be at least 1 where they are given."""
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise TrainingError(f"{name} must be at least 1, got {value}")


def batches_of(task: Any, batch_size: int, num_batches: int | None) -> int:
    """How many batches an evaluation takes."""
    positive(num_batches=num_batches)
    return (task.steps_per_epoch(batch_size) or 1) if num_batches is None else num_batches


def check_mesh(mesh: Mesh | None, batch_size: int) -> None:
    """A batch must split evenly over the first axis of the mesh."""
    positive(batch_size=batch_size)
    if mesh is not None and batch_size % mesh.shape[mesh.axis_names[0]]:
        devices = mesh.shape[mesh.axis_names[0]]
        raise TrainingError(
            f"batch_size must be a multiple of the {devices} devices of the mesh, got {batch_size}; "
            f"take {-(-batch_size // devices) * devices}"
        )
