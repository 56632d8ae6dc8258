"""The library's own format: the leaves of a cell by field name, and a JSON header."""

import dataclasses
import os
from typing import Any

import jax
import numpy as np
from jax.typing import DTypeLike

from ..cells import AbstractCell, ElmanCell, GRUCell, StackedCell
from ._errors import WeightError
from ._files import write_file
from ._gates import Kind, activation_name, build
from ._tree import Group, Shape

VERSION = 1
_KINDS: dict[str, Kind] = {"GRUCell": "gru", "LSTMCell": "lstm", "ElmanCell": "elman"}


def save_cell(path: str | os.PathLike[str], cell: AbstractCell) -> None:
    """Write a cell to a `.safetensors` or `.npz` file that `load_cell` reads back exactly.

    The arrays have the names of the cell's fields, behind `layer0.`, `layer1.`, ... for a stack. The header is JSON:
    `format_version`, `cell`, and per layer `cell`, `input_size`, `hidden_size`, `dtype`, and what else the class needs
    (`reset`, `activation`, `activation_range`). The file appears whole or not at all.

    **Arguments:** `path`; `cell`, a `GRUCell`, `LSTMCell`, `ElmanCell` with a named activation, or a stack of them.

    **Returns:** nothing; the file holds each field of the cell under its name and in its shape, `W_c (H, I)` and so on.

    **Raises:** `WeightError` for another cell or ending, or when the place cannot be written.

    **Source:** safetensors with metadata; nothing is pickled.
    """
    stacked = isinstance(cell, StackedCell)
    layers = cell.layers if stacked else (cell,)
    arrays: dict[str, np.ndarray] = {}
    for number, part in enumerate(layers):
        start = f"layer{number}." if stacked else ""
        arrays |= {start + name: array for name, array in _leaves(part).items()}
    header = {"format_version": VERSION, "cell": type(cell).__name__, "layers": [_describe(part) for part in layers]}
    write_file(path, arrays, header)


def read_cells(
    where: str, arrays: dict[str, np.ndarray], header: dict[str, Any], dtype: DTypeLike | None
) -> list[AbstractCell]:
    """The layers that a header and its arrays describe."""
    version = header.get("format_version")
    if version != VERSION:
        raise WeightError(f"{where}: expected format version {VERSION}, found {version!r}; update gru_dynamics")
    layers = header.get("layers")
    if not isinstance(layers, list) or not layers or not all(isinstance(layer, dict) for layer in layers):
        raise WeightError(f"{where}: the header names no layers; save the cell again")
    cells: list[AbstractCell] = []
    for number, layer in enumerate(layers):
        start = f"layer{number}." if header.get("cell") == "StackedCell" else ""
        entries = {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}
        cells.append(_read_layer(Group(where, start, entries), layer, dtype))
    return cells


def _leaves(cell: AbstractCell) -> dict[str, np.ndarray]:
    values = {field.name: getattr(cell, field.name) for field in dataclasses.fields(cell)}
    return {name: np.asarray(value) for name, value in values.items() if isinstance(value, np.ndarray | jax.Array)}


def _describe(cell: AbstractCell) -> dict[str, Any]:
    if type(cell).__name__ not in _KINDS:
        known = ", ".join(_KINDS)
        raise WeightError(f"save_cell: expected one of {known} or a StackedCell of them, got {type(cell).__name__}")
    dtypes = {str(array.dtype) for array in _leaves(cell).values()}
    entry: dict[str, Any] = {
        "cell": type(cell).__name__,
        "input_size": cell.input_size,
        "hidden_size": cell.hidden_size,
        "dtype": "/".join(sorted(dtypes)),
    }
    if isinstance(cell, GRUCell):
        entry["reset"] = cell.reset
    if isinstance(cell, ElmanCell):
        entry["activation"] = activation_name("save_cell", cell.activation)
        limits = cell.activation_range
        entry["activation_range"] = None if limits is None else [float(end) for end in limits]
    return entry


def _read_layer(group: Group, entry: dict[str, Any], dtype: DTypeLike | None) -> AbstractCell:
    kind = _KINDS.get(str(entry.get("cell")))
    width, size = entry.get("input_size"), entry.get("hidden_size")
    if kind is None or type(width) is not int or type(size) is not int:
        raise group.error(f"the header must name a known cell and its sizes, found {entry}; save the cell again")
    reset = entry.get("reset")
    if reset not in ("before", "after", None):
        raise group.error(f'the header must have reset "before", "after" or null, found {reset!r}; save the cell again')
    gates = {"gru": "zc" if reset is None else "rzc", "lstm": "ifgo", "elman": ""}[kind]
    ends = [f"_{gate}" for gate in gates] or [""]
    fields = {f"W{end}": group.take(f"W{end}", (size, width)) for end in ends}
    fields |= {f"U{end}": group.take(f"U{end}", (size, size)) for end in ends}
    inner = ["b_hc"] if kind == "gru" and reset == "after" else []
    wanted: dict[str, Shape] = dict.fromkeys([f"b{end}" for end in ends] + inner, (size,))
    fields |= dict(zip(wanted, group.take_all(wanted) or [], strict=False))
    if kind == "elman" and "leak" in group.entries:
        fields["leak"] = group.take("leak", () if np.ndim(group.entries["leak"]) == 0 else (size,))
    known = (
        {"W", "U", "b"} if kind == "elman" else {f"{letter}_{gate}" for letter in "WUb" for gate in gates} | set(inner)
    )
    group.reject(r"[WUb](?:_.*)?", "|".join(sorted(known)))
    limits = entry.get("activation_range")
    if limits is not None and not (isinstance(limits, list) and [type(end) for end in limits] == [float, float]):
        raise group.error(f"the header must have an activation_range [low, high] or null, found {limits!r}; save again")
    return build(
        group.where,
        kind,
        fields,
        reset=reset,
        activation=str(entry.get("activation", "tanh")),
        activation_range=None if limits is None else (limits[0], limits[1]),
        dtype=dtype,
    )
