# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How gradients flow
#
# A gradient travels backwards through a recurrent network by the transposed Jacobians of its steps. Here we take that
# journey apart: how much of the gradient is left after each lag, which bounds hold, and what the Lyapunov exponents say
# about the long run. Then we move the exponents where we want them.

# %%
# ruff: noqa: E402
import jax

jax.config.update("jax_enable_x64", True)

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
import optax

import gru_dynamics as gd

# %% [markdown]
# ## Backpropagation through time, taken apart
#
# `bptt_factors` splits the gradient of any loss over a sequence by the step at which the parameters acted, and by the
# lag between then and the reading. The parts sum to the gradient of autodiff, to rounding.

# %%
UNITS, STEPS, LAGS = 24, 300, 60


class SumOfSquares(eqx.Module):
    """Half the sum of squares of all states: every step is read."""

    def __call__(self, states):
        return jnp.sum(states**2) / 2


inputs = jr.normal(jr.key(0), (STEPS, 3))
start = jnp.zeros(UNITS)
cells = {
    "GRU": gd.GRUCell(3, UNITS, key=jr.key(1)),
    "NC-GRU": gd.NCGRUCell(3, UNITS, num_negative=UNITS // 2, key=jr.key(1)),
}
factors = {name: gd.bptt_factors(cell, start, inputs, SumOfSquares(), max_lag=LAGS) for name, cell in cells.items()}
horizons = {name: gd.gradient_horizon(found) for name, found in factors.items()}
for name, horizon in horizons.items():
    print(
        f"{name}: {gd.GradientFlow(int(horizon.verdict)).name.lower()}, 1/e is left after {horizon.horizon[0]:.1f} "
        f"steps, 1 % after {horizon.horizon[1]:.1f}; {horizon.rate:+.4f} +- {horizon.standard_error:.4f} per step"
    )

# %%
for name in cells:
    axis = plt.figure(figsize=(9, 3.6), layout="constrained").add_subplot()
    gd.plot.gradient_flow(factors[name], horizons[name], ax=axis)
    axis.set_title(name, loc="left")
    plt.show()

# %% [markdown]
# ## In the long run: Lyapunov exponents
#
# One backward signal falls, in the long run, at the rate of the leading Lyapunov exponent of the driven network, here
# with an error bar. The sum over all readings falls more slowly wherever some stretches of the input let gradients pass
# and others do not: the readings that fade most slowly dominate it. For the GRU the two agree; for the NC-GRU, whose
# steps differ more, they do not.

# %%
long_run = jr.normal(jr.key(2), (6000, 3))
for name, cell in cells.items():
    found = gd.lyapunov_spectrum(cell, start, inputs=long_run, num_exponents=3)
    print(
        f"{name}: leading exponent {found.exponents[0]:+.4f} +- {1.96 * found.standard_error[0]:.4f}, "
        f"rate of the gradient {horizons[name].rate:+.4f}"
    )

# %% [markdown]
# ## One step: bounds and what they are worth
#
# Theorem 1 of Mucllari et al. (2022) bounds the norm of one step's Jacobian by sizes of gates and matrices, if its
# maxima are taken of absolute values. Beside it the norm itself.

# %%
measured, bound = {}, {}
for name, cell in cells.items():
    found = jax.vmap(lambda state, x, cell=cell: gd.sensitivity.gate_bound(cell, state, x))(
        factors[name].states[:-1], inputs[1:]
    )
    measured[name], bound[name] = np.asarray(found.measured), np.asarray(found.bound)

figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
for axis, name in zip(axes, cells, strict=True):
    axis.plot(bound[name], color="0.6", label="bound")
    axis.plot(measured[name], color="C0", label=r"$\sigma_1$ of the Jacobian")
    axis.axhline(1, color="0.8", lw=1, zorder=0)
    axis.set(xlabel="step", title=name)
    axis.spines[["top", "right"]].set_visible(False)
axes[0].set(ylabel="norm of one step", ylim=(0, 1.05 * max(each.max() for each in bound.values())))
axes[0].legend(frameon=False, loc="upper left", fontsize="small")
plt.show()

# %% [markdown]
# ## Into chaos
#
# A large random network `x' = g J tanh(x)` becomes chaotic where g exceeds 1; with 80 units that happens later,
# after windows of periodic motion. `vmap` runs all gains at once.

# %%
SIZE = 80
matrix = jr.normal(jr.key(3), (SIZE, SIZE)) / np.sqrt(SIZE)


def network(state, args):
    return args @ jnp.tanh(state)


def spectrum(gain):
    system = gd.FunctionMap(network, gain * matrix)
    first = jnp.sin(jnp.arange(SIZE, dtype=float))
    return gd.lyapunov_spectrum(system, first, num_steps=2000, num_exponents=10, throw=False)


gains = jnp.linspace(0.6, 2.4, 19)
found = eqx.filter_jit(eqx.filter_vmap(spectrum))(gains)
figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
axis.plot(gains, found.exponents[:, 1:], color="0.75", lw=1)
axis.errorbar(gains, found.exponents[:, 0], 1.96 * found.standard_error[:, 0], color="C3", fmt="o-", ms=3)
axis.axhline(0, color="0.4", lw=1)
axis.set(xlabel="gain g", ylabel="Lyapunov exponents per step", ylim=(-0.6, 0.3))
axis.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# ## Putting the exponents where we want them
#
# `flossing_penalty` (Engelken, 2023) drives exponents to a target, here the leading eight to zero, before any task is
# learned. Afterwards the gradient reaches much further back.

# %%
short = jr.normal(jr.key(4), (60, 3))


def penalty(cell):
    return gd.flossing_penalty(cell, start, short, 8, burn_in=10)


@eqx.filter_jit
def improve(cell, state):
    value, gradient = eqx.filter_value_and_grad(penalty)(cell)
    updates, state = optimiser.update(gradient, state)
    return eqx.apply_updates(cell, updates), state, value


optimiser = optax.adam(0.02)
cell = cells["GRU"]
state = optimiser.init(eqx.filter(cell, eqx.is_inexact_array))
values = []
with jax.numpy_dtype_promotion("standard"):
    for _ in range(150):
        cell, state, value = improve(cell, state)
        values.append(float(value))
print(f"penalty {values[0]:.3f} -> {values[-1]:.2e}")

after = gd.bptt_factors(cell, start, inputs, SumOfSquares(), max_lag=LAGS)
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
for label, split, color in (("before", factors["GRU"], "0.6"), ("after", after, "C0")):
    axis.semilogy(split.lags.left, color=color, label=label)
axis.set(xlabel="lag", ylabel="share of the gradient left", ylim=(1e-8, 10))
axis.legend(frameon=False)
axis.spines[["top", "right"]].set_visible(False)
plt.show()
print(f"{LAGS} steps back: {factors['GRU'].lags.left[-1]:.1e} is left before, {after.lags.left[-1]:.2f} after")

# %% [markdown]
# ## The landscape that training sees
#
# Rehmer & Kroll (2020) ask both kinds of unit to follow `x' = -0.9 x`. The loss of the recurrent unit lies in a narrow
# valley between steep walls, that of the gated one is smooth. `loss_landscape` computes loss and gradient on the whole
# grid at once, and says how steep and how wide.

# %%
target = (-0.9) ** jnp.arange(1, 101, dtype=float)


class Follow(eqx.Module):
    """Squared error over 100 free-running steps from 1."""

    def __call__(self, cell):
        states = gd.rollout(cell, jnp.ones(1), num_steps=100)
        return jnp.mean((states[:, 0] - target) ** 2)


axis_values = jnp.linspace(-3, 3, 121)
elman = gd.ElmanCell(0, 1, key=jr.key(5))
gated = gd.GRUCell(0, 1, reset=None, key=jr.key(5))
gated = eqx.tree_at(lambda c: (c.U_z, c.b_z), gated, (jnp.ones((1, 1)), jnp.zeros(1)))
planes = {
    "Elman unit": gd.loss_landscape(
        Follow(), elman, axis_values, axis_values, where=lambda c: (c.U, c.b), index=((0, 0), 0)
    ),
    "GRU unit, candidate": gd.loss_landscape(
        Follow(), gated, axis_values, axis_values, where=lambda c: (c.U_c, c.b_c), index=((0, 0), 0)
    ),
}
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
for axis, (name, plane) in zip(axes, planes.items(), strict=True):
    gd.plot.loss_surface(plane, labels=("recurrent weight", "bias"), ax=axis)
    axis.set_title(name, loc="left")
plt.show()
for name, plane in planes.items():
    print(f"{name}: least loss {plane.lowest:.2e}, steepest gradient {plane.steepest:.3g}")

# %% [markdown]
# All theorems behind this notebook, executed, with the cases that break the printed ones:
# `gru-dynamics reproduce errata`.
