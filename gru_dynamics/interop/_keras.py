"""Keras 3: `GRU`, `LSTM`, `SimpleRNN` and their cells."""

from typing import Any, Literal

import numpy as np
from jax.typing import DTypeLike

from .._types import Activation
from ..cells import AbstractCell, GRUCell
from ._gates import Orders, Stacked, cell_from_stacked, kind_of, plain_cell, require_reset, stack_cell
from ._tree import Group, Weights, assemble, find, per_layer

_ORDERS: Orders = {"gru": "zrc", "lstm": "ifgo", "elman": ""}


def from_keras(
    weights: Weights,
    *,
    reset: Literal["before", "after"] | None = None,
    layer: int | None = None,
    prefix: str | None = None,
    activation: str | Activation = "tanh",
    dtype: DTypeLike | None = None,
) -> AbstractCell:
    """The cell of the variables of a Keras recurrent layer, e.g. `{v.path: v.numpy() for v in layer.variables}`.

    Keras stacks the GRU's gates z, r, h. Its `reset_after=True` (the default) is `reset="after"`, told by a bias of
    shape `(2, 3H)`, of which row 0 is outside and row 1 inside the reset product.

    **Arguments:**

    - `weights`: `kernel (I, G H)`, `recurrent_kernel (H, G H)`, `bias (G H,)` or `(2, 3H)`, absent for
      `use_bias=False`; a list of such dicts is a stack.
    - `reset`: needed for a GRU without biases; elsewhere it must agree with the bias.
    - `layer`, `prefix`, `dtype`: as in `from_torch`. `activation` of a `SimpleRNN`, which the weights do not tell.

    **Returns:** a `GRUCell`, `LSTMCell`, `ElmanCell`, or a `StackedCell` for a list.

    **Raises:** `WeightError` for missing, unknown, misshapen or non-finite entries, or when `reset` is not known.

    **Source:** `keras.layers.GRU`, `keras.layers.LSTM`, `keras.layers.SimpleRNN`.
    """

    def read(group: Group) -> list[AbstractCell]:
        group.reject(r"(?:.*_)?(?:kernel|bias)(?:_.*)?", r"(?:recurrent_)?kernel|bias")
        size = group.hidden_size("recurrent_kernel", 0)
        U = group.take("recurrent_kernel", (size, None)).T
        rows = U.shape[0]
        kind = kind_of(group.where, group.prefix + "recurrent_kernel", rows, size)
        W = group.take("kernel", (None, rows)).T
        paired = kind == "gru" and "bias" in group.entries and np.ndim(group.entries["bias"]) == 2
        biases = group.take_all({"bias": (2, rows) if paired else (rows,)})
        form: Literal["before", "after"] | None = reset
        if kind == "gru" and biases is not None:
            form = "after" if paired else "before"
            if reset not in (None, form):
                raise group.error(
                    f"a bias of shape {biases[0].shape} means reset={form!r}, got reset={reset!r}; drop it"
                )
        if kind == "gru" and form is None:
            raise group.error('a GRU without biases does not tell its form; pass reset="after" for reset_after=True')
        pair = (None, None) if biases is None else tuple(biases[0]) if paired else (biases[0], None)
        stacked = Stacked(W, U, *pair)
        return [
            cell_from_stacked(
                group.where, kind, _ORDERS[kind], stacked, reset=form or "after", activation=activation, dtype=dtype
            )
        ]

    return assemble(find("from_keras", weights, ["recurrent_kernel"], "recurrent_kernel", prefix), read, layer)


def to_keras(cell: AbstractCell) -> dict[str, Any] | list[dict[str, Any]]:
    """The variables of the Keras layer that equals a cell; `layer.set_weights(list(result.values()))` takes them.

    The layer needs `reset_after=True` for `reset="after"` and `False` for `"before"`; a `SimpleRNN` the activation.

    **Arguments:** `cell`, a GRU of either reset form, an LSTM, an Elman cell, or a stack of them.

    **Returns:** `kernel (I, G H)`, `recurrent_kernel (H, G H)` and, unless `use_bias=False`, `bias`, as in
    `from_keras`; a list of dicts for a stack.

    **Raises:** `WeightError` for a cell that Keras does not have.

    **Source:** as for `from_keras`.
    """

    def write(part: AbstractCell) -> dict[str, Any]:
        require_reset("to_keras", part, ["before", "after"])
        kind, plain = plain_cell("to_keras", part)
        W, U, b, b_hidden = stack_cell(plain, _ORDERS[kind])
        weights = {"kernel": W.T, "recurrent_kernel": U.T}
        if b is not None and b_hidden is not None:
            paired = isinstance(plain, GRUCell) and plain.reset == "after"
            weights["bias"] = np.stack([b, b_hidden]) if paired else b
        return weights

    return per_layer(cell, write)
