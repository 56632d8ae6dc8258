"""Which attractor of one system is which of a neighbouring one."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import linear_sum_assignment

from .._types import Array, Bool, Float, Int
from ._attractors import AttractorKind
from ._result import BasinFractions


class AttractorMatch(eqx.Module):
    """Partners of attractors at neighbouring parameters.

    **Fields:** `index (B,)`: for each row of `after` the row of `before` that it continues, -1 for a new attractor or
    padding; `distance (B,)` to it, inf without a partner; `vanished (A,)`: rows of `before` that go on nowhere.

    **Source:** Datseris, Rossi, Wagemakers (2023), section II C, matching by distance.
    """

    index: Int[Array, " B"]
    distance: Float[Array, " B"]
    vanished: Bool[Array, " A"]


def match_attractors(
    before: BasinFractions, after: BasinFractions, *, max_distance: float | int | None = None
) -> AttractorMatch:
    """Pairs of attractors with the least sum of distances, at neighbouring values of a parameter.

        d(P, Q) = max(mean over p of min over q |p - q|, mean over q of min over p |p - q|)

    between the listed states P and Q of two orbits. The phase at which an orbit is listed does not matter, up to the
    distance between its states, and a sink may go on as the small cycle around it. Infinity goes with infinity only.

    **Arguments:** `before`, `after`: basin fractions of two systems of one dimension; `max_distance`: a pair further
    apart is no pair. By default each pair is measured by its surroundings: it is none if one of the two has another
    attractor of its own system nearer than its partner.

    **Returns:** an `AttractorMatch`, fields of shape `(B,)` for the rows of `after` and `(A,)` for those of `before`.

    **Raises:** `ValueError` when the dimensions differ, or for batches.

    **Source:** Kuhn (1955) for the assignment; Dubuisson & Jain (1994) for the distance.
    """
    if before.mask.ndim != 1 or after.mask.ndim != 1:
        raise ValueError("match_attractors: one system each, not batches")
    if before.state.shape[1] != after.state.shape[1]:
        raise ValueError(
            f"match_attractors: states have {before.state.shape[1]} and {after.state.shape[1]} components; the systems "
            "must have one dimension"
        )
    index, distance = assign(Rows.of(before), Rows.of(after), max_distance)
    vanished = np.asarray(before.mask) & ~np.isin(np.arange(before.mask.size), index)
    return AttractorMatch(jnp.asarray(index), jnp.asarray(distance), jnp.asarray(vanished))


class Rows(eqx.Module):
    """What matching needs of a list of attractors: orbits `(A, M, S)`, kinds and mask `(A,)`, and sizes."""

    orbit: Any
    kind: Any
    mask: Any

    @staticmethod
    def of(found: BasinFractions) -> "Rows":
        return Rows(found.orbit, found.kind, found.mask)


def assign(before: Rows, after: Rows, max_distance: float | int | None) -> tuple[np.ndarray, np.ndarray]:
    """`(index, distance)` of each row of `after`."""
    distance = np.asarray(_distances(before, after))
    if max_distance is None:
        reach = np.minimum(_separation(before)[:, None], _separation(after)[None])
    else:
        reach = np.full_like(distance, max_distance)
    allowed = np.isfinite(distance) & (distance <= reach)
    # Pairs that are none cost more than all others together, so as many as possible are left out of them.
    dear = 1 + distance[allowed].sum()
    row, column = linear_sum_assignment(np.where(allowed, distance, dear))
    real = allowed[row, column]
    index, gap = np.full(distance.shape[1], -1, np.int32), np.full(distance.shape[1], np.inf, distance.dtype)
    index[column[real]], gap[column[real]] = row[real], distance[row, column][real]
    return index, gap


def _separation(rows: Rows) -> np.ndarray:
    """Distance of each attractor to the next of its own list."""
    distance = np.array(_distances(rows, rows))
    np.fill_diagonal(distance, np.inf)
    return distance.min(axis=0)


@eqx.filter_jit
def _distances(one: Rows, other: Rows) -> Float[Array, "A B"]:
    P, Q = (jnp.where(jnp.isfinite(rows.orbit), rows.orbit, 0.0) for rows in (one, other))

    def pair(p: Array, q: Array) -> Array:
        apart = jnp.linalg.norm(p[:, None] - q[None], axis=-1)
        return jnp.maximum(jnp.mean(jnp.min(apart, axis=0)), jnp.mean(jnp.min(apart, axis=1)))

    apart = jax.lax.map(lambda p: jax.lax.map(lambda q: pair(p, q), Q), P)
    far, away = one.kind == AttractorKind.ESCAPED, other.kind == AttractorKind.ESCAPED
    apart = jnp.where(far[:, None] != away[None], jnp.inf, jnp.where(far[:, None], 0.0, apart))
    return jnp.where(one.mask[:, None] & other.mask[None], apart, jnp.inf)
