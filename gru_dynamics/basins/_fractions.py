"""The verb: which share of initial states ends on which attractor."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from .._results import raise_failure
from .._types import Array, ArrayLike, Float, PRNGKey
from ..fixed_points import AbstractGuesses, ArrayGuesses, FixedPoints, find_fixed_points
from ..fixed_points._guesses import as_guesses
from ..fixed_points._precision import highest_precision
from ..linalg._implicit import freeze
from ..systems import AbstractMap, AbstractSystem
from ._advance import Settings
from ._attractors import sinks
from ._follow import follow
from ._result import BasinFractions, counted

# Initial states from which sinks are searched for, at most.
_MAX_GUESSES = 1024


def basin_fractions(
    system: AbstractSystem,
    guesses: AbstractGuesses | ArrayLike,
    *,
    key: PRNGKey,
    points: FixedPoints | None = None,
    duration: float | int | None = None,
    interval: float | int | None = None,
    max_attractors: int = 32,
    max_period: int = 64,
    orbit_length: int = 128,
    escape: float = 1e6,
    tolerance: float = 1e-6,
    throw: bool = True,
) -> BasinFractions:
    """Which share of initial states ends on which attractor: sinks, cycles, and whatever else is bounded, or infinity.

    1. Sinks are those of `points`, by default of a search from the initial states.
    2. A trajectory is looked at every `interval`. A sink has caught it when at two looks it is in a small ball around
       the sink, nearer at the second.
    3. A few trajectories go first. One that has not been caught after `duration` is recorded: it rests (a sink that the
       search missed), it closes (a cycle), it is stationary (another attractor), or it has not settled. Trajectories
       that run along the same states are on the same attractor.
    4. All others follow, and are caught by sinks and by the recorded orbits.

    Capture is by distance and convergence, not by proof: a basin thinner than 1e-3 of the extent of the initial states
    around its sink can be missed, and two chaotic attractors nearer than their states lie apart count as one.

    **Arguments:**

    - `system`: a map or a flow.
    - `guesses`: N initial states: `UniformGuesses(num=N)` in the trapping box, `TrajectoryGuesses` for more than a few
      units, or an array of resting states `(N, R)`; they are lifted to states. The interval of a share is for states
      drawn independently, not for a grid.
    - `key`: for the guesses.
    - `points`: `FixedPoints` that hold the sinks, from `find_fixed_points` or `enumerate_fixed_points(...).points`.
    - `duration`: how long a trajectory may take to settle, in steps (default 8192) or units of time (default 1000).
    - `interval`: between looks, by default 16 steps, or 2 units of time.
    - `max_attractors`: rows of the result, apart from infinity. `max_period`: of cycles of a map.
    - `orbit_length`: M, states kept of each attractor.
    - `escape`: a state with a component beyond this is on its way to infinity.
    - `tolerance`: relative error per step of a flow.
    - `throw`: raise when the result is not successful. Use `throw=False` under `jax.vmap`.

    **Returns:** `BasinFractions` with `max_attractors + 1` rows and N labels.

    **Raises:** `ValueError` for guesses of a wrong shape or settings that are not positive; `RuntimeError` when there
    are more attractors than rows, or the system returns inf or nan everywhere (not inside `jax.jit` or `jax.vmap`).
    Trajectories that have not settled are no error: see `num_unresolved`.

    **Source:** Menck, Heitzig, Marwan, Kurths (2013) for shares by sampling; Datseris & Wagemakers (2022) for finding
    attractors from trajectories.
    """
    guesses = as_guesses(guesses)
    settings = settings_for(system, duration, interval, escape, tolerance, max_period, orbit_length)
    if max_attractors < 1:
        raise ValueError(f"basin_fractions: max_attractors must be at least 1, got {max_attractors}")
    key_start, key_search = jr.split(key)
    start = _draw(system, guesses, key_start)
    if points is None:
        # A search of its own, so that it is compiled once for all numbers of initial states.
        few = min(guesses.num, _MAX_GUESSES)
        chosen = start[np.arange(few) * guesses.num // few]
        points = find_fixed_points(system, ArrayGuesses(chosen), key=key_search, throw=False)
    found = _fractions(system, start, points, settings, max_attractors)
    if throw:
        raise_failure("basin_fractions", found.result)
    return found


def settings_for(
    system: AbstractSystem,
    duration: float | int | None = None,
    interval: float | int | None = None,
    escape: float = 1e6,
    tolerance: float = 1e-6,
    max_period: int = 64,
    orbit_length: int = 128,
) -> Settings:
    """Settings with the defaults of a map or a flow, checked."""
    is_map = isinstance(system, AbstractMap)
    duration = (8192 if is_map else 1000.0) if duration is None else duration
    interval = (16 if is_map else 2.0) if interval is None else interval
    values = {"duration": duration, "interval": interval, "escape": escape, "tolerance": tolerance}
    for name, value in (values | {"max_period": max_period, "orbit_length": orbit_length}).items():
        if not value > 0:
            raise ValueError(f"basin_fractions: {name} must be positive, got {value}")
    if is_map and (duration != int(duration) or interval != int(interval)):
        raise ValueError("basin_fractions: duration and interval of a map are whole numbers of steps")
    if is_map and orbit_length < max_period:
        raise ValueError("basin_fractions: orbit_length must be at least max_period, so that cycles are kept whole")
    return Settings(float(interval), float(duration), float(escape), float(tolerance), max_period, orbit_length)


@eqx.filter_jit
def _draw(system: AbstractSystem, guesses: AbstractGuesses, key: PRNGKey) -> Float[Array, "N R"]:
    return guesses(system, key)


@eqx.filter_jit
@highest_precision
def _fractions(
    system: AbstractSystem,
    resting: Float[Array, "N R"],
    points: FixedPoints,
    settings: Settings,
    max_attractors: int,
) -> BasinFractions:
    system = freeze(system)
    start = jax.vmap(system.lift)(resting)
    scale = jnp.max(jnp.max(start, axis=0) - jnp.min(start, axis=0))
    scale = jnp.where(scale > 0, scale, 1.0)
    known, balls = sinks(system, points, scale, max_attractors, settings.orbit_length)
    label, known = follow(system, known, known.count, balls, start, settings, explore=True)
    finite = jnp.any(jnp.isfinite(jax.vmap(system.velocity)(start)))
    return counted(known, label, start, finite)
