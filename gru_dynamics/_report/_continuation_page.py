"""The report of branches of fixed points as one self-contained HTML page."""

from html import escape

from ._continuation import Continuation
from ._page import Picture, _css, _figure, _shown


def continuation_page(facts: Continuation, picture: Picture, *, written: str) -> str:
    """The report of `gru-dynamics continue`.

    **Arguments:** `facts`, of branches with states of any shape; `picture`, their diagram; `written`, a date.

    **Returns:** an HTML document with everything inside; all texts are escaped.

    **Source:** none; the layout is ours.
    """
    lede = f"Branches of fixed points over {facts.parameter}, and where they change."
    bracketed = sum(not point.located for point in facts.special)
    tiles = [(str(len(facts.courses)), "branch" if len(facts.courses) == 1 else "branches")]
    for kind in dict.fromkeys(point.kind for point in facts.special):
        tiles.append((str(sum(point.kind == kind for point in facts.special)), kind))
    if bracketed:
        tiles.append((str(bracketed), "known by a bracket only"))
    cells = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for value, name in tiles
    )
    words = "\n".join(f"<p>{escape(text)}</p>" for text in facts.words())
    warnings = "\n".join(f'<p class="warning">{escape(text)}</p>' for text in facts.warnings)
    head, *rows = facts.cells()
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    table = f'<div class="scroll"><table><thead><tr>{columns}</tr></thead><tbody>\n{body}\n</tbody></table></div>'
    origin = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(_shown(value))}</dd>"
        for name, value in {**facts.system, **facts.provenance}.items()
        if value is not None
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(facts.title)}</title>\n<style>\n{_css()}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(facts.title)}</h1>\n<p class="lede">{escape(lede)}</p>\n<section>\n'
        f'<div class="tiles">{cells}</div>\n{warnings}\n<div class="figures">{_figure(picture)}</div>\n'
        f"<h3>Special points</h3>\n{table if rows else '<p>There are none in this range.</p>'}\n"
        f"<h3>Branches</h3>\n{words}\n</section>\n"
        f"<section>\n<h2>Where the numbers come from</h2>\n<dl>{origin}</dl>\n"
        f'<p class="lede">Written on {escape(written)}.</p>\n</section>\n</main>\n</body>\n</html>\n'
    )
