"""Iterate a map or a cell."""

from typing import Any

import jax

from .._types import Array, Float
from ..cells import AbstractCell
from ..systems import AbstractMap, CellMap


def rollout(
    system: AbstractCell | AbstractMap,
    state: Float[Array, "*batch S"],
    inputs: Float[Array, "*lead I"] | None = None,
    *,
    num_steps: int | None = None,
    save_states: bool = True,
    args: Any = None,
) -> Float[Array, "*out S"]:
    """States after each step from `state` on: `s_{t+1} = F(s_t, x_t)`.

    **Arguments:**

    - `system`: a cell, driven by `inputs`, or a map, which has its own constant input and takes `num_steps`. A
      `CellMap` takes `inputs` too; they replace its constant input.
    - `state`: initial state `(S,)`, or `(B, S)` for B sequences.
    - `inputs`: `(T, I)`, or `(B, T, I)` for a batch; `(T, I)` with a batch of states drives all alike. `None`: zeros
      for cells, the constant input for maps.
    - `num_steps`: T, needed only without `inputs`.
    - `save_states`: return all states, or only the last.
    - `args`: passed to a map at each step.

    **Returns:** states `s_1 ... s_T`, shape `(T, S)` or `(B, T, S)`; without `save_states` the last one, `(S,)` or
    `(B, S)`.

    **Raises:** `ValueError` for a rank or combination that is none of these.

    **Source:** Cho et al. (2014), eq. 7.
    """
    if inputs is None and num_steps is None:
        raise ValueError("rollout: give `inputs` or `num_steps`")
    if inputs is not None and num_steps is not None:
        raise ValueError("rollout: `inputs` fix the number of steps; leave out `num_steps`")
    if inputs is not None and not isinstance(system, AbstractCell | CellMap):
        raise ValueError("rollout: only cells take `inputs`; this map gets its parameters from `args`")
    if state.ndim not in (1, 2) or (inputs is not None and inputs.ndim not in (2, state.ndim + 1)):
        found = f"state {state.shape}" + ("" if inputs is None else f", inputs {inputs.shape}")
        raise ValueError(f"rollout: expected state (S,) or (B, S) and inputs (T, I) or (B, T, I), got {found}")
    cell = system.cell if isinstance(system, CellMap) else system

    def run(state: Array, inputs: Array | None) -> Array:
        def step(state: Array, x: Array | None) -> tuple[Array, Array | None]:
            if isinstance(cell, AbstractCell) and (inputs is not None or isinstance(system, AbstractCell)):
                new = cell(state, x)
            else:
                new = system(state, args)
            return new, new if save_states else None

        last, states = jax.lax.scan(step, state, inputs, length=num_steps)
        return states if states is not None else last

    if state.ndim == 1:
        return run(state, inputs)
    batched = inputs is not None and inputs.ndim == 3
    return jax.vmap(run, in_axes=(0, 0 if batched else None))(state, inputs)
