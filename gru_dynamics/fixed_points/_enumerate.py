"""The verb: every fixed point of a system, with proof."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayLike, Bool, Bounds, Float, Int
from ..linalg._implicit import freeze
from ..linalg.intervals import Interval
from ..systems import AbstractSystem
from ._classify import stability
from ._enumeration import NO_BOUND, Clusters, Enumeration
from ._find import _eigenvalues_of
from ._linear import sort_spectrum
from ._members import with_members
from ._points import Completeness, FixedPoints, Kind
from ._precision import highest_precision
from ._refine import attach_gradient
from ._survey import Proven, Sizes, Surrounded, is_finite, survey
from ._tolerances import as_double, degenerate_tolerance
from ._verify import distance


def enumerate_fixed_points(
    system: AbstractSystem,
    bounds: tuple[ArrayLike, ArrayLike] | None = None,
    *,
    max_boxes: int = 1_000_000,
    min_width: float = 1e-6,
    max_points: int | None = None,
    max_clusters: int = 8,
    lanes: int | None = None,
    throw: bool = True,
) -> Enumeration:
    """Every fixed point of a system in its trapping box, or in a box of your choice, with mathematical proof.

    Boxes are contracted by the candidate and by Krawczyk's operator, in interval arithmetic with outward rounding,
    until each holds no fixed point or exactly one. What remains at `min_width` is reported as a cluster. Proofs are
    about the system in real numbers whose weights are the given floating-point numbers.

    Under `jax.vmap` all systems share one stack of boxes, so thousands of small systems keep the device busy. The work
    grows steeply with the number of units and the gain; it is meant for n <= 8, tries any n, and stops at `max_boxes`
    with what is proven by then.

    **Arguments:**

    - `system`: a map or flow with an enclosure: `ElmanCell` and `GRUCell` have one, for others see
      `gru_dynamics.cells.Enclosable` and the `enclosure` of `FunctionMap` and `FunctionFlow`. Float64 is required;
      float32 weights are taken as the numbers they are.
    - `bounds`: `(lower, upper)`, each `(R,)`; by default the system's trapping box.
    - `max_boxes`: boxes to look at per system. `min_width`: boxes narrower than this are not halved any more.
    - `max_points`: K, rows of the result; by default `4 * 3^R`, at most 1024. `max_clusters`: C.
    - `lanes`: boxes in work at the same time; by default 256 for one system, up to 8192 for a batch.
    - `throw`: raise for a system that returns nan. Use `throw=False` under `jax.vmap`.

    **Returns:** an `Enumeration`. A spent budget or an undecided cluster is a partial answer, not an error: look at
    `complete`, `count` and `result`, or print `summary()`.

    **Raises:** `TypeError` when the system has no enclosure, `ValueError` when there is no box to search or when
    float64 is disabled, `RuntimeError` when the system is not finite (not inside `jax.jit` or `jax.vmap`).

    **Source:** Krawczyk (1969); Hansen & Walster (2004), chapter 11.
    """
    system = as_double(system, "enumerate_fixed_points")
    if system.bounds is None and bounds is None:
        raise ValueError(
            "enumerate_fixed_points: this system has no trapping box, so say where to look: bounds=(lower, upper). "
            "Only fixed points in that box are then counted."
        )
    trapped = bounds is None
    ends = system.bounds if bounds is None else bounds
    assert ends is not None
    lower, upper = _checked(*ends, system.resting_size)
    for name, number in (("max_boxes", max_boxes), ("max_points", max_points), ("max_clusters", max_clusters)):
        if number is not None and number < 1:
            raise ValueError(f"enumerate_fixed_points: {name} must be at least 1, got {number}")
    capacity = min(4 * 3 ** min(lower.size, 6), 1024) if max_points is None else max_points
    sizes = Sizes(capacity, max_clusters, lanes, trapped)
    # As arrays, since a Python number would be compiled in.
    limits = jnp.asarray(max_boxes, jnp.int32), jnp.asarray(min_width, jnp.float64)
    enumeration = _enumerate(system, (lower, upper), sizes, *limits)
    if throw:
        raise_failure("enumerate_fixed_points", _error(enumeration.result))
    return enumeration


def _checked(lower: ArrayLike, upper: ArrayLike, size: int | None) -> Bounds:
    low, high = (jnp.asarray(end, jnp.float64) for end in (lower, upper))
    where = "enumerate_fixed_points: bounds must be"
    if low.ndim != 1 or low.shape != high.shape or size not in (None, low.size):
        length = "one length" if size is None else f"length {size}"
        raise ValueError(f"{where} two vectors of {length}, got shapes {low.shape} and {high.shape}")
    if not isinstance(low, Tracer) and not isinstance(high, Tracer):
        if not bool(jnp.all(jnp.isfinite(low) & jnp.isfinite(high))):
            raise ValueError(f"{where} finite, got {low} and {high}; choose a box that is as large as needed")
        if not bool(jnp.all(low < high)):
            raise ValueError(f"{where} (lower, upper) with lower < upper, got {low} and {high}")
    return low, high


def _error(result: RESULTS) -> RESULTS:
    """A result that is an error, not a partial answer."""
    return RESULTS.where(result == RESULTS.nonfinite_system, result, RESULTS.successful)


@eqx.filter_jit
@highest_precision
def _enumerate(
    system: AbstractSystem,
    bounds: Bounds,
    sizes: Sizes,
    max_boxes: Int[Array, ""],
    min_width: Float[Array, ""],
) -> Enumeration:
    frozen = freeze(system)
    root = jax.lax.stop_gradient(jnp.concatenate(bounds))
    run = functools.partial(survey, sizes)
    rows, used, surrounded, num_boxes, exhausted, overflow = with_members(run, frozen, root, max_boxes, min_width)

    box = Interval(*bounds)
    inside = jnp.all((rows.lower >= box.lower[None]) & (rows.upper <= box.upper[None]), axis=1)
    apart = jnp.any((rows.lower > box.upper[None]) | (rows.upper < box.lower[None]), axis=1)
    if sizes.trapped:
        inside = jnp.ones_like(inside)
    else:
        used = used & ~apart
    certain = used & inside

    points = jax.vmap(functools.partial(attach_gradient, system))(rows.point, used)
    state = jax.vmap(system.lift)(points)
    last = jnp.max(jnp.where(used, jnp.arange(1, used.size + 1, dtype=jnp.int32), 0))
    values = _eigenvalues_of(jax.vmap(system.jacobian)(state), last)
    values = jax.vmap(functools.partial(sort_spectrum, system))(values)
    likely, likely_dim, focus = jax.vmap(
        lambda value: stability(
            system, jax.lax.stop_gradient(value), jnp.zeros((), bool), degenerate_tolerance(value.real.dtype)
        )
    )(values)
    size = state.shape[1]
    sharp = jnp.where(rows.unstable_dim == 0, Kind.SINK, jnp.where(rows.unstable_dim == size, Kind.SOURCE, Kind.SADDLE))
    kind = jnp.where(used, jnp.where(rows.kind_proven, sharp, likely), Kind.NONE).astype(jnp.int32)
    unstable_dim = jnp.where(rows.kind_proven, rows.unstable_dim, likely_dim)
    index = jnp.where(used, rows.sign, 0)
    index_sum = jnp.sum(index, dtype=jnp.int32)

    # Nothing follows from the sum if a point has no sign or is missing from the list.
    whole = jnp.all(jnp.where(used, rows.sign != 0, True)) & ~overflow
    clusters = _judge(surrounded, rows, certain, sizes.trapped, box, index_sum, whole)
    needed = clusters.mask & clusters.degree_proven & (clusters.degree != 0)
    lowest = jnp.sum(certain, dtype=jnp.int32) + jnp.sum(needed, dtype=jnp.int32)
    decided = ~jnp.any(clusters.mask) & ~overflow
    highest = jnp.where(decided, jnp.sum(used, dtype=jnp.int32), NO_BOUND)
    proven = decided & (lowest == highest)
    complete = jnp.where(proven, Completeness.CERTIFIED, Completeness.INCOMPLETE).astype(jnp.int32)

    finite = is_finite(frozen, root)
    lowest, highest = jnp.where(finite, lowest, 0), jnp.where(finite, highest, NO_BOUND)
    result = RESULTS.where(decided, RESULTS.successful, RESULTS.undecided_cluster)
    result = RESULTS.where(exhausted, RESULTS.box_budget_spent, result)
    result = RESULTS.where(overflow, RESULTS.enumeration_overflow, result)
    result = RESULTS.where(finite, result, RESULTS.nonfinite_system)

    # One key for three, as in `find_fixed_points`: padding last, then unstable dimension, then the first coordinate.
    first = jax.lax.stop_gradient(state[:, 0])
    rank = 2 * jnp.where(used, unstable_dim, size + 1).astype(first.dtype)
    order = jnp.argsort(rank + first / (1 + jnp.abs(first)))
    radius = jax.vmap(distance)(rows.point, Interval(rows.lower, rows.upper), used)
    listed = jax.tree.map(
        lambda x: x[order],
        (state, used, kind, unstable_dim, focus, values, jnp.where(used, rows.residual, jnp.inf), index),
    )
    none = jnp.zeros((), jnp.int32)
    fixed = FixedPoints(
        *listed,
        hits=jnp.zeros_like(index),
        proven=used[order],
        radius=radius[order],
        index_sum=index_sum,
        complete=complete,
        num_guesses=none,
        num_converged=none,
        num_reseeds=none,
        result=result,
    )
    count = jnp.stack([lowest, highest]).astype(jnp.int32)
    kind_proven = (rows.kind_proven & used)[order]
    return Enumeration(fixed, rows.lower[order], rows.upper[order], kind_proven, clusters, count, num_boxes, result)


def _judge(
    clusters: Surrounded,
    rows: Proven,
    certain: Bool[Array, " K"],
    trapped: bool,
    box: Interval,
    index_sum: Int[Array, ""],
    whole: Bool[Array, ""],
) -> Clusters:
    """The clusters with their own degrees: what the residual does around each, less the proven points there; for a
    single one in a trapping box, what is missing from the sum +1."""
    around, used = clusters.around, clusters.used

    def inside(low: Array, high: Array) -> tuple[Array, Array]:
        """Sum of the indices of the proven points in a box, and whether each is known to be in or out."""
        within = jnp.all((rows.lower > low[None]) & (rows.upper < high[None]), axis=1)
        outside = jnp.any((rows.lower > high[None]) | (rows.upper < low[None]), axis=1)
        clear = jnp.all(jnp.where(certain, (within & (rows.sign != 0)) | outside, True))
        return jnp.sum(jnp.where(certain & within, rows.sign, 0), dtype=jnp.int32), clear

    def reached(low: Array, high: Array) -> Array:
        """How many clusters touch a box."""
        apart = jnp.any((clusters.hull.lower > high[None]) | (clusters.hull.upper < low[None]), axis=1)
        return jnp.sum(used & ~apart)

    sums, clear = jax.vmap(inside)(around.lower, around.upper)
    single = jax.vmap(reached)(around.lower, around.upper) == 1
    enclosed = jnp.all((around.lower >= box.lower[None]) & (around.upper <= box.upper[None]), axis=1)
    known = used & clusters.known & clear & single & (enclosed | trapped)
    follows = used & ~known & whole & trapped & (jnp.sum(used) == 1)
    own = jnp.where(known, clusters.degree - sums, jnp.where(follows, 1 - index_sum, 0))
    return Clusters(clusters.hull.lower, clusters.hull.upper, used, own, known | follows)
