"""A gallery of many systems as one self-contained HTML page, in the look of the report."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import NamedTuple

from ._page import _css, _shown


class Shot(NamedTuple):
    """A picture of any shape: `image`, its content as PNG or WebP, `alt`, what it is, and a `caption`.

    **Source:** none; a record.
    """

    image: bytes
    alt: str
    caption: str


class Card(NamedTuple):
    """One system: `anchor`, `title`, a `badge` that is `good` or not, pictures, sentences and facts, of any shape.

    **Source:** none; a record.
    """

    anchor: str
    title: str
    badge: str
    good: bool
    shots: tuple[Shot, ...]
    words: tuple[str, ...]
    facts: Mapping[str, object]


class Chapter(NamedTuple):
    """A part of the page: `title`, sentences, a table of `columns` and `rows` (the first cell links to the anchor that
    the last one names), pictures over the whole width, and cards, of any shape.

    **Source:** none; a record.
    """

    title: str
    words: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    wide: tuple[Shot, ...] = ()
    cards: tuple[Card, ...] = ()


def gallery(
    title: str,
    lede: str,
    tiles: Sequence[tuple[str, str]],
    chapters: Sequence[Chapter],
    provenance: Mapping[str, object],
    *,
    written: str,
) -> str:
    """A page of chapters.

    **Arguments:** `title`; `lede`, a sentence; `tiles`, pairs of a number and what it counts; `chapters`, with pictures
    of any shape; `provenance`, facts about the origin of the numbers; `written`, a date.

    **Returns:** an HTML document with everything inside; all texts are escaped.

    **Source:** none; the layout is ours.
    """
    more = resources.files(__package__ or "").joinpath("gallery.css").read_text(encoding="utf-8")
    cells = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for value, name in tiles
    )
    origin = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(_shown(value))}</dd>"
        for name, value in provenance.items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_css()}{more}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(title)}</h1>\n<p class="lede">{escape(lede)}</p>\n<div class="tiles">{cells}</div>\n'
        + "\n".join(_chapter(chapter) for chapter in chapters)
        + f"\n<section>\n<h2>Where the numbers come from</h2>\n<dl>{origin}</dl>\n"
        + f'<p class="lede">Written on {escape(written)}.</p>\n</section>\n</main>\n</body>\n</html>\n'
    )


def _chapter(chapter: Chapter) -> str:
    words = "\n".join(f"<p>{escape(text)}</p>" for text in chapter.words)
    wide = "\n".join(_figure(shot) for shot in chapter.wide)
    cards = "\n".join(_card(card) for card in chapter.cards)
    return (
        f"<section>\n<h2>{escape(chapter.title)}</h2>\n{words}\n{_table(chapter)}\n"
        f'<div class="wide">{wide}</div>\n{cards}\n</section>'
    )


def _table(chapter: Chapter) -> str:
    if not chapter.rows:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in chapter.columns)
    rows = []
    for first, *middle, anchor in chapter.rows:
        cells = [f'<a href="#{escape(anchor)}">{escape(first)}</a>', *(escape(cell) for cell in middle)]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    body = "\n".join(rows)
    return (
        f'<div class="scroll contents"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'
    )


def _card(card: Card) -> str:
    badge = f'<span class="badge {"good" if card.good else "bad"}">{escape(card.badge)}</span>' if card.badge else ""
    words = "\n".join(f"<p>{escape(text)}</p>" for text in card.words)
    shots = "\n".join(_figure(shot) for shot in card.shots)
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(_shown(value))}</dd>" for name, value in card.facts.items())
    alone = "figures" if len(card.shots) > 1 else "wide" if card.anchor.startswith("figure") else "figures"
    return (
        f'<div class="card" id="{escape(card.anchor)}">\n<h3>{escape(card.title)}{badge}</h3>\n{words}\n'
        f'<div class="{alone}">\n{shots}\n</div>\n<dl>{facts}</dl>\n</div>'
    )


def _figure(shot: Shot) -> str:
    kind = "webp" if shot.image[8:12] == b"WEBP" else "png"
    data = base64.b64encode(shot.image).decode("ascii")
    return (
        f'<figure><img decoding="async" alt="{escape(shot.alt)}" src="data:image/{kind};base64,{data}">'
        f"<figcaption>{escape(shot.caption)}</figcaption></figure>"
    )
