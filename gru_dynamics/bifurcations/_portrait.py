"""Every fixed point of a system, the degenerate ones included, and their counts."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._results import RESULTS
from .._types import Array, Bool, Float, Int
from ..fixed_points import Enumeration, Kind, enumerate_fixed_points
from ..fixed_points._tolerances import as_double
from ..systems import AbstractSystem
from ._defining import Orders, equations, other_eigenvalues, quadratic, second_derivative, singular
from ._nearest import restore
from ._topology import Topology

# A quadratic coefficient below this share of the second derivative cannot be told from zero; a cluster wider than this
# holds more than one point.
_FLAT, _WIDE = 1e-6, 1e-3

# Codes of `DegeneratePoints.order`.
_NONE, _FOLD, _CUSP, _NULL = 0, 2, 3, 1


class DegeneratePoints(eqx.Module):
    """Degenerate fixed points, located to rounding, one row for each of C undecided places.

        J v = 0,  w J = 0,  |v| = 1,  w v = 1,  a = w D^2 f(v, v) / 2

    with f the gate-free residual and J its Jacobian.

    **Fields:**

    - `state (C, S)`, `resting (C, R)`; `mask (C,)`: whether the row holds a point that is degenerate to the tolerance.
    - `order (C,)`: 2 for a fold, 3 for a point of corank one with a = 0 (pitchfork, cusp), 1 for J = 0, 0 for padding.
    - `stable`, `unstable (C,)`: numbers of the other eigenvalues of the map or flow on either side of the boundary.
    - `eigenvalue (C,)`: real part of the one among these nearest to the boundary, minus 1 for maps; inf in 1-D.
    - `right`, `left (C, R)`: v and w. `quadratic (C,)`: a; nan where J = 0.
    - `residual (C,)`: largest component of f. `determinant (C,)`: det J.
    - `degree (C,)`: sum of the indices of the fixed points there, where proven: `degree_known (C,)`.

    **Source:** Kuznetsov (2004), sections 3.2 and 8.2.
    """

    state: Float[Array, "*batch S"]
    resting: Float[Array, "*batch R"]
    mask: Bool[Array, "*batch"]
    order: Int[Array, "*batch"]
    stable: Int[Array, "*batch"]
    unstable: Int[Array, "*batch"]
    eigenvalue: Float[Array, "*batch"]
    right: Float[Array, "*batch R"]
    left: Float[Array, "*batch R"]
    quadratic: Float[Array, "*batch"]
    residual: Float[Array, "*batch"]
    determinant: Float[Array, "*batch"]
    degree: Int[Array, "*batch"]
    degree_known: Bool[Array, "*batch"]


class Portrait(eqx.Module):
    """All fixed points of one system.

    **Fields:** `topology`, the counts, plain integers `()`; `enumeration`, the proven points; `degenerate`, what the
    undecided clusters hold; `remark`, what could not be decided, empty if nothing.

    **Source:** Jordan, Sokół, Park (2019), section 4.
    """

    topology: Topology = eqx.field(static=True)
    enumeration: Enumeration
    degenerate: DegeneratePoints
    remark: str = eqx.field(static=True)


def portrait(system: AbstractSystem, *, tolerance: float = 1e-12) -> Portrait:
    """Every fixed point of a system: simple ones proven, degenerate ones located to rounding.

    Simple points come from `enumerate_fixed_points`. In each cluster that it leaves undecided the equations of a point
    with J = 0, of a cusp and of a fold are solved in turn by least squares; the first that holds to `tolerance` counts.

    **Arguments:** `system`, one system with an enclosure and a trapping box, best with R <= 3; `tolerance`, the largest
    residual, determinant of J and smallest singular value of J of a degenerate point.

    **Returns:** a `Portrait`, with counts of shape `()`.

    **Raises:** what `enumerate_fixed_points` raises.

    **Source:** Jordan, Sokół, Park (2019), section 4; Kuznetsov (2004), section 10.2.
    """
    system = as_double(system, "portrait")
    enumeration = enumerate_fixed_points(system, max_boxes=100_000)
    if int(enumeration.num_clusters):
        points = _look(system, enumeration.clusters.lower, enumeration.clusters.upper, tolerance)
    else:
        points = _nothing(enumeration)
    return _count(points, enumeration)


def topology(system: AbstractSystem, *, tolerance: float = 1e-12) -> Topology:
    """Counts of the sinks, sources, saddles and degenerate points of a system.

    **Arguments:** `system`, one system with an enclosure and a trapping box; `tolerance`, the largest residual,
    determinant and smallest singular value of its Jacobian J of a degenerate point.

    **Returns:** a `Topology`, counts of shape `()`; `topology(system).row` names the row of the paper's table 2.
    Points whose kind could not be proven are `other`.

    **Raises:** what `enumerate_fixed_points` raises.

    **Source:** Jordan, Sokół, Park (2019), table 2.
    """
    return portrait(system, tolerance=tolerance).topology


@eqx.filter_jit
def _look(system: AbstractSystem, lower: Array, upper: Array, tolerance: Any) -> DegeneratePoints:
    return jax.vmap(lambda low, high: _look_at(system, low, high, tolerance))(lower, upper)


def _look_at(system: AbstractSystem, lower: Array, upper: Array, tolerance: Any) -> DegeneratePoints:
    """The most degenerate point that the hull, a little enlarged, holds."""
    middle, reach = (lower + upper) / 2, 2 * jnp.max(upper - lower) + 1e-5

    def null(x: Array) -> Array:
        return equations(system, x[None], Orders(nulls=1))

    def corank_one(x: Array, flat: Array) -> Array:
        return equations(system, x[None], Orders(cusps=1)).at[-1].multiply(flat)

    points, errors = jax.vmap(lambda flat: restore(lambda x: corank_one(x, flat), middle, 40))(jnp.asarray([1.0, 0.0]))
    at_null, error = restore(null, middle, 40)
    if middle.size == 1:  # in one dimension J = 0 is a fold
        error = jnp.asarray(jnp.inf, middle.dtype)
    points, errors = jnp.concatenate([at_null[None], points]), jnp.append(error, errors)
    holds = (errors <= tolerance) & (jnp.max(jnp.abs(points - middle[None]), axis=1) <= reach)
    which, found = jnp.argmax(holds), jnp.any(holds)
    x = points[which]
    J = system.residual_jacobian(x)
    at = singular(system, x)
    product = jnp.dot(at.w, at.v)
    scale = jnp.linalg.norm(second_derivative(system, x, at.v))
    value = quadratic(system, x, at) / product
    is_null = which == 0
    sharp = jnp.abs(value * product) > _FLAT * scale
    order = jnp.where(is_null, _NULL, jnp.where(which == 1, _CUSP, jnp.where(sharp, _FOLD, _NONE)))
    others = other_eigenvalues(system, x)
    nan = jnp.asarray(jnp.nan, x.dtype)
    return DegeneratePoints(
        state=system.lift(x),
        resting=x,
        mask=found & (order != _NONE) & (jnp.abs(jnp.linalg.det(J)) <= tolerance),
        order=jnp.where(found, order, _NONE).astype(jnp.int32),
        stable=jnp.sum(others < 0, dtype=jnp.int32),
        unstable=jnp.sum(others > 0, dtype=jnp.int32),
        eigenvalue=others[0] if others.size else jnp.asarray(jnp.inf, x.dtype),
        right=at.v,
        left=at.w / product,
        quadratic=jnp.where(is_null, nan, value),
        residual=jnp.max(jnp.abs(system.residual(x))),
        determinant=jnp.linalg.det(J),
        degree=jnp.zeros((), jnp.int32),
        degree_known=jnp.zeros((), bool),
    )


def _nothing(enumeration: Enumeration) -> DegeneratePoints:
    slots, size = enumeration.clusters.lower.shape
    states = enumeration.state.shape[1]
    number = jnp.zeros((slots,), jnp.int32)
    value, vector, none = jnp.full((slots,), jnp.nan), jnp.full((slots, size), jnp.nan), jnp.zeros((slots,), bool)
    return DegeneratePoints(
        state=jnp.full((slots, states), jnp.nan),
        resting=vector,
        mask=none,
        order=number,
        stable=number,
        unstable=number,
        eigenvalue=value,
        right=vector,
        left=vector,
        quadratic=value,
        residual=value,
        determinant=value,
        degree=number,
        degree_known=none,
    )


def _count(points: DegeneratePoints, enumeration: Enumeration) -> Portrait:
    """On the host: the kinds of the proven points, and each cluster's point with its degree."""
    points, clusters = jax.tree.map(np.asarray, (points, enumeration.clusters))
    used = np.asarray(enumeration.mask)
    kinds, sure = np.asarray(enumeration.kind)[used], np.asarray(enumeration.kind_proven)[used]
    simple = [int(((kinds == kind) & sure).sum()) for kind in (Kind.SINK, Kind.SOURCE, Kind.SADDLE)]
    unsure = int((~sure).sum())
    remarks = [f"stability of {unsure} point{'s' if unsure > 1 else ''} unproven"] if unsure else []
    if bool(enumeration.result != RESULTS.successful) and bool(enumeration.result != RESULTS.undecided_cluster):
        remarks.append(RESULTS[enumeration.result])

    degree, known = _degrees(enumeration)
    counts = dict.fromkeys(("saddle_sink", "saddle_source", "codim2", "other"), 0)
    total, mask = 0, points.mask & clusters.mask
    for row in np.flatnonzero(clusters.mask):
        order = int(points.order[row]) if mask[row] else _NONE
        width = float(np.max(clusters.upper[row] - clusters.lower[row]))
        if width > _WIDE:
            remarks.append(f"undecided over a width of {width:.1e}: a curve of fixed points, or a budget too small")
            order = _NONE
        if order == _NULL:
            name = "codim2"
        elif order == _CUSP or (order == _FOLD and not (known[row] and degree[row])):
            others = int(points.stable[row]), int(points.unstable[row])
            name = "saddle_sink" if not others[1] else "saddle_source" if not others[0] else "other"
        else:
            name = "other"
            remarks.append("a cluster holds no point that is degenerate to the tolerance")
        mask[row] = name != "other"
        counts[name] += 1
        total += int(degree[row]) if mask[row] and known[row] else 0
    size = enumeration.state.shape[1]
    other = counts["other"] + unsure
    sinks, sources, saddles = simple
    found = Topology(sinks, sources, saddles, **counts | {"other": other}, degree=total, dimension=size)
    placed = eqx.tree_at(
        lambda p: (p.mask, p.degree, p.degree_known),
        points,
        (mask, np.where(mask, degree, 0).astype(np.int32), known & mask),
    )
    return Portrait(found, enumeration, jax.tree.map(jnp.asarray, placed), "; ".join(dict.fromkeys(remarks)))


def _degrees(enumeration: Enumeration) -> tuple[np.ndarray, np.ndarray]:
    """Degree of each cluster alone, and whether it is known."""
    clusters = enumeration.clusters
    return np.asarray(clusters.degree).astype(int), np.asarray(clusters.mask & clusters.degree_proven)
