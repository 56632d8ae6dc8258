"""Figure 8: the norm on which the Neumann series depends, step by step."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from matplotlib.figure import Figure

from .._types import Array, ArrayTree
from ..linalg import cayley_inverse
from ..optim import OrthogonalLeaf
from ..plot._style import INK
from ..tasks import Parenthesis
from ._nc_gru_columns import C
from ._nc_gru_run import Network, Setting, build, optimiser
from ._options import Options

_COLOUR, _BOUND = "#0072b2", "#d55e00"


class Norms(NamedTuple):
    """Per seed and step, `(L, N)`: `||X dA||_2` with X = (I + A)^-1 before the step, `max |dA_ij|`, and the loss; `n`,
    `rate`, and how it was trained."""

    size: np.ndarray
    entry: np.ndarray
    loss: np.ndarray
    n: int
    rate: float
    setting: Setting

    @property
    def pick(self) -> float:
        """Pick's bound on `||dA||_2` for steps of at most the learning rate: eta cot(pi / 2n)."""
        return self.rate / math.tan(math.pi / (2 * self.n))


def setting_of(options: Options) -> Setting:
    """As printed: algorithm 1 with two terms and a reset every 50 steps."""
    n, T, steps = (28, 50, 1500) if options.scale == "small" else (56, 100, 20_000)
    update = {"mode": "paper", "order": 2, "reset_every": 50}
    network = Network(C, "nc-gru", (n,), {"num_negative": n * 40 // 56}, update)
    return Setting(Parenthesis(T, variant="released"), (network,), steps, 16, 1e-3, 1e-3)


def norms(setting: Setting, seeds: int) -> Norms:
    """Train the one network of a setting and measure each step."""
    (network,) = setting.networks
    with jax.enable_x64(False):
        keys = jr.split(jr.key(0), seeds)
        models = eqx.filter_vmap(lambda key: build(network, setting, key))(keys)
        optim = optimiser(network, setting, build(network, setting, keys[0]))
        measured = eqx.filter_vmap(lambda model, key: _follow(model, key, setting, optim))(models, keys)
    size, entry, loss = (np.asarray(value, float) for value in measured)
    return Norms(size, entry, loss, network.hidden[0], setting.orthogonal_rate, setting)


@eqx.filter_jit
def _follow(model: Any, key: jax.Array, setting: Setting, optim: Any) -> tuple[Array, Array, Array]:
    params, frozen = eqx.partition(model, eqx.is_inexact_array)
    task = setting.task

    def step(carry: tuple[ArrayTree, Any], number: Array) -> tuple[tuple[ArrayTree, Any], tuple[Array, Array, Array]]:
        params, state = carry
        batch = task.batch(key, number, setting.batch_size)

        def objective(params: ArrayTree) -> Array:
            outputs, _ = jax.vmap(eqx.combine(params, frozen))(batch.inputs)
            return task.loss(outputs, batch)

        loss, gradients = jax.value_and_grad(objective)(params)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            updates, after = optim.update(gradients, state, params)
        before, now = _skew(state), _skew(after)
        moved = before - now
        size = jnp.linalg.norm(cayley_inverse(before) @ moved, ord=2)
        return (optax.apply_updates(params, updates), after), (size, jnp.max(jnp.abs(moved)), loss)

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        state = optim.init(params)
    _, measured = jax.lax.scan(step, (params, state), jnp.arange(setting.steps, dtype=jnp.int32))
    return measured


def _skew(state: Any) -> Array:
    leaves = jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, OrthogonalLeaf))
    (leaf,) = [leaf for leaf in leaves if isinstance(leaf, OrthogonalLeaf)]
    return leaf.skew


def draw(found: Norms) -> Figure:
    """The norm over steps with the condition and Pick's bound."""
    figure = Figure(figsize=(8.8, 4.6), layout="constrained")
    ax = figure.add_subplot()
    steps = np.arange(1, found.size.shape[1] + 1)
    ax.fill_between(steps, found.size.min(axis=0), found.size.max(axis=0), color=_COLOUR, alpha=0.2, linewidth=0)
    ax.plot(steps, np.median(found.size, axis=0), color=_COLOUR, linewidth=1.2)
    ax.set_yscale("log")
    lines = (
        (1.0, "the series converges below 1", INK),
        (found.pick, f"Pick's bound on the step, {found.pick:.3g}", _BOUND),
    )
    for value, name, colour in lines:
        ax.axhline(value, color=colour, linewidth=1.1, linestyle="--")
        ax.annotate(
            name, (0.99, value), xycoords=("axes fraction", "data"), xytext=(0, -4), textcoords="offset points",
            color=colour, ha="right", va="top",
        )  # fmt: skip
    ax.annotate(
        f"median of {found.size.shape[0]} seeds, largest of all {found.size.max():.3g}",
        (0.01, 0.03), xycoords="axes fraction", color=_COLOUR,
    )  # fmt: skip
    ax.spines[["top", "right"]].set_visible(False)
    ax.set(xlabel="step", ylabel=r"$\Vert (I + A)^{-1}\, \delta A \Vert_2$", xlim=(0, steps[-1]))
    return figure
