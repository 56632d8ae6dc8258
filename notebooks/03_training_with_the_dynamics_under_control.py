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
# # Training with the dynamics under control
#
# Gradients travel through a recurrent network by its Jacobians. If the recurrent matrix is orthogonal, the linear part
# of that way neither shrinks nor stretches them. Here we train an orthogonal GRU (NC-GRU: Mucllari et al., 2022) on a
# task that needs memory, watch its matrix stay orthogonal, and then ask of the trained network what every network is
# asked in this library: where are its fixed points?

# %%
# ruff: noqa: E402
import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
import optax

import gru_dynamics as gd

# %% [markdown]
# ## The task
#
# Denoise: three symbols are scattered over the first steps, the rest is blank. After a marker the network has to repeat
# them in order. Who forgets everything and guesses at the right times loses `baseline`; nothing loses less than
# `floor`.

# %%
task = gd.tasks.Denoise(length=20, num_symbols=4, num_items=3)
batch = task.batch(jr.key(0), 0, 1)
print(f"baseline {task.baseline:.3f}, floor {task.floor:.3f}")

figure, axis = plt.subplots(figsize=(7, 1.9), layout="constrained")
axis.imshow(np.asarray(batch.inputs[0]).T, aspect="auto", cmap="Greys", interpolation="nearest")
axis.set(xlabel="step", ylabel="input channel")
plt.show()

# %% [markdown]
# ## Two networks
#
# An NC-GRU, whose candidate matrix `U_c` is orthogonal, and a GRU of the same size. The cell itself says which of its
# matrices are orthogonal; `constrained` gives those to `neumann_cayley` and the rest to Adam. Training is in float32.

# %%
HIDDEN, STEPS, BATCH = 32, 1500, 32


def make(cell):
    model = gd.SequenceModel(cell, task.output_size, key=jr.key(1))
    optim = gd.optim.constrained(optax.adam(3e-3), model)
    return gd.fit(model, task, optim, steps=STEPS, batch_size=BATCH, key=jr.key(2))


before = gd.NCGRUCell(task.input_size, HIDDEN, num_negative=HIDDEN // 2, dtype=jnp.float32, key=jr.key(0))
orthogonal, orthogonal_log = make(before)
plain, plain_log = make(gd.GRUCell(task.input_size, HIDDEN, dtype=jnp.float32, key=jr.key(0)))

for name, model in {"NC-GRU": orthogonal, "GRU": plain}.items():
    found = gd.evaluate(model, task, key=jr.key(9), batch_size=64, num_batches=4)
    print(f"{name}: {gd.num_parameters(model)} free parameters,", {key: round(float(v), 4) for key, v in found.items()})

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for name, log, color in (("NC-GRU", orthogonal_log, "C0"), ("GRU", plain_log, "C1")):
    smooth = np.convolve(np.asarray(log.loss), np.ones(25) / 25, mode="valid")
    left.semilogy(np.arange(smooth.size) + 25, smooth, color=color)
    left.annotate(name, (STEPS, smooth[-1]), xytext=(4, 0), textcoords="offset points", color=color, va="center")
left.axhline(task.baseline, color="0.6", lw=1)
left.annotate("no memory", (STEPS * 0.3, task.baseline), xytext=(0, 5), textcoords="offset points", color="0.4")
left.set(xlabel="step", ylabel="cross-entropy", xlim=(0, STEPS * 1.2))
(path,) = orthogonal_log.drift
right.semilogy(orthogonal_log.drift_step, orthogonal_log.drift[path], "o-", ms=3)
right.set(xlabel="step", ylabel=r"$\|U_c^T U_c - I\|_2$", ylim=(1e-8, 1e-5))
right.axhline(np.finfo(np.float32).eps, color="0.6", lw=1)
right.annotate(
    "float32 rounding", (0, np.finfo(np.float32).eps), xytext=(4, 3), textcoords="offset points", color="0.4"
)
plt.show()

# %% [markdown]
# The right picture is the point of the closed loop: nothing is ever reset, and the error stays at a few roundings. The
# published algorithm with its series in open loop drifts, as `gru-dynamics reproduce nc-gru-figure5` shows.
#
# ## Singular values
#
# All of the NC-GRU's candidate matrix are 1. Those of the plain GRU went where the gradient took them.

# %%
figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
for name, model, color in (("NC-GRU", orthogonal, "C0"), ("GRU", plain, "C1")):
    values = np.linalg.svd(np.asarray(model.cell.U_c, float))[1]
    axis.plot(values, ".", color=color)
    axis.annotate(name, (HIDDEN - 1, values[-1]), xytext=(6, 0), textcoords="offset points", color=color, va="center")
axis.set(xlabel="index", ylabel=r"singular value of $U_c$", xlim=(-1, HIDDEN * 1.2))
plt.show()

# %% [markdown]
# ## What was learned: fixed points
#
# A trained cell walks straight into the analysis, in float64. While the network holds what it has read, its input is
# the blank symbol; we look for the fixed points of the map under that input, starting from the states that it visits.

# %%
cell = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), orthogonal.cell)
blank = jnp.zeros(task.input_size).at[0].set(1.0)
step = gd.CellMap(cell, blank)


def states(cell, inputs):
    """All states `(T, H)` that a cell visits under inputs `(T, I)`."""

    def advance(state, x):
        state = cell(state, x)
        return state, state

    return jax.lax.scan(advance, jnp.zeros(HIDDEN), inputs)[1]


inputs = task.batch(jr.key(3), 0, 64).inputs.astype(jnp.float64)
visited = jax.vmap(states, in_axes=(None, 0))(cell, inputs)
guesses = gd.TrajectoryGuesses(visited.reshape(-1, HIDDEN), num=256)
points = gd.find_fixed_points(step, guesses, key=jr.key(4), throw=False)
print(points.table())

# %%
figure, axis = plt.subplots(figsize=(5, 4), layout="constrained")
gd.plot.pca_portrait(step, points, trajectories=visited[:12, :20], ax=axis)
plt.show()

# %%
figure, axis = plt.subplots(figsize=(5, 4), layout="constrained")
gd.plot.spectrum(points, system=step, ax=axis)
plt.show()

# %% [markdown]
# modReLU is unbounded and has a corner, so there is no trapping box and no index certificate for this cell: what the
# table lists is there, and nothing is said about what it does not list. For the plain GRU there is one:

# %%
plain_cell = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), plain.cell)
visited = jax.vmap(states, in_axes=(None, 0))(plain_cell, inputs)
guesses = gd.TrajectoryGuesses(visited.reshape(-1, HIDDEN), num=256)
points = gd.find_fixed_points(gd.CellMap(plain_cell, blank), guesses, key=jr.key(4), throw=False)
print(points.table())
print("index sum", int(points.index_sum))

# %% [markdown]
# ## Keeping rest stable
#
# The other constraint: `spectral_ball` keeps the largest singular value of a matrix below a radius. For a GRU without
# biases, a radius below 2 makes the origin stable whatever the rest of the training does (Kanai et al., 2017). Here at
# a learning rate that is far too large:

# %%
cell = gd.GRUCell(task.input_size, HIDDEN, use_bias=False, dtype=jnp.float32, key=jr.key(5))
model = gd.SequenceModel(cell, task.output_size, key=jr.key(1))
ball = gd.optim.spectral_ball(delta=0.2, where=lambda model: model.cell.U_c)
for name, optim in {"plain": optax.sgd(30.0), "ball": optax.chain(optax.sgd(30.0), ball)}.items():
    trained, log = gd.fit(model, task, optim, steps=150, batch_size=BATCH, key=jr.key(2))
    norm = np.linalg.norm(np.asarray(trained.cell.U_c, float), 2)
    origin = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), trained.cell).jacobians(jnp.zeros(HIDDEN))[0]
    radius = np.abs(np.linalg.eigvals(origin)).max()
    print(
        f"{name}: largest singular value {norm:.3f}, spectral radius at rest {radius:.3f}, last loss {log.loss[-1]:.3f}"
    )
