"""Covariant vectors against eigenvectors and their defining property; gradient flossing against differences."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import gru_dynamics as gd
from gru_dynamics._results import RESULTS
from gru_dynamics.sensitivity._covariant import covariant_vectors
from gru_dynamics.sensitivity._flossing import flossing_penalty
from gru_dynamics.sensitivity._lyapunov import lyapunov_spectrum
from gru_dynamics.systems import library


def linear(state, A):
    return A @ state


def is_carried(system, found, atol):
    """`DF(s) v = +- exp(growth) v'` at every state."""
    pushed = np.asarray(jax.jit(jax.vmap(system.jacobian))(found.state[:-1]) @ found.vectors[:-1])
    expected = np.asarray(found.vectors[1:] * jnp.exp(found.growth)[:, None])
    signs = np.sign(np.sum(pushed * expected, axis=1, keepdims=True))
    np.testing.assert_allclose(pushed, signs * expected, atol=atol)


def test_linear_map_gives_eigenvectors():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((4, 4))
    vectors /= np.linalg.norm(vectors, axis=0)
    values = np.array([1.2, -0.9, 0.5, 0.2])
    A = vectors @ np.diag(values) @ np.linalg.inv(vectors)
    found = covariant_vectors(gd.FunctionMap(linear, jnp.asarray(A)), jnp.ones(4), num_steps=5, burn_in=200, tail=200)
    overlap = np.abs(np.einsum("ik,tik->tk", vectors, np.asarray(found.vectors)))
    np.testing.assert_allclose(overlap, 1.0, atol=1e-12)
    np.testing.assert_allclose(found.growth, np.broadcast_to(np.log(np.abs(values)), (5, 4)), atol=1e-11)
    right = np.linalg.qr(vectors[:, :1])[0], np.linalg.qr(vectors[:, 1:])[0]
    angle = np.arccos(np.linalg.svd(right[0].T @ right[1])[1].max())
    np.testing.assert_allclose(found.angles(1), angle, atol=1e-10)


def test_henon_map():
    system = library.henon()
    found = covariant_vectors(system, jnp.array([0.1, 0.1]), num_steps=400, burn_in=200, tail=200)
    is_carried(system, found, 1e-8)
    np.testing.assert_allclose(jnp.linalg.norm(found.vectors, axis=1), 1.0, atol=1e-12)
    assert float(jnp.min(found.angles(1))) > 1e-4
    spectrum = lyapunov_spectrum(system, found.state[0], num_steps=400, burn_in=0)
    # Growth of one trajectory in another basis: the difference telescopes.
    np.testing.assert_allclose(jnp.mean(found.growth, axis=0), spectrum.exponents, atol=0.03)
    # On the attractor the expanding vector is its tangent, invariant under going back and forth.
    np.testing.assert_allclose(found.state[1], system(found.state[0]), atol=1e-14)


@pytest.mark.parametrize("k", [2, 5])
def test_leading_vectors_of_a_driven_cell(k):
    cell = gd.GRUCell(1, 5, key=jr.key(0))
    inputs = jnp.asarray(np.random.default_rng(0).standard_normal((460, 1)))
    found = covariant_vectors(cell, jnp.zeros(5), inputs=inputs, num_vectors=k, burn_in=200, tail=200)
    assert found.vectors.shape == (61, 5, k)
    states = gd.rollout(cell, jnp.zeros(5), inputs)
    np.testing.assert_allclose(found.state, states[199:260], atol=1e-12)
    J = jax.jit(jax.vmap(lambda s, x: cell.jacobians(s, x)[0]))(found.state[:-1], inputs[200:260])
    expected = found.vectors[1:] * jnp.exp(found.growth)[:, None]
    np.testing.assert_allclose(jnp.abs(J @ found.vectors[:-1]), jnp.abs(expected), atol=1e-10)


def test_flow_has_its_velocity_as_a_vector():
    """On a cycle the covariant vector of the exponent zero is the direction of the flow."""
    flow = library.hopf_normal_form(0.25)
    found = covariant_vectors(flow, jnp.array([0.5, 0.0]), num_steps=50, burn_in=2000, tail=2000, time_step=0.02)
    velocity = jax.vmap(flow.velocity)(found.state)
    along = velocity / jnp.linalg.norm(velocity, axis=1, keepdims=True)
    np.testing.assert_allclose(jnp.abs(jnp.sum(along * found.vectors[:, :, 0], axis=1)), 1.0, atol=1e-8)


def test_bad_input():
    run = functools.partial(covariant_vectors, library.henon(), jnp.array([0.1, 0.1]))
    with pytest.raises(ValueError, match="choose 1 to 2"):
        run(num_steps=10, num_vectors=3)
    with pytest.raises(ValueError, match="negative"):
        run(num_steps=10, tail=-1)
    with pytest.raises(ValueError, match="either"):
        run()
    with pytest.raises(ValueError, match="too few"):
        covariant_vectors(gd.GRUCell(1, 2, key=jr.key(0)), jnp.zeros(2), inputs=jnp.ones((100, 1)))
    with pytest.raises(RuntimeError, match="inf or nan"):
        covariant_vectors(library.henon(), jnp.array([5.0, 5.0]), num_steps=10)
    singular = covariant_vectors(
        gd.FunctionMap(linear, jnp.diag(jnp.array([0.5, 0.0]))), jnp.ones(2), num_steps=10, throw=False
    )
    assert singular.result == RESULTS.singular_jacobian
    with pytest.raises(ValueError, match="num_expanding"):
        run(num_steps=10).angles(2)


# Flossing ----------------------------------------------------------------------------------------


def penalty(cell, inputs, k=2, target: Any = 0.0):
    return flossing_penalty(cell, jnp.zeros(cell.hidden_size), inputs, k, target)


def test_penalty_is_the_distance_of_exponents():
    cell, inputs = gd.GRUCell(1, 4, key=jr.key(1)), jnp.asarray(np.random.default_rng(0).standard_normal((20, 1)))
    exponents = lyapunov_spectrum(cell, jnp.zeros(4), inputs=inputs, num_exponents=2, burn_in=0).exponents
    np.testing.assert_allclose(penalty(cell, inputs), jnp.sum(exponents**2), rtol=1e-12)
    np.testing.assert_allclose(penalty(cell, inputs, target=exponents), 0.0, atol=1e-25)


@pytest.mark.parametrize("k", [2, 4])
def test_gradient_of_the_penalty(k):
    cell, inputs = gd.GRUCell(1, 4, key=jr.key(1)), jnp.asarray(np.random.default_rng(0).standard_normal((10, 1)))
    arrays, rest = eqx.partition(cell, eqx.is_inexact_array)
    flat, unravel = jax.flatten_util.ravel_pytree(arrays)

    @jax.jit
    def value(flat):
        return penalty(eqx.combine(unravel(flat), rest), inputs, k)

    direction = jnp.asarray(np.random.default_rng(1).standard_normal(flat.size))
    step = 1e-5
    central = (value(flat + step * direction) - value(flat - step * direction)) / (2 * step)
    np.testing.assert_allclose(jax.grad(value)(flat) @ direction, central, rtol=1e-6)


@pytest.mark.parametrize("target", [0.0, -0.1])
def test_training_drives_exponents_to_the_target(target):
    cell, inputs = gd.GRUCell(1, 8, key=jr.key(2)), jnp.asarray(np.random.default_rng(0).standard_normal((30, 1)))
    optimiser = optax.adam(0.03)

    @eqx.filter_jit
    def update(cell, state):
        loss, gradient = eqx.filter_value_and_grad(penalty)(cell, inputs, 3, target)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimiser.update(gradient, state)
        return eqx.apply_updates(cell, updates), state, loss

    state = optimiser.init(eqx.filter(cell, eqx.is_inexact_array))
    losses = []
    for _ in range(60):
        cell, state, loss = update(cell, state)
        losses.append(float(loss))
    assert losses[0] > 0.05
    exponents = lyapunov_spectrum(cell, jnp.zeros(8), inputs=inputs, num_exponents=3, burn_in=0).exponents
    np.testing.assert_allclose(exponents, target, atol=0.02)
