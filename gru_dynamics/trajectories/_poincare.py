"""Returns of a trajectory to a hyperplane."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx

from .._types import Array, ArrayLike, Bool, Float, Scalar
from ..linalg._implicit import freeze
from ..systems import AbstractFlow, FunctionFlow
from ._integrate import integrate


class Crossings(eqx.Module):
    """Successive crossings of a section, padded to N rows.

    **Fields:** `state (N, S)`, on the section; `time (N,)`, since the start; `mask (N,)`, whether the crossing was
    found within the time and steps that were allowed.

    **Source:** Kuznetsov (2004), section 1.5.
    """

    state: Float[Array, "*batch N S"]
    time: Float[Array, "*batch N"]
    mask: Bool[Array, "*batch N"]


class PoincareSection(eqx.Module):
    """The hyperplane `<normal, s> = offset`, crossed in one direction.

    **Fields:** `normal (S,)`; `offset ()`; `direction`, +1 for crossings where `<normal, s>` grows, -1 where it falls.

    **Raises:** `ValueError` when `normal` is not a vector or the direction neither +1 nor -1.

    **Source:** Kuznetsov (2004), section 1.5.2; Hénon (1982).
    """

    normal: Float[Array, " S"]
    offset: Scalar
    direction: int = eqx.field(static=True)

    def __init__(self, normal: ArrayLike, offset: ArrayLike = 0.0, direction: int = 1):
        self.normal = jnp.asarray(normal)
        self.offset = jnp.asarray(offset, self.normal.dtype)
        self.direction = direction
        if self.normal.ndim != 1 or self.offset.ndim != 0:
            raise ValueError(
                f"PoincareSection: expected normal (S,) and offset (), got {self.normal.shape}, {self.offset.shape}"
            )
        if direction not in (1, -1):
            raise ValueError(f"PoincareSection: direction must be +1 or -1, got {direction}")

    def height(self, state: Float[Array, " S"]) -> Scalar:
        """`<normal, s> - offset`, shape `()`."""
        return jnp.sum(self.normal * state) - self.offset

    def crossings(
        self,
        flow: AbstractFlow,
        state: Float[Array, " S"],
        *,
        num: int = 1,
        longest: ArrayLike = 1e3,
        rtol: float | None = None,
        atol: float | None = None,
        max_steps: int = 16**4,
    ) -> Crossings:
        """The next `num` crossings of the trajectory from `state`. A start on the section does not count.

            T(s) = min {t > 0: <normal, phi_t(s)> = offset, in the direction},     P(s) = phi_T(s)(s)

        `T` and `P` have the first derivatives of the implicit function theorem in the state, the section and everything
        the flow depends on: `dT = -<normal, d phi_T> / <normal, f>`.

        **Arguments:** `flow`; `state`, shape `(S,)`; `num`, N; `longest`, the largest time between two crossings;
        `rtol`, `atol`, of the solver (Dormand & Prince, order 8), by default 1e-11 and 1e-13 (float32: 1e-5, 1e-7);
        `max_steps` of the solver between two crossings.

        **Returns:** `Crossings` with N rows; after one that was not found all are masked.

        **Raises:** `ValueError` when `state` does not have the shape of the normal.

        **Source:** Kuznetsov (2004), section 1.5.2.
        """
        if state.shape != self.normal.shape:
            raise ValueError(f"PoincareSection: state {state.shape} does not match the normal {self.normal.shape}")
        return _crossings(self, flow, state, num, jnp.asarray(longest, state.dtype), rtol, atol, max_steps)

    def return_map(
        self, flow: AbstractFlow, state: Float[Array, " S"], **options: Any
    ) -> tuple[Float[Array, " S"], Scalar]:
        """First return `P(s)` and its time `T(s)`, see `crossings`; nan when there is none.

        **Arguments:** `flow`; `state`, shape `(S,)`; `options` of `crossings`.

        **Returns:** state `(S,)` and time `()`.

        **Source:** Kuznetsov (2004), section 1.5.2.
        """
        first = self.crossings(flow, state, num=1, **options)
        nothing = jnp.full_like(first.time[0], jnp.nan)
        return jnp.where(first.mask[0], first.state[0], nothing), jnp.where(first.mask[0], first.time[0], nothing)


@eqx.filter_jit
def _crossings(
    section: PoincareSection,
    flow: AbstractFlow,
    state: Float[Array, " S"],
    num: int,
    longest: Scalar,
    rtol: float | None,
    atol: float | None,
    max_steps: int,
) -> Crossings:
    double = state.dtype == jnp.float64
    rtol = (1e-11 if double else 1e-5) if rtol is None else rtol
    atol = (1e-13 if double else 1e-7) if atol is None else atol
    options: dict[str, Any] = {
        "solver": dfx.Dopri8(),
        "stepsize_controller": dfx.PIDController(rtol=rtol, atol=atol),
        "max_steps": max_steps,
        "throw": False,
    }
    frozen = freeze((flow, section))

    def next_crossing(carry: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        start, before, alive = carry
        found = integrate(
            _FIELD, freeze(start), longest, args=frozen, event=_EVENTS[section.direction],
            adjoint=dfx.ForwardMode(), **options,
        )  # fmt: skip
        assert found.ts is not None
        # The event is located on the interpolation of one step; beside the solution itself it is a good guess.
        took = jax.lax.stop_gradient(jnp.where(jnp.isfinite(found.ts[-1]), found.ts[-1], longest))
        near = integrate(flow, start, took, adjoint=dfx.DirectAdjoint(), **options).ys
        assert near is not None
        velocity = flow(took, near[-1])
        # One Newton step: exact to the square of that error, and its derivative is the implicit one.
        late = section.height(near[-1]) / jnp.sum(section.normal * velocity)
        state, time = near[-1] - late * velocity, took - late
        alive = alive & (took < longest) & (jnp.abs(late) < 1e-3 * longest) & jnp.all(jnp.isfinite(state))
        carry = state, before + time, alive
        return carry, carry

    first = state, jnp.zeros((), state.dtype), jnp.ones((), bool)
    return Crossings(*jax.lax.scan(next_crossing, first, None, length=num)[1])


def section_through(flow: AbstractFlow, state: Float[Array, " S"]) -> PoincareSection:
    """The section through a state at right angles to the flow: `<f, s - state> = 0`, crossed in the direction of `f`.

    **Arguments:** `flow`; `state`, shape `(S,)`, where the vector field `f` does not vanish.

    **Returns:** a `PoincareSection` with a unit normal.

    **Source:** Kuznetsov (2004), section 1.5.2.
    """
    velocity = flow(jnp.zeros((), state.dtype), state)
    normal = velocity / jnp.linalg.norm(velocity)
    return PoincareSection(normal, jnp.sum(normal * state))


def _field(t: Any, state: Array, args: tuple[AbstractFlow, PoincareSection]) -> Array:
    return args[0](t, state)


def _height(t: Any, y: Array, args: tuple[AbstractFlow, PoincareSection], **kwargs: Any) -> Scalar:
    """Height above the section. At the start it is past the section whatever the rounding, so that a trajectory that
    starts there is not found to cross at once."""
    section = args[1]
    past = jnp.asarray(section.direction, y.dtype)
    return jnp.where(jnp.asarray(t) <= 0, past, section.height(y))


_FIELD = FunctionFlow(_field)
# Bisection stays in the step in which the sign changes; Newton's method may leave it.
_EVENTS = {
    1: dfx.Event(_height, optx.Bisection(1e-9, 1e-9, flip=False), direction=True),
    -1: dfx.Event(_height, optx.Bisection(1e-9, 1e-9, flip=True), direction=False),
}
