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
# # From a PyTorch checkpoint to its fixed points, and what they mean
#
# A GRU with 16 units was trained on the three-bit flip-flop: three input lines carry rare pulses of +1 or -1, and each
# of three outputs must show the sign of the last pulse on its line. So the network holds eight memories. Where in its
# sixteen-dimensional state space are they, what separates them, and what does a pulse do? The fixed points answer that.
#
# Analysis needs float64, which JAX has to be told before it makes its first array.

# %%
# ruff: noqa: E402
import jax

jax.config.update("jax_enable_x64", True)

from importlib import resources

import diffrax as dfx
import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np

import gru_dynamics as gd

# %% [markdown]
# ## 1. Load the checkpoint
#
# From PyTorch you save the state dict of the whole model, whatever surrounds the GRU in it:
#
# ```python
# from safetensors.torch import save_file
#
# save_file(model.state_dict(), "flipflop.safetensors")
# ```
#
# Nothing else is needed, and PyTorch is not imported here. `load_cell` recognises the layout by its names. PyTorch
# applies the reset gate *after* the recurrent product, and the cell remembers that: the other form is another network.
# We use a checkpoint that comes with the package, and states that the network visited during the task.

# %%
data = resources.files("gru_dynamics.data")
with resources.as_file(data / "flipflop_gru16_seed0.safetensors") as path:
    cell = gd.load_cell(path)
    weights = gd.interop.load_arrays(path)
with resources.as_file(data / "flipflop_gru16_seed0_states.npz") as path:
    visited = jnp.asarray(gd.interop.load_arrays(path)["states"], float)
W_out, b_out = (jnp.asarray(weights[name], float) for name in ("readout.weight", "readout.bias"))

print(f"{cell.hidden_size} units, {cell.input_size} inputs, reset {cell.reset}; visited states {visited.shape}")

# %% [markdown]
# ## 2. Find the fixed points
#
# Between pulses the input is zero, and the network iterates one fixed map of its state. `CellMap` is that map, and
# `find_fixed_points` starts from 1024 places in the box $[-1, 1]^{16}$, which no GRU state can leave.

# %%
step = gd.CellMap(cell)
points = gd.find_fixed_points(step, gd.UniformGuesses(num=1024), key=jr.key(0))
print(points.table(max_rows=12))

# %% [markdown]
# Each row is one point. *Unstable* counts the directions in which a small displacement grows: 0 is a memory (a sink),
# 1 a pass between two of them, more a higher crossing. The residual is that of the candidate, $c(h) - h$. The usual
# residual, $F(h) - h = (1-z)\,(c(h) - h)$, also becomes small where the gate $z$ merely closes, and then reports
# places where nothing is fixed.
#
# **What the last line certifies.** The map sends the box into itself, so the indices (+1 or -1, the sign of
# $\det(I - C)$, with $C$ the Jacobian of the candidate) of *all* fixed points must sum to +1. A list that sums to
# anything else has a hole; the search then goes on by itself. **What it does not:** two missed points with opposite
# signs cancel. So the word is *consistent*, not *complete*.
#
# Here 8, 12, 6 and 1 points have 0, 1, 2 and 3 unstable directions: the corners, edges, faces and centre of a cube,
# and $8 - 12 + 6 - 1 = 1$.

# %% [markdown]
# ## 3. Read out the memories
#
# The readout turns each sink into three numbers. They are the eight combinations of signs: one memory each.

# %%
found = points.state[points.mask]
unstable_dim = np.asarray(points.unstable_dim[points.mask])
sinks, saddles = found[unstable_dim == 0], found[unstable_dim == 1]


def label(state):
    return "".join("+" if value > 0 else "-" for value in W_out @ state + b_out)


for state in sinks:
    print(label(state), np.round(np.asarray(W_out @ state + b_out), 2))

# %% [markdown]
# ## 4. Saddles are decision boundaries
#
# Near a fixed point the network is linear, $h' = h^* + A (h - h^*) + B x$, and `linearise` gives the modes of $A$, the
# leading one first. A saddle with one unstable mode sits on the ridge between two memories. Kick the state a little
# along that mode, one way and the other, let it run, and see where it comes to rest.

# %%
modes = eqx.filter_jit(jax.vmap(gd.linearise, in_axes=(None, 0)))(step, found)
at_sinks, at_saddles = (jax.tree.map(lambda leaf, k=k: leaf[unstable_dim == k], modes) for k in (0, 1))

kick = 1e-3 * at_saddles.right[:, :, 0].real
ends = [gd.rollout(step, saddles + sign * kick, num_steps=500, save_states=False) for sign in (1, -1)]
distance = jnp.linalg.norm(jnp.stack(ends, axis=1)[:, :, None] - sinks, axis=-1)
assert distance.min(axis=-1).max() < 1e-6  # every kick ended in a memory
neighbours = np.asarray(distance.argmin(axis=-1))

for one, other in neighbours:
    first, second = label(sinks[one]), label(sinks[other])
    flipped = [bit + 1 for bit in range(3) if first[bit] != second[bit]]
    print(f"{first}  <->  {second}   flips bit {flipped}")

# %% [markdown]
# Twelve saddles, twelve edges of the cube, and each flips exactly one bit. Training found the transition diagram of
# the task, and here it is, read from the weights alone.

# %% [markdown]
# ## 5. Look at it
#
# The first three principal components of the visited states. Full circles are memories with their readout, half full
# ones saddles. The short lines are unstable directions: at a pass they point down to the two memories beside it.

# %%
_, ax = plt.subplots(figsize=(7, 6), subplot_kw={"projection": "3d"})
ax = gd.plot.pca_portrait(step, points, visited, readout=(W_out, b_out), dims=3, ax=ax)

# %% [markdown]
# ## 6. Time constants and input modes
#
# An eigenvalue $\lambda$ of $A$ is a mode that decays to $1/e$ in $-1/\ln|\lambda|$ steps, negative if it grows. A
# pulse $x$ excites a mode in proportion to its left eigenvector times $B x$.

# %%
decay, growth = at_sinks.time_constants[:, 0], -at_saddles.time_constants[:, 0]
print(f"memories: a small error is gone to 1/e in {decay.min():.1f} to {decay.max():.1f} steps")
print(f"saddles: indecision grows by e in {growth.min():.1f} to {growth.max():.1f} steps\n")

push = jnp.einsum("ks,ksi->ki", at_saddles.left[:, 0].real, at_saddles.B)
push = np.asarray(jnp.abs(push) / jnp.abs(push).max(axis=1, keepdims=True))
for row, (one, other) in enumerate(neighbours):
    print(f"{label(sinks[one])}  <->  {label(sinks[other])}   push of inputs 1, 2, 3: {np.round(push[row], 2)}")

# %% [markdown]
# At each pass, the line that carries the bit in question is the one that pushes across it. The spectrum below shows all
# eigenvalues of all points: those of memories lie inside the unit circle, and each unstable direction is a dot outside.

# %%
_, ax = plt.subplots(figsize=(5.2, 5.0))
ax = gd.plot.spectrum(points, system=step, ax=ax)

# %% [markdown]
# ## 7. Move a fixed point
#
# Points are differentiable in every weight, by the implicit function theorem and without unrolling the search. How does
# the first output of a memory respond to the weights? It takes one line, `eqx.filter_grad`.


# %%
def first_output(cell):
    return (W_out @ gd.fixed_point(gd.CellMap(cell), sinks[0]))[0]


slope = eqx.filter_grad(first_output)(cell)

unit, source = np.unravel_index(np.abs(slope.U_c).argmax(), slope.U_c.shape)
print(f"most sensitive recurrent weight of the candidate: from unit {source} to unit {unit}")
print(f"d output / d weight = {slope.U_c[unit, source]:+.4f}")

# %% [markdown]
# Check it the slow way: change that weight a little, and look where the memory went.

# %%
nudged = eqx.tree_at(lambda c: c.U_c, cell, cell.U_c.at[unit, source].add(1e-6))
change = (first_output(nudged) - first_output(cell)) / 1e-6
print(f"finite difference   = {change:+.4f}")
assert abs(change - slope.U_c[unit, source]) < 1e-4

# %% [markdown]
# ## 8. Two units, everything visible
#
# In two dimensions nothing hides. This GRU in continuous time has eleven fixed points; they lie where the two
# nullclines cross. Trajectories start on a circle around them.

# %%
flow = gd.library.jordan("fig:3a")
plane = gd.find_fixed_points(flow, gd.UniformGuesses(num=1024), key=jr.key(0))
print(plane.summary())

angles = jnp.linspace(0.0, 2 * jnp.pi, 12, endpoint=False)
starts = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
saveat = dfx.SaveAt(ts=jnp.linspace(0.0, 60.0, 400))
paths = eqx.filter_jit(jax.vmap(lambda start: gd.integrate(flow, start, 60.0, saveat=saveat).ys))(starts)

_, ax = plt.subplots(figsize=(6.2, 5.4))
ax = gd.plot.phase_portrait(flow, plane, trajectories=paths, ax=ax)

# %% [markdown]
# To do the same with your network: save its state dict, load it as in section 1, and read the table. If it was trained
# with a constant input (a context, say), pass that as `gd.CellMap(cell, input)`: every input has its own fixed points.
