"""The 47 cases of the paper: what is printed, what holds at the printed parameters, and where it holds exactly."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..bifurcations import Realisation, Topology, jordan_family, paper_rows, realise_topology, repaired_rows
from ..systems import library
from ._jordan_figures import PANEL_ROWS
from ._jordan_measure import Measured, measure
from ._jordan_words import Verdict, compare

PARAMETERS = ("Uh11", "Uh12", "Uh21", "Uh22", "Ur11", "Ur12", "Ur21", "Ur22", "bh1", "bh2", "br1", "br2")

# Figures that show a single point by their captions; 4a and 4b come without counts.
_CAPTIONS = {
    "fig:5a": Topology(1, 0, 0),
    "fig:5b": Topology(0, 1, 0),
    "fig:5c": Topology(0, 1, 0),
    "fig:6a": Topology(1, 0, 0),
    "fig:7a": Topology(1, 0, 0),
}

# The printed U_h = 1 lets nothing but the origin exist; rows xxxii and xxxvi, alike but for b_r, have U_h = 2.
_ELSEWHERE = {"xxxiv": ("xxxii", "xxxvi")}


@dataclasses.dataclass(frozen=True)
class Case:
    """One case. `row` of table 2 or `None`; `printed`, its counts; `realised` is `None` where it was not
    asked for; `marks`, its degenerate points."""

    name: str
    row: str | None
    printed: Topology | None
    measured: Measured
    verdict: Verdict
    realised: Realisation | None
    marks: tuple[tuple[str, np.ndarray], ...] = ()

    @property
    def title(self) -> str:
        kind, name = self.name.split(":")
        return f"Case {name}" if kind == "table3" else f"Figure {name}"

    @property
    def short(self) -> str:
        kind, name = self.name.split(":")
        return name if kind == "table3" else f"fig. {name}"

    @property
    def anchor(self) -> str:
        return self.name.replace(":", "-")

    @property
    def parameters(self) -> dict[str, float]:
        return dict(zip(PARAMETERS, np.asarray(jordan_family(self.name).mu).tolist(), strict=True))

    def at(self, parameters: np.ndarray) -> Any:
        """The flow of this case at other parameters."""
        return jordan_family(self.name)(jnp.asarray(parameters))


def row_of_case(name: str) -> str | None:
    """The row of table 2 that a case should show."""
    kind, short = name.split(":")
    return short if kind == "table3" else PANEL_ROWS.get(name)


def cases(names: Sequence[str], say: Callable[[str], None], *, realise: bool = True) -> list[Case]:
    """Everything about the given cases; the figures' parameters are not realised again where table 3 has them."""
    say(f"enumerating {len(names)} systems in one call")
    measured = measure([library.jordan(name) for name in names])
    found = []
    for name, one in zip(names, measured, strict=True):
        row = row_of_case(name)
        printed = paper_rows()[row] if row is not None else _CAPTIONS.get(name)
        wanted = realise and name.startswith("table3:")
        if wanted:
            say(f"case {row}: looking for the nearest parameters at which it is exact")
        realised = _realise(name, row) if wanted and row is not None else None
        exact = marks_of(realised)
        found.append(Case(name, row, printed, one, compare(row, printed, one, exact), realised, exact))
    return found


def marks_of(realised: Realisation | None) -> tuple[tuple[str, np.ndarray], ...]:
    """Degenerate points of a realisation: kind and state."""
    if realised is None or not realised.verified:
        return ()
    points = realised.degenerate
    marks = []
    for row in np.flatnonzero(np.asarray(points.mask)):
        fold = "saddle_source" if int(points.unstable[row]) else "saddle_sink"
        marks.append(("codim2" if int(points.order[row]) == 1 else fold, np.asarray(points.state[row])))
    return tuple(marks)


def _realise(name: str, row: str) -> Realisation:
    starts = [jordan_family(f"table3:{other}").mu for other in _ELSEWHERE.get(row, ())]
    return realise_topology(jordan_family(name), repaired_rows()[row], starts=starts, throw=False)
