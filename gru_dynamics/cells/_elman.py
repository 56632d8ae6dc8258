"""The plain and the leaky recurrent network."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._types import Activation, Array, ArrayLike, Bounds, DTypeLike, Float, PRNGKey
from ..linalg import intervals
from ..linalg.intervals import Interval, as_interval
from ._base import AbstractGatedCell, Linearisation, check_vector
from ._enclosure import CellEnclosure, affine, column, enclose_gated
from ._init import Initializer, initial_bias, uniform_fan

# Closure of the range of each common activation: the trapping box of a network that uses it.
_RANGES: dict[Activation, tuple[float, float]] = {
    jnp.tanh: (-1.0, 1.0),
    jax.nn.sigmoid: (0.0, 1.0),
    jax.nn.hard_tanh: (-1.0, 1.0),
    jax.nn.hard_sigmoid: (0.0, 1.0),
    jax.nn.soft_sign: (-1.0, 1.0),
    jnp.arctan: (-jnp.pi / 2, jnp.pi / 2),
    jnp.sin: (-1.0, 1.0),
}

# Enclosures of value and slope, the slope from (argument, value).
_ENCLOSURES: dict[Activation, tuple[Callable[[Interval], Interval], Callable[[Interval, Interval], Interval]]] = {
    jnp.tanh: (intervals.tanh, lambda x, value: intervals.tanh_slope(value)),
    jax.nn.sigmoid: (intervals.sigmoid, lambda x, value: intervals.sigmoid_slope(value)),
    jax.nn.relu: (intervals.relu, lambda x, value: intervals.relu_slope(x)),
}


class ElmanCell(AbstractGatedCell):
    """Elman network, or leaky network when `leak` is given.

        c  = activation(W x + U h + b)
        h' = (1 - leak) h + leak c

    It is the gated relaxation with the constant keep gate `z = 1 - leak`; without a leak `z = 0` and `h' = c`.

    **Fields** (row = output unit): `W (H, I)`, `U (H, H)`, `b (H,)` or `None`, `leak` `()` or `(H,)` in (0, 1] or
    `None`; `activation`, elementwise and differentiable; `activation_range`, the closed interval it maps into, or
    `None`.

    The trapping box and with it the index certificate exist when the range is known: for tanh, sigmoid, hard tanh,
    hard sigmoid, soft sign, arctan and sin by themselves, for others when `activation_range` is given.

    **Source:** Elman (1990); leaky form: Jaeger et al. (2007), eq. 2.
    """

    W: Float[Array, "H I"]
    U: Float[Array, "H H"]
    b: Float[Array, " H"] | None
    leak: Float[Array, "..."] | None
    activation: Activation = eqx.field(static=True)
    activation_range: tuple[float, float] | None = eqx.field(static=True)
    input_size: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        activation: Activation = jnp.tanh,
        activation_range: tuple[float, float] | None = None,
        leak: ArrayLike | None = None,
        use_bias: bool = True,
        input_init: Initializer = uniform_fan,
        recurrent_init: Initializer = uniform_fan,
        dtype: DTypeLike | None = None,
        key: PRNGKey,
    ):
        """Random weights; the bias starts at zero unless `recurrent_init` is `uniform_fan`.

        **Arguments:** sizes I (0 = autonomous) and H; `activation`, `activation_range`, `leak` as in the class;
        `use_bias`; initialisers; `dtype`, by default JAX's default float; `key`.
        """
        dtype = jnp.dtype(dtype) if dtype is not None else jnp.zeros(()).dtype
        key_w, key_u, key_b = jr.split(key, 3)
        self.W = input_init(key_w, (hidden_size, input_size), dtype)
        self.U = recurrent_init(key_u, (hidden_size, hidden_size), dtype)
        self.b = initial_bias(key_b, hidden_size, dtype, recurrent_init) if use_bias else None
        self.leak = None if leak is None else jnp.asarray(leak, dtype)
        self.activation = activation
        self.activation_range = _RANGES.get(activation) if activation_range is None else activation_range
        self.input_size, self.hidden_size = input_size, hidden_size

    @property
    def bounds(self) -> Bounds | None:
        if self.activation_range is None:
            return None
        lower, upper = (jnp.full((self.hidden_size,), end, self.U.dtype) for end in self.activation_range)
        return lower, upper

    def _drive(self, state: Array, input: Array | None) -> Array:
        check_vector("state", state, self.hidden_size, "ElmanCell")
        x = check_vector("input", input, self.input_size, "ElmanCell", state.dtype)
        drive = self.W @ x + self.U @ state
        return drive if self.b is None else drive + self.b

    def keep_gate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        check_vector("state", state, self.hidden_size, "ElmanCell")
        if self.leak is None:
            return jnp.zeros_like(state)
        return jnp.broadcast_to(1 - self.leak, state.shape)

    def candidate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        return self.activation(self._drive(state, input))

    def linearise(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Linearisation:
        drive = self._drive(state, input)
        if self.activation is jnp.tanh:
            c = jnp.tanh(drive)
            slope = 1 - c * c
        else:
            c, slope = jax.jvp(self.activation, (drive,), (jnp.ones_like(drive),))
        return Linearisation(
            self.keep_gate(state, input),
            jnp.zeros_like(self.U),
            jnp.zeros_like(self.W),
            c,
            slope[:, None] * self.U,
            slope[:, None] * self.W,
        )

    def enclose(self, resting: Interval, input: Float[Array, " I"] | None = None) -> CellEnclosure:
        """Boxes that hold keep gate, candidate and Jacobians for all states in the box `resting`, shape `(H,)`.

        **Raises:** `ValueError` for an activation other than tanh, `jax.nn.sigmoid` and `jax.nn.relu`.
        """
        if self.activation not in _ENCLOSURES:
            known = ", ".join(f.__name__ for f in _ENCLOSURES)
            name = getattr(self.activation, "__name__", repr(self.activation))
            raise ValueError(f"ElmanCell: no enclosure is known for the activation {name}, only for {known}")
        value, slope = _ENCLOSURES[self.activation]
        drive = affine(self.W, input, self.U, resting, self.b)
        c = value(drive)
        leak = jnp.ones_like(c.lower) if self.leak is None else jnp.broadcast_to(self.leak, c.shape)
        return enclose_gated(c, column(slope(drive, c)) * self.U, 1 - as_interval(leak))
