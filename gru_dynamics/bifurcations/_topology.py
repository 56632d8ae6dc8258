"""What a phase portrait is made of, as counts, and the paper's table of them with the check that it can be true."""

import csv
import functools
import itertools
from importlib import resources
from typing import NamedTuple


class Topology(NamedTuple):
    """Counts of the fixed points of one system by kind: a row of the table of topologies.

    **Fields**, plain integers, shape `()`:

    - `sinks`, `sources`, `saddles`: simple fixed points.
    - `saddle_sink`, `saddle_source`: degenerate points with a Jacobian of corank one whose other eigenvalues are all
      stable, or all unstable: where a saddle has met a sink, or a source.
    - `codim2`: fixed points at which the whole Jacobian of the residual vanishes.
    - `other`: fixed points that are none of these, or of which it could not be decided.
    - `degree`: sum of the degrees of the degenerate points. A fold has degree 0; a degenerate point of third order (a
      pitchfork or a cusp) has degree +1 or -1.
    - `dimension`: of the state space; a source has index `(-1)^dimension`.

    **Source:** Jordan, Sokół, Park (2019), table 2.
    """

    sinks: int
    sources: int
    saddles: int
    saddle_sink: int = 0
    saddle_source: int = 0
    codim2: int = 0
    other: int = 0
    degree: int = 0
    dimension: int = 2

    @property
    def fixed_points(self) -> int:
        """Number of fixed points of all kinds."""
        return self.sinks + self.sources + self.saddles + self.degenerate + self.other

    @property
    def degenerate(self) -> int:
        """Number of degenerate points."""
        return self.saddle_sink + self.saddle_source + self.codim2

    @property
    def index_sum(self) -> int:
        """Sum of the indices, +1 in any trapping box. Beyond two dimensions saddles are counted as in the plane."""
        return self.sinks + (-1) ** self.dimension * self.sources - self.saddles + self.degree

    @property
    def row(self) -> str | None:
        """Name of the row of the paper's table 2, repaired where it must be, with these counts; `None` if none has."""
        return next((name for name, row in repaired_rows().items() if row == self), None)

    def __str__(self) -> str:
        names = ("sink", "source", "saddle", "saddle-sink fold", "saddle-source fold", "codimension-2 point", "other")
        parts = [
            f"{n} {name}{'s' if n != 1 and name != 'other' else ''}" for n, name in zip(self, names, strict=False) if n
        ]
        text = ", ".join(parts) or "no fixed points"
        return text if not self.degree else f"{text} (degree of the degenerate points {self.degree:+d})"


_COLUMNS = (
    "sinks",
    "sources",
    "saddles",
    "saddle_sink_collisions",
    "saddle_source_collisions",
    "codim2_points",
)


class Repair(NamedTuple):
    """A way to make an impossible row of the table possible.

    **Fields:** `text`, what to change; `topology`, the counts after the change, shape `()`.

    **Source:** the index sum over a trapping box is +1: Lefschetz (1926).
    """

    text: str
    topology: Topology


@functools.cache
def _printed() -> dict[str, tuple[int, Topology]]:
    text = resources.files("gru_dynamics.data").joinpath("jordan_topologies.csv").read_text()
    return {
        row["case"]: (int(row["fixed_points"]), Topology(*(int(row[name]) for name in _COLUMNS)))
        for row in csv.DictReader(text.splitlines())
    }


def paper_rows() -> dict[str, Topology]:
    """The 36 rows of the paper's table 2 as printed, one of which names each observed topology.

    **Returns:** dictionary from `"i"` ... `"xxxvi"` to a `Topology` `()`; the printed degenerate points are taken as
    folds, of degree 0.

    **Source:** Jordan, Sokół, Park (2019), table 2.
    """
    return {name: topology for name, (_, topology) in _printed().items()}


@functools.cache
def _impossible() -> dict[str, tuple[Repair, ...]]:
    return {name: _repairs(row) for name, row in paper_rows().items() if row.index_sum != 1}


def impossible_rows() -> dict[str, tuple[Repair, ...]]:
    """The rows of the printed table that no system with a trapping box can have, and what would repair each.

        sinks + sources - saddles + degree of the degenerate points = 1

    Tried are: two columns swapped; one of the degenerate points of odd degree, as a pitchfork has, instead of a fold.

    **Returns:** dictionary from the name of the row to its repairs, each a `Repair` `()`, the simplest first.

    **Source:** Jordan, Sokół, Park (2019), table 2; Lefschetz (1926).
    """
    return dict(_impossible())


def repaired_rows() -> dict[str, Topology]:
    """The rows of the paper's table 2, with the first repair for those that are impossible as printed.

    **Returns:** dictionary from `"i"` ... `"xxxvi"` to a `Topology` `()`.

    **Source:** Jordan, Sokół, Park (2019), table 2; Lefschetz (1926).
    """
    repairs = _impossible()
    return {name: repairs[name][0].topology if repairs.get(name) else row for name, row in paper_rows().items()}


def _repairs(row: Topology) -> tuple[Repair, ...]:
    found = []
    for i, j in itertools.combinations(range(len(_COLUMNS)), 2):
        counts = list(row[: len(_COLUMNS)])
        counts[i], counts[j] = counts[j], counts[i]
        swapped = Topology(*counts)
        if swapped.index_sum == 1 and swapped != row:
            found.append(Repair(f"swap the columns {Topology._fields[i]} and {Topology._fields[j]}", swapped))
    missing = 1 - row.index_sum
    if row.saddle_sink + row.saddle_source and abs(missing) == 1:
        odd = row._replace(degree=missing)
        found.append(Repair(f"one collision point is a pitchfork of degree {missing:+d}, not a fold", odd))
    return tuple(found)
