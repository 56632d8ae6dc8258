"""The files of a reproduction: page, table, numbers and picture."""

import datetime
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from .._report import Card, Chapter, Shot, gallery, versions

SOURCE = "Kanai, Fujiwara, Iwamura (2017), Preventing gradient explosions in gated recurrent units"


class Table(NamedTuple):
    """Rows of texts under `columns`, and sentences above them."""

    title: str
    words: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        head = ["| " + " | ".join(self.columns) + " |", "|" + " --- |" * len(self.columns)]
        body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in self.rows]
        return "\n".join([f"## {self.title}", "", *self.words, "", *head, *body]) + "\n"


class Story(NamedTuple):
    """What a reproduction tells: its `name`, texts, `tiles` of a number and what it counts, and its picture."""

    name: str
    title: str
    lede: str
    tiles: Sequence[tuple[str, str]]
    summary: Sequence[str]
    tables: Sequence[Table]
    figure: Figure
    caption: str


def write(
    folder: Path, story: Story, setting: Mapping[str, Any], numbers: Mapping[str, Any]
) -> tuple[tuple[str, ...], str, dict[str, Any]]:
    """All files; returns their names, the page first, the summary, and what is in `result.json`."""
    picture = f"{story.name}.png"
    (folder / picture).write_bytes(_picture(story.figure, "png", dpi=150))
    result = {
        "source": SOURCE,
        "summary": list(story.summary),
        "setting": dict(setting),
        **numbers,
        "versions": versions(),
    }
    dumped = json.dumps(result, indent=1, allow_nan=False, ensure_ascii=False)
    (folder / "result.json").write_text(dumped + "\n", encoding="utf-8")
    text = "\n".join([f"# {story.title}", "", *story.summary, "", *(table.markdown() for table in story.tables)])
    (folder / "table.md").write_text(text, encoding="utf-8")
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    shot = Shot(_picture(story.figure, "webp", dpi=110), story.title, story.caption)
    chapters = [
        Chapter("What came out", tuple(story.summary)),
        *(
            Chapter(table.title, table.words, table.columns, tuple((*row, "figure-runs") for row in table.rows))
            for table in story.tables
        ),
        Chapter("The picture", cards=(Card("figure-runs", story.title, "", True, (shot,), (), {}),)),
    ]
    origin = {"command": f"gru-dynamics reproduce {story.name}", "source": SOURCE, **setting, "versions": versions()}
    page = gallery(story.title, story.lede, story.tiles, chapters, origin, written=now)
    file = f"{story.name}.html"
    (folder / file).write_text(page, encoding="utf-8")
    return (file, "table.md", "result.json", picture), "\n".join(story.summary), result


def number(value: float | None, digits: int = 3) -> str:
    """A number as a text, empty where there is none."""
    return "" if value is None else f"{value:.{digits}g}"


def _picture(figure: Figure, kind: str, dpi: int) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi, facecolor="white")
    return buffer.getvalue()
