"""The system that the words of `gru-dynamics continue` ask for: a network in a file, or one of the library."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from ..systems import AbstractMap, AbstractSystem, library
from ._errors import CommandError
from ._inputs import read_cell, read_system

_PREFIX = "library:"
_LARGEST = 64


class Source(NamedTuple):
    """A system with the `size` of its resting state, what to call it, and facts for `result.json`."""

    system: AbstractSystem
    size: int
    name: str
    facts: dict[str, Any]


def read_source(
    word: str,
    *,
    system: Literal["map", "flow"] | None,
    tau: float,
    input: str | None,
    format: str,
    layer: int | None,
    prefix: str | None,
    reset: Literal["before", "after"] | None,
) -> Source:
    """The system of a weight file, or `library:NAME` with arguments, as in `library:brusselator,A=1.5`."""
    if word.startswith(_PREFIX):
        found, arguments = _from_library(word)
        kind = "map" if isinstance(found, AbstractMap) else "flow"
        if system not in (None, kind):
            raise CommandError(f"{word}: --system must be {kind} here, found {system}; leave it out")
        return Source(found, _size(word, found, arguments), word, {"name": word, "kind": kind})
    file = Path(word)
    cell = read_cell(file, format=format, layer=layer, prefix=prefix, reset=reset)
    if input is None and cell.input_size:
        input = ",".join("0" * cell.input_size)  # an input that is there can be varied
    found, facts = read_system(file, cell, input=input, flow=system == "flow", tau=tau)
    return Source(found, cell.resting_size, file.name, facts)


def _systems() -> dict[str, Callable[..., AbstractSystem]]:
    """The functions of the library whose arguments can be written on a command line."""
    functions = {
        name: function
        for name, function in vars(library).items()
        if inspect.isfunction(function) and not name.startswith("_") and function.__module__ == library.__name__
    }
    return {name: f for name, f in functions.items() if name not in ("jordan_cases", "rotated_copies")}


def _from_library(word: str) -> tuple[AbstractSystem, dict[str, Any]]:
    """The system and all arguments of its function."""
    name, *given = word.removeprefix(_PREFIX).split(",")
    known = _systems()
    if name not in known:
        raise CommandError(f"{word}: expected one of {', '.join(known)}, found {name!r}; choose one")
    parameters = {key: p for key, p in inspect.signature(known[name]).parameters.items() if key != "key"}
    values: dict[str, Any] = {}
    for part in given:
        key, _, text = part.partition("=")
        if key not in parameters:
            raise CommandError(f"{word}: {name} takes {', '.join(parameters)}, found {key!r}; write for example "
                               f"{_PREFIX}{name},{next(iter(parameters), 'a')}=1")  # fmt: skip
        kind = {int: int, str: str}.get(parameters[key].annotation, float)
        try:
            values[key] = kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise CommandError(f"{word}: {key} must be {wanted}, found {text!r}; write for example {key}=1") from None
    missing = [key for key, p in parameters.items() if p.default is inspect.Parameter.empty and key not in values]
    if missing:
        raise CommandError(
            f"{word}: {name} needs {', '.join(missing)}, found none; write for example {_PREFIX}{name},{missing[0]}=..."
        )
    defaults = {key: p.default for key, p in parameters.items()}
    try:
        return known[name](**values), {**defaults, **values}
    except ValueError as error:
        raise CommandError(f"{word}: {error}; choose one of these") from error


def _size(word: str, system: AbstractSystem, arguments: dict[str, Any]) -> int:
    """Dimension of a system: what it says, else `n`, else the least number of state variables that it takes."""
    if system.resting_size is not None:
        return system.resting_size
    if "n" in arguments:
        return arguments["n"]
    for size in range(1, _LARGEST + 1):
        try:
            if jax.eval_shape(system.velocity, jnp.zeros((size,))).shape == (size,):
                return size
        except (TypeError, ValueError, IndexError):
            continue
    raise CommandError(f"{word}: expected a system of at most {_LARGEST} state variables, found more; use Python")
