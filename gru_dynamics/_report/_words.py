"""What was found, in sentences that someone who has never heard of a saddle can read."""

import numpy as np

from ._analysis import Analysis, Point

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_CELLS = {
    "GRUCell": "GRU",
    "LSTMCell": "LSTM",
    "ElmanCell": "plain recurrent network",
    "NCGRUCell": "orthogonal GRU",
    "ScoRNNCell": "orthogonal recurrent network",
    "GORUCell": "GRU of rotations",
    "StackedCell": "stack of cells",
}


def story(analysis: Analysis) -> list[str]:
    """The summary of an analysis.

    **Arguments:** `analysis`, of a system of any shape.

    **Returns:** sentences grouped in paragraphs, plain text: what it is, memories, decisions, readout, certificate.

    **Source:** the reading of sinks as memories and saddles as decisions: Sussillo & Barak (2013).
    """
    parts = [_what(analysis), _memories(analysis), _decisions(analysis), _readout(analysis), _certificate(analysis)]
    return [part for part in parts if part]


def number(count: int, noun: str, plural: str | None = None) -> str:
    """A count in words up to twelve, with its noun."""
    word = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    return f"{word} {noun if count == 1 else plural or noun + 's'}"


def length(values: list[float], unit: str) -> str:
    """One duration or a range of them."""
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"


def decoded(points: list[Point]) -> list[tuple[int, ...]] | None:
    """Readouts as signs, when every one is nearly +1 or -1."""
    values = [point.readout for point in points if point.readout is not None]
    if not values or max(float(np.abs(np.abs(value) - 1).max()) for value in values) > 0.25:
        return None
    return [tuple(int(sign) for sign in np.sign(value)) for value in values]


def _what(analysis: Analysis) -> str:
    system, count = analysis.system, len(analysis.points)
    cell = _CELLS.get(system["cell"], system["cell"])
    size = number(system["hidden_size"], "unit")
    view = "the map it applies at each step" if analysis.is_map else "a flow in continuous time"
    held = system["input"]
    where = "with its input held at zero" if held is None or not any(held) else "with its input held constant"
    if not system["input_size"]:
        where = "without input"
    text = f"This {cell} with {size}, taken as {view} {where},"
    if not count:
        return f"{text} was searched for fixed points, and none was found."
    states = "states" if count != 1 else "a state"
    return f"{text} has {number(count, 'fixed point')}: {states} that it would never leave on its own."


def _memories(analysis: Analysis) -> str:
    sinks = analysis.of_kind("sink")
    if not analysis.points:
        return ""
    if not sinks:
        return (
            "None of them is a sink: there is nowhere to come to rest, so in the long run the network oscillates or "
            "wanders."
        )
    one = len(sinks) == 1
    text = f"{number(len(sinks), 'is a sink', 'are sinks').capitalize()}, {'its memory' if one else 'its memories'}: "
    text += f"from all states near {'it' if one else 'one'}, the network returns to it."
    times = [point.time_constant(analysis.is_map) for point in sinks]
    text += f" A small disturbance there shrinks by a factor e in {length(times, analysis.unit)}."
    periods = [period for point in sinks if (period := point.period(analysis.is_map)) is not None]
    if periods:
        who = "At the sink" if one else f"At {_NUMBERS[len(periods)] if len(periods) < 13 else len(periods)} of these"
        text += f" {who} the slowest mode oscillates while it fades, with a period of {length(periods, analysis.unit)}."
    return text


def _decisions(analysis: Analysis) -> str:
    saddles = analysis.of_kind("saddle")
    simple = [point for point in saddles if point.unstable_dim == 1]
    text = ""
    if simple:
        have = number(len(simple), "saddle has", "saddles have").capitalize()
        text = (
            f"{have} one unstable direction: {'a decision point' if len(simple) == 1 else 'decision points'}, where "
            "the smallest nudge decides between two outcomes."
        )
        known = [point for point in simple if len(point.leads_to) == 2]
        if known and len(known) == len(simple) and all(point.leads_to[0] != point.leads_to[1] for point in known):
            subject = "It lies" if len(known) == 1 else "Each lies"
            text += f" {subject} on the border between two different sinks{_one_bit(analysis, known)}."
    more = len(saddles) - len(simple)
    if more:
        text += (
            f" {number(more, 'saddle has', 'saddles have').capitalize()} more than one unstable direction: "
            "crossings of several decisions."
        )
    sources = analysis.of_kind("source")
    if sources:
        text += f" {number(len(sources), 'is a source', 'are sources').capitalize()}, left in every direction."
    return text.strip()


def _one_bit(analysis: Analysis, deciding: list[Point]) -> str:
    """Whether the two outcomes of every decision differ in one output."""
    ends = [[analysis.points[end] for end in point.leads_to] for point in deciding]
    signs = [decoded(pair) for pair in ends]
    if all(pair is not None and sum(a != b for a, b in zip(*pair, strict=True)) == 1 for pair in signs):
        return ", and these two differ in exactly one output: each decision flips one bit"
    return ""


def _readout(analysis: Analysis) -> str:
    signs = decoded(analysis.of_kind("sink"))
    if signs is None:
        return ""
    distinct, width = len(set(signs)), len(signs[0])
    shown = ", ".join("(" + ", ".join(f"{sign:+d}" for sign in row) + ")" for row in sorted(set(signs))[:8])
    text = f"Through the readout in the file, rounded, the sinks say {shown}{', ...' if distinct > 8 else ''}"
    if distinct == len(signs) == 2**width and width > 1:
        return f"{text}: each of the {2**width} combinations exactly once."
    return f"{text}."


def _certificate(analysis: Analysis) -> str:
    total = analysis.index_sum
    texts = {
        "certified": (
            "Is the list complete? Yes, and that is proven: interval arithmetic excludes every other state of the box "
            f"that the network lives in ({analysis.proof.get('num_boxes', 0)} pieces were looked at)."
        ),
        "consistent": (
            "Is the list complete? The network cannot leave a box, and then the indices of all its fixed points "
            f"(+1 or -1 each) must sum to +1. Those found sum to {total:+d}. So no single point is missing. It is a "
            "check, not a proof: missing points in pairs of opposite index, such as a sink and a saddle, "
            "would not show."
        ),
        "incomplete": (
            f"Is the list complete? The indices of all fixed points must sum to +1; those found sum to {total:+d}"
            + (
                ", but a degenerate point leaves the sum open. The check says nothing here."
                if analysis.of_kind("degenerate")
                else f". At least {number(abs(total - 1), 'point is', 'points are')} missing: search from more starts."
                if total != 1
                else ", but the list is cut. Allow more points."
            )
        ),
        "unknown": (
            "Is the list complete? This network is not confined to a box, so there is nothing to check "
            "the list against."
        ),
    }
    return f"{_existence(analysis)} {texts[analysis.complete]}".strip()


def _existence(analysis: Analysis) -> str:
    radii = [point.radius for point in analysis.points]
    proven = [radius for radius in radii if radius is not None]
    if not proven:
        return ""
    if len(proven) == len(radii):
        return f"Each point of the list is proven to exist, within {max(proven):.0e} of where it is listed."
    return f"Of the points, {len(proven)} are proven to exist, within {max(proven):.0e} of where they are listed."
