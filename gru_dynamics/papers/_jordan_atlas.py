"""Jordan, Sokół, Park (2019): every table case and figure, measured beside printed, as files in a folder."""

import datetime
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .._report import Card, Chapter, Shot, gallery, versions
from ..systems import library
from ._jordan_captions import CAPTIONS, TITLES, figure_facts, figures_in_words
from ._jordan_cases import Case, cases
from ._jordan_figures import FIGURES
from ._jordan_portraits import of_measured, png, portrait, sheet, svg, webp
from ._jordan_tables import (
    COLUMNS,
    LEGEND,
    csv_text,
    markdown,
    measured_text,
    points_text,
    printed_text,
    record,
    row,
    verdict,
    words,
)
from ._jordan_units import figure_1, theorem_3

Say = Callable[[str], None]

_TITLE = "An atlas of two gated recurrent units"
_LEDE = (
    "The 36 topologies and the figures of Jordan, Sokół and Park (2019), The expressive power of gated recurrent units "
    "as a continuous dynamical system: every fixed point with proof, measured beside printed."
)
_BADGES = {"as printed": True, "nothing printed": True, "rounded": False, "misprint": False}


def jordan_atlas(folder: Path, say: Say) -> tuple[tuple[str, ...], str, dict[str, Any]]:
    """The whole atlas; see `reproduce`."""
    found = cases(library.jordan_cases(), say)
    say("100,000 random units for Theorem 3")
    theorem = theorem_3()
    return write(folder, say, found, theorem, ("1", *FIGURES))


def write(
    folder: Path, say: Say, found: Sequence[Case], theorem: dict[str, Any], which: Sequence[str]
) -> tuple[tuple[str, ...], str, dict[str, Any]]:
    """The files of an atlas of the given cases and figures; figures need all of their own cases."""
    figures = _figures(folder, say, found, theorem, which)
    say("drawing the sheets")
    table = [case for case in found if case.name.startswith("table3:")]
    sheets = _sheets(folder, table)
    say(f"drawing {len(found)} portraits")
    cards = [_card(case) for case in found]
    lines = [*summary(found, theorem), *figures_in_words({number: facts for number, (_, facts) in figures.items()})]
    result = {
        "source": "Jordan, Sokół, Park (2019)",
        "summary": lines,
        "cases": [record(case) for case in found],
        "theorem_3": theorem,
        "figures": {number: facts for number, (_, facts) in figures.items()},
        "versions": versions(),
    }
    (folder / "table.md").write_text(markdown(found, [f"- {line}" for line in lines]), encoding="utf-8")
    (folder / "table.csv").write_text(csv_text(found), encoding="utf-8")
    dumped = json.dumps(result, indent=1, allow_nan=False, ensure_ascii=False)
    (folder / "result.json").write_text(dumped + "\n", encoding="utf-8")
    chapters = _chapters(found, cards, figures, sheets, lines)
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    origin = {"command": "gru-dynamics reproduce jordan-atlas", "versions": versions()}
    page = gallery(_TITLE, _LEDE, _tiles(found, theorem), chapters, origin, written=now)
    (folder / "atlas.html").write_text(page, encoding="utf-8")
    pictures = sorted(file.name for file in folder.iterdir() if file.suffix in (".png", ".svg"))
    files = ("atlas.html", "table.md", "table.csv", "result.json", *pictures)
    return files, "\n".join(lines), result


def summary(found: Sequence[Case], theorem: dict[str, Any]) -> list[str]:
    """What the atlas comes to, in a few lines."""
    table = [case for case in found if case.name.startswith("table3:")]
    kinds = Counter(verdict(case) for case in table)
    exact = [case for case in table if case.realised is not None and case.realised.verified]
    moved = [float(case.realised.distance) for case in exact if case.realised is not None]
    flips = [case.short for case in found if case.measured.flips]
    flat = [case.short for case in found if case.measured.number("codim2")]
    broken = [case.short for case in table if case.printed is not None and case.printed.index_sum != 1]
    lines = [
        f"{len(table)} rows of table 2: {kinds['as printed']} hold at the printed parameters, {kinds['rounded']} have "
        f"collisions that the printed digits do not meet, {kinds['misprint']} are misprints ("
        f"{', '.join(case.short for case in table if verdict(case) == 'misprint') or 'none'}).",
        f"Rows whose printed indices do not sum to +1, which no system can have: {', '.join(broken) or 'none'}.",
        f"Realised exactly: {len(exact)} of {len(table)}"
        + (f", at distances up to {max(moved):.2g}, median {sorted(moved)[len(moved) // 2]:.1e}." if moved else "."),
        f"The whole Jacobian vanishes (rank 0) at a point of: {', '.join(flat) or 'none'}.",
        f"Stability differs between the flow and the discrete map of the same cell in: {', '.join(flips) or 'none'}.",
    ]
    if theorem:
        shares = ", ".join(f"{number:,} with {count}" for count, number in theorem["counts"].items())
        lines.append(
            f"Theorem 3 on {theorem['systems']:,} random units: {shares} fixed points; "
            f"{theorem['undecided']} undecided, {theorem['violations']} with more than 3."
        )
    return lines


def _tiles(found: Sequence[Case], theorem: dict[str, Any]) -> list[tuple[str, str]]:
    table = [case for case in found if case.name.startswith("table3:")]
    exact = sum(case.realised is not None and case.realised.verified for case in table)
    tiles = [
        (str(len(found)), "systems answered with proof"),
        (str(sum(verdict(case) == "as printed" for case in table)), "table rows exact as printed"),
        (str(sum(verdict(case) == "rounded" for case in table)), "rows with rounded collisions"),
        (str(sum(verdict(case) == "misprint" for case in table)), "misprinted rows"),
        (f"{exact} / {len(table)}", "rows realised exactly"),
    ]
    if theorem:
        tiles.append((f"{theorem['violations']} / {theorem['systems']:,}", "violations of Theorem 3"))
    return tiles


def _figures(
    folder: Path, say: Say, found: Sequence[Case], theorem: dict[str, Any], which: Sequence[str]
) -> dict[str, tuple[bytes, dict[str, Any]]]:
    measured = {case.name: case.measured for case in found}
    drawn: dict[str, tuple[bytes, dict[str, Any]]] = {}
    for number in which:
        say(f"figure {number}")
        figure, facts = figure_1(theorem) if number == "1" else FIGURES[number](measured)
        drawn[number] = _save(folder, number, figure, facts)
    return drawn


def _save(folder: Path, number: str, figure: Figure, facts: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    (folder / f"figure_{number}.png").write_bytes(png(figure))
    return webp(figure), facts


def _sheets(folder: Path, table: Sequence[Case]) -> list[Shot]:
    def counts(case: Case) -> str:
        one = case.measured
        return f"{one.sinks}/{one.sources}/{one.saddles}"

    printed = [
        (
            case.short,
            counts(case),
            case.measured.flow,
            case.measured.enumeration.points,
            [(point.kind, point.state) for point in case.measured.degenerate],
            case.verdict,
        )
        for case in table
    ]
    exact = [
        (
            case.short,
            f"d = {float(case.realised.distance):.1g}",
            case.at(np.asarray(case.realised.mu)),
            case.realised.enumeration.points,
            case.marks,
            None,
        )
        for case in table
        if case.realised is not None and case.realised.verified
    ]
    shots = []
    plans = (
        ("printed", printed, "The topologies of two GRUs at the printed parameters (sinks/sources/saddles)"),
        ("exact", exact, "The topologies of two GRUs made exact (d: change of the parameters)"),
    )
    for name, panels, title in plans:
        if panels:
            figure = sheet(panels, title)
            (folder / f"atlas_{name}.png").write_bytes(png(figure, 180))
            (folder / f"atlas_{name}.svg").write_bytes(svg(figure))
            shots.append(Shot(webp(figure, 130), title, f"{title}. For print: atlas_{name}.png, atlas_{name}.svg."))
    return shots


def _card(case: Case) -> Card:
    name = verdict(case)
    shots = [_shot(of_measured(case.measured, case.verdict), "At the printed parameters", case)]
    realised = case.realised
    facts: dict[str, object] = {
        "printed": printed_text(case.printed) or "no counts",
        "measured": measured_text(case.measured),
        "boxes": case.measured.boxes,
        "points": points_text(case),
        "parameters": ", ".join(f"{name} {value:g}" for name, value in case.parameters.items()),
    }
    if realised is not None and realised.verified and float(realised.distance) > 0:
        ax = portrait(case.at(np.asarray(realised.mu)), realised.enumeration.points, case.marks)
        shots.append(_shot(ax, f"Exact, {float(realised.distance):.2g} away", case))
        facts["exact parameters"] = ", ".join(
            f"{name} {float(value):.15g}" for name, value in zip(case.parameters, realised.mu, strict=True)
        )
        facts["exact to"] = f"residual {float(realised.residual):.1e}, |det J| {float(realised.determinant):.1e}"
    return Card(case.anchor, case.title, name, _BADGES[name], tuple(shots), tuple(words(case)), facts)


def _shot(ax: Any, caption: str, case: Case) -> Shot:
    ax.set_title(f"{case.title}: {caption[0].lower()}{caption[1:]}", fontsize="medium", loc="left")
    return Shot(webp(ax.figure, 100), f"phase portrait of {case.title}", f"{caption}.")


def _chapters(
    found: Sequence[Case],
    cards: Sequence[Card],
    figures: dict[str, tuple[bytes, dict[str, Any]]],
    sheets: Sequence[Shot],
    lines: Sequence[str],
) -> list[Chapter]:
    rows = tuple((*row(case), case.anchor) for case in found)
    drawn = [
        Card(
            f"figure-{number}",
            f"Figure {number}: {TITLES[number]}",
            "",
            True,
            (Shot(image, TITLES[number], CAPTIONS[number]),),
            (),
            figure_facts(number, facts),
        )
        for number, (image, facts) in sorted(figures.items())
    ]
    return [
        Chapter("What was found", tuple(lines)),
        Chapter("Measured beside printed", (LEGEND,), COLUMNS, rows),
        Chapter("All portraits on a sheet", wide=tuple(sheets)),
        Chapter("The figures of the paper", cards=tuple(drawn)),
        Chapter("One by one", cards=tuple(cards)),
    ]
