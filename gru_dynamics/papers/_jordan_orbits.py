"""Trajectories of planar flows: forward, backward, and once around a limit cycle."""

from typing import Any, NamedTuple

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx

from .._types import Array, Float, Scalar
from ..systems import AbstractFlow, CellFlow, FunctionFlow
from ..trajectories import integrate

_LANES = 16
_SHARP = dfx.PIDController(rtol=1e-12, atol=1e-14)


class Cycle(NamedTuple):
    """A limit cycle: `period`; `crossing (2,)`, where h2 = 0 upward; `largest`, the maximum of h1 along it; `change`,
    how far the crossing moved in the last turn; `states (T, 2)` of one turn."""

    period: float
    crossing: np.ndarray
    largest: float
    change: float
    times: np.ndarray
    states: np.ndarray


def backward(flow: CellFlow) -> FunctionFlow:
    """The same flow with time reversed."""
    return FunctionFlow(_reversed, flow)


def _reversed(t: Any, state: Array, flow: CellFlow) -> Array:
    return -flow(t, state)


@eqx.filter_jit
def _paths(flow: AbstractFlow, starts: Float[Array, "N 2"], times: Float[Array, " T"]) -> Float[Array, "N T 2"]:
    def path(start: Float[Array, " 2"]) -> Float[Array, "T 2"]:
        solution = integrate(
            flow,
            start,
            times[-1],
            saveat=dfx.SaveAt(ts=times),
            stepsize_controller=dfx.PIDController(rtol=1e-7, atol=1e-9),
            adjoint=dfx.ForwardMode(),
            event=dfx.Event(_outside),
            max_steps=20_000,
            throw=False,
        )
        assert solution.ys is not None
        return solution.ys

    return jax.vmap(path)(starts)


def _outside(t: Any, y: Array, args: Any, **kwargs: Any) -> Array:
    """Backward trajectories leave the box for infinity in finite time."""
    return jnp.max(jnp.abs(y)) > 1.6


def paths(flow: AbstractFlow, starts: np.ndarray, duration: float) -> list[np.ndarray]:
    """Trajectories `(T, 2)` from each start at the times `sample(duration)`, cut where they leave the picture."""
    # Batches of one size share a compiled solve.
    padded = np.concatenate([starts, np.repeat(starts[-1:], -len(starts) % _LANES, axis=0)])
    batches = [
        _paths(flow, jnp.asarray(part), jnp.asarray(sample(duration)))
        for part in np.split(padded, len(padded) // _LANES)
    ]
    states = np.concatenate([np.asarray(batch) for batch in batches])[: len(starts)]
    return [path[np.isfinite(path).all(axis=1)] for path in states]


def sample(duration: float) -> np.ndarray:
    """Times `(T,)`, fine steps first: most of what there is to see happens early."""
    return duration * np.linspace(0, 1, 1500) ** 2


def ends(flow: AbstractFlow, starts: np.ndarray, duration: float) -> np.ndarray:
    """Where trajectories are after a time, or where they left the picture before it, `(N, 2)`."""
    states = np.asarray(_paths(flow, jnp.asarray(starts), jnp.asarray([0.0, duration])))
    return np.where(np.isfinite(states[:, 1]), states[:, 1], 2.0)


def limit_cycle(flow: CellFlow, start: np.ndarray, settle: float, longest: float, turns: int = 4) -> Cycle:
    """The attracting cycle that a trajectory from `start` ends on, by returns to the line h2 = 0."""
    state = _run(flow, jnp.asarray(start, float), settle)
    crossing, _ = _return(flow, state, longest)
    period, change = 0.0, np.inf
    for _ in range(turns):
        previous = crossing
        crossing, took = _return(flow, previous, longest)
        period, change = float(took), float(jnp.max(jnp.abs(crossing - previous)))
    times = np.linspace(0.0, period, 20_001)
    states = np.asarray(_along(flow, crossing, jnp.asarray(times)))
    return Cycle(period, np.asarray(crossing), _peak(states[:, 0]), change, times, states)


@eqx.filter_jit
def _run(flow: CellFlow, state: Float[Array, " 2"], duration: float) -> Float[Array, " 2"]:
    ys = integrate(flow, state, duration, adjoint=dfx.ForwardMode()).ys
    assert ys is not None
    return ys[-1]


@eqx.filter_jit
def _along(flow: CellFlow, state: Float[Array, " 2"], times: Float[Array, " T"]) -> Float[Array, "T 2"]:
    solution = integrate(
        flow,
        state,
        times[-1],
        saveat=dfx.SaveAt(ts=times),
        stepsize_controller=_SHARP,
        adjoint=dfx.ForwardMode(),
        max_steps=100_000,
    )
    assert solution.ys is not None
    return solution.ys


@eqx.filter_jit
def _return(flow: CellFlow, state: Float[Array, " 2"], longest: float) -> tuple[Float[Array, " 2"], Scalar]:
    """State and time at the next upward crossing of h2 = 0."""
    aside = jnp.asarray(0.05, state.dtype)
    options: dict[str, Any] = {"stepsize_controller": _SHARP, "adjoint": dfx.ForwardMode(), "solver": dfx.Dopri8()}
    off = integrate(flow, state, aside, **options).ys
    assert off is not None
    event = dfx.Event(_height, optx.Newton(rtol=1e-13, atol=1e-13), direction=True)
    solution = integrate(flow, off[-1], longest, event=event, **options)
    assert solution.ys is not None
    assert solution.ts is not None
    return solution.ys[-1], solution.ts[-1] + aside


def _height(t: Any, y: Array, args: Any, **kwargs: Any) -> Scalar:
    return y[1]


def _peak(values: np.ndarray) -> float:
    """Largest value of a sampled smooth curve, by a parabola through the three samples at the top."""
    top = int(np.clip(np.argmax(values), 1, len(values) - 2))
    left, middle, right = values[top - 1 : top + 2]
    bend = left - 2 * middle + right
    return float(middle - (right - left) ** 2 / (8 * bend)) if bend else float(middle)
