"""Every test runs in float64 with strict promotion; see pyproject.toml for runtime shape checks and warnings."""

import jax

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

import itertools

import jax.random as jr
import pytest


@pytest.fixture
def getkey():
    """A function that returns a fresh key at each call, the same sequence in every run."""
    seeds = itertools.count()
    return lambda: jr.key(next(seeds))


@pytest.fixture(autouse=True, scope="module")
def release_programs():
    """Frees each file's compiled programs: on CPU they cost memory maps, and a process may hold only 65,530."""
    yield
    jax.clear_caches()
