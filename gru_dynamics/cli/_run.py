"""What each command does."""

import datetime
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from .._report import Analysis, Picture, page, story, versions
from ..interop import FORMATS, WeightError, load_arrays, save_cell, save_weights, to_weights
from ..systems import library
from ._errors import CommandError
from ._inputs import find_readout, positive, read_cell, read_states, read_system
from ._pictures import draw
from ._search import search
from ._staging import staged
from ._terminal import paragraphs, say, show

_NETWORK = "flipflop_gru16_seed0"
_PLANE = "fig:3a"


def run_analyze(
    command: str,
    file: Path,
    *,
    format: str,
    layer: int | None,
    prefix: str | None,
    reset: Literal["before", "after"] | None,
    input: str | None,
    states: Path | None,
    seeds: int,
    flow: bool,
    tau: float,
    seed: int,
    max_points: int | None,
    max_boxes: int,
    out: Path | None,
    json: bool,
) -> None:
    """Find, draw and report the fixed points of the cell in a file."""
    positive(file, [("--seeds", seeds), ("--max-points", max_points)])
    if max_boxes < 0:
        raise CommandError(f"{file}: --max-boxes must be 0 (no enumeration) or more, found {max_boxes}; choose one")
    cell = read_cell(file, format=format, layer=layer, prefix=prefix, reset=reset)
    system, facts = read_system(file, cell, input=input, flow=flow, tau=tau)
    visited = None if states is None else read_states(states, cell.state_size)
    readout = find_readout(file, cell.hidden_size)
    out = Path(f"{file.stem}-dynamics") if out is None else out
    provenance = _provenance(command, seed, {"states": None if states is None else states.name})
    with staged(out) as scratch:
        say(f"searching from {seeds} starts in {cell.resting_size} dimensions (compiling takes a few seconds)")
        found = search(
            file.name,
            system,
            cell,
            facts,
            states=visited,
            readout=readout,
            seeds=seeds,
            seed=seed,
            max_points=max_points,
            max_boxes=max_boxes,
            provenance=provenance,
        )
        say(f"{len(found.analysis.points)} fixed points; drawing")
        result = found.analysis.as_dict()
        _write(scratch, f"Fixed points of {file.name}", [(found.analysis, draw(found))], result)
    if json:
        show(_dumps(result))
        return
    show(f"{found.points.table()}\n\n{paragraphs(story(found.analysis))}\n")
    for text in found.analysis.warnings:
        show(f"Warning: {text}")
    show(f"Report: {out / 'report.html'}")


def run_demo(command: str, *, out: Path, json: bool) -> None:
    """Analyse the networks that come with the package."""
    data = resources.files("gru_dynamics.data")
    with (
        resources.as_file(data / f"{_NETWORK}.safetensors") as file,
        resources.as_file(data / f"{_NETWORK}_states.npz") as states,
        staged(out) as scratch,
    ):
        say("1 of 2: a GRU with 16 units, trained to remember 3 bits")
        cell = read_cell(file, format="torch", layer=None, prefix=None, reset=None)
        system, facts = read_system(file, cell, input=None, flow=False, tau=1.0)
        common: dict[str, Any] = {
            "seed": 0,
            "max_points": None,
            "max_boxes": 100_000,
            "provenance": _provenance(command, 0, {}),
        }
        trained = search(
            "A trained network: three bits of memory",
            system,
            cell,
            facts,
            states=read_states(states, cell.state_size),
            readout=find_readout(file, cell.hidden_size),
            seeds=1024,
            **common,
        )
        trained_pictures = draw(trained, "flipflop_")
        say("2 of 2: a GRU with 2 units and eleven fixed points")
        flow = library.jordan(_PLANE)
        facts = {
            "name": f"jordan {_PLANE}",
            "source": "Jordan, Sokół, Park (2019), table 1",
            "cell": "GRUCell",
            "reset": "before",
            "input_size": 0,
            "hidden_size": 2,
            "state_size": 2,
            "kind": "flow",
            "tau": 1.0,
            "input": None,
            "trapping_box": True,
        }
        title = "Two units by hand: eleven fixed points in the plane"
        plane = search(title, flow, flow.cell, facts, states=None, readout=None, seeds=512, **common)
        parts = [(trained.analysis, trained_pictures), (plane.analysis, draw(plane, "two_units_"))]
        result = {"analyses": [{"title": part.title, **part.as_dict()} for part, _ in parts]}
        _write(scratch, "What gated recurrent networks remember, and how they decide", parts, result)
    if json:
        show(_dumps(result))
        return
    for found in (trained, plane):
        show(f"{found.analysis.title}\n\n{found.points.table()}\n\n{paragraphs(story(found.analysis))}\n")
    show(f"Report: {out / 'report.html'}")


def run_convert(
    command: str,
    file: Path,
    out: Path,
    *,
    to: str,
    format: str,
    layer: int | None,
    prefix: str | None,
    reset: Literal["before", "after"] | None,
) -> None:
    """Write the cell of a file in another format."""
    if to not in (*FORMATS, "gru_dynamics"):
        raise CommandError(f"{file}: --to must be one of gru_dynamics, {', '.join(FORMATS)}, found {to!r}; choose one")
    cell = read_cell(file, format=format, layer=layer, prefix=prefix, reset=reset)
    double = any(array.dtype.itemsize > 4 for array in load_arrays(file, finite=False).values())
    if not double:
        cell = jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, cell)
    if to == "gru_dynamics":
        save_cell(out, cell)
    else:
        try:
            weights = to_weights(cell, to)
        except WeightError as error:
            raise CommandError(f"{file}: {error}") from error
        save_weights(out, weights)
    say(f"wrote {out}: the {type(cell).__name__} for {to}, without other entries of the file such as a readout")


def _provenance(command: str, seed: int, more: dict[str, Any]) -> dict[str, Any]:
    return {"command": command, "seed": seed, **more, "versions": versions()}


def _write(
    folder: Path, title: str, parts: Sequence[tuple[Analysis, Sequence[Picture]]], result: dict[str, Any]
) -> None:
    for _, pictures in parts:
        for picture in pictures:
            (folder / picture.name).write_bytes(picture.png)
    (folder / "result.json").write_text(_dumps(result) + "\n", encoding="utf-8")
    written = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    (folder / "report.html").write_text(page(title, parts, written=written), encoding="utf-8")


def _dumps(result: dict[str, Any]) -> str:
    return json.dumps(result, indent=1, allow_nan=False, ensure_ascii=False)
