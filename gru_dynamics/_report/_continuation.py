"""What was found along branches of fixed points: facts, sentences, and a table."""

import dataclasses
from typing import Any

import numpy as np

CLOSED, RANGE = "the branch closes on itself", "end of the range"


@dataclasses.dataclass(frozen=True)
class Special:
    """One special point, on all the branches that go through it.

    **Fields:** `kind`, in words; `parameter`; `state (S,)`; `located`; `bracket`, two parameters between which it lies;
    `omega`, frequency or angle, `coefficient` of the normal form, or `None`; `meaning` and `advice`, sentences;
    `branches`, their numbers from 1.

    **Source:** rows of `SpecialPoints`.
    """

    kind: str
    parameter: float
    state: np.ndarray
    located: bool
    bracket: tuple[float, float]
    omega: float | None
    coefficient: float | None
    meaning: str
    advice: str
    branches: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Course:
    """One branch: the parameters `ends` of its two ends and why it ends there, `reasons`; `reach`, the least and
    greatest parameter on it; `rows`; `stable`, how many of these are; `remark`, what went wrong, or nothing. No arrays
    of any shape.

    **Source:** fields of `Branch`.
    """

    ends: tuple[float, float]
    reasons: tuple[str, str]
    reach: tuple[float, float]
    rows: int
    stable: int
    remark: str


@dataclasses.dataclass(frozen=True)
class Continuation:
    """Everything known about the branches of one system.

    **Fields:** `title`; `system`, facts; `parameter`, its name; `mu_range`; `searched`, pairs of a given value and
    how many fixed points were found there, if any was given; `courses`, `special`, `warnings`, `provenance`. States
    have shape `(S,)`.

    **Source:** schema of `result.json` of `gru-dynamics continue`.
    """

    title: str
    system: dict[str, Any]
    parameter: str
    mu_range: tuple[float, float]
    searched: tuple[tuple[float, int], ...]
    courses: tuple[Course, ...]
    special: tuple[Special, ...]
    warnings: tuple[str, ...]
    provenance: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The content of `result.json`, for `json.dumps`."""
        special = [{**dataclasses.asdict(point), "state": point.state.tolist()} for point in self.special]
        return {
            "system": self.system,
            "parameter": {"name": self.parameter, "range": list(self.mu_range)},
            "searched": [{"parameter": value, "fixed_points": count} for value, count in self.searched],
            "branches": [dataclasses.asdict(course) for course in self.courses],
            "special_points": special,
            "warnings": list(self.warnings),
            "provenance": self.provenance,
        }

    def cells(self) -> list[list[str]]:
        """Head and rows of the table of special points."""
        head = ["kind", self.parameter, "frequency", "coefficient", "branches", "what it means"]
        return [head] + [
            [
                point.kind + ("" if point.located else " (bracketed)"),
                f"{point.parameter:.10g}",
                "" if point.omega is None else f"{point.omega:.6g}",
                "" if point.coefficient is None else f"{point.coefficient:+.6g}",
                ", ".join(map(str, point.branches)),
                point.meaning,
            ]
            for point in self.special
        ]

    def table(self) -> str:
        """The special points as text, one line each."""
        if not self.special:
            return "No special points."
        head, *rows = self.cells()
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
        lines = ["  ".join(cell.rjust(width) if i else cell.ljust(width)
                           for i, (cell, width) in enumerate(zip(row[:-1], widths, strict=False))) + "  " + row[-1]
                 for row in (head, *rows)]  # fmt: skip
        return "\n".join(line.rstrip() for line in lines)

    def words(self) -> list[str]:
        """What happened on each branch, and advice, one sentence or two each."""
        lines = []
        for number, course in enumerate(self.courses, 1):
            low, high = course.reach
            share = "stable" if course.stable == course.rows else "unstable" if not course.stable else "stable in parts"
            text = f"Branch {number}: {self.parameter} from {low:.6g} to {high:.6g}, {share}, {course.rows} points. "
            one, two = course.ends
            ends = "; ".join(f"at {end:.6g}, {why}" for end, why in zip(course.ends, course.reasons, strict=True))
            ends = f"It ends twice: {ends}."
            if set(course.reasons) == {RANGE}:
                ends = f"It leaves the range at {one:.6g} and {two:.6g}."
            elif CLOSED in course.reasons:
                ends = "It closes on itself."
            lines.append(text + ends + (f" {course.remark}" if course.remark else ""))
        searched = ", ".join(f"{count} at {value:.6g}" for value, count in self.searched)
        if searched:
            lines.append(f"Fixed points found where they were searched for: {searched}.")
        return lines + [
            f"{point.kind.capitalize()} near {point.parameter:.6g}: {point.advice}"
            for point in self.special
            if point.advice
        ]
