"""The branches of a range, or those that pass through the fixed points at given values of the parameter, each once."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from .._results import RESULTS
from ..continuation import AbstractEvent, Branch, PseudoArclength, continue_all, continue_fixed_points
from ..fixed_points import AbstractGuesses, find_fixed_points
from ..systems import AbstractFamily

_MOST_BRANCHES = 64
_MOST_SPECIAL = 32
# Short enough for a smooth line in the picture.
_METHOD = PseudoArclength(max_step=0.01)


class Followed(NamedTuple):
    """`branches`; how many fixed points were found at each value, `counts`; what went wrong, `warnings`."""

    branches: list[Branch]
    counts: list[int]
    warnings: list[str]


class Settings(NamedTuple):
    """What is asked for, apart from the system."""

    mu_range: tuple[float, float]
    num_steps: int
    events: tuple[AbstractEvent, ...]
    max_points: int
    seed: int


def follow_all(family: AbstractFamily, guesses: AbstractGuesses, settings: Settings) -> Followed:
    """Every branch of the range."""
    found = continue_all(
        family,
        settings.mu_range,
        guesses=guesses,
        key=jr.key(settings.seed),
        max_points=settings.max_points,
        max_branches=_MOST_BRANCHES,
        num_steps=settings.num_steps,
        method=_METHOD,
        events=settings.events,
        max_special_points=_MOST_SPECIAL,
    )
    branches = [jax.tree.map(lambda x: x[i], found.branches) for i in range(int(found.count))]  # noqa: B023
    warnings = []
    if bool(found.result == RESULTS.max_points_reached):
        warnings.append(
            f"there are more fixed points than --max-points somewhere, or more than {_MOST_BRANCHES} branches: some "
            "are missing; raise --max-points or narrow --range"
        )
    return Followed(branches, [], warnings)


def follow_from(
    family: AbstractFamily, guesses: AbstractGuesses, values: Sequence[float], settings: Settings
) -> Followed:
    """Search at each value, and follow what lies on no branch so far."""
    key, dtype = jr.key(settings.seed), jnp.zeros(()).dtype
    branches: list[Branch] = []
    counts, warnings = [], []
    for value in values:
        mu = jnp.asarray(value, dtype)
        points = find_fixed_points(family(mu), guesses, key=key, max_points=settings.max_points, throw=False)
        states = np.asarray(points.state)[np.asarray(points.mask)]
        counts.append(len(states))
        if bool(points.result == RESULTS.max_points_reached):
            warnings.append(f"at {value:g} there are more fixed points than the search may hold: raise --max-points")
        if bool(points.result == RESULTS.nonfinite_system):
            warnings.append(f"at {value:g} the system gives inf or nan: nothing is found there")
        for number, state in enumerate(states):
            if any(passes(branch, value, number, states) for branch in branches):
                continue
            if len(branches) == _MOST_BRANCHES:
                warnings.append(f"more than {_MOST_BRANCHES} branches: the others are not followed")
                return Followed(branches, counts, warnings)
            branch = continue_fixed_points(
                family,
                jnp.asarray(state),
                mu,
                mu_range=settings.mu_range,
                num_steps=settings.num_steps,
                method=_METHOD,
                events=settings.events,
                max_special_points=_MOST_SPECIAL,
                throw=False,
            )
            if bool(branch.result == RESULTS.parameter_moves_nothing):
                return Followed([branch], counts, warnings)
            branches.append(branch)
    return Followed(branches, counts, warnings)


def passes(branch: Branch, value: float, number: int, states: np.ndarray) -> bool:
    """Whether a branch goes through fixed point `number` of all those at a value of the parameter, `states (K, S)`:
    whether of these it is the one nearest to where the branch crosses the value."""
    rows = np.flatnonzero(np.asarray(branch.mask))
    mu, path = np.asarray(branch.mu)[rows], np.asarray(branch.state)[rows]
    left, right = mu[:-1], mu[1:]
    # The end of a branch at the end of the range is there up to rounding only.
    margin = 1e-9 * (1 + abs(value))
    crossing = np.flatnonzero((np.minimum(left, right) - margin <= value) & (value <= np.maximum(left, right) + margin))
    width = right[crossing] - left[crossing]
    share = np.divide(value - left[crossing], width, out=np.zeros_like(width), where=width != 0)
    share = np.clip(share, 0, 1)[:, None]
    spots = path[crossing] + share * (path[crossing + 1] - path[crossing])
    reach = np.linalg.norm(path[crossing + 1] - path[crossing], axis=1) + 1e-3 * (1 + np.linalg.norm(spots, axis=1))
    away = np.linalg.norm(spots[:, None] - states[None], axis=-1)
    return bool(np.any((away.argmin(axis=1) == number) & (away[:, number] <= reach)))
