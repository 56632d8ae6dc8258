"""Every test runs in float64 with strict promotion; see pyproject.toml for runtime shape checks and warnings."""

import jax

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

import itertools
import pathlib

import jax.random as jr
import pytest

MAPS = pathlib.Path("/proc/self/maps")


@pytest.fixture
def getkey():
    """A function that returns a fresh key at each call, the same sequence in every run."""
    seeds = itertools.count()
    return lambda: jr.key(next(seeds))


@pytest.fixture(autouse=True, scope="module")
def release_programs():
    """Frees compiled programs between files: on CPU they cost memory maps, of which a process may hold 65,530, and a
    file adds up to 15,000."""
    yield
    if not MAPS.exists() or MAPS.read_bytes().count(b"\n") > 20_000:
        jax.clear_caches()
