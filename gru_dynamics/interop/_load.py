"""One front door: from any format, to any format, from a file."""

import os
import re
from collections.abc import Callable
from typing import Any, Literal

from jax.typing import DTypeLike

from .._types import Activation
from ..cells import AbstractCell
from ._equinox import from_equinox, to_equinox
from ._errors import WeightError
from ._files import read_file
from ._flax import from_flax_linen, from_flax_nnx, to_flax_linen, to_flax_nnx
from ._haiku import from_haiku, to_haiku
from ._keras import from_keras, to_keras
from ._native import read_cells
from ._onnx import from_onnx, to_onnx
from ._torch import from_torch, to_torch
from ._tree import Group, Weights, assemble, flatten, shown

FORMATS: tuple[str, ...] = ("torch", "equinox", "flax_linen", "flax_nnx", "haiku", "keras", "onnx")

# A name that only one format has. `weight_hh` alone is told apart by the bias beside it; without one, PyTorch and
# Equinox have the same layout.
_MARKS = {
    format: rf"(?:.*\.)?(?:{mark})"
    for format, mark in {
        "torch": r"weight_hh_l\d+|bias_hh",
        "equinox": r"bias_n",
        "flax_linen": r"h[rn]\.kernel|if\.kernel|h\.kernel",
        "flax_nnx": r"dense_h\.kernel|if_\.kernel",
        "haiku": r"w_h|(?:lstm|vanilla_rnn)(?:_\d+)?\.linear\.w",
        "keras": r"recurrent_kernel",
        "onnx": r"R",
    }.items()
}


def from_weights(
    weights: Weights,
    format: str = "auto",
    *,
    layer: int | None = None,
    prefix: str | None = None,
    reset: Literal["before", "after"] | None = None,
    activation: str | Activation | None = None,
    dtype: DTypeLike | None = None,
) -> AbstractCell:
    """The cell of a dict of weights in any format, see the `from_*` functions.

    **Arguments:**

    - `weights`: nested or flat dict of arrays, or a list of dicts, one per layer.
    - `format`: `"auto"` tells the format by names, or one of `FORMATS`.
    - `layer`, `prefix`, `dtype`: as in `from_torch`.
    - `reset`: for ONNX and for Keras without biases, where the weights do not tell the form; elsewhere it must agree.
    - `activation`: of a plain network, where the weights do not tell; by default that of the framework.

    **Returns:** a `GRUCell`, `LSTMCell`, `ElmanCell` or `StackedCell`; input matrices `(H, I)`, recurrent `(H, H)`.

    **Raises:** `WeightError` for an unknown or ambiguous format and whatever the `from_*` functions raise.

    **Source:** the `from_*` functions.
    """
    if format == "auto":
        format = detect(weights, prefix)
    common: dict[str, Any] = {"layer": layer, "prefix": prefix, "dtype": dtype}
    plain = {} if activation is None else {"activation": activation}
    forms = {None: None, "before": 0, "after": 1}
    readers: dict[str, Callable[[], AbstractCell]] = {
        "torch": lambda: from_torch(weights, **_renamed(plain), **common),
        "equinox": lambda: from_equinox(weights, **common),
        "flax_linen": lambda: from_flax_linen(weights, **plain, **common),
        "flax_nnx": lambda: from_flax_nnx(weights, **plain, **common),
        "haiku": lambda: from_haiku(weights, **common),
        "keras": lambda: from_keras(weights, reset=reset, **plain, **common),
        "onnx": lambda: from_onnx(weights, linear_before_reset=forms[reset], **plain, **common),
    }
    if format not in readers:
        raise WeightError(f"unknown format {format!r}; expected one of auto, gru_dynamics, {', '.join(FORMATS)}")
    cell = readers[format]()
    _check_reset(cell, format, reset)
    return cell


def to_weights(cell: AbstractCell, format: str) -> dict[str, Any] | list[dict[str, Any]]:
    """The weights of a cell in a format, see the `to_*` functions; `save_weights` writes them.

    **Arguments:** `cell`; `format`, one of `FORMATS`.

    **Returns:** a dict of NumPy arrays of the format's own shapes, or a list of dicts for a stack (PyTorch: one dict
    for all layers).

    **Raises:** `WeightError` for an unknown format or a cell that it does not have.

    **Source:** the `to_*` functions.
    """
    writers = {
        "torch": to_torch,
        "equinox": to_equinox,
        "flax_linen": to_flax_linen,
        "flax_nnx": to_flax_nnx,
        "haiku": to_haiku,
        "keras": to_keras,
        "onnx": to_onnx,
    }
    if format not in writers:
        raise WeightError(f"unknown format {format!r}; expected one of {', '.join(FORMATS)}")
    return writers[format](cell)


def load_cell(
    path: str | os.PathLike[str],
    format: str = "auto",
    *,
    layer: int | None = None,
    prefix: str | None = None,
    reset: Literal["before", "after"] | None = None,
    activation: str | Activation | None = None,
    dtype: DTypeLike | None = None,
) -> AbstractCell:
    """The cell in a `.safetensors` or `.npz` file, written by `save_cell` or by another framework.

    **Arguments:**

    - `path`: the file. Other entries in it, such as a readout, are ignored.
    - `format`: `"auto"`, `"gru_dynamics"` (our own), or one of `FORMATS`.
    - `layer`: pick one layer of several. `prefix`: what stands before the names, needed only when there are several
      networks.
    - `reset`: for ONNX and for Keras without biases, where the weights do not tell the form; elsewhere it must agree.
    - `activation`: of a plain network, where the weights do not tell; by default that of the framework.
    - `dtype`: by default JAX's default float, whatever the file has; float64 needs `JAX_ENABLE_X64=1`.

    **Returns:** a `GRUCell`, `LSTMCell`, `ElmanCell` or `StackedCell`, or any other cell that `save_cell` writes; input
    matrices `(H, I)`, recurrent `(H, H)`.

    **Raises:** `WeightError`, one line that names the file, what was expected, what was found, and the fix.

    **Source:** the `from_*` functions.
    """
    arrays, header = read_file(path)
    if format == "gru_dynamics" and header is None:
        raise WeightError(f'{path}: expected a file of save_cell, found no header of ours; use format="auto"')
    try:
        if header is not None and format in ("auto", "gru_dynamics"):
            group = Group("load_cell", "", {})
            cell = assemble([group], lambda _: read_cells("load_cell", arrays, header, dtype), layer)
            _check_reset(cell, "gru_dynamics", reset)
            return cell
        return from_weights(arrays, format, layer=layer, prefix=prefix, reset=reset, activation=activation, dtype=dtype)
    except WeightError as error:
        raise WeightError(f"{path}: {error}") from error


def detect(weights: Weights, prefix: str | None = None) -> str:
    """The one format whose names occur, or an error that names the candidates."""
    names = {name.replace("/", ".") for name in flatten(weights)}
    asked = (prefix or "").replace("/", ".").rstrip(".")
    inside = sorted(name for name in names if not asked or name.startswith(asked + "."))
    candidates = {format for format, mark in _MARKS.items() if any(re.fullmatch(mark, name) for name in inside)}
    for name in inside:
        if re.fullmatch(r"(?:.*\.)?weight_hh", name):
            start = name.removesuffix("weight_hh")
            candidates.add("equinox" if {start + "bias", start + "bias_n"} & names else "torch")
    if not candidates:
        raise WeightError(
            f"no recurrent weights of a known format; expected the names of {', '.join(FORMATS)}; "
            f"found {shown(sorted(names))}; rename the entries or pass format="
        )
    if len(candidates) > 1:
        fits = ", ".join(sorted(candidates))
        raise WeightError(f"the names fit several formats: {fits}; found {shown(inside)}; choose with format=")
    return candidates.pop()


def _renamed(plain: dict[str, Any]) -> dict[str, Any]:
    return {"nonlinearity": plain["activation"]} if plain else {}


def _check_reset(cell: AbstractCell, format: str, reset: str | None) -> None:
    """A form that the user states must be the form of every GRU that was read."""
    layers = getattr(cell, "layers", (cell,))
    for part in layers:
        found = getattr(part, "reset", reset)
        if reset is not None and found != reset:
            raise WeightError(f"{format} weights have reset={found!r}, got reset={reset!r}; leave reset= out")
