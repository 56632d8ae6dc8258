"""The verb: the nearest parameters at which a topology holds exactly."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._types import Array, ArrayLike, Float
from ..fixed_points import Enumeration
from ..fixed_points._tolerances import as_double
from ..systems import AbstractFamily
from ._candidates import Candidate, Solved, Task, combine, roles, seed_points, singles, solve, step_toward
from ._portrait import DegeneratePoints, Portrait, portrait
from ._topology import Topology

# Candidates that are solved in one call, and seeds for single degenerate points.
_BATCH, _SEEDS = 16, 96

# Steps toward the printed parameters end when they are this short, or when the distance is stationary to this.
_SHORT, _STATIONARY = 1e-4, 1e-7


class Realisation(eqx.Module):
    """A topology made exact, or why that was not possible.

    **Fields:**

    - `mu`: the parameters, of the family's shape. `distance ()`: 2-norm of the weighted change from `family.mu`;
      `largest_change ()`: the largest change of one parameter. Both nan when not realised.
    - `verified`: whether the portrait at `mu` has exactly the target's counts, every simple point proven and every
      undecided cluster one degenerate point. `is_minimum`: whether the distance is a local minimum; if not, it is an
      upper bound. `at_margin`: whether an other eigenvalue is held at `margin`; then nearer parameters exist, with this
      eigenvalue nearer to the stability boundary.
    - `topology`, what `mu` has; `target`; both counts, shape `()`.
    - `degenerate`: the degenerate points, `(C, ...)`, with null vectors, other eigenvalue and quadratic coefficient;
      `residual ()` and `determinant ()`: the largest |f| and |det J| over them, 0 if there are none.
    - `enumeration`: the proof. `num_candidates`: portraits looked at. `reason`: empty, or what stood in the way.

    When not realised, all but the distances is about `family.mu`.

    **Source:** Jordan, Sokół, Park (2019), table 2; the method: see `realise_topology`.
    """

    mu: Float[Array, "..."]
    distance: Float[Array, ""]
    largest_change: Float[Array, ""]
    degenerate: DegeneratePoints
    residual: Float[Array, ""]
    determinant: Float[Array, ""]
    enumeration: Enumeration
    topology: Topology = eqx.field(static=True)
    target: Topology = eqx.field(static=True)
    verified: bool = eqx.field(static=True)
    is_minimum: bool = eqx.field(static=True)
    at_margin: bool = eqx.field(static=True)
    num_candidates: int = eqx.field(static=True)
    reason: str = eqx.field(static=True)

    def summary(self) -> str:
        """One line: what was realised, how far from the given parameters, how exactly."""
        if not self.verified:
            return f"not realised: {self.target}. {self.reason}"
        kind = "at most " if self.at_margin or not self.is_minimum else ""
        return (
            f"{self.topology}; distance {kind}{float(self.distance):.6g} (largest change "
            f"{float(self.largest_change):.6g}); residual {float(self.residual):.1e}, det {float(self.determinant):.1e}"
        )


class _Best(NamedTuple):
    """A verified member of the family, with the solve that led there."""

    distance: float
    mu: np.ndarray
    flat: np.ndarray
    candidate: Candidate
    portrait: Portrait
    settled: bool


def realise_topology(
    family: AbstractFamily,
    target: Topology,
    *,
    starts: Sequence[ArrayLike] = (),
    weights: ArrayLike | None = None,
    margin: float = 0.01,
    tolerance: float = 1e-12,
    max_steps: int = 40,
    max_candidates: int = 160,
    throw: bool = True,
) -> Realisation:
    """The nearest member of a family that has a wanted topology exactly, degenerate points included.

        minimise |weights (mu - family.mu)|   subject to   f(x_i) = 0,  det J(x_i) = 0  for all degenerate points x_i

    with f the gate-free residual of `family(mu)`; for a pitchfork or cusp also a = 0, for a codimension-2 point J = 0.

    1. From many points of the box, the nearest parameters that make one point degenerate are found.
    2. Sets of these with the target's counts are made degenerate together by Gauss-Newton, the most plausible first,
       and moved along the solutions to the least distance by Newton's method.
    3. A solution counts when its `portrait` has the target's counts and nothing else; the nearest such is returned.

    If the nearest solutions have other fixed points than wanted, a farther one is moved nearer as long as its portrait
    stays right; then `is_minimum` is False.

    **Arguments:**

    - `family`: `mu -> system`; `family.mu` holds the parameters to stay near. Systems have an enclosure and a
      trapping box.
    - `target`: the wanted `Topology`.
    - `starts`: further parameters to start from, of the shape of `mu`, tried in turn when nothing is found near
      `family.mu`: for instance those of other rows of a table.
    - `weights`: of the parameters in the norm, of the shape of `mu`; by default 1. To hold a parameter fixed, leave it
      out of the family.
    - `margin`: the other eigenvalue of a degenerate point in the plane stays this far from the stability boundary.
    - `tolerance`: of `portrait`. `max_steps` of one solve, `max_candidates`: portraits to look at for each start.
    - `throw`: raise when the topology is not realised.

    **Returns:** a `Realisation`, with `mu` in the shape of `family.mu` and a scalar distance `()`.

    **Raises:** `RuntimeError` when not realised and `throw`; `ValueError` when the shapes of `weights` or `starts` are
    not that of `mu`, or a system has no trapping box.

    **Source:** Deuflhard (2011), chapter 4, for Gauss-Newton; Absil, Mahony, Sepulchre (2008), chapter 6.
    """
    family = as_double(family, "realise_topology")
    mu = jnp.asarray(family.mu, jnp.float64)
    weight = jnp.ones(mu.shape) if weights is None else jnp.asarray(weights, jnp.float64)
    others = [jnp.asarray(start, jnp.float64) for start in starts]
    if any(value.shape != mu.shape for value in (weight, *others)):
        raise ValueError(f"realise_topology: weights and starts must have the shape of mu, {mu.shape}")
    search = _Search(family, target, weight, margin, tolerance, max_steps, max_candidates)
    found = search.run(mu, others)
    if throw and not found.verified:
        raise RuntimeError(f"realise_topology: {found.summary()}")
    return found


class _Search:
    """One search: its settings and what it has seen."""

    def __init__(
        self,
        family: AbstractFamily,
        target: Topology,
        weight: Array,
        margin: float,
        tolerance: float,
        max_steps: int,
        max_candidates: int,
    ):
        self.family, self.target, self.weight, self.margin = family, target, weight, margin
        self.tolerance, self.max_steps, self.max_candidates = tolerance, max_steps, max_candidates
        self.seen: list[Topology] = []

    def run(self, mu: Array, starts: list[Array]) -> Realisation:
        given = self.look(mu)
        if given.topology == self.target:
            return self.report(given, mu, mu, True, "")
        system = self.family(mu)
        if system.bounds is None:
            raise ValueError("realise_topology: the systems of this family have no trapping box to search")
        if self.target.index_sum != 1:
            text = f"Its indices sum to {self.target.index_sum:+d}; in a trapping box they must sum to +1"
            return self.failure(given, mu, text)
        if self.target.other or not self.target.degenerate:
            text = f"There is no degenerate point to move to, and the given parameters have {given.topology}"
            return self.failure(given, mu, text)
        for center in (mu, *starts):
            here = given if center is mu else self.look(center)
            best = self.around(center, here)
            if best is not None:
                if center is not mu or not best.settled:
                    best = self.approach(best, mu)
                return self.report(best.portrait, jnp.asarray(best.mu), mu, best.settled, "")
        often = "; ".join(f"{topology} ({count} times)" for topology, count in Counter(self.seen).most_common(3))
        text = f"{len(self.seen)} portraits were looked at, most often {often}"
        if len(self.seen) <= 1 + len(starts):
            text = "No parameters nearby were found that have these degenerate points together"
        return self.failure(given, mu, f"{text}. Give `starts` with parameters whose portraits are close to the target")

    def around(self, center: Array, here: Portrait) -> _Best | None:
        """The nearest verified solution; of those that Gauss-Newton finds if none of the least distances verifies."""
        system = self.family(center)
        assert system.bounds is not None
        seeds = seed_points(here, (np.asarray(system.bounds[0]), np.asarray(system.bounds[1])), _SEEDS)
        task = Task(self.family, center, self.weight.reshape(-1), self.margin)
        ways = []
        for wanted in roles(self.target):
            lists = {role: singles(task, role, seeds) for role, _ in wanted}
            ways.append(combine(wanted, lists)[: self.max_candidates])
        for steps in (self.max_steps, 0):
            found = [self.try_all(task, candidates, steps) for candidates in ways]
            best = min((one for one in found if one is not None), key=lambda one: one.distance, default=None)
            if best is not None:
                return best
        return None

    def try_all(self, task: Task, candidates: list[Candidate], steps: int) -> _Best | None:
        best = None
        for first in range(0, len(candidates), _BATCH):
            batch = candidates[first : first + _BATCH]
            if best is not None and min(c.bound for c in batch) > best.distance:
                break
            # One point alone: in the lanes that its seeds were solved in, which are compiled.
            solved = solve(task, batch, _SEEDS if batch[0].orders.total == 1 else _BATCH, steps)
            for row in _distinct(solved):
                if best is not None and solved.distance[row] >= best.distance:
                    break
                seen = self.look(jnp.asarray(solved.mu[row]))
                if seen.topology == self.target:
                    settled = bool(solved.slope[row] < _STATIONARY)
                    distance, flat = float(solved.distance[row]), solved.flat[row]
                    best = _Best(distance, solved.mu[row], flat, batch[row], seen, settled)
        return best

    def approach(self, best: _Best, mu: Array) -> _Best:
        """Nearer to `mu` along the solutions while the portrait stays right."""
        task = Task(self.family, mu, self.weight.reshape(-1), self.margin)
        size, reach = self.weight.size, 0.3
        best = best._replace(distance=self.distance(best.mu, mu), settled=False)
        for _ in range(4 * self.max_steps):
            flat, length, distance = step_toward(task, best.flat, best.candidate.signs, best.candidate.orders, reach)
            if length < _STATIONARY:
                return best._replace(settled=True)
            if distance < best.distance:
                there = flat[:size].reshape(mu.shape)
                seen = self.look(jnp.asarray(there))
                if seen.topology == self.target:
                    best = best._replace(distance=distance, mu=there, flat=flat, portrait=seen)
                    reach = 2 * reach if length > reach else reach
                    continue
            reach = min(reach, length) / 4
            if reach < _SHORT:
                break
        return best

    def look(self, mu: Array) -> Portrait:
        seen = portrait(self.family(mu), tolerance=self.tolerance)
        self.seen.append(seen.topology)
        return seen

    def distance(self, there: Any, mu: Array) -> float:
        return float(jnp.linalg.norm((self.weight * (jnp.asarray(there) - mu)).reshape(-1)))

    def report(self, seen: Portrait, there: Array, mu: Array, settled: bool, reason: str) -> Realisation:
        mask, order = seen.degenerate.mask, seen.degenerate.order
        held = (order > 1) & (jnp.abs(seen.degenerate.eigenvalue) < 1.001 * self.margin)
        return Realisation(
            mu=there,
            distance=jnp.asarray(self.distance(there, mu)),
            largest_change=jnp.max(jnp.abs(there - mu)),
            degenerate=seen.degenerate,
            residual=jnp.max(jnp.where(mask, seen.degenerate.residual, 0)),
            determinant=jnp.max(jnp.where(mask, jnp.abs(seen.degenerate.determinant), 0)),
            enumeration=seen.enumeration,
            topology=seen.topology,
            target=self.target,
            verified=not reason,
            is_minimum=settled,
            at_margin=bool(jnp.any(mask & held)) and there is not mu,
            num_candidates=len(self.seen),
            reason=reason,
        )

    def failure(self, given: Portrait, mu: Array, reason: str) -> Realisation:
        nan = jnp.asarray(jnp.nan)
        reason = f"{reason}. At the given parameters: {given.remark}" if given.remark else reason
        report = self.report(given, mu, mu, False, reason)
        return eqx.tree_at(lambda r: (r.distance, r.largest_change), report, (nan, nan))


def _distinct(solved: Solved) -> list[int]:
    """Rows that were solved, by distance, each parameter set once."""
    rows: list[int] = []
    for row in np.argsort(solved.distance):
        new = all(np.max(np.abs(solved.mu[row] - solved.mu[other])) > 1e-7 for other in rows)
        if np.isfinite(solved.distance[row]) and new:
            rows.append(int(row))
    return rows
