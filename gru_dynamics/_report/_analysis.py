"""The facts of one analysis on the host, free of JAX: what `result.json` and the report are written from."""

import dataclasses
import math
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Point:
    """One fixed point.

    **Fields:** `state (S,)`; `kind`, one of sink, saddle, source, degenerate; `label`, the same with node or focus in
    two dimensions; `unstable_dim`; `eigenvalues (S,)`, leading one first; `residual`; `index`; `hits`;
    `radius` within which the point is proven to exist and to be alone, or `None`;
    `readout (O,)` or `None`; `leads_to`, numbers of the sinks that a nudge either way along the one unstable direction
    leads to.

    **Source:** rows of `FixedPoints`.
    """

    state: np.ndarray
    kind: str
    label: str
    unstable_dim: int
    eigenvalues: np.ndarray
    residual: float
    index: int
    hits: int
    readout: np.ndarray | None = None
    leads_to: tuple[int, ...] = ()
    radius: float | None = None

    def time_constant(self, is_map: bool) -> float:
        """Steps or time in which the leading mode changes by a factor e; negative when it grows."""
        leading = complex(self.eigenvalues[0])
        rate = math.log(max(abs(leading), 1e-300)) if is_map else leading.real
        return -1 / rate if rate else math.inf

    def period(self, is_map: bool) -> float | None:
        """Period of the leading mode in steps or time, `None` when it does not oscillate."""
        leading = complex(self.eigenvalues[0])
        turn = abs(np.angle(leading)) if is_map else abs(leading.imag)
        return 2 * math.pi / turn if leading.imag else None


@dataclasses.dataclass(frozen=True)
class Analysis:
    """Everything known about one system.

    **Fields:** `title`; `system`, facts for `result.json` with at least `kind` ("map" or "flow"), `cell`,
    `hidden_size`, `input`; `points`; `index_sum`; `complete`, one of certified, consistent, incomplete, unknown;
    `search`, how many guesses were used; `proof`, boxes and proven count of an enumeration, empty without one;
    `warnings`; `provenance`.

    **Source:** schema of `result.json` in the architecture.
    """

    title: str
    system: dict[str, Any]
    points: tuple[Point, ...]
    index_sum: int
    complete: str
    search: dict[str, int]
    proof: dict[str, Any]
    warnings: tuple[str, ...]
    provenance: dict[str, Any]

    @property
    def is_map(self) -> bool:
        """Whether the system is a map; its unit of time is then one step."""
        return self.system["kind"] == "map"

    @property
    def unit(self) -> str:
        """Unit of time."""
        return "steps" if self.is_map else "units of time"

    def of_kind(self, kind: str) -> list[Point]:
        """The points of a kind."""
        return [point for point in self.points if point.kind == kind]

    def as_dict(self) -> dict[str, Any]:
        """The content of `result.json`, for `json.dumps`."""
        return {
            "system": self.system,
            "fixed_points": [self._point(point) for point in self.points],
            "index_sum": self.index_sum,
            "complete": self.complete,
            "warnings": list(self.warnings),
            "search": self.search,
            "proof": self.proof,
            "provenance": self.provenance,
        }

    def _point(self, point: Point) -> dict[str, Any]:
        time_constant, period = point.time_constant(self.is_map), point.period(self.is_map)
        entry: dict[str, Any] = {
            "state": [float(value) for value in point.state],
            "kind": point.kind,
            "unstable_dim": point.unstable_dim,
            "eigenvalues": [[float(value.real), float(value.imag)] for value in point.eigenvalues],
            "residual": point.residual,
            "index": point.index,
            "hits": point.hits,
            "proven": point.radius is not None,
            "radius": point.radius,
            "time_constant": time_constant if math.isfinite(time_constant) else None,
            "period": period,
        }
        if point.readout is not None:
            entry["readout"] = [float(value) for value in point.readout]
        if point.leads_to:
            entry["leads_to"] = list(point.leads_to)
        return entry
