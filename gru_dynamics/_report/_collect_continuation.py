"""From branches of fixed points to plain facts."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._results import RESULTS
from ..continuation import Branch, End, Location, SpecialKind
from ._continuation import CLOSED, RANGE, Continuation, Course, Special

# What a negative and a positive coefficient of the normal form mean.
_SIGNS = {
    SpecialKind.HOPF: ("supercritical: a stable cycle appears", "subcritical: an unstable cycle appears"),
    SpecialKind.NEIMARK_SACKER: (
        "supercritical: a stable closed curve appears",
        "subcritical: an unstable closed curve appears",
    ),
    SpecialKind.PERIOD_DOUBLING: (
        "subcritical: an unstable 2-cycle appears",
        "supercritical: a stable 2-cycle appears",
    ),
}
_PAIRS = (SpecialKind.HOPF, SpecialKind.NEIMARK_SACKER)
_MEANINGS = {
    SpecialKind.FOLD: "two fixed points meet and vanish",
    SpecialKind.BRANCH_POINT: "branches cross",
    SpecialKind.TRANSCRITICAL: "two branches cross and exchange stability",
    SpecialKind.PITCHFORK: "a symmetric pair of branches leaves",
}
_ENDS = {
    End.RANGE: RANGE,
    End.STEPS: "the steps were used up: raise --steps",
    End.CLOSED: CLOSED,
    End.STUCK: "no step could be corrected: the system may not be smooth there",
    End.NONFINITE: "the system gives inf or nan beyond: narrow --range",
    End.RUNNING: "not finished",
}


def collect_continuation(
    title: str,
    system: dict[str, Any],
    parameter: str,
    mu_range: tuple[float, float],
    searched: Sequence[tuple[float, int]],
    branches: Sequence[Branch],
    *,
    warnings: Sequence[str] = (),
    provenance: dict[str, Any] | None = None,
) -> Continuation:
    """The facts of some branches.

    **Arguments:** as the fields of `Continuation`; `branches`, each a single `Branch` with states `(N, S)`.

    **Returns:** a `Continuation`; a special point that several branches go through appears once.

    **Source:** none; bookkeeping.
    """
    return Continuation(
        title=title,
        system=system,
        parameter=parameter,
        mu_range=mu_range,
        searched=tuple(searched),
        courses=tuple(_course(branch, mu_range) for branch in branches),
        special=tuple(_special(branches)),
        warnings=tuple(warnings),
        provenance=provenance or {},
    )


def _course(branch: Branch, mu_range: tuple[float, float]) -> Course:
    rows = np.flatnonzero(np.asarray(branch.mask))
    mu = np.asarray(branch.mu)[rows]
    for limit in mu_range:
        # The last row is at the end of the range up to rounding; 1e-18 says less than 0.
        mu = np.where(np.abs(mu - limit) <= 1e-12 * (mu_range[1] - mu_range[0]), limit, mu)
    ends = [End(int(code)) for code in np.asarray(branch.end)]
    remark = ""
    if bool(branch.result != RESULTS.successful) and End.STEPS not in ends and End.STUCK not in ends:
        remark = " ".join(str(RESULTS[branch.result]).split())
    return Course(
        ends=(float(mu[0]), float(mu[-1])),
        reasons=(_ENDS[ends[0]], _ENDS[ends[1]]),
        reach=(float(mu.min()), float(mu.max())),
        rows=int(rows.size),
        stable=int(np.asarray(branch.stable)[rows].sum()),
        remark=remark,
    )


def _special(branches: Sequence[Branch]) -> list[Special]:
    found: list[Special] = []
    for number, branch in enumerate(branches, 1):
        points = branch.special_points
        for row in np.flatnonzero(np.asarray(points.mask)):
            kind = SpecialKind(int(points.kind[row]))
            located = int(points.location[row]) == Location.CONVERGED
            omega, coefficient = float(points.omega[row]), float(points.coefficient[row])
            bracket = (float(points.bracket[row, 0]), float(points.bracket[row, 1]))
            new = Special(
                kind=kind.name.replace("_", " ").lower().replace("neimark sacker", "Neimark-Sacker"),
                parameter=float(points.mu[row]),
                state=np.asarray(points.state[row]),
                located=located,
                bracket=(min(bracket), max(bracket)),
                omega=omega or None,
                coefficient=coefficient if math.isfinite(coefficient) else None,
                meaning=_meaning(kind, coefficient, int(points.multiplicity[row])),
                advice="" if located else _advice(int(points.multiplicity[row]), bracket),
                branches=(number,),
            )
            same = [i for i, old in enumerate(found) if _alike(old, new)]
            if same:
                old = found[same[0]]
                found[same[0]] = dataclasses.replace(old, branches=tuple(sorted({*old.branches, number})))
            else:
                found.append(new)
    return sorted(found, key=lambda point: point.parameter)


def _alike(one: Special, two: Special) -> bool:
    near = abs(one.parameter - two.parameter) <= 1e-6 * (1 + abs(one.parameter))
    return (
        one.kind == two.kind
        and one.located
        and two.located
        and near
        and float(np.linalg.norm(one.state - two.state)) <= 1e-4 * (1 + float(np.linalg.norm(one.state)))
    )


def _meaning(kind: SpecialKind, coefficient: float, multiplicity: int) -> str:
    if multiplicity > 1:
        return f"{multiplicity} {'pairs of ' * (kind in _PAIRS)}eigenvalues cross at once"
    if kind in _SIGNS:
        return "" if not math.isfinite(coefficient) else _SIGNS[kind][int(coefficient > 0)]
    return _MEANINGS.get(kind, "")


def _advice(multiplicity: int, bracket: tuple[float, float]) -> str:
    low, high = min(bracket), max(bracket)
    pad = max(10 * (high - low), 1e-3 * (1 + abs(low)))
    text = f"it lies between {low:.8g} and {high:.8g}, and is not known better. "
    if multiplicity > 1:
        text += f"There {multiplicity} eigenvalues cross at once, so no normal form applies: look for a symmetry. "
    return text + f"To see it closer run again with --range {low - pad:.6g} {high + pad:.6g}."
