"""Measured beside printed for the figures, one row for each number."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ._jordan_words import place

COLUMNS = ("figure", "quantity", "printed", "where", "measured", "in words")

# Computed independently of this library, from the printed parameters.
KNOWN = {"fig:5b": 17.45791322, "fig:5c": 625.349230, "pi/5": 17.45796528}

Facts = Mapping[str, Any]


class Entry(NamedTuple):
    """One number: of which figure, what, what is printed and where, what was measured, and what that means."""

    figure: str
    quantity: str
    printed: str
    where: str
    measured: str
    words: str

    def row(self) -> tuple[str, ...]:
        """The cells under `COLUMNS`."""
        return (self.figure, self.quantity, self.printed, self.where, self.measured, self.words)


def entries(facts: Facts) -> list[Entry]:
    """All rows, by figure."""
    return [
        *_automata(facts["automata"]),
        *_loops(facts["4"]),
        *_family(facts["5"]),
        *_line(facts["6"]),
        *_ghost(facts["7"]),
        *_map(facts["map and flow"]),
    ]


def _automata(facts: Facts) -> list[Entry]:
    rows = []
    for case, one in facts.items():
        name = case.removeprefix("fig:")
        states, open_ = len(one["sinks"]), sum(end <= 0 for row in one["transitions"] for end in row)
        printed = ("4 states, transitions by input", "figure 2 B") if name == "2" else ("not printed", "")
        letters = len(one["pulses"])
        table = "; ".join(
            f"({pulse[0]:g}, {pulse[1]:g}): " + " ".join("?" if end <= 0 else str(end) for end in row)
            for pulse, row in zip(one["pulses"], one["transitions"], strict=True)
        )
        rows.append(
            Entry(
                name, "automaton of the sinks", *printed, f"{states} states, {letters} pulses; {table}",
                f"{'All' if not open_ else f'All but {open_} of'} {states * letters} transitions are certain; "
                f"{one['certified_sinks']} sinks are proven. The pulses are ours, for {one['duration']:g} time units.",
            )
        )  # fmt: skip
    return rows


def _loops(facts: Facts) -> list[Entry]:
    rows = []
    for case, one in facts.items():
        name, number = case.removeprefix("fig:"), {"fig:4a": "one", "fig:4b": "two"}[case]
        hopf, end = one["hopf"], one["homoclinic"]
        two = end["gain_from_the_period"], end["gain_from_the_manifolds"]
        rows += [
            Entry(
                name, "regions of homoclinic orbits", number, f"figure {name.upper()}",
                f"{len(one['areas'])}, areas {', '.join(f'{area:.4f}' for area in one['areas'])}",
                f"Area inside the saddles' manifolds, by the shoelace formula; counting a grid of states that come to "
                f"the origin in both directions of time gives {one['area_by_states']:.4f} in all.",
            ),
            Entry(
                name, f"U_h turned by {one['turn']:g}: Hopf", "", "", f"gain {hopf['gain']:.10f}",
                f"2 / cos = {hopf['closed_form']:.10f}; first Lyapunov coefficient {hopf['lyapunov']:.1f}, "
                f"{'supercritical' if hopf['lyapunov'] < 0 else 'subcritical'}.",
            ),
            Entry(
                name, f"U_h turned by {one['turn']:g}: homoclinic orbit of a saddle", "", "", f"gain {two[1]:.9f}",
                f"Where the stable and unstable manifold of the saddle {place(np.array(end['saddle']))} meet, gap "
                f"{end['gap']:.0e}; extrapolated from the period of the cycles {two[0]:.9f}, "
                f"{abs(two[0] - two[1]):.0e} apart. Its eigenvalues sum to {end['saddle_quantity']:+.4f}, {_last(end)}",
            ),
        ]  # fmt: skip
    return rows


def _last(end: Facts) -> str:
    """What the saddle quantity says about the last cycles, beside what was seen."""
    seen = f"all cycles followed, up to T = {end['longest_period']:.0f}, are stable"
    if end["saddle_quantity"] < 0:
        return f"so the last cycles are stable; {seen if end['all_stable'] else 'not all that were followed are'}."
    if not end["all_stable"]:
        return "so the last cycles are unstable, as were some of those followed."
    return f"so the very last cycles are unstable: {seen}, and a fold of cycles must lie beyond."


def _family(facts: Facts) -> list[Entry]:
    hopf, folds, end, cycles = facts["hopf"], facts["folds"], facts["end"], facts["cycles"]
    closed, alpha = hopf["closed_form"], np.array(folds["alpha"])
    rows = [
        Entry(
            "5", "Hopf point", f"about pi/3.8 = {hopf['printed']:.6f}", "text below eq. 8",
            f"alpha = {hopf['alpha']:.10f} = pi/{np.pi / hopf['alpha']:.4f}",
            f"arccos(2/3), {_within(hopf['alpha'], closed['alpha'])}; the printed value is "
            f"{hopf['alpha'] - hopf['printed']:.4f} too small.",
        ),
        Entry(
            "5", "frequency at the Hopf point", "", "", f"omega = {hopf['omega']:.10f}",
            f"(3/4) sin(alpha), {_within(hopf['omega'], closed['omega'])}.",
        ),
        Entry(
            "5", "first Lyapunov coefficient", "", "", f"{hopf['lyapunov']:.10f}",
            f"-(3/4)/sin(alpha), {_within(hopf['lyapunov'], closed['lyapunov'])}; negative: a stable cycle is born "
            "where alpha falls, as printed.",
        ),
        *(_period(case, name, cycles[case]["period"]) for case, name in (("fig:5b", "5B"), ("fig:5c", "5C"))),
        _period("pi/5", "5", cycles["pi/5"]["period"]),
        Entry(
            "5", "period at alpha = pi/21 exactly", "", "", f"{cycles['pi/21']['period']:.6f}",
            "The angle that the printed matrix of 5C rounds; near the folds four digits change the period by "
            f"{abs(cycles['pi/21']['period'] - cycles['fig:5c']['period']):.2g}.",
        ),
        Entry(
            "5", "end of the cycle", "arbitrarily long periods", "text below eq. 8",
            f"alpha = {end['alpha']:.9f} ({end['kind'].replace('_', ' ')})",
            f"{len(alpha)} folds at once at alpha = {alpha.mean():.12f}, equal to {np.ptp(alpha):.0e}, "
            f"{abs(end['alpha'] - alpha.mean()):.0e} from where the period is extrapolated to infinity: a saddle-node "
            "on the cycle, four times, by the symmetry under a quarter turn.",
        ),
        Entry(
            "5", "law of the period", "", "", f"T -> {end['rate']:.4f} / sqrt(alpha - alpha*)",
            f"Four passages of the folds' normal form give {end['rate_from_the_folds']:.4f}. Checked up to "
            f"T = {end['longest_period']:.0f}.",
        ),
    ]  # fmt: skip
    return rows


def _within(value: float, known: float) -> str:
    """How near a number is to the one that it should be."""
    return f"to {abs(value - known):.0e}" if value != known else "to the last digit"


def _period(case: str, name: str, period: float) -> Entry:
    where = {"fig:5b": "parameters of figure 5B", "fig:5c": "parameters of figure 5C", "pi/5": "alpha = pi/5 exactly"}
    return Entry(
        name, f"period, {where[case]}", "only drawn", "figure 5, bottom", f"{period:.8f}",
        f"Integrated independently of this library: {KNOWN[case]:.9g}, {abs(period - KNOWN[case]):.0e} apart.",
    )  # fmt: skip


def _line(facts: Facts) -> list[Entry]:
    slow, fast = max(facts["time_constants"]), min(facts["time_constants"])
    shortest, longest = facts["time_to_a_tenth"]
    entries_ = ", ".join(
        f"{name} = {one['needed']:.4g} instead of {one['printed']:g}"
        for name, one in facts["singular_entries"].items()
        if one["needed"] is not None
    )
    return [
        Entry(
            "6", "time constants of the sink", "a pseudo-line attractor", "section 4 and figure 6",
            f"{slow:.4f} and {fast:.4f}",
            f"They are alike, so there is no line of slow states: from a circle of radius 0.2 every trajectory is at a "
            f"tenth of it within {shortest:.2f} to {longest:.2f}, and {facts['slow_points'] or 'no'} slow points were "
            "found. The printed parameters do not give the printed picture.",
        ),
        Entry(
            "6", "nearest singular gain", "1", "table 1",
            f"{facts['singular_gain']:.6f}",
            f"All of U_h has to be {facts['singular_gain']:.2f} times as large for a pitchfork of the origin, where "
            f"the slow time constant is infinite. With one entry changed alone: {entries_}.",
        ),
    ]  # fmt: skip


def _ghost(facts: Facts) -> list[Entry]:
    fold = facts["fold"]
    return [
        Entry(
            "7", "slow point", "about the origin", "caption of figure 7",
            f"{place(np.array(facts['slow_point']))}, speed {facts['speed']:.2e}",
            f"One fixed point is proven, and it is elsewhere. The trajectory from (-1, 0.4) is within 0.1 of the slow "
            f"point for {facts['time_near']:.2f}.",
        ),
        Entry(
            "7", "fold next to it", f"b_h1 = {facts['printed_b_h1']:g}", "table 1", f"b_h1 = {fold['b_h1']:.10f}",
            f"{facts['distance']:.6f} from the printed bias, at {place(np.array(fold['state']))}: there two points "
            "meet that exist below it.",
        ),
        Entry(
            "7", "law of the passage", "", "", f"T -> {facts['factor']:.4f} / sqrt(b - b*)",
            f"From the fold's normal form; at {facts['times'][0][0]:.0e} from the fold {facts['times'][0][1]:.2f} "
            f"measured, {facts['factor'] / np.sqrt(facts['times'][0][0]):.2f} by the law.",
        ),
    ]  # fmt: skip


def _map(facts: Facts) -> list[Entry]:
    signs = "; ".join(f"alpha = {one['alpha']:g}: {one['flow']}, {one['map']}" for one in facts["origin"])
    return [
        Entry(
            "map", "Neimark-Sacker point of the map", "", "", f"alpha = {facts['neimark_sacker']:.10f}",
            f"arccos(1/4), {_within(facts['neimark_sacker'], np.arccos(1 / 4))}; the flow has its Hopf point at "
            f"{facts['hopf']:.10f}. Between the two the origin is a sink of the flow and a source of the map, so the "
            "network as trained and the flow in the paper differ.",
        ),
        Entry(
            "map", "fixed points and folds", "", "", f"{facts['folds'][0]} and {facts['folds'][1]} folds",
            f"The same, {_within(facts['largest_difference_of_folds'], 0.0)}. Origin, flow and map: {signs}.",
        ),
    ]  # fmt: skip


def markdown(found: list[Entry]) -> str:
    """The rows as a table."""
    head = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in one.row()) + " |" for one in found]
    return "\n".join(["# Figures of Jordan, Sokół and Park (2019): measured beside printed", "", *head, *body]) + "\n"
