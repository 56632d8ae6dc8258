"""Statements of Rehmer & Kroll (2020): gradients of the state equation (section 3), and what they are compared with."""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

from .._types import Array
from ..cells import ElmanCell, GRUCell, num_parameters
from ._errata_cells import parts
from ._errata_claim import Case, Claim, Reading, Sides, bound, equal
from ._rehmer_kroll_equations import (
    Unit,
    equation_7,
    equation_8,
    equation_9,
    equation_10,
    equation_11,
    equation_12,
    in_candidate,
    in_gate,
    in_state,
)

PAPER = "Rehmer & Kroll (2020)"


def _unit(numbers: Array) -> Case:
    return dict(zip(Unit._fields, numbers, strict=True))


def _rnn(numbers: Array) -> Case:
    return parts(numbers, w_x=(), b_x=(), x=(), slope=())


def _small_rnn(numbers: Array) -> Case:
    """With |w_x| <= 1 and |x| <= 1."""
    case = _rnn(numbers)
    return case | {"w_x": jnp.tanh(case["w_x"]), "x": jnp.tanh(case["x"])}


def _figure_3(numbers: Array) -> Case:
    """Activations of gate and candidate."""
    return {"s": jax.nn.sigmoid(numbers[0]), "t": jnp.tanh(numbers[1])}


def _free(numbers: Array) -> Case:
    """The same with |w| <= 1, |x| <= 1 and any derivative of the state."""
    case = parts(numbers, s=(), t=(), w_z=(), w_c=(), x=(), slope=())
    small = {name: jnp.tanh(case[name]) for name in ("t", "w_z", "w_c", "x")}
    return case | small | {"s": jax.nn.sigmoid(case["s"])}


def _ones() -> Unit:
    return Unit(*(jnp.ones(()) for _ in Unit._fields))


def _open(case: Case) -> Array:
    """That the activations are values of sigmoid and tanh."""
    return (case["s"] > 0) & (case["s"] < 1) & (jnp.abs(case["t"]) < 1)


def _free_unit(case: Case) -> Unit:
    zero = jnp.zeros(())
    return Unit(case["w_z"], zero, case["w_c"], zero, case["x"], case["slope"])


def _one(name: str):
    """The same case with one parameter equal to 1."""
    return lambda case: case | {name: jnp.ones(())}


def _not_negative(case: Case) -> Case:
    """The same with the sign of x and of its derivative that makes x + w_x slope >= 0."""
    sign = jnp.where(case["x"] + case["w_x"] * case["slope"] < 0, -1.0, 1.0)
    return case | {"x": sign * case["x"], "slope": sign * case["slope"]}


def _largest_in_gate(case: Case) -> Sides:
    """At the closed gate the derivative in w_z is 1 - t^2, at most 1."""
    return Sides(in_gate(case["s"], case["t"], _ones()), jnp.ones(()), _open(case))


def _largest_in_candidate(case: Case) -> Sides:
    """At the closed gate the derivative in w_c is 2 (1 - t^2), at most 2."""
    return Sides(in_candidate(case["s"], case["t"], _ones()), jnp.full((), 2.0))


def _smaller_than_rnn(case: Case) -> Sides:
    unit = _free_unit(case)
    right = jnp.abs(unit.x + unit.w_c * unit.slope)
    return Sides(jnp.abs(in_candidate(case["s"], case["t"], unit)), right, _open(case))


def _smaller_than_sum(case: Case) -> Sides:
    unit, s = _free_unit(case), case["s"]
    right = (1 - s) * jnp.abs(unit.x) + (1 + 2 * s * (1 - s)) * jnp.abs(unit.slope)
    return Sides(jnp.abs(in_candidate(s, case["t"], unit)), right)


def _vanishes(case: Case) -> Sides:
    """The RNN has |w_x| tanh' <= 1."""
    return Sides(jnp.abs(in_state(case["s"], case["t"], _free_unit(case))), jnp.ones(()), _open(case))


def _stretches(case: Case) -> Sides:
    s, t, x = case["s"], case["t"], case["x"]
    return Sides(jnp.abs(in_state(s, t, _free_unit(case))), 1 + s * (1 - s) * jnp.abs(x - t))


def _positive() -> tuple[Mapping[str, Any], float, float]:
    """The training data of the example."""
    states = [1.0]
    while states[-1] > 0:
        states.append(-0.9 * states[-1])
    return {"x": states}, -states[-1], 0.0


def _both_signs() -> tuple[int, float]:
    states = [(-0.9) ** k for k in range(100)]
    return len(states), float(abs(sum(x < 0 for x in states) - 50))


def _adam() -> tuple[Mapping[str, Any], float, float]:
    # Kingma & Ba (2015), algorithm 1; optax takes the other two from there and asks for the first.
    defaults = {name: p.default for name, p in inspect.signature(optax.adam).parameters.items()}
    proposed = 0.001
    return {"alpha": proposed, "beta_1": defaults["b1"], "beta_2": defaults["b2"]}, abs(0.01 - proposed), 0.0


def _adam_right() -> tuple[int, float]:
    defaults = {name: p.default for name, p in inspect.signature(optax.adam).parameters.items()}
    return 2, max(abs(defaults["b1"] - 0.9), abs(defaults["b2"] - 0.999))


# States, width of the layer of tanh in GRU and RNN, and the printed numbers of parameters.
_TABLE_1 = (
    (3, 4, 4, 66, 36), (4, 5, 5, 103, 55), (5, 6, 6, 149, 78), (6, 7, 7, 201, 105), (8, 8, 7, 321, 151),
    (10, 10, 7, 481, 205),
)  # fmt: skip


@functools.cache
def _parameters(states: int, width: int, gates: int) -> int:
    """Of one input and one output: gates with one bias, a layer of tanh, a linear output."""
    cell = GRUCell if gates == 3 else ElmanCell
    shapes = eqx.filter_eval_shape(lambda key: cell(1, states, key=key), jr.key(0))
    return num_parameters(shapes) + width * (states + 1) + width + 1


def _counts() -> tuple[Mapping[str, Any], float, float]:
    """The printed number of parameters that no network of the table has."""
    for states, wide, narrow, *printed in _TABLE_1:
        for width, gates, number in zip((wide, narrow), (3, 1), printed, strict=True):
            counted = _parameters(states, width, gates)
            if counted != number:
                data = {"states": states, "neurons": width, "gates": gates, "printed": number, "counted": counted}
                return data, float(abs(counted - number)), 0.0
    raise ArithmeticError("rehmer-kroll-table-1: every number is as printed")


def _other_counts() -> tuple[int, float]:
    """All others are as printed."""
    wrong = 0
    for states, wide, narrow, gru, rnn in _TABLE_1:
        wrong += (_parameters(states, wide, 3) != gru) + (_parameters(states, narrow, 1) != rnn)
    return 12, float(wrong - 1)


CLAIMS = (
    Claim(
        "rehmer-kroll-equation-7", PAPER, "eq. 7",
        "d x_{k+1}/dw_x = (x_k + w_x dx_k/dw_x) tanh'(w_x x_k + b_x).",
        "holds", "As printed.",
        4, _rnn, None, lambda case: equal(equation_7(**case)),
    ),
    Claim(
        "rehmer-kroll-equation-8", PAPER, "eq. 8",
        "d x_{k+1}/dw_z = (1 - tanh) s' (x_k + w_z dx_k/dw_z) + (1 - s) tanh' dx_k/dw_z.",
        "false",
        "(x_k - tanh) s' (x_k + w_z dx_k/dw_z) + s dx_k/dw_z + (1 - s) tanh' w_c dx_k/dw_z.",
        6, _unit, lambda case: equal(equation_8(Unit(**case), as_printed=True)),
        lambda case: equal(equation_8(Unit(**case))),
    ),
    Claim(
        "rehmer-kroll-equation-9", PAPER, "eq. 9",
        "d x_{k+1}/dw_c = s' dx_k/dw_c (x_k - tanh) + s dx_k/dw_c + (1 - s) tanh' (x_k + w_c dx_k/dw_c).",
        "holds when w_z = 1",
        "The first term has the factor w_z.",
        6, _unit, lambda case: equal(equation_9(Unit(**case), as_printed=True)),
        lambda case: equal(equation_9(Unit(**case))), when=_one("w_z"),
    ),
    Claim(
        "rehmer-kroll-equation-10", PAPER, "eq. 10",
        "d x_{k+1}/dw_x <= x_k + w_x dx_k/dw_x.",
        "holds when the right side is not negative",
        "|d x_{k+1}/dw_x| <= |x_k + w_x dx_k/dw_x|.",
        4, _small_rnn, lambda case: bound(equation_10(**case, as_printed=True)),
        lambda case: bound(equation_10(**case)), when=_not_negative,
    ),
    Claim(
        "rehmer-kroll-equation-11", PAPER, "eq. 11",
        "For a closed gate d x_{k+1}/dw_z = tanh' dx_k/dw_z.",
        "holds when w_c = 1",
        "tanh' w_c dx_k/dw_z; at most |dx_k/dw_z| for |w_c| <= 1. The line for w_c is right.",
        6, _unit, lambda case: equal(equation_11(Unit(**case), as_printed=True)),
        lambda case: equal(equation_11(Unit(**case))), when=_one("w_c"),
    ),
    Claim(
        "rehmer-kroll-equation-12", PAPER, "eq. 12",
        "For an open gate d x_{k+1}/dw_z = 0.",
        "false",
        "dx_k/dw_z, as for w_c: the state is passed on with its derivative.",
        6, _unit, lambda case: equal(equation_12(Unit(**case), as_printed=True)),
        lambda case: equal(equation_12(Unit(**case))),
    ),
    Claim(
        "rehmer-kroll-figure-3", PAPER, "section 3, fig. 3",
        "The largest gradients occur when the update gate is fully closed (w = x = dx = 1).",
        "holds when the parameter is w_c",
        "In w_c the largest is 2, at s = t = 0. In w_z it is 1.6311, at s = -t = (sqrt(7) - 1) / 3, and 1 at s = 0.",
        2, _figure_3, _largest_in_gate, _largest_in_candidate,
    ),
    Claim(
        "rehmer-kroll-smaller-gradient", PAPER, "sections 3 and 7",
        "The gradient of the GRU is at most as large as that of the RNN, for weights of at most 1.",
        "false",
        "|d x_{k+1}/dw_c| <= (1 - s) |x_k| + (1 + 2 s (1 - s)) |dx_k/dw_c|; the bound of the RNN, "
        "|x_k + w dx_k/dw|, is 0 for x_k = -w dx_k/dw.",
        6, _free, _smaller_than_rnn, _smaller_than_sum,
    ),
    Claim(
        "rehmer-kroll-vanishing", PAPER, "section 3, after eq. 9",
        "The gradient of the GRU is at least as likely to vanish as that of the RNN, for weights of at most 1.",
        "false",
        "|d x_{k+1}/d x_k| <= 1 + s (1 - s) |x_k - tanh|: a GRU with these weights can stretch, the RNN cannot.",
        6, _free, _vanishes, _stretches,
    ),
    Reading(
        "rehmer-kroll-positive-data", PAPER, "section 5",
        "Training data of x_{k+1} = -0.9 x_k are available for x > 0.",
        "false", "Every other state is negative, 50 of the first 100.",
        _positive, _both_signs,
    ),
    Reading(
        "rehmer-kroll-adam", PAPER, "section 6.5",
        "alpha = 0.01, beta_1 = 0.9, beta_2 = 0.999 is the default configuration of Adam.",
        "false", "alpha = 0.001 in Kingma & Ba (2015), algorithm 1; the other two are the default.",
        _adam, _adam_right,
    ),
    Reading(
        "rehmer-kroll-table-1", PAPER, "table 1",
        "149 parameters of the GRU with 5 states and 6 neurons.",
        "false", "148, with one bias for each gate, a layer of tanh and a linear output, which gives the others.",
        _counts, _other_counts,
    ),
)  # fmt: skip
