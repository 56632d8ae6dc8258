"""Train one model, or many in one program."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from .._types import Array, ArrayTree, Key, PRNGKey
from ._block import optimiser
from ._drive import Plan, drive
from ._errors import TrainingError
from ._evaluate import batches_of, check_mesh, positive
from ._log import TrainLog
from ._state import Program, TrainState, initial_state

Model = TypeVar("Model")


def fit(
    model: Model,
    task: Any,
    optim: optax.GradientTransformation,
    *,
    steps: int,
    batch_size: int,
    key: PRNGKey,
    block: int = 100,
    validation: Any = None,
    validate_every: int | None = None,
    validation_batches: int | None = None,
    patience: int | None = None,
    out: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    progress: bool = False,
    mesh: Mesh | None = None,
) -> tuple[Model, TrainLog]:
    """Train a model by gradient steps on batches that are made inside one compiled loop.

    All floating-point arrays of the model are trained. A step is taken only where loss, gradient and update are finite;
    otherwise the run stops with the model before that step. Where the task continues from batch to batch, so does the
    state (truncated backpropagation through time). Interrupted from the keyboard, it returns what it has.

    **Arguments:**

    - `model`, a `SequenceModel`, or a module with its `__call__` and `initial_state() -> (S,)`.
    - `task`, an `AbstractTask`; `optim`, an optax transformation, with its schedules inside.
    - `steps` in all; `batch_size` B; `key` of data, dropout and validation; `block`, steps between two looks of the
      host: log, drift, progress.
    - `validation`, a task whose loss is measured every `validate_every` steps (default: `block`) on the same
      `validation_batches` batches (default: one pass, or 1 for generated data). Then the model with the lowest loss is
      returned. `patience` stops the run after as many validations without a better one.
    - `out`, a folder for `log.jsonl` and `checkpoint.safetensors`, which is written every `checkpoint_every` steps
      (default: every minute) and at the end. With `resume` the run goes on from it, bit for bit as if it had not
      stopped.
    - `progress`, a bar on the terminal.
    - `mesh`, devices, of one or several processes, over whose first axis each batch is spread; B is a multiple of their
      number. Only the first process writes.

    **Returns:** the trained model and a `TrainLog` whose `result` says why it ended; `loss (N,)`.

    **Raises:** `TrainingError` for settings that make no run, for a folder that holds a run when `resume` is not set,
    and for a checkpoint that is missing or belongs to another run.

    **Source:** Williams & Peng (1990) for the truncation.
    """
    if not isinstance(optim, optax.GradientTransformation):
        raise TrainingError(f"optim must be an optax transformation, got {type(optim).__name__}; fit_many takes more")
    return _train(
        model,
        task,
        optim,
        None,
        key,
        lanes=False,
        steps=steps,
        batch_size=batch_size,
        block=block,
        validation=validation,
        validate_every=validate_every,
        validation_batches=validation_batches,
        patience=patience,
        out=out,
        checkpoint_every=checkpoint_every,
        resume=resume,
        progress=progress,
        mesh=mesh,
    )


def fit_many(
    models: Model,
    task: Any,
    optim: optax.GradientTransformation | Callable[[Any], optax.GradientTransformation],
    *,
    keys: Key[Array, " L"],
    hypers: Any = None,
    **options: Any,
) -> tuple[Model, TrainLog]:
    """Train L models at once, over seeds and hyper-parameters, in one compiled program.

        models = eqx.filter_vmap(lambda key: SequenceModel(..., key=key))(keys)
        models, log = fit_many(models, task, optax.adam, hypers=rates, keys=keys, steps=..., batch_size=...)

    Each lane is the run that `fit` would make of its model, key and optimiser. A lane that fails or goes stale rests
    while the others go on.

    **Arguments:** `models`, one module whose arrays have a leading axis L; `optim`, an optax transformation, or a
    function that makes one of a lane's part of `hypers`; `hypers`, a pytree of arrays with a leading axis L; `keys`
    `(L,)`, of data, dropout and validation; `options`, those of `fit` but for `key` and `mesh`.

    **Returns:** the trained models and a `TrainLog` with a leading axis L: `loss (L, N)`.

    **Raises:** `TrainingError` as `fit` does, and for leading axes that differ.

    **Source:** none; `jax.vmap` of `fit`.
    """
    _check_lanes(models, hypers, keys)
    # Learning rates in double precision would make updates so, which a model in single precision cannot take.
    dtype = jnp.result_type(*jax.tree.leaves(eqx.filter(models, eqx.is_inexact_array)))
    hypers = jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, hypers)
    return _train(models, task, optim, hypers, keys, lanes=True, mesh=None, **options)


def _train(
    model: Any,
    task: Any,
    optim: Any,
    hyper: Any,
    key: Array,
    *,
    lanes: bool,
    mesh: Mesh | None,
    steps: int,
    batch_size: int,
    block: int = 100,
    validation: Any = None,
    validate_every: int | None = None,
    validation_batches: int | None = None,
    patience: int | None = None,
    out: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    progress: bool = False,
) -> tuple[Any, TrainLog]:
    """`fit` and `fit_many`: check the settings, make the first state, run, and put the model together again."""
    positive(
        steps=steps,
        block=block,
        validate_every=validate_every,
        patience=patience,
        checkpoint_every=checkpoint_every,
    )
    check_mesh(mesh, batch_size)
    if patience is not None and validation is None:
        raise TrainingError("patience needs a validation task; give validation=")
    if resume and out is None:
        raise TrainingError("resume needs the folder of the run; give out=")
    batches = 0 if validation is None else batches_of(validation, batch_size, validation_batches)
    program = Program(task, optim, batch_size, block, patience, validation, batches, lanes, mesh)
    every = block if validate_every is None else validate_every
    plan = Plan(steps, every, checkpoint_every, None if out is None else Path(out), resume, progress)
    params, frozen = _parts(model)

    def start(params: ArrayTree, frozen: ArrayTree, hyper: Any, key: Array) -> TrainState:
        return _start(params, frozen, hyper, key, program)

    state = (eqx.filter_vmap(start) if lanes else start)(params, frozen, hyper, key)
    state, log = drive(state, frozen, hyper, program, plan)
    return _chosen(state, frozen), log


def _parts(model: Any) -> tuple[ArrayTree, ArrayTree]:
    params, frozen = eqx.partition(model, eqx.is_inexact_array)
    if not jax.tree.leaves(params):
        raise TrainingError("the model has no floating-point arrays to train")
    return params, frozen


def _start(params: ArrayTree, frozen: ArrayTree, hyper: Any, key: PRNGKey, program: Program) -> TrainState:
    rest = eqx.combine(params, frozen).initial_state()
    optim = optimiser(program.optim, hyper)
    return initial_state(params, optim, rest, program.batch_size, key, program.validation is not None)


def _chosen(state: TrainState, frozen: ArrayTree) -> Any:
    """The best model where there was a validation, else the last one."""
    if state.best is None:
        return eqx.combine(state.params, frozen)
    validated = state.best_step > 0

    def choose(best: Array, last: Array) -> Array:
        return jnp.where(jnp.expand_dims(validated, tuple(range(validated.ndim, last.ndim))), best, last)

    return eqx.combine(jax.tree.map(choose, state.best, state.params), frozen)


def _check_lanes(models: Any, hypers: Any, keys: Array) -> None:
    sizes = {
        name: sorted({leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))})
        for name, tree in (("models", models), ("hypers", hypers), ("keys", keys))
    }
    if any(found not in ([], [keys.shape[0]]) for found in sizes.values()):
        raise TrainingError(f"fit_many: models, hypers and keys must have one leading axis L, got {sizes}")
