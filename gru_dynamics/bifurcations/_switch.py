"""Where branches cross: from one to the other."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayLike, Bool, Float, Scalar
from ..continuation import Dense, FixedPointCurve
from ..fixed_points._precision import highest_precision
from ..linalg._implicit import freeze
from ..systems import AbstractFamily, Iterate
from ._normal_forms import null_vectors

_NEWTON_STEPS = 12
_TRIES = 6
# A special point is known to rounding, its singular values with it; one found by bisection to less.
_SINGULAR = 1e-6


class IterateFamily(AbstractFamily):
    """The iterates of a family of maps, `mu -> Iterate(family(mu), times)`: its fixed points are periodic points.

    **Fields:** `family`, of maps; `times`, the period.

    **Shapes:** `mu` as of the family; states `(S,)`.

    **Source:** Kuznetsov (2004), section 1.2.2.
    """

    family: AbstractFamily
    times: int = eqx.field(static=True)

    @property
    def mu(self) -> Array:
        return self.family.mu

    def __call__(self, mu: Any) -> Iterate:
        return Iterate(self.family(mu), self.times)  # pyright: ignore[reportArgumentType]


class BranchStart(eqx.Module):
    """A fixed point next to a branch point, on the branch to be followed:

        continue_fixed_points(family, start.state, start.mu, tangent=start.tangent, ...)

    **Fields:** `state (S,)`; `mu ()`; `tangent (R + 1,)`, direction `(dx, dmu)` of the branch, away from the branch
    point, of unit length; `result`, a `RESULTS` item.

    **Source:** Allgower & Georg (2003), chapter 8.
    """

    state: Float[Array, " S"]
    mu: Scalar
    tangent: Float[Array, " u"]
    result: RESULTS


def branch_tangents(family: AbstractFamily, state: Float[Array, " S"], mu: ArrayLike) -> Float[Array, "2 u"]:
    """Directions of the two branches that cross at a branch point, from the algebraic bifurcation equation

        sum_ij a_i a_j w^T F_uu [v_i, v_j] = 0,    tangent = a_1 v_1 + a_2 v_2

    with the null vectors `v_1, v_2` of `[F_x, F_mu]`, `w` that of its transpose, and `u = (x, mu)`.

    **Arguments:** `family`, with one scalar parameter; `state (S,)` and `mu ()`, the branch point.

    **Returns:** two unit vectors `(2, R + 1)`, that with the larger parameter component first; nan where no two
    branches cross: at regular points, at isolated points, and where more than one eigenvalue vanishes.

    **Source:** Allgower & Georg (2003), section 8.3; Kuznetsov (2004), section 10.4.
    """
    return _tangents(freeze(family), jax.lax.stop_gradient(state), jnp.asarray(mu, state.dtype))


def switch_branch(
    family: AbstractFamily,
    state: Float[Array, " S"],
    mu: ArrayLike,
    *,
    along: Float[Array, " u"] | None = None,
    distance: float = 0.01,
    throw: bool = True,
) -> BranchStart:
    """The start of the other branch at a branch point, transcritical or pitchfork.

    **Arguments:** `family`, with one scalar parameter; `state (S,)` and `mu ()`, the branch point, such as a special
    point of a branch; `along (R + 1,)`, the direction in which one came, such as a row of `Branch.tangent`, by default
    that of the two which moves the parameter more; `distance`, how far from the branch point to start, in units of
    `1 + |(x, mu)|`, less where the branch bends sharply; `throw`, whether to raise on failure.

    **Returns:** a `BranchStart`. The other half of the branch is followed too, through the branch point.

    **Raises:** `ValueError` for a state that is not a vector; `RuntimeError` when no other branch was found and `throw`
    (not inside `jax.jit`).

    **Source:** Allgower & Georg (2003), section 8.3; Keller (1977).
    """
    _check(state, "switch_branch")
    start = _switch(freeze(family), jax.lax.stop_gradient(state), jnp.asarray(mu, state.dtype), along, distance)
    if throw:
        raise_failure("switch_branch", start.result)
    return start


def switch_period_doubling(
    family: AbstractFamily, state: Float[Array, " S"], mu: ArrayLike, *, distance: float = 0.01, throw: bool = True
) -> BranchStart:
    """The start of the branch of 2-cycles at a period doubling of a map; follow it with `IterateFamily(family, 2)`.

        tangent = (q, 0),    (J + I) q = 0

    **Arguments:** `family` of maps, with one scalar parameter; `state (S,)` and `mu ()`, the period doubling;
    `distance` and `throw` as in `switch_branch`.

    **Returns:** a `BranchStart` with `tangent (S + 1,)`; `state` is one of the two points of the cycle.

    **Raises:** as `switch_branch`.

    **Source:** Kuznetsov (2004), sections 4.5 and 10.4.
    """
    _check(state, "switch_period_doubling")
    start = _doubled(freeze(family), jax.lax.stop_gradient(state), jnp.asarray(mu, state.dtype), distance)
    if throw:
        raise_failure("switch_period_doubling", start.result)
    return start


def _check(state: Array, name: str) -> None:
    if state.ndim != 1:
        raise ValueError(f"{name}: state must be one vector, got shape {state.shape}; use jax.vmap for batches.")


@eqx.filter_jit
@highest_precision
def _tangents(family: AbstractFamily, state: Float[Array, " S"], mu: Scalar) -> Float[Array, "2 u"]:
    curve = FixedPointCurve(family)
    u = jnp.append(family(mu).rest(state), mu)
    left, sizes, right = jnp.linalg.svd(curve.linearise(u, ())[1])
    w, V = left[:, -1], right[-2:]

    def second(a: Array, b: Array) -> Array:
        def first(u: Array) -> Array:
            return jax.jvp(lambda x: curve.value(x, ()), (u,), (a,))[1]

        return jnp.dot(w, jax.jvp(first, (u,), (b,))[1])

    form = jax.vmap(lambda a: jax.vmap(lambda b: second(a, b))(V))(V)
    values, axes = jnp.linalg.eigh((form + form.T) / 2)
    # In the axes of the form: values[0] a^2 + values[1] b^2 = 0.
    slopes = jnp.sqrt(jnp.abs(values))
    pair = jnp.stack([jnp.stack([slopes[1], slopes[0]]), jnp.stack([slopes[1], -slopes[0]])])
    tangents = pair @ axes.T @ V
    tangents = tangents / jnp.linalg.norm(tangents, axis=1, keepdims=True)
    tangents = tangents[jnp.argsort(-jnp.abs(tangents[:, -1]))]
    largest = jnp.maximum(jnp.max(sizes), 1)
    simple = (sizes[-1] <= _SINGULAR * largest) & jnp.all(sizes[:-1] > _SINGULAR * largest)
    crossing = (values[0] < 0) & (values[1] > 0) & (-values[0] * values[1] > 1e-12 * jnp.max(values**2))
    return jnp.where(simple & crossing, tangents, jnp.nan)


@eqx.filter_jit
@highest_precision
def _switch(
    family: AbstractFamily, state: Float[Array, " S"], mu: Scalar, along: Array | None, distance: ArrayLike
) -> BranchStart:
    tangents = _tangents(family, state, mu)
    known = tangents[0] if along is None else along
    other = tangents[jnp.argmin(jnp.abs(tangents @ known))]
    return _leave(family, jnp.append(family(mu).rest(state), mu), other, distance)


@eqx.filter_jit
@highest_precision
def _doubled(family: AbstractFamily, state: Float[Array, " S"], mu: Scalar, distance: ArrayLike) -> BranchStart:
    J = family(mu).jacobian(state)
    q, _ = null_vectors(J + jnp.eye(state.size, dtype=J.dtype))
    flips = jnp.linalg.norm(J @ q + q) <= _SINGULAR * (1 + jnp.linalg.norm(J))
    tangent = jnp.where(flips, jnp.append(q, jnp.zeros_like(mu)), jnp.nan)
    return _leave(IterateFamily(family, 2), jnp.append(state, mu), tangent, distance)


def _leave(
    family: AbstractFamily, point: Float[Array, " u"], tangent: Float[Array, " u"], distance: ArrayLike
) -> BranchStart:
    """The point of the branch in the plane across `tangent` at a distance from `point`; nearer if there is none."""
    curve, solver = FixedPointCurve(family), Dense()
    farthest = jnp.asarray(distance, point.dtype) * (1 + jnp.linalg.norm(point))

    def attempt(carry: tuple) -> tuple:
        *_, number = carry
        reach = farthest / 4.0 ** number.astype(point.dtype)
        target = point + reach * tangent

        def correct(state: tuple) -> tuple:
            u, _, _, steps = state
            step = solver.correct(curve, u, (), tangent, jnp.dot(tangent, target - u))
            length = jnp.max(jnp.abs(step.delta)) / (1 + jnp.max(jnp.abs(u)))
            return u + step.delta, step.tangent, length, steps + 1

        def unfinished(state: tuple) -> Array:
            return (state[2] > 1e-13) & (state[3] < _NEWTON_STEPS)

        start = target, tangent, jnp.full_like(reach, jnp.inf), jnp.zeros((), jnp.int32)
        u, direction, length, _ = jax.lax.while_loop(unfinished, correct, start)
        # Another branch crosses the plane no nearer than this.
        found = (length <= 1e-9) & (jnp.linalg.norm(u - target) <= 0.3 * reach)
        return u, direction / jnp.linalg.norm(direction), found, number + 1

    def searching(carry: tuple) -> Bool[Array, ""]:
        return ~carry[2] & (carry[3] < _TRIES)

    start = point, tangent, jnp.zeros((), bool), jnp.zeros((), jnp.int32)
    u, direction, found, _ = jax.lax.while_loop(searching, attempt, start)
    result = RESULTS.where(found, RESULTS.successful, RESULTS.no_other_branch)
    return BranchStart(family(u[-1]).lift(u[:-1]), u[-1], direction, result)
