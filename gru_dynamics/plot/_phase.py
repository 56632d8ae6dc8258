"""Phase portrait of a two-dimensional system."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..fixed_points import FixedPoints, Kind
from ..systems import AbstractMap, AbstractSystem
from ._field import on_grid, states_like
from ._style import (
    FIRST,
    INK,
    PATH,
    SECOND,
    as_paths,
    axes_or_new,
    draw_points,
    halo,
    legend_below,
    one_system,
    speed_colours,
)

_NULLCLINES: tuple[tuple[str, Any], ...] = ((FIRST, "solid"), (SECOND, (0, (4, 1.5))))
_NAMES = {Kind.SINK: "sink", Kind.SADDLE: "saddle", Kind.SOURCE: "source", Kind.DEGENERATE: "degenerate"}


def phase_portrait(
    system: AbstractSystem,
    points: FixedPoints | None = None,
    *,
    nullclines: bool = True,
    trajectories: Sequence[Any] | np.ndarray = (),
    bounds: tuple[Any, Any] | None = None,
    resolution: int = 241,
    ax: Axes | None = None,
) -> Axes:
    """Phase portrait of a two-dimensional map or flow: directions, speed, nullclines, fixed points, trajectories.

    Arrows give the direction of `dh/dt` (flow) or `F(h) - h` (map), the background its base-10 logarithm of length.
    Where the two nullclines cross, a fixed point must lie. Sinks are drawn full, saddles half full, sources open,
    degenerate points as diamonds.

    **Arguments:**

    - `system`: any map or flow with states of shape `(2,)`.
    - `points`: from `find_fixed_points`; without them none are drawn.
    - `nullclines`: draw the zero sets of both components of the (gate-free) residual.
    - `trajectories`: arrays `(T, 2)`, for example from `rollout` or `integrate`; iterates of a map get a dot each.
    - `bounds`: `(lower, upper)`, numbers or vectors `(2,)`; by default the trapping box and a margin, else a box around
      points and trajectories.
    - `resolution`: grid points per axis of background and nullclines.
    - `ax`: where to draw. By default a new figure, `ax.figure`, that pyplot does not keep: save it with
      `ax.figure.savefig(...)`, or in a notebook give an axes of `plt.subplots()`.

    **Returns:** the axes. Nothing is computed but the field on the grid, of shape `(resolution, resolution)`.

    **Raises:** `ValueError` for a system that is not two-dimensional, a batch of points, trajectories of a wrong shape,
    or when there is nothing to take the bounds from.

    **Source:** Jordan, Sokół, Park (2019), figs. 2 and 3.
    """
    _check_plane(system, points)
    rows = np.array([], int) if points is None else one_system(points, "phase_portrait")
    states = np.zeros((0, 2)) if points is None else np.asarray(points.state)[rows]
    paths = as_paths(trajectories, 2, "phase_portrait")
    lower, upper = _window(system, bounds, [states, *paths])
    ax = axes_or_new(ax, (5.6, 5.4))

    axis = [np.linspace(lower[i], upper[i], resolution) for i in range(2)]
    velocity, residual = on_grid(system, *axis)
    _draw_speed(ax, system, axis, velocity)
    _draw_directions(ax, system, lower, upper)
    if nullclines:
        _draw_nullclines(ax, axis, residual)
    _draw_trajectories(ax, paths, 0.06 * float((upper - lower).max()), isinstance(system, AbstractMap))
    if points is not None:
        kinds = np.asarray(points.kind)[rows]
        for kind, name in _NAMES.items():
            here = states[kinds == kind]
            if len(here):
                draw_points(
                    ax, here, kind, INK, label=f"{name} ({len(here)})", gid=name, zorder=6, path_effects=halo(3.0)
                )
    ax.set(xlim=(lower[0], upper[0]), ylim=(lower[1], upper[1]), xlabel="$h_1$", ylabel="$h_2$", aspect="equal")
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    legend_below(ax, 3)
    return ax


def _check_plane(system: AbstractSystem, points: FixedPoints | None) -> None:
    sizes = [system.resting_size] if points is None else [points.state.shape[-1]]
    if points is None and system.bounds is not None:
        sizes = [jax.eval_shape(system.lift, system.bounds[0]).shape[0]]
    if sizes[0] is None:
        try:
            sizes = [jax.eval_shape(system.velocity, states_like(system, np.zeros(2))).shape[0]]
        except (TypeError, ValueError, IndexError) as error:
            raise ValueError(
                f"phase_portrait: the system does not take states of shape (2,) ({error}); use pca_portrait"
            ) from error
    if sizes[0] != 2:
        raise ValueError(
            f"phase_portrait: expected a system with 2 state variables, got {sizes[0]}; use pca_portrait for more"
        )


def _window(
    system: AbstractSystem, bounds: tuple[Any, Any] | None, contents: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner `(2,)` of the picture."""
    if bounds is not None:
        lower, upper = (np.broadcast_to(np.asarray(end, float), (2,)) for end in bounds)
        if not (lower < upper).all():
            raise ValueError(f"phase_portrait: bounds must be (lower, upper) with lower < upper, got {bounds}")
        return lower, upper
    if system.bounds is not None and np.shape(system.bounds[0]) == (2,):
        lower, upper = (np.asarray(end, float) for end in system.bounds)
        margin = 0.1 * (upper - lower)
    else:
        seen = np.concatenate([part.reshape(-1, 2) for part in contents])
        if not len(seen):
            raise ValueError("phase_portrait: there is no trapping box and no point; give bounds=(lower, upper)")
        lower, upper = seen.min(axis=0), seen.max(axis=0)
        width = np.maximum(upper - lower, 0.5 * max(float((upper - lower).max()), 1.0))
        centre = (lower + upper) / 2
        lower, upper, margin = centre - width / 2, centre + width / 2, 0.25 * width
    return lower - margin, upper + margin


def _draw_speed(ax: Axes, system: AbstractSystem, axis: list[np.ndarray], velocity: np.ndarray) -> None:
    speed = np.log10(np.maximum(np.linalg.norm(velocity, axis=0), np.finfo(float).tiny))
    # Near a fixed point the logarithm dives to minus infinity; the colours must show the rest.
    low, high = np.nanpercentile(speed, [0.5, 100.0])
    half = [(part[1] - part[0]) / 2 for part in axis]
    image = ax.imshow(
        speed,
        origin="lower",
        extent=(axis[0][0] - half[0], axis[0][-1] + half[0], axis[1][0] - half[1], axis[1][-1] + half[1]),
        cmap=speed_colours(),
        vmin=low,
        vmax=high,
        interpolation="bilinear",
        zorder=0,
    )
    name = r"\| F(h) - h \|" if isinstance(system, AbstractMap) else r"\| \dot h \|"
    label = rf"$\log_{{10}} {name}$"
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, aspect=28, pad=0.02, extend="min", label=label)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.ax.yaxis.set_major_locator(MaxNLocator(6))


def _draw_directions(ax: Axes, system: AbstractSystem, lower: np.ndarray, upper: np.ndarray, number: int = 23) -> None:
    step = (upper - lower) / number
    axis = [np.linspace(lower[i] + step[i] / 2, upper[i] - step[i] / 2, number) for i in range(2)]
    velocity, _ = on_grid(system, *axis)
    length = np.linalg.norm(velocity, axis=0)
    unit = np.divide(velocity, length, out=np.zeros_like(velocity), where=length > 0)
    ax.quiver(
        *axis,
        *unit,
        color=INK,
        alpha=0.55,
        angles="xy",
        pivot="mid",
        units="width",
        scale=number * 1.45,
        width=0.0024,
        headwidth=4.2,
        headlength=4.5,
        headaxislength=4.0,
        zorder=2,
    )


def _draw_nullclines(ax: Axes, axis: list[np.ndarray], residual: np.ndarray) -> None:
    for number, (part, (colour, dashes)) in enumerate(zip(residual, _NULLCLINES, strict=True), start=1):
        if np.nanmin(part) < 0 < np.nanmax(part):
            ax.contour(
                *axis, part, levels=[0.0], colors=[colour], linewidths=2.0, linestyles=[dashes], zorder=3
            ).set_path_effects(halo(3.6))
        ax.add_line(Line2D([], [], color=colour, linestyle=dashes, linewidth=2.0, label=rf"nullcline of $h_{number}$"))


def _draw_trajectories(ax: Axes, paths: list[np.ndarray], shortest: float, dotted: bool) -> None:
    label = "trajectory" if len(paths) == 1 else "trajectories"
    for number, path in enumerate(paths):
        ax.plot(
            *path.T,
            color=PATH,
            linewidth=0.7 if dotted else 1.4,
            marker="." if dotted else None,
            markersize=3.5,
            label=label if number == 0 else None,
            gid="trajectory",
            zorder=4,
            path_effects=None if dotted else halo(2.6),
        )
        _arrow_head(ax, path, shortest)


def _arrow_head(ax: Axes, path: np.ndarray, shortest: float) -> None:
    """An arrow head where a third of the length is done, on paths not too short for one."""
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    done = np.cumsum(steps)
    if len(path) < 3 or not done[-1] > shortest:
        return
    at = max(int(np.searchsorted(done, done[-1] / 3)), 1)
    ax.annotate(
        "",
        path[at + 1] if at + 1 < len(path) else path[at],
        path[at - 1],
        arrowprops={"arrowstyle": "-|>", "color": PATH, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 11},
        zorder=4,
    )
