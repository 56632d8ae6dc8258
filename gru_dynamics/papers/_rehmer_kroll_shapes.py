"""Figures 4 to 7: of what the state equation is made, and the shapes that it converges to."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from .._types import Array
from ..plot._style import CLOUD, FIRST, INK, SECOND
from ._rehmer_kroll_equations import step

_REACH, _GAP = 3.0, 0.05
# Denser near 0, where steep gates bend.
_SPREAD = np.sinh(np.linspace(-9.0, 9.0, 4001))
_STATES = jnp.asarray(_REACH * _SPREAD / _SPREAD.max())
PARAMETERS = np.geomspace(1.0, 1024.0, 31)
_SHOWN = (1.0, 4.0, 32.0)


class Shape(NamedTuple):
    """A limit shape: its `name`, the `path` in words and as a function of p to `(w_z, b_z, w_c, b_c)`, and the `limit`,
    a function of the state; `jumps`, whether it jumps at 0."""

    name: str
    path: str
    at: Callable[[float], tuple[float, float, float, float]]
    limit: Callable[[Array], Array]
    jumps: bool = False


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


SHAPES = (
    Shape("tanh", "w_c = 2, b_z = -p", lambda p: (0, -p, 2, 0), lambda x: jnp.tanh(2 * x)),
    Shape("binary step", "b_z = -p, w_c = 8 p", lambda p: (0, -p, 8 * p, 0), jnp.sign, True),
    Shape(
        "leaky binary step", "b_z = -1, w_c = 8 p", lambda p: (0, -1, 8 * p, 0),
        lambda x: _sigmoid(-1.0) * x + (1 - _sigmoid(-1.0)) * jnp.sign(x), True,
    ),
    Shape("ReLU", "w_z = p", lambda p: (p, 0, 0, 0), jax.nn.relu),
    Shape(
        "leaky ReLU", "w_z = p, w_c = 0.3, slope tanh(w_c)", lambda p: (p, 0, 0.3, 0),
        lambda x: jnp.where(x > 0, x, float(np.tanh(0.3)) * x),
    ),
    Shape("swish", "w_z = 1, w_c = b_c = 1 / p", lambda p: (1, 0, 1 / p, 1 / p), jax.nn.silu),
    Shape("identity", "w_c = 2, b_z = p", lambda p: (0, p, 2, 0), lambda x: x),
    Shape(
        "line", "w_z = w_c = 1 / p, b_z = 1, b_c = 0.5", lambda p: (1 / p, 1, 1 / p, 0.5),
        lambda x: _sigmoid(1.0) * x + (1 - _sigmoid(1.0)) * float(np.tanh(0.5)),
    ),
)  # fmt: skip


def curve(shape: Shape, p: float) -> np.ndarray:
    """The state equation at a point of the path, over the states of the pictures."""
    w_z, b_z, w_c, b_c = (jnp.full_like(_STATES, value) for value in shape.at(p))
    return np.asarray(step(w_z, b_z, w_c, b_c, _STATES))


def distances(shape: Shape) -> np.ndarray:
    """Sup-norm distance to the limit on [-3, 3] along the path, without |x| < 0.05 where the limit jumps."""
    limit, x = np.asarray(shape.limit(_STATES)), np.asarray(_STATES)
    away = np.abs(x) >= (_GAP if shape.jumps else 0)
    return np.array([np.max(np.abs(curve(shape, p) - limit)[away]) for p in PARAMETERS])


def facts() -> list[dict[str, Any]]:
    """For each shape the path, distances, and how fast they fall."""
    rows = []
    for shape in SHAPES:
        distance = distances(shape)
        rows.append(
            {
                "shape": shape.name, "path": shape.path, "parameters": PARAMETERS.tolist(),
                "distances": distance.tolist(), "rate": _rate(distance),
            }
        )  # fmt: skip
    return rows


def _rate(distance: np.ndarray) -> str:
    """In words, from the last octaves of the path."""
    if distance[-1] < 1e-12:
        return "exponential in p"
    slope = np.polyfit(np.log(PARAMETERS[-11:]), np.log(distance[-11:]), 1)[0]
    return f"p^{slope:.2f}" if slope < -0.1 else f"stays at {distance[-1]:.3g}"


def at_parameter(row: dict[str, Any], p: float) -> float:
    """The distance at the point of the path nearest to p."""
    return row["distances"][int(np.argmin(np.abs(np.log(PARAMETERS / p))))]


def draw_parts() -> Figure:
    """Figure 4: the unit as the sum of what it keeps and what it admits."""
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    x = np.asarray(_STATES)
    for letter, ax, (w_z, b_z, w_c, b_c) in zip("AB", axes, ((2, 1, 2, 0), (-3, 0, 4, -1)), strict=True):
        s, t = 1 / (1 + np.exp(-(w_z * x + b_z))), np.tanh(w_c * x + b_c)
        ax.plot(x, s * x, color=SECOND, linewidth=1.6, label="kept, $s\\,x$")
        ax.plot(x, (1 - s) * t, color=FIRST, linewidth=1.6, label="admitted, $(1-s)\\,t$")
        ax.plot(x, x, color=CLOUD, linewidth=1.0, linestyle=":", label="$x$")
        ax.plot(x, s, color=CLOUD, linewidth=1.0, linestyle="--", label="gate $s$")
        ax.plot(x, t, color=CLOUD, linewidth=1.0, linestyle="-.", label="candidate $t$")
        ax.plot(x, s * x + (1 - s) * t, color=INK, linewidth=2.4, label="next state")
        ax.set_title(f"{letter}  $w_z = {w_z}$, $b_z = {b_z}$, $w_c = {w_c}$, $b_c = {b_c}$", loc="left", fontsize=10)
        ax.set(xlabel="state $x$", xlim=(-_REACH, _REACH), ylim=(-2.2, 3.0))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("value")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
    return figure


def draw_shapes() -> Figure:
    """Figures 5 to 7: each shape, three points of its path, and the limit."""
    figure = Figure(figsize=(12, 5.8), layout="constrained")
    x = np.asarray(_STATES)
    for letter, ax, shape in zip("ABCDEFGH", figure.subplots(2, 4, sharex=True, sharey=True).flat, SHAPES, strict=True):
        limit = np.asarray(shape.limit(_STATES)).copy()
        if shape.jumps:
            limit[len(x) // 2] = np.nan
        ax.plot(x, limit, color=FIRST, linewidth=4.2, alpha=0.45, solid_capstyle="butt", label="limit")
        for p, style, width in zip(_SHOWN, (":", "--", "-"), (1.2, 1.2, 1.4), strict=True):
            ax.plot(x, curve(shape, p), color=INK, linestyle=style, linewidth=width, label=f"$p = {p:g}$")
        ax.set_title(f"{letter}  {shape.name}", loc="left", fontsize=10.5)
        ax.text(0.03, 0.96, _tex(shape.path), transform=ax.transAxes, fontsize=8, va="top")
        ax.set(xlim=(-_REACH, _REACH), ylim=(-3.1, 3.9))
        ax.set(xlabel="state $x$" if letter in "EFGH" else "", ylabel="next state" if letter in "AE" else "")
        ax.spines[["top", "right"]].set_visible(False)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def draw_distances(rows: list[dict[str, Any]]) -> Figure:
    """How near the shapes come along their paths."""
    figure = Figure(figsize=(8.4, 4.8), layout="constrained")
    ax = figure.add_subplot()
    colours = ("#0072b2", "#d55e00", "#cc79a7", "#009e73", "#1a1a1a", "#56b4e9", "#e69f00", "#7a2a6b")
    for number, (row, colour, marker) in enumerate(zip(rows, colours, "osD^vPX*", strict=True)):
        distance = np.array(row["distances"])
        seen = distance > 1e-15
        # Tanh and identity are equally far: open markers let the other be seen.
        face = "none" if row["shape"] == "identity" else colour
        rate = re.sub(r"p\^(\S+)", r"$p^{\1}$", row["rate"])
        ax.plot(
            PARAMETERS[seen], distance[seen], color=colour, marker=marker, markevery=(number % 3, 3), markersize=6,
            markerfacecolor=face, linewidth=1.4, linestyle="--" if face == "none" else "-",
            label=f"{row['shape']} ({rate})",
        )  # fmt: skip
    ax.set(
        xscale="log", yscale="log", xlabel="$p$, place on the path", ylabel="sup-norm distance to the limit on [-3, 3]"
    )
    ax.set_ylim(1e-7, 5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _tex(path: str) -> str:
    return path.replace("w_z", "$w_z$").replace("w_c", "$w_c$").replace("b_z", "$b_z$").replace("b_c", "$b_c$")
