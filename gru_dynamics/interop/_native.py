"""The library's own format: the leaves of a cell by field name, and a JSON header."""

import dataclasses
import os
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jax.typing import DTypeLike

from ..cells import AbstractCell, ElmanCell, GORUCell, GRUCell, NCGRUCell, ScoRNNCell, StackedCell
from ._errors import WeightError
from ._files import write_file
from ._gates import Kind, activation_name, build, fill
from ._tree import Group, Shape

VERSION = 1
_KINDS: dict[str, Kind] = {"GRUCell": "gru", "LSTMCell": "lstm", "ElmanCell": "elman"}
# Cells that no other framework has: the class, and what it has to be told besides its sizes.
_OWN: dict[str, tuple[type[AbstractCell], tuple[str, ...]]] = {
    "NCGRUCell": (NCGRUCell, ("num_negative", "orthogonal")),
    "ScoRNNCell": (ScoRNNCell, ("num_negative",)),
    "GORUCell": (GORUCell, ("capacity",)),
}


def save_cell(path: str | os.PathLike[str], cell: AbstractCell) -> None:
    """Write a cell to a `.safetensors` or `.npz` file that `load_cell` reads back exactly.

    The arrays have the names of the cell's fields, behind `layer0.`, `layer1.`, ... for a stack. The header is JSON:
    `format_version`, `cell`, and per layer `cell`, `input_size`, `hidden_size`, `dtype`, and what else the class needs
    (`reset`, `activation`, `activation_range`, `num_negative`, `orthogonal`, `capacity`). The file appears whole or not
    at all.

    **Arguments:** `path`; `cell`, a `GRUCell`, `LSTMCell`, `NCGRUCell`, `ScoRNNCell`, `GORUCell`, `ElmanCell` with a
    named activation, or a stack of them.

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
    name = type(cell).__name__
    if name not in _KINDS and name not in _OWN:
        known = ", ".join([*_KINDS, *_OWN])
        raise WeightError(f"save_cell: expected one of {known} or a StackedCell of them, got {name}")
    dtypes = {str(array.dtype) for array in _leaves(cell).values()}
    entry: dict[str, Any] = {
        "cell": name,
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
    if name in _OWN:
        entry |= {option: getattr(cell, option) for option in _OWN[name][1]}
    return entry


def _read_layer(group: Group, entry: dict[str, Any], dtype: DTypeLike | None) -> AbstractCell:
    name = str(entry.get("cell"))
    kind = _KINDS.get(name)
    width, size = entry.get("input_size"), entry.get("hidden_size")
    known = kind is not None or name in _OWN
    if not known or type(width) is not int or type(size) is not int or width < 0 or size < 1:
        raise group.error(f"the header must name a known cell and its sizes, found {entry}; save the cell again")
    if kind is None:
        return _read_own(group, name, width, size, entry, dtype)
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


def _read_own(
    group: Group, name: str, width: int, size: int, entry: dict[str, Any], dtype: DTypeLike | None
) -> AbstractCell:
    """A cell all of whose arrays must be there; the class itself says which, and checks its options."""
    maker, wanted = _OWN[name]
    options = {option: entry.get(option) for option in wanted}
    for option, value in options.items():
        gates = option == "orthogonal"
        fits = isinstance(value, list) and all(type(gate) is str for gate in value) if gates else type(value) is int
        if not fits:
            kind = "a list of gates" if gates else "a whole number"
            raise group.error(f"the header must have {option}, {kind}, found {value!r}; save the cell again")
    try:
        template = eqx.filter_eval_shape(maker, width, size, **options, key=jr.key(0))
    except (TypeError, ValueError) as error:
        raise group.error(f"the header describes no cell: {error}; save the cell again") from error
    arrays = {field.name: getattr(template, field.name) for field in dataclasses.fields(template)}
    shapes = {name: leaf.shape for name, leaf in arrays.items() if isinstance(leaf, jax.ShapeDtypeStruct)}
    fields = {name: group.take(name, shape) for name, shape in shapes.items()}
    group.reject(r"[WUb](?:_.*)?|.*_angles", "|".join(sorted(shapes)))
    return fill(group.where, template, fields, dtype)
