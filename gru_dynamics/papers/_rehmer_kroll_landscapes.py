"""Figures 8 and 9: loss and gradient of one plain and one gated unit that learn x_{k+1} = -0.9 x_k."""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from matplotlib.figure import Figure

from .._types import Array, Scalar
from ..cells import AbstractCell, ElmanCell, GRUCell
from ..plot._landscape import loss_surface, surface_limits
from ..sensitivity._landscape import LossLandscape, loss_landscape

NUM_STEPS, _RATE, _REACH = 100, -0.9, 4.0


class Plane(NamedTuple):
    """A model and the two parameters that vary: `name`, `labels`, and the `landscape`."""

    name: str
    labels: tuple[str, str]
    landscape: LossLandscape


def loss(cell: AbstractCell) -> Scalar:
    """Mean squared error of the free run from x_0 = 1 over N = 100 steps.

    **Returns:** `()`.

    **Source:** Rehmer & Kroll (2020), section 5, eq. 13.
    """
    start = jnp.ones((1,), jnp.float64)

    def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
        state, target = carry
        state, target = cell(state), _RATE * target
        return (state, target), jnp.sum((state - target) ** 2, dtype=state.dtype)

    errors = jax.lax.scan(step, (start, start), None, length=NUM_STEPS)[1]
    return jnp.mean(errors, dtype=errors.dtype)


def planes(resolution: int) -> list[Plane]:
    """The three landscapes over [-4, 4]^2 with `resolution` points a side."""
    grid = jnp.linspace(-_REACH, _REACH, resolution)
    return [Plane(*words, landscape(words[0], grid, grid)) for words in _WORDS]


def near_steepest(plane: Plane) -> Plane:
    """The same model around the steepest point of its grid, four spacings wide."""
    x = plane.landscape.x
    here, reach = plane.landscape.steepest_at, 2 * (x[1] - x[0])
    fine = jnp.linspace(-1.0, 1.0, x.size) * reach
    return plane._replace(landscape=landscape(plane.name, here[0] + fine, here[1] + fine))


_WORDS = (
    ("RNN", ("$w_x$", "$b_x$")),
    ("GRU, update gate ($w_c = 1$, $b_c = 0$)", ("$w_z$", "$b_z$")),
    ("GRU, output gate ($w_z = 1$, $b_z = 0$)", ("$w_c$", "$b_c$")),
)


def landscape(name: str, x: Array, y: Array) -> LossLandscape:
    """That of one of the three models over a grid `(X,)`, `(Y,)`.

    **Returns:** a `LossLandscape`.

    **Source:** Rehmer & Kroll (2020), section 5; its text says w_z, b_z for both gates.
    """
    index = ((0, 0), 0)
    if name == "RNN":
        return loss_landscape(loss, _zero(ElmanCell(0, 1, key=jr.key(0))), x, y, where=_of_rnn, index=index)
    gru, one = _zero(GRUCell(0, 1, reset=None, key=jr.key(0))), jnp.ones((1, 1))
    if "update" in name:
        fixed = eqx.tree_at(lambda cell: cell.U_c, gru, one)
        return loss_landscape(loss, fixed, x, y, where=_of_gate, index=index)
    fixed = eqx.tree_at(lambda cell: cell.U_z, gru, one)
    return loss_landscape(loss, fixed, x, y, where=_of_candidate, index=index)


def _zero(cell: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if eqx.is_array(leaf) else leaf, cell)


def _of_rnn(cell: ElmanCell) -> tuple[Any, Any]:
    return cell.U, cell.b


def _of_gate(cell: GRUCell) -> tuple[Any, Any]:
    return cell.U_z, cell.b_z


def _of_candidate(cell: GRUCell) -> tuple[Any, Any]:
    return cell.U_c, cell.b_c


def facts(found: list[Plane]) -> list[dict[str, Any]]:
    """Numbers of each landscape."""
    rows = []
    for plane in found:
        one = plane.landscape
        slope = np.asarray(one.slope)
        rows.append(
            {
                "model": plane.name.replace("$", ""),
                "least_loss": float(one.lowest),
                "at": _tidy(one.best),
                "interior": bool(one.interior),
                "steepest": float(one.steepest),
                "steepest_at": _tidy(one.steepest_at),
                "slope_99": float(np.nanpercentile(slope, 99)),
                "slope_median": float(np.nanmedian(slope)),
                "share_above_1": float(one.share_above(1.0)),
                "curvature": np.asarray(one.curvature).tolist(),
                "half_width": [float(w) if np.isfinite(w) else None for w in np.asarray(one.width)],
            }
        )
    return rows


def _tidy(point: Array) -> list[float]:
    """Without the rounding of a grid point at 0."""
    return (np.round(np.asarray(point), 12) + 0.0).tolist()


def sentences(rows: list[dict[str, Any]], finer: list[float]) -> tuple[str, ...]:
    """What the pictures show, in numbers; `finer` holds the largest gradients around the steepest
    points."""
    rnn, gate, candidate = rows
    steeper, fine = max(gate["steepest"], candidate["steepest"]), finer[0] / max(finer[1:])
    lines = [
        f"Steepest gradient on the grid: RNN {rnn['steepest']:.4g}, GRU {gate['steepest']:.4g} (update gate) and "
        f"{candidate['steepest']:.4g} (output gate): the RNN is {rnn['steepest'] / steeper:.3g} times as steep.",
        "On a fine grid around these points: "
        + ", ".join(f"{_short(row)} {value:.4g}" for row, value in zip(rows, finer, strict=True))
        + f", {fine:.3g} times. The steepest points lie on the ridge where x_0 = 1 is on the border of two basins.",
        "Share of the grid with a gradient above 1: "
        + ", ".join(f"{_short(row)} {100 * row['share_above_1']:.3g} %" for row in rows)
        + ".",
    ]
    for row in rows:
        across = row["half_width"][1]
        width = "" if across is None else f", half-width across it {across:.3g}"
        lines.append(
            f"{row['model']}: least loss {row['least_loss']:.3g} at ({row['at'][0]:.3g}, {row['at'][1]:.3g})"
            f"{'' if row['interior'] else ', on the border'}; curvature along and across the valley "
            f"{row['curvature'][0]:.3g} and {row['curvature'][1]:.3g}{width}."
        )
    lines.append(
        "With w_c = 1, b_c = 0 the next state lies between tanh(x) and x, so it keeps the sign of x: no update gate "
        f"can learn -0.9 x, and the least loss is {gate['least_loss']:.3g}."
    )
    return tuple(lines)


def _short(row: dict[str, Any]) -> str:
    return row["model"].split(" (")[0]


def draw(found: list[Plane]) -> Figure:
    """Loss above, gradient below, each on one scale for all."""
    figure = Figure(figsize=(12, 7.2), layout="constrained")
    axes = figure.subplots(2, 3)
    kinds: tuple[tuple[int, Literal["loss", "gradient"], str], ...] = (
        (0, "loss", "loss"), (1, "gradient", r"$\Vert\nabla L\Vert_2$"),
    )  # fmt: skip
    for row, value, name in kinds:
        heights = np.stack([np.asarray(p.landscape.loss if row == 0 else p.landscape.slope) for p in found])
        limits = surface_limits(heights, True)
        limits = (max(limits[0], 1e-5 * limits[1]), limits[1])
        for ax, letter, plane in zip(axes[row], "ABC" if row == 0 else "DEF", found, strict=True):
            loss_surface(plane.landscape, value=value, limits=limits, labels=plane.labels, bar=False, ax=ax)
            ax.set_title(f"{letter}  {plane.name}", loc="left", fontsize=10)
            ax.set_box_aspect(1)
        bar = figure.colorbar(axes[row, 0].collections[0], ax=axes[row], shrink=0.9, aspect=24, pad=0.01, label=name)
        bar.outline.set_visible(False)
    return figure
