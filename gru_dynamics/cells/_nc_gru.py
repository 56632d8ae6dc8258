"""The gated recurrent unit with orthogonal recurrent matrices."""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._types import Array, DTypeLike, Float, PRNGKey
from ..linalg import Orthogonal, random_cayley
from ._base import AbstractGatedCell, Linearisation, check_vector
from ._init import Initializer, glorot, he_uniform
from ._modrelu import modrelu, modrelu_slope


class NCGRUCell(AbstractGatedCell):
    """Neumann-Cayley orthogonal GRU: orthogonal recurrent matrices and a modReLU candidate.

        r  = sigmoid(W_r x + U_r h + b_r)                               reset gate
        z  = sigmoid(W_z x + U_z h + b_z)                               keep gate (1 keeps the old state)
        c  = modrelu(W_c x + U_c (r * h), b_c)
        h' = z h + (1 - z) c

    The paper writes it with the gate u = 1 - z that admits the candidate: its W_u, U_u, b_u are ours with the sign
    changed. `U_c` is orthogonal, and `U_r`, `U_z` are when named in `orthogonal`; they start so, `constraints` says so,
    and an optimiser that reads it keeps them so. modReLU is unbounded, so there is no trapping box and no index
    certificate. Without input the origin is a fixed point; where b_c > 0 the candidate jumps there (see `modrelu`), its
    Jacobian says nothing about its neighbours, and a search reaches it only from a guess at the origin itself.

    **Fields** (row = output unit): `W_r W_z W_c (H, I)`, `U_r U_z U_c (H, H)`, `b_r b_z (H,)`, `b_c (H,)`, the bias of
    modReLU; `num_negative`, entries -1 of D in `U = (I + A)^-1 (I - A) D`; `orthogonal`, which of "r", "z", "c".

    **Source:** Mucllari et al. (2022), eqs. 19, 20.
    """

    W_r: Float[Array, "H I"]
    W_z: Float[Array, "H I"]
    W_c: Float[Array, "H I"]
    U_r: Float[Array, "H H"]
    U_z: Float[Array, "H H"]
    U_c: Float[Array, "H H"]
    b_r: Float[Array, " H"]
    b_z: Float[Array, " H"]
    b_c: Float[Array, " H"]
    input_size: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)
    num_negative: int = eqx.field(static=True)
    orthogonal: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_negative: int | None = None,
        orthogonal: Sequence[str] = ("c",),
        gate_init: Initializer = glorot,
        candidate_init: Initializer = he_uniform,
        dtype: DTypeLike | None = None,
        key: PRNGKey,
    ):
        """Random weights: orthogonal matrices by `random_cayley`, gate biases 0, `b_c` uniform on [-0.1, 0.1].

        The defaults follow the authors' released code, where the gates have one kernel for `[x, h]`, uniform on
        `+-sqrt(6 / (I + H))`, which for `W_r`, `W_z` is `glorot`.

        **Arguments:** sizes I (0 = autonomous) and H; `num_negative`, by default H // 2; `orthogonal`, `("c",)`,
        `("r", "c")` or `("r", "z", "c")`; `gate_init`, initialiser of `W_r`, `W_z` and of `U_r`, `U_z` where they are
        not orthogonal; `candidate_init`, of `W_c`; `dtype`, by default JAX's default float; `key`.

        **Raises:** `ValueError` for a `num_negative` outside 0..H and for other names in `orthogonal`.
        """
        dtype = jnp.dtype(dtype) if dtype is not None else jnp.zeros(()).dtype
        self.num_negative = check_num_negative("NCGRUCell", num_negative, hidden_size)
        self.orthogonal = _check_orthogonal(orthogonal)
        inits = {"r": gate_init, "z": gate_init, "c": candidate_init}
        for gate, gate_key in zip("rzc", jr.split(key, 3), strict=True):
            key_w, key_u = jr.split(gate_key)
            setattr(self, f"W_{gate}", inits[gate](key_w, (hidden_size, input_size), dtype))
            if gate in self.orthogonal:
                U = random_cayley(key_u, hidden_size, self.num_negative, dtype)
            else:
                U = gate_init(key_u, (hidden_size, hidden_size), dtype)
            setattr(self, f"U_{gate}", U)
        self.b_r, self.b_z = jnp.zeros((hidden_size,), dtype), jnp.zeros((hidden_size,), dtype)
        self.b_c = jr.uniform(jr.fold_in(key, 1), (hidden_size,), dtype, -0.1, 0.1)
        self.input_size, self.hidden_size = input_size, hidden_size

    @property
    def bounds(self) -> None:
        return None

    @property
    def constraints(self) -> Mapping[str, Orthogonal]:
        """The orthogonal fields, each `(H, H)`."""
        return {f"U_{gate}": Orthogonal(self.num_negative) for gate in self.orthogonal}

    def _check(self, state: Array, input: Array | None) -> tuple[Array, Array]:
        check_vector("state", state, self.hidden_size, "NCGRUCell")
        return state, check_vector("input", input, self.input_size, "NCGRUCell", state.dtype)

    def keep_gate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        h, x = self._check(state, input)
        return jax.nn.sigmoid(self.W_z @ x + self.U_z @ h + self.b_z)

    def reset_gate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        """r in (0, 1), shape `(H,)`."""
        h, x = self._check(state, input)
        return jax.nn.sigmoid(self.W_r @ x + self.U_r @ h + self.b_r)

    def candidate(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Float[Array, " H"]:
        h, x = self._check(state, input)
        return modrelu(self.W_c @ x + self.U_c @ (self.reset_gate(h, x) * h), self.b_c)

    def linearise(self, state: Float[Array, " H"], input: Float[Array, " I"] | None = None) -> Linearisation:
        h, x = self._check(state, input)
        z, r = self.keep_gate(h, x), self.reset_gate(h, x)
        drive = self.W_c @ x + self.U_c @ (r * h)
        keep_slope, slope = (z * (1 - z))[:, None], modrelu_slope(drive, self.b_c)[:, None]
        weight = (h * r * (1 - r))[:, None]
        highest = jax.lax.Precision.HIGHEST
        drive_state = jnp.matmul(self.U_c, jnp.diag(r) + weight * self.U_r, precision=highest)
        drive_input = self.W_c + jnp.matmul(self.U_c, weight * self.W_r, precision=highest)
        return Linearisation(
            z,
            keep_slope * self.U_z,
            keep_slope * self.W_z,
            modrelu(drive, self.b_c),
            slope * drive_state,
            slope * drive_input,
        )


def check_num_negative(cell: str, num_negative: int | None, hidden_size: int) -> int:
    """The number of entries -1 of D, by default half of them."""
    number = hidden_size // 2 if num_negative is None else num_negative
    if not 0 <= number <= hidden_size:
        raise ValueError(f"{cell}: num_negative must lie in 0..{hidden_size}, the number of hidden units, got {number}")
    return number


def _check_orthogonal(orthogonal: Sequence[str]) -> tuple[str, ...]:
    """In the order r, z, c."""
    chosen = tuple(gate for gate in "rzc" if gate in orthogonal)
    if sorted(chosen) != sorted(orthogonal) or "c" not in chosen:
        hint = '; the gate u of the paper is 1 - z here, name it "z"' if "u" in orthogonal else ""
        raise ValueError(f'NCGRUCell: orthogonal must name "c" and may name "r", "z", got {tuple(orthogonal)!r}{hint}')
    return chosen
