"""What the colours of a phase diagram stand for."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.typing import ColorType

from ..sweeps import undecided

_KINDS = ("sink", "saddle", "source", "degenerate")

# More colours than this cannot be told apart; the rest share one.
_MOST = 14
_OTHER = "#8c6d4f"


class PhaseClass(NamedTuple):
    """One entry of the legend. An undecided one has no colour of its own."""

    name: str
    colour: ColorType
    decided: bool
    height: float


def classify(columns: Mapping[str, Any], value: str | np.ndarray) -> tuple[np.ndarray, list[PhaseClass]]:
    """Class number of each row `(N,)`, and the classes, by count and then by stability; undecided ones last."""
    if isinstance(value, str) and value in ("count", "topology"):
        keys, reasons = _keys(columns, value)
    else:
        plain = np.asarray(columns[value] if isinstance(value, str) else value)
        keys, reasons = [(item,) for item in plain.tolist()], np.full(len(plain), "")
    decided = sorted({key for key, reason in zip(keys, reasons, strict=True) if not reason}, key=_order)
    kept, rare = _frequent(keys, reasons, decided)
    classes = [
        PhaseClass(_name(key), colour, True, _height(key)) for key, colour in zip(kept, _colours(kept), strict=True)
    ]
    place: dict[Any, int] = {key: number for number, key in enumerate(kept)}
    if rare:
        place |= dict.fromkeys(rare, len(classes))
        classes.append(PhaseClass(f"{len(rare)} others, rare", _OTHER, True, max(map(_height, rare))))
    for reason in sorted(set(reasons) - {""}):
        place[reason] = len(classes)
        classes.append(PhaseClass(f"undecided: {reason.replace('_', ' ')}", "#c8c8c8", False, 0))
    found = [place[reason or key] for key, reason in zip(keys, reasons.tolist(), strict=True)]
    return np.array(found, dtype=int), classes


def _keys(columns: Mapping[str, Any], value: str) -> tuple[list[tuple[Any, ...]], np.ndarray]:
    """What tells the classes apart, and why a row has none, `""` if it has."""
    count = np.asarray(columns["count_lower" if "count_lower" in columns else "count"])
    reasons = undecided(columns)
    parts = [count]
    if value == "topology":
        zeros = np.zeros_like(count)
        parts += [np.asarray(columns.get(f"num_{kind}{'s' * (kind != 'degenerate')}", zeros)) for kind in _KINDS]
        if "num_unclear" in columns:
            reasons = np.where((reasons == "") & (np.asarray(columns["num_unclear"]) > 0), "stability", reasons)
    return list(map(tuple, np.stack(parts, axis=1).tolist())), reasons


def _order(key: tuple[Any, ...]) -> Any:
    """By count, then the most stable first."""
    return (key[0], *(-item for item in key[1:]))


def _frequent(keys: list, reasons: np.ndarray, decided: list) -> tuple[list, list]:
    if len(decided) <= _MOST:
        return decided, []
    number = dict.fromkeys(decided, 0)
    for key, reason in zip(keys, reasons.tolist(), strict=True):
        if not reason:
            number[key] += 1
    best = set(sorted(decided, key=lambda key: -number[key])[: _MOST - 1])
    return [key for key in decided if key in best], [key for key in decided if key not in best]


def _name(key: tuple[Any, ...]) -> str:
    words = [
        f"{number} {kind}{'s' * (number != 1 and kind != 'degenerate')}"
        for kind, number in zip(_KINDS, key[1:], strict=False)
        if number
    ]
    return f"{key[0]}: {', '.join(words)}" if words else str(key[0])


def _height(key: tuple[Any, ...]) -> float:
    return float(key[0]) if isinstance(key[0], int | float) else 0.0


def _colours(keys: list) -> list[ColorType]:
    """Darker with every further count, so that a grey copy keeps the order; among equal counts the hue goes from blue,
    the most stable, by red to yellow."""
    counts = sorted({key[0] for key in keys})
    colours = []
    for key in keys:
        alike = [other for other in keys if other[0] == key[0]]
        across = alike.index(key) / max(len(alike) - 1, 1)
        down = counts.index(key[0]) / max(len(counts) - 1, 1)
        chroma = 0.055 + 0.095 * np.sin(np.pi * (0.15 + 0.7 * down))
        colours.append(_oklch(0.93 - 0.62 * down, chroma, 250 + 190 * across))
    return colours


def _oklch(lightness: float, chroma: float, hue: float) -> ColorType:
    """Colour of a perceived lightness, chroma and hue in degrees (Ottosson 2020), cut to what a screen shows."""
    a, b = chroma * np.cos(np.deg2rad(hue)), chroma * np.sin(np.deg2rad(hue))
    to_cone = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.707614701],
        ]
    )
    linear = np.clip(to_rgb @ (to_cone @ np.array([lightness, a, b])) ** 3, 0, 1)
    return tuple(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).tolist())
