"""One gated recurrent unit: the three types of figure 1, the folds between them, and Theorem 3."""

import collections
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from matplotlib.figure import Figure

from .._types import Array, ArrayLike, Float
from ..cells import GRUCell
from ..fixed_points import enumerate_fixed_points
from ..systems import CellFlow

# The unit of figure 1: u_h, u_r and b_r; b_h moves it through its two folds.
UNIT = (4.0, 2.0, 0.5)
# Known to eight digits, by an independent computation.
KNOWN_FOLDS = ((0.87357656, -1.81228315), (-0.34323253, 0.26489683))
_CHUNK = 10_000


def one_unit(u_h: ArrayLike, u_r: ArrayLike, b_h: ArrayLike, b_r: ArrayLike) -> CellFlow:
    """The flow `h' = (tanh(u_h r h + b_h) - h) / 2` with `r = sigmoid(u_r h + b_r)`."""
    cell = GRUCell(0, 1, reset="before", key=jr.key(0))
    double = [jnp.asarray(value, jnp.float64) for value in (u_h, u_r, b_h, b_r)]
    new = (double[0].reshape(1, 1), double[1].reshape(1, 1), double[2].reshape(1), double[3].reshape(1))
    zeros = jnp.zeros((1, 1), jnp.float64), jnp.zeros((1,), jnp.float64)
    return CellFlow(
        eqx.tree_at(lambda c: (c.U_c, c.U_r, c.b_c, c.b_r, c.U_z, c.b_z), cell, (*new, *zeros)),
    )


def bias_of(h: Any, u_h: float, u_r: float, b_r: float) -> Any:
    """The bias `b_h` that makes `h` a fixed point: the whole equilibrium curve in closed form."""
    return np.arctanh(h) - u_h * h / (1 + np.exp(-u_r * h - b_r))


def folds(u_h: float, u_r: float, b_r: float) -> list[tuple[float, float]]:
    """Extrema of the equilibrium curve `(h, b_h)`, by bisection of its slope."""

    def slope(h: Any) -> Any:
        r = 1 / (1 + np.exp(-u_r * h - b_r))
        return 1 / (1 - h**2) - u_h * (r + h * u_r * r * (1 - r))

    grid = np.linspace(-0.9999, 0.9999, 4001)
    found = []
    for at in np.flatnonzero(np.diff(np.sign(slope(grid)))):
        low, high = grid[at], grid[at + 1]
        for _ in range(60):
            middle = (low + high) / 2
            same = np.sign(slope(middle)) == np.sign(slope(low))
            low, high = (middle, high) if same else (low, middle)
        found.append((float(low), float(bias_of(low, u_h, u_r, b_r))))
    return sorted(found, key=lambda point: point[1])


class Counts(eqx.Module):
    """Bounds of the number of fixed points of each unit, shapes `(N,)`."""

    lower: Array
    upper: Array


@eqx.filter_jit
def _count(parameters: Float[Array, "N 4"]) -> Counts:
    found = jax.vmap(lambda row: enumerate_fixed_points(one_unit(*row), throw=False, max_points=12))(parameters)
    return Counts(found.count[:, 0], found.count[:, 1])


def theorem_3(num: int = 100_000, seed: int = 0, scale: float = 10.0) -> dict[str, Any]:
    """How many of `num` random one-unit GRUs have 1, 2, 3, or more fixed points, each count with proof.

    All four parameters are normal; u_h and u_r with standard deviation `scale`, the biases with a third of it.
    """
    parameters = jr.normal(jr.key(seed), (num, 4)) * jnp.array([scale, scale, scale / 3, scale / 3])[None]
    lower, upper = [], []
    for start in range(0, num, _CHUNK):
        rows = parameters[start : start + _CHUNK]
        counts = _count(rows)
        lower.append(np.asarray(counts.lower))
        upper.append(np.asarray(counts.upper))
    low, high = np.concatenate(lower), np.concatenate(upper)
    exact = collections.Counter(low[low == high].tolist())
    return {
        "systems": num,
        "scale": scale,
        "seed": seed,
        "counts": {str(count): number for count, number in sorted(exact.items())},
        "undecided": int((low != high).sum()),
        "largest_proven": int(low.max()),
        "violations": int((low > 3).sum()),
    }


def figure_1(theorem: dict[str, Any]) -> tuple[Figure, dict[str, Any]]:
    """The three types of one-dimensional flow, and the curve of fixed points that connects them."""
    u_h, u_r, b_r = UNIT
    found = folds(u_h, u_r, b_r)
    biases = (found[0][1] - 0.5, found[0][1], (found[0][1] + found[1][1]) / 2)
    figure = Figure(figsize=(9.6, 5.6), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(1, 1.25))
    names = ("A  one fixed point", "B  at the fold: two", "C  three fixed points")
    numbers = []
    for place, (name, bias) in enumerate(zip(names, biases, strict=True)):
        ax = figure.add_subplot(grid[0, place])
        numbers.append(_draw_line(ax, name, bias))
        if place == 0:
            ax.set_ylabel(r"$\dot h$")
            ax.legend(loc="lower left", frameon=False, fontsize="small", handletextpad=0.3)
    _draw_curve(figure.add_subplot(grid[1, :2]), found, biases)
    _draw_theorem(figure.add_subplot(grid[1, 2]), theorem)
    known = [
        {"h": h, "b_h": b, "known_h": known_h, "known_b_h": known_b}
        for (h, b), (known_h, known_b) in zip(found, KNOWN_FOLDS, strict=True)
    ]
    return figure, {"unit": {"u_h": u_h, "u_r": u_r, "b_r": b_r}, "folds": known, "certified_counts": numbers}


def _draw_line(ax: Any, name: str, bias: float) -> dict[str, Any]:
    u_h, u_r, b_r = UNIT
    flow = one_unit(u_h, u_r, bias, b_r)
    found = enumerate_fixed_points(flow)
    h = np.linspace(-1.08, 1.08, 601)
    speed = np.asarray(jax.vmap(flow.velocity)(jnp.asarray(h)[:, None]))[:, 0]
    ax.axhline(0, color="#7f8c99", linewidth=0.8, zorder=1)
    ax.plot(h, speed, color="#0072b2", linewidth=1.8, zorder=2)
    for x in np.linspace(-0.98, 0.98, 15):
        direction = float(np.sign(np.interp(x, h, speed)))
        ax.annotate(
            "",
            (x + 0.045 * direction, 0),
            (x - 0.045 * direction, 0),
            arrowprops={"arrowstyle": "->", "color": "#1a1a1a", "linewidth": 0.9},
            zorder=3,
        )
    states, kinds = np.asarray(found.state)[:, 0], np.asarray(found.kind)
    style = {"linestyle": "none", "marker": "o", "markersize": 8, "markeredgecolor": "#1a1a1a", "zorder": 5}
    ax.plot(states[kinds == 1], 0 * states[kinds == 1], markerfacecolor="#1a1a1a", label="stable", **style)
    ax.plot(states[kinds == 3], 0 * states[kinds == 3], markerfacecolor="white", label="unstable", **style)
    clusters = np.asarray(found.clusters.mask)
    middles = ((np.asarray(found.clusters.lower) + np.asarray(found.clusters.upper)) / 2)[clusters, 0]
    ax.plot(
        middles,
        0 * middles,
        fillstyle="left",
        markerfacecolor="#1a1a1a",
        markerfacecoloralt="white",
        label="half-stable",
        **style,
    )
    ax.set(xlim=(-1.08, 1.08), ylim=(-1.0, 0.3), xlabel="$h$")
    ax.set_title(f"{name}, $b_h = {bias:.3f}$", fontsize="medium", loc="left")
    ax.spines[["top", "right"]].set_visible(False)
    upper = None if clusters.any() else int(found.count[1])
    return {"b_h": bias, "count": [int(found.count[0]), upper], "clusters": int(clusters.sum())}


def _draw_curve(ax: Any, found: list[tuple[float, float]], biases: tuple[float, ...]) -> None:
    u_h, u_r, b_r = UNIT
    h = np.tanh(np.linspace(-4, 4, 2001))
    b = bias_of(h, u_h, u_r, b_r)
    (h_low, _), (h_high, _) = sorted(found)
    parts = (
        (h <= h_low, "stable", "solid"),
        ((h >= h_low) & (h <= h_high), "unstable", (0, (3, 2))),
        (h >= h_high, None, "solid"),
    )
    for part, label, dashes in parts:
        ax.plot(b[part], h[part], color="#0072b2", linestyle=dashes, linewidth=1.9, label=label)
    for h_fold, b_fold in found:
        ax.plot(b_fold, h_fold, marker="D", color="#d55e00", markeredgecolor="#1a1a1a", markersize=7, linestyle="none")
        ax.annotate(
            f"fold\n$b_h = {b_fold:.6f}$\n$h = {h_fold:.6f}$",
            (b_fold, h_fold),
            xytext=(-12, -6) if b_fold < -1 else (12, -2),
            textcoords="offset points",
            fontsize="small",
            va="top" if b_fold < -1 else "center",
            ha="right" if b_fold < -1 else "left",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )
    for name, bias in zip("ABC", biases, strict=True):
        ax.axvline(bias, color="#7f8c99", linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
        ax.text(bias, 1.06, name, ha="center", fontsize="small", color="#4a535b")
    ax.set(xlim=(-3.4, 1.6), ylim=(-1.05, 1.05), xlabel="$b_h$", ylabel="fixed points $h^*$")
    ax.legend(loc="lower right", frameon=False, fontsize="small")
    ax.spines[["top", "right"]].set_visible(False)


def _draw_theorem(ax: Any, theorem: dict[str, Any]) -> None:
    names = ["1", "2", "3", "more"]
    counts = [theorem["counts"].get(name, 0) for name in names[:3]] + [theorem["violations"]]
    bars = ax.bar(names, counts, color=["#0072b2", "#56b4e9", "#009e73", "#d55e00"], width=0.65)
    ax.bar_label(bars, [f"{count:,}" for count in counts], fontsize="small", padding=2)
    ax.set(xlabel="fixed points, proven", ylabel="random units")
    ax.set_title(f"Theorem 3 on {theorem['systems']:,} units", fontsize="medium", loc="left")
    ax.set_ylim(0, 1.14 * max(counts))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.spines[["top", "right"]].set_visible(False)
