"""Proof on top of a search, where the cell and its size allow it."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..fixed_points import NO_BOUND, Completeness, Enumeration, FixedPoints, enumerate_fixed_points
from ..linalg import Interval
from ..systems import AbstractSystem

# Beyond this the work of an enumeration is out of all proportion for a network in use.
_MOST_UNITS = 8


def provable(system: AbstractSystem) -> bool:
    """Whether the system has an enclosure."""
    size = system.resting_size
    if size is None:
        return False
    box = Interval(jnp.zeros((size,)), jnp.zeros((size,)))
    try:
        jax.eval_shape(system.enclose, box)
    except (TypeError, ValueError):
        return False
    return True


def enumerated(
    system: AbstractSystem, points: FixedPoints, max_boxes: int
) -> tuple[FixedPoints, dict[str, Any], list[str]]:
    """The points, replaced by the complete list if an enumeration proves it; facts of the enumeration for the report;
    warnings."""
    size = system.resting_size
    if max_boxes == 0 or size is None or size > _MOST_UNITS or system.bounds is None or not provable(system):
        return points, {}, []
    enumeration = enumerate_fixed_points(system, max_boxes=max_boxes, throw=False)
    low, high = (int(end) for end in np.asarray(enumeration.count))
    facts = {"num_boxes": int(enumeration.num_boxes), "count": [low, None if high == NO_BOUND else high]}
    if int(enumeration.complete) != Completeness.CERTIFIED:
        return points, facts, [f"the enumeration with proof did not end: {enumeration.summary()}"]
    return _with_search(enumeration, points), facts, []


def _with_search(enumeration: Enumeration, points: FixedPoints) -> FixedPoints:
    """The proven points, with the hits and counters of the search that went before."""
    state, mask = np.asarray(points.state), np.asarray(points.mask)
    proven, count = np.asarray(enumeration.state), int(np.asarray(enumeration.mask).sum())
    hits = np.zeros(len(proven), np.int32)
    for row in np.flatnonzero(mask):
        hits[np.argmin(np.linalg.norm(proven[:count] - state[row], axis=1))] += int(points.hits[row])
    return eqx.tree_at(
        lambda p: (p.hits, p.num_guesses, p.num_converged, p.num_reseeds),
        enumeration.points,
        (jnp.asarray(hits), points.num_guesses, points.num_converged, points.num_reseeds),
    )
