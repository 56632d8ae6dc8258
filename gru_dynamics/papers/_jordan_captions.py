"""What stands under the figures, and their numbers beside the known ones."""

from typing import Any

TITLES = {
    "1": "one unit has one, two or three fixed points",
    "2": "two independent bistable units",
    "3": "eleven points, and degenerate ones",
    "4": "homoclinic orbits",
    "5": "from a focus to a slow limit cycle",
    "6": "a pseudo-line attractor",
    "7": "a slow point",
}

CAPTIONS = {
    "1": (
        "Top: flow of one unit at three biases; full, stable; open, unstable; half, half-stable. Bottom left: fixed "
        "points against the bias, in closed form, with the two folds. Bottom right: proven counts of random units."
    ),
    "2": "Nine points; the four sinks are the states of an automaton, and each saddle lies between two of them.",
    "3": (
        "A: the most points seen, 11 = 5/1/5. B: at the origin the whole Jacobian vanishes. C: printed as a "
        "saddle-source collision, in truth two simple points (ring). D: which sinks of A are neighbours."
    ),
    "4": (
        "White: states that come to the origin both forward and backward in time. Lines: separatrices of the saddles, "
        "and homoclinic orbits. A degenerate point of degree 2 must have at least two such regions."
    ),
    "5": (
        "A: the sink is a focus. B: after the Hopf point a stable limit cycle. C: near four folds the state lingers at "
        "each of their ghosts, and the period grows without bound."
    ),
    "6": (
        "At the printed parameters the sink is an ordinary node: the two time constants are alike, so there is no "
        "line of slow states."
    ),
    "7": "The cross is where the speed is least without being zero: two fixed points have just annihilated there.",
}


def figure_facts(number: str, facts: dict[str, Any]) -> dict[str, object]:
    """Measured beside known, as lines of text."""
    if number == "1":
        return {
            f"fold {place + 1}": f"h = {fold['h']:.8f} (known {fold['known_h']:.8f}), b_h = {fold['b_h']:.8f} "
            f"(known {fold['known_b_h']:.8f})"
            for place, fold in enumerate(facts["folds"])
        }
    if number == "4":
        return {
            case.replace("fig:", "panel "): f"degree of the origin {part['degree']:+d}, rank {part['rank']}; "
            f"{part['regions']} region{'s' * (part['regions'] != 1)}, {100 * part['share_of_box']:.0f} % of the box"
            for case, part in facts.items()
        }
    if number == "5":
        b, c, hopf = facts["fig:5b"], facts["fig:5c"], facts["hopf"]
        return {
            "Hopf point": f"alpha = {hopf['alpha']:.10f} = arccos(2/3) (printed: about pi/3.8 = {hopf['printed']:.4f})",
            "5b period": f"{b['period']:.8f} (known {b['known_period']:.8f})",
            "5b crosses h2 = 0 upward": f"h1 = {b['crossing']:.7f} (known {b['known_crossing']:.7f})",
            "5c period": f"{c['period']:.6f} (known {c['known_period']:.6f})",
            "5c largest h1": f"{c['largest']:.8f} (known {c['known_largest']:.8f})",
        }
    if number == "6":
        slow, fast = max(facts["time_constants"]), min(facts["time_constants"])
        return {
            "printed": "a pseudo-line attractor: nullclines close together over a finite region",
            "measured": f"time constants {slow:.3f} and {fast:.3f}, ratio {slow / fast:.2f}: no such region",
        }
    if number == "7":
        fold = facts["fold"]
        return {
            "slow point": f"{facts['place']}, speed {facts['speed']:.2e}",
            "time within 0.1 of it": f"{facts['time_within_0.1']:.2f}",
            "fold": f"at b_h1 = {fold['b_h1']:.8f}; the figure has {fold['printed_b_h1']:g}",
        }
    return {
        "transitions": ", ".join("{}-{}".format(*edge["between"]) for edge in facts["transitions"]),
    }


def figures_in_words(figures: dict[str, dict[str, Any]]) -> list[str]:
    """What the figures show beside what is printed or known, a sentence each."""
    lines = []
    if "5" in figures:
        b, c = figures["5"]["fig:5b"], figures["5"]["fig:5c"]
        lines.append(
            f"Figure 5: limit cycles of period {b['period']:.8f} (known {b['known_period']:.8f}) and {c['period']:.6f} "
            f"(known {c['known_period']:.6f})."
        )
    if "6" in figures:
        slow, fast = max(figures["6"]["time_constants"]), min(figures["6"]["time_constants"])
        lines.append(
            f"Figure 6 is called a pseudo-line attractor; at the printed parameters the time constants of the sink are "
            f"{slow:.2f} and {fast:.2f}, so it is an ordinary node: another misprint."
        )
    return lines
