"""Every public name says what it is, which shapes it takes and gives, and where it comes from."""

import inspect
import re
import types
import typing

import equinox as eqx
import jax
import pytest

import gru_dynamics

# Aliases of types and constants carry no docstring of their own; modules are described by their names.
EXEMPT_KINDS = (types.ModuleType, types.GenericAlias, types.UnionType, typing.TypeVar)

# A tuple of sizes inside a code span, such as `(H,)`, `()`, `(..., n)` or `state (S, S)`, but not a call `f(h, x)`.
_CODE = re.compile(r"`([^`]*)`")
_SIZES = re.compile(r"(?<![\w)\]])\((\s*|\.\.\.|[\w+*/. ]+,[\w+*/ ,.]*)\)")


def gives_shapes(text: str) -> bool:
    return re.search(r"\bshapes?\b", text) is not None or any(_SIZES.search(code) for code in _CODE.findall(text))


def is_exempt(value) -> bool:
    is_constant = not callable(value) and not isinstance(value, type)
    return isinstance(value, EXEMPT_KINDS) or typing.get_origin(value) is not None or is_constant


def public_names() -> dict[str, object]:
    """Dotted name -> object, for what `gru_dynamics` and the public modules that it exports offer.

    A module with an `__init__` offers what it re-exports; a plain module, such as `systems.library`, offers what it
    defines.
    """
    found: dict[str, object] = {}

    def walk(module: types.ModuleType) -> None:
        for name, value in vars(module).items():
            if name.startswith("_"):
                continue
            if inspect.ismodule(value):
                if value.__name__.startswith(f"{module.__name__}."):
                    walk(value)
            elif not is_exempt(value):
                plain = not hasattr(module, "__path__")
                if not plain or getattr(value, "__module__", None) == module.__name__:
                    found.setdefault(f"{module.__name__}.{name}", value)

    walk(gru_dynamics)
    return found


def complaints(value) -> list[str]:
    """What is missing in the docstring of a public name."""
    text = value.__doc__ or ""
    # A docstring that equinox, dataclasses or a base class wrote is not the author's.
    inherited = isinstance(value, type) and any(text == base.__doc__ for base in value.__mro__[1:])
    if not text.strip() or inherited or text.startswith(f"{getattr(value, '__name__', '')}("):
        return ["no docstring"]
    missing = []
    if "**Source:**" not in text:
        missing.append("no source")
    is_exception = isinstance(value, type) and issubclass(value, Exception)
    if not is_exception and not gives_shapes(text):
        missing.append("no shapes")
    if not isinstance(value, type) and "**Returns:**" not in text:
        missing.append("no **Returns:**")
    return missing


NAMES = public_names()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_documented(name):
    assert complaints(NAMES[name]) == []


def test_walk_finds_the_names():
    assert {"gru_dynamics.GRUCell", "gru_dynamics.cells.glorot", "gru_dynamics.systems.library.henon"} <= set(NAMES)
    assert not any("csv" in name or "jnp" in name for name in NAMES)


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        (None, ["no docstring"]),
        ("Text.", ["no source", "no shapes", "no **Returns:**"]),
        ("Takes `(H,)`.\n\n**Source:** Cho.", ["no **Returns:**"]),
        ("**Returns:** array of shape S.\n\nSource: Cho.", ["no source"]),
        ("**Returns:** array `h (H, H)`.\n\n**Source:** Cho.", []),
        ("**Returns:** scalar `()`.\n\n**Source:** Cho.", []),
        ("**Returns:** `2 * x` (), `f(h, x)` and `z`.\n\n**Source:** Cho.", ["no shapes"]),
    ],
)
def test_function_rule(doc, expected):
    def function():
        pass

    function.__doc__ = doc
    assert complaints(function) == expected


def test_class_rule():
    class Bare(eqx.Module):
        size: int

    class Documented(eqx.Module):
        """State `(S,)`.

        **Source:** Cho.
        """

    class Heir(Documented):
        pass

    assert complaints(Bare) == ["no docstring"]
    assert complaints(Documented) == []
    assert complaints(Heir) == ["no docstring"]


def test_exemptions():
    assert is_exempt(jax)
    assert is_exempt(typing.Callable[[int], int])
    assert is_exempt(tuple[int, int])
    assert is_exempt(("torch", "keras"))
    assert not is_exempt(gru_dynamics.GRUCell)
    assert not is_exempt(jax.vmap)
