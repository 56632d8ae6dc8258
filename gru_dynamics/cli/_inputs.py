"""What the user names on the command line, read and checked before anything is computed."""

import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..cells import AbstractCell, StackedCell
from ..interop import load_arrays, load_cell
from ..systems import AbstractSystem, CellFlow, CellMap
from ._errors import CommandError

_OUTPUTS = ("readout", "decoder", "head", "output", "out", "fc", "linear", "dense", "proj")


class Readout(NamedTuple):
    """A linear map from the cell's output: `weight (O, H)`, `bias (O,)`, and the `name` of the weight."""

    weight: np.ndarray
    bias: np.ndarray
    name: str


def read_cell(
    file: Path, *, format: str, layer: int | None, prefix: str | None, reset: Literal["before", "after"] | None
) -> AbstractCell:
    """The cell of a file."""
    return load_cell(file, format, layer=layer, prefix=prefix, reset=reset)


def read_system(
    file: Path, cell: AbstractCell, *, input: str | None, flow: bool, tau: float
) -> tuple[AbstractSystem, dict[str, Any]]:
    """The system to analyse, and what `result.json` says about it."""
    held = _numbers(file, input, cell.input_size)
    if not (math.isfinite(tau) and tau > 0):
        raise CommandError(f"{file}: --tau must be a positive number, found {tau}; leave it out for 1")
    value = None if held is None else jnp.asarray(held, jnp.zeros(()).dtype)
    system = CellFlow(cell, value, tau) if flow else CellMap(cell, value)
    layers = cell.layers if isinstance(cell, StackedCell) else (cell,)
    facts: dict[str, Any] = {
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "cell": type(cell).__name__,
        "layers": [type(layer).__name__ for layer in layers] if isinstance(cell, StackedCell) else None,
        "reset": getattr(layers[0], "reset", None),
        "input_size": cell.input_size,
        "hidden_size": cell.hidden_size,
        "state_size": cell.state_size,
        "kind": "flow" if flow else "map",
        "tau": tau if flow else None,
        "input": held,
        "trapping_box": cell.bounds is not None,
    }
    return system, facts


def _numbers(file: Path, text: str | None, size: int) -> list[float] | None:
    if text is None:
        return None
    expected = f"--input must be {size} number{'s' if size != 1 else ''} separated by commas"
    parts = [part for part in re.split(r"[,\s]+", text.strip()) if part]
    try:
        values = [float(part) for part in parts]
    except ValueError:
        raise CommandError(f"{file}: {expected}, found {text!r}; write for example --input 0.5,0,-1") from None
    if len(values) != size:
        raise CommandError(f"{file}: {expected}, found {len(values)}; give one number for each input")
    if not all(math.isfinite(value) for value in values):
        raise CommandError(f"{file}: {expected}, found {text!r}; only finite numbers make sense")
    return values


def read_states(path: Path, size: int) -> np.ndarray:
    """Visited states `(T, size)` from an `.npz`, `.npy` or `.safetensors` file."""
    array = _read_npy(path) if path.suffix == ".npy" else _pick_states(path, load_arrays(path, finite=False))
    where = f"{path}: the states"
    if not np.issubdtype(array.dtype, np.floating):
        raise CommandError(f"{where} must be floating-point numbers, found dtype {array.dtype}; convert them")
    if array.ndim not in (2, 3) or array.shape[-1] != size or array.size == 0:
        raise CommandError(
            f"{where} must have shape (T, {size}) or (B, T, {size}), found {array.shape}; "
            f"give one column for each of the {size} state variables"
        )
    if not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise CommandError(f"{where} must be finite, found {bad} nan or inf of {array.size}; clean the file")
    return array.reshape(-1, size).astype(float)


def _read_npy(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as opened:
            return np.lib.format.read_array(opened, allow_pickle=False)
    except FileNotFoundError:
        raise CommandError(f"{path}: no such file; expected visited states; check --states") from None
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise CommandError(f"{path}: is not a readable npy file ({reason}); save it with numpy.save") from error


def _pick_states(path: Path, arrays: dict[str, np.ndarray]) -> np.ndarray:
    if "states" in arrays:
        return arrays["states"]
    if len(arrays) != 1:
        raise CommandError(
            f"{path}: expected one array or one named 'states', found {', '.join(sorted(arrays)[:8])}; "
            "save the states under that name"
        )
    return next(iter(arrays.values()))


def find_readout(file: Path, size: int) -> Readout | None:
    """The linear layer `(O, size)` beside the cell, if there is exactly one that looks like it."""
    arrays = load_arrays(file, finite=False)
    found = []
    for name, weight in arrays.items():
        stem = name.removesuffix("weight")
        words = re.split(r"[._/\d]+", stem.lower())
        if not name.endswith("weight") or weight.ndim != 2 or weight.shape[1] != size or not set(words) & set(_OUTPUTS):
            continue
        bias = arrays.get(f"{stem}bias", np.zeros(len(weight)))
        if bias.shape == (len(weight),) and np.isfinite(weight).all() and np.isfinite(bias).all():
            found.append(Readout(weight.astype(float), bias.astype(float), name))
    return found[0] if len(found) == 1 else None


def positive(file: Path, options: Sequence[tuple[str, int | None]]) -> None:
    """Whole-number options that must be at least 1."""
    for name, value in options:
        if value is not None and value < 1:
            raise CommandError(f"{file}: {name} must be at least 1, found {value}; leave it out for the default")
