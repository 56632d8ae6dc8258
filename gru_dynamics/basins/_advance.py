"""Run a system for a while, whether map or flow."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float
from ..systems import AbstractFlow, AbstractMap, AbstractSystem
from ..trajectories import integrate


class Settings(eqx.Module):
    """How trajectories are followed, all static. Times are steps of a map, units of time of a flow."""

    interval: float = eqx.field(static=True)
    duration: float = eqx.field(static=True)
    escape: float = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    max_period: int = eqx.field(static=True)
    orbit_length: int = eqx.field(static=True)

    @property
    def looks(self) -> int:
        """How often a trajectory is looked at."""
        return max(1, round(self.duration / self.interval))


@eqx.filter_jit
def advance(
    system: AbstractSystem, state: Float[Array, " S"], duration: Any, settings: Settings, *, sharp: bool = False
) -> Float[Array, " S"]:
    """The state after `duration`; for a flow that leaves for infinity, where it crossed `escape`."""
    if isinstance(system, AbstractMap):
        steps = duration if isinstance(duration, Array) else int(duration)
        return jax.lax.fori_loop(0, steps, lambda _, s: system(s), state)
    assert isinstance(system, AbstractFlow)
    relative = settings.tolerance * (1e-3 if sharp else 1.0)
    solution = integrate(
        system,
        state,
        duration,
        stepsize_controller=dfx.PIDController(rtol=relative, atol=1e-2 * relative),
        adjoint=dfx.ForwardMode(),
        event=dfx.Event(lambda t, y, args, **_: has_escaped(y, settings)),
        max_steps=2**20,
        throw=False,
    )
    assert solution.ys is not None
    return solution.ys[-1]


def has_escaped(state: Float[Array, " S"], settings: Settings) -> Bool[Array, ""]:
    """Whether a state is beyond `escape` or not a number."""
    return ~(jnp.max(jnp.abs(state)) <= settings.escape)


def probes(system: AbstractSystem, state: Float[Array, " S"], settings: Settings) -> Float[Array, "L S"]:
    """A few states of the trajectory from here on, to compare with attractors."""
    apart = 1 if isinstance(system, AbstractMap) else settings.interval / 4

    def body(state: Array, _: None) -> tuple[Array, Array]:
        state = advance(system, state, apart, settings)
        return state, state

    return jax.lax.scan(body, state, None, length=8)[1]
