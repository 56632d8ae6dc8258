"""`gru-dynamics sweep`: compute what is missing, then say and draw what is there."""

import datetime
import io
import json as text
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .._report import versions
from ..plot import phase_diagram
from ..sweeps import (
    AbstractAnalysis,
    Enumerate,
    RunReport,
    Search,
    Sweep,
    SweepError,
    Table,
    load,
    run,
    undecided,
    write_table,
)
from ._errors import CommandError
from ._inputs import positive
from ._sweep_source import from_file, from_plane
from ._terminal import say, show

_DPI = 170


def run_sweep(
    command: str,
    file: Path | None,
    *,
    plane: str | None,
    case: str | None,
    vary: tuple[str, ...],
    samples: int | None,
    analysis: Literal["enumerate", "search"],
    guesses: int,
    max_points: int,
    max_boxes: int,
    min_width: float,
    block_size: int,
    shard: str,
    engine: Literal["local", "ray"],
    seed: int,
    out: Path | None,
    json: bool,
    **network: Any,
) -> None:
    """Sweep a plane of the paper or a network of the user, in parts that are kept in `out`."""
    positive(
        Path("sweep"),
        [
            ("--samples", samples),
            ("--guesses", guesses),
            ("--max-points", max_points),
            ("--max-boxes", max_boxes),
            ("--block-size", block_size),
        ],
    )
    if (file is None) == (plane is None):
        found = "neither" if file is None else f"{file} and --plane {plane}"
        raise CommandError(f"sweep: expected a file of weights or --plane, found {found}; give one of them")
    if plane is not None:
        source = from_plane(plane, case, vary, samples, seed)
    else:
        assert file is not None
        source = from_file(file, vary, samples, seed, **network)
    out = Path(f"{file.stem if file is not None else plane}-sweep") if out is None else out
    chosen: AbstractAnalysis = _analysis(analysis, guesses, max_points, max_boxes, min_width)
    part = _shard(shard)
    try:
        sweep = Sweep(source.family, source.points, chosen, block_size=block_size, seed=seed)
        say(f"{source.points.num} systems in {sweep.num_blocks} blocks; the first takes a few seconds to compile")
        report = _run(sweep, out, part, engine)
        table = load(out)
        summary = {"title": source.title, "command": command, **_summary(table, report), "versions": versions()}
        if table.complete:
            say("all blocks are there; writing the table and the picture")
            write_table(out / "table.parquet", table)
            (out / "summary.json").write_text(text.dumps(summary, indent=1, ensure_ascii=False) + "\n", "utf-8")
            _draw(table, source.title, out)
    except SweepError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{out}: cannot be written: {error.strerror}; free space and run again") from error
    show(text.dumps(summary, indent=1, ensure_ascii=False) if json else _words(summary, table, out))


def _analysis(name: str, guesses: int, max_points: int, max_boxes: int, min_width: float) -> AbstractAnalysis:
    return Search(guesses, max_points) if name == "search" else Enumerate(max_boxes, min_width, max_points)


def _shard(word: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", word)
    if match is None or not int(match[1]) < int(match[2]):
        raise CommandError(f"--shard must be I/N with I from 0 to N-1, found {word!r}; write for example --shard 0/4")
    return int(match[1]), int(match[2])


def _run(sweep: Sweep, out: Path, shard: tuple[int, int], engine: Literal["local", "ray"]) -> RunReport:
    if out.exists() and not out.is_dir():
        raise CommandError(f"{out}: --out must be a folder, found a file; choose another name")
    with warnings.catch_warnings(record=True) as noticed:
        warnings.simplefilter("always")
        try:
            return run(sweep, out, shard=shard, engine=engine)
        finally:
            for warning in noticed:
                if "computing it again" in str(warning.message):
                    say(str(warning.message))


def _summary(table: Table, report: RunReport) -> dict[str, Any]:
    columns = table.columns
    rows = len(columns["row"])
    decided = undecided(columns) == "" if rows else np.zeros(0, bool)
    count = columns["count_lower" if "count_lower" in columns else "count"] if rows else np.zeros(0, int)
    return {
        "rows": table.num_rows,
        "rows_there": rows,
        "blocks_computed": len(report.computed),
        "blocks_found": len(report.found),
        "blocks_repaired": list(report.repaired),
        "blocks_missing": list(table.missing),
        "parameters": list(table.names),
        "count": {str(key): number for key, number in sorted(Counter(count[decided].tolist()).items())},
        "undecided": int(rows - decided.sum()),
        "complete": dict(Counter(columns["complete"].tolist())) if rows else {},
        "status": dict(Counter(columns["status"].tolist())) if rows else {},
        "written": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _draw(table: Table, title: str, out: Path) -> None:
    if len(table.names) > 2:
        say("no picture: more than two parameters; draw slices with gru_dynamics.plot.phase_diagram")
        return
    ax = phase_diagram(table, value="topology")
    ax.set_title(title, fontsize="medium")
    buffer = io.BytesIO()
    ax.figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight")  # pyright: ignore[reportAttributeAccessIssue]
    (out / "phase_diagram.png").write_bytes(buffer.getvalue())


def _words(summary: dict[str, Any], table: Table, out: Path) -> str:
    rows = max(summary["rows_there"], 1)
    lines = [f"{summary['title']}: {summary['rows']} systems over {', '.join(summary['parameters'])}"]
    lines += [
        f"  {number:>9} ({100 * number / rows:5.1f} %) with {count} fixed point{'s' * (count != '1')}"
        for count, number in summary["count"].items()
    ]
    if summary["undecided"]:
        lines.append(f"  {summary['undecided']:>9} ({100 * summary['undecided'] / rows:5.1f} %) undecided")
    for name in ("complete", "status"):
        parts = ", ".join(f"{key.replace('_', ' ')} {number}" for key, number in summary[name].items())
        lines.append(f"  {name}: {parts or 'nothing yet'}")
    if summary["blocks_missing"]:
        lines.append(
            f"{len(summary['blocks_missing'])} blocks are missing: those of other shards, or run again to compute them"
        )
    else:
        lines.append(f"Table: {out / 'table.parquet'}")
        if len(table.names) <= 2:
            lines.append(f"Picture: {out / 'phase_diagram.png'}")
    return "\n".join(lines)
