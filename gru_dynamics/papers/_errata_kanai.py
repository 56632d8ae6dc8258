"""Statements of the supplement of Kanai, Fujiwara, Iwamura (2017)."""

import jax
import jax.numpy as jnp

from .._types import Array
from ..cells import StackedCell
from ..linalg import spectral_norm
from ._errata_cells import gru, layer, parts
from ._errata_claim import Case, Claim, Sides, bound, equal
from ._kanai_lemmas import equation_11, lemma_1, lemma_2, lemma_3, lemma_4, lemma_5, lemma_6, with_gate_biases

PAPER = "Kanai et al. (2017)"


def _cell(numbers: Array) -> Case:
    return parts(numbers, U_r=(3, 3), U_z=(3, 3), U_c=(3, 3))


def _matrix(numbers: Array) -> Case:
    return {"U_c": numbers.reshape(3, 3)}


def _stack(numbers: Array) -> Case:
    return parts(numbers, U_1=(2, 2), U_2=(2, 2), U_3=(2, 2), W_2=(2, 2), W_3=(2, 2))


def _stacked(case: Case) -> StackedCell:
    return StackedCell([layer(case["U_1"]), layer(case["U_2"], case["W_2"]), layer(case["U_3"], case["W_3"])])


def _two(numbers: Array) -> Case:
    case = parts(numbers, W=(3, 3), noise=(3, 3), delta=())
    # A competitor near the solution, and any delta in (0, 2).
    return {"W": 2 * case["W"], "K": 2 * case["W"] + case["noise"], "delta": 2 * jax.nn.sigmoid(case["delta"])}


def _step(numbers: Array) -> Case:
    return parts(numbers, W=(3, 3), gradient=(3, 3), rate=())


def _gates(numbers: Array) -> Case:
    case = parts(numbers, U_c=(2, 2), b_r=(2,), b_z=(2,))
    return {"U_c": case["U_c"], "b_r": 2 * case["b_r"], "b_z": case["b_z"]}


def _without_biases(case: Case) -> Case:
    return {name: value if name == "U_c" else jnp.zeros_like(value) for name, value in case.items()}


def _biased(as_printed: bool):
    def sides(case: Case) -> Sides:
        cell = gru(**case)
        found = with_gate_biases(cell, as_printed=as_printed)
        condition = spectral_norm(case["U_c"]) < 1.95 if as_printed else found.bound < 1
        return Sides(found.measured, jnp.ones(()) if as_printed else found.bound, condition)

    return sides


CLAIMS = (
    Claim(
        "kanai-lemma-1", PAPER, "Lemma 1",
        "A one-layer GRU has a fixed point at 0.",
        "holds", "As printed, without biases and without input.",
        27, _cell, None, lambda case: equal(lemma_1(gru(**case))),
    ),
    Claim(
        "kanai-lemma-2", PAPER, "Lemma 2, eq. 7",
        "The Jacobian at 0 is W_hh / 4 + I / 2.",
        "holds", "As printed, without biases.",
        27, _cell, None, lambda case: equal(lemma_2(gru(**case))),
    ),
    Claim(
        "kanai-lemma-3", PAPER, "Lemma 3",
        "|lambda_1(W_hh / 4 + I / 2)| < 1 when sigma_1(W_hh) < 2.",
        "holds", "|lambda_1(W_hh / 4 + I / 2)| <= sigma_1(W_hh) / 4 + 1 / 2.",
        9, _matrix, None, lambda case: bound(lemma_3(case["U_c"])),
    ),
    Claim(
        "kanai-lemma-4", PAPER, "Lemma 4, eq. 12",
        "The spectral radius of a stack is the largest of its layers'.",
        "holds", "As printed.",
        20, _stack, None, lambda case: equal(lemma_4(_stacked(case))), tolerance=1e-6,
    ),
    Claim(
        "kanai-equation-11", PAPER, "eq. 11",
        "dh_l(t)/dh_{l-d}(t-1) is the sum over p = 0 ... d of B_l ... A_{l-p} ... B_{l-d+1}.",
        "false",
        "B_l ... B_{l-d+1} A_{l-d} alone, the term p = d. The eigenvalues are the same.",
        20, _stack, lambda case: equal(equation_11(_stacked(case), as_printed=True)),
        lambda case: equal(equation_11(_stacked(case))),
    ),
    Claim(
        "kanai-lemma-5", PAPER, "Lemma 5, eq. 13",
        "P_delta(W) is nearest to W in the Frobenius norm among matrices with sigma_1 <= 2 - delta.",
        "holds", "As printed, at the distance sqrt(sum (sigma_i - 2 + delta)_+^2).",
        19, _two, None, lambda case: bound(lemma_5(case["W"], case["K"], case["delta"])),
    ),
    Claim(
        "kanai-lemma-6", PAPER, "Lemma 6, eq. 15",
        "sigma_i(W - eta G) <= sigma_i(W) + |eta| ||G||_F.",
        "holds", "As printed.",
        19, _step, None, lambda case: bound(lemma_6(case["W"], case["gradient"], case["rate"])),
    ),
    Claim(
        "kanai-biases", PAPER, "Lemma 3, used for cells with biases",
        "The fixed point 0 is stable when sigma_1(W_hh) < 2.",
        "holds when the cell has no biases",
        "With biases in the gates sigma_1(W_hh diag(sigmoid(b_r))) < 1 is enough, for any update gate.",
        8, _gates, _biased(True), _biased(False), when=_without_biases,
    ),
)  # fmt: skip
