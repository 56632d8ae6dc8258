"""The NumPy GRU of LFADS and of the computation-through-dynamics tutorials."""

import numpy as np
from jax.typing import DTypeLike

from ..cells import AbstractCell
from ._gates import Stacked, cell_from_stacked
from ._tree import Group, Weights, assemble, find


def from_lfads(
    weights: Weights,
    *,
    bias: float = 0.5,
    layer: int | None = None,
    prefix: str | None = None,
    dtype: DTypeLike | None = None,
) -> AbstractCell:
    """The cell of a GRU in the layout of LFADS in JAX.

    The form is `reset="before"`; one matrix acts on `[h, x]` for the gates r, z and one on `[r h, x]` for the
    candidate.

    **Arguments:**

    - `weights`: `wRUHX (2H, H + I)`, `bRU (2H,)`, `wCHX (H, H + I)`, `bC (H,)`; other entries are ignored.
    - `bias`: the constant `bfg` of that code. Although documented as a bias of the forget gate, it is added to the
      candidate, and so it is here.
    - `layer`, `prefix`, `dtype`: as in `from_torch`.

    **Returns:** a `GRUCell`, or a `StackedCell` for a list.

    **Raises:** `WeightError` for missing, misshapen or non-finite entries.

    **Source:** google-research/computation-thru-dynamics, `fixed_point_finder/rnn.py` and `lfads_tutorial/lfads.py`,
    `gru`.
    """

    def read(group: Group) -> list[AbstractCell]:
        size = group.hidden_size("wCHX", 0)
        candidate = group.take("wCHX", (size, None))
        if candidate.shape[1] < size:
            raise group.error(f"'wCHX' must have shape (H, H + I), found {candidate.shape}; check how it was saved")
        joined = np.concatenate([group.take("wRUHX", (2 * size, candidate.shape[1])), candidate])
        b_candidate = group.take("bC", (size,))
        b = np.concatenate([group.take("bRU", (2 * size,)), b_candidate + np.asarray(bias, b_candidate.dtype)])
        stacked = Stacked(joined[:, size:], joined[:, :size], b)
        return [cell_from_stacked(group.where, "gru", "rzc", stacked, reset="before", dtype=dtype)]

    return assemble(find("from_lfads", weights, ["wCHX"], "wCHX", prefix), read, layer)
