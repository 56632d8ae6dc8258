"""How special points are drawn, and lines that change their style at them."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.typing import ColorType

from ..continuation import Location, SpecialKind
from ._style import INK, PAPER, halo

_THICK, _THIN = 2.4, 1.0
# More abbreviations than this hide the lines, and the markers say the same.
_MOST_LABELS = 12
# Where the letters of a label are, in points around its middle.
_LETTERS = np.array([[-7.0, 0.0], [0.0, 0.0], [7.0, 0.0]])


class SpecialStyle(NamedTuple):
    """`short`, the field's abbreviation, `name`, `colour` and `marker` of one kind of special point."""

    short: str
    name: str
    colour: str
    marker: str


# The hues by kind are those of BifurcationKit.jl (fold black, branch point blue, Hopf red, period doubling green,
# Neimark-Sacker orange) in the shades of Okabe & Ito (2008); the marker tells them apart in grey.
BLACK, BLUE, RED, GREEN, ORANGE, BROWN = "#1a1a1a", "#0072b2", "#cc3311", "#009e73", "#e69f00", "#8c510a"

STYLES = {
    SpecialKind.FOLD: SpecialStyle("LP", "fold", BLACK, "s"),
    SpecialKind.BRANCH_POINT: SpecialStyle("BP", "branch point", BLUE, "D"),
    SpecialKind.HOPF: SpecialStyle("H", "Hopf", RED, "o"),
    SpecialKind.PERIOD_DOUBLING: SpecialStyle("PD", "period doubling", GREEN, "^"),
    SpecialKind.NEIMARK_SACKER: SpecialStyle("NS", "Neimark-Sacker", ORANGE, "h"),
    SpecialKind.TRANSCRITICAL: SpecialStyle("TC", "transcritical", BLUE, "X"),
    SpecialKind.PITCHFORK: SpecialStyle("PF", "pitchfork", BLUE, "D"),
    SpecialKind.CUSP: SpecialStyle("CP", "cusp", BROWN, "v"),
    SpecialKind.BOGDANOV_TAKENS: SpecialStyle("BT", "Bogdanov-Takens", RED, "D"),
    SpecialKind.ZERO_HOPF: SpecialStyle("ZH", "zero-Hopf", ORANGE, "P"),
    SpecialKind.GENERALISED_HOPF: SpecialStyle("GH", "generalised Hopf", RED, "s"),
    SpecialKind.HOPF_HOPF: SpecialStyle("HH", "Hopf-Hopf", GREEN, "X"),
    SpecialKind.RESONANCE_1_1: SpecialStyle("R1", "resonance 1:1", GREEN, "o"),
    SpecialKind.RESONANCE_1_2: SpecialStyle("R2", "resonance 1:2", GREEN, "^"),
    SpecialKind.RESONANCE_1_3: SpecialStyle("R3", "resonance 1:3", GREEN, "<"),
    SpecialKind.RESONANCE_1_4: SpecialStyle("R4", "resonance 1:4", BLUE, "s"),
    SpecialKind.FOLD_FLIP: SpecialStyle("FF", "fold-flip", BLUE, "P"),
    SpecialKind.DEGENERATE_FLIP: SpecialStyle("GPD", "degenerate flip", BROWN, "^"),
    SpecialKind.FOLD_NEIMARK_SACKER: SpecialStyle("FNS", "fold-Neimark-Sacker", ORANGE, "s"),
    SpecialKind.FLIP_NEIMARK_SACKER: SpecialStyle("PDNS", "flip-Neimark-Sacker", ORANGE, "X"),
    SpecialKind.DEGENERATE_NEIMARK_SACKER: SpecialStyle("CH", "degenerate Neimark-Sacker", BROWN, "h"),
    SpecialKind.DOUBLE_NEIMARK_SACKER: SpecialStyle("NSNS", "double Neimark-Sacker", ORANGE, "P"),
    SpecialKind.CYCLE_FOLD: SpecialStyle("LPC", "fold of cycles", BLACK, "s"),
    SpecialKind.CYCLE_PERIOD_DOUBLING: SpecialStyle("PD", "period doubling of cycles", GREEN, "^"),
    SpecialKind.CYCLE_TORUS: SpecialStyle("TR", "torus", ORANGE, "h"),
    SpecialKind.CYCLE_BRANCH_POINT: SpecialStyle("BPC", "branch point of cycles", BLUE, "D"),
    SpecialKind.HOMOCLINIC: SpecialStyle("HOM", "homoclinic orbit", BROWN, "*"),
    SpecialKind.INFINITE_PERIOD: SpecialStyle("SNIC", "saddle-node on a cycle", BROWN, "P"),
}


class Marks(NamedTuple):
    """Special points of a line: `place (K, 2)` in the picture, `kind (K,)`, `row (K,)` of the line before each, and
    whether each is `located (K,)`."""

    place: np.ndarray
    kind: np.ndarray
    row: np.ndarray
    located: np.ndarray


class Line(NamedTuple):
    """A line through `points (N, 2)` with its special points inserted, and whether each of the N - 1 segments is
    `good (N - 1,)`: stable, or supercritical."""

    points: np.ndarray
    good: np.ndarray


def marks_of(special: Any, place: np.ndarray) -> Marks:
    """The points in use of one `SpecialPoints`, at `place (K, 2)`."""
    used = np.asarray(special.mask)
    located = np.asarray(special.location)[used] == Location.CONVERGED
    return Marks(place[used], np.asarray(special.kind)[used], np.asarray(special.row)[used], located)


def join(points: np.ndarray, good: np.ndarray, used: np.ndarray, marks: Marks) -> Line:
    """The rows in use of a line, joined at its special points: there the style changes.

    Where it changes without a special point, it does so half way between two rows.
    """
    rows = np.flatnonzero(used)
    points, state = points[rows], good[rows].astype(int)
    after = np.searchsorted(rows, marks.row) + 1
    plain = np.setdiff1d(np.flatnonzero(state[1:] != state[:-1]) + 1, after)
    # A mark before the first row belongs to an interval that only one end of is in use.
    after = np.concatenate([np.clip(after, 0, rows.size), plain]).astype(int)
    extra = np.concatenate([marks.place, (points[plain - 1] + points[plain]) / 2])
    order = np.argsort(after, kind="stable")
    points = np.insert(points, after[order], extra[order], axis=0)
    state = np.insert(state, after[order], -1)
    # Each segment takes the state of the rows around it; between two marks the worse of both.
    number = np.arange(state.size)
    last = np.maximum.accumulate(np.where(state >= 0, number, -1))
    next_ = np.minimum.accumulate(np.where(state >= 0, number, state.size)[::-1])[::-1]
    before, behind = last[:-1], next_[1:]
    one, two = state[np.maximum(before, 0)], state[np.minimum(behind, state.size - 1)]
    segment = np.where(state[:-1] >= 0, one, np.where(state[1:] >= 0, two, np.minimum(one, two)))
    return Line(points, segment == 1)


def pieces(line: Line, good: bool) -> np.ndarray:
    """Points of all segments of one style `(M, 2)`, nan between runs."""
    wanted = line.good == good
    if not wanted.any():
        return np.zeros((0, 2))
    starts = np.flatnonzero(wanted & ~np.concatenate([[False], wanted[:-1]]))
    stops = np.flatnonzero(wanted & ~np.concatenate([wanted[1:], [False]])) + 1
    gap = np.full((1, 2), np.nan)
    runs = [part for a, b in zip(starts, stops, strict=True) for part in (line.points[a : b + 1], gap)]
    return np.concatenate(runs[:-1])


def draw_stability(ax: Axes, lines: list[Line], colour: str, names: tuple[str, str] = ("stable", "unstable")) -> None:
    """Stable parts thick, unstable parts thin, one artist for each, with an entry in the legend where they occur."""
    for good, name, width in ((True, names[0], _THICK), (False, names[1], _THIN)):
        parts = [part for line in lines if len(part := pieces(line, good))]
        for part in parts:
            ax.plot(*part.T, color=colour, linewidth=width, gid=name, zorder=2.5, solid_capstyle="butt")
        if parts:
            ax.add_line(Line2D([], [], color=colour, linewidth=width, label=name))


def draw_marks(ax: Axes, marks: list[Marks], lines: list[Line], labels: bool) -> None:
    """Markers by kind, hollow where only bracketed, and their abbreviations beside the line."""
    place = np.concatenate([np.zeros((0, 2)), *(m.place for m in marks)])
    kind = np.concatenate([np.zeros(0, int), *(m.kind for m in marks)])
    located = np.concatenate([np.zeros(0, bool), *(m.located for m in marks)])
    keep = _distinct(ax, place, kind)
    place, kind, located = place[keep], kind[keep], located[keep]
    for code in [code for code in STYLES if code in set(kind.tolist())]:
        style = STYLES[code]
        for sure in (True, False):
            here = (kind == code) & (located == sure)
            if here.any():
                _marker(ax, place[here], style, sure, gid=style.name if sure else f"{style.name}, bracketed")
        number = int((kind == code).sum())
        _marker(ax, np.zeros((0, 2)), style, True, label=f"{style.short}  {style.name} ({number})")
    if not located.all():
        hollow = SpecialStyle("", "", INK, "o")
        _marker(ax, np.zeros((0, 2)), hollow, False, label=f"hollow: bracketed only ({int((~located).sum())})")
    if labels and len(place) <= _MOST_LABELS:
        shown = [ax.transData.transform(line.points) for line in lines]
        # Other marks and labels are in the way like lines.
        taken = np.concatenate([ax.transData.transform(place), *shown])
        for at, code in zip(place, kind, strict=True):
            spot = _label(ax, at, STYLES[code], taken)
            taken = np.concatenate([taken, spot + _LETTERS * ax.figure.dpi / 72])


def swatch(ax: Axes, colour: ColorType, label: str) -> None:
    """An entry of the legend for an area of one colour."""
    ax.plot([], [], "s", markersize=9, color=colour, markeredgecolor=INK, markeredgewidth=0.5, label=label)


def _marker(ax: Axes, places: np.ndarray, style: SpecialStyle, located: bool, **line: Any) -> None:
    ax.plot(
        *places.T,
        linestyle="none",
        marker=style.marker,
        markersize=7.5,
        markerfacecolor=style.colour if located else PAPER,
        markeredgecolor=PAPER if located else style.colour,
        markeredgewidth=0.8 if located else 1.6,
        zorder=5,
        **line,
    )


def _spans(ax: Axes) -> np.ndarray:
    return np.maximum(np.ptp(np.array([ax.get_xlim(), ax.get_ylim()]), axis=1), 1e-300)


def _distinct(ax: Axes, place: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Each point once, though several branches may go through it: which are no nearer than a hair to one before."""
    scaled = place / _spans(ax)
    same = (np.abs(scaled[:, None] - scaled[None]).max(axis=-1) < 1e-3) & (kind[:, None] == kind[None])
    return ~np.tril(same, -1).any(axis=1)


def _label(ax: Axes, at: np.ndarray, style: SpecialStyle, taken: np.ndarray) -> np.ndarray:
    """The abbreviation on the side of the point that has most room. Returns its place in pixels."""
    unit = ax.figure.dpi / 72
    spot = ax.transData.transform(at)
    near = taken[np.isfinite(taken).all(axis=1)] - spot
    near = near[np.abs(near).max(axis=1) > 0.5]  # but for the point itself
    angles = np.pi * np.array([0.25, 0.75, -0.25, -0.75, 0.0, 1.0, 0.5, -0.5])
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # Letters are wider than high.
    wide = np.array([0.7, 1.0])
    gaps = [np.min(np.hypot(*(wide * (near - 16 * unit * way)).T), initial=np.inf) for way in ways]
    way = ways[int(np.argmax(np.minimum(gaps, 12 * unit)))]
    ax.annotate(
        style.short,
        (float(at[0]), float(at[1])),
        xytext=13 * way,
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize="small",
        color=style.colour,
        path_effects=halo(2.6),
        zorder=6,
        annotation_clip=True,
    )
    return spot + 13 * unit * way
