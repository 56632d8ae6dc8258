"""The gated recurrent unit in its three forms."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, Bounds, DTypeLike, Float, PRNGKey
from ..linalg import intervals
from ..linalg.intervals import Interval
from ._base import AbstractGatedCell, Linearisation, check_vector
from ._enclosure import CellEnclosure, affine, column, enclose_gated
from ._init import Initializer, initial_bias, uniform_fan

Reset = Literal["before", "after"] | None


class GRUCell(AbstractGatedCell):
    """Gated recurrent unit.

        r  = sigmoid(W_r x + U_r h + b_r)                               reset gate
        z  = sigmoid(W_z x + U_z h + b_z)                               keep gate (1 keeps the old state)
        c  = tanh(W_c x + U_c (r * h) + b_c)                            reset="before"
        c  = tanh(W_c x + r * (U_c h + b_hc) + b_c)                     reset="after"
        c  = tanh(W_c x + U_c h + b_c)                                  reset=None
        h' = z h + (1 - z) c

    The two reset forms are different networks, not two layouts of one; the form is never guessed. `"before"` is that of
    Cho et al. (2014), Haiku, and the papers this library reproduces; `"after"` that of PyTorch, cuDNN, Equinox, Flax.

    **Fields** (row = output unit): `W_r W_z W_c (H, I)`, `U_r U_z U_c (H, H)`, `b_r b_z b_c (H,)`, and `b_hc (H,)` for
    `reset="after"`. `W_r U_r b_r` are `None` for `reset=None`; all biases are `None` for `use_bias=False`.

    **Source:** Cho et al. (2014), eqs. 5-8; Jordan et al. (2019), eqs. 2-4.
    """

    W_r: Float[Array, "H I"] | None
    W_z: Float[Array, "H I"]
    W_c: Float[Array, "H I"]
    U_r: Float[Array, "H H"] | None
    U_z: Float[Array, "H H"]
    U_c: Float[Array, "H H"]
    b_r: Float[Array, " H"] | None
    b_z: Float[Array, " H"] | None
    b_c: Float[Array, " H"] | None
    b_hc: Float[Array, " H"] | None
    input_size: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)
    reset: Reset = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        reset: Reset = "before",
        use_bias: bool = True,
        input_init: Initializer = uniform_fan,
        recurrent_init: Initializer = uniform_fan,
        dtype: DTypeLike | None = None,
        key: PRNGKey,
    ):
        """Random weights.

        **Arguments:** sizes I (0 = autonomous) and H; `reset`, one of `"before"`, `"after"`, `None`; `use_bias`;
        initialisers of the input and recurrent matrices (`uniform_fan`, `glorot`, `orthogonal`); biases start at zero
        unless `recurrent_init` is `uniform_fan`, which draws them like its framework does; `dtype`, by default JAX's
        default float; `key`.

        **Raises:** `ValueError` for an unknown `reset`.
        """
        if reset not in ("before", "after", None):
            raise ValueError(f'GRUCell: reset must be "before", "after" or None, got {reset!r}')
        dtype = jnp.dtype(dtype) if dtype is not None else jnp.zeros(()).dtype
        gates = ("z", "c") if reset is None else ("r", "z", "c")
        keys = dict(zip("rzc", jr.split(key, 3), strict=True))
        names = ("b_r", "b_z", "b_c", "b_hc")
        for gate in "rzc":
            key_w, key_u = jr.split(keys[gate])
            present = gate in gates
            setattr(self, f"W_{gate}", input_init(key_w, (hidden_size, input_size), dtype) if present else None)
            setattr(self, f"U_{gate}", recurrent_init(key_u, (hidden_size, hidden_size), dtype) if present else None)
        biases = (use_bias and reset is not None, use_bias, use_bias, use_bias and reset == "after")
        for name, present, bias_key in zip(names, biases, jr.split(jr.fold_in(key, 1), 4), strict=True):
            setattr(self, name, initial_bias(bias_key, hidden_size, dtype, recurrent_init) if present else None)
        self.input_size, self.hidden_size, self.reset = input_size, hidden_size, reset

    @property
    def bounds(self) -> Bounds:
        ones = jnp.ones((self.hidden_size,), self.U_c.dtype)
        return -ones, ones

    def _check(self, state: Array, input: Array | None) -> tuple[Array, Array]:
        check_vector("state", state, self.hidden_size, "GRUCell")
        return state, check_vector("input", input, self.input_size, "GRUCell", state.dtype)

    def keep_gate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        h, x = self._check(state, input)
        return jax.nn.sigmoid(_affine(self.W_z, x, self.U_z, h, self.b_z))

    def reset_gate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        """r in (0, 1), shape `(H,)`; ones for `reset=None`."""
        h, x = self._check(state, input)
        if self.W_r is None or self.U_r is None:
            return jnp.ones_like(h)
        return jax.nn.sigmoid(_affine(self.W_r, x, self.U_r, h, self.b_r))

    def candidate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        h, x = self._check(state, input)
        r = self.reset_gate(h, x)
        if self.reset == "after":
            return jnp.tanh(_add(self.W_c @ x + r * _add(self.U_c @ h, self.b_hc), self.b_c))
        return jnp.tanh(_affine(self.W_c, x, self.U_c, r * h, self.b_c))

    def linearise(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Linearisation:
        h, x = self._check(state, input)
        z, r, c = self.keep_gate(h, x), self.reset_gate(h, x), self.candidate(h, x)
        keep_slope, slope = (z * (1 - z))[:, None], (1 - c * c)[:, None]
        drive_state, drive_input = self.U_c, self.W_c
        if self.W_r is not None and self.U_r is not None:
            reset_slope = r * (1 - r)
            if self.reset == "after":
                weight = (reset_slope * _add(self.U_c @ h, self.b_hc))[:, None]
                drive_state = r[:, None] * self.U_c + weight * self.U_r
                drive_input = self.W_c + weight * self.W_r
            else:
                weight = (h * reset_slope)[:, None]
                highest = jax.lax.Precision.HIGHEST
                drive_state = jnp.matmul(self.U_c, jnp.diag(r) + weight * self.U_r, precision=highest)
                drive_input = self.W_c + jnp.matmul(self.U_c, weight * self.W_r, precision=highest)
        return Linearisation(
            z, keep_slope * self.U_z, keep_slope * self.W_z, c, slope * drive_state, slope * drive_input
        )

    def enclose(self, resting: Interval, input: Float[Array, " I"] | None = None) -> CellEnclosure:
        """Boxes that hold keep gate, candidate and Jacobians for all states in the box `resting`, shape `(H,)`."""
        h = resting
        z = intervals.sigmoid(affine(self.W_z, input, self.U_z, h, self.b_z))
        if self.W_r is None or self.U_r is None:
            c = intervals.tanh(affine(self.W_c, input, self.U_c, h, self.b_c))
            return enclose_gated(c, column(intervals.tanh_slope(c)) * self.U_c, z)
        r = intervals.sigmoid(affine(self.W_r, input, self.U_r, h, self.b_r))
        reset_slope = intervals.sigmoid_slope(r)
        if self.reset == "after":
            lin = affine(self.W_c, None, self.U_c, h, self.b_hc)
            drive = intervals.times_nonnegative(r, lin)
            if input is not None and input.size:
                drive = drive + intervals.matvec(self.W_c, input)
            c = intervals.tanh(_add(drive, self.b_c))
            weight = intervals.times_nonnegative(reset_slope, lin)
            drive_state = column(r) * self.U_c + column(weight) * self.U_r
        else:
            c = intervals.tanh(affine(self.W_c, input, self.U_c, intervals.times_nonnegative(r, h), self.b_c))
            weight = intervals.times_nonnegative(reset_slope, h)
            diagonal = column(r) * jnp.eye(self.hidden_size)
            drive_state = intervals.matmul(self.U_c, column(weight) * self.U_r + diagonal)
        slope = column(intervals.tanh_slope(c))
        return enclose_gated(c, intervals.times_nonnegative(slope, drive_state), z)


def _add(value: Any, bias: Array | None) -> Any:
    return value if bias is None else value + bias


def _affine(W: Array, x: Array, U: Array, h: Array, b: Array | None) -> Array:
    return _add(W @ x + U @ h, b)
