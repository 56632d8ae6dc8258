"""Between gates stacked in a framework's order and the fields of a cell."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.typing import DTypeLike

from .._types import Activation
from ..cells import AbstractCell, ElmanCell, GRUCell, LSTMCell
from ._errors import WeightError

Kind: TypeAlias = Literal["gru", "lstm", "elman"]
Orders: TypeAlias = dict[Kind, str]

# The gates in the order in which PyTorch, Equinox and Flax stack them, in the letters of our fields.
TORCH_ORDERS: Orders = {"gru": "rzc", "lstm": "ifgo", "elman": ""}
_KINDS: dict[int, Kind] = {1: "elman", 3: "gru", 4: "lstm"}

ACTIVATIONS: dict[str, Activation] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "hard_tanh": jax.nn.hard_tanh,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "soft_sign": jax.nn.soft_sign,
    "softplus": jax.nn.softplus,
    "arctan": jnp.arctan,
    "sin": jnp.sin,
}


class Stacked(NamedTuple):
    """Weights of one layer, gates stacked along rows: `W (G H, I)`, `U (G H, H)`, biases `(G H,)` or `None`."""

    W: np.ndarray
    U: np.ndarray
    b: np.ndarray | None
    b_hidden: np.ndarray | None = None


def suffixes(order: str) -> list[str]:
    """Endings of the field names, `_r _z _c` for `"rzc"`, one empty ending for the gateless cell."""
    return [f"_{gate}" for gate in order] or [""]


def kind_of(where: str, name: str, rows: int, hidden_size: int) -> Kind:
    """The cell kind, told by the number of stacked gates in the recurrent weight."""
    kind = _KINDS.get(rows // hidden_size) if hidden_size > 0 and rows % hidden_size == 0 else None
    if kind is None:
        raise WeightError(
            f"{where}: {name!r} must stack 1 (plain), 3 (GRU) or 4 (LSTM) blocks of {hidden_size} units, found {rows} "
            "units; other cells are not supported"
        )
    return kind


def find_activation(where: str, activation: str | Activation) -> Activation:
    if not isinstance(activation, str):
        return activation
    if activation not in ACTIVATIONS:
        raise WeightError(f"{where}: activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    return ACTIVATIONS[activation]


def activation_name(where: str, activation: Activation) -> str:
    for name, known in ACTIVATIONS.items():
        if activation is known:
            return name
    raise WeightError(f"{where}: the activation {activation!r} has no name; expected one of {', '.join(ACTIVATIONS)}")


def cell_from_stacked(
    where: str,
    kind: Kind,
    order: str,
    stacked: Stacked,
    *,
    reset: Literal["before", "after"] = "after",
    activation: str | Activation = "tanh",
    dtype: DTypeLike | None = None,
) -> AbstractCell:
    """Split the gates and put the biases where the cell has them: only the candidate of `"after"` keeps two."""
    fields: dict[str, np.ndarray] = {}
    names = suffixes(order)
    for letter, array in zip("WU", stacked[:2], strict=True):
        fields |= {letter + end: part for end, part in zip(names, np.split(array, len(names)), strict=True)}
    if stacked.b is not None:
        inner = np.zeros_like(stacked.b) if stacked.b_hidden is None else stacked.b_hidden
        pairs = zip(np.split(stacked.b, len(names)), np.split(inner, len(names)), strict=True)
        for end, (outside, inside) in zip(names, pairs, strict=True):
            if kind == "gru" and reset == "after" and end == "_c":
                fields |= {"b_c": outside, "b_hc": inside}
            else:
                fields["b" + end] = outside + inside
    return build(where, kind, fields, reset=reset, activation=activation, dtype=dtype)


def stack_cell(cell: GRUCell | LSTMCell | ElmanCell, order: str) -> Stacked:
    """Stack the gates of a cell; `b_hidden` holds `b_hc` at the candidate and zeros elsewhere."""

    def block(letter: str) -> np.ndarray:
        return np.concatenate([np.asarray(getattr(cell, letter + end)) for end in suffixes(order)])

    W, U = block("W"), block("U")
    if getattr(cell, "b_c" if isinstance(cell, GRUCell) else "b" + suffixes(order)[0]) is None:
        return Stacked(W, U, None)
    b = block("b")
    hidden = np.zeros_like(b)
    if isinstance(cell, GRUCell) and cell.b_hc is not None:
        start = order.index("c") * cell.hidden_size
        hidden[start : start + cell.hidden_size] = np.asarray(cell.b_hc)
    return Stacked(W, U, b, hidden)


def build(
    where: str,
    kind: Kind,
    fields: dict[str, np.ndarray],
    *,
    reset: Literal["before", "after"] | None = "after",
    activation: str | Activation = "tanh",
    activation_range: tuple[float, float] | None = None,
    dtype: DTypeLike | None = None,
) -> AbstractCell:
    """A cell with exactly these leaves; the shapes are checked by the caller."""
    hidden_size, input_size = fields["W" if kind == "elman" else "W_z" if kind == "gru" else "W_i"].shape
    options: dict[str, Any] = {"use_bias": any(name.startswith("b") for name in fields), "key": jr.key(0)}
    if kind == "gru":
        maker, options["reset"] = GRUCell, reset
    elif kind == "lstm":
        maker = LSTMCell
    else:
        maker = ElmanCell
        options |= {"activation": find_activation(where, activation), "activation_range": activation_range}
        options["leak"] = fields.get("leak")
    return fill(where, eqx.filter_eval_shape(maker, input_size, hidden_size, **options), fields, dtype)


def fill(where: str, template: AbstractCell, fields: dict[str, np.ndarray], dtype: DTypeLike | None) -> AbstractCell:
    """The cell of which `template` has the structure, with these leaves."""
    dtype = jnp.zeros(()).dtype if dtype is None else jnp.dtype(dtype)
    leaves = []
    for name, array in fields.items():
        with np.errstate(over="ignore"):
            leaf = np.asarray(array, dtype)
        if not np.isfinite(leaf).all():
            raise WeightError(f"{where}: {name} overflows in {dtype}; ask for a wider dtype=")
        leaves.append(jnp.asarray(leaf))
    return eqx.tree_at(
        lambda cell: [getattr(cell, name) for name in fields], template, leaves, is_leaf=lambda leaf: leaf is None
    )


def plain_cell(where: str, cell: AbstractCell) -> tuple[Kind, GRUCell | LSTMCell | ElmanCell]:
    """The kind of a cell that other frameworks know, or an error."""
    if isinstance(cell, GRUCell):
        return "gru", cell
    if isinstance(cell, LSTMCell):
        return "lstm", cell
    if isinstance(cell, ElmanCell):
        if cell.leak is not None:
            raise WeightError(
                f"{where}: a leaky ElmanCell has no form there; expected leak=None; save it with save_cell"
            )
        return "elman", cell
    raise WeightError(f"{where}: expected a GRUCell, LSTMCell or ElmanCell, got {type(cell).__name__}")


def require_reset(where: str, cell: AbstractCell, allowed: Sequence[str]) -> None:
    """Error for a GRU whose reset form the framework lacks; there is no conversion between the forms."""
    if isinstance(cell, GRUCell) and cell.reset not in allowed:
        wanted = " or ".join(f'reset="{form}"' for form in allowed)
        homes = {
            "before": "to_haiku, to_keras and to_onnx can write it",
            "after": "to_torch, to_equinox, to_flax_linen, to_keras and to_onnx can write it",
            None: "only save_cell can write it",
        }
        raise WeightError(
            f"{where}: this format holds GRUs with {wanted}, the cell has reset={cell.reset!r}; the forms are "
            f"different networks, not layouts of one, and cannot be converted; {homes[cell.reset]}"
        )
