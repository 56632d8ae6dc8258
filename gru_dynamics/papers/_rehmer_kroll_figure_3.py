"""Figure 3: the gradients of the gated unit over the activations of its gate and candidate."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..plot._style import FIRST, INK, PAPER, halo
from ._rehmer_kroll_equations import Unit, in_candidate, in_gate

_SIZE = 401


def surfaces() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Gate s `(S,)`, candidate t `(T,)`, and by name the gradients `(S, T)` for w = x = dx = 1, as in the paper."""
    s, t = jnp.linspace(0.0, 1.0, _SIZE), jnp.linspace(-1.0, 1.0, _SIZE)
    grid_s, grid_t = jnp.meshgrid(s, t, indexing="ij")
    ones = Unit(*(jnp.ones_like(grid_s) for _ in Unit._fields))
    found = {
        "in w_z, printed eq. 8": in_gate(grid_s, grid_t, ones, as_printed=True),
        "in w_z, true": in_gate(grid_s, grid_t, ones),
        "in w_c, eq. 9 (true for w_z = 1)": in_candidate(grid_s, grid_t, ones),
    }
    return np.asarray(s), np.asarray(t), {name: np.asarray(value) for name, value in found.items()}


def facts(s: np.ndarray, t: np.ndarray, found: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Where each is largest, and the largest at the closed and at the open gate."""
    rows = []
    for name, value in found.items():
        i, j = np.unravel_index(int(np.argmax(value)), value.shape)
        rows.append(
            {
                "gradient": name, "largest": float(value[i, j]),
                "s": round(float(s[i]), 12), "t": round(float(t[j]), 12) + 0.0,
                "closed_gate": float(value[0].max()), "open_gate": float(value[-1].max()),
                "least": float(value.min()),
            }
        )  # fmt: skip
    return rows


def sentences(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """What figure 3 shows, and whether it is what the paper says."""
    lines = []
    for row in rows:
        at = f"{row['largest']:.4g} at s = {row['s']:.3g}, t = {row['t']:.3g}"
        holds = row["closed_gate"] >= row["largest"] - 1e-12
        lines.append(
            f"Gradient {row['gradient']}: largest {at}; closed gate {row['closed_gate']:.4g}, open gate "
            f"{row['open_gate']:.4g}. That the largest occurs at the closed gate {'holds' if holds else 'is false'}."
        )
    return tuple(lines)


def draw(s: np.ndarray, t: np.ndarray, found: dict[str, np.ndarray]) -> Figure:
    """Three surfaces on one scale, a cross where each is largest."""
    figure = Figure(figsize=(11.4, 4.0), layout="constrained")
    axes = figure.subplots(1, 3, sharex=True, sharey=True)
    low = min(value.min() for value in found.values())
    high = max(value.max() for value in found.values())
    for letter, ax, (name, value) in zip("ABC", axes, found.items(), strict=True):
        ax.pcolormesh(s, t, value.T, vmin=low, vmax=high, cmap="viridis", shading="gouraud", rasterized=True)
        lines = ax.contour(s, t, value.T, levels=np.arange(0, 2.01, 0.25), colors=PAPER, linewidths=0.7)
        ax.clabel(
            lines, levels=[level for level in lines.levels if level % 0.5 == 0 and level > 0], fontsize=8, fmt="%g"
        )
        i, j = np.unravel_index(int(np.argmax(value)), value.shape)
        ax.plot(
            s[i], t[j], "X", color=FIRST, markersize=10, markeredgecolor=INK, clip_on=False, zorder=5,
            path_effects=halo(3.0),
        )  # fmt: skip
        _label(ax, letter, name)
    axes[0].set_ylabel(r"candidate $t = \tanh(w_c x + b_c)$")
    bar = figure.colorbar(
        axes[0].collections[0], ax=axes, shrink=0.9, aspect=28, pad=0.02, label="gradient of the next state"
    )
    bar.outline.set_visible(False)
    return figure


def _label(ax: Axes, letter: str, name: str) -> None:
    text = name.replace("w_z", "$w_z$").replace("w_c", "$w_c$")
    ax.set_title(f"{letter}  {text}", loc="left", fontsize=10)
    ax.set_xlabel(r"gate $s = \sigma(w_z x + b_z)$")
