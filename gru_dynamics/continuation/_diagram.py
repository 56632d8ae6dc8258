"""The verb: every branch of fixed points in a range of one parameter."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer

from .._results import RESULTS
from .._types import Array, ArrayLike, Bool, Float, Int, PRNGKey, Scalar
from ..fixed_points import AbstractGuesses, UniformGuesses, find_fixed_points
from ..fixed_points._guesses import as_guesses, float_dtype
from ..fixed_points._precision import highest_precision
from ..fixed_points._rows import each_used
from ..linalg._implicit import freeze
from ..systems import AbstractFamily
from ._branch import Branch, SpecialPoints
from ._continue import continue_fixed_points
from ._curve import FixedPointCurve
from ._deflation import deflated_fixed_points
from ._event import AbstractEvent
from ._kinds import End, SpecialKind
from ._method import AbstractMethod, PseudoArclength, metric

# A seed that lies on a branch is met to rounding by Newton's method from the rows next to it.
_SAME_POINT = 1e-6
_SAME_SPECIAL_POINT = 1e-5
_CORRECTIONS = 6


class Diagram(eqx.Module):
    """A bifurcation diagram: B branches, of which those with `used` exist.

    **Fields:**

    - `branches`: a `Branch` with a leading axis B in every field; one of them is
      `jax.tree.map(lambda x: x[i], diagram.branches)`. `used (B,)`, the first ones.
    - `special_points`: those of all branches by parameter, each one once (K rows); `row` is that on its branch, and
      `branch (K,)` says on which.
    - `result`: a `RESULTS` item; that of a branch is in `branches.result`.

    **Source:** Farrell, Birkisson & Funke (2015), section 4, for disconnected diagrams.
    """

    branches: Branch
    used: Bool[Array, "*batch B"]
    special_points: SpecialPoints
    branch: Int[Array, "*batch K"]
    result: RESULTS

    @property
    def count(self) -> Int[Array, "*batch"]:
        """Number of branches, shape `()`, or one number per diagram of a batch."""
        return self.used.sum(axis=-1)


def continue_all(
    family: AbstractFamily,
    mu_range: tuple[ArrayLike, ArrayLike],
    *,
    guesses: AbstractGuesses | ArrayLike | None = None,
    key: PRNGKey | None = None,
    num_levels: int = 9,
    max_points: int = 16,
    max_branches: int = 8,
    num_steps: int = 400,
    method: AbstractMethod = PseudoArclength(),  # noqa: B008
    events: tuple[AbstractEvent, ...] = (),
    max_special_points: int = 32,
) -> Diagram:
    """Every branch of fixed points in a parameter range, also closed ones (isolas) that reach neither end.

    1. Fixed points at both ends of the range and at levels between, from `guesses`, and by deflation of what was found
       at neighbouring levels: the seeds.
    2. The branch through the first seed that lies on no branch yet; again until all seeds lie on branches.

    A branch that no level cuts is missed: an isola narrower than the distance of the levels may be.

    **Arguments:**

    - `family`, with one scalar parameter; `mu_range`, both ends, finite.
    - `guesses`: as for `find_fixed_points`, by default 64 in the trapping box; `key` for them.
    - `num_levels`: parameter values at which fixed points are sought; `max_points`: most points at one of them.
    - `max_branches`: B. `num_steps`, `method`, `events`, `max_special_points`: as in `continue_fixed_points`.

    **Returns:** a `Diagram` of B branches, fields of shape `(B, ...)`. Works under `jax.vmap`.

    **Raises:** `ValueError` for an infinite range, or an event that the system cannot have.

    **Source:** Farrell, Birkisson & Funke (2015); Keller (1977).
    """
    dtype = float_dtype(family(family.mu))
    lower, upper = (jnp.asarray(end, dtype) for end in mu_range)
    if not isinstance(lower, Tracer) and not isinstance(upper, Tracer) and not np.isfinite([lower, upper]).all():
        raise ValueError("continue_all: mu_range must be finite; fixed points are sought on a grid over it")
    for event in events:
        event.check(family(lower))
    return _all(
        freeze(family), (lower, upper), UniformGuesses(num=64) if guesses is None else as_guesses(guesses),
        jr.key(0) if key is None else key, num_levels, max_points, max_branches, num_steps, method, events,
        max_special_points,
    )  # fmt: skip


@eqx.filter_jit
@highest_precision
def _all(
    family: AbstractFamily,
    mu_range: tuple[Scalar, Scalar],
    guesses: AbstractGuesses,
    key: PRNGKey,
    num_levels: int,
    max_points: int,
    max_branches: int,
    num_steps: int,
    method: AbstractMethod,
    events: tuple[AbstractEvent, ...],
    capacity: int,
) -> Diagram:
    seeds, wanted, full = _seeds(family, mu_range, guesses, key, num_levels, max_points)

    def follow(seed: Float[Array, " u"]) -> Branch:
        return continue_fixed_points(
            family, family(seed[-1]).lift(seed[:-1]), seed[-1], mu_range=mu_range, num_steps=num_steps, method=method,
            events=events, max_special_points=capacity, throw=False,
        )  # fmt: skip

    def body(carry: tuple) -> tuple:
        branches, count, wanted = carry
        number = jnp.argmax(wanted)
        branch = follow(seeds[number])
        exists = branch.result != RESULTS.start_not_on_branch
        place = jnp.where(exists, count, max_branches)
        branches = jax.tree.map(lambda all_, one: all_.at[place].set(one, mode="drop"), branches, branch)
        wanted = wanted.at[number].set(False)
        on_it = each_used(lambda i: _lies_on(family, method, mu_range, branch, seeds[i]), wanted, 8)
        return branches, count + exists.astype(jnp.int32), wanted & ~on_it

    def unfinished(carry: tuple) -> Bool[Array, ""]:
        _, count, wanted = carry
        return jnp.any(wanted) & (count < max_branches)

    shapes = jax.eval_shape(follow, seeds[0])
    blank = jax.tree.map(lambda s: jnp.zeros((max_branches, *s.shape), s.dtype), shapes)
    branches, count, left = jax.lax.while_loop(unfinished, body, (blank, jnp.zeros((), jnp.int32), wanted))
    used = jnp.arange(max_branches, dtype=jnp.int32) < count
    points, branch, overflow = _merged(branches.special_points, used, capacity)
    cut = jnp.any(used[:, None] & (branches.end == End.STEPS))
    result = RESULTS.where(cut, RESULTS.steps_spent, RESULTS.successful)
    result = RESULTS.where(full, RESULTS.max_points_reached, result)
    result = RESULTS.where(overflow, RESULTS.special_points_overflow, result)
    result = RESULTS.where(jnp.any(left), RESULTS.max_branches_reached, result)
    return Diagram(branches, used, points, branch, result)


def _seeds(
    family: AbstractFamily,
    mu_range: tuple[Scalar, Scalar],
    guesses: AbstractGuesses,
    key: PRNGKey,
    num_levels: int,
    max_points: int,
) -> tuple[Float[Array, "seeds u"], Bool[Array, " seeds"], Bool[Array, ""]]:
    """Points `(x, mu)` on branches, which of them exist, and whether there were too many."""
    lower, upper = mu_range
    # Off round numbers, where symmetric families have their branch points.
    inner = (np.arange(num_levels - 2) + 0.618) / (num_levels - 2)
    share = jnp.asarray(np.concatenate([inner, [0.0, 1.0]]), lower.dtype)
    order = np.argsort(np.concatenate([inner, [0.0, 1.0]]))
    levels = (lower + share * (upper - lower))[order]

    def found_at(mu: Scalar) -> tuple[Array, Array, Array]:
        points = find_fixed_points(family(mu), guesses, key=key, max_points=max_points, throw=False)
        return jax.vmap(family(mu).rest)(points.state), points.mask, points.result == RESULTS.max_points_reached

    x, mask, full = jax.vmap(found_at)(levels)
    beside = jnp.concatenate([jnp.roll(x, 1, axis=0), jnp.roll(x, -1, axis=0)], axis=1)

    def more_at(mu: Scalar, x: Array, mask: Array, beside: Array) -> tuple[Array, Array, Array]:
        new = deflated_fixed_points(family(mu), x, mask, beside, max_new=max_points)
        return new.resting, new.mask, new.result == RESULTS.max_points_reached

    more, new_mask, new_full = jax.vmap(more_at)(levels, x, mask, beside)
    x, mask = jnp.concatenate([x, more], axis=1), jnp.concatenate([mask, new_mask], axis=1)
    mu = jnp.broadcast_to(levels[:, None, None], (*mask.shape, 1))
    seeds = jnp.concatenate([x, mu], axis=2).reshape(mask.size, -1)
    return seeds, mask.reshape(-1), jnp.any(full) | jnp.any(new_full)


def _lies_on(
    family: AbstractFamily, method: AbstractMethod, mu_range: tuple[Scalar, Scalar], branch: Branch, seed: Array
) -> Bool[Array, ""]:
    """Whether Newton's method in the plane through `seed`, across the branch, goes from the branch to `seed`."""
    width = (mu_range[1] - mu_range[0])[None]
    weights = metric(method.theta, seed.size, jnp.where(width > 0, width, 1))
    resting = jax.vmap(lambda s, mu: family(mu).rest(s))(branch.state, branch.mu)
    u = jnp.concatenate([resting, branch.mu[:, None]], axis=1)
    a, chord = u[:-1], u[1:] - u[:-1]
    pair = branch.mask[:-1] & branch.mask[1:]
    square = jnp.sum(weights[None] * chord**2, axis=1)
    share = jnp.sum(weights[None] * chord * (seed[None] - a), axis=1) / jnp.where(square > 0, square, 1)
    nearest = a + jnp.clip(share, 0, 1)[:, None] * chord
    gap = jnp.where(pair, jnp.sum(weights[None] * (seed[None] - nearest) ** 2, axis=1), jnp.inf)
    best = jnp.argmin(gap)
    row = weights * chord[best]
    curve = FixedPointCurve(family)

    def correct(_: Any, u: Float[Array, " u"]) -> Float[Array, " u"]:
        return u + method.solver.correct(curve, u, (), row, jnp.dot(row, seed - u)).delta

    met = jax.lax.fori_loop(0, _CORRECTIONS, correct, nearest[best])
    return jnp.any(pair) & (jnp.max(jnp.abs(met - seed)) <= _SAME_POINT * (1 + jnp.max(jnp.abs(seed))))


def _merged(
    points: SpecialPoints, used: Bool[Array, " B"], capacity: int
) -> tuple[SpecialPoints, Int[Array, " K"], Bool[Array, ""]]:
    """The points of all branches by parameter, each one once; on which branch; and whether there were too many."""
    branch = jnp.broadcast_to(jnp.arange(used.size, dtype=jnp.int32)[:, None], points.mask.shape).reshape(-1)
    mask = (points.mask & used[:, None]).reshape(-1)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), points)
    place = jnp.concatenate([flat.state, flat.mu[:, None]], axis=1)
    crossing = jnp.asarray([SpecialKind.TRANSCRITICAL, SpecialKind.PITCHFORK], jnp.int32)
    branching = jnp.any(flat.kind[:, None] == crossing[None], axis=1)
    kind = jnp.where(branching, SpecialKind.BRANCH_POINT, flat.kind)

    def earlier(i: Int[Array, ""]) -> Bool[Array, ""]:
        near = jnp.max(jnp.abs(place - place[i][None]), axis=1) <= _SAME_SPECIAL_POINT * (
            1 + jnp.max(jnp.abs(place[i]))
        )
        # Two on one branch are two, such as equal bifurcations of both points of a 2-cycle.
        return jnp.any(near & mask & (kind == kind[i]) & (branch < branch[i]))

    number = jnp.arange(mask.size, dtype=jnp.int32)
    mask = mask & ~jax.vmap(earlier)(number)
    order = jnp.argsort(jnp.where(mask, flat.mu, jnp.inf))[:capacity]
    kept = mask[order]
    chosen = eqx.tree_at(lambda p: p.mask, jax.tree.map(lambda x: x[order], flat), kept)
    blank = jax.tree.map(lambda x: jnp.where(kept.reshape(-1, *[1] * (x.ndim - 1)), x, jnp.zeros_like(x)), chosen)
    blank = eqx.tree_at(lambda p: p.coefficient, blank, jnp.where(kept, chosen.coefficient, jnp.nan))
    return blank, jnp.where(kept, branch[order], 0), jnp.sum(mask, dtype=jnp.int32) > capacity
