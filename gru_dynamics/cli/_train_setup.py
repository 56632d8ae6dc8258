"""What the words of `gru-dynamics train` stand for: task, model, optimiser."""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

from ..cells import ElmanCell, GORUCell, GRUCell, LSTMCell, NCGRUCell, ScoRNNCell, StackedCell
from ..optim import constrained, orthogonal_leaves
from ..tasks import Adding, Copying, DataError, Denoise, Parenthesis, PianoRoll, Text
from ..training import Dropout, SequenceModel
from ._errors import CommandError

CELLS: dict[str, Callable[..., Any]] = {
    "nc-gru": NCGRUCell,
    "gru": GRUCell,
    "lstm": LSTMCell,
    "elman": ElmanCell,
    "sco-rnn": ScoRNNCell,
    "goru": GORUCell,
}
_GENERATED = ("adding", "copying", "denoise", "parenthesis")
_TEXTS = {"ptb-words": (Text.words, 35), "ptb-characters": (Text.characters, 100)}
_MUSIC = {
    "jsb-chorales": "JSB_Chorales.mat",
    "nottingham": "Nottingham.mat",
    "musedata": "MuseData.mat",
    "piano-midi": "Piano_midi.mat",
}
TASKS = (*_GENERATED, *_TEXTS, *_MUSIC)


class Splits(NamedTuple):
    """A task to train on, and where data are given, one to choose the best model and one to test it."""

    train: Any
    valid: Any
    test: Any


def read_task(
    name: str, data: Path | None, length: int | None, variant: str, replacement: bool, unchecked: bool
) -> Splits:
    """The task of a name; data are read from `data`."""
    if name not in TASKS:
        raise CommandError(f"train: expected a task, one of {', '.join(TASKS)}, found {name!r}; choose one")
    if name in _GENERATED:
        if data is not None:
            raise CommandError(
                f"train {name}: expected no --data, its sequences are generated, found {data}; leave it out"
            )
        task = _generated(name, 200 if length is None else length, variant, replacement)
        return Splits(task, None, task)
    if data is None:
        raise CommandError(f"train {name}: expected --data, the folder of its files, found none; nothing is downloaded")
    try:
        if name in _TEXTS:
            read, window = _TEXTS[name]
            options: dict[str, Any] = {"checksum": None} if unchecked else {}
            return Splits(*read(data, window=window if length is None else length, **options))
        roll = functools.partial(PianoRoll, data / _MUSIC[name], max_length=length)
        roll = functools.partial(roll, checksum=None) if unchecked else roll
        return Splits(roll(), roll(split="valid"), roll(split="test"))
    except (DataError, ValueError) as error:
        raise CommandError(
            " ".join(str(error).split()).replace("or pass checksum=None", "or add --unchecked")
        ) from error


def _generated(name: str, length: int, variant: str, replacement: bool) -> Any:
    try:
        match name:
            case "adding":
                return Adding(length)
            case "copying":
                return Copying(length)
            case "denoise":
                return Denoise(length, replacement=replacement)
        return Parenthesis(length, variant="released" if variant == "released" else "paper")
    except ValueError as error:
        raise CommandError(f"train {name}: {error}") from error


def build_model(
    task: Any,
    *,
    cell: str,
    hidden: int,
    layers: int,
    negative: int | None,
    embedding: int | None,
    dropout: float,
    tie: bool,
    key: Any,
) -> SequenceModel:
    """The model that the options describe, in the default dtype."""
    if cell not in CELLS:
        raise CommandError(f"train: --cell must be one of {', '.join(CELLS)}, found {cell!r}; choose one")
    options: dict[str, Any] = {}
    if negative is not None:
        if cell not in ("nc-gru", "sco-rnn"):
            raise CommandError(f"train: --negative is for nc-gru and sco-rnn, found --cell {cell}; leave it out")
        options["num_negative"] = negative
    if embedding is not None and not task.tokens:
        raise CommandError("train: --embedding is for tasks of symbols, this one has real inputs; leave it out")
    width = (hidden if embedding is None else embedding) if task.tokens else task.input_size
    cell_key, model_key = jr.split(key)
    try:
        sizes = [width] + [hidden] * (layers - 1)
        stack = [
            CELLS[cell](size, hidden, **options, key=k)
            for size, k in zip(sizes, jr.split(cell_key, layers), strict=True)
        ]
        whole = stack[0] if layers == 1 else StackedCell(stack)
        return SequenceModel(
            whole,
            task.output_size,
            vocabulary=task.input_size if task.tokens else None,
            dropout=Dropout(dropout, dropout, dropout),
            tie_weights=tie,
            key=model_key,
        )
    except ValueError as error:
        raise CommandError(f"train: {' '.join(str(error).split())}") from error


def build_optimiser(
    model: SequenceModel,
    *,
    steps: int,
    lr: float,
    orthogonal_lr: float | None,
    decay: str,
    clip: float | None,
    mode: str | None,
    order: int | None,
    reset_every: int | None,
) -> optax.GradientTransformation:
    """Adam, on the skew matrices of what the cells declare orthogonal, behind gradient clipping."""
    for name, value in (("--lr", lr), ("--orthogonal-lr", orthogonal_lr), ("--clip", clip)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise CommandError(
                f"train: {name} must be a positive number, found {value}; write for example {name} 0.001"
            )
    options = {"mode": mode, "order": order, "reset_every": reset_every}
    options = {name: value for name, value in options.items() if value is not None}
    if not orthogonal_leaves(eqx.filter(model, eqx.is_inexact_array)):
        if options or orthogonal_lr is not None:
            given = [f"--{name.replace('_', '-')}" for name in options] or ["--orthogonal-lr"]
            raise CommandError(
                f"train: {given[0]} is for cells with orthogonal matrices, nc-gru and sco-rnn; leave it out"
            )
        moved = _adam(lr, steps, decay)
    else:
        turned = _adam(lr if orthogonal_lr is None else orthogonal_lr, steps, decay)
        try:
            moved = constrained(_adam(lr, steps, decay), model, orthogonal=turned, **options)
        except (ValueError, TypeError) as error:
            raise CommandError(f"train: {' '.join(str(error).split())}") from error
    return moved if clip is None else optax.chain(optax.clip_by_global_norm(clip), moved)


def _adam(rate: float, steps: int, decay: str) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(rate, steps) if decay == "cosine" else rate)


def sizes(model: SequenceModel) -> dict[str, Any]:
    """What `result.json` says of the model."""
    layers = model.cell.layers if isinstance(model.cell, StackedCell) else (model.cell,)
    arrays = [leaf.size for leaf in _arrays(model)]
    return {
        "cell": type(layers[0]).__name__,
        "layers": len(layers),
        "input_size": model.cell.input_size,
        "hidden_size": model.cell.hidden_size,
        "parameters": sum(arrays),
        "parameters_cell": sum(leaf.size for leaf in _arrays(model.cell)),
        "dtype": str(jnp.result_type(*_arrays(model))),
    }


def _arrays(tree: Any) -> list[Any]:
    return jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
