"""What a sweep is, as JSON that is the same in every process: how a folder knows which sweep it holds."""

import functools
import hashlib
import inspect
import json
import types
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._sweep import Sweep


def describe_sweep(sweep: Sweep) -> dict[str, Any]:
    """All that the rows depend on: arrays and the bytecode of functions as hashes, the rest in plain words."""
    return {
        "points": describe(sweep.points),
        "block_size": sweep.block_size,
        "dtype": sweep.dtype,
        "seed": sweep.seed,
        "analysis": describe(sweep.analysis),
        "family": describe(sweep.family),
    }


def fingerprint(spec: dict[str, Any]) -> str:
    """Hash of a description, 64 hexadecimal digits."""
    return _sha(json.dumps(spec, sort_keys=True).encode())


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """`path: old there, new here`, for each entry in which two descriptions differ."""
    there, here = dict(_flatten(old, "")), dict(_flatten(new, ""))
    return [
        f"{path}: {there.get(path, 'nothing')} there, {here.get(path, 'nothing')} here"
        for path in sorted({*there, *here})
        if there.get(path) != here.get(path)
    ]


def describe(value: Any) -> Any:
    """One object, recursively."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, eqx.Module):
        name = type(value).__qualname__
        return {"type": name, **{key: describe(item) for key, item in sorted(vars(value).items())}}
    if eqx.is_array(value) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return {"key": describe(jax.random.key_data(value))}
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        array = np.asarray(value)
        return f"{array.dtype}{list(array.shape)} sha256 {_sha(np.ascontiguousarray(array).tobytes())[:16]}"
    if isinstance(value, tuple) and getattr(value, "_fields", None):
        return describe(dict(zip(value._fields, value, strict=True)))  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))}
    if isinstance(value, list | tuple | set | frozenset):
        return [describe(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, functools.partial):
        return {"partial": describe(value.func), "args": describe(value.args), "keywords": describe(value.keywords)}
    if isinstance(value, types.MethodType):
        return {"method": describe(value.__func__), "of": describe(value.__self__)}
    if not callable(value):
        # An address in memory differs in every process.
        text = repr(value)
        return type(value).__qualname__ if " at 0x" in text else text
    return _describe_function(value)


def _describe_function(value: Any) -> Any:
    """A function by its name and its bytecode; not by what it calls, nor by its address."""
    name = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    inner = inspect.unwrap(value)
    if not isinstance(inner, types.FunctionType):
        return name
    held = [cell.cell_contents for cell in inner.__closure__ or ()]
    # Functions of JAX and of this package are known by the versions.
    if name.split(".")[0] in ("jax", "gru_dynamics", "equinox") and not held:
        return name
    return {
        "function": name,
        "code": _code(inner.__code__)[:16],
        "defaults": describe([inner.__defaults__, inner.__kwdefaults__]),
        "closure": [name if item is value else describe(item) for item in held],
    }


def _code(code: types.CodeType) -> str:
    constants = [_constant(item) for item in code.co_consts]
    return _sha(repr((code.co_code.hex(), code.co_names, code.co_varnames, constants)).encode())


def _constant(value: Any) -> str:
    if isinstance(value, types.CodeType):
        return _code(value)
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def _flatten(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _flatten(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
