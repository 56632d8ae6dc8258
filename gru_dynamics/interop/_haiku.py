"""Haiku: `hk.GRU`, `hk.LSTM` and `hk.VanillaRNN`."""

from typing import Any

import numpy as np
from jax.typing import DTypeLike

from ..cells import AbstractCell, ElmanCell
from ._errors import WeightError
from ._gates import Stacked, activation_name, cell_from_stacked, plain_cell, require_reset, stack_cell
from ._tree import Group, Weights, assemble, find, per_layer

_GRU, _LSTM = "zrc", "igfo"
# Modules by their default names first: a readout is called `linear` too.
_ANCHORS = (
    "w_h",
    r"(?P<prefix>(?:.*\.)?(?:lstm|vanilla_rnn)(?:_\d+)?\.)linear\.w",
    r"linear\.w",
)


def from_haiku(
    weights: Weights, *, layer: int | None = None, prefix: str | None = None, dtype: DTypeLike | None = None
) -> AbstractCell:
    """The cell of the parameters of a Haiku recurrent core.

    Haiku's GRU is `reset="before"` and its z is a WRITE gate, so the whole affine map of z is negated. Its LSTM adds 1
    to the forget gate in code; the cell has that in `b_f`. Its `VanillaRNN` uses relu.

    **Arguments:**

    - `weights`: the parameters of one module or of a whole network. GRU: `w_i (I, 3H)`, `w_h (H, 3H)`, `b (3H,)` in the
      order z, r, a. LSTM: `linear` with `w (I + H, 4H)`, `b (4H,)` in the order i, g, f, o. VanillaRNN: `linear` with
      `w (I, H)`, `b (H,)`, and `linear_1` with `w (H, H)` and, for `double_bias=True`, `b (H,)`. A list is a stack.
    - `layer`, `prefix`, `dtype`: as in `from_torch`.

    **Returns:** a `GRUCell`, `LSTMCell`, `ElmanCell`, or a `StackedCell` for a list.

    **Raises:** `WeightError` for missing, unknown, misshapen or non-finite entries.

    **Source:** `haiku.GRU`, `haiku.LSTM`, `haiku.VanillaRNN`.
    """

    def read(group: Group) -> list[AbstractCell]:
        if "w_h" in group.entries:
            return [_read_gru(group, dtype)]
        if "linear_1.w" in group.entries:
            return [_read_vanilla(group, dtype)]
        return [_read_lstm(group, dtype)]

    return assemble(find("from_haiku", weights, _ANCHORS, "gru/w_h", prefix), read, layer)


def _read_gru(group: Group, dtype: DTypeLike | None) -> AbstractCell:
    group.reject(r"w_.*|b.*", r"w_i|w_h|b")
    size = group.hidden_size("w_h", 0)
    U = group.take("w_h", (size, 3 * size)).T
    W = group.take("w_i", (None, 3 * size)).T
    biases = group.take_all({"b": (3 * size,)})
    sign = np.repeat([-1.0, 1.0, 1.0], size).astype(U.dtype)
    stacked = Stacked(W * sign[:, None], U * sign[:, None], biases[0] * sign if biases else None)
    return cell_from_stacked(group.where, "gru", _GRU, stacked, reset="before", dtype=dtype)


def _read_lstm(group: Group, dtype: DTypeLike | None) -> AbstractCell:
    group.reject(r"linear\..*", r"linear\.[wb]")
    joined = group.take("linear.w", (None, None)).T
    size = joined.shape[0] // 4
    if joined.shape[0] != 4 * size or joined.shape[1] < size:
        raise group.error(
            f"{group.prefix + 'linear.w'!r} must have shape (I + H, 4H) for an LSTM, found {joined.T.shape}; "
            "choose the module with prefix="
        )
    biases = group.take_all({"linear.b": (4 * size,)})
    b = np.zeros_like(joined[:, 0]) if biases is None else biases[0]
    one = np.repeat([gate == "f" for gate in _LSTM], size).astype(b.dtype)
    split = joined.shape[1] - size
    stacked = Stacked(joined[:, :split], joined[:, split:], b + one)
    return cell_from_stacked(group.where, "lstm", _LSTM, stacked, dtype=dtype)


def _read_vanilla(group: Group, dtype: DTypeLike | None) -> AbstractCell:
    group.reject(r"linear(?:_\d+)?\..*", r"linear(?:_1)?\.[wb]")
    size = group.hidden_size("linear_1.w", 0)
    U = group.take("linear_1.w", (size, size)).T
    W = group.take("linear.w", (None, size)).T
    outer, inner = group.take_all({"linear.b": (size,)}), group.take_all({"linear_1.b": (size,)})
    if outer is None and inner is not None:
        outer = [np.zeros_like(inner[0])]
    stacked = Stacked(W, U, outer[0] if outer else None, inner[0] if inner else None)
    return cell_from_stacked(group.where, "elman", "", stacked, activation="relu", dtype=dtype)


def to_haiku(cell: AbstractCell) -> dict[str, Any] | list[dict[str, Any]]:
    """The parameters of the Haiku core that equals a cell.

    Haiku cores always have biases: zeros are written for `use_bias=False`. `VanillaRNN` is written with `double_bias`.

    **Arguments:** `cell`, a GRU with `reset="before"`, an LSTM, an Elman cell with relu, or a stack of them.

    **Returns:** matrices `(I, G H)` and `(H, G H)` in a dict with the module's default name, e.g. `{"gru": {"w_i": ...,
    "w_h": ..., "b": ...}}`, in the layout of `from_haiku`; a list of dicts for a stack.

    **Raises:** `WeightError` for a cell that Haiku does not have.

    **Source:** as for `from_haiku`.
    """

    def write(part: AbstractCell) -> dict[str, Any]:
        require_reset("to_haiku", part, ["before"])
        kind, plain = plain_cell("to_haiku", part)
        if isinstance(plain, ElmanCell):
            name = activation_name("to_haiku", plain.activation)
            if name != "relu":
                raise WeightError(f"to_haiku: hk.VanillaRNN has the activation relu only, the cell has {name}")
        order = {"gru": _GRU, "lstm": _LSTM, "elman": ""}[kind]
        W, U, b, _ = stack_cell(plain, order)
        b = np.zeros_like(U[:, 0]) if b is None else b
        if kind == "gru":
            sign = np.repeat([-1.0, 1.0, 1.0], plain.hidden_size).astype(U.dtype)
            return {"gru": {"w_i": W.T * sign, "w_h": U.T * sign, "b": b * sign}}
        if kind == "lstm":
            one = np.repeat([gate == "f" for gate in order], plain.hidden_size).astype(b.dtype)
            return {"lstm/linear": {"w": np.concatenate([W, U], axis=1).T, "b": b - one}}
        outer, inner = {"w": W.T, "b": b}, {"w": U.T, "b": np.zeros_like(b)}
        return {"vanilla_rnn/linear": outer, "vanilla_rnn/linear_1": inner}

    return per_layer(cell, write)
