"""A trajectory after its transient, and whether it closes."""

from typing import Any, NamedTuple

import diffrax as dfx
import jax
import jax.numpy as jnp
import optimistix as optx

from .._types import Array, Bool, Float, Scalar
from ..fixed_points._tolerances import is_double
from ..systems import AbstractFlow, AbstractMap, AbstractSystem
from ..trajectories import integrate
from ._advance import Settings, advance

# A cycle of a map has caught what is nearer than this share of the least distance between its states.
_APART = 1e-2
# Returns of a flow to a section after which an orbit that has not closed is not taken for a cycle.
_MAX_RETURNS = 16


class Path(NamedTuple):
    """States `record (T, S)`; whether the path closes, after what time, M states along one turn, `orbit (M, S)`, and
    how near to each counts as on it, `radius (M,)`."""

    record: Array
    closed: Bool[Array, ""]
    period: Scalar
    orbit: Array
    radius: Array


def stillness(state: Float[Array, " S"]) -> Scalar:
    """How far rounding and the solver move a state that should be the same."""
    return (1e-9 if is_double(state.dtype) else 1e-5) * (1 + jnp.linalg.norm(state))


def path_of_map(system: AbstractSystem, state: Float[Array, " S"], scale: Scalar, settings: Settings) -> Path:
    """The path of a map closes when it is back, to a millionth of its extent, after at most `max_period` steps."""
    assert isinstance(system, AbstractMap)
    length = settings.orbit_length
    half = length * max(2048 // length, 1)

    def step(state: Array, _: None) -> tuple[Array, Array]:
        state = system(state)
        return state, state

    state = advance(system, state, settings.duration, settings)
    record = jax.lax.scan(step, state, None, length=2 * half)[1]
    gap = jnp.linalg.norm(record[1 : settings.max_period + 1] - record[0][None], axis=1)
    back = gap <= (1e-6 if is_double(record.dtype) else 1e-3) * jnp.max(gap) + stillness(record[0])
    period = jnp.argmax(back).astype(jnp.int32) + 1
    before = jnp.arange(1, settings.max_period + 1, dtype=jnp.int32) < period
    radius = _APART * jnp.min(jnp.where(before, gap, jnp.inf))
    orbit = record[jnp.arange(length, dtype=jnp.int32) % period]
    return Path(record, jnp.any(back), period.astype(record.dtype), orbit, jnp.broadcast_to(radius, (length,)))


def path_of_flow(system: AbstractSystem, state: Float[Array, " S"], scale: Scalar, settings: Settings) -> Path:
    """The path of a flow closes when it is back on a section normal to the field, at the same place of it."""
    assert isinstance(system, AbstractFlow)
    length = settings.orbit_length
    base, closed, period = _first_return(system, state, scale, settings)
    pace = jnp.where(closed, period / length, settings.duration / (4 * length))

    def sample(state: Array, _: None) -> tuple[Array, Array]:
        return advance(system, state, pace, settings, sharp=True), state

    record = jax.lax.scan(sample, base, None, length=4 * length)[1]
    orbit = record[:length]
    gap = jnp.linalg.norm(jnp.roll(orbit, -1, axis=0) - orbit, axis=1)
    return Path(record, closed, period, orbit, jnp.maximum(gap, jnp.roll(gap, 1)))


def _first_return(
    flow: AbstractFlow, state: Float[Array, " S"], scale: Scalar, settings: Settings
) -> tuple[Float[Array, " S"], Bool[Array, ""], Scalar]:
    """A state after the transient, whether the path comes back to it, and after what time.

    The transient is turn 0 of one loop, a turn whose section is never met: each solve of a differential equation that
    is written down takes a second to compile.
    """

    def turn(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        number, base, state, time, _ = carry
        field = flow.velocity(base)
        speed = jnp.linalg.norm(field)
        # The start lies on the section, or within rounding of it: the watch begins a little later.
        aside = jnp.where(number == 0, jnp.inf, 1e-6 * scale / speed)

        def height(t: Any, y: Array, args: Any, **_: Any) -> Array:
            return jnp.where(t < aside, scale, (y - base) @ field / speed)

        event = dfx.Event(height, optx.Newton(rtol=1e-12, atol=1e-12), direction=True)
        solution = integrate(
            flow, state, settings.duration, event=event, adjoint=dfx.ForwardMode(), max_steps=2**20, throw=False
        )
        assert solution.ys is not None
        assert solution.ts is not None
        new, took = solution.ys[-1], solution.ts[-1]
        gap = jnp.where(took < settings.duration, jnp.linalg.norm(new - base), -1.0)
        first = number == 0
        gap = jnp.where(first, jnp.inf, gap)
        return number + 1, jnp.where(first, new, base), new, jnp.where(first, 0.0, time + took), gap

    def unfinished(carry: tuple[Array, ...]) -> Array:
        number, base, _, _, gap = carry
        moving = jnp.linalg.norm(flow.velocity(base)) * settings.duration > stillness(base)
        return (number == 0) | (moving & (number <= _MAX_RETURNS) & (gap > 1000 * stillness(base)))

    zero = jnp.zeros((), state.dtype)
    start = jnp.zeros((), jnp.int32), state, state, zero, zero + jnp.inf
    _, base, _, period, gap = jax.lax.while_loop(unfinished, turn, start)
    closed = (gap >= 0) & (gap <= 1000 * stillness(base))
    return base, closed, jnp.where(closed, period, jnp.inf)
