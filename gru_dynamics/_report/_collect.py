"""From the arrays of a search to plain facts."""

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import jax
import numpy as np

from .._results import RESULTS
from .._types import Array
from ..fixed_points import Completeness, FixedPoints, Kind
from ._analysis import Analysis, Point


def collect(
    title: str,
    system: dict[str, Any],
    points: FixedPoints,
    *,
    readout: Array | np.ndarray | None = None,
    leads_to: Mapping[int, tuple[int, ...]] | None = None,
    proof: Mapping[str, Any] | None = None,
    warnings: tuple[str, ...] = (),
    provenance: dict[str, Any] | None = None,
) -> Analysis:
    """The facts of one search.

    **Arguments:** `title`; `system`, see `Analysis`; `points` of one system; `readout (K, O)`, one row for each row of
    `points`; `leads_to`, by number of the point in the list; `proof`, what an enumeration says; `warnings` and
    `provenance` to pass on.

    **Returns:** an `Analysis`, with a warning for each sign of trouble in `points`.

    **Source:** none; bookkeeping.
    """
    rows = np.flatnonzero(np.asarray(points.mask))
    arrays = {
        name: np.asarray(getattr(points, name))[rows]
        for name in ("state", "kind", "unstable_dim", "eigenvalues", "residual", "index", "hits", "radius")
    }
    outputs = None if readout is None else np.asarray(readout)[rows]
    found = tuple(
        Point(
            state=arrays["state"][number],
            kind=Kind(int(arrays["kind"][number])).name.lower(),
            label=points.describe(int(row)),
            unstable_dim=int(arrays["unstable_dim"][number]),
            eigenvalues=arrays["eigenvalues"][number],
            residual=float(arrays["residual"][number]),
            index=int(arrays["index"][number]),
            hits=int(arrays["hits"][number]),
            radius=float(arrays["radius"][number]) if points.proven[row] else None,
            readout=None if outputs is None else outputs[number],
            leads_to=tuple((leads_to or {}).get(number, ())),
        )
        for number, row in enumerate(rows)
    )
    return Analysis(
        title=title,
        system=system,
        points=found,
        index_sum=int(points.index_sum),
        complete=Completeness(int(points.complete)).name.lower(),
        search={
            "num_guesses": int(points.num_guesses),
            "num_converged": int(points.num_converged),
            "num_reseeds": int(points.num_reseeds),
        },
        proof=dict(proof or {}),
        warnings=(*warnings, *_troubles(points)),
        provenance=provenance or {},
    )


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on; strings, no arrays of any shape.

    **Returns:** a dict by name of the package.

    **Source:** `importlib.metadata`.
    """
    return {
        "gru_dynamics": metadata.version("gru_dynamics"),
        "jax": metadata.version("jax"),
        "numpy": metadata.version("numpy"),
        "python": platform.python_version(),
        "backend": jax.default_backend(),
    }


def _troubles(points: FixedPoints) -> list[str]:
    troubles = []
    if bool(points.result == RESULTS.max_points_reached):
        troubles.append("more fixed points were found than the list may hold: raise --max-points")
    elif bool(points.result != RESULTS.successful):
        troubles.append(" ".join(str(RESULTS[points.result]).split()))
    degenerate = int((np.asarray(points.kind) == Kind.DEGENERATE).sum())
    if degenerate:
        troubles.append(
            f"{degenerate} degenerate point{'s' * (degenerate > 1)}: an eigenvalue lies on the boundary of stability, "
            "so a small change of the weights can change the list"
        )
    if int(points.complete) == Completeness.INCOMPLETE:
        troubles.append(
            f"the indices sum to {int(points.index_sum):+d} and should sum to +1 without degenerate points: "
            "points may be missing, raise --seeds or give visited states"
        )
    return troubles
