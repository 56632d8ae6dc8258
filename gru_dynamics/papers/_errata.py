"""Every theorem and formula of the five papers that was tried: verdict, counterexample as data, corrected form."""

import datetime
import functools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.random as jr
import numpy as np

from .._report import Card, Chapter, gallery, versions
from . import (
    _errata_jordan as jordan,
    _errata_kanai as kanai,
    _errata_nc_gru as nc_gru,
    _errata_pal as pal,
    _errata_rehmer_kroll as rehmer_kroll,
    _errata_shapes as shapes,
)
from ._errata_claim import BROKEN, Claim, Erratum, Reading, normals, settle
from ._options import Found, OptionError, Options, Say

STATEMENTS: tuple[Claim | Reading, ...] = (
    *rehmer_kroll.CLAIMS, *shapes.CLAIMS, *nc_gru.CLAIMS, *pal.CLAIMS, *kanai.CLAIMS, *jordan.CLAIMS,
)  # fmt: skip

_TITLE = "Theorems and formulas of five papers, executed"
_LEDE = (
    "Each printed statement is a function. The program looks for a case that breaks it, rounds the case to numbers "
    "that can be checked by hand, and tries the corrected statement on random cases."
)
_WORDS = (
    "A statement says left <= right wherever its hypotheses hold; for a formula, left is the largest difference from "
    f"autodiff and right is 0. It counts as broken from {BROKEN:g} (1 + |right|) on. Cases are drawn at random; where "
    "none breaks the statement the program climbs the gradient of left - right. Gates are named as in this library: "
    "z keeps the state, and U_z of the papers' u = 1 - z has the other sign.",
    "'Cases' is the number of random cases that meet the hypotheses of the corrected statement; all survived, up to "
    "rounding.",
)
_COLUMNS = ("statement", "place", "verdict", "counterexample", "what holds", "cases", "test")
_KINDS = {
    "holds": ("holds", "hold"),
    "holds when": ("holds with a condition", "hold with a condition"),
    "false": ("is false", "are false"),
}


def statements(names: Sequence[str] | None = None, *, seed: int = 0, say: Say = lambda text: None) -> list[Erratum]:
    """Settle the statements of these names, or all of them.

    **Returns:** an `Erratum` each, plain values of no shape `()`.

    **Raises:** `ArithmeticError` when one does not come out as recorded; `OptionError` without float64.

    **Source:** the five papers.
    """
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise OptionError("errata: expected float64, found float32; set JAX_ENABLE_X64=1")
    draw = _numbers(seed)
    found = []
    for statement in STATEMENTS:
        if names is None or statement.name in names:
            found.append(settle(statement, draw))
            say(f"{statement.name}: {statement.verdict}")
    return found


@functools.lru_cache(maxsize=1)
def _numbers(seed: int) -> np.ndarray:
    return normals(jr.key(seed))


def errata(folder: Path, say: Say, options: Options) -> Found:
    """The whole table; see `reproduce`."""
    return report(folder, statements(say=say))


def report(folder: Path, found: Sequence[Erratum]) -> Found:
    """`errata.html`, `table.md` and `result.json`."""
    lines = summary(found)
    result = {"summary": lines, "statements": [one._asdict() for one in found], "versions": versions()}
    dumped = json.dumps(result, indent=1, allow_nan=False, ensure_ascii=False)
    (folder / "result.json").write_text(dumped + "\n", encoding="utf-8")
    (folder / "table.md").write_text(markdown(found, lines), encoding="utf-8")
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    tiles = [(str(len(found)), "statements"), *((str(n), words) for n, words in _counts(found))]
    chapters = [
        Chapter("How to read this", (*lines, *_WORDS)),
        *(_chapter(name, own) for name, own in _by_paper(found)),
    ]
    origin = {"command": "gru-dynamics reproduce errata", "versions": versions()}
    page = gallery(_TITLE, _LEDE, tiles, chapters, origin, written=now)
    (folder / "errata.html").write_text(page, encoding="utf-8")
    return ("errata.html", "table.md", "result.json"), "\n".join(lines), result


def summary(found: Sequence[Erratum]) -> list[str]:
    """A sentence for each paper."""
    lines = []
    for paper, own in _by_paper(found):
        counts = ", ".join(f"{number} {words}" for number, words in _counts(own))
        lines.append(f"{paper}: {len(own)} statement{'s' * (len(own) > 1)}, {counts}.")
    return lines


def markdown(found: Sequence[Erratum], lines: Sequence[str]) -> str:
    """The table, a section for each paper."""
    text = [f"# {_TITLE}", "", *(f"- {line}" for line in lines), "", *_WORDS, ""]
    for paper, own in _by_paper(found):
        text += [
            f"## {paper}",
            "",
            _line(_COLUMNS),
            _line(["---"] * len(_COLUMNS)),
            *(_line(_row(one)) for one in own),
            "",
        ]
    return "\n".join(text)


def _chapter(paper: str, own: Sequence[Erratum]) -> Chapter:
    rows = tuple((one.place, one.verdict, one.statement, one.name) for one in own)
    return Chapter(paper, (), ("place", "verdict", "statement"), rows, cards=tuple(_card(one) for one in own))


def _card(one: Erratum) -> Card:
    facts: dict[str, object] = {"what holds": one.corrected, "cases survived": one.survived}
    facts["largest excess of the corrected statement"] = f"{one.worst:.1e}"
    if one.counterexample is not None:
        facts["counterexample"] = data_text(one.counterexample)
        facts["printed statement there"] = _sides_text(one)
        facts["found by"] = one.found_by
    if one.broken is not None:
        facts["share of random cases that break it"] = f"{100 * one.broken:.3g} % of {one.searched}"
    facts["test"] = one.test
    return Card(one.name, one.place, one.verdict, one.verdict == "holds", (), (one.statement,), facts)


def _row(one: Erratum) -> tuple[str, ...]:
    example = "" if one.counterexample is None else f"{data_text(one.counterexample)}: {_sides_text(one)}"
    return (one.statement, one.place, one.verdict, example, one.corrected, str(one.survived), one.test)


def data_text(data: Mapping[str, Any]) -> str:
    """Numbers by name, `W = [[1, 2], [0, 1]], h = 0.5`."""
    return ", ".join(f"{name} = {_number(value)}" for name, value in data.items())


def _number(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_number(one) for one in value)}]"
    return f"{value:.6g}"


def _sides_text(one: Erratum) -> str:
    return f"left {one.left:.4g}, right {one.right:.4g}"


def _counts(found: Sequence[Erratum]) -> list[tuple[int, str]]:
    """How many hold, hold with a condition, and are false, with the verb."""
    kinds = Counter(" ".join(one.verdict.split()[:2]) for one in found)
    return [(kinds[kind], one if kinds[kind] == 1 else more) for kind, (one, more) in _KINDS.items() if kinds[kind]]


def _by_paper(found: Sequence[Erratum]) -> list[tuple[str, list[Erratum]]]:
    papers: dict[str, list[Erratum]] = {}
    for one in found:
        papers.setdefault(one.paper, []).append(one)
    return list(papers.items())


def _line(cells: Sequence[str]) -> str:
    # Bars of a norm are not those of the table.
    safe = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(safe)} |"
