"""The atlas as a table: Markdown, CSV and JSON, measured beside printed."""

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..bifurcations import Topology
from ..fixed_points import Kind
from ._jordan_cases import PARAMETERS, Case
from ._jordan_measure import Measured
from ._jordan_words import flips_in_words, place

COLUMNS = ("case", "printed", "at the printed parameters", "verdict", "exact at distance", "in words")
_KINDS = ("saddle_sink", "saddle_source", "codim2")


def record(case: Case) -> dict[str, Any]:
    """Everything about one case, for `result.json`."""
    one, realised = case.measured, case.realised
    return {
        "case": case.name,
        "row": case.row,
        "parameters": case.parameters,
        "printed": None if case.printed is None else _counts(case.printed),
        "measured": {
            "count": [one.lower, one.upper],
            "sinks": one.sinks,
            "sources": one.sources,
            "saddles": one.saddles,
            "kinds_proven": one.kinds_proven,
            "index_sum_of_proven_points": one.index_sum,
            "index_sum": one.degree_sum,
            "boxes": one.boxes,
            "points": [
                {"state": state.tolist(), "kind": _kind(kind)}
                for state, kind in zip(one.states, one.kinds.tolist(), strict=True)
            ],
            "degenerate": [
                {
                    "kind": point.kind,
                    "state": point.state.tolist(),
                    "width": point.width,
                    "degree": point.degree,
                    "rank": point.rank,
                    "residual": point.residual,
                }
                for point in one.degenerate
            ],
            "map_differs": [
                {"state": state.tolist(), "flow": flow, "map": discrete, "largest_multiplier": size}
                for state, flow, discrete, size in one.flips
            ],
        },
        "verdict": verdict(case),
        "words": words(case),
        "pairs": [
            {"node": pair.node.tolist(), "saddle": pair.saddle.tolist(), "distance": pair.distance}
            for pair in case.verdict.pairs
        ],
        "vanished": [{"state": g.state.tolist(), "residual": g.residual} for g in case.verdict.vanished],
        "realised": None if realised is None else _realised(case),
    }


def _realised(case: Case) -> dict[str, Any]:
    realised = case.realised
    assert realised is not None
    exact = realised.verified
    points = realised.degenerate
    return {
        "verified": exact,
        "reason": realised.reason or None,
        "target": _counts(realised.target),
        "topology": _counts(realised.topology),
        "distance": float(realised.distance) if exact else None,
        "is_minimum": realised.is_minimum if exact else None,
        "largest_change": float(realised.largest_change) if exact else None,
        "residual": float(realised.residual) if exact else None,
        "determinant": float(realised.determinant) if exact else None,
        "parameters": dict(zip(PARAMETERS, np.asarray(realised.mu).tolist(), strict=True)),
        "degenerate": [
            {
                "kind": kind,
                "state": state.tolist(),
                "degree": int(points.degree[row]),
                "quadratic": None if math.isnan(float(points.quadratic[row])) else float(points.quadratic[row]),
            }
            for (kind, state), row in zip(case.marks, np.flatnonzero(np.asarray(points.mask)), strict=False)
        ],
    }


def verdict(case: Case) -> str:
    """In two words: as printed, rounded (a collision is not exact), misprint, or no counts printed."""
    if case.printed is None:
        return "nothing printed"
    if case.verdict.agrees:
        return "as printed"
    return "misprint" if case.verdict.misprint else "rounded"


def words(case: Case) -> list[str]:
    """All there is to say about a case."""
    return [*case.verdict.words, *flips_in_words(case.measured), *changes(case)]


def changes(case: Case) -> list[str]:
    """How the realisation differs from what is printed."""
    realised = case.realised
    if realised is None:
        return []
    if not realised.verified:
        return [f"Not realised exactly: {realised.reason}."]
    distance = float(realised.distance)
    if not distance:
        return []
    here = np.asarray(list(case.parameters.values()))
    moved = np.asarray(realised.mu) - here
    largest = np.argsort(-np.abs(moved))[:3]
    most = ", ".join(f"{PARAMETERS[i]} {moved[i]:+.2e}" for i in largest)
    kind = "the nearest" if realised.is_minimum else "near"
    return [f"Exact at {kind} parameters a distance {distance:.3g} away (largest changes: {most})."]


def row(case: Case) -> tuple[str, ...]:
    """One row of the table for people."""
    realised = case.realised
    exact = "" if realised is None else "not found" if not realised.verified else f"{float(realised.distance):.2g}"
    return (
        case.short,
        printed_text(case.printed),
        measured_text(case.measured),
        verdict(case),
        exact,
        " ".join(words(case)),
    )


def printed_text(counts: Topology | None) -> str:
    """`5 = 0/1/0 + 4 ss`: fixed points = sinks/sources/saddles and collisions."""
    if counts is None:
        return ""
    parts = [f"{counts.sinks}/{counts.sources}/{counts.saddles}"]
    shorts = zip((counts.saddle_sink, counts.saddle_source, counts.codim2), ("ss", "su", "c2"), strict=True)
    parts += [f"{number} {short}" for number, short in shorts if number]
    return f"{counts.fixed_points} = {' + '.join(parts)}"


def measured_text(measured: Measured) -> str:
    """The same for what was proven; `?` where the number of points is open."""
    parts = [f"{measured.sinks}/{measured.sources}/{measured.saddles}"]
    parts += [
        f"{measured.number(kind)} {short}"
        for kind, short in zip((*_KINDS, "regular"), ("ss", "su", "c2", "open"), strict=True)
        if measured.number(kind)
    ]
    number = str(measured.lower) if measured.lower == measured.upper else f">= {measured.lower}"
    return f"{number} = {' + '.join(parts)}"


def markdown(cases: Sequence[Case], lines: Sequence[str]) -> str:
    """The table with what one has to know to read it."""
    head = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row(case)) + " |" for case in cases]
    title = "# Topologies of two gated recurrent units: measured beside printed"
    return "\n".join([title, "", *lines, "", LEGEND, "", *head, *body]) + "\n"


LEGEND = (
    "Counts read: fixed points = sinks/sources/saddles + ss saddle-sink, su saddle-source collisions, c2 points of "
    "codimension 2. Numbers at the printed parameters are proven; >= n: a degenerate point keeps the count open, as no "
    "interval method can tell one degenerate point from several within 1e-6. 'Exact at distance': 2-norm of the change "
    "of the twelve parameters after which the printed counts hold exactly (residual and |det J| below 1e-12 at each "
    "degenerate point, all other points proven)."
)


def csv_text(cases: Sequence[Case]) -> str:
    """One flat row for each case."""
    out = io.StringIO()
    kinds = ("fixed_points", "sinks", "sources", "saddles", *_KINDS)
    names = [
        "case",
        "row",
        *(f"printed_{kind}" for kind in kinds),
        "lower",
        "upper",
        *(f"measured_{k}" for k in kinds[1:]),
    ]
    names += ["kinds_proven", "index_sum", "verdict", "realised", "distance", "is_minimum", "residual", "determinant"]
    names += [*PARAMETERS, *(f"realised_{name}" for name in PARAMETERS), "words"]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for case in cases:
        one, realised = case.measured, case.realised
        entry: dict[str, Any] = {"case": case.name, "row": case.row, "lower": one.lower, "upper": one.upper}
        if case.printed is not None:
            entry |= {f"printed_{kind}": getattr(case.printed, kind) for kind in kinds}
        entry |= {"measured_sinks": one.sinks, "measured_sources": one.sources, "measured_saddles": one.saddles}
        entry |= {f"measured_{kind}": one.number(kind) for kind in _KINDS}
        entry |= {"kinds_proven": one.kinds_proven, "index_sum": one.degree_sum, "verdict": verdict(case)}
        if realised is not None:
            entry["realised"] = realised.verified
            if realised.verified:
                entry |= {name: float(getattr(realised, name)) for name in ("distance", "residual", "determinant")}
                entry["is_minimum"] = realised.is_minimum
                mu = np.asarray(realised.mu).tolist()
                entry |= {f"realised_{name}": value for name, value in zip(PARAMETERS, mu, strict=True)}
        writer.writerow(entry | case.parameters | {"words": " ".join(words(case))})
    return out.getvalue()


def points_text(case: Case) -> str:
    """Every proven point of a case."""
    one = case.measured
    return "; ".join(
        f"{_kind(kind)} {place(state)}" for state, kind in zip(one.states, one.kinds.tolist(), strict=True)
    )


def _kind(code: int) -> str:
    return Kind(code).name.lower()


def _counts(counts: Topology) -> dict[str, int]:
    return {"fixed_points": counts.fixed_points, **counts._asdict()}
