"""What a training run did, as arrays."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._results import RESULTS
from .._types import Array, Bool, Float, Int
from ._state import TrainState


class TrainLog(eqx.Module):
    """History of N steps of one run; of L runs at once, each array has a leading axis L.

    **Fields:**

    - `loss (N,)`, `grad_norm (N,)`: loss and global norm of the gradient of each step, before it was taken; nan where
      they were not finite, or where the run had ended. `taken (N,)`: whether the step was taken.
    - `drift`: path of each orthogonal matrix -> `||W^T W - I||_2`, `(K,)`, after the steps `drift_step (K,)`.
    - `validation`: metric -> `(V,)`, after the steps `validation_step (V,)`; `best_step ()` has the lowest loss, and 0
      means that there was no validation.
    - `failed_step ()`: number, from 1, of the step whose loss, gradient or update was not finite; 0 if none.
    - `result ()`: successful, or why the run ended before its last step.

    **Source:** the pattern of `diffrax.Solution`.
    """

    loss: Float[Array, "*L N"]
    grad_norm: Float[Array, "*L N"]
    taken: Bool[Array, "*L N"]
    drift: dict[str, Float[Array, "*L K"]]
    drift_step: Int[Array, " K"]
    validation: dict[str, Float[Array, "*L V"]]
    validation_step: Int[Array, " V"]
    best_step: Int[Array, "*L"]
    failed_step: Int[Array, "*L"]
    result: RESULTS


def read_rows(rows: list[dict[str, Any]], state: TrainState, patience: int | None, interrupted: bool) -> TrainLog:
    """The log of the rows of a journal."""
    dtype, lanes = state.best_loss.dtype, state.failed.shape
    steps = [row for row in rows if "loss" in row]
    drifts = [row for row in rows if "drift" in row]
    validations = [row for row in rows if "validation" in row]

    def column(values: list[Any], kind: Any = dtype) -> Array:
        # Rows have the lanes behind the steps; null becomes nan.
        return jnp.asarray(np.moveaxis(np.array(values, kind).reshape(len(values), *lanes), 0, -1))

    def columns(rows: list[dict[str, Any]], name: str) -> dict[str, Array]:
        return {key: column([row[name][key] for row in rows]) for key in (rows[0][name] if rows else ())}

    def numbers(rows: list[dict[str, Any]]) -> Array:
        return jnp.asarray(np.array([row["step"] for row in rows], np.int32))

    return TrainLog(
        loss=column([row["loss"] for row in steps]),
        grad_norm=column([row["grad_norm"] for row in steps]),
        taken=column([row["taken"] for row in steps], bool),
        drift=columns(drifts, "drift"),
        drift_step=numbers(drifts),
        validation=columns(validations, "validation"),
        validation_step=numbers(validations),
        best_step=state.best_step,
        failed_step=state.failed,
        result=_result(state, patience, interrupted),
    )


def _result(state: TrainState, patience: int | None, interrupted: bool) -> RESULTS:
    def one(failed: Array, stale: Array) -> RESULTS:
        stopped = jnp.zeros_like(failed, bool) if patience is None else stale >= patience
        running = RESULTS.interrupted if interrupted else RESULTS.successful
        ended = RESULTS.where(stopped, RESULTS.stopped_early, running)
        return RESULTS.where(failed > 0, RESULTS.training_diverged, ended)

    return (jax.vmap(one) if state.failed.ndim else one)(state.failed, state.stale)
