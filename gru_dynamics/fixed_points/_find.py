"""The verb: all fixed points of a system."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayLike, Bool, Complex, Float, Int, PRNGKey
from ..linalg import eigenvalues
from ..linalg._implicit import freeze
from ..systems import AbstractSystem
from ._classify import stability
from ._guesses import AbstractGuesses, as_guesses, float_dtype
from ._levenberg_marquardt import LevenbergMarquardt, largest
from ._linear import sort_spectrum
from ._points import Completeness, FixedPoints, Kind
from ._precision import highest_precision
from ._refine import attach_gradient
from ._rows import map_rows
from ._search import Options, search
from ._tolerances import degenerate_tolerance, is_double, merge_distance, residual_tolerance, warn_float32
from ._verify import prove_listed


def find_fixed_points(
    system: AbstractSystem,
    guesses: AbstractGuesses | ArrayLike,
    *,
    key: PRNGKey,
    method: LevenbergMarquardt = LevenbergMarquardt(),  # noqa: B008
    max_points: int | None = None,
    max_reseeds: int = 8,
    merge_distance: float | None = None,
    verify: bool = False,
    throw: bool = True,
) -> FixedPoints:
    """All fixed points that can be reached from the guesses, classified, with the index sum as a check.

    The zeros of the gate-free residual are sought (`c(h) - h` for a GRU), never those of `F(h) - h`, which also becomes
    small where a gate closes. In a trapping box the indices must sum to +1; while they do not, the search goes on from
    new guesses, up to `max_reseeds` blocks.

    **Arguments:**

    - `system`: any map or flow. Float64 is meant; float32 works with loose tolerances and says so once.
    - `guesses`: `UniformGuesses`, `TrajectoryGuesses`, or an array of resting states `(num, R)`. Any number: memory is
      that of one block of 4096.
    - `key`: for the guesses; reseeding is a fixed sequence.
    - `method`: iteration and its tolerance.
    - `max_points`: K, rows of the result; by default `num`, but at most 1024 (fewer beyond 181 dimensions).
    - `max_reseeds`: blocks of extra guesses, each of `min(num, 4096)`.
    - `merge_distance`: points nearer than this (2-norm) are one; by default 1e-6 in float64, 5e-3 in float32.
    - `verify`: prove of each point that it is there and alone, and how near: `proven` and `radius` of the result. Needs
      float64 enabled and a system with an enclosure (see `enumerate_fixed_points`, which also proves that none is
      missing).
    - `throw`: raise when the result is not successful. Use `throw=False` under `jax.vmap` and look at `.result`.

    **Returns:** `FixedPoints` with K rows. Under `jax.vmap` over systems every field gains a leading axis.

    **Raises:** `ValueError` for guesses of a wrong shape; `TypeError` for `verify` without an enclosure; `RuntimeError`
    when nothing converged, when the system returns inf or nan, or when there are more points than `max_points` (not
    inside `jax.jit` or `jax.vmap`).

    **Source:** residual: Jordan, Sokół, Park (2019), eq. 7 without the gate; index sum: Lefschetz (1926); iteration:
    Yamashita & Fukushima (2001).
    """
    guesses = as_guesses(guesses)
    if not is_double(float_dtype(system)):
        warn_float32()
    points = _find(system, guesses, key, method, max_points, max_reseeds, merge_distance, verify)
    if throw:
        raise_failure("find_fixed_points", points.result)
    return points


@eqx.filter_jit
@highest_precision
def _find(
    system: AbstractSystem,
    guesses: AbstractGuesses,
    key: PRNGKey,
    method: LevenbergMarquardt,
    max_points: int | None,
    max_reseeds: int,
    distance: float | None,
    verify: bool,
) -> FixedPoints:
    frozen = freeze(system)
    start = jax.lax.stop_gradient(guesses(frozen, key))
    num, size = start.shape
    if system.resting_size not in (None, size):
        raise ValueError(f"guesses have {size} components, but the system's resting state has {system.resting_size}")
    dtype = start.dtype
    tolerance = residual_tolerance(dtype) if method.tolerance is None else method.tolerance
    capacity = min(num, 1024, max(64, 2**25 // size**2)) if max_points is None else max_points
    distance = merge_distance(dtype) if distance is None else distance
    options = Options(method, tolerance, distance, capacity, max_reseeds, min(num, 4096))
    found = search(frozen, start, options)

    located, used = found.located, found.used
    limit = degenerate_tolerance(dtype)
    singular = located.smallest <= limit * jnp.max(jnp.where(used, located.norm, 0))

    used = used & ~_repeats(located.point, used & singular, 1e3 * distance)

    points = jax.vmap(functools.partial(attach_gradient, system))(located.point, used & ~singular)
    state = jax.vmap(system.lift)(points)
    values = _eigenvalues_of(jax.vmap(system.jacobian)(state), found.count)
    values = jax.vmap(functools.partial(sort_spectrum, system))(values)
    kind, unstable_dim, focus = jax.vmap(functools.partial(stability, system, tolerance=limit))(
        jax.lax.stop_gradient(values), singular
    )
    index = jnp.where(used & ~singular, located.sign, 0)
    index_sum = jnp.sum(index)
    certain = (index_sum == 1) & ~jnp.any(used & singular) & ~found.overflow
    checked = jnp.where(certain, Completeness.CONSISTENT, Completeness.INCOMPLETE)
    complete = Completeness.UNKNOWN if system.bounds is None else checked

    finite = jnp.isfinite(largest(frozen.residual(start[0])))
    result = RESULTS.where(found.overflow, RESULTS.max_points_reached, RESULTS.successful)
    result = RESULTS.where(found.count == 0, RESULTS.no_fixed_point, result)
    result = RESULTS.where(finite | (found.count > 0), result, RESULTS.nonfinite_system)

    residual = jnp.where(used, located.residual, jnp.inf)
    proven, radius = jnp.zeros_like(used), jnp.full_like(residual, jnp.inf)
    if verify:
        zero = jnp.zeros_like(found.count)
        proven, radius = map_rows(prove_listed, frozen, located.point, (proven, radius), zero, found.count, size)
    # One key for three: padding last, then unstable dimension, then the first coordinate squeezed into (-1, 1).
    first = jax.lax.stop_gradient(state[:, 0])
    rank = 2 * jnp.where(used, unstable_dim, state.shape[1] + 1).astype(dtype)
    order = jnp.argsort(rank + first / (1 + jnp.abs(first)))
    sorted_rows = jax.tree.map(
        lambda rows: rows[order],
        (
            *(state, used, jnp.where(used, kind, Kind.NONE), unstable_dim, focus, values, residual, index, found.hits),
            *(proven & used, jnp.where(used, radius, jnp.inf)),
        ),
    )
    return FixedPoints(
        *sorted_rows,
        index_sum=index_sum,
        complete=jnp.asarray(complete, jnp.int32),
        num_guesses=found.num_guesses,
        num_converged=found.num_converged,
        num_reseeds=(found.num_guesses - num) // options.block,
        result=result,
    )


def _repeats(points: Float[Array, "K R"], singular: Bool[Array, " K"], distance: float) -> Bool[Array, " K"]:
    """Singular points `(K,)` with an earlier one near: guesses scatter around one such point by more than rounding."""
    norms = jnp.sum(points * points, axis=1)
    squares = norms[:, None] + norms[None] - 2 * jnp.matmul(points, points.T, precision=jax.lax.Precision.HIGHEST)
    near = (squares <= distance**2) & singular[:, None] & singular[None]
    return jnp.any(jnp.tril(near, -1), axis=1)


@jax.custom_jvp
def _eigenvalues_of(jacobians: Float[Array, "K S S"], count: Int[Array, ""]) -> Complex[Array, "K S"]:
    """`eigenvalues` of the first `count` matrices; the loop has no reverse mode, the rule below has."""
    num, size, _ = jacobians.shape
    dtype = jnp.complex128 if jacobians.dtype == jnp.float64 else jnp.complex64
    empty = jnp.zeros((num, size), dtype)
    return map_rows(lambda _, A: eigenvalues(A), None, jacobians, empty, jnp.zeros_like(count), count, size)


@_eigenvalues_of.defjvp
def _eigenvalues_of_jvp(primals, tangents):
    (jacobians, count), (change, _) = primals, tangents
    num, size, _ = jacobians.shape
    harmless = jnp.diag(jnp.arange(size, dtype=jacobians.dtype))
    used = (jnp.arange(num, dtype=jnp.int32) < count)[:, None, None]
    return jax.jvp(jax.vmap(eigenvalues), (jnp.where(used, jacobians, harmless),), (jnp.where(used, change, 0),))
