"""Jordan, Sokół, Park (2019): figures 2 to 7 with the curves behind them, measured beside printed."""

import datetime
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from .._report import Card, Chapter, Shot, gallery, versions
from ..systems import library
from . import _jordan_automata as automata, _jordan_map_and_flow as map_and_flow
from ._jordan_curve_figures import figure_4, figure_5, figure_6, figure_7
from ._jordan_curves_table import COLUMNS, Entry, entries, markdown
from ._jordan_homoclinic import homoclinic
from ._jordan_knobs import GAIN, at, knob, rotation
from ._jordan_loops import Loop, area, borders, follow_loop, loop_facts
from ._jordan_measure import Measured, measure
from ._jordan_portraits import png, webp
from ._jordan_rotation import START, Rotation, follow_rotation, rotation_facts
from ._jordan_slow import START_BIAS, Ghosts, Line, bias_family, follow_ghost, follow_line, ghost_facts, line_facts

Say = Callable[[str], None]

_TITLE = "The figures of two gated recurrent units, with the curves behind them"
_LEDE = (
    "Figures 2 to 7 of Jordan, Sokół and Park (2019), The expressive power of gated recurrent units as a continuous "
    "dynamical system: automata, homoclinic orbits, the Hopf family of equation 8 followed from the birth of its cycle "
    "to the end, slow sets, and the same cell as the discrete map that a network really is."
)
_PRINTED = ("fig:2", "fig:3a", "fig:4a", "fig:4b", "fig:5a", "fig:5b", "fig:5c", "fig:6a", "fig:7a")
_TITLES = {
    "automata": "Figures 2 and 3: finite automata",
    "4": "Figure 4: regions of homoclinic orbits",
    "5": "Figure 5: the family of equation 8",
    "6": "Figure 6: the pseudo-line attractor",
    "7": "Figure 7: a slow point",
    "map and flow": "The same cell as a map and as a flow",
}
_CAPTIONS = {
    "automata": (
        "Left: initial states coloured by the sink that they reach; the stable manifolds of the saddles "
        "(lines) are the borders. Right: where each pulse of input sends each sink; a pulse without an arrow "
        "leaves the sink."
    ),
    "4": (
        "A, D: as printed; the lines are the manifolds of saddles that leave the degenerate origin and come "
        "back to it. B, E: with U_h turned a little the origin is an ordinary focus, and a saddle has a "
        "homoclinic orbit of its own along such a border. C, F: there the cycles end that were born at the "
        "Hopf point."
    ),
    "5": (
        "A to C: the printed panels. D: fixed points over alpha, thick where stable, and least and greatest "
        "value along the stable cycle. E: its period; diamonds, the printed parameters. F: the period against "
        "the distance to the folds, and the law computed from the folds alone."
    ),
    "6": (
        "A: as printed, near the sink. B: time constants of the origin when U_h is scaled. C: the same window "
        "a little below the pitchfork, where trajectories first come to a line and then creep along it."
    ),
    "7": (
        "A: as printed. B: fixed points along the bias; the fold is just below the printed bias. C: the "
        "trajectory. D: time that it spends near the slow point against the distance to the fold, and the law "
        "of the fold's normal form."
    ),
    "map and flow": (
        "A, B: the same fixed points and folds, but the origin changes its stability at different angles. C "
        "to H: orbits at the dashed angles. Between the two bifurcations, D and G, the flow comes to rest and "
        "the map goes round."
    ),
}


class Curves(NamedTuple):
    """Everything that was computed."""

    measured: dict[str, Measured]
    automata: dict[str, automata.Automaton]
    loops: dict[str, Loop]
    rotation: Rotation
    line: Line
    ghosts: Ghosts


def jordan_figures(folder: Path, say: Say) -> tuple[tuple[str, ...], str, dict[str, Any]]:
    """The whole reproduction; see `reproduce`."""
    found = compute(say)
    facts = collect(found)
    return write(folder, say, found, facts)


def compute(say: Say) -> Curves:
    """All curves and certified points."""
    say("homoclinic orbits beside figure 4")
    loops = {case: follow_loop(case) for case in ("fig:4a", "fig:4b")}
    say("fixed points, with proof")
    flows: dict[str, Any] = {case: library.jordan(case) for case in _PRINTED}
    flows |= {f"{case} turned": loop.flow for case, loop in loops.items()}
    flows |= {"start of eq. 8": at(rotation(), START), "start of figure 7": at(bias_family(), START_BIAS)}
    measured = dict(zip(flows, measure(list(flows.values())), strict=True))
    say("equation 8 along alpha, as a flow and as a map")
    turning = follow_rotation(measured["start of eq. 8"])
    say("figures 6 and 7 along a parameter")
    line = follow_line(measured["fig:6a"])
    ghosts = follow_ghost(measured["start of figure 7"])
    say("automata")
    machines = {case: automata.automaton(case, measured[case]) for case in automata.PULSES}
    return Curves(measured, machines, loops, turning, line, ghosts)


def collect(found: Curves) -> dict[str, Any]:
    """The numbers of all figures, plain values only."""
    return {
        "automata": {case: automata.automaton_facts(case, one) for case, one in found.automata.items()},
        "4": {case: loop_facts(loop) | _regions(found.measured[case]) for case, loop in found.loops.items()},
        "5": rotation_facts(found.rotation),
        "6": line_facts(found.line, found.measured["fig:6a"]),
        "7": ghost_facts(found.ghosts, found.measured["fig:7a"]),
        "map and flow": map_and_flow.map_and_flow_facts(found.rotation),
    }


def _regions(measured: Measured) -> dict[str, Any]:
    axis = np.linspace(-1.0, 1.0, 61)
    inside = homoclinic(measured, axis)
    return {
        "areas": [area(line) for line in borders(measured)],
        "area_by_states": float(inside.sum()) * float(axis[1] - axis[0]) ** 2,
    }


def draw(found: Curves, facts: Mapping[str, Any]) -> dict[str, Figure]:
    """One picture for each chapter."""
    near = at(knob(found.measured["fig:6a"].flow, GAIN), 0.99 * found.line.pitchfork)
    (slow,) = measure([near], ghosts=False)
    measured = found.measured | {"fig:6a slow": slow}
    return {
        "automata": automata.draw(found.automata),
        "4": figure_4(found.loops, measured),
        "5": figure_5(found.rotation, facts["5"], measured),
        "6": figure_6(found.line, facts["6"], measured),
        "7": figure_7(found.ghosts, facts["7"], measured),
        "map and flow": map_and_flow.draw(found.rotation),
    }


def write(folder: Path, say: Say, found: Curves, facts: dict[str, Any]) -> tuple[tuple[str, ...], str, dict[str, Any]]:
    """Page, pictures, table and numbers."""
    say("drawing")
    figures = draw(found, facts)
    rows = entries(facts)
    pictures = {name: f"figure_{name.replace(' ', '_')}.png" for name in figures}
    for name, file in pictures.items():
        (folder / file).write_bytes(png(figures[name]))
    lines = summary(rows)
    result = {
        "source": "Jordan, Sokół, Park (2019)",
        "summary": lines,
        "table": [one._asdict() for one in rows],
        "figures": facts,
        "versions": versions(),
    }
    (folder / "table.md").write_text(markdown(rows), encoding="utf-8")
    dumped = json.dumps(result, indent=1, allow_nan=False, ensure_ascii=False)
    (folder / "result.json").write_text(dumped + "\n", encoding="utf-8")
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    origin = {"command": "gru-dynamics reproduce jordan-figures", "versions": versions()}
    page = gallery(_TITLE, _LEDE, _tiles(facts), _chapters(figures, rows, lines), origin, written=now)
    (folder / "figures.html").write_text(page, encoding="utf-8")
    return ("figures.html", "table.md", "result.json", *pictures.values()), "\n".join(lines), result


def summary(rows: list[Entry]) -> list[str]:
    """A sentence for each number that is printed or known."""
    return [f"Figure {one.figure}, {one.quantity}: {one.measured}. {one.words}" for one in rows]


def _tiles(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    five = facts["5"]
    return [
        (f"{five['hopf']['alpha']:.6f}", "Hopf of the flow, alpha"),
        (f"{facts['map and flow']['neimark_sacker']:.6f}", "Neimark-Sacker of the map"),
        (f"{np.mean(five['folds']['alpha']):.6f}", "four folds at once"),
        (f"{five['cycles']['fig:5b']['period']:.6f}", "period of figure 5B"),
        (f"{five['cycles']['fig:5c']['period']:.4f}", "period of figure 5C"),
        (f"{facts['7']['distance']:.5f}", "figure 7 to its fold, bias"),
    ]


def _chapters(figures: Mapping[str, Figure], rows: list[Entry], lines: list[str]) -> list[Chapter]:
    anchors = {"2": "automata", "3a": "automata", "map": "map and flow"}

    def anchor(figure: str) -> str:
        name = figure if figure in _TITLES else anchors.get(figure, figure[0])
        return f"figure-{name.replace(' ', '-')}"

    table = tuple((*one.row(), anchor(one.figure)) for one in rows)
    cards = [
        Card(
            anchor(name), _TITLES[name], "", True, (Shot(webp(figure), _TITLES[name], _CAPTIONS[name]),), (),
            {one.quantity: f"{one.measured}. {one.words}" for one in rows if anchor(one.figure) == anchor(name)},
        )
        for name, figure in figures.items()
    ]  # fmt: skip
    words = ("Every number is computed here; what is printed is quoted with its place, empty where nothing is.",)
    last = cards.pop()
    return [
        Chapter("Measured beside printed", words, COLUMNS, table),
        Chapter("The figures", cards=tuple(cards)),
        Chapter("Side by side: map and flow along alpha", cards=(last,)),
    ]
