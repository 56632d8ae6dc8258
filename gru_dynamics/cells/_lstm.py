"""Long short-term memory, with its cell state eliminated at fixed points."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, Bounds, DTypeLike, Float, PRNGKey
from ._base import AbstractCell, check_vector
from ._init import Initializer, initial_bias, uniform_fan


class LSTMCell(AbstractCell):
    """Long short-term memory; the state is `concatenate([h, m])` of hidden and memory parts, shape `(2H,)`.

        i, f, o = sigmoid(W_k x + U_k h + b_k)      g = tanh(W_g x + U_g h + b_g)
        m' = f m + i g                              h' = o tanh(m')

    At a fixed point the memory is `m* = i g / (1 - f)`, so fixed points are the roots of the residual
    `o tanh(i g / (1 - f)) - h` in `h` alone. That map sends `[-1, 1]^H` into itself, so the index sum of the roots
    is +1 as for the GRU. The continuous-time form is `F(state) - state`.

    **Fields** (row = output unit): `W_i W_f W_g W_o (H, I)`, `U_i U_f U_g U_o (H, H)`, `b_i b_f b_g b_o (H,)` or
    `None`.

    **Shapes:** state `(2H,)`, resting state and output `(H,)`.

    **Source:** Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000), without peepholes.
    """

    W_i: Float[Array, "H I"]
    W_f: Float[Array, "H I"]
    W_g: Float[Array, "H I"]
    W_o: Float[Array, "H I"]
    U_i: Float[Array, "H H"]
    U_f: Float[Array, "H H"]
    U_g: Float[Array, "H H"]
    U_o: Float[Array, "H H"]
    b_i: Float[Array, " H"] | None
    b_f: Float[Array, " H"] | None
    b_g: Float[Array, " H"] | None
    b_o: Float[Array, " H"] | None
    input_size: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        use_bias: bool = True,
        input_init: Initializer = uniform_fan,
        recurrent_init: Initializer = uniform_fan,
        dtype: DTypeLike | None = None,
        key: PRNGKey,
    ):
        """Random weights; biases start at zero unless `recurrent_init` is `uniform_fan`.

        **Arguments:** sizes I (0 = autonomous) and H; `use_bias`; initialisers; `dtype`, by default JAX's default
        float; `key`.
        """
        dtype = jnp.dtype(dtype) if dtype is not None else jnp.zeros(()).dtype
        for gate, gate_key in zip("ifgo", jr.split(key, 4), strict=True):
            key_w, key_u, key_b = jr.split(gate_key, 3)
            setattr(self, f"W_{gate}", input_init(key_w, (hidden_size, input_size), dtype))
            setattr(self, f"U_{gate}", recurrent_init(key_u, (hidden_size, hidden_size), dtype))
            setattr(self, f"b_{gate}", initial_bias(key_b, hidden_size, dtype, recurrent_init) if use_bias else None)
        self.input_size, self.hidden_size = input_size, hidden_size

    @property
    def state_size(self) -> int:
        return 2 * self.hidden_size

    @property
    def resting_size(self) -> int:
        return self.hidden_size

    @property
    def bounds(self) -> Bounds:
        ones = jnp.ones((self.hidden_size,), self.U_i.dtype)
        return -ones, ones

    def _drives(self, h: Array, input: Array | None) -> tuple[Array, Array, Array, Array]:
        check_vector("hidden state", h, self.hidden_size, "LSTMCell")
        x = check_vector("input", input, self.input_size, "LSTMCell", h.dtype)

        def drive(W: Array, U: Array, b: Array | None) -> Array:
            return W @ x + U @ h if b is None else W @ x + U @ h + b

        return (
            drive(self.W_i, self.U_i, self.b_i),
            drive(self.W_f, self.U_f, self.b_f),
            drive(self.W_g, self.U_g, self.b_g),
            drive(self.W_o, self.U_o, self.b_o),
        )

    def _split(self, state: Array) -> tuple[Array, Array]:
        check_vector("state", state, self.state_size, "LSTMCell")
        return state[: self.hidden_size], state[self.hidden_size :]

    def __call__(self, state: Float[Array, " S"], input: Float[Array, " I"] | None = None) -> Float[Array, " S"]:
        """The next state `concatenate([h', m'])`, shape `(2H,)`."""
        h, m = self._split(state)
        i, f, g, o = self._drives(h, input)
        m = jax.nn.sigmoid(f) * m + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jnp.concatenate([jax.nn.sigmoid(o) * jnp.tanh(m), m])

    def jacobians(
        self, state: Float[Array, " S"], input: Float[Array, " I"] | None = None
    ) -> tuple[Float[Array, "S S"], Float[Array, "S I"]]:
        h, m = self._split(state)
        di, df, dg, do = self._drives(h, input)
        i, f, g, o = jax.nn.sigmoid(di), jax.nn.sigmoid(df), jnp.tanh(dg), jax.nn.sigmoid(do)
        new_m = f * m + i * g
        t = jnp.tanh(new_m)
        from_i, from_f, from_g = g * i * (1 - i), m * f * (1 - f), i * (1 - g * g)
        from_o, from_m = t * o * (1 - o), o * (1 - t * t)

        def assemble(in_i: Array, in_f: Array, in_g: Array, in_o: Array) -> tuple[Array, Array]:
            memory = from_i[:, None] * in_i + from_f[:, None] * in_f + from_g[:, None] * in_g
            return from_o[:, None] * in_o + from_m[:, None] * memory, memory

        hidden_h, memory_h = assemble(self.U_i, self.U_f, self.U_g, self.U_o)
        hidden_x, memory_x = assemble(self.W_i, self.W_f, self.W_g, self.W_o)
        in_state = jnp.block([[hidden_h, jnp.diag(from_m * f)], [memory_h, jnp.diag(f)]])
        return in_state, jnp.concatenate([hidden_x, memory_x])

    def velocity(self, state: Float[Array, " S"], input: Float[Array, " I"] | None = None) -> Float[Array, " S"]:
        return self(state, input) - state

    def velocity_jacobians(
        self, state: Float[Array, " S"], input: Float[Array, " I"] | None = None
    ) -> tuple[Float[Array, "S S"], Float[Array, "S I"]]:
        in_state, in_input = self.jacobians(state, input)
        return in_state - jnp.eye(self.state_size, dtype=in_state.dtype), in_input

    def fixed_point_residual(
        self, resting: Float[Array, " H"], input: Float[Array, " I"] | None = None
    ) -> Float[Array, " H"]:
        _, _, _, o = self._drives(resting, input)
        return jax.nn.sigmoid(o) * jnp.tanh(self._memory(resting, input)) - resting

    def residual_jacobians(
        self, resting: Float[Array, " H"], input: Float[Array, " I"] | None = None
    ) -> tuple[Float[Array, "H H"], Float[Array, "H I"]]:
        di, df, dg, do = self._drives(resting, input)
        i, f, g, o = jax.nn.sigmoid(di), jax.nn.sigmoid(df), jnp.tanh(dg), jax.nn.sigmoid(do)
        m, forget = self._memory(resting, input), jax.nn.sigmoid(-df)
        t = jnp.tanh(m)
        outer = o * (1 - t * t)
        # d/df of i g / (1 - f) is m f (1 - f) / (1 - f), so the factor 1 - f cancels.
        weights = outer * m * (1 - i), outer * m * f, outer * i * (1 - g * g) / forget, t * o * (1 - o)

        def assemble(in_i: Array, in_f: Array, in_g: Array, in_o: Array) -> Array:
            terms = zip(weights, (in_i, in_f, in_g, in_o), strict=True)
            return sum((weight[:, None] * term for weight, term in terms), jnp.zeros_like(in_i))

        in_state = assemble(self.U_i, self.U_f, self.U_g, self.U_o)
        in_input = assemble(self.W_i, self.W_f, self.W_g, self.W_o)
        return in_state - jnp.eye(self.hidden_size, dtype=in_state.dtype), in_input

    def rest(self, state: Float[Array, " S"]) -> Float[Array, " H"]:
        return self._split(state)[0]

    def lift(self, resting: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " S"]:
        return jnp.concatenate([resting, self._memory(resting, input)])

    def output(self, state: Float[Array, " S"]) -> Float[Array, " H"]:
        return self._split(state)[0]

    def _memory(self, h: Array, input: Array | None) -> Array:
        """`m* = i g / (1 - f)`, shape `(H,)`; `1 - f` as a sigmoid, exact when f is near 1."""
        i, f, g, _ = self._drives(h, input)
        return jax.nn.sigmoid(i) * jnp.tanh(g) / jax.nn.sigmoid(-f)
