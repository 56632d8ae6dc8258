"""Statements of Mucllari et al. (2022) about gradients and orthogonal matrices."""

import jax
import jax.numpy as jnp

from .._types import Array
from ..cells import GRUCell, NCGRUCell, modrelu
from ..linalg import cayley, cayley_gradient, cayley_inverse
from ..sensitivity._bounds_gates import gate_bound
from ._errata_cells import gru, nc_gru, parts, rotation
from ._errata_claim import Case, Claim, Sides
from ._nc_gru_bound import algorithm_1, corollary_1, corollary_2, corollary_3

PAPER = "Mucllari et al. (2022)"
_GATE = 0.02
_GRU = ("U_r", "U_z", "U_c", "b_r", "b_z", "b_c")


def _cell_of_size(n: int):
    def build(numbers: Array) -> Case:
        matrices = parts(numbers, U_r=(n, n), U_z=(n, n), U_c=(n, n), b_r=(n,), b_z=(n,), b_c=(n,))
        return {name: (3 * value if value.ndim == 2 else 2 * value) for name, value in matrices.items()}

    return build


_scalar_cell, _cell = _cell_of_size(1), _cell_of_size(3)


def _visited(case: Case) -> tuple[GRUCell, Array]:
    """The cell, and the state that it reaches from 0 after three steps."""
    cell = gru(**{name: case[name] for name in _GRU})
    state = jnp.zeros_like(case["b_c"])
    for _ in range(3):
        state = cell(state)
    return cell, state


def _theorem_1(as_printed: bool):
    def sides(case: Case) -> Sides:
        found = gate_bound(*_visited(case), as_printed=as_printed)
        return Sides(found.measured, found.bound)

    return sides


def _corollary_1(case: Case) -> Sides:
    found = corollary_1(*_visited(case))
    return Sides(found.measured, found.bound)


def _candidate_sign(case: Case) -> Sides:
    cell, state = _visited(case)
    return Sides(-jnp.min(cell.candidate(state)), jnp.zeros(()))


def _box(case: Case) -> Sides:
    cell, state = _visited(case)
    return Sides(jnp.max(jnp.abs(jnp.stack([state, cell.candidate(state)]))), jnp.ones(()))


def _nearly_binary(numbers: Array) -> Case:
    """Gates within 0.02 of 0 and 1 at the state h, given by their logits, and matrices of large norm."""
    case = parts(numbers, U_r=(2, 2), U_z=(2, 2), h=(2,), b_c=(2,), logit_r=(2,), logit_z=(2,))
    large = {"U_r": 30 * case["U_r"], "U_z": 30 * case["U_z"], "h": jnp.tanh(case["h"])}
    return case | large | {name: _away(case[name]) for name in ("logit_r", "logit_z")}


def _alike(numbers: Array) -> Case:
    """The same with both update gates on one side."""
    case = _nearly_binary(numbers)
    return case | {"logit_z": jnp.sign(case["logit_z"][0]) * jnp.abs(case["logit_z"])}


def _small(case: Case) -> Case:
    """The same with matrices of norms so small that the products with delta are."""
    return case | {"U_r": case["U_r"] / 1000, "U_z": case["U_z"] / 1000}


def _away(numbers: Array) -> Array:
    return jnp.sign(numbers) * (4 + jnp.abs(numbers))


def _biases(case: Case, U_r: Array) -> Case:
    """Those with which the gates have their logits at h."""
    return {"b_r": case["logit_r"] - U_r @ case["h"], "b_z": case["logit_z"] - case["U_z"] @ case["h"]}


def _corollary_2(alike: bool, as_printed: bool):
    def sides(case: Case) -> Sides:
        cell = gru(U_r=case["U_r"], U_z=case["U_z"], b_c=case["b_c"], **_biases(case, case["U_r"]))
        h = case["h"]
        found = corollary_2(cell, h, alike=alike, as_printed=as_printed)
        keep = cell.keep_gate(h)
        gates = jnp.stack([keep, cell.reset_gate(h)])
        applies = (jnp.max(jnp.minimum(gates, 1 - gates)) < _GATE) & (jnp.max(jnp.abs(h)) < 1)
        if alike:
            applies = applies & (jnp.max(keep) - jnp.min(keep) < _GATE)
        # "nearly": what the distance of the gates from 0 and 1 can explain is granted.
        return Sides(found.measured, found.bound * (1 + 2 * _GATE), applies)

    return sides


def _orthogonal(numbers: Array) -> Case:
    """An orthogonal cell at a large state, with gates within 0.02 of 0 and 1."""
    case = parts(numbers, angle_r=(), angle_c=(), U_z=(2, 2), h=(2,), b_c=(2,), logit_r=(2,), logit_z=(2,))
    return case | {"h": 100 * case["h"]} | {name: _away(case[name]) for name in ("logit_r", "logit_z")}


def _orthogonal_cell(case: Case) -> NCGRUCell:
    U_r, U_c = rotation(case["angle_r"]), rotation(case["angle_c"])
    return nc_gru(U_r=U_r, U_c=U_c, U_z=case["U_z"], b_c=case["b_c"], **_biases(case, U_r))


def _corollary_3(as_printed: bool):
    def sides(case: Case) -> Sides:
        cell, h = _orthogonal_cell(case), case["h"]
        found = corollary_3(cell, h, as_printed=as_printed)
        gates = jnp.stack([cell.keep_gate(h), cell.reset_gate(h)])
        return Sides(found.measured, found.bound, jnp.max(jnp.minimum(gates, 1 - gates)) < _GATE)

    return sides


def _jump(numbers: Array) -> Case:
    """One unit with gates nearly open, whose candidate sees its state near 0."""
    return {"bias": 0.1 + 0.4 * jnp.abs(numbers[0]), "step": jnp.full((), 1e-3)}


def _quotient(case: Case) -> Array:
    """Difference quotient of a step with z = 0.02, r = 0.98, U_c = 1 across the state 0."""
    half = jnp.stack([case["step"] / 2, -case["step"] / 2])
    new = 0.02 * half + 0.98 * modrelu(0.98 * half, jnp.full_like(half, 1) * case["bias"])
    return (new[0] - new[1]) / case["step"]


def _lipschitz(case: Case) -> Sides:
    return Sides(_quotient(case), jnp.full((), 2.0))


def _no_jump(case: Case) -> Sides:
    """With b <= 0 modReLU is a contraction of its argument."""
    return Sides(_quotient(case | {"bias": -case["bias"]}), jnp.full((), 2.0))


def _steps(numbers: Array) -> Case:
    return {"angle": numbers[0], "step": 0.02 + 0.05 * jnp.abs(numbers[1])}


def _many_steps(as_printed: bool):
    def sides(case: Case) -> Sides:
        turn = jnp.array([[0.0, 1.0], [-1.0, 0.0]])
        changes = jnp.broadcast_to(-case["step"] * turn, (20, 2, 2))
        found = algorithm_1(case["angle"] * turn, changes, as_printed=as_printed)
        return Sides(found.measured / found.bound, jnp.ones(()))

    return sides


def _skew(numbers: Array) -> Case:
    return {"A": numbers.reshape(3, 3) - numbers.reshape(3, 3).T}


def _smallest(case: Case) -> Array:
    return jnp.linalg.svd(jnp.eye(3) + case["A"], compute_uv=False)[-1]


def _singular(case: Case) -> Sides:
    return Sides(_smallest(case), jnp.zeros(()), jnp.min(jnp.abs(case["A"] + jnp.eye(3))) > 0)


def _not_singular(case: Case) -> Sides:
    return Sides(jnp.ones(()), _smallest(case))


def _gradient(case: Case) -> Sides:
    """d/dA of <G, W(A)> along each independent entry, by autodiff and by eqs. 5, 6."""
    A, G = case["A"], case["G"]
    signs = jnp.array([1.0, 1.0, -1.0])
    formula = cayley_gradient(cayley_inverse(A), cayley(A, signs), G, signs)
    whole = jax.grad(lambda A: jnp.sum(G * cayley(A, signs)))(A)
    return Sides(jnp.max(jnp.abs(formula - (whole - whole.T))), jnp.zeros(()))


def _skew_and_gradient(numbers: Array) -> Case:
    return _skew(numbers[:9]) | {"G": numbers[9:].reshape(3, 3)}


CLAIMS = (
    Claim(
        "nc-gru-theorem-1", PAPER, "Theorem 1, eqs. 8-12",
        "||dh_t/dh_{t-1}||_2 <= alpha + beta ||U_c||_2 with max [h]_i and max [c]_i in alpha and beta.",
        "false",
        "With max |h_i| and max |c_i|.",
        6, _scalar_cell, _theorem_1(True), _theorem_1(False), 100_000, _cell, 36,
    ),
    Claim(
        "nc-gru-corollary-1", PAPER, "Corollary 1, eq. 13",
        "alpha <= ||U_u||_2 / 2 + 1 and beta <= ||U_r||_2 / 4 + 1 for tanh.",
        "holds",
        "As printed; with absolute values in alpha and beta it needs |h_i| <= 1, not h_i <= 1.",
        36, _cell, None, _corollary_1,
    ),
    Claim(
        "nc-gru-corollary-1-proof", PAPER, "section 8, before eq. 47",
        "0 <= [c_t]_i for all i and t, in the proof that [h_t]_i <= 1.",
        "false",
        "-1 <= c_i <= 1, and by the same induction |h_i| <= 1, which is what Theorem 1 needs.",
        6, _scalar_cell, _candidate_sign, _box, 10_000, _cell, 36,
    ),
    Claim(
        "nc-gru-corollary-2-first", PAPER, "Corollary 2, eq. 14",
        "alpha + beta is at most nearly 2 when all gates are nearly 0 or 1.",
        "holds when delta_u ||U_u||_2 and delta_r ||U_r||_2 are small as well",
        "alpha + beta <= 2 + 2 delta_u ||U_u||_2 + delta_r ||U_r||_2 for |h_i| <= 1.",
        16, _nearly_binary, _corollary_2(False, True), _corollary_2(False, False), 20_000, when=_small,
    ),
    Claim(
        "nc-gru-corollary-2-second", PAPER, "Corollary 2, eq. 15",
        "alpha + beta is at most nearly 1 when u_t and r_t are nearly the zero vector or the vector of ones.",
        "holds when delta_u ||U_u||_2 and delta_r ||U_r||_2 are small as well",
        "alpha + beta <= 1 + max u - min u + 2 delta_u ||U_u||_2 + delta_r ||U_r||_2: only u has to be uniform.",
        16, _alike, _corollary_2(True, True), _corollary_2(True, False), 20_000, when=_small,
    ),
    Claim(
        "nc-gru-corollary-3", PAPER, "Corollary 3, eq. 21",
        "||dh_t/dh_{t-1}||_2 is at most nearly 2 for NC-GRU with gates nearly 0 or 1.",
        "false",
        "2 + delta_u (max |h_i| + max |c_i|) ||U_u||_2 + delta_r max |h_i|: modReLU does not bound h and c by 1.",
        14, _orthogonal, _corollary_3(True), _corollary_3(False), 20_000,
    ),
    Claim(
        "nc-gru-corollary-3-jump", PAPER, "Corollary 3, eq. 20",
        "A step of NC-GRU with gates nearly 0 or 1 stretches no distance by more than nearly 2.",
        "holds when the biases of modReLU are not positive",
        "For b > 0 modReLU jumps by 2 b at 0, and no derivative bounds the stretch there.",
        1, _jump, _lipschitz, _no_jump, 1_000,
    ),
    Claim(
        "nc-gru-algorithm-1", PAPER, "Algorithm 1, line 7, and section 3.2",
        "With three terms the error of the inverse is of the order of (X dA)^3.",
        "holds when the step starts from the exact inverse",
        "Algorithm 1 is open loop: errors of all steps since the last reset add up.",
        2, _steps, _many_steps(True), _many_steps(False), 2_000,
    ),
    Claim(
        "nc-gru-eigenvalue", PAPER, "section 2.2",
        "D avoids an eigenvalue -1 of A, which makes I + A singular.",
        "false",
        "A is skew, so I + A has no singular value below 1; D lets W have the eigenvalue -1 with a bounded A.",
        9, _skew, _singular, _not_singular,
    ),
    Claim(
        "nc-gru-gradient", PAPER, "eqs. 5, 6",
        "The gradient in A is V^T - V with V = (I + A)^-T G (D + W^T).",
        "holds",
        "As printed, for the n (n - 1) / 2 independent entries; it is twice the projection in the Frobenius norm.",
        18, _skew_and_gradient, None, _gradient,
    ),
)  # fmt: skip
