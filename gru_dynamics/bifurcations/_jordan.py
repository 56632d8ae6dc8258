"""The paper's cases as families."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._types import Array
from ..systems import CellFlow, FunctionFamily, library


def jordan_family(case: str) -> FunctionFamily:
    """The two-unit GRU of one case of the paper as a family in its twelve printed numbers.

    **Arguments:** `case`, one of `library.jordan_cases()`, such as `"table3:xiv"`.

    **Returns:** family with `mu (12,)`: the rows of U_c, the rows of U_r, b_c, b_r; `family.mu` is as printed.

    **Raises:** `ValueError` for an unknown case.

    **Source:** Jordan, Sokół, Park (2019), tables 1 and 3.
    """
    system = library.jordan(case)
    return FunctionFamily(_with_parameters, system, jnp.concatenate([leaf.reshape(-1) for leaf in _leaves(system)]))


def _leaves(system: Any) -> Any:
    return system.cell.U_c, system.cell.U_r, system.cell.b_c, system.cell.b_r


def _with_parameters(system: CellFlow, mu: Array) -> CellFlow:
    return eqx.tree_at(_leaves, system, (mu[:4].reshape(2, 2), mu[4:8].reshape(2, 2), mu[8:10], mu[10:12]))
