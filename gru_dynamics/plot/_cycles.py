"""Branches of cycles over one parameter."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from ..cycles import CycleBranch
from ._bifurcation import as_list, unbatched
from ._special import draw_marks, draw_stability, join, marks_of
from ._style import INK, axes_or_new, legend_below


def cycle_periods(
    cycles: CycleBranch | Sequence[CycleBranch],
    *,
    log: bool = False,
    labels: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Period of limit cycles over their parameter: stable parts thick, unstable parts thin, special points marked.

    **Arguments:**

    - `cycles`: a `CycleBranch` of N rows, with periods `(N,)`, a batch of them from `jax.vmap`, or a list of these.
    - `log`: a logarithmic axis for the period, for branches that end at a homoclinic orbit or a saddle-node on the
      cycle, where it grows without bound.
    - `labels`: write the abbreviation of its kind beside each special point.
    - `ax`: where to draw. By default a new figure, `ax.figure`, that pyplot does not keep.

    **Returns:** the axes.

    **Raises:** `ValueError` when there is nothing to draw.

    **Source:** Kuznetsov (2004), sections 6.2 and 7.1, for how the period grows.
    """
    singles = [single for item in as_list(cycles) for single in unbatched(item, "cycle_periods")]
    if not singles or not all(isinstance(single, CycleBranch) for single in singles):
        raise ValueError("cycle_periods: expected a CycleBranch or a list of them, from continue_cycles")
    marks, lines = [], []
    for branch in singles:
        special = branch.special_points
        mark = marks_of(special, np.stack([special.mu, branch.special_period], axis=1))
        marks.append(mark)
        lines.append(join(np.stack([branch.mu, branch.period], axis=1), branch.stable, branch.mask, mark))
    ax = axes_or_new(ax, (6.4, 4.4))
    if log:
        ax.set_yscale("log")
    draw_stability(ax, lines, INK)
    ax.autoscale_view()
    draw_marks(ax, marks, lines, labels)
    ax.set(xlabel=r"$\mu$", ylabel="period")
    legend_below(ax, 3, -0.16)
    return ax
