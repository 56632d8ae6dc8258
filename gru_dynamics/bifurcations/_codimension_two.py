"""What can happen on a curve of bifurcations: test functions that change sign at points of codimension two."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Complex, Float, Scalar
from ..continuation import AbstractEvent, SpecialKind
from ..continuation._singular import Singular
from ..linalg import eigenvalues
from ..systems import AbstractMap, AbstractSystem
from ._defining import second_derivative
from ._events import Fold, Hopf, NeimarkSacker, PeriodDoubling
from ._normal_forms import (
    bogdanov_takens_test,
    double_test,
    first_lyapunov_coefficient,
    flip_coefficient,
    neimark_sacker_coefficient,
)


class Place(NamedTuple):
    """A point of a curve of bifurcations: the system there, its resting state `x (R,)` and `state (S,)`, the `extra`
    unknowns `(e,)`, the null vectors `at` (oriented as on the last row), and the eigenvalues that are not critical,
    `others (S,)` with nan in the place of those that are."""

    system: AbstractSystem
    x: Float[Array, " R"]
    state: Float[Array, " S"]
    extra: Float[Array, " e"]
    at: Singular
    others: Complex[Array, " S"]


Test = Callable[[Place], Scalar]


def tests(event: AbstractEvent, is_map: bool) -> tuple[tuple[SpecialKind, Test], ...]:
    """Kinds and test functions for the curves of an event."""
    K = SpecialKind
    if isinstance(event, Fold) and is_map:
        return (
            (K.CUSP, _cusp), (K.RESONANCE_1_1, _double_null), (K.FOLD_FLIP, _real_at_minus_one),
            (K.FOLD_NEIMARK_SACKER, _pair),
        )  # fmt: skip
    if isinstance(event, Fold):
        return (K.CUSP, _cusp), (K.BOGDANOV_TAKENS, _double_null), (K.ZERO_HOPF, _pair)
    if isinstance(event, Hopf):
        return (
            (K.GENERALISED_HOPF, _lyapunov), (K.BOGDANOV_TAKENS, _angle), (K.ZERO_HOPF, _real_at_boundary),
            (K.HOPF_HOPF, _pair),
        )  # fmt: skip
    if isinstance(event, PeriodDoubling):
        return (
            (K.DEGENERATE_FLIP, _flip), (K.FOLD_FLIP, _real_at_boundary), (K.RESONANCE_1_2, _double_flip),
            (K.FLIP_NEIMARK_SACKER, _pair),
        )  # fmt: skip
    if isinstance(event, NeimarkSacker):
        return (
            (K.RESONANCE_1_1, _angle), (K.RESONANCE_1_2, _half_turn), (K.RESONANCE_1_3, _third_turn),
            (K.RESONANCE_1_4, _quarter_turn), (K.DEGENERATE_NEIMARK_SACKER, _circle),
            (K.FOLD_NEIMARK_SACKER, _real_at_boundary), (K.FLIP_NEIMARK_SACKER, _real_at_minus_one),
            (K.DOUBLE_NEIMARK_SACKER, _pair),
        )  # fmt: skip
    raise ValueError(
        f"curves of {type(event).__name__} are not followed in two parameters: a branch point is not generic there; "
        "use Fold, Hopf, PeriodDoubling or NeimarkSacker"
    )


def others(event: AbstractEvent, system: AbstractSystem, state: Float[Array, " S"], extra: Array) -> Array:
    """Eigenvalues `(S,)`, with nan for the critical ones."""
    values = eigenvalues(system.jacobian(state))
    real = jnp.zeros((), state.dtype)
    if isinstance(event, Hopf):
        critical = [jnp.stack([real, extra[0]]), jnp.stack([real, -extra[0]])]
    elif isinstance(event, NeimarkSacker):
        critical = [jnp.stack([jnp.cos(extra[0]), sign * jnp.sin(extra[0])]) for sign in (1, -1)]
    elif isinstance(event, PeriodDoubling):
        critical = [jnp.stack([real - 1, real])]
    else:
        critical = [jnp.stack([real + 1 if isinstance(system, AbstractMap) else real, real])]
    for part in critical:
        distance = jnp.abs(values - jax.lax.complex(part[0], part[1]))
        nearest = jnp.argmin(jnp.where(jnp.isnan(distance), jnp.inf, distance))
        values = values.at[nearest].set(jnp.nan)
    return values


def _cusp(place: Place) -> Scalar:
    w, v = (z / jnp.linalg.norm(z) for z in (place.at.w, place.at.v))
    return jnp.dot(w, second_derivative(place.system, place.x, v)) / 2


def _double_null(place: Place) -> Scalar:
    return bogdanov_takens_test(place.system, place.state)


def _double_flip(place: Place) -> Scalar:
    J = place.system.jacobian(place.state)
    return double_test(J + jnp.eye(J.shape[0], dtype=J.dtype))


def _lyapunov(place: Place) -> Scalar:
    # omega l1 = Re c1 does not change sign with omega.
    return place.extra[0] * first_lyapunov_coefficient(place.system, place.state, place.extra[0])


def _flip(place: Place) -> Scalar:
    return flip_coefficient(place.system, place.state)


def _circle(place: Place) -> Scalar:
    return neimark_sacker_coefficient(place.system, place.state, place.extra[0])


def _angle(place: Place) -> Scalar:
    return place.extra[0]


def _half_turn(place: Place) -> Scalar:
    return place.extra[0] - jnp.pi


def _third_turn(place: Place) -> Scalar:
    return place.extra[0] - 2 * jnp.pi / 3


def _quarter_turn(place: Place) -> Scalar:
    return place.extra[0] - jnp.pi / 2


def _crossings(distance: Float[Array, " S"], wanted: Bool[Array, " S"]) -> Scalar:
    """The distance from the boundary of the nearest of the wanted, with a sign that changes when one crosses."""
    wanted = wanted & ~jnp.isnan(distance)
    nearest = jnp.min(jnp.where(wanted, jnp.abs(distance), jnp.inf))
    beyond = jnp.sum(wanted & (distance > 0), dtype=jnp.int32)
    return jnp.where(jnp.isfinite(nearest), nearest, 1) * (1 - 2 * (beyond % 2)).astype(distance.dtype)


def _real_at_boundary(place: Place) -> Scalar:
    values = place.others
    edge = 1 if isinstance(place.system, AbstractMap) else 0
    return _crossings(values.real - edge, values.imag == 0)


def _real_at_minus_one(place: Place) -> Scalar:
    return _crossings(-1 - place.others.real, place.others.imag == 0)


def _pair(place: Place) -> Scalar:
    values = place.others
    growth = jnp.abs(values) - 1 if isinstance(place.system, AbstractMap) else values.real
    return _crossings(growth, values.imag > 0)
