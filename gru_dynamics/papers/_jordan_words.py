"""Measured beside printed: what agrees, and every disagreement in words."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ..bifurcations import Topology, impossible_rows
from ._jordan_measure import Ghost, Measured, Pair, closest_pairs

_NAMES = {
    "saddle_sink": "saddle-sink collision",
    "saddle_source": "saddle-source collision",
    "codim2": "codimension-2 point",
}
Marks = Sequence[tuple[str, np.ndarray]]
_NUMBERS = ("no", "one", "two", "three", "four", "five")
# A pair further apart than this, or a ghost with a larger residual, has nothing to do with a printed collision.
_FAR = 1.0
_FAST = 0.1


class Verdict(NamedTuple):
    """How a printed row compares: `agrees`; `misprint`, rounding alone cannot explain the difference; `words`
    (sentences); and what became of its collisions."""

    agrees: bool
    misprint: bool
    words: tuple[str, ...]
    pairs: tuple[Pair, ...]
    vanished: tuple[Ghost, ...]


def compare(row: str | None, printed: Topology | None, measured: Measured, exact: Marks = ()) -> Verdict:
    """The verdict on one case; `row` is the row of the paper's table 2 that the case should show, `exact` where its
    degenerate points are once they are made exact: kind and state."""
    words = _impossible(row)
    if printed is None:
        return Verdict(True, False, tuple(_degenerate(measured)), (), ())
    collisions = {kind: getattr(printed, kind) for kind in _NAMES}
    same = (printed.sinks, printed.sources, printed.saddles) == (measured.sinks, measured.sources, measured.saddles)
    held = all(measured.number(kind) == number for kind, number in collisions.items())
    if same and held and not measured.number("regular"):
        return Verdict(not words, bool(words), (*words, *_degenerate(measured)), (), ())
    if words:
        text = f"Measured at the printed parameters: {_simple(measured)}."
        return Verdict(False, True, (*words, text), (), ())
    left = sum(collisions.values()) - sum(measured.number(kind) for kind in _NAMES)
    nodes = measured.sinks + measured.sources - printed.sinks - printed.sources
    saddles = measured.saddles - printed.saddles
    pairs = closest_pairs(measured, max(0, min(nodes, saddles, left))) if left > 0 else ()
    pairs = tuple(pair for pair in pairs if pair.distance < _FAR)
    vanished = _near(measured, pairs)[: max(0, left - len(pairs))]
    words += _collisions(collisions, left, pairs, vanished, measured, exact)
    misprint = (nodes, saddles) != (len(pairs), len(pairs))
    if misprint:
        words.append(
            "That is not all: rounding a collision changes sinks and saddles, or sources and saddles, by one each. "
            f"Printed: {_simple(printed)}. Measured: {_simple(measured)}."
        )
    return Verdict(False, misprint, tuple(words), pairs, vanished)


def _impossible(row: str | None) -> list[str]:
    """What the index check says about the printed row itself."""
    repairs = impossible_rows()
    if row is None or row not in repairs:
        return []
    text = f"No system can have the printed row {row}: its indices do not sum to +1."
    ways = " or ".join(repair.text for repair in repairs[row])
    return [f"{text} It becomes possible with one change: {ways}." if ways else text]


def _near(measured: Measured, pairs: tuple[Pair, ...]) -> tuple[Ghost, ...]:
    """Slow points that are neither fast nor between the two points of a pair."""
    middles = [(pair.node + pair.saddle) / 2 for pair in pairs]
    return tuple(
        ghost
        for ghost in measured.ghosts
        if ghost.residual < _FAST
        and all(
            np.linalg.norm(ghost.state - middle) > pair.distance for middle, pair in zip(middles, pairs, strict=True)
        )
    )


def _collisions(
    collisions: dict[str, int],
    left: int,
    pairs: tuple[Pair, ...],
    vanished: tuple[Ghost, ...],
    measured: Measured,
    exact: Marks,
) -> list[str]:
    if not sum(collisions.values()):
        return []
    printed = " and ".join(
        f"{_NUMBERS[number]} {_NAMES[kind]}{'s' * (number > 1)}" for kind, number in collisions.items() if number
    )
    held = sum(collisions.values()) - left
    parts = [f"{_NUMBERS[held]} to within {max(p.width for p in measured.degenerate):.0e}"] if held > 0 else []
    parts += [
        f"a simple {pair.node_kind} and a simple saddle {pair.distance:.1e} apart at {place(pair.node)}"
        for pair in pairs
    ]
    parts += [
        f"nothing at {place(ghost.state)}, nearest approach |f| = {ghost.residual:.1e}: vanished" for ghost in vanished
    ]
    lost = left - len(pairs) - len(vanished)
    known = [(pair.node + pair.saddle) / 2 for pair in pairs] + [ghost.state for ghost in vanished]
    for _, state in _unmatched([state for _, state in exact], known)[:lost]:
        size = float(np.linalg.norm(np.asarray(measured.flow.residual(jnp.asarray(state)))))
        parts.append(f"nothing at {place(state)}, where it is once made exact; |f| = {size:.1e}: vanished")
        lost -= 1
    parts += [f"no trace of {_NUMBERS[lost]}"] if lost > 0 else []
    return [f"Printed: {printed}. At the printed parameters: {'; '.join(parts)}."]


def _unmatched(states: list[np.ndarray], known: list[np.ndarray]) -> list[tuple[float, np.ndarray]]:
    """The states without a partner, when each of the known ones takes the nearest; the farthest first."""
    free = list(states)
    for place_ in known:
        if free:
            free.pop(int(np.argmin([np.linalg.norm(state - place_) for state in free])))
    gaps = [min((float(np.linalg.norm(state - other)) for other in known), default=np.inf) for state in free]
    return sorted(zip(gaps, free, strict=True), key=lambda entry: -entry[0])


def _degenerate(measured: Measured) -> list[str]:
    words = []
    for (kind, degree), number in Counter((point.kind, point.degree) for point in measured.degenerate).items():
        where = ", ".join(place(p.state) for p in measured.degenerate if (p.kind, p.degree) == (kind, degree))
        width = max(p.width for p in measured.degenerate if (p.kind, p.degree) == (kind, degree))
        degrees = "unknown degree" if degree is None else f"proven degree {degree:+d}" if degree else "proven degree 0"
        nature = {
            "codim2": "the whole Jacobian of the residual vanishes (rank 0, generic codimension 4)",
            "saddle_sink": "a fold of a saddle and a sink (rank 1)",
            "saddle_source": "a fold of a saddle and a source (rank 1)",
            "regular": "undecided points of full rank",
        }[kind]
        one = "" if number == 1 else f"{_NUMBERS[number]} points: "
        words.append(f"At {where}, within a box {width:.0e} wide, {one}{nature}, {degrees}.")
        if kind == "codim2" and degree is not None and degree > 1:
            words.append(
                f"Degree {degree} = 1 + (e - h)/2 with e elliptic and h hyperbolic sectors, so at least "
                f"{_NUMBERS[2 * (degree - 1)]} regions of homoclinic orbits leave from it."
            )
    return words


def flips_in_words(measured: Measured) -> list[str]:
    """Where the discrete map of the same cell has another stability than the flow."""
    return [
        f"The point {place(state)} is a {flow} of the flow but a {discrete} of the discrete map "
        f"(largest multiplier {size:.4f})."
        for state, flow, discrete, size in measured.flips
    ]


def _simple(counts: Topology | Measured) -> str:
    parts = [
        f"{number} {name}{'s' * (number != 1)}"
        for name, number in (("sink", counts.sinks), ("source", counts.sources), ("saddle", counts.saddles))
        if number
    ]
    return ", ".join(parts) or "none"


def place(state: np.ndarray) -> str:
    """A point in the plane, four digits."""
    return "(" + ", ".join(f"{value + 0.0:.4g}" for value in np.where(np.abs(state) < 1e-9, 0.0, state)) + ")"
