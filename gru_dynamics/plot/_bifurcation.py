"""Branches of fixed points over one parameter."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from .._types import Array, ArrayLike
from ..continuation import Branch, Diagram
from ..cycles import CycleBranch
from ._special import draw_marks, draw_stability, join, marks_of
from ._style import INK, PAPER, PATH, axes_or_new, legend_below

Component = int | str | ArrayLike | Callable[[Array], Array]

_FEWEST_NODES = 8


def bifurcation_diagram(
    branches: Branch | Diagram | Sequence[Branch | Diagram],
    *,
    component: Component = 0,
    cycles: CycleBranch | Sequence[CycleBranch] = (),
    labels: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Branches of fixed points over their parameter: stable parts thick, unstable parts thin, special points marked.

    The line changes at the special points themselves. A marker tells the kind by its shape and colour; it is hollow
    where the point is only known to lie between two rows of the branch.

    **Arguments:**

    - `branches`: a `Branch`, a batch of them from `jax.vmap`, a `Diagram` from `continue_all`, or a list of these.
    - `component`: what is drawn over the parameter: the number of a state variable, a vector `(S,)` to project on,
      `"norm"`, or a function from a state `(S,)` to a number.
    - `cycles`: a `CycleBranch` or a list of them with at least 8 nodes per cycle: smallest and largest value along each
      cycle, full circles where it is stable, hollow where not.
    - `labels`: write the abbreviation of its kind beside each special point.
    - `ax`: where to draw. By default a new figure, `ax.figure`, that pyplot does not keep.

    **Returns:** the axes.

    **Raises:** `ValueError` for branches in two parameters, a component that the states do not have, or cycles with too
    few nodes to show how far they reach.

    **Source:** Kuznetsov (2004), section 10.2; marks and colours by kind follow BifurcationKit.jl.
    """
    singles = [single for branch in as_list(branches) for single in unbatched(branch, "bifurcation_diagram")]
    if not singles:
        raise ValueError("bifurcation_diagram: there is no branch to draw; give a Branch or a list of them")
    size = singles[0].state.shape[-1]
    project, label = projection(component, size)
    marks, lines = [], []
    for branch in singles:
        special = branch.special_points
        mark = marks_of(special, np.stack([special.mu, project(special.state)], axis=1))
        points = np.stack([branch.mu, project(branch.state)], axis=1)
        marks.append(mark)
        lines.append(join(points, branch.stable, branch.mask, mark))
    ax = axes_or_new(ax, (6.4, 4.8))
    draw_stability(ax, lines, INK)
    rings = [_reach(single, component, project) for item in as_list(cycles) for single in unbatched(item, "cycles")]
    _draw_cycles(ax, rings)
    ax.autoscale_view()
    draw_marks(ax, marks, lines, labels)
    ax.set(xlabel=r"$\mu$", ylabel=label)
    legend_below(ax, 3, -0.15)
    return ax


def as_list(items: Any) -> list[Any]:
    """One or several as a list."""
    return list(items) if isinstance(items, list | tuple) else [items]


def unbatched(branch: Any, caller: str) -> list[Any]:
    """The branches of a batch of any shape, each with NumPy fields; those without rows are left out."""
    if isinstance(branch, Diagram):
        branch = branch.branches
    if not isinstance(branch, Branch | CycleBranch):
        raise ValueError(f"{caller}: expected a branch or a list of them, got {type(branch).__name__}")
    lead = branch.mask.shape[:-1]
    if branch.mu.shape != branch.mask.shape:
        raise ValueError(
            f"{caller}: these are branches in {branch.mu.shape[-1]} parameters; draw them with two_parameter_diagram"
        )
    number = int(np.prod(lead, dtype=int))
    flat = jax.tree.map(lambda x: np.asarray(x).reshape(number, *np.shape(x)[len(lead) :]), branch)
    return [jax.tree.map(lambda x: x[i], flat) for i in range(number) if flat.mask[i].any()]  # noqa: B023


def projection(component: Component, size: int) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """From states `(..., S)` to what is drawn `(...)`, and its name."""
    if isinstance(component, str):
        if component != "norm":
            raise ValueError(
                f'bifurcation_diagram: component must be a number, a vector, a function or "norm", got {component!r}'
            )
        return lambda states: np.linalg.norm(states, axis=-1), r"$\|h\|$"
    if isinstance(component, int | np.integer):
        if not 0 <= component < size:
            raise ValueError(
                f"bifurcation_diagram: component must be 0 to {size - 1} for {size} state variables, got {component}"
            )
        return lambda states: states[..., component], f"$h_{{{component + 1}}}$"
    if callable(component):
        function = jax.vmap(component)

        def each(states: np.ndarray) -> np.ndarray:
            values = np.asarray(function(jnp.asarray(states.reshape(-1, size))))
            if values.shape != (states.size // size,):
                raise ValueError(
                    f"bifurcation_diagram: component must give one number for a state, got shape {values.shape[1:]}"
                )
            return values.reshape(states.shape[:-1])

        return each, "projection"
    vector = np.asarray(component, float)
    if vector.shape != (size,):
        raise ValueError(f"bifurcation_diagram: a vector to project on must have shape ({size},), got {vector.shape}")
    return lambda states: states @ vector, "projection"


def _reach(cycles: Any, component: Component, project: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, ...]:
    """Parameter, smallest and largest value, and stability of the cycles in use; each `(n,)`."""
    mu, stable = cycles.mu[cycles.mask], cycles.stable[cycles.mask]
    if isinstance(component, int | np.integer):
        return mu, cycles.minimum[cycles.mask][:, component], cycles.maximum[cycles.mask][:, component], stable
    nodes, amplitude = cycles.states[cycles.mask], cycles.amplitude[cycles.mask]
    # Between the nodes their Fourier series is taken. The amplitude is known better, and says whether that will do.
    along = _refined(nodes) if nodes.shape[1] >= _FEWEST_NODES else nodes
    missed = np.abs(np.ptp(along, axis=1) - amplitude) > 0.1 * amplitude
    if nodes.shape[1] < _FEWEST_NODES or missed.any():
        raise ValueError(
            f"bifurcation_diagram: {nodes.shape[1]} node(s) on each cycle are too few to see how far a projection "
            f"reaches; draw one component, or follow the cycles with num_nodes={max(_FEWEST_NODES, 2 * nodes.shape[1])}"
        )
    values = project(along)
    return mu, values.min(axis=1), values.max(axis=1), stable


def _refined(nodes: np.ndarray, times: int = 8) -> np.ndarray:
    """Periodic samples `(n, M, S)` at equal times, with more between them from the Fourier series."""
    number = nodes.shape[1]
    series = np.fft.rfft(nodes, axis=1)
    if number % 2 == 0:
        series[:, -1] /= 2
    return times * np.fft.irfft(series, n=times * number, axis=1)


def _draw_cycles(ax: Axes, rings: list[tuple[np.ndarray, ...]]) -> None:
    drawn = set()
    for mu, low, high, _ in rings:
        for end in (low, high):
            ax.plot(mu, end, color=PATH, linewidth=0.8, gid="cycle", zorder=2)
    ax.autoscale_view()
    for mu, low, high, stable in rings:
        for end in (low, high):
            chosen = _spaced(ax.transData.transform(np.stack([mu, end], axis=1)), 7 * ax.figure.dpi / 72)
            for good in (True, False):
                here = chosen & (stable == good)
                if here.any():
                    drawn.add(good)
                    _circles(ax, mu[here], end[here], good, gid="stable cycle" if good else "unstable cycle")
    for good in sorted(drawn, reverse=True):
        name = "stable" if good else "unstable"
        _circles(ax, np.zeros(0), np.zeros(0), good, label=f"{name} cycle, least and greatest")


def _circles(ax: Axes, x: np.ndarray, y: np.ndarray, stable: bool, **line: Any) -> None:
    ax.add_line(
        Line2D(
            x,
            y,
            linestyle="none",
            marker="o",
            markersize=4.5,
            markerfacecolor=PATH if stable else PAPER,
            markeredgecolor=PATH,
            markeredgewidth=0.9,
            zorder=3,
            **line,
        )
    )


def _spaced(places: np.ndarray, gap: float) -> np.ndarray:
    """Which points of a path to keep so that they are about `gap` apart, and the ends."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(places, axis=0).T))])
    number = np.floor(np.nan_to_num(length) / gap).astype(int)
    kept = np.concatenate([[True], np.diff(number) > 0])
    kept[-1] = True
    return kept
