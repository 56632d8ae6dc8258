"""A recurrent cell with what stands before and behind it: embedding, dropout, readout."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, Float, Int, PRNGKey
from ..cells import AbstractCell, StackedCell, uniform_fan


class Dropout(eqx.Module):
    """Shares of entries that are set to zero while training, each in [0, 1); what is kept is scaled up.

    **Fields**, plain numbers: `input`, of the embedded inputs `(T, I)`; `between`, of what a layer of a stack gives to
    the next one `(T, H)`; `output`, of what the readout sees `(T, H)`. Recurrent connections are left alone.

    **Source:** Zaremba, Sutskever, Vinyals (2014), section 3.1.
    """

    input: float = eqx.field(static=True, default=0.0)
    between: float = eqx.field(static=True, default=0.0)
    output: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        for name in ("input", "between", "output"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"Dropout: {name} must be at least 0 and below 1, got {getattr(self, name)}")


class SequenceModel(eqx.Module):
    """A cell run over a sequence, with a linear readout of its output at every step.

        e_t = E[x_t] or x_t        s_t = F(s_{t-1}, e_t)        y_t = V out(s_t) + b

    **Fields:** `cell`, any `AbstractCell`, also a `StackedCell`; `embedding` E `(vocabulary, I)` or `None` for real
    inputs; `weight` V `(O, H)`, `None` when it is the embedding itself (`tie_weights`); `bias` b `(O,)`; `dropout`.

    **Source:** Press & Wolf (2017) for tied weights; Zaremba et al. (2014) for the places of dropout.
    """

    cell: AbstractCell
    embedding: Float[Array, "V I"] | None
    weight: Float[Array, "O H"] | None
    bias: Float[Array, " O"]
    dropout: Dropout

    def __init__(
        self,
        cell: AbstractCell,
        output_size: int,
        *,
        vocabulary: int | None = None,
        dropout: float | Dropout = 0.0,
        tie_weights: bool = False,
        key: PRNGKey,
    ):
        """Random readout and embedding, uniform on `[-1/sqrt(H), 1/sqrt(H)]`, zero bias, in the dtype of the cell.

        **Arguments:** `cell`; `output_size` O; `vocabulary`, the number of symbols when inputs are symbols; `dropout`,
        a `Dropout` or one share for all its places; `tie_weights`, read out with the embedding; `key`.

        **Raises:** `ValueError` for tied weights without an embedding or of unequal sizes, and for a share outside
        [0, 1).
        """
        tied = (output_size, cell.hidden_size)
        if tie_weights and (vocabulary, cell.input_size) != tied:
            raise ValueError(
                f"SequenceModel: tied weights need an embedding of shape {tied}, as the readout, got "
                f"{(vocabulary, cell.input_size)}; vocabulary = output_size and, in the cell, input_size = hidden_size"
            )
        key_embedding, key_readout = jr.split(key)
        dtype = _dtype(cell)
        self.cell = cell
        self.embedding = None
        if vocabulary is not None:
            limit = max(cell.hidden_size, 1) ** -0.5
            self.embedding = jr.uniform(key_embedding, (vocabulary, cell.input_size), dtype, -limit, limit)
        self.weight = None
        if not tie_weights:
            self.weight = uniform_fan(key_readout, (cell.hidden_size, output_size), dtype).T
        self.bias = jnp.zeros((output_size,), dtype)
        self.dropout = dropout if isinstance(dropout, Dropout) else Dropout(dropout, dropout, dropout)

    def initial_state(self) -> Float[Array, " S"]:
        """The state before the first input: zeros, shape `(S,)`."""
        return jnp.zeros((self.cell.state_size,), self.bias.dtype)

    def __call__(
        self,
        inputs: Float[Array, "T I"] | Int[Array, " T"],
        state: Float[Array, " S"] | None = None,
        *,
        key: PRNGKey | None = None,
    ) -> tuple[Float[Array, "T O"], Float[Array, " S"]]:
        """One sequence; batch with `jax.vmap`.

        **Arguments:** `inputs`, reals `(T, I)`, or symbols `(T,)` for a model with an embedding; `state` `(S,)` before
        the first input, by default zeros; `key` of the dropout, `None` to use every unit.

        **Returns:** the outputs `(T, O)` and the state `(S,)` after the last input.

        **Raises:** `ValueError` for symbols without an embedding, and for reals with one.
        """
        symbols = jnp.issubdtype(inputs.dtype, jnp.integer)
        if symbols != (self.embedding is not None):
            need = "real inputs (T, I); give vocabulary= for symbols" if symbols else "symbols (T,) of an integer dtype"
            raise ValueError(f"SequenceModel: this model takes {need}, got {inputs.dtype} of shape {inputs.shape}")
        keys = (None, None, None) if key is None else tuple(jr.split(key, 3))
        x = inputs if self.embedding is None else self.embedding[inputs]
        x = _drop(x, self.dropout.input, keys[0])
        state = self.initial_state() if state is None else state
        seen, state = _run(self.cell, x, state, self.dropout.between, keys[1])
        seen = _drop(seen, self.dropout.output, keys[2])
        weight = self.embedding if self.weight is None else self.weight
        assert weight is not None
        return seen @ weight.T + self.bias[None, :], state


def _run(cell: AbstractCell, x: Array, state: Array, share: float, key: PRNGKey | None) -> tuple[Array, Array]:
    """Outputs of the cell `(T, H)` and its last state; `share` of what passes between layers is dropped."""
    if share == 0 or key is None or not isinstance(cell, StackedCell):

        def step(state: Array, x: Array) -> tuple[Array, Array]:
            state = cell(state, x)
            return state, cell.output(state)

        state, seen = jax.lax.scan(step, state, x)
        return seen, state
    layers, states, start = cell.layers, [], 0
    for number, (layer, layer_key) in enumerate(zip(layers, jr.split(key, len(layers)), strict=True)):
        x = x if number == 0 else _drop(x, share, layer_key)
        x, last = _run(layer, x, state[start : start + layer.state_size], 0.0, None)
        states.append(last)
        start += layer.state_size
    return x, jnp.concatenate(states)


def _drop(x: Array, share: float, key: PRNGKey | None) -> Array:
    if share == 0 or key is None:
        return x
    kept = jr.bernoulli(key, 1 - share, x.shape)
    return jnp.where(kept, x / (1 - share), jnp.zeros_like(x))


def _dtype(cell: AbstractCell) -> jnp.dtype:
    leaves = jax.tree.leaves(eqx.filter(cell, eqx.is_inexact_array))
    return jnp.result_type(*leaves) if leaves else jnp.zeros(()).dtype
