"""Flax: `SimpleCell`, `GRUCell`, `LSTMCell` and `OptimizedLSTMCell` of `flax.linen` and `flax.nnx`."""

from typing import Any

import numpy as np
from jax.typing import DTypeLike

from .._types import Activation
from ..cells import AbstractCell
from ._errors import WeightError
from ._gates import TORCH_ORDERS, Kind, Stacked, cell_from_stacked, kind_of, plain_cell, require_reset, stack_cell
from ._tree import Group, Weights, assemble, find, per_layer

# What Flax calls the gates, in the order of `TORCH_ORDERS`.
_GATES: dict[Kind, tuple[str, ...]] = {"gru": ("r", "z", "n"), "lstm": ("i", "f", "g", "o"), "elman": ("",)}


def from_flax_linen(
    weights: Weights,
    *,
    layer: int | None = None,
    prefix: str | None = None,
    activation: str | Activation = "tanh",
    dtype: DTypeLike | None = None,
) -> AbstractCell:
    """The cell of the variables of a `flax.linen` recurrent cell.

    Kernels are `(inputs, outputs)` and are transposed. The GRU is `reset="after"`; `hn/bias` is `b_hc`.

    **Arguments:**

    - `weights`: nested, or flat with `/` or `.`. GRU: `ir iz in` with kernels `(I, H)` and biases `(H,)`, `hr hz hn`
      with kernels `(H, H)`, and `hn/bias`. LSTM: `ii if ig io` kernels, `hi hf hg ho` kernels and biases. `SimpleCell`:
      `i` kernel and bias, `h` kernel. A list of such dicts is a stack.
    - `layer`, `prefix`, `dtype`: as in `from_torch`. `activation` of a `SimpleCell`, which the weights do not tell.

    **Returns:** a `GRUCell`, `LSTMCell`, `ElmanCell`, or a `StackedCell` for a list.

    **Raises:** `WeightError` for missing, unknown, misshapen or non-finite entries.

    **Source:** `flax.linen.GRUCell`, `LSTMCell`, `OptimizedLSTMCell`, `SimpleCell`.
    """

    def read(group: Group) -> list[AbstractCell]:
        return [_read_named(group, "if", activation, dtype)]

    groups = find("from_flax_linen", weights, [r"h(?:r|n|f|o|)\.kernel"], "hr/kernel", prefix)
    return assemble(groups, read, layer)


def to_flax_linen(cell: AbstractCell) -> dict[str, Any] | list[dict[str, Any]]:
    """The parameters of the `flax.linen` cell that equals a cell; wrap them as `{"params": ...}`.

    Flax cells always have biases: zeros are written for `use_bias=False`. A `SimpleCell` must be given the activation.

    **Arguments:** `cell`, a GRU with `reset="after"`, an LSTM, an Elman cell, or a stack of them.

    **Returns:** a nested dict named as in `from_flax_linen`, kernels `(I, H)` and `(H, H)`; a list of dicts for a
    stack.

    **Raises:** `WeightError` for a cell that Flax does not have.

    **Source:** as for `from_flax_linen`.
    """
    return per_layer(cell, lambda part: _write_named("to_flax_linen", part, "if"))


def from_flax_nnx(
    weights: Weights,
    *,
    layer: int | None = None,
    prefix: str | None = None,
    activation: str | Activation = "tanh",
    dtype: DTypeLike | None = None,
) -> AbstractCell:
    """The cell of the state of a `flax.nnx` recurrent cell, as `nnx.to_pure_dict(nnx.state(cell, nnx.Param))`.

    Kernels are `(inputs, outputs)` and are transposed. The GRU is `reset="after"` without an inner bias: `b_hc = 0`.

    **Arguments:**

    - `weights`: `dense_i` with kernel `(I, G H)`, `dense_h` with kernel `(H, G H)`, gates stacked r, z, n or i, f, g,
      o; the bias `(G H,)` belongs to `dense_i` for a GRU and a `SimpleCell`, to `dense_h` for an `OptimizedLSTMCell`.
      An `nnx.LSTMCell` has the names of linen, with `if_` for `if`. A list of such dicts is a stack.
    - `layer`, `prefix`, `dtype`: as in `from_torch`. `activation` of a `SimpleCell`, which the weights do not tell.

    **Returns:** a `GRUCell`, `LSTMCell`, `ElmanCell`, or a `StackedCell` for a list.

    **Raises:** `WeightError` for missing, unknown, misshapen or non-finite entries.

    **Source:** `flax.nnx.GRUCell`, `LSTMCell`, `OptimizedLSTMCell`, `SimpleCell` of Flax 0.12.
    """

    def read(group: Group) -> list[AbstractCell]:
        if "dense_h.kernel" not in group.entries:
            return [_read_named(group, "if_", activation, dtype)]
        group.reject(r"dense_.*", r"dense_[ih]\.(?:kernel|bias)")
        size = group.hidden_size("dense_h.kernel", 0)
        U = group.take("dense_h.kernel", (size, None)).T
        kind = kind_of(group.where, group.prefix + "dense_h.kernel", U.shape[0], size)
        owner, other = ("dense_h", "dense_i") if kind == "lstm" else ("dense_i", "dense_h")
        if f"{other}.bias" in group.entries:
            raise group.error(f"unknown entry {group.prefix + other + '.bias'!r}; expected a bias in {owner!r} only")
        W = group.take("dense_i.kernel", (None, U.shape[0])).T
        biases = group.take_all({f"{owner}.bias": (U.shape[0],)})
        stacked = Stacked(W, U, biases[0] if biases else None)
        order = TORCH_ORDERS[kind]
        return [cell_from_stacked(group.where, kind, order, stacked, activation=activation, dtype=dtype)]

    anchors = [r"dense_h\.kernel", r"h[fo]\.kernel"]
    return assemble(find("from_flax_nnx", weights, anchors, "dense_h/kernel", prefix), read, layer)


def to_flax_nnx(cell: AbstractCell, *, optimized: bool = True) -> dict[str, Any] | list[dict[str, Any]]:
    """The state of the `flax.nnx` cell that equals a cell, for `nnx.update` after `nnx.replace_by_pure_dict`.

    Flax cells always have biases: zeros are written for `use_bias=False`. A `SimpleCell` must be given the activation.

    **Arguments:** `cell`, a GRU with `reset="after"` and `b_hc = 0`, an LSTM, an Elman cell, or a stack of them;
    `optimized=False` writes an LSTM as `nnx.LSTMCell` instead of `nnx.OptimizedLSTMCell`.

    **Returns:** a nested dict named as in `from_flax_nnx`, kernels `(I, G H)` and `(H, G H)`; a list of dicts for a
    stack.

    **Raises:** `WeightError` for a cell that Flax does not have; a nonzero `b_hc` is one.

    **Source:** as for `from_flax_nnx`.
    """

    def write(part: AbstractCell) -> dict[str, Any]:
        require_reset("to_flax_nnx", part, ["after"])
        kind, plain = plain_cell("to_flax_nnx", part)
        if kind == "lstm" and not optimized:
            return _write_named("to_flax_nnx", part, "if_")
        W, U, b, b_hidden = stack_cell(plain, TORCH_ORDERS[kind])
        if b_hidden is not None and b_hidden.any():
            raise WeightError(
                "to_flax_nnx: nnx.GRUCell has no bias inside the reset product, expected b_hc = 0, "
                f"found up to {abs(b_hidden).max():.3g}; use to_flax_linen, whose GRUCell has one"
            )
        weights = {"dense_i": {"kernel": W.T}, "dense_h": {"kernel": U.T}}
        weights["dense_h" if kind == "lstm" else "dense_i"]["bias"] = np.zeros_like(U[:, 0]) if b is None else b
        return weights

    return per_layer(cell, write)


def _read_named(group: Group, forget: str, activation: str | Activation, dtype: DTypeLike | None) -> AbstractCell:
    """One Dense per gate. The sum `i + h` has one bias, in `i` for GRU and plain cells, in `h` for LSTMs."""
    if "h.kernel" in group.entries:
        kind: Kind = "elman"
    elif any(f"h{gate}.kernel" in group.entries for gate in "rzn"):
        kind = "gru"
    else:
        kind = "lstm"
    gates = _GATES[kind]
    inputs, hidden = [_input_name(gate, forget) for gate in gates], [f"h{gate}" for gate in gates]
    group.reject(r"(?:[ih][a-z]?|if_)\.(?:kernel|bias).*", "|".join(rf"{n}\.(?:kernel|bias)" for n in inputs + hidden))
    size = group.hidden_size(f"{hidden[-1]}.kernel", 0)
    U = np.concatenate([group.take(f"{name}.kernel", (size, size)).T for name in hidden])
    width = group.take(f"{inputs[0]}.kernel", (None, size)).shape[0]
    W = np.concatenate([group.take(f"{name}.kernel", (width, size)).T for name in inputs])
    owners = (hidden if kind == "lstm" else inputs) + (["hn"] if kind == "gru" else [])
    for name in inputs + hidden:
        if name not in owners and f"{name}.bias" in group.entries:
            raise group.error(
                f"unknown entry {group.prefix + name + '.bias'!r}; Flax keeps biases in {owners}; remove it"
            )
    biases = group.take_all({f"{name}.bias": (size,) for name in owners})
    stacked = Stacked(W, U, None)
    if biases is not None:
        b = np.concatenate(biases[: len(gates)])
        inner = np.zeros_like(b)
        if kind == "gru":
            inner[2 * size :] = biases[-1]
        stacked = Stacked(W, U, b, inner)
    order = TORCH_ORDERS[kind]
    return cell_from_stacked(group.where, kind, order, stacked, activation=activation, dtype=dtype)


def _write_named(where: str, part: AbstractCell, forget: str) -> dict[str, Any]:
    require_reset(where, part, ["after"])
    kind, plain = plain_cell(where, part)
    W, U, b, b_hidden = stack_cell(plain, TORCH_ORDERS[kind])
    zeros = np.zeros_like(U[:, 0])
    gates, weights = _GATES[kind], {}
    blocks = [np.split(array, len(gates)) for array in (W, U, zeros if b is None else b)]
    for gate, w, u, bias in zip(gates, *blocks, strict=True):
        weights[_input_name(gate, forget)] = {"kernel": w.T}
        weights[f"h{gate}"] = {"kernel": u.T}
        weights[f"h{gate}" if kind == "lstm" else f"i{gate}"]["bias"] = bias
    if kind == "gru":
        weights["hn"]["bias"] = (zeros if b_hidden is None else b_hidden)[2 * plain.hidden_size :]
    return weights


def _input_name(gate: str, forget: str) -> str:
    return forget if gate == "f" else f"i{gate}"
