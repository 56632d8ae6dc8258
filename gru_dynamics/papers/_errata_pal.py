"""Statements of Pal (2019)."""

import jax
import jax.numpy as jnp

from .._types import Array
from ..linalg import eigenvalues, product, run_after, spectral_norm
from ._errata_cells import parts
from ._errata_claim import Case, Claim, Sides, bound, equal
from ._pal import factor, lemma_3, states, theorem_1, theorem_2, theorem_3, theorem_4

PAPER = "Pal (2019)"


def _run(numbers: Array) -> Case:
    return parts(numbers, W=(2, 2), h_0=(2,), drive=(3, 2))


def _one_unit(case: Case) -> Case:
    return {"W": case["W"][:1, :1], "h_0": case["h_0"][:1], "drive": case["drive"][:, :1]}


def _theorem_1(as_printed: bool):
    return lambda case: equal(theorem_1(case["W"], case["h_0"], case["drive"], as_printed=as_printed))


def _loss(W: Array, case: Case) -> Array:
    return jnp.sum(states(W, case["h_0"], case["drive"])[-1] ** 2) / 2


def _equation_3(times: int):
    def sides(case: Case) -> Sides:
        gradient = jax.grad(_loss)(case["W"], case)
        last = states(case["W"], case["h_0"], case["drive"])[-1]
        # dE/dh dh/dW, summed over k = 1 ... t as printed.
        by_state = theorem_1(case["W"], case["h_0"], case["drive"]).claimed
        claimed = times * product(last[None, :], by_state)[0]
        return Sides(jnp.max(jnp.abs(claimed - gradient.reshape(-1))), jnp.zeros(()))

    return sides


def _matrix_and_state(numbers: Array) -> Case:
    case = parts(numbers, W=(2, 2), h=(2,))
    return {"W": 2 * case["W"], "h": case["h"]}


def _limit(case: Case) -> Sides:
    """At a state that inputs keep fixed the factors of F(k, t) are all W D: they vanish if and only if rho(W D) < 1."""
    growth = jnp.max(jnp.abs(eigenvalues(factor(case["W"], case["h"]))))
    return Sides(growth, jnp.ones(()), jnp.max(jnp.abs(eigenvalues(case["W"]))) < 0.9)


def _along(numbers: Array) -> Case:
    return parts(numbers, W=(3, 3), states=(6, 3))


def _norm_bound(case: Case) -> Sides:
    return bound(theorem_2(case["W"], case["states"]))


def _growing(numbers: Array) -> Case:
    case = parts(numbers, q=(2, 2), values=(2,))
    large = 1.2 + jnp.abs(case["values"][1])
    return {"q": case["q"], "values": jnp.stack([large + 0.5 + jnp.abs(case["values"][0]), large])}


def _theorem_3(as_printed: bool):
    def sides(case: Case) -> Sides:
        q = case["q"]
        found = theorem_3(case["values"], q, jnp.array([0.0, 1.0]), 4, as_printed=as_printed)
        return Sides(
            found.error / jnp.max(jnp.abs(found.claimed)),
            jnp.zeros(()),
            jnp.abs(q[0, 0] * q[1, 1] - q[0, 1] * q[1, 0]) > 0.1,
        )

    return sides


def _one(numbers: Array) -> Case:
    return {"W": numbers.reshape(2, 2)}


def _explodes(case: Case) -> Sides:
    """The linear network, all slopes 1: 20 steps should grow by 1.1^20 at least."""
    W = case["W"]
    size = spectral_norm(W)
    power = jnp.linalg.matrix_power(run_after(W, size), 20)
    return Sides(jnp.full((), 1.1**20), spectral_norm(power), size >= 1.1)


def _from_below(case: Case) -> Sides:
    return bound(theorem_4(case["W"], case["states"]))


def _two(numbers: Array) -> Case:
    return parts(numbers, A=(2, 2), B=(2, 2))


def _lemma_3(as_printed: bool):
    return lambda case: bound(lemma_3(case["A"], case["B"], as_printed=as_printed))


def _norm_is_radius(case: Case) -> Sides:
    A = case["W"]
    norm = spectral_norm(A)
    return Sides(jnp.abs(norm - jnp.max(jnp.abs(eigenvalues(run_after(A, norm))))), jnp.zeros(()))


def _norm_is_root(case: Case) -> Sides:
    A = case["W"]
    norm = spectral_norm(A)
    squared = jnp.max(jnp.abs(eigenvalues(run_after(product(A.T, A), norm))))
    return Sides(jnp.abs(norm**2 - squared), jnp.zeros(()))


CLAIMS = (
    Claim(
        "pal-equation-3", PAPER, "eq. 3",
        "dE_t/dW = sum_{k=1}^t dE_t/dh_t dh_t/dW.",
        "false",
        "dE_t/dW = dE_t/dh_t dh_t/dW: the terms do not depend on k, and the printed sum is t times the gradient.",
        12, _run, _equation_3(3), _equation_3(1),
    ),
    Claim(
        "pal-theorem-1", PAPER, "Theorem 1 and Lemma 2",
        "The direct term of dh_t/dW_R is HV(sigma(h_{t-1})), n x n blocks that are all sigma(h_{t-1})^T.",
        "holds when n = 1",
        "I kron sigma(h_{t-1})^T: row i of W moves component i alone.",
        12, _run, _theorem_1(True), _theorem_1(False), when=_one_unit,
    ),
    Claim(
        "pal-theorem-2", PAPER, "Theorem 2",
        "If ||diag(sigma')|| <= gamma and |lambda_1(W)| gamma < 1, then F(k, t) -> 0 as t -> infinity.",
        "holds when the largest singular value takes the place of |lambda_1|",
        "||prod W diag(sigma')||_2 <= (sigma_1(W) gamma)^m. |lambda_1(W D)| may exceed |lambda_1(W)| for D <= 1.",
        6, _matrix_and_state, _limit, _norm_bound, 20_000, _along, 27,
    ),
    Claim(
        "pal-theorem-3", PAPER, "Theorem 3",
        "In the linear network dE_t/dW grows along q_j as lambda_j^t, with q_j the eigenvectors of W.",
        "holds when the q_j are left eigenvectors",
        "v^T W^m = sum c_i lambda_i^m q_i^T for q_i^T W = lambda_i q_i^T.",
        6, _growing, _theorem_3(True), _theorem_3(False),
    ),
    Claim(
        "pal-theorem-4", PAPER, "Theorem 4",
        "If ||W|| >= (1 + eps) / lambda*(diag(sigma')), the gradient grows beyond all bounds; 'may be wrong'.",
        "false",
        "||prod W diag(sigma')||_2 >= prod sigma_n(W) min sigma'.",
        4, _one, _explodes, _from_below, 10_000, _along, 27,
    ),
    Claim(
        "pal-lemma-3", PAPER, "Lemma 3",
        "||A B|| >= lambda*(A) ||B||, lambda* the least absolute value of an eigenvalue.",
        "holds when A is normal",
        "||A B||_2 >= sigma_n(A) ||B||_2 with the smallest singular value.",
        8, _two, _lemma_3(True), _lemma_3(False), when=lambda case: case | {"A": case["A"] + case["A"].T},
    ),
    Claim(
        "pal-norm", PAPER, "Proof 4",
        "The operator norm of a matrix is the largest absolute value of its eigenvalues.",
        "holds when the matrix is normal",
        "||A||_2^2 is the largest eigenvalue of A^T A.",
        4, _one, _norm_is_radius, _norm_is_root, when=lambda case: {"W": case["W"] + case["W"].T},
    ),
)  # fmt: skip
