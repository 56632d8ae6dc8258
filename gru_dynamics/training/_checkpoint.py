"""All of a training state in one safetensors file with a JSON header; nothing is pickled."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from .._types import ArrayTree
from ..interop import WeightError
from ..interop._files import read_file, write_file
from ._drift import path_name
from ._errors import TrainingError
from ._journal import Mark
from ._state import TrainState

_VERSION = 1
_LISTED = 4


class Saved(NamedTuple):
    """What a checkpoint holds: the state, the number of steps done, and the place in the log."""

    state: TrainState
    step: int
    mark: Mark


def save_checkpoint(path: Path, saved: Saved, setup: dict[str, Any]) -> None:
    """Write the file, whole or not at all. `setup` describes the run, to be compared when it goes on."""
    header = {"format_version": _VERSION, "step": saved.step, "log": list(saved.mark), "setup": setup}
    try:
        write_file(path, {name: _numpy(leaf) for name, leaf in _named(saved.state).items()}, header)
    except WeightError as error:
        raise TrainingError(str(error)) from error


def load_checkpoint(path: Path, like: TrainState, setup: dict[str, Any]) -> Saved:
    """The state in the file, which must have the structure of `like` and belong to a run with the same `setup`."""
    if not path.exists():
        raise TrainingError(f"{path}: no such file; expected the checkpoint of a run to go on with; check the folder")
    try:
        arrays, header = read_file(path)
    except WeightError as error:
        raise TrainingError(str(error)) from error
    if header is None or header.get("format_version") != _VERSION or "setup" not in header:
        raise TrainingError(f"{path}: expected a checkpoint of format version {_VERSION}, found another file")
    differences = [
        f"{name}: {header['setup'].get(name)} there, {value} here"
        for name, value in setup.items()
        if header["setup"].get(name) != value
    ]
    leaves = _named(like)
    differences += _differences(arrays, leaves)
    if differences:
        more = f"; {len(differences) - _LISTED} more" if len(differences) > _LISTED else ""
        raise TrainingError(
            f"{path}: belongs to another run ({'; '.join(differences[:_LISTED])}{more}); "
            "give the same model, optimiser, task and key, or another folder"
        )
    restored = [_device(arrays[name], leaf) for name, leaf in leaves.items()]
    state = jax.tree.unflatten(jax.tree.structure(like), restored)
    return Saved(state, int(header["step"]), Mark(*header["log"]))


def _differences(arrays: dict[str, np.ndarray], leaves: dict[str, Any]) -> list[str]:
    found = [f"{name} is missing there" for name in leaves if name not in arrays]
    found += [f"{name} is missing here" for name in arrays if name not in leaves]
    for name in [name for name in leaves if name in arrays]:
        there, here = arrays[name], _numpy(leaves[name])
        if (there.shape, there.dtype) != (here.shape, here.dtype):
            found.append(f"{name}: {there.dtype}{list(there.shape)} there, {here.dtype}{list(here.shape)} here")
        elif name == "keys" and not np.array_equal(there, here):
            found.append(f"key: {there[..., 0, :].tolist()} there, {here[..., 0, :].tolist()} here")
    return found


def _named(state: ArrayTree) -> dict[str, Any]:
    return {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(state)}


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _numpy(leaf: Any) -> np.ndarray:
    return np.asarray(jr.key_data(leaf) if _is_key(leaf) else leaf)


def _device(array: np.ndarray, like: Any) -> Any:
    return jr.wrap_key_data(jnp.asarray(array), impl=jr.key_impl(like)) if _is_key(like) else jnp.asarray(array)
