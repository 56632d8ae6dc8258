"""The gated recurrent unit whose candidate is turned by a product of plane rotations."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, DTypeLike, Float, PRNGKey
from ._base import AbstractGatedCell, Linearisation, check_vector
from ._givens import rotate
from ._modrelu import modrelu, modrelu_slope


class GORUCell(AbstractGatedCell):
    """Gated orthogonal recurrent unit.

        r  = sigmoid(W_r x + U_r h + b_r)                               reset gate
        z  = sigmoid(W_z x + U_z h + b_z)                               keep gate (1 keeps the old state)
        c  = modrelu(W_c x + r * (U_c h), b_c)
        h' = z h + (1 - z) c

    `U_c` is a product of `capacity` layers of Givens rotations, applied without forming the matrix: the first layer
    turns the planes (0, 1), (2, 3), ..., the next (1, 2), (3, 4), ..., and so on in turn. Whatever the angles, it is
    orthogonal with determinant +1; `capacity = H` reaches all such matrices. modReLU is unbounded, so there is no
    trapping box.

    **Fields** (row = output unit): `W_r W_z W_c (H, I)`, `U_r U_z (H, H)`, `even_angles (A, H // 2)` and
    `odd_angles (B, (H - 1) // 2)` in radians, layers 0, 2, ... and 1, 3, ..., A + B = capacity; `b_r b_z (H,)`,
    `b_c (H,)`, the bias of modReLU.

    **Source:** Jing et al. (2019), eqs. 4-7; the rotations: Jing et al. (2017), section 4.1 (tunable EUNN), real.
    """

    W_r: Float[Array, "H I"]
    W_z: Float[Array, "H I"]
    W_c: Float[Array, "H I"]
    U_r: Float[Array, "H H"]
    U_z: Float[Array, "H H"]
    even_angles: Float[Array, "A p"]
    odd_angles: Float[Array, "B q"]
    b_r: Float[Array, " H"]
    b_z: Float[Array, " H"]
    b_c: Float[Array, " H"]
    input_size: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)
    capacity: int = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        capacity: int | None = None,
        dtype: DTypeLike | None = None,
        key: PRNGKey,
    ):
        """Random weights as in the authors' released code: matrices uniform on [-0.01, 0.01], angles on [-pi, pi],
        `b_r` = 2, `b_c` = 0.01; `b_z` = 0.

        **Arguments:** sizes I (0 = autonomous) and H; `capacity`, layers of rotations, 1 to H, by default 4 or H if
        less; `dtype`, by default JAX's default float; `key`.

        **Raises:** `ValueError` for a `capacity` outside 1..H; more layers would repeat rotations.
        """
        dtype = jnp.dtype(dtype) if dtype is not None else jnp.zeros(()).dtype
        self.capacity = min(4, hidden_size) if capacity is None else capacity
        if not 1 <= self.capacity <= hidden_size:
            raise ValueError(
                f"GORUCell: capacity must lie in 1..{hidden_size}, the number of hidden units, got {capacity}"
            )
        shapes = dict.fromkeys(("W_r", "W_z", "W_c"), (hidden_size, input_size))
        shapes |= dict.fromkeys(("U_r", "U_z"), (hidden_size, hidden_size))
        for (name, shape), matrix_key in zip(shapes.items(), jr.split(key, len(shapes)), strict=True):
            setattr(self, name, jr.uniform(matrix_key, shape, dtype, -0.01, 0.01))
        even, odd = jr.split(jr.fold_in(key, 1))
        num_odd = self.capacity // 2
        shape = (self.capacity - num_odd, hidden_size // 2)
        self.even_angles = jr.uniform(even, shape, dtype, -math.pi, math.pi)
        self.odd_angles = jr.uniform(odd, (num_odd, (hidden_size - 1) // 2), dtype, -math.pi, math.pi)
        self.b_r = jnp.full((hidden_size,), 2.0, dtype)
        self.b_z = jnp.zeros((hidden_size,), dtype)
        self.b_c = jnp.full((hidden_size,), 0.01, dtype)
        self.input_size, self.hidden_size = input_size, hidden_size

    @property
    def bounds(self) -> None:
        return None

    @property
    def U_c(self) -> Float[Array, "H H"]:
        """The recurrent matrix of the candidate, `(H, H)`, made from the angles."""
        identity = jnp.eye(self.hidden_size, dtype=self.U_r.dtype)
        return jax.vmap(self._turn, in_axes=1, out_axes=1)(identity)

    def _turn(self, state: Array) -> Array:
        return rotate(self.even_angles, self.odd_angles, state)

    def _check(self, state: Array, input: Array | None) -> tuple[Array, Array]:
        check_vector("state", state, self.hidden_size, "GORUCell")
        return state, check_vector("input", input, self.input_size, "GORUCell", state.dtype)

    def keep_gate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        h, x = self._check(state, input)
        return jax.nn.sigmoid(self.W_z @ x + self.U_z @ h + self.b_z)

    def reset_gate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        """r in (0, 1), shape `(H,)`."""
        h, x = self._check(state, input)
        return jax.nn.sigmoid(self.W_r @ x + self.U_r @ h + self.b_r)

    def candidate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        h, x = self._check(state, input)
        return modrelu(self.W_c @ x + self.reset_gate(h, x) * self._turn(h), self.b_c)

    def linearise(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Linearisation:
        h, x = self._check(state, input)
        z, r, turned = self.keep_gate(h, x), self.reset_gate(h, x), self._turn(h)
        drive = self.W_c @ x + r * turned
        keep_slope, slope = (z * (1 - z))[:, None], modrelu_slope(drive, self.b_c)[:, None]
        weight = (turned * r * (1 - r))[:, None]
        return Linearisation(
            z,
            keep_slope * self.U_z,
            keep_slope * self.W_z,
            modrelu(drive, self.b_c),
            slope * (r[:, None] * self.U_c + weight * self.U_r),
            slope * (self.W_c + weight * self.W_r),
        )
