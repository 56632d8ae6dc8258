"""ONNX: the operators GRU, LSTM and RNN."""

from typing import Any, Literal

import numpy as np
from jax.typing import DTypeLike

from .._types import Activation
from ..cells import AbstractCell
from ._gates import Orders, Stacked, cell_from_stacked, kind_of, plain_cell, require_reset, stack_cell
from ._tree import Group, Weights, assemble, find, per_layer

_ORDERS: Orders = {"gru": "zrc", "lstm": "iofg", "elman": ""}


def from_onnx(
    weights: Weights,
    *,
    linear_before_reset: Literal[0, 1] | None = None,
    layer: int | None = None,
    prefix: str | None = None,
    activation: str | Activation = "tanh",
    dtype: DTypeLike | None = None,
) -> AbstractCell:
    """The cell of the inputs `W`, `R`, `B` of an ONNX GRU, LSTM or RNN node.

    Gates are stacked z, r, h for the GRU and i, o, f, c for the LSTM; `B` is `[Wb, Rb]`.

    **Arguments:**

    - `weights`: `W (1, G H, I)`, `R (1, G H, H)` and optionally `B (1, 2 G H)`; a list of such dicts is a stack.
    - `linear_before_reset`: an attribute of the GRU node, absent from the weights and required here. 0 (the default of
      the operator) is `reset="before"`, 1 (what PyTorch exports) is `reset="after"`.
    - `layer`, `prefix`, `dtype`: as in `from_torch`. `activation` of an RNN node, an attribute too.

    **Returns:** a `GRUCell`, `LSTMCell`, `ElmanCell`, or a `StackedCell` for a list.

    **Raises:** `WeightError` for missing, unknown, misshapen or non-finite entries, two directions, or peepholes.

    **Source:** ONNX operator schemas GRU-14, LSTM-14, RNN-14.
    """

    def read(group: Group) -> list[AbstractCell]:
        if "P" in group.entries:
            raise group.error("'P' holds peephole weights, which LSTMCell does not have; only nodes without them load")
        group.reject(r"[A-Z]", r"[WRB]")
        shape = np.shape(group.entries["R"])
        if len(shape) == 3 and shape[0] == 2:
            raise group.error("'R' has two directions; expected shape (1, G H, H); slice [:1] to keep the forward half")
        if len(shape) != 3 or shape[2] == 0:
            raise group.error(f"'R' must have shape (1, G H, H), found {shape}; check how it was saved")
        rows, size = shape[1], shape[2]
        kind = kind_of(group.where, group.prefix + "R", rows, size)
        if kind == "gru" and linear_before_reset not in (0, 1):
            raise group.error(
                "the weights of a GRU do not tell its reset form; pass the node's linear_before_reset "
                f"(0 by ONNX's default, 1 when PyTorch exported it), got {linear_before_reset!r}"
            )
        U, W = group.take("R", (1, rows, size))[0], group.take("W", (1, rows, None))[0]
        biases = group.take_all({"B": (1, 2 * rows)})
        stacked = Stacked(W, U, *(np.split(biases[0][0], 2) if biases else (None, None)))
        reset = "after" if linear_before_reset else "before"
        order = _ORDERS[kind]
        return [cell_from_stacked(group.where, kind, order, stacked, reset=reset, activation=activation, dtype=dtype)]

    return assemble(find("from_onnx", weights, ["R"], "R", prefix), read, layer)


def to_onnx(cell: AbstractCell) -> dict[str, Any] | list[dict[str, Any]]:
    """The inputs `W`, `R`, `B` of the ONNX node that equals a cell.

    The node needs `hidden_size`, `linear_before_reset=1` for `reset="after"` and 0 for `"before"`, and for an RNN its
    activation.

    **Arguments:** `cell`, a GRU of either reset form, an LSTM, an Elman cell, or a stack of them.

    **Returns:** a dict of `W (1, G H, I)`, `R (1, G H, H)`, `B (1, 2 G H)` as in `from_onnx`, without `B` for
    `use_bias=False`; a list of dicts for a stack.

    **Raises:** `WeightError` for a cell that ONNX does not have.

    **Source:** as for `from_onnx`.
    """

    def write(part: AbstractCell) -> dict[str, Any]:
        require_reset("to_onnx", part, ["before", "after"])
        kind, plain = plain_cell("to_onnx", part)
        W, U, b, b_hidden = stack_cell(plain, _ORDERS[kind])
        weights = {"W": W[None], "R": U[None]}
        if b is not None and b_hidden is not None:
            weights["B"] = np.concatenate([b, b_hidden])[None]
        return weights

    return per_layer(cell, write)
