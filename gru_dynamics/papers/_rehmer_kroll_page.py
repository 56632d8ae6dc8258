"""Page, table, numbers and pictures of a reproduction of Rehmer & Kroll (2020)."""

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from .._report import Card, Chapter, Shot, gallery, versions
from ._jordan_portraits import png, webp
from ._options import Found

SOURCE = "Rehmer & Kroll (2020), On the vanishing and exploding gradient problem in gated recurrent units"


class Part(NamedTuple):
    """Figures of the paper that belong together: `title`, sentences, a table, numbers, pictures with captions."""

    title: str
    words: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    facts: list[dict[str, Any]]
    pictures: tuple[tuple[str, Figure, str], ...]


def write(folder: Path, name: str, title: str, lede: str, parts: Sequence[Part]) -> Found:
    """`page.html`, `table.md`, `result.json` and the pictures, which are named in the parts."""
    pictures = [(file, figure) for part in parts for file, figure, _ in part.pictures]
    for file, figure in pictures:
        (folder / file).write_bytes(png(figure))
    lines = [word for part in parts for word in part.words]
    result = {
        "source": SOURCE,
        "summary": lines,
        **{part.title: part.facts for part in parts},
        "versions": versions(),
    }
    dumped = json.dumps(result, indent=1, allow_nan=False, ensure_ascii=False)
    (folder / "result.json").write_text(dumped + "\n", encoding="utf-8")
    (folder / "table.md").write_text(_markdown(title, parts), encoding="utf-8")
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    chapters = [_chapter(number, part) for number, part in enumerate(parts)]
    origin = {"command": f"gru-dynamics reproduce {name}", "source": SOURCE, "versions": versions()}
    (folder / "page.html").write_text(gallery(title, lede, (), chapters, origin, written=now), encoding="utf-8")
    return ("page.html", "table.md", "result.json", *(file for file, _ in pictures)), "\n".join(lines), result


def _chapter(number: int, part: Part) -> Chapter:
    anchor = f"figure-{number}"
    shots = tuple(Shot(webp(figure), caption, caption) for _, figure, caption in part.pictures)
    cards = tuple(
        Card(f"{anchor}-{i}", shot.caption.partition(":")[0].rstrip("."), "", True, (shot,), (), {})
        for i, shot in enumerate(shots)
    )
    rows = tuple((*row, f"{anchor}-0") for row in part.rows)
    return Chapter(part.title, part.words, part.columns, rows, cards=cards)


def _markdown(title: str, parts: Sequence[Part]) -> str:
    lines = [f"# {title}", "", f"{SOURCE}.", ""]
    for part in parts:
        lines += [f"## {part.title}", "", *(f"- {word}" for word in part.words), ""]
        lines += [_line(part.columns), _line(["---"] * len(part.columns)), *map(_line, part.rows), ""]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
