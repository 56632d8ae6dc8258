"""Projection onto a spectral ball, alone and as an optax transformation, against NumPy's SVD in float64."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from gru_dynamics import GRUCell, linalg, optim

METHODS = ("svd", "eigh", "polar", "block_power", "lanczos")
FLOATS = (jnp.float32, jnp.float64)


@pytest.fixture(autouse=True)
def promotion_of_optax():
    """optax adds integers to floats inside, so strict promotion cannot be asked of what runs with it."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def clipped(matrix, radius):
    u, s, vh = np.linalg.svd(np.asarray(matrix, float), full_matrices=False)
    return (u * np.minimum(s, radius)) @ vh


def norm(matrix):
    return np.linalg.norm(np.asarray(matrix, float), 2)


def with_spectrum(key, values, columns=None):
    """A matrix with these singular values."""
    n = len(values)
    left, right = (jr.orthogonal(k, m) for k, m in zip(jr.split(key), (n, columns or n), strict=True))
    return left * jnp.asarray(values, float)[None, :] @ right[:n]


def spectra(key):
    """Six matrices of one shape: what goes wrong goes wrong at one of these."""
    n = 12
    rows = [
        np.linspace(0.1, 3, n),
        np.full(n, 1.5),
        [5, 4] + [1.5] * 5 + [0] * 5,
        np.zeros(n),
        np.geomspace(1e-12, 1e3, n),
        np.full(n, 1e-30),
    ]
    return jnp.stack([with_spectrum(k, row) for k, row in zip(jr.split(key, 6), rows, strict=True)])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("method", METHODS)
def test_nearest_point_of_the_ball(method, dtype):
    matrices, radius = spectra(jr.key(0)).astype(dtype), 1.5
    found = linalg.spectral_projection(matrices, radius, method=method)
    again = linalg.project_spectral_ball(found.matrix, radius, method=method)
    np.testing.assert_array_equal(again, found.matrix)
    for w, p, bound in zip(matrices, found.matrix, found.bound, strict=True):
        exact, eps = clipped(w, radius), float(jnp.finfo(dtype).eps)
        scale = max(norm(w), radius)
        assert norm(p) <= radius * (1 + 1e-6)
        assert norm(p) <= bound * (1 + 1e-6)
        assert norm(np.asarray(p, float) - exact) < 3e3 * eps * scale
        excess = np.maximum(np.linalg.svd(np.asarray(w, float))[1] - radius, 0)
        assert np.linalg.norm(np.asarray(w, float) - p) == pytest.approx(
            np.linalg.norm(excess), rel=1e3 * eps, abs=float(1e3 * eps * scale)
        )


@pytest.mark.parametrize("shape", [(4, 9), (9, 4)])
@pytest.mark.parametrize("method", METHODS)
def test_rectangles_and_distances(getkey, method, shape):
    one, two = (3 * jr.normal(getkey(), shape) for _ in range(2))
    p, q = (linalg.project_spectral_ball(w, 2.0, method=method) for w in (one, two))
    np.testing.assert_allclose(p, clipped(one, 2.0), atol=1e-12)
    # Projections onto a convex set do not lengthen distances.
    assert np.linalg.norm(p - q) <= np.linalg.norm(one - two)


def test_what_is_inside_stays_to_the_last_bit(getkey):
    w = with_spectrum(getkey(), np.linspace(0.1, 1.4, 6))
    found = linalg.spectral_projection(w, 1.5)
    np.testing.assert_array_equal(found.matrix, w)
    assert not found.clipped
    assert 1.4 <= found.bound <= 1.5


@pytest.mark.parametrize("scale", [1e-30, 1e20])
def test_far_from_one(getkey, scale):
    w = (scale * jr.normal(getkey(), (6, 6))).astype(jnp.float32)
    np.testing.assert_allclose(linalg.project_spectral_ball(w, 1.5), clipped(w, 1.5), atol=1e-5)


def test_nan_stays_nan():
    w = jnp.eye(4).at[1, 2].set(jnp.nan)
    for method in METHODS:
        found = linalg.spectral_projection(w, 0.5, method=method)
        assert np.isnan(found.matrix).any()
        assert np.isnan(found.bound)


def test_vmap_is_the_loop(getkey):
    w = 2 * jr.normal(getkey(), (5, 4, 4))
    together = jax.vmap(lambda w: linalg.project_spectral_ball(w, 1.0))(w)
    for found, one in zip(together, w, strict=True):
        np.testing.assert_allclose(found, clipped(one, 1.0), atol=1e-13)


@pytest.mark.parametrize(
    ("matrix", "radius", "options", "kind", "words"),
    [
        (jnp.ones((3, 3), jnp.bfloat16), 1.0, {}, TypeError, "float32"),
        (jnp.ones((3, 3)), -1.0, {}, ValueError, "positive"),
        (jnp.ones((3, 3)), 1.0, {"method": "lanczos", "rank": 4}, ValueError, "between 1 and 3"),
    ],
)
def test_bad_input(matrix, radius, options, kind, words):
    with pytest.raises(kind, match=words):
        linalg.spectral_projection(matrix, radius, **options)


# As the end of a chain -----------------------------------------------------------------------------


def run(transform, params, steps, gradient) -> Any:
    """Parameters and state after each step."""

    @jax.jit
    def train(params):
        def step(carry: Any, _):
            params, state = carry
            updates, state = transform.update(gradient(params), state, params)
            params = optax.apply_updates(params, updates)
            return (params, state), (params, state)

        return jax.lax.scan(step, (params, transform.init(params)), None, length=steps)[1]

    return train(params)


@pytest.mark.parametrize("method", METHODS)
def test_every_step_ends_in_the_ball(getkey, method):
    transform = optax.chain(optax.sgd(0.3), optim.spectral_ball(delta=0.5, method=method))
    target = 4 * jr.normal(getkey(), (3, 6, 6), jnp.float32)
    params = jnp.zeros((3, 6, 6), jnp.float32)
    found, states = run(transform, params, 12, lambda w: w - target)
    for w in found.reshape(-1, 6, 6):
        assert norm(w) <= 1.5 * (1 + 1e-6)
    # The nearest point of the ball to the target is where projected descent ends.
    for w, goal in zip(found[-1], target, strict=True):
        np.testing.assert_allclose(w, clipped(goal, 1.5), atol=0.05)
    assert np.all(states[1].bounds[0] <= 1.5)
    assert states[1].projections[0][-1] > 0


def test_lemma_6_saves_the_work(getkey):
    # After one look the norm 1 is known to 1/64, so steps of length 0.01 need no other for about 48 steps.
    w = with_spectrum(getkey(), [1.0, 0.5, 0.2])
    step = jnp.full((3, 3), 0.01 / 3)
    transform = optim.spectral_ball(1.5)
    _, states = run(optax.chain(optax.sgd(1.0), transform), w, 40, lambda _: step)
    np.testing.assert_array_equal(states[1].projections[0], 1)
    assert np.all(states[1].distances[0] == 0)


@jax.jit
@functools.partial(jax.vmap, in_axes=(None, 0))
def jacobians_at_rest(cell, z):
    """`diag(z) + diag(1 - z) U_c diag(r0)`, from the candidate of a cell whose update gate is held at z."""
    return jax.jacfwd(lambda h: z * h + (1 - z) * cell.candidate(h))(jnp.zeros(cell.hidden_size))


@pytest.mark.parametrize("reset", ["before", "after"])
def test_with_a_bias_in_the_reset_gate_rest_is_stable_whatever_the_update_gate(getkey, reset):
    cell = GRUCell(0, 5, reset=reset, key=getkey())
    biases = 3 * jr.normal(getkey(), (5,))
    fields = {"U": 4 * cell.U_c, "b": biases}
    ball = optim.spectral_ball(delta=0.1, where=lambda p: p["U"], gate_bias=lambda p: p["b"], reset=reset)
    found, _ = run(optax.chain(optax.sgd(0.1), ball), fields, 3, lambda p: jax.tree.map(jnp.ones_like, p))
    u, b = found["U"][-1], found["b"][-1]
    np.testing.assert_allclose(b, biases - 0.3, rtol=1e-12)
    r0 = 1 / (1 + np.exp(-b))
    assert norm(u * r0[None, :] if reset == "before" else r0[:, None] * u) <= 0.95 * (1 + 1e-6)
    plain = optim.spectral_ball(delta=0.1, where=lambda p: p["U"])
    loose, _ = run(optax.chain(optax.sgd(0.1), plain), fields, 3, lambda p: jax.tree.map(jnp.ones_like, p))
    assert norm(loose["U"][-1]) <= 1.9 * (1 + 1e-6)
    zero = jnp.zeros(5)
    rest = eqx.tree_at(lambda c: (c.U_c, c.b_r, c.b_c), cell, (u, b, zero))
    rest = eqx.tree_at(lambda c: c.b_hc, rest, None if reset == "before" else zero, is_leaf=lambda x: x is None)
    jacobians = jacobians_at_rest(rest, jr.uniform(getkey(), (200, 5)))
    assert np.abs(np.linalg.eigvals(jacobians)).max() < 1


@pytest.mark.parametrize("reset", ["before", "after"])
@pytest.mark.parametrize("method", METHODS)
def test_a_closed_reset_gate_spoils_no_weight(getkey, method, reset):
    # M = U diag(r0) = X S Y^T is clipped to X min(S, 1) X^T U diag(r0): no division by small gates, nothing to lose.
    weights, biases = jr.normal(getkey(), (8, 8)), jnp.asarray([-10.0, -30.0, -90.0, -270.0, 0.0, 0.0, 0.0, 0.0])
    ball = optim.spectral_ball(2.0, method=method, where=lambda p: p[0], gate_bias=lambda p: p[1], reset=reset)
    found, _ = run(ball, (weights, biases), 1, lambda p: jax.tree.map(jnp.zeros_like, p))
    w, r0 = np.asarray(weights, float), 1 / (1 + np.exp(-np.asarray(biases, float)))
    w = w if reset == "before" else w.T
    x, s, _ = np.linalg.svd(w * r0)
    exact = x * (np.minimum(s, 1) / s) @ x.T @ w
    assert s[0] > 1
    np.testing.assert_allclose(found[0][0], exact if reset == "before" else exact.T, atol=1e-10)


def test_without_bias_both_balls_are_one(getkey):
    fields = {"U": 2 * jr.normal(getkey(), (4, 4)), "b": jnp.zeros(4)}
    still = lambda p: jax.tree.map(jnp.zeros_like, p)  # noqa: E731
    where = lambda p: p["U"]  # noqa: E731
    one, _ = run(optim.spectral_ball(delta=0.2, where=where), fields, 1, still)
    two, _ = run(optim.spectral_ball(delta=0.2, where=where, gate_bias=lambda p: p["b"]), fields, 1, still)
    np.testing.assert_array_equal(one["U"], two["U"])


@pytest.mark.parametrize("name", ["masked", "multi_steps", "finite", "where"])
def test_inside_other_transformations(getkey, name):
    params = {"U": 2 * jr.normal(getkey(), (4, 4)), "b": jnp.ones(4)}
    only = {"U": True, "b": False}
    ball = optim.spectral_ball(1.0, where=lambda p: [p["U"]])
    transform = {
        "masked": lambda: optax.chain(optax.sgd(0.1), optax.masked(optim.spectral_ball(1.0), only)),
        "multi_steps": lambda: optax.MultiSteps(optax.chain(optax.sgd(0.1), ball), 2),
        "finite": lambda: optax.apply_if_finite(optax.chain(optax.sgd(0.1), ball), 2),
        "where": lambda: optax.chain(optax.adam(0.1), ball),
    }[name]()
    found, _ = run(transform, params, 4, lambda p: p)
    assert norm(found["U"][-1]) <= 1 + 1e-6
    assert np.all(found["b"][-1] < 1)


def test_an_ensemble_is_its_members(getkey):
    params = 2 * jr.normal(getkey(), (3, 4, 4))
    transform = optax.chain(optax.sgd(0.1), optim.spectral_ball(1.0))
    descend = lambda w: run(transform, w, 3, lambda w: w - 1)[0][-1]  # noqa: E731
    together = jax.jit(jax.vmap(descend))(params)
    np.testing.assert_allclose(together[1], descend(params[1]), atol=1e-13)


def test_a_scheduled_radius(getkey):
    # The ball shrinks by a tenth at each step, and the matrix with it.
    scheduled = optax.inject_hyperparams(optim.spectral_ball)(radius=lambda count: 2.0 * 0.9**count)
    w = with_spectrum(getkey(), [3.0, 0.5, 0.2])
    found, _ = run(scheduled, w, 8, jnp.zeros_like)
    np.testing.assert_allclose([norm(each) for each in found], 2.0 * 0.9 ** np.arange(8), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either"),
        ({"radius": 1.0, "delta": 0.2}, "either"),
        ({"delta": 2.0}, "positive"),
        ({"radius": 0.0}, "positive"),
        ({"radius": 1.0, "reset": "between"}, "before"),
        ({"radius": 1.0, "method": "qr"}, "block_power"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        optim.spectral_ball(**options)


def test_bad_parameters():
    with pytest.raises(ValueError, match=r"'b'.*where="):
        optim.spectral_ball(1.0).init({"b": jnp.ones(3)})
    with pytest.raises(TypeError, match="float32"):
        optim.spectral_ball(1.0).init(jnp.ones((3, 3), jnp.bfloat16))
    with pytest.raises(ValueError, match="a bias of each matrix"):
        optim.spectral_ball(1.0, where=lambda p: p[0], gate_bias=lambda p: p[1]).init((jnp.eye(3), jnp.ones(4)))
    transform = optim.spectral_ball(1.0)
    with pytest.raises(ValueError, match="give the parameters"):
        transform.update(jnp.eye(3), transform.init(jnp.eye(3)))
