"""The plain recurrent network with an orthogonal matrix."""

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, DTypeLike, Float, PRNGKey
from ..linalg import Orthogonal, random_cayley
from ._base import AbstractGatedCell, Linearisation, check_vector
from ._modrelu import modrelu, modrelu_slope
from ._nc_gru import check_num_negative


class ScoRNNCell(AbstractGatedCell):
    """Scaled Cayley orthogonal recurrent network.

        h' = modrelu(W x + U h, b)

    It is the gated relaxation with the constant keep gate z = 0. `U` is orthogonal: it starts so, `constraints` says
    so, and an optimiser that reads it keeps it so. modReLU is unbounded, so there is no trapping box.

    **Fields** (row = output unit): `W (H, I)`, `U (H, H)`, `b (H,)`, the bias of modReLU; `num_negative`, entries -1 of
    D in `U = (I + A)^-1 (I - A) D`.

    **Source:** Helfrich, Willmott, Ye (2018), eqs. 5, 10.
    """

    W: Float[Array, "H I"]
    U: Float[Array, "H H"]
    b: Float[Array, " H"]
    input_size: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)
    num_negative: int = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_negative: int | None = None,
        dtype: DTypeLike | None = None,
        key: PRNGKey,
    ):
        """Random weights as in the authors' released code: `W` uniform on [-0.01, 0.01], `U` by `random_cayley`, b = 0.

        **Arguments:** sizes I (0 = autonomous) and H; `num_negative`, by default H // 2; `dtype`, by default JAX's
        default float; `key`.

        **Raises:** `ValueError` for a `num_negative` outside 0..H.
        """
        dtype = jnp.dtype(dtype) if dtype is not None else jnp.zeros(()).dtype
        self.num_negative = check_num_negative("ScoRNNCell", num_negative, hidden_size)
        key_w, key_u = jr.split(key)
        self.W = jr.uniform(key_w, (hidden_size, input_size), dtype, -0.01, 0.01)
        self.U = random_cayley(key_u, hidden_size, self.num_negative, dtype)
        self.b = jnp.zeros((hidden_size,), dtype)
        self.input_size, self.hidden_size = input_size, hidden_size

    @property
    def bounds(self) -> None:
        return None

    @property
    def constraints(self) -> Mapping[str, Orthogonal]:
        """The orthogonal field, `(H, H)`."""
        return {"U": Orthogonal(self.num_negative)}

    def _drive(self, state: Array, input: Array | None) -> Array:
        check_vector("state", state, self.hidden_size, "ScoRNNCell")
        x = check_vector("input", input, self.input_size, "ScoRNNCell", state.dtype)
        return self.W @ x + self.U @ state

    def keep_gate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        check_vector("state", state, self.hidden_size, "ScoRNNCell")
        return jnp.zeros_like(state)

    def candidate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        return modrelu(self._drive(state, input), self.b)

    def linearise(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Linearisation:
        drive = self._drive(state, input)
        slope = modrelu_slope(drive, self.b)[:, None]
        return Linearisation(
            self.keep_gate(state, input),
            jnp.zeros_like(self.U),
            jnp.zeros_like(self.W),
            modrelu(drive, self.b),
            slope * self.U,
            slope * self.W,
        )
