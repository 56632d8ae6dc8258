"""Equinox: `eqx.nn.GRUCell` and `eqx.nn.LSTMCell`."""

from typing import Any

import numpy as np
from jax.typing import DTypeLike

from ..cells import AbstractCell, ElmanCell
from ._errors import WeightError
from ._gates import TORCH_ORDERS, Stacked, cell_from_stacked, kind_of, plain_cell, require_reset, stack_cell
from ._tree import Group, Weights, assemble, find, per_layer


def from_equinox(
    weights: Weights, *, layer: int | None = None, prefix: str | None = None, dtype: DTypeLike | None = None
) -> AbstractCell:
    """The cell of the fields of an `eqx.nn.GRUCell` or `eqx.nn.LSTMCell`; `vars(cell)` is such a dict.

    Equinox's GRU is `reset="after"` with gates stacked r, z, n; `bias_n` is `b_hc`.

    **Arguments:**

    - `weights`: `weight_ih (G H, I)`, `weight_hh (G H, H)`, `bias (G H,)`, and `bias_n (H,)` of a GRU; or a list of
      such dicts, one per layer. Biases are absent or `None` for `use_bias=False`.
    - `layer`, `prefix`, `dtype`: as in `from_torch`.

    **Returns:** a `GRUCell`, `LSTMCell`, or a `StackedCell` for a list.

    **Raises:** `WeightError` for missing, unknown, misshapen or non-finite entries.

    **Source:** `equinox.nn.GRUCell`, `equinox.nn.LSTMCell`.
    """

    def read(group: Group) -> list[AbstractCell]:
        group.reject(r"(?:weight|bias)_.*", r"weight_[ih]h|bias|bias_n")
        size = group.hidden_size("weight_hh", 1)
        U = group.take("weight_hh", (None, size))
        kind = kind_of(group.where, group.prefix + "weight_hh", U.shape[0], size)
        if kind == "elman":
            raise group.error(f"'weight_hh' has {size} rows for {size} units; Equinox has no plain recurrent cell")
        W = group.take("weight_ih", (U.shape[0], None))
        biases = group.take_all({"bias": (3 * size,), "bias_n": (size,)} if kind == "gru" else {"bias": (4 * size,)})
        stacked = Stacked(W, U, biases[0] if biases else None)
        if biases and kind == "gru":
            hidden = np.zeros_like(biases[0])
            hidden[2 * size :] = biases[1]
            stacked = stacked._replace(b_hidden=hidden)
        return [cell_from_stacked(group.where, kind, TORCH_ORDERS[kind], stacked, dtype=dtype)]

    return assemble(find("from_equinox", weights, ["weight_hh"], "weight_hh", prefix), read, layer)


def to_equinox(cell: AbstractCell) -> dict[str, Any] | list[dict[str, Any]]:
    """The fields of the `eqx.nn.GRUCell` or `eqx.nn.LSTMCell` that equals a cell.

    **Arguments:** `cell`, a GRU with `reset="after"`, an LSTM, or a stack of them.

    **Returns:** a dict named as in `from_equinox`, `weight_ih (G H, I)` and so on, without biases for
    `use_bias=False`; a list of dicts for a stack.

    **Raises:** `WeightError` for a cell that Equinox does not have.

    **Source:** as for `from_equinox`.
    """

    def write(part: AbstractCell) -> dict[str, Any]:
        require_reset("to_equinox", part, ["after"])
        kind, plain = plain_cell("to_equinox", part)
        if isinstance(plain, ElmanCell):
            raise WeightError("to_equinox: Equinox has no plain recurrent cell; expected a GRUCell or LSTMCell")
        W, U, b, b_hidden = stack_cell(plain, TORCH_ORDERS[kind])
        weights = {"weight_ih": W, "weight_hh": U}
        if b is not None and b_hidden is not None:
            weights["bias"] = b
            if kind == "gru":
                weights["bias_n"] = b_hidden[2 * plain.hidden_size :]
        return weights

    return per_layer(cell, write)
