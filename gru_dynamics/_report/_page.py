"""One self-contained HTML page: no scripts, no outside files."""

import base64
import functools
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import NamedTuple

from ._analysis import Analysis
from ._table import table
from ._words import story


class Picture(NamedTuple):
    """A picture of any shape: `name` of its file, `png`, its content, and a `caption`.

    **Source:** none; a record.
    """

    name: str
    png: bytes
    caption: str


_HOW_TO_READ = (
    (
        "Fixed point",
        "A state h that the network maps to itself. The <em>residual</em> is the largest component of what is left of "
        "c(h) \N{MINUS SIGN} h there, where c is the candidate: zero up to rounding.",
    ),
    (
        "Sink, saddle, source",
        "Linearise the network at the point. If all eigenvalues are stable (inside the unit circle for a map, in the "
        "left half plane for a flow), every small disturbance dies out: a sink. If none is, a source. Otherwise a "
        "saddle; its number of unstable directions says how many independent decisions meet there.",
    ),
    (
        "Time constant",
        "Of the leading eigenvalue, the one that decays slowest or grows fastest: how long a disturbance takes to "
        "change by a factor e = 2.718.",
    ),
    (
        "Index",
        "The sign of det(1 \N{MINUS SIGN} dc/dh) at the point. On a box that the network cannot leave, the indices of "
        "all fixed points sum to +1, whatever the weights. A sum that differs tells that points are missing or "
        "degenerate; a sum of +1 leaves only sets of missing points whose indices cancel.",
    ),
    (
        "Proven",
        "Existence and uniqueness of a point shown by interval arithmetic with every rounding error bounded; the "
        "number is the largest possible error of each component of the listed state.",
    ),
    ("Hits", "How many starting points ended at this fixed point; a point with few hits is easily missed."),
)


def page(title: str, parts: Sequence[tuple[Analysis, Sequence[Picture]]], *, written: str) -> str:
    """The report of one or more analyses.

    **Arguments:** `title`; `parts`, analyses of systems of any shape with their pictures; `written`, a date.

    **Returns:** an HTML document with everything inside; all texts are escaped.

    **Source:** none; the layout is ours.
    """
    alone = len(parts) == 1
    sections = [_section(analysis, pictures, not alone) for analysis, pictures in parts]
    lede = "Fixed points of a recurrent network, their stability, and what it uses them for."
    terms = "".join(f"<p><strong>{escape(name)}.</strong> {text}</p>" for name, text in _HOW_TO_READ)
    origin = "".join(_provenance(analysis, not alone) for analysis, _ in parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_css()}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(title)}</h1>\n<p class="lede">{lede}</p>\n'
        + "\n".join(sections)
        + f"\n<section>\n<h2>How to read this</h2>\n{terms}\n</section>\n"
        + f"<section>\n<h2>Where the numbers come from</h2>\n{origin}\n"
        + f'<p class="lede">Written on {escape(written)}.</p>\n</section>\n</main>\n</body>\n</html>\n'
    )


def _section(analysis: Analysis, pictures: Sequence[Picture], titled: bool) -> str:
    heading = f"<h2>{escape(analysis.title)}</h2>\n" if titled else ""
    words = "\n".join(f"<p>{escape(part)}</p>" for part in story(analysis))
    warnings = "\n".join(f'<p class="warning">{escape(text)}</p>' for text in analysis.warnings)
    figures = "\n".join(_figure(picture) for picture in pictures)
    return (
        f"<section>\n{heading}{_tiles(analysis)}\n{words}\n{warnings}\n"
        f'<div class="figures">\n{figures}\n</div>\n<h3>All points</h3>\n{table(analysis)}\n</section>'
    )


def _tiles(analysis: Analysis) -> str:
    sinks = analysis.of_kind("sink")
    tiles = [
        (str(len(analysis.points)), "fixed points" if len(analysis.points) != 1 else "fixed point"),
        (str(len(sinks)), "sinks: memories" if len(sinks) != 1 else "sink: a memory"),
        (str(len(analysis.of_kind("saddle"))), "saddles: decisions"),
        (str(len(analysis.of_kind("source"))), "sources"),
    ]
    if analysis.of_kind("degenerate"):
        tiles.append((str(len(analysis.of_kind("degenerate"))), "degenerate"))
    if sinks:
        slowest = max(point.time_constant(analysis.is_map) for point in sinks)
        tiles.append((f"{slowest:.3g}", f"slowest time constant of a sink, in {analysis.unit}"))
    tiles.append((f"{analysis.index_sum:+d}", f"index sum: {analysis.complete}"))
    cells = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for value, name in tiles
    )
    return f'<div class="tiles">{cells}</div>'


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode("ascii")
    caption = escape(picture.caption)
    return (
        f'<figure><img alt="{escape(picture.name)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _provenance(analysis: Analysis, titled: bool) -> str:
    entries = {**analysis.system, **analysis.search, **analysis.provenance}
    rows = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(_shown(value))}</dd>"
        for name, value in entries.items()
        if value is not None
    )
    heading = f"<h3>{escape(analysis.title)}</h3>\n" if titled else ""
    return f"{heading}<dl>{rows}</dl>"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {entry}" for name, entry in value.items())
    return str(value)


@functools.cache
def _css() -> str:
    return resources.files(__package__ or "").joinpath("page.css").read_text(encoding="utf-8")
