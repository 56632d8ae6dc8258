"""PyTorch: `nn.GRU`, `nn.LSTM`, `nn.RNN` and their cells."""

import re
from typing import Literal

import numpy as np
from jax.typing import DTypeLike

from ..cells import AbstractCell, ElmanCell, StackedCell
from ._errors import WeightError
from ._gates import (
    TORCH_ORDERS,
    Stacked,
    activation_name,
    cell_from_stacked,
    kind_of,
    plain_cell,
    require_reset,
    stack_cell,
)
from ._tree import Group, Weights, assemble, find

_ANCHOR = r"weight_[ih]h(?:_l\d+)?(?:_reverse)?"


def from_torch(
    weights: Weights,
    *,
    layer: int | None = None,
    prefix: str | None = None,
    nonlinearity: Literal["tanh", "relu"] = "tanh",
    dtype: DTypeLike | None = None,
) -> AbstractCell:
    """The cell of a PyTorch state dict.

    The kind is told by the rows of `weight_hh`: 3H is a GRU, 4H an LSTM, H a plain network. PyTorch's GRU is
    `reset="after"` with gates stacked r, z, n; `b_r = bias_ih + bias_hh`, and so for z; `b_c` and `b_hc` stay apart.

    **Arguments:**

    - `weights`: `weight_ih_l{k} (G H, I)`, `weight_hh_l{k} (G H, H)`, `bias_ih_l{k}`, `bias_hh_l{k} (G H,)`, the latter
      absent for `bias=False`; names without `_l{k}` as in `nn.GRUCell`. Other entries, such as a readout, are ignored.
    - `layer`: pick one layer; by default several layers become a `StackedCell`.
    - `prefix`: what stands before the names, e.g. `"encoder.rnn"`; needed only when there are several networks.
    - `nonlinearity` of an `nn.RNN`, which the weights do not tell.
    - `dtype`: by default JAX's default float.

    **Returns:** a `GRUCell`, `LSTMCell`, `ElmanCell` or `StackedCell`.

    **Raises:** `WeightError` for missing, unknown, misshapen or non-finite entries, for bidirectional networks, and for
    projections.

    **Source:** documentation of `torch.nn.GRU`, `torch.nn.LSTM`, `torch.nn.RNN`.
    """

    def read(group: Group) -> list[AbstractCell]:
        for name in group.entries:
            if name.endswith("_reverse"):
                raise group.error(
                    f"{group.prefix + name!r} belongs to a bidirectional network, which is no dynamical system; "
                    "remove the `_reverse` entries to analyse the forward half"
                )
            if re.fullmatch(r"weight_hr(_l\d+)?", name):
                raise group.error(f"{group.prefix + name!r} is a projection (proj_size > 0), which is not supported")
        group.reject(r"(?:weight|bias)_.*", r"(?:weight|bias)_[ih]h(?:_l\d+)?")
        numbers = sorted({int(m[1]) for name in group.entries if (m := re.fullmatch(r"weight_[ih]h_l(\d+)", name))})
        endings = [f"_l{number}" for number in range(max(numbers) + 1)] if numbers else [""]
        return [_read_layer(group, end, nonlinearity, dtype) for end in endings]

    return assemble(find("from_torch", weights, [_ANCHOR], "weight_hh_l0", prefix), read, layer)


def _read_layer(group: Group, end: str, nonlinearity: str, dtype: DTypeLike | None) -> AbstractCell:
    size = group.hidden_size(f"weight_hh{end}", 1)
    U = group.take(f"weight_hh{end}", (None, size))
    kind = kind_of(group.where, f"{group.prefix}weight_hh{end}", U.shape[0], size)
    W = group.take(f"weight_ih{end}", (U.shape[0], None))
    shape = (U.shape[0],)
    biases = group.take_all({f"bias_ih{end}": shape, f"bias_hh{end}": shape}) or (None, None)
    stacked = Stacked(W, U, *biases)
    return cell_from_stacked(group.where, kind, TORCH_ORDERS[kind], stacked, activation=nonlinearity, dtype=dtype)


def to_torch(cell: AbstractCell, *, single: bool = False) -> dict[str, np.ndarray]:
    """The PyTorch state dict of a cell; `{k: torch.from_numpy(v)}` of it goes into `load_state_dict`.

    Biases that PyTorch splits in two are written as `bias_ih = b`, `bias_hh = 0`, except `bias_hh = b_hc` for the
    candidate. The nonlinearity of an `ElmanCell` must be given to `nn.RNN` beside the weights.

    **Arguments:** `cell`, a GRU with `reset="after"`, an LSTM, an Elman cell with tanh or relu, or a stack of equal
    kinds and hidden sizes; `single=True` writes the names of `nn.GRUCell`, without `_l0`.

    **Returns:** a flat dict of NumPy arrays named as in `from_torch`, `weight_ih_l0 (G H, I)` and so on.

    **Raises:** `WeightError` for a cell that PyTorch does not have.

    **Source:** as for `from_torch`.
    """
    layers = cell.layers if isinstance(cell, StackedCell) else (cell,)
    if len({(type(part), part.hidden_size) for part in layers}) > 1 or (single and len(layers) > 1):
        raise WeightError(
            "to_torch: nn.GRU holds layers of one kind and one hidden size, nn.GRUCell one layer; "
            "write the layers singly"
        )
    weights: dict[str, np.ndarray] = {}
    for number, part in enumerate(layers):
        require_reset("to_torch", part, ["after"])
        kind, plain = plain_cell("to_torch", part)
        if isinstance(plain, ElmanCell) and activation_name("to_torch", plain.activation) not in ("tanh", "relu"):
            raise WeightError("to_torch: nn.RNN has the nonlinearities tanh and relu only, the cell has another")
        W, U, b, b_hidden = stack_cell(plain, TORCH_ORDERS[kind])
        end = "" if single else f"_l{number}"
        weights |= {f"weight_ih{end}": W, f"weight_hh{end}": U}
        if b is not None and b_hidden is not None:
            weights |= {f"bias_ih{end}": b, f"bias_hh{end}": b_hidden}
    return weights
