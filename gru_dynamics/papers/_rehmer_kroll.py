"""Rehmer & Kroll (2020), figures 3 to 9: gradients, shapes and loss landscapes of one unit."""

from pathlib import Path

import jax

from . import (
    _rehmer_kroll_figure_3 as figure_3,
    _rehmer_kroll_landscapes as landscapes,
    _rehmer_kroll_shapes as shapes,
)
from ._options import Found, OptionError, Options, Say
from ._rehmer_kroll_page import Part, write

_TITLE = "Gradients, shapes and loss landscapes of one gated unit"
_LEDE = (
    "Figures 3 to 9 of the paper, measured beside printed: how large the gradient of the state equation is, to which "
    "functions the unit converges and how fast, and how steep the loss is beside that of a plain unit. "
    "The equations are in the errata (gru-dynamics reproduce errata)."
)
_SHOWN = (1.0, 32.0, 1024.0)


def rehmer_kroll_gradients(folder: Path, say: Say, options: Options) -> Found:
    """All of it; see `reproduce`."""
    return report(folder, say, 201 if options.scale == "small" else 401)


def report(folder: Path, say: Say, resolution: int) -> Found:
    """Compute and write, with landscapes of `resolution` points a side."""
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise OptionError("rehmer-kroll-gradients: expected float64, found float32; set JAX_ENABLE_X64=1")
    say("figure 3")
    first = _gradients()
    say("figures 4 to 7")
    second = _shapes()
    say("figures 8 and 9")
    third = _landscapes(resolution)
    return write(folder, "rehmer-kroll-gradients", _TITLE, _LEDE, (first, second, third))


def _gradients() -> Part:
    s, t, found = figure_3.surfaces()
    facts = figure_3.facts(s, t, found)
    rows = tuple(
        (
            row["gradient"], f"{row['largest']:.4g}", f"s = {row['s']:.3g}, t = {row['t']:.3g}",
            f"{row['closed_gate']:.4g}", f"{row['open_gate']:.4g}",
        )
        for row in facts
    )  # fmt: skip
    columns = ("gradient", "largest", "where", "largest at s = 0", "largest at s = 1")
    caption = (
        "Figure 3: gradients over the activations of gate and candidate for w = x = dx = 1; a cross at the largest."
    )
    picture = ("figure_3.png", figure_3.draw(s, t, found), caption)
    return Part("Figure 3: gradients", figure_3.sentences(facts), columns, rows, facts, (picture,))


def _shapes() -> Part:
    facts = shapes.facts()
    rows = tuple(
        (row["shape"], row["path"], *(f"{shapes.at_parameter(row, p):.2e}" for p in _SHOWN), row["rate"])
        for row in facts
    )
    columns = ("limit", "path", *(f"distance at p = {p:g}" for p in _SHOWN), "falls as")
    words = (
        "Distances are sup norms on [-3, 3], without |x| < 0.05 where the limit jumps: at the jump itself they stay.",
        "The leaky ReLU is no limit of the unit: its tail is tanh(w_c x), and the distance stays at what that bends "
        "away from the printed line of slope tanh(w_c). Identity and tanh are approached exponentially in b_z, "
        "everything that takes a steep or a flat gate as 1 / p.",
    )
    pictures = (
        (
            "figure_4.png",
            shapes.draw_parts(),
            "Figure 4: the next state as the sum of what is kept and what is admitted.",
        ),
        (
            "figures_5_to_7.png",
            shapes.draw_shapes(),
            "Figures 5 to 7: limit shapes and three points of a path to each.",
        ),
        ("distances.png", shapes.draw_distances(facts), "Distance to the limit along the paths."),
    )
    return Part("Figures 4 to 7: shapes", words, columns, rows, facts, pictures)


def _landscapes(resolution: int) -> Part:
    found = landscapes.planes(resolution)
    facts = landscapes.facts(found)
    finer = [float(landscapes.near_steepest(plane).landscape.steepest) for plane in found]
    rows = tuple(
        (
            row["model"], f"{row['steepest']:.4g}", f"{row['slope_99']:.3g}", f"{row['slope_median']:.3g}",
            f"{row['least_loss']:.3g}", f"({row['at'][0]:.3g}, {row['at'][1]:.3g})",
            ", ".join(f"{value:.3g}" for value in row["curvature"]),
            ", ".join("inf" if value is None else f"{value:.3g}" for value in row["half_width"]),
        )
        for row in facts
    )  # fmt: skip
    columns = (
        "model", "steepest gradient", "99 % of the grid below", "median", "least loss", "at",
        "curvature along, across", "half-widths of the valley",
    )  # fmt: skip
    caption = (
        "Figures 8 and 9: loss (A-C) and norm of its gradient (D-F), one colour scale for each row. Cross: least loss, "
        "with the valley through it; triangle: steepest point."
    )
    pictures = (("figures_8_and_9.png", landscapes.draw(found), caption),)
    words = landscapes.sentences(facts, finer)
    return Part("Figures 8 and 9: loss landscapes", words, columns, rows, facts, pictures)
