"""One bifurcation point, from a start near it, with derivatives."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayLike, Float, Int, Scalar
from ..continuation import AbstractEvent
from ..continuation._arc import near_zero
from ..fixed_points._precision import highest_precision
from ..linalg import eigenvalues
from ..linalg._implicit import attach_root, freeze
from ..systems import AbstractFamily, AbstractMap

_STEPS = 30
_BORDER_ROUNDS = 2


class Located(eqx.Module):
    """A bifurcation point; everything but the codes is differentiable in every leaf of the family.

    **Fields:** `kind ()`, a `SpecialKind`; `mu ()`; `state (S,)`; `omega ()`, the angular frequency (Hopf, radians per
    unit of time) or angle (Neimark-Sacker, radians per step), else 0; `coefficient ()` of the normal form;
    `residual ()`, largest residual of the defining equations; `result`, a `RESULTS` item.

    **Source:** Kuznetsov (2004), section 10.2.
    """

    kind: Int[Array, ""]
    mu: Scalar
    state: Float[Array, " S"]
    omega: Scalar
    coefficient: Scalar
    residual: Scalar
    result: RESULTS

    @property
    def first_lyapunov(self) -> Scalar:
        """The coefficient, by its name at a Hopf point, shape `()`."""
        return self.coefficient


def locate(
    family: AbstractFamily,
    event: AbstractEvent,
    *,
    state: Float[Array, " S"],
    mu: ArrayLike,
    omega: ArrayLike | None = None,
    throw: bool = True,
) -> Located:
    """The bifurcation near a state and parameter, by Newton's method on its minimally augmented equations `G(u) = 0`,
    with derivatives by the implicit function theorem:

        d u / d theta = -(d G / d u)^-1 d G / d theta

    **Arguments:** `family`, with one scalar parameter; `event`, for example `Hopf()`; `state (S,)` and `mu ()`, near
    the point, such as a special point of a branch; `omega ()`, for a Hopf or Neimark-Sacker point its frequency or
    angle, by default from the eigenvalue that is nearest to the stability boundary; `throw`, whether to raise on
    failure.

    **Returns:** a `Located`.

    **Raises:** `ValueError` for a state that is not a vector or an event that the system cannot have; `RuntimeError`
    when Newton's method does not converge and `throw` (not inside `jax.jit`).

    **Source:** Govaerts (2000), chapter 4; Kuznetsov (2004), section 10.2.
    """
    if state.ndim != 1:
        raise ValueError(f"locate: state must be one vector, got shape {state.shape}; use jax.vmap for batches.")
    mu = jnp.asarray(mu, state.dtype)
    event.check(family(mu))
    located = _locate(family, event, state, mu, None if omega is None else jnp.asarray(omega, state.dtype))
    if throw:
        raise_failure("locate", located.result)
    return located


@eqx.filter_jit
@highest_precision
def _locate(
    family: AbstractFamily, event: AbstractEvent, state: Float[Array, " S"], mu: Scalar, omega: Scalar | None
) -> Located:
    frozen = freeze(family)
    state, mu = jax.lax.stop_gradient((state, mu))
    system = frozen(mu)
    extra = first_extra(system, event, state) if omega is None else jax.lax.stop_gradient(omega)[None]
    guess = jnp.concatenate([system.rest(state), extra[: event.num_extra], mu[None]])
    u, borders, residual, length = _newton(frozen, event, guess)
    place = u.size - event.num_extra - 1
    extra, admissible = event.canonical(u[place:-1])
    u = jnp.concatenate([u[:place], extra, u[-1:]])
    converged = (length <= 10 * near_zero(u.dtype)) & admissible
    borders = freeze(borders)
    u = attach_root(lambda v: event.equations(family, v, borders, 1), u, converged)
    states = u.size - event.num_extra - 1
    extra, mu = u[states:-1], u[-1]
    point = family(mu).lift(u[:states])
    kind, coefficient = event.normal_form(family, point, mu, extra)
    result = RESULTS.where(converged, RESULTS.successful, RESULTS.not_located)
    frequency = extra[0] if event.has_frequency else jnp.zeros_like(mu)
    return Located(kind, mu, point, frequency, coefficient, residual, result)


def first_extra(system: Any, event: AbstractEvent, state: Float[Array, " S"]) -> Float[Array, " e"]:
    values = eigenvalues(system.jacobian(state))
    distance = jnp.abs(jnp.abs(values) - 1) if isinstance(system, AbstractMap) else jnp.abs(values.real)
    distance = jnp.where((values.imag > 0) | ~jnp.any(values.imag > 0), distance, jnp.inf)
    return event.guess(values[jnp.argmin(distance)])


def _newton(
    family: AbstractFamily, event: AbstractEvent, guess: Float[Array, " u"]
) -> tuple[Float[Array, " u"], Any, Scalar, Scalar]:
    """Point, borders, residual there, and length of the last step."""

    def body(carry: tuple) -> tuple:
        u, borders, _, length, number, _ = carry
        G, DG, new = event.linearise(family, u, borders, 1)
        delta = jnp.linalg.solve(DG, -G)
        ready = number >= _BORDER_ROUNDS
        step = jnp.max(jnp.abs(delta)) / (1 + jnp.max(jnp.abs(u)))
        # Steps stop to shrink at rounding level; an ill-conditioned point has its own.
        done = ready & ((step <= 1e-14) | ((step <= 0.1 * near_zero(u.dtype)) & (step >= 0.5 * length)))
        moved = jnp.where(ready & ~done, u + delta, u)
        return moved, new, jnp.max(jnp.abs(G)), jnp.where(ready, step, length), number + 1, done

    def unfinished(carry: tuple) -> Array:
        return ~carry[5] & (carry[4] < _STEPS)

    infinite = jnp.full((), jnp.inf, guess.dtype)
    start = (
        guess,
        event.any_borders(family, guess, 1),
        infinite,
        infinite,
        jnp.zeros((), jnp.int32),
        jnp.zeros((), bool),
    )
    u, borders, residual, length, _, _ = jax.lax.while_loop(unfinished, body, start)
    return u, borders, residual, length
