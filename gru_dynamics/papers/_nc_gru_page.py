"""Page, table, numbers and pictures of a reproduction of Mucllari et al. (2022)."""

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from .._report import Card, Chapter, Shot, gallery, versions
from ._jordan_portraits import png, webp
from ._options import Found

_SOURCE = "Mucllari, Zadorozhnyy, Pospisil, Nguyen, Ye (2022), Orthogonal gated recurrent unit with Neumann-Cayley"
_GOOD = ("reproduces", "yes")


class Part(NamedTuple):
    """One table with its picture: `setting` and `words` are sentences, `answers` the verdicts, `facts` the numbers."""

    title: str
    setting: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    answers: tuple[str, ...]
    facts: dict[str, Any]
    figure: Figure
    caption: str


def write(folder: Path, name: str, title: str, place: str, remarks: Sequence[str], parts: Sequence[Part]) -> Found:
    """`page.html`, `table.md`, `result.json` and a picture for each part."""
    pictures = [f"{name}_{number}.png" for number in range(1, len(parts) + 1)]
    for file, part in zip(pictures, parts, strict=True):
        (folder / file).write_bytes(png(part.figure))
    lines = [line for part in parts for line in (f"{part.title}: {part.setting}.", *part.words)]
    origin = {"command": f"gru-dynamics reproduce {name}", "versions": versions()}
    result = {
        "source": _SOURCE,
        "place": place,
        "summary": lines,
        "remarks": list(remarks),
        "columns": [part.facts for part in parts],
        "versions": versions(),
    }
    (folder / "table.md").write_text(_markdown(title, place, remarks, parts), encoding="utf-8")
    dumped = json.dumps(result, indent=1, allow_nan=False, ensure_ascii=False)
    (folder / "result.json").write_text(dumped + "\n", encoding="utf-8")
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    answers = [answer for part in parts for answer in part.answers]
    tiles = [(str(answers.count(answer)), answer) for answer in dict.fromkeys(answers)]
    chapters = [_chapter(number, part) for number, part in enumerate(parts)]
    chapters.append(Chapter("What there is to know", tuple(remarks)))
    lede = f"{place} of {_SOURCE}: measured beside printed."
    (folder / "page.html").write_text(gallery(title, lede, tiles, chapters, origin, written=now), encoding="utf-8")
    return ("page.html", "table.md", "result.json", *pictures), "\n".join(lines), result


def _chapter(number: int, part: Part) -> Chapter:
    anchor = f"figure-{number}"
    badge = ", ".join(dict.fromkeys(part.answers))
    good = all(answer in _GOOD for answer in part.answers)
    shot = Shot(webp(part.figure), part.title, part.caption)
    card = Card(anchor, part.title, badge, good, (shot,), part.words, {"setting": part.setting})
    rows = tuple((*row, anchor) for row in part.rows)
    return Chapter(part.title, (f"{part.setting}.",), part.columns, rows, cards=(card,))


def _markdown(title: str, place: str, remarks: Sequence[str], parts: Sequence[Part]) -> str:
    lines = [f"# {title}", "", f"{place} of {_SOURCE}.", ""]
    for part in parts:
        lines += [f"## {part.title}", "", f"{part.setting}.", ""]
        lines += [_line(part.columns), _line(["---"] * len(part.columns)), *map(_line, part.rows), ""]
        lines += [*(f"- {word}" for word in part.words), ""]
    return "\n".join([*lines, *(f"- {remark}" for remark in remarks), ""])


def _line(cells: Sequence[str]) -> str:
    # Bars of a norm are not those of the table.
    safe = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(safe)} |"
