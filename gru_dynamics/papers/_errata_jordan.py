"""Statements of Jordan, Sokół, Park (2019)."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._types import Array
from ..bifurcations import impossible_rows, paper_rows, repaired_rows
from ..linalg import eigenvalues
from ._errata_cells import gru, parts
from ._errata_claim import Case, Claim, Reading, Sides

PAPER = "Jordan, Sokół, Park (2019)"
_GRID = np.linspace(-1.0, 1.0, 1501)
_OPEN = (3.0, -3.0)


def _unit(numbers: Array) -> Case:
    case = parts(numbers, U_h=(), U_r=(), b_h=(), b_r=())
    return {"U_h": 4 * case["U_h"], "U_r": 4 * case["U_r"], "b_h": 2 * case["b_h"], "b_r": 2 * case["b_r"]}


def _difference(case: Case, h: Array) -> Array:
    """tanh(U_h r h + b_h) - h for one unit."""
    r = jax.nn.sigmoid(case["U_r"] * h + case["b_r"])
    return jnp.tanh(case["U_h"] * r * h + case["b_h"]) - h


def _number_of_zeros(case: Case) -> Sides:
    above = _difference(case, jnp.asarray(_GRID)) > 0
    changes = jnp.sum(above[1:] != above[:-1], dtype=jnp.int32)
    return Sides(changes.astype(jnp.float64), jnp.full((), 3.0))


def _point(numbers: Array) -> Case:
    """One unit with the bias that makes h a fixed point of eq. 7."""
    case = parts(numbers, U_h=(), U_r=(), b_r=(), h=())
    return {"U_h": 2 * case["U_h"], "U_r": case["U_r"], "b_r": case["b_r"], "h": jnp.tanh(case["h"])}


def _candidate(case: Case, inside: bool) -> Array:
    """The candidate of eq. 4 at h, with the bias inside the product as printed, or outside."""
    h = case["h"]
    drive = case["U_h"] * jax.nn.sigmoid(case["U_r"] * h + case["b_r"]) * h
    bias = jnp.arctanh(h) - drive
    return jnp.tanh(drive + (case["U_h"] if inside else 1.0) * bias)


def _bias_inside(inside: bool):
    return lambda case: Sides(jnp.abs(_candidate(case, inside) - case["h"]), jnp.zeros(()), jnp.abs(case["h"]) < 1)


def _state(numbers: Array) -> Case:
    return _unit(numbers[:4]) | {"h": jnp.tanh(numbers[4])}


def _memory(z: float):
    """How far a step moves the state for an update gate of z."""

    def sides(case: Case) -> Sides:
        moved = (1 - z) * _difference(case, case["h"])
        return Sides(jnp.abs(moved), jnp.zeros(()))

    return sides


def _pair(numbers: Array) -> Case:
    """Two units with the bias that makes h a fixed point."""
    case = parts(numbers, U_h=(2, 2), U_r=(2, 2), b_r=(2,), h=(2,))
    return case | {"U_h": 3 * case["U_h"], "h": jnp.tanh(case["h"])}


def _flow_jacobian(case: Case, b_z: tuple[float, float]) -> Array:
    """diag(1 - z) (C - I) at the fixed point h."""
    h = case["h"]
    drive = case["U_h"] @ (jax.nn.sigmoid(case["U_r"] @ h + case["b_r"]) * h)
    b_c = jnp.arctanh(h) - drive
    cell = gru(U_r=case["U_r"], U_c=case["U_h"], b_r=case["b_r"], b_c=b_c, b_z=jnp.array(b_z[: h.size]))
    return cell.velocity_jacobians(h)[0]


def _growth(case: Case, b_z: tuple[float, float]) -> Array:
    return jnp.max(eigenvalues(_flow_jacobian(case, b_z)).real)


def _first(case: Case) -> Case:
    """The first of the two units alone."""
    return {name: value[:1, :1] if value.ndim == 2 else value[:1] for name, value in case.items()}


def _only_speed(case: Case) -> Sides:
    """A sink for z = 1/2 stays one for other update gates."""
    inside = jnp.max(jnp.abs(case["h"])) < 1
    return Sides(_growth(case, _OPEN), jnp.zeros(()), inside & (_growth(case, (0.0, 0.0)) < -0.01))


def _index(case: Case) -> Sides:
    """The sign of the determinant, so the index and the saddles, stays."""
    before, after = (jnp.linalg.det(_flow_jacobian(case, b_z)) for b_z in ((0.0, 0.0), _OPEN))
    return Sides(-before * after, jnp.zeros(()))


def _origin(alpha: float) -> float:
    """Largest real part at the origin for U_h = 3 R(alpha), z = r = 1/2: a complex pair, 1/2 (3/2 cos(alpha) - 1)."""
    U = 3 * np.array([[math.cos(alpha), -math.sin(alpha)], [math.sin(alpha), math.cos(alpha)]])
    return float(np.linalg.eigvals(0.5 * (0.5 * U - np.eye(2))).real.max())


def _hopf() -> float:
    """Where it crosses 0, by bisection."""
    low, high = 0.5, 1.2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _origin(middle) > 0 else (low, middle)
    return (low + high) / 2


def _angle() -> tuple[Mapping[str, Any], float, float]:
    printed = math.pi / 3.8
    return {"alpha_printed": round(printed, 6), "alpha_exact": round(_hopf(), 6)}, abs(_origin(printed)), 0.0


def _angle_right() -> tuple[int, float]:
    return 1, abs(_hopf() - math.acos(2 / 3))


def _impossible(name: str):
    def find() -> tuple[Mapping[str, Any], float, float]:
        row = paper_rows()[name]
        data = {
            "fixed_points": row.fixed_points, "sinks": row.sinks, "sources": row.sources, "saddles": row.saddles,
            "saddle_sink": row.saddle_sink, "saddle_source": row.saddle_source, "codim2": row.codim2,
        }  # fmt: skip
        return data, float(abs(row.index_sum - 1)), 0.0

    return find


def _all_other_rows() -> tuple[int, float]:
    """The repaired table, and the two rows as the only ones to repair."""
    rows = repaired_rows().values()
    others = set(impossible_rows()) - {"xi", "xxiv"}
    return len(rows), float(max(abs(row.index_sum - 1) for row in rows) + len(others))


def _repair(name: str) -> str:
    return impossible_rows()[name][0].text


CLAIMS = (
    Claim(
        "jordan-equation-4", PAPER, "eq. 4",
        "h_t = (1 - z) tanh(W_h x + U_h (r h + b_h)) + z h, the bias inside the product.",
        "false",
        "The bias outside, tanh(W_h x + U_h (r h) + b_h), as in eqs. 7 and 15: only then do map and flow share their "
        "fixed points.",
        4, _point, _bias_inside(True), _bias_inside(False),
    ),
    Claim(
        "jordan-memory", PAPER, "section 2, after eq. 4",
        "h_t -> h_{t-1} as z_t -> 0.",
        "false",
        "As z_t -> 1, by eq. 4; z = 0 overwrites the state.",
        5, _state, _memory(0.0), _memory(1.0),
    ),
    Claim(
        "jordan-only-speed", PAPER, "section 2, after eq. 7",
        "The update gate does not change the topological structure of the dynamics, only its speed.",
        "holds when d = 1",
        "For d >= 2 fixed points, their index and the saddles stay; a sink may turn into a source, here for "
        "b_z = (3, -3) instead of 0.",
        12, _pair, _only_speed, _index, 20_000, when=_first,
    ),
    Claim(
        "jordan-theorem-3", PAPER, "Theorem 3",
        "One unit has one, two or three fixed points.",
        "holds", "As printed: never more than three changes of sign on a grid of 1501 states.",
        4, _unit, None, _number_of_zeros,
    ),
    Reading(
        "jordan-hopf", PAPER, "section 4, after eq. 8",
        "The Hopf bifurcation of eq. 8 is at about alpha = pi / 3.8.",
        "false",
        "alpha = arccos(2/3) = 0.841069, which is pi / 3.735; at pi / 3.8 = 0.826735 the origin repels.",
        _angle, _angle_right, tolerance=1e-12,
    ),
    Reading(
        "jordan-row-xxiv", PAPER, "table 2, row xxiv",
        "4 sinks, 3 sources, 0 saddles.",
        "false", f"The indices of fixed points in a trapping box sum to 1, here to 7. Repair: {_repair('xxiv')}.",
        _impossible("xxiv"), _all_other_rows,
    ),
    Reading(
        "jordan-row-xi", PAPER, "table 2, row xi",
        "3 sinks, 1 saddle, 1 saddle-source collision.",
        "false", f"The indices sum to 2. Repair: {_repair('xi')}.",
        _impossible("xi"), _all_other_rows,
    ),
)  # fmt: skip
