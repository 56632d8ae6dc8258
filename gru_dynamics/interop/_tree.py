"""Nested or flat dicts of arrays: flattening, finding the recurrent tensors, taking one with its checks."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np

from ..cells import AbstractCell, StackedCell
from ._errors import WeightError

Weights: TypeAlias = Mapping[str, Any] | Sequence[Any]
Shape: TypeAlias = tuple[int | None, ...]

# How the layers of a list are named once flat; a name no framework gives, so nothing else is read as a stack.
_LAYER = re.compile(r"layer\[(\d+)\]\.")
_SHOWN = 8


def flatten(weights: Weights) -> dict[str, Any]:
    """Keys joined by `.`, without entries that are `None`; a list of layers becomes `layer[0].` and so on."""
    flat: dict[str, Any] = {}

    def walk(node: Any, path: str) -> None:
        if isinstance(node, Mapping):
            for key, value in node.items():
                walk(value, f"{path}.{key}" if path else str(key))
        elif isinstance(node, (list, tuple)) and any(isinstance(value, Mapping) for value in node):
            for number, value in enumerate(node):
                walk(value, f"{path}.{number}" if path else f"layer[{number}]")
        elif node is not None:
            flat[path] = node

    walk(weights, "")
    return flat


def shown(names: Sequence[str]) -> str:
    """The first few names, for an error text."""
    rest = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + rest if names else "no arrays"


class Group(NamedTuple):
    """The entries under one prefix, by their names after it."""

    where: str
    prefix: str
    entries: dict[str, Any]

    def error(self, text: str) -> WeightError:
        return WeightError(f"{self.where}: {text}")

    def take(self, name: str, shape: Shape) -> np.ndarray:
        """The entry as a finite floating array of this shape, `None` standing for any length."""
        wanted = (
            "(" + ", ".join("any" if size is None else str(size) for size in shape) + (",)" if len(shape) == 1 else ")")
        )
        full = repr(self.prefix + name)
        if name not in self.entries:
            found = shown(sorted(self.prefix + other for other in self.entries))
            raise self.error(f"{full} is missing; expected shape {wanted}; found {found}; add it to the weights")
        array = self._numpy(name)
        fits = array.ndim == len(shape) and all(w in (None, n) for w, n in zip(shape, array.shape, strict=True))
        if not fits:
            raise self.error(f"{full} must have shape {wanted}, found {array.shape}; check how it was saved")
        if not np.isfinite(array).all():
            bad = int(array.size - np.isfinite(array).sum())
            raise self.error(
                f"{full} must be finite, found {bad} nan or inf of {array.size}; take an earlier checkpoint"
            )
        return array

    def take_all(self, shapes: dict[str, Shape]) -> list[np.ndarray] | None:
        """Every entry, or `None` when none of them is there: the biases of a network without biases."""
        if not any(name in self.entries for name in shapes):
            return None
        return [self.take(name, shape) for name, shape in shapes.items()]

    def hidden_size(self, name: str, axis: int) -> int:
        """Length of one axis of a recurrent weight."""
        if name not in self.entries:
            self.take(name, (None, None))
        size = np.shape(self.entries[name])[axis] if np.ndim(self.entries[name]) > 1 else 0
        if size == 0:
            raise self.error(f"{self.prefix + name!r} must be a matrix, found shape {np.shape(self.entries[name])}")
        return size

    def reject(self, looks: str, known: str) -> None:
        """Error for an entry that looks like a part of the cell and is none: a misspelt name would be ignored."""
        for name in self.entries:
            if re.fullmatch(looks, name) and not re.fullmatch(known, name):
                raise self.error(f"unknown entry {self.prefix + name!r}; expected only {known!r}; remove or rename it")

    def _numpy(self, name: str) -> np.ndarray:
        try:
            array = np.asarray(self.entries[name])
        except (TypeError, ValueError, RuntimeError) as error:
            kind = type(self.entries[name]).__name__
            raise self.error(
                f"{self.prefix + name!r} must be a NumPy array, found {kind}; convert it, e.g. .detach().cpu().numpy()"
            ) from error
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise self.error(f"{self.prefix + name!r} must be of a floating dtype, found {array.dtype}; convert it")
        return array if array.dtype.itemsize >= 4 else array.astype(np.float32)


def find(where: str, weights: Weights, anchors: Sequence[str], example: str, prefix: str | None) -> list[Group]:
    """The groups of entries that hold recurrent weights: one, or one per layer of a list.

    `anchors` are patterns of the name that marks a group; the first that occurs is used. A pattern may set the group
    `prefix` itself.
    """
    flat = {key.replace("/", "."): value for key, value in flatten(weights).items()}
    asked = None if prefix is None else prefix.replace("/", ".").rstrip(".")
    inside = {key for key in flat if not asked or key.startswith(asked + ".")}
    prefixes: list[str] = []
    for anchor in anchors:
        pattern = anchor if "(?P<prefix>" in anchor else rf"(?P<prefix>(?:.*\.)?){anchor}"
        prefixes = sorted({match["prefix"] for key in inside if (match := re.fullmatch(pattern, key))})
        if prefixes:
            break
    if asked == "" and "" in prefixes:
        prefixes = [""]
    if not prefixes:
        place = f"under prefix {prefix!r}" if asked else "anywhere"
        fix = "check prefix=" if asked else "check the format"
        raise WeightError(
            f"{where}: no recurrent weights {place}; expected e.g. {example!r}; found {shown(sorted(flat))}; {fix}"
        )
    numbers = [int(match[1]) for name in prefixes if (match := _LAYER.match(name))]
    stack = asked is None and len(numbers) == len(prefixes) and sorted(numbers) == list(range(len(prefixes)))
    if len(prefixes) > 1 and not stack:
        names = shown([name.rstrip(".") for name in prefixes])
        raise WeightError(
            f"{where}: expected one recurrent network, found {len(prefixes)} ({names}); choose with prefix="
        )
    if stack:
        prefixes = [name for _, name in sorted(zip(numbers, prefixes, strict=True))]
    return [
        Group(where, name, {key[len(name) :]: value for key, value in flat.items() if key.startswith(name)})
        for name in prefixes
    ]


def assemble(groups: list[Group], read: Callable[[Group], list[AbstractCell]], layer: int | None) -> AbstractCell:
    """One cell, a stack of all layers, or the layer asked for."""
    where = groups[0].where
    cells = [cell for group in groups for cell in read(group)]
    if layer is None:
        try:
            return cells[0] if len(cells) == 1 else StackedCell(cells)
        except ValueError as error:
            raise WeightError(f"{where}: the layers do not fit: {error}; choose one with layer=") from error
    if not 0 <= layer < len(cells):
        raise WeightError(f"{where}: layer must lie in 0..{len(cells) - 1}, got {layer}")
    return cells[layer]


def per_layer(
    cell: AbstractCell, write: Callable[[AbstractCell], dict[str, Any]]
) -> dict[str, Any] | list[dict[str, Any]]:
    """The dict of a cell, or the list of its layers' dicts, the arrays in C order.

    `safetensors.numpy.save_file` writes a transposed array wrongly, without a word.
    """

    def dense(node: Any) -> Any:
        return (
            {key: dense(value) for key, value in node.items()} if isinstance(node, dict) else np.array(node, order="C")
        )

    return [dense(write(part)) for part in cell.layers] if isinstance(cell, StackedCell) else dense(write(cell))
