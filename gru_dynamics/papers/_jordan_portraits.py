"""Phase portraits of the paper's systems, with what the certified answer adds to them."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..fixed_points import FixedPoints
from ..plot import phase_portrait
from ..plot._style import legend_below
from ..systems import CellFlow
from ._jordan_measure import Measured
from ._jordan_words import Marks, Verdict

INK = "#1a1a1a"
PAPER = "#ffffff"
TRACE = "#7a2a6b"
ALARM = "#c1272d"

# Full where it attracts, open where it repels, as the simple points.
_DEGENERATE: dict[str, tuple[str, dict[str, Any]]] = {
    "saddle_sink": (
        "saddle-sink fold",
        {"marker": "D", "fillstyle": "bottom", "markerfacecolor": INK, "markerfacecoloralt": PAPER, "markersize": 8.5},
    ),
    "saddle_source": (
        "saddle-source fold",
        {"marker": "D", "markerfacecolor": PAPER, "markersize": 8.0, "markeredgewidth": 1.7},
    ),
    "codim2": ("rank-0 point", {"marker": "*", "markerfacecolor": INK, "markersize": 15.0, "markeredgecolor": PAPER}),
    "regular": ("undecided", {"marker": "s", "markerfacecolor": PAPER, "markersize": 7.0}),
}


def portrait(
    flow: CellFlow,
    points: FixedPoints | None,
    marks: Marks,
    verdict: Verdict | None = None,
    *,
    ax: Axes | None = None,
    **options: Any,
) -> Axes:
    """A phase portrait with markers for degenerate points, close pairs and vanished collisions."""
    ax = phase_portrait(flow, points, ax=ax, **options)
    rim = [effects.withStroke(linewidth=3.0, foreground=PAPER)]
    for kind, (name, style) in _DEGENERATE.items():
        here = np.array([state for other, state in marks if other == kind]).reshape(-1, 2)
        if len(here):
            line = {"markeredgecolor": INK, **style, "linestyle": "none"}
            ax.plot(*here.T, label=f"{name} ({len(here)})", gid=kind, zorder=7, path_effects=rim, **line)
    if verdict is not None:
        _traces(ax, verdict, rim)
    legend_below(ax, 3)
    return ax


def _traces(ax: Axes, verdict: Verdict, rim: list[Any]) -> None:
    for pair in verdict.pairs:
        ends = np.stack([pair.node, pair.saddle])
        ax.plot(*ends.T, color=ALARM, linewidth=1.5, gid="pair", zorder=5, path_effects=rim)
    if verdict.pairs:
        close = [pair for pair in verdict.pairs if pair.distance < 0.15]
        middles = np.array([(pair.node + pair.saddle) / 2 for pair in close]).reshape(-1, 2)
        ax.plot(
            *middles.T,
            linestyle="none",
            marker="o",
            markersize=17,
            markerfacecolor="none",
            markeredgecolor=ALARM,
            markeredgewidth=1.5,
            label=f"pair printed as one point ({len(verdict.pairs)})",
            gid="pair",
            zorder=8,
        )
    if verdict.vanished:
        states = np.array([ghost.state for ghost in verdict.vanished])
        ax.plot(
            *states.T,
            linestyle="none",
            marker="x",
            markersize=9,
            markeredgecolor=ALARM,
            markeredgewidth=2.2,
            label=f"vanished ({len(states)})",
            gid="vanished",
            zorder=8,
            path_effects=rim,
        )


def of_measured(measured: Measured, verdict: Verdict | None = None, *, ax: Axes | None = None, **options: Any) -> Axes:
    """The portrait of a system at its printed parameters."""
    marks = [(point.kind, point.state) for point in measured.degenerate]
    return portrait(measured.flow, measured.enumeration.points, marks, verdict, ax=ax, **options)


def bare(ax: Axes) -> None:
    """Without colour bar and legend, for a sheet of many."""
    for image in ax.images:
        if image.colorbar is not None:
            image.colorbar.remove()
    drawn = ax.get_legend()
    if drawn is not None:
        drawn.remove()


Panel = tuple[str, str, CellFlow, FixedPoints | None, Marks, Verdict | None]


def sheet(panels: Sequence[Panel], title: str, columns: int = 6) -> Figure:
    """Portraits side by side: `(name, counts, flow, points, degenerate points, verdict)` each, and one legend."""
    rows = -(-len(panels) // columns)
    with mpl.rc_context({"font.size": 8, "axes.linewidth": 0.6}):
        figure = Figure(figsize=(1.72 * columns + 0.25, 1.76 * rows + 0.95), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.02)  # pyright: ignore
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax, panel in zip(axes.flat, panels, strict=False):
            _panel(ax, panel)
        for ax in list(axes.flat)[len(panels) :]:
            ax.set_axis_off()
        for number, ax in enumerate(axes.flat):
            ax.set(xlabel="$h_1$" if number >= (rows - 1) * columns else "", ylabel="" if number % columns else "$h_2$")
            ax.tick_params(length=2, pad=1.5, labelsize=7)
        figure.suptitle(title, fontsize=11)
        nullclines = [line for line in axes.flat[0].lines if str(line.get_label()).startswith("nullcline")]
        figure.legend(
            handles=[*_key(any(panel[5] is not None for panel in panels)), *nullclines],
            loc="outside lower center",
            ncols=5,
            frameon=False,
            fontsize=8,
            columnspacing=1.6,
        )
    return figure


def _panel(ax: Axes, panel: Panel) -> None:
    name, counts, flow, points, marks, verdict = panel
    portrait(flow, points, marks, verdict, ax=ax, resolution=161)
    bare(ax)
    ax.set_title(name, loc="left", fontsize=8.5, fontweight="bold", pad=3)
    ax.set_title(counts, loc="right", fontsize=7, pad=3)
    for line in ax.lines:
        line.set_markersize(0.58 * float(line.get_markersize()))
        line.set_markeredgewidth(0.7 * float(line.get_markeredgewidth()))
        if line.get_path_effects():
            line.set_path_effects([effects.withStroke(linewidth=1.6, foreground=PAPER)])
    for field in ax.collections:
        if field.get_label() == "_quiver" or type(field).__name__ == "Quiver":
            field.set_rasterized(True)
        else:
            field.set_linewidth(1.1)
            field.set_path_effects([effects.withStroke(linewidth=2.0, foreground=PAPER)])
    for image in ax.images:
        image.set_rasterized(True)


def _key(compared: bool) -> list[Line2D]:
    simple: list[tuple[str, Any, str]] = [("sink", "full", INK), ("saddle", "left", INK), ("source", "full", PAPER)]
    common: dict[str, Any] = {"linestyle": "none", "markeredgecolor": INK, "markerfacecoloralt": PAPER}
    key = [
        Line2D([], [], marker="o", fillstyle=fill, markerfacecolor=face, markersize=6, label=name, **common)
        for name, fill, face in simple
    ]
    for kind in ("saddle_sink", "saddle_source", "codim2"):
        name, style = _DEGENERATE[kind]
        key.append(Line2D([], [], label=name, **{**common, **style, "markersize": 6 if kind != "codim2" else 10}))
    if not compared:
        return key
    ring: dict[str, Any] = {"marker": "o", "markersize": 10, "markerfacecolor": "none", "markeredgecolor": ALARM}
    key.append(Line2D([], [], linestyle="none", label="two points printed as one", **ring))
    key.append(
        Line2D([], [], linestyle="none", marker="x", markeredgecolor=ALARM, label="printed point that is not there")
    )
    return key


def png(figure: Figure, dpi: int = 150) -> bytes:
    """The picture as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    return buffer.getvalue()


def webp(figure: Figure, dpi: int = 110) -> bytes:
    """The picture as WebP, a quarter of the size, for a page that shows a hundred of them."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="webp", dpi=dpi, facecolor="white", pil_kwargs={"quality": 88, "method": 4})
    return buffer.getvalue()


def svg(figure: Figure, dpi: int = 150) -> bytes:
    """The picture as SVG; fields and arrows are pixels inside it."""
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "gru_dynamics"}):
        figure.savefig(buffer, format="svg", dpi=dpi, facecolor="white", metadata={"Date": None})
    return buffer.getvalue()
