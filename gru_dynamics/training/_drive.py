"""The host's side of training: block after block, with a log, checkpoints and a progress bar."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
import tqdm

from .._types import ArrayTree
from ._batch import place, place_state, spread_out
from ._block import train_block
from ._checkpoint import Saved, load_checkpoint, save_checkpoint
from ._drift import orthogonality_drift
from ._errors import TrainingError
from ._evaluate import validate
from ._journal import Journal
from ._log import TrainLog, read_rows
from ._state import Program, TrainState, is_active

CHECKPOINT, LOG = "checkpoint.safetensors", "log.jsonl"
_SECONDS = 60.0


class Plan(NamedTuple):
    """What the host decides: how long, and where to write."""

    steps: int
    validate_every: int
    checkpoint_every: int | None
    out: Path | None
    resume: bool
    progress: bool


def drive(
    state: TrainState, frozen: ArrayTree, hyper: Any, program: Program, plan: Plan
) -> tuple[TrainState, TrainLog]:
    """Run the plan to its end, or until the runs have ended or the user interrupts. What is in memory then, a whole
    number of blocks, is what is written and returned."""
    setup = _setup(program)
    session, journal = _begin(state, program, plan, setup)
    hyper, frozen, program = place((hyper, frozen, program), program.mesh)
    interrupted = False
    saved_step, saved_time = session.step, time.monotonic()
    bar = tqdm.tqdm(total=plan.steps, initial=session.step, disable=not plan.progress, unit="step")
    try:
        while session.step < plan.steps and np.any(_host(is_active(session.state, program.patience))):
            session = _advance(session, frozen, hyper, program, plan, journal)
            bar.update(session.step - bar.n)
            bar.set_postfix(loss=_last_loss(journal), refresh=False)
            if _is_due(session.step - saved_step, time.monotonic() - saved_time, plan):
                _save(session, program, plan, setup)
                saved_step, saved_time = session.step, time.monotonic()
    except KeyboardInterrupt:
        interrupted = True
        journal.rewind(session.mark)
    finally:
        bar.close()
        # Whatever else went wrong, what was there after the last whole block is kept.
        _save(session, program, plan, setup)
        journal.close()
    return session.state, read_rows(journal.rows, session.state, program.patience, interrupted)


def _begin(state: TrainState, program: Program, plan: Plan, setup: dict[str, Any]) -> tuple[Saved, Journal]:
    """The first session of a run, or that of its checkpoint."""
    if plan.out is None:
        journal = Journal(None)
        return Saved(place_state(state, program.mesh), 0, journal.mark()), journal
    file, log = plan.out / CHECKPOINT, plan.out / LOG
    if plan.resume:
        saved = load_checkpoint(file, state, setup)
        # Every process reads the rows; only the first one goes on writing them.
        journal = Journal(log, saved.mark, writes=_writes())
        return saved._replace(state=place_state(saved.state, program.mesh)), journal
    if file.exists():
        raise TrainingError(f"{plan.out}: a run is there already; go on with it (resume), or choose another folder")
    journal = Journal(log if _writes() else None)
    return Saved(place_state(state, program.mesh), 0, journal.mark()), journal


def _advance(
    session: Saved,
    frozen: ArrayTree,
    hyper: Any,
    program: Program,
    plan: Plan,
    journal: Journal,
) -> Saved:
    """One block, its rows in the journal, and a validation where one is due."""
    first = session.step
    # Multiples of the block, so that a run that went on after an interruption stops at the same places.
    stop = min(plan.steps, *((first // every + 1) * every for every in (program.block, plan.validate_every)))
    state, records = train_block(session.state, frozen, hyper, program, _number(first), _number(stop - first))
    failed = _host(state.failed)
    if not _host(is_active(state, program.patience)).any():
        stop = int(failed.max())
    loss, grad_norm, taken = (np.moveaxis(_host(leaf), -1, 0).tolist() for leaf in jax.tree.leaves(records))
    rows: list[dict[str, Any]] = [
        {"step": first + i + 1, "loss": loss[i], "grad_norm": grad_norm[i], "taken": taken[i]}
        for i in range(stop - first)
    ]
    drift = orthogonality_drift(eqx.combine(state.params, frozen))
    if drift:
        rows.append({"step": stop, "drift": {name: _host(value).tolist() for name, value in drift.items()}})
    if program.validation is not None and (stop % plan.validate_every == 0 or stop == plan.steps):
        state, metrics = validate(state, frozen, program, _number(stop))
        rows.append({"step": stop, "validation": {name: _host(value).tolist() for name, value in metrics.items()}})
    return Saved(state, stop, journal.append(rows))


def _save(session: Saved, program: Program, plan: Plan, setup: dict[str, Any]) -> None:
    if plan.out is None or session.step == 0:
        return
    whole = session.state if program.mesh is None else spread_out(session.state, program.mesh)
    if _writes():
        save_checkpoint(plan.out / CHECKPOINT, session._replace(state=whole), setup)


def _is_due(steps: int, seconds: float, plan: Plan) -> bool:
    return seconds >= _SECONDS if plan.checkpoint_every is None else steps >= plan.checkpoint_every


def _setup(program: Program) -> dict[str, Any]:
    """What must not change when a run goes on, besides the arrays of its state."""
    return {
        "task": repr(program.task),
        "validation": repr(program.validation),
        "batch_size": program.batch_size,
        "validation_batches": program.validation_batches,
    }


def _writes() -> bool:
    return jax.process_index() == 0


def _last_loss(journal: Journal) -> str:
    losses = [row["loss"] for row in journal.rows[-3:] if "loss" in row]
    value = np.array(losses[-1] if losses else None, float)
    return "-" if not np.isfinite(value).any() else f"{np.nanmean(value):.4g}"


def _number(value: int) -> np.ndarray:
    return np.array(value, np.int32)


def _host(leaf: Any) -> np.ndarray:
    return np.asarray(leaf)
