"""`gru-dynamics train`: a cell on a task, with a log, checkpoints, a picture, and weights that `analyze` reads."""

import datetime
import json as text
import sys
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.random as jr
import numpy as np

from .._report import versions
from .._results import RESULTS
from ..interop import save_cell, save_weights
from ..training import SequenceModel, TrainingError, TrainLog, evaluate, fit, fit_many
from ._errors import CommandError
from ._inputs import positive
from ._terminal import say, show
from ._train_picture import draw_loss
from ._train_setup import Splits, build_model, build_optimiser, read_task, sizes

# Batches of fresh sequences in the last evaluation of a generated task.
_FRESH = 10
_REASONS = ("training_diverged", "stopped_early", "interrupted")


class Run(NamedTuple):
    """How long, how wide, and where to."""

    steps: int
    batch_size: int
    seed: int
    seeds: int
    block: int
    validate_every: int | None
    patience: int | None
    out: Path
    resume: bool


def run_train(
    command: str,
    task: str,
    *,
    cell: str,
    hidden: int,
    layers: int,
    negative: int | None,
    embedding: int | None,
    dropout: float,
    tie: bool,
    length: int | None,
    variant: str,
    replacement: bool,
    data: Path | None,
    unchecked: bool,
    steps: int,
    batch_size: int,
    seed: int,
    seeds: int,
    block: int,
    validate_every: int | None,
    patience: int | None,
    out: Path | None,
    resume: bool,
    json: bool,
    **optimiser: Any,
) -> None:
    """Train, evaluate, and write what was found."""
    positive(
        Path("train"),
        [
            *(("--hidden", hidden), ("--layers", layers), ("--embedding", embedding), ("--length", length)),
            *(("--steps", steps), ("--batch-size", batch_size), ("--seeds", seeds), ("--block", block)),
            *(("--validate-every", validate_every), ("--patience", patience)),
        ],
    )
    out = Path(f"{task}-{cell}") if out is None else out
    run = Run(steps, batch_size, seed, seeds, block, validate_every, patience, out, resume)
    # The command line works in float64; training does not need it and is slower with it.
    with jax.enable_x64(False):
        splits = read_task(task, data, length, variant, replacement, unchecked)
        keys = jr.split(jr.key(seed), seeds)

        def build(key: jax.Array) -> SequenceModel:
            return build_model(
                splits.train,
                cell=cell,
                hidden=hidden,
                layers=layers,
                negative=negative,
                embedding=embedding,
                dropout=dropout,
                tie=tie,
                key=key,
            )

        one = build(keys[0])
        if patience is not None and splits.valid is None:
            raise CommandError(f"train {task}: expected no --patience, there are no validation data; leave it out")
        optim = build_optimiser(one, steps=steps, **optimiser)
        _check_folder(out)
        say(f"{task} with {cell}: {sizes(one)['parameters']} parameters, {steps} steps (compiling takes some seconds)")
        models = one if seeds == 1 else eqx.filter_vmap(build)(keys)
        try:
            models, log = _fit(models, optim, keys, splits, run, json)
        except (TrainingError, ValueError) as error:
            raise CommandError(_with_flags(str(error))) from error
        metrics = _evaluate(models, splits, run)
        result = {"command": command, "task": {"name": task, **_facts(splits)}, "model": sizes(one)}
        result |= _summary(log, metrics, run) | {"optimiser": optimiser, "versions": versions()}
        _write(out, models, log, splits, result, run)
    if result["result"] == "interrupted":
        say(f"{out}: stopped after {result['steps']} of {steps} steps; add --resume to go on")
        raise KeyboardInterrupt
    show(text.dumps(result, indent=1, allow_nan=False, ensure_ascii=False) if json else _words(result, out))


def _fit(
    models: Any, optim: Any, keys: jax.Array, splits: Splits, run: Run, json: bool
) -> tuple[SequenceModel, TrainLog]:
    options: dict[str, Any] = {
        "steps": run.steps,
        "batch_size": run.batch_size,
        "block": run.block,
        "validation": splits.valid,
        "validate_every": run.validate_every,
        "patience": run.patience,
        "out": run.out,
        "resume": run.resume,
        "progress": sys.stderr.isatty() and not json,
    }
    if splits.valid is not None and run.validate_every is None:
        options["validate_every"] = splits.train.steps_per_epoch(run.batch_size)
    if run.seeds == 1:
        return fit(models, splits.train, optim, key=keys[0], **options)
    return fit_many(models, splits.train, optim, keys=keys, **options)


def _evaluate(models: Any, splits: Splits, run: Run) -> dict[str, np.ndarray]:
    """Metrics on the test data, or on fresh sequences, `(L,)` over seeds."""
    batches = _FRESH if splits.test.steps_per_epoch(run.batch_size) is None else None
    key = jr.fold_in(jr.key(run.seed), 2**31 - 1)

    def one(model: SequenceModel) -> dict[str, jax.Array]:
        return evaluate(model, splits.test, key=key, batch_size=run.batch_size, num_batches=batches)

    found = one(models) if run.seeds == 1 else eqx.filter_vmap(one)(models)
    return {name: np.atleast_1d(np.asarray(value, float)) for name, value in found.items()}


def _facts(splits: Splits) -> dict[str, Any]:
    task = splits.train
    return {
        "description": repr(task),
        "baseline": None if task.baseline is None else float(task.baseline),
        "floor": float(task.floor),
    }


def _summary(log: TrainLog, metrics: dict[str, np.ndarray], run: Run) -> dict[str, Any]:
    loss = np.asarray(log.loss, float).reshape(run.seeds, -1)
    reasons = [_reason(log.result, lane, run.seeds) for lane in range(run.seeds)]
    failed = np.atleast_1d(np.asarray(log.failed_step)).tolist()
    tail = loss[:, -min(100, loss.shape[1]) :]
    kept = {name: np.atleast_2d(np.asarray(value, float)) for name, value in log.drift.items()}
    best = int(np.argmin(np.where(np.isfinite(metrics["loss"]), metrics["loss"], np.inf)))
    return {
        "result": "interrupted" if "interrupted" in reasons else reasons[best],
        "steps": loss.shape[1],
        "metrics": {name: _number(value[best]) for name, value in metrics.items()},
        "training_loss": _number(np.nanmean(tail[best]) if np.isfinite(tail[best]).any() else np.nan),
        "drift": {name: _number(value[best, -1]) for name, value in kept.items()},
        "largest_drift": {name: _number(np.nanmax(value)) for name, value in kept.items()},
        "best_step": np.atleast_1d(np.asarray(log.best_step)).tolist()[best] or None,
        "best_seed": best,
        "seeds": [
            {
                "result": reason,
                "failed_step": step or None,
                "metrics": {name: _number(value[lane]) for name, value in metrics.items()},
            }
            for lane, (reason, step) in enumerate(zip(reasons, failed, strict=True))
        ],
        "written": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _reason(result: Any, lane: int, seeds: int) -> str:
    found = [name for name in _REASONS if bool(np.atleast_1d(np.asarray(result == getattr(RESULTS, name)))[lane])]
    return found[0] if found else "successful"


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _write(out: Path, models: Any, log: TrainLog, splits: Splits, result: dict[str, Any], run: Run) -> None:
    best = models if run.seeds == 1 else jax.tree.map(lambda leaf: leaf[result["best_seed"]], models)
    arrays = jax.tree_util.tree_leaves_with_path(eqx.filter(models, eqx.is_inexact_array))
    try:
        out.mkdir(parents=True, exist_ok=True)
        save_cell(out / "cell.safetensors", best.cell)
        named = {jax.tree_util.keystr(path).lstrip("."): np.asarray(leaf) for path, leaf in arrays}
        save_weights(out / "model.safetensors", named)
        picture = draw_loss(log, splits.train, title=f"{result['task']['name']}, {result['model']['cell']}")
        (out / "loss.png").write_bytes(picture)
        content = text.dumps(result, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        (out / "result.json").write_text(content, "utf-8")
    except OSError as error:
        raise CommandError(f"{out}: cannot be written: {error.strerror}; free space and add --resume") from error


def _check_folder(out: Path) -> None:
    """A place that cannot be written to is found before anything is computed."""
    home = out.absolute()
    while not home.exists():
        home = home.parent
    if not home.is_dir():
        raise CommandError(f"{out}: --out must be a folder, found a file at {home}; choose another name")
    try:
        (home / ".gru-dynamics-train").mkdir()
        (home / ".gru-dynamics-train").rmdir()
    except OSError as error:
        raise CommandError(
            f"{out}: --out must be writable, found {home}: {error.strerror}; choose another folder"
        ) from error


def _with_flags(message: str) -> str:
    words = {"go on with it (resume), or": "add --resume to go on with it, or", "batch_size": "--batch-size"}
    for old, new in words.items():
        message = message.replace(old, new)
    return " ".join(message.split())


def _words(result: dict[str, Any], out: Path) -> str:
    task = result["task"]
    values = ", ".join(f"{name} {_shown(value)}" for name, value in result["metrics"].items())
    baseline = "" if task["baseline"] is None else f", without memory {_shown(task['baseline'])}"
    lines = [f"{task['name']}, {result['model']['cell']}: {values}{baseline}, floor {_shown(task['floor'])}"]
    if len(result["seeds"]) > 1:
        losses = ", ".join(_shown(entry["metrics"]["loss"]) for entry in result["seeds"])
        lines.append(f"  loss over {len(result['seeds'])} seeds: {losses}; what follows is the best")
    if result["largest_drift"]:
        drift = ", ".join(f"{name} {_shown(value)}" for name, value in result["largest_drift"].items())
        lines.append(f"  largest distance from orthogonality: {drift}")
    if result["result"] != "successful":
        step = result["seeds"][result["best_seed"]]["failed_step"]
        place = f" at step {step}" if step else f" after {result['steps']} steps"
        lines.append(f"  {result['result'].replace('_', ' ')}{place}: {RESULTS[getattr(RESULTS, result['result'])]}")
    lines += [f"Picture: {out / 'loss.png'}", f"Weights: {out / 'cell.safetensors'}; look at their dynamics with"]
    return "\n".join([*lines, f"  gru-dynamics analyze {out / 'cell.safetensors'}"])


def _shown(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"
