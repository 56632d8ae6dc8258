"""The paper's cells with three knobs: turn U_h, scale it, shift a bias. One family, so all figures share compiled code.

U_h(alpha, gain) = gain R(alpha) U,    b_h = b + (bias, 0)
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._types import Array
from ..systems import CellFlow, CellMap, FunctionFamily, library

ALPHA, GAIN, BIAS = range(3)


def knob(system: CellFlow | CellMap, which: int, *, alpha: float = 0.0, gain: float = 1.0) -> FunctionFamily:
    """The family of a system in one knob, the others held. `GAIN` and `ALPHA` replace the values given here."""
    held = jnp.array([alpha, gain, 0.0])
    direction = jnp.zeros(3).at[which].set(1.0)
    return FunctionFamily(_turned, (system, held * (1 - direction), direction), held[which])


def at(family: FunctionFamily, mu: Any) -> Any:
    """The member at a number."""
    return family(jnp.asarray(mu, float))


def _turned(args: tuple[Any, Array, Array], mu: Any) -> CellFlow | CellMap:
    system, held, direction = args
    alpha, gain, bias = held + mu * direction
    cos, sin = jnp.cos(alpha), jnp.sin(alpha)
    turn = jnp.stack([cos, -sin, sin, cos]).reshape(2, 2)
    turned = gain * jnp.matmul(turn, system.cell.U_c, precision="highest")
    return eqx.tree_at(_leaves, system, (turned, system.cell.b_c.at[0].add(bias)))


def _leaves(system: Any) -> Any:
    return system.cell.U_c, system.cell.b_c


def rotation(*, discrete: bool = False) -> FunctionFamily:
    """Equation 8 in alpha, as the flow or as the discrete map of the same cell: `U_h = 3 R(alpha)`, all else 0."""
    flow = with_matrix(library.jordan_rotation(0.0))
    return knob(CellMap(flow.cell, flow.input) if discrete else flow, ALPHA, gain=3.0)


def with_matrix(flow: CellFlow) -> CellFlow:
    """The same flow with the identity for U_h, and zero biases of the candidate."""
    return eqx.tree_at(_leaves, flow, (jnp.eye(2), jnp.zeros(2)))
