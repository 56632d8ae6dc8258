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
# # From fixed points to bifurcations
#
# A trained network is one point in a space of weights. What would happen if a weight moved a little, and a little more?
# Fixed points move, meet and vanish, a rest state begins to oscillate, a cycle slows down until it stops. Here we
# follow all of that in the smallest GRU that can do it: two units in continuous time (Jordan, Sokół and Park, 2019,
# eq. 8),
#
# $$\dot h = (1 - z)\,(\tanh(3 R(\alpha)\,(r \odot h)) - h), \qquad z = r = 1/2,$$
#
# where $R(\alpha)$ turns the plane by the angle $\alpha$. In the end we train another GRU to have its bifurcation where
# we want it.

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
from gru_dynamics import cycles

# %% [markdown]
# ## 1. A cell and a parameter
#
# A *family* is a function from a parameter to a system. The parameter may be a weight (`gd.Family`) or enter in any way
# at all (`gd.FunctionFamily`): here it turns the recurrent matrix. Only the function and the cell are ours.


# %%
def turned(cell, alpha):
    rotation = jnp.stack([jnp.cos(alpha), -jnp.sin(alpha), jnp.sin(alpha), jnp.cos(alpha)]).reshape(2, 2)
    return gd.CellFlow(eqx.tree_at(lambda c: c.U_c, cell, rotation @ cell.U_c))


cell = gd.library.jordan_rotation(0.0).cell  # U_c = 3 I, all other weights zero
family = gd.FunctionFamily(turned, cell, 0.05)

points = gd.find_fixed_points(family(family.mu), gd.UniformGuesses(num=256), key=jr.key(0))
print(points.table())

# %% [markdown]
# ## 2. Follow the points
#
# `continue_fixed_points` follows a point in both directions of the parameter, around folds too, and locates what
# happens on the way. Under `vmap` all points go at once: the four sinks, and the source in the middle.

# %%
kinds = np.asarray(points.kind[points.mask])
starts = points.state[points.mask][kinds != gd.Kind.SADDLE]


@eqx.filter_jit
def follow(family, starts):
    def one(state):
        return gd.continue_fixed_points(
            family, state, 0.05, mu_range=(0.0, 1.2), events=(gd.Fold(), gd.Hopf()), throw=False
        )

    return jax.vmap(one)(starts)


branches = follow(family, starts)
for row in range(len(starts)):
    print(jax.tree.map(lambda leaf, row=row: leaf[row], branches.special_points).table().split("\n", 1)[-1])

# %% [markdown]
# Each sink meets a saddle in a fold, all four at the same angle, by symmetry. Then nothing is left but the source; it
# becomes a sink at a Hopf point, $\alpha = \arccos(2/3)$. Between the two there is no attracting point at all. What
# attracts there?

# %% [markdown]
# ## 3. A bifurcation as a number with derivatives
#
# `locate` solves the equations of the Hopf point itself. Its coefficient, negative, says that a stable cycle is born.
# The angle has a derivative in every weight of the cell.

# %%
hopf = gd.locate(family, gd.Hopf(), state=jnp.zeros(2), mu=0.8)
print(f"alpha = {hopf.mu:.12f}, arccos(2/3) = {np.arccos(2 / 3):.12f}")
print(f"period at birth = {2 * np.pi / hopf.omega:.6f}, first Lyapunov coefficient = {hopf.first_lyapunov:.6f}")


def hopf_angle(cell):
    near = hopf.state, hopf.mu
    return gd.locate(gd.FunctionFamily(turned, cell, 0.05), gd.Hopf(), state=near[0], mu=near[1], throw=False).mu


slope = eqx.filter_jit(eqx.filter_grad(hopf_angle))(cell)
print("d alpha / d U_c =", slope.U_c.round(6).tolist())
print("d alpha / d b_r =", slope.b_r.round(6).tolist())

# %% [markdown]
# ## 4. The cycle, from birth to end
#
# `cycle_from_hopf` gives the small cycle next to a Hopf point; `find_homoclinic` follows it until its period is long,
# and says by which law the period grows. Here it is $T \propto 1/\sqrt{\alpha - \alpha^*}$: the cycle runs into the
# four folds, and stops.

# %%
small, mu = cycles.cycle_from_hopf(family, hopf, 0.05, num_nodes=8)
limit, branch = cycles.find_homoclinic(family, small, mu, mu_range=(0.0, 1.0), max_period=600.0, num_steps=50)
print(f"period infinite at alpha = {limit.mu:.8f}: {gd.SpecialKind(int(limit.kind)).name}")
special = branches.special_points
print(f"folds at alpha =           {np.asarray(special.mu[special.kind == gd.SpecialKind.FOLD]).round(8)}")

_, axes = plt.subplots(1, 2, figsize=(12, 4.6))
gd.plot.bifurcation_diagram(branches, ax=axes[0])
for side in (1, -1):  # the cycle is symmetric, so it reaches half its amplitude to either side
    axes[0].plot(branch.mu[branch.mask], side * branch.amplitude[branch.mask][:, 0] / 2, "o", color="C4", markersize=4)
gd.plot.cycle_periods(branch, log=True, ax=axes[1])
for ax in axes:
    ax.set_xlabel(r"$\alpha$")
plt.tight_layout()

# %% [markdown]
# ## 5. Two parameters
#
# Let the gain vary too. Folds and Hopf points become curves in the plane of both parameters, and cut it into regions of
# different dynamics. Along the Hopf curve gain $= 2/\cos\alpha$.


# %%
def turned_and_scaled(cell, mu):
    alpha, gain = mu
    return turned(eqx.tree_at(lambda c: c.U_c, cell, gain / 3 * cell.U_c), alpha)


plane = gd.FunctionFamily(turned_and_scaled, cell, jnp.array([0.05, 3.0]))
box = jnp.array([0.0, 2.0]), jnp.array([1.2, 6.0])
row, column = np.argwhere(np.asarray(special.kind) == gd.SpecialKind.FOLD)[0]
curves = [
    gd.continue_bifurcation(
        plane, gd.Fold(), state=special.state[row, column], mu=jnp.array([special.mu[row, column], 3.0]), mu_range=box
    ),
    gd.continue_bifurcation(plane, gd.Hopf(), state=jnp.zeros(2), mu=jnp.array([hopf.mu, 3.0]), mu_range=box),
]
on_curve = curves[1].mu[curves[1].mask]
print(f"largest distance from gain = 2/cos alpha: {jnp.abs(on_curve[:, 1] - 2 / jnp.cos(on_curve[:, 0])).max():.1e}")

_, ax = plt.subplots(figsize=(6.4, 4.8))
ax = gd.plot.two_parameter_diagram(curves, names=(r"angle $\alpha$", "gain"), ax=ax)
ax.text(0.06, 5.2, "four\nsinks", ha="left")
ax.text(0.55, 4.6, "a stable cycle", ha="center")
ax.text(0.95, 2.4, "rest", ha="center")
plt.tight_layout()

# %% [markdown]
# ## 6. Who gets what
#
# Before the folds four sinks share the plane. `basin_fractions` follows initial states to their ends, cycles included.

# %%
axis = jnp.linspace(-1.0, 1.0, 41)
grid = jnp.stack(jnp.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
_, axes = plt.subplots(1, 2, figsize=(11, 5.4))
for ax, alpha in zip(axes, (0.1, 0.4), strict=True):
    found = gd.basin_fractions(family(jnp.asarray(alpha)), grid, key=jr.key(0), duration=400.0)
    print(f"alpha = {alpha}: {found.summary()}")
    gd.plot.basins(found, ax=ax)
    ax.set_title(rf"$\alpha$ = {alpha}")
plt.tight_layout()

# %% [markdown]
# ## 7. Train a bifurcation
#
# Since the place of a bifurcation has a gradient, it can be a goal. Take a random GRU with six units, and let the gain
# of its recurrent matrix be the parameter. We ask Adam for weights that begin to oscillate at gain 1.5, and not earlier
# or later.


# %%
def scaled(cell, gain):
    return gd.CellFlow(eqx.tree_at(lambda c: c.U_c, cell, gain * cell.U_c))


network = gd.GRUCell(0, 6, key=jr.key(1))
mixing = jr.normal(jr.key(2), (6, 6))
network = eqx.tree_at(lambda c: c.U_c, network, 0.8 * (mixing - mixing.T) + jnp.eye(6))
goal = 1.5


def loss(cell, near):
    distance = gd.bifurcations.bifurcation_distance(
        gd.FunctionFamily(scaled, cell, goal), gd.Hopf(), state=near.state, mu=goal, near=near
    )
    return distance.parameter**2, distance.located


optimiser = optax.adam(5e-3)


@eqx.filter_jit
def train(cell, near, opt_state):
    (value, near), gradient = eqx.filter_value_and_grad(loss, has_aux=True)(cell, near)
    updates, opt_state = optimiser.update(gradient, opt_state)
    return eqx.apply_updates(cell, updates), near, opt_state, value


gains = gd.FunctionFamily(scaled, network, 2.0)
rest = gd.fixed_point(gains(gains.mu), jnp.zeros(6))
start = gd.locate(gains, gd.Hopf(), state=rest, mu=gains.mu)
print(f"before: Hopf point at gain {start.mu:.6f}, omega = {start.omega:.4f}")
trained, near, opt_state = network, start, optimiser.init(eqx.filter(network, eqx.is_inexact_array))
history = [start.mu]
for _ in range(200):
    trained, near, opt_state, value = train(trained, near, opt_state)
    history.append(near.mu)
after = gd.locate(gd.FunctionFamily(scaled, trained, 1.0), gd.Hopf(), state=near.state, mu=near.mu, omega=near.omega)
print(f"after:  Hopf point at gain {after.mu:.6f}, omega = {after.omega:.4f}")

_, ax = plt.subplots(figsize=(6, 3.4))
ax.plot(history)
ax.axhline(goal, color="k", linewidth=0.8, linestyle="dashed")
ax.set(xlabel="step of Adam", ylabel="gain at the Hopf point")
plt.tight_layout()

# %% [markdown]
# Check it without any of this machinery: eigenvalues at the fixed point a little below and above the goal.

# %%
for gain in (0.99 * goal, 1.01 * goal):
    system = scaled(trained, jnp.asarray(gain))
    rest = gd.fixed_point(system, after.state)
    growth = np.linalg.eigvals(gd.systems.jacobian(system, rest)).real.max()
    print(f"gain {gain:.3f}: largest growth rate {growth:+.5f}")

# %% [markdown]
# With `relu(margin)` in place of the square, the same penalty keeps a network *away* from a bifurcation. The page that
# `gru-dynamics reproduce jordan-figures` writes shows all curves of the paper's figures, computed in this way.
