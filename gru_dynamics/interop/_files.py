"""Named arrays in `.safetensors` and `.npz` files: read with clear errors, written whole or not at all."""

import io
import json
import os
import uuid
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from ._errors import WeightError
from ._tree import Weights, flatten, shown

# Where our own header lives: a metadata key of safetensors, an extra array of npz.
_HEADER = "gru_dynamics"
_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib")
_EXPECTED = "expected a .safetensors or .npz file"


def load_arrays(path: str | os.PathLike[str], *, finite: bool = True) -> dict[str, np.ndarray]:
    """All arrays of a file by name, e.g. a readout or visited states beside the weights.

    **Arguments:** `path`, a `.safetensors` or `.npz` file; `finite=False` lets nan and inf pass.

    **Returns:** a dict of NumPy arrays in the dtypes and shapes of the file.

    **Raises:** `WeightError`, one line that names the file, for a missing, empty, damaged or unsupported file, and for
    floating arrays that hold nan or inf. Nothing is ever unpickled.

    **Source:** formats of safetensors and `numpy.savez`.
    """
    arrays, _ = read_file(path)
    for name, array in arrays.items():
        if finite and jnp.issubdtype(array.dtype, jnp.inexact) and not np.isfinite(array).all():
            bad = int(array.size - np.isfinite(array).sum())
            raise WeightError(
                f"{path}: {name!r} must be finite, found {bad} nan or inf of {array.size}; clean the file"
            )
    return arrays


def save_weights(path: str | os.PathLike[str], weights: Weights) -> None:
    """Write a dict of arrays, as the `to_*` functions return it, under flat names.

    Nested names are joined with `.`; a list of layers gets `layer[0].`, ... in front, which `load_cell` reads as
    a stack. The file appears whole or not at all.

    **Arguments:** `path`, ending in `.safetensors` or `.npz`; `weights`, nested or flat dict, or a list of dicts.

    **Returns:** nothing; shapes and dtypes are those given.

    **Raises:** `WeightError` for another ending, for no arrays, or when the place cannot be written.

    **Source:** formats of safetensors and `numpy.savez`.
    """
    write_file(path, {name: np.asarray(array) for name, array in flatten(weights).items()}, None)


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    """The arrays of a file and our own header, `None` in a file that is not ours."""
    path = Path(path)
    _check_ending(path)
    if not path.exists():
        raise WeightError(f"{path}: no such file; {_EXPECTED}; check the path")
    if path.is_dir():
        raise WeightError(f"{path}: is a directory; {_EXPECTED}; name a file in it")
    try:
        size = path.stat().st_size
        start = _first_bytes(path)
    except OSError as error:
        raise WeightError(f"{path}: cannot be read: {error.strerror}; check its permissions") from error
    if size == 0:
        raise WeightError(f"{path}: is empty (0 bytes); {_EXPECTED}; save it again")
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_npz(path, start)


def write_file(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], header: dict[str, Any] | None) -> None:
    """Write arrays and our header: a temporary file beside the target, then one rename."""
    path = Path(path)
    _check_ending(path)
    if not arrays:
        raise WeightError(f"{path}: expected arrays to save, found none")
    # safetensors writes a transposed array wrongly, without a word, unless it is copied into C order.
    dense = {name: np.array(array, order="C") for name, array in arrays.items()}
    for name, array in dense.items():
        if array.dtype.kind not in "biuf" and (array.dtype.kind != "V" or path.suffix == ".npz"):
            raise WeightError(
                f"{path}: {name!r} is of dtype {array.dtype}, which the file cannot hold; convert it to float32"
            )
    if path.suffix == ".safetensors":
        content = safetensors.numpy.save(dense, None if header is None else {_HEADER: json.dumps(header)})
    else:
        content = _npz_bytes(dense if header is None else {**dense, _HEADER: np.array(json.dumps(header))})
    if path.is_dir():
        raise WeightError(f"{path}: is a directory; {_EXPECTED}; name a file in it")
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with scratch.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError as error:
        raise WeightError(f"{path}: cannot be written: {error.strerror}; check that the folder exists") from error
    finally:
        scratch.unlink(missing_ok=True)


def _check_ending(path: Path) -> None:
    if path.suffix in (".safetensors", ".npz"):
        return
    if path.suffix.lower() in _PICKLES:
        raise WeightError(
            f"{path}: {path.suffix} files are pickles, which are never unpickled; {_EXPECTED}; save the weights with "
            "safetensors.torch.save_file or numpy.savez"
        )
    found = f"found the ending {path.suffix!r}" if path.suffix else "found no ending"
    raise WeightError(f"{path}: {_EXPECTED}, {found}; save the weights with safetensors or numpy.savez")


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    try:
        with safetensors.safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, TypeError, AttributeError) as error:
        raise _damaged(path, "safetensors", error) from error
    return _content(path, arrays, metadata.get(_HEADER))


def _read_npz(path: Path, start: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    if not start.startswith(b"PK"):
        raise WeightError(f"{path}: is not an npz file (it starts with {start!r}); save the weights with numpy.savez")
    try:
        # numpy.load leaves a file that it opened itself open when the archive is damaged.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        RuntimeError,
        SyntaxError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise _damaged(path, "npz", error) from error
    strangers = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if strangers:
        raise WeightError(f"{path}: expected arrays only, found {shown(strangers)}; save the weights with numpy.savez")
    header = arrays.pop(_HEADER, None)
    return _content(path, arrays, None if header is None else str(header))


def _content(
    path: Path, arrays: dict[str, np.ndarray], header: str | None
) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    if not arrays:
        raise WeightError(f"{path}: expected weights, found a file without arrays; save it again")
    try:
        parsed = None if header is None else json.loads(header)
    except json.JSONDecodeError as error:
        raise _damaged(path, "gru_dynamics", error) from error
    if parsed is not None and not isinstance(parsed, dict):
        raise WeightError(f"{path}: expected a JSON object as header, found {type(parsed).__name__}; save it again")
    return arrays, parsed


def _npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """As `numpy.savez`, which takes the names as keywords and so cannot hold an array named `file`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return buffer.getvalue()


def _damaged(path: Path, kind: str, error: Exception) -> WeightError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return WeightError(f"{path}: is not a readable {kind} file, truncated or of another kind ({reason}); save it again")
