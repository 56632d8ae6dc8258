"""Figures 2 to 7 of the paper, with certified points."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..bifurcations import paper_rows
from ..fixed_points import Kind
from ..plot._style import legend_below
from ..systems import jacobian, library
from ._jordan_homoclinic import homoclinic, nested_loops, regions_of, saddle_directions, separatrices
from ._jordan_measure import Measured
from ._jordan_orbits import backward, limit_cycle, paths, sample
from ._jordan_portraits import INK, PAPER, TRACE, of_measured
from ._jordan_words import compare, place

FIRST, SECOND = "#d55e00", "#0072b2"

# Computed independently of this library: period, and where the cycle crosses h2 = 0 upward or its largest h1.
KNOWN_5B = {"period": 17.45791322, "crossing": 0.6235352}
KNOWN_5C = {"period": 625.349230, "largest": 0.90290668}

# Rows of table 2 that the panels of figures 2 and 3 show.
PANEL_ROWS = {"fig:2": "xxxi", "fig:3a": "xxxvi", "fig:3b": "iv", "fig:3c": "vi"}

Drawn = tuple[Figure, dict[str, Any]]


def _starts(number: int, radius: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-radius, radius, (number, 2))


def _titled(ax: Axes, title: str) -> None:
    ax.set_title(title, loc="left", fontsize="medium")


def outcomes(measured: Measured) -> list[tuple[np.ndarray, int, int]]:
    """For each saddle, its state and the numbers of the sinks on either side of it, -1 where it leads to none."""
    sinks = measured.states[measured.kinds == Kind.SINK]
    found = []
    for state in measured.states[measured.kinds == Kind.SADDLE]:
        away = 1e-3 * saddle_directions(measured, state)[0]
        last = [path[-1] for path in paths(measured.flow, np.stack([state + away, state - away]), 2000.0)]
        near = [int(np.argmin(np.linalg.norm(sinks - end, axis=1))) for end in last]
        reached = [
            number if np.linalg.norm(sinks[number] - end) < 1e-3 else -1 for number, end in zip(near, last, strict=True)
        ]
        found.append((state, reached[0], reached[1]))
    return found


def _automaton(ax: Axes, measured: Measured) -> list[dict[str, Any]]:
    """Sinks as states, and each saddle as the border at which two of them can be exchanged."""
    sinks = measured.states[measured.kinds == Kind.SINK]
    edges = outcomes(measured)
    for saddle, left, right in edges:
        if left < 0 or right < 0:
            continue
        bow = np.stack([sinks[left], saddle, sinks[right]])
        ax.plot(*bow.T, color="#7f8c99", linewidth=1.6, zorder=1)
        ax.plot(
            *saddle, marker="o", fillstyle="left", markerfacecolor=INK, markerfacecoloralt=PAPER, markeredgecolor=INK
        )
    for number, sink in enumerate(sinks, start=1):
        ax.plot(
            *sink, marker="o", markersize=24, markerfacecolor=PAPER, markeredgecolor=INK, markeredgewidth=1.6, zorder=3
        )
        ax.text(float(sink[0]), float(sink[1]), str(number), ha="center", va="center", zorder=4)
    ax.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), aspect="equal", xlabel="$h_1$", ylabel="$h_2$")
    return [{"saddle": state.tolist(), "between": [left + 1, right + 1]} for state, left, right in edges]


def figure_2(measured: Mapping[str, Measured]) -> Drawn:
    """Nine points of two independent bistable units, and the automaton of its sinks."""
    return _portrait_and_automaton(measured["fig:2"], "two independent bistable units")


def _portrait_and_automaton(measured: Measured, name: str) -> Drawn:
    figure = Figure(figsize=(11.2, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.22, 1))
    of_measured(measured, ax=left, trajectories=paths(measured.flow, _starts(16, 1.15, 1), 60.0))
    _titled(left, f"A  {name}")
    edges = _automaton(right, measured)
    _titled(right, f"B  the automaton of its {measured.sinks} sinks")
    left.set_anchor("N")
    right.set_anchor("N")
    return figure, {"counts": [measured.lower, measured.upper], "transitions": edges}


def figure_3(measured: Mapping[str, Measured]) -> Drawn:
    """Eleven points, degenerate points of higher codimension, and a saddle-source fold."""
    figure = Figure(figsize=(12.0, 12.4), layout="constrained")
    figure.get_layout_engine().set(hspace=0.06, h_pad=0.12)  # pyright: ignore
    axes = figure.subplots(2, 2)
    names = {
        "fig:3a": "A  eleven fixed points",
        "fig:3b": "B  rank-0 point and two folds",
        "fig:3c": "C  nearly a saddle-source fold",
    }
    for ax, (case, name) in zip(axes.flat, names.items(), strict=False):
        one = measured[case]
        row = PANEL_ROWS[case]
        verdict = compare(row, paper_rows()[row], one)
        of_measured(one, verdict, ax=ax, trajectories=paths(one.flow, _starts(16, 1.15, 2), 200.0))
        _titled(ax, name)
    edges = _automaton(axes[1, 1], measured["fig:3a"])
    _titled(axes[1, 1], "D  the automaton of the five sinks of A")
    return figure, {"transitions": edges}


def figure_4(measured: Mapping[str, Measured]) -> Drawn:
    """Regions of homoclinic orbits: forward and backward in time, everything in them goes to the origin."""
    figure = Figure(figsize=(12.0, 8.6), layout="constrained")
    axes = figure.subplots(2, 2, height_ratios=(2.6, 1))
    facts: dict[str, Any] = {}
    for column, (case, name) in enumerate((("fig:4a", "A  one region"), ("fig:4b", "B  two regions"))):
        one = measured[case]
        axis = np.linspace(-1.0, 1.0, 61)
        inside = homoclinic(one, axis)
        regions = regions_of(axis, inside)
        chosen = nested_loops(regions)
        both = zip(paths(backward(one.flow), chosen, 400.0), paths(one.flow, chosen, 400.0), strict=True)
        loops = [np.concatenate([back[::-1], forth[1:]]) for back, forth in both]
        top = axes[0, column]
        of_measured(one, ax=top, trajectories=[*loops, *separatrices(one)])
        top.contourf(axis, axis, inside, levels=[0.5, 1.5], colors=["#ffffff"], alpha=0.6, zorder=1)
        _titled(top, f"{name} of homoclinic orbits, white")
        _series(axes[1, column], one, chosen[0])
        _titled(axes[1, column], f"{'CD'[column]}  along one of them")
        point = one.degenerate[0]
        facts[case] = {
            "rank": point.rank,
            "degree": point.degree,
            "share_of_box": float(inside.mean()),
            "regions": len(regions),
        }
    return figure, facts


def _series(ax: Axes, measured: Measured, start: np.ndarray, span: float = 60.0) -> None:
    (back,), (forth,) = paths(backward(measured.flow), start[None], span), paths(measured.flow, start[None], span)
    times = sample(span)
    t = np.concatenate([-times[: len(back)][::-1], times[1 : len(forth)]])
    states = np.concatenate([back[::-1], forth[1:]])
    time_series(ax, t, states)


def time_series(ax: Axes, times: np.ndarray, states: np.ndarray) -> None:
    """Both units against time."""
    ax.plot(times, states[:, 0], color=FIRST, linewidth=1.6, label="$h_1$")
    ax.plot(times, states[:, 1], color=SECOND, linewidth=1.6, linestyle=(0, (4, 1.5)), label="$h_2$")
    ax.axhline(0, color="#c8c8c8", linewidth=0.8, zorder=0)
    ax.set(xlabel="time", ylabel="state", xlim=(times[0], times[-1]))
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), frameon=False, fontsize="small", ncols=2)
    ax.spines[["top", "right"]].set_visible(False)


def figure_5(measured: Mapping[str, Measured]) -> Drawn:
    """A focus, a limit cycle, and a slow limit cycle near four folds."""
    figure = Figure(figsize=(15.6, 7.2), layout="constrained")
    axes = figure.subplots(2, 3, height_ratios=(2.4, 1))
    start = np.array([0.6, 0.3])
    plans = (
        ("fig:5a", "A  a stable focus", 40.0, None),
        ("fig:5b", "B  a limit cycle", 60.0, (300.0, 60.0)),
        ("fig:5c", "C  a slow limit cycle", 2000.0, (2500.0, 2000.0)),
    )
    facts: dict[str, Any] = {"hopf": {"alpha": float(np.arccos(2 / 3)), "printed": float(np.pi / 3.8)}}
    for column, (case, name, duration, search) in enumerate(plans):
        one = measured[case]
        (path,) = paths(one.flow, start[None], duration)
        lines = [path]
        if search is not None:
            cycle = limit_cycle(one.flow, path[-1], *search)
            lines = [cycle.states, *paths(one.flow, np.array([[0.05, 0.0], [1.15, 1.15], [-1.15, 1.1]]), duration)]
            facts[case] = {
                "period": cycle.period,
                "crossing": float(cycle.crossing[0]),
                "largest": cycle.largest,
                "change_of_the_last_turn": cycle.change,
                **{f"known_{key}": value for key, value in (KNOWN_5B if case == "fig:5b" else KNOWN_5C).items()},
            }
            name = f"{name}, period {cycle.period:.4f}"
        of_measured(one, ax=axes[0, column], trajectories=lines)
        _titled(axes[0, column], name)
        time_series(axes[1, column], sample(duration)[: len(path)], path)
    return figure, facts


def figure_6(measured: Mapping[str, Measured]) -> Drawn:
    """A pseudo-line attractor: one sink in a valley of slow states."""
    one = measured["fig:6a"]
    figure = Figure(figsize=(11.6, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    of_measured(one, ax=left, trajectories=paths(one.flow, _starts(12, 1.15, 3), 60.0))
    of_measured(one, ax=right, bounds=(-0.2, 0.2), trajectories=paths(one.flow, _starts(12, 0.19, 4), 60.0))
    _titled(left, "A  the whole box")
    _titled(right, "B  near the sink")
    values = np.sort(np.linalg.eigvals(np.asarray(jacobian(one.flow, one.enumeration.state[0]))).real)
    return figure, {"eigenvalues": values.tolist(), "time_constants": (-1 / values).tolist()}


def figure_7(measured: Mapping[str, Measured]) -> Drawn:
    """A slow point: two fixed points that have just annihilated still hold the state for long."""
    one = measured["fig:7a"]
    ghost = one.ghosts[0]
    start = np.array([[-1.0, 0.4]])
    (path,) = paths(one.flow, start, 100.0)
    times = sample(100.0)[: len(path)]
    figure = Figure(figsize=(11.6, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    others = np.array([[-1.1, -0.9], [-0.9, -1.1], [1.1, -1.1], [-0.3, 1.1], [1.1, 0.2]])
    of_measured(one, ax=left, trajectories=[path, *paths(one.flow, others, 200.0)])
    style = {"marker": "x", "markersize": 9, "markeredgewidth": 2.2, "linestyle": "none"}
    left.plot(*ghost.state, color="#c1272d", label=f"slow point, $|c - h|$ = {ghost.residual:.1e}", zorder=8, **style)
    legend_below(left, 2)
    near = np.linalg.norm(path - ghost.state, axis=1) < 0.1
    time_series(right, times, path)
    right.axvspan(times[near][0], times[near][-1], color=TRACE, alpha=0.12, linewidth=0)
    right.text(
        times[near].mean(),
        right.get_ylim()[0],
        "within 0.1 of the slow point",
        ha="center",
        va="bottom",
        fontsize="small",
    )
    right.set_xlim(0, 1.6 * times[near][-1])
    _titled(left, "A  phase portrait")
    _titled(right, "B  along the trajectory from (-1, 0.4)")
    bias, fold = fold_of_figure_7()
    return figure, {
        "slow_point": ghost.state.tolist(),
        "speed": ghost.residual / 2,
        "time_within_0.1": float(times[near][-1] - times[near][0]),
        "fold": {"b_h1": bias, "state": fold.tolist(), "printed_b_h1": 0.01},
        "place": place(ghost.state),
    }


def fold_of_figure_7() -> tuple[float, np.ndarray]:
    """The bias b_h1 at which the two points that figure 7 lacks meet, and where: Newton on residual and determinant."""
    flow = library.jordan("fig:7a")

    def equations(z: Any) -> Any:
        moved = eqx.tree_at(lambda s: s.cell.b_c, flow, jnp.stack([z[2], jnp.zeros_like(z[2])]))
        J = moved.residual_jacobian(z[:2])
        return jnp.append(moved.residual(z[:2]), J[0, 0] * J[1, 1] - J[0, 1] * J[1, 0])

    z = jnp.zeros(3)
    for _ in range(40):
        z = z - jnp.linalg.solve(jax.jacfwd(equations)(z), equations(z))
    return float(z[2]), np.asarray(z[:2])


FIGURES = {"2": figure_2, "3": figure_3, "4": figure_4, "5": figure_5, "6": figure_6, "7": figure_7}
