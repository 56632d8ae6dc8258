"""A parameter of a system by its name: `b_c[0]`, `U_c[0,1]`, `tau`, `input[0]`, or `gain:U_c` for a whole matrix."""

import re
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..systems import AbstractFamily, AbstractSystem, Family, FunctionFamily
from ._errors import CommandError

_MOST_NAMES = 16


class _Leaf(eqx.Module):
    """`system -> leaf`, by its place among all leaves."""

    place: int = eqx.field(static=True)

    def __call__(self, system: Any) -> Any:
        return jax.tree.leaves(system)[self.place]


def named_family(system: AbstractSystem, name: str, where: str) -> AbstractFamily:
    """The systems that come from one by changing the number of this name.

    **Raises:** `CommandError` that lists the names there are.
    """
    leaves = _leaves(system)
    text = name.replace(" ", "")
    gain = text.startswith("gain:")
    match = re.fullmatch(r"(.*?)(?:\[([-\d,]*)\])?", text.removeprefix("gain:"))
    assert match is not None
    # A name may end in an index itself, as in `layers[0]`.
    whole, entry = text.removeprefix("gain:"), match[2]
    if whole in leaves:
        stem, entry = whole, None
    else:
        stem = match[1]
    if stem not in leaves:
        raise CommandError(f"{where}: --parameter must name a number, found {name!r}; {names_of(system)}")
    place, shape = leaves[stem]
    if gain:
        if entry is not None:
            raise CommandError(
                f"{where}: --parameter gain:NAME multiplies all of {stem}, found an entry, {name!r}; write gain:{stem}"
            )
        return FunctionFamily(_multiplied, (system, _Leaf(place)), 1.0)
    return Family(system, _Leaf(place), _index(entry, shape, stem, name, where))


def _leaves(system: AbstractSystem) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Name -> place and shape of every array of real numbers; `cell.` and `args.` may be left out."""
    found: dict[str, tuple[int, tuple[int, ...]]] = {}
    for place, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(system)):
        if eqx.is_inexact_array(leaf) and leaf.size:
            full = re.sub(r"\['([^']*)'\]", r".\1", jax.tree_util.keystr(path)).removeprefix(".")
            found[full] = found[full.removeprefix("cell.").removeprefix("args.")] = (place, leaf.shape)
    return {name: entry for name, entry in found.items() if not name.startswith("box[")}


def names_of(system: AbstractSystem) -> str:
    """What to choose from."""
    leaves = _leaves(system)
    short = [name for name in leaves if not name.startswith(("cell.", "args."))]
    names = [
        name + (f"[{','.join(f'0..{n - 1}' for n in leaves[name][1])}]" if leaves[name][1] else "") for name in short
    ]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    arrays = [name for name in short if leaves[name][1]]
    gains = f", or gain:{arrays[-1]} for a factor of a whole array" if arrays else ""
    return f"choose one of {', '.join(names[:_MOST_NAMES])}{more}{gains}"


def _index(entry: str | None, shape: tuple[int, ...], stem: str, name: str, where: str) -> tuple[int, ...] | None:
    form = f"{stem}[{','.join('ijkl'[: len(shape)])}]" if shape else stem
    ranges = " and ".join(f"0 to {n - 1}" for n in shape)
    expected = f"{where}: --parameter must be {form}{f' with {ranges}' if shape else ', a single number'}"
    try:
        index = () if entry is None else tuple(int(part) for part in entry.split(","))
        if len(index) != len(shape):
            raise ValueError
    except ValueError:
        fix = f"write for example {stem}[{','.join('0' * len(shape))}], or gain:{stem}" if shape else f"write {stem}"
        raise CommandError(f"{expected}, found {name!r}; {fix}") from None
    if not all(-n <= i < n for i, n in zip(index, shape, strict=True)):
        raise CommandError(f"{expected}, found {name!r}; count from 0")
    return index or None


def _multiplied(given: tuple[AbstractSystem, _Leaf], gain: Any) -> AbstractSystem:
    system, where = given
    leaf = where(system)
    return eqx.tree_at(where, system, leaf * jnp.asarray(gain, leaf.dtype))
