"""Attractors in words."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._attractors import AttractorKind


def attractor_rows(found: Any, heading: str, cells: Sequence[str]) -> list[str]:
    """A line for the head and one for each attractor of `found`: kind, period, the given cell, state."""
    lines = [f"{'#':>4}  {'kind':<8} {'period':>10}  {heading}  state"]
    for cell, row in zip(cells, np.flatnonzero(np.asarray(found.mask)), strict=True):
        kind = AttractorKind(int(found.kind[row]))
        period = f"{float(found.period[row]):.6g}" if kind is AttractorKind.CYCLE else ""
        lines.append(f"{int(row):>4}  {kind.name.lower():<8} {period:>10}  {cell}  {state_text(found.state[row])}")
    return lines


def state_text(state: Any) -> str:
    """The first components of a state."""
    values = np.asarray(state)
    return " ".join(f"{x:+.4f}" for x in values[:6]) + (" ..." if values.size > 6 else "")
