"""Reproducers of two faults of jax on CPU that spoil results in silence: where one fails, do not use this version."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

BATCH = 20_001


def _sum_of_squares(matrix, vector):
    return jnp.sum((matrix @ vector) ** 2)


def _largest(matrix, vector):
    return jnp.max(jnp.abs(matrix @ vector))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (_sum_of_squares, lambda rows: np.sum(rows**2, axis=1)),
        (_largest, lambda rows: np.max(np.abs(rows), axis=1)),
    ],
    ids=["sum", "max"],
)
def test_batched_matvec_with_reduction(function, expected):
    """jax 0.10.2: 3617 of these 20001 rows are wrong, by far more than rounding."""
    rng = np.random.default_rng(0)
    matrix, vectors = rng.normal(size=(3, 3)), rng.normal(size=(BATCH, 3))
    values = jax.jit(jax.vmap(function, in_axes=(None, 0)))(matrix, vectors)
    # Three products, two sums and a square: a few ulp of the largest term.
    scale = np.max(np.abs(matrix)) * np.max(np.abs(vectors), axis=1)
    assert np.all(np.abs(np.asarray(values) - expected(vectors @ matrix.T)) <= 1e-13 * (1 + scale) ** 2)


@jax.jit
def _states(matrix, state, inputs):
    def step(state, input):
        state = jnp.tanh(matrix @ state + input)
        return state, state

    return jax.lax.scan(step, state, inputs)[1]


def test_scan_is_linear_in_time():
    """jaxlib 0.11.1: a scan that stacks slices below about 480 bytes copies the whole stack in every step."""
    matrix, state = 0.5 * jnp.eye(3), jnp.zeros(3)
    lengths = (20_000, 40_000)
    inputs = {length: jnp.ones((length, 3)) for length in lengths}
    best = dict.fromkeys(lengths, float("inf"))
    for repeat in range(6):  # interleaved, so that a busy machine slows both; the first round compiles
        for length in lengths:
            start = time.perf_counter()
            _states(matrix, state, inputs[length]).block_until_ready()
            if repeat > 0:
                best[length] = min(best[length], time.perf_counter() - start)
    # Linear is 2, quadratic is 4.
    assert best[40_000] < 3 * best[20_000]
