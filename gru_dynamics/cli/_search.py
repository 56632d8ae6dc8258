"""From a system to the facts of the report."""

import math
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from .._report import Analysis, collect
from .._results import RESULTS
from .._types import Array
from ..cells import AbstractCell
from ..fixed_points import FixedPoints, Kind, TrajectoryGuesses, UniformGuesses, find_fixed_points, linearise
from ..systems import AbstractFlow, AbstractMap, AbstractSystem
from ..trajectories import integrate, rollout
from ._errors import CommandError
from ._inputs import Readout
from ._prove import enumerated, provable

_NUDGE = 1e-3
_MAX_DECISIONS = 128


class Found(NamedTuple):
    """An analysis with what the pictures need: `points`; `states (T, S)` visited; `paths`, each `(T, S)`, among
    them those away from decision points; `readout`."""

    system: AbstractSystem
    analysis: Analysis
    points: FixedPoints
    states: np.ndarray | None
    paths: list[np.ndarray]
    readout: Readout | None


def search(
    title: str,
    system: AbstractSystem,
    cell: AbstractCell,
    facts: dict[str, Any],
    *,
    states: np.ndarray | None,
    readout: Readout | None,
    seeds: int,
    seed: int,
    max_points: int | None,
    max_boxes: int,
    provenance: dict[str, Any],
) -> Found:
    """All fixed points, their readouts, and where the decision points lead."""
    key_guess, key_search = jr.split(jr.key(seed))
    guesses, warnings = _guesses(system, states, seeds, key_guess)
    points = find_fixed_points(
        system, guesses, key=key_search, max_points=max_points, verify=provable(system), throw=False
    )
    if bool(points.result == RESULTS.nonfinite_system):
        raise CommandError(f"{facts['file']}: expected a cell with finite values, found nan or inf; check --input")
    points, proof, open_questions = enumerated(system, points, max_boxes)
    outputs = None
    if readout is not None:
        outputs = np.asarray(jax.vmap(cell.output)(points.state)) @ readout.weight.T + readout.bias
    leads_to, paths = _unfold(system, points, 1.0 if facts["tau"] is None else facts["tau"])
    analysis = collect(
        title,
        facts,
        points,
        readout=outputs,
        leads_to=leads_to,
        proof=proof,
        warnings=(*warnings, *open_questions),
        provenance=provenance,
    )
    return Found(system, analysis, points, states, paths, readout)


def _guesses(system: AbstractSystem, states: np.ndarray | None, seeds: int, key: Array) -> tuple[Array, list[str]]:
    """Half of the starts at visited states, if there are any, and the rest uniform in the trapping box."""
    key_visited, key_uniform = jr.split(key)
    warnings, parts = [], []
    visited = 0 if states is None else (seeds + 1) // 2
    if states is not None:
        parts.append(TrajectoryGuesses(states, num=visited)(system, key_visited))
    if seeds > visited:
        ends = (None, None)
        if system.bounds is None:
            reach = 2.0 if states is None else max(float(np.abs(states).max()), 1e-3)
            ends = (-reach, reach)
            warnings.append(
                f"this cell is not confined to a box: guesses were drawn from [-{reach:.3g}, {reach:.3g}] in each unit"
            )
            # Where a cell rests without input, and which no guess beside it may lead to: modReLU jumps there.
            parts.append(jnp.zeros((1, system.resting_size), jnp.float64))
        parts.append(UniformGuesses(*ends, num=seeds - visited)(system, key_uniform))
    return jnp.concatenate(parts), warnings


def _unfold(
    system: AbstractSystem, points: FixedPoints, unit: float
) -> tuple[dict[int, tuple[int, ...]], list[np.ndarray]]:
    """For saddles with one unstable direction the sinks on either side, and paths for the pictures.

    The paths leave those saddles both ways; in the plane some more start from the ends and the middle of the box.
    """
    kinds, unstable = np.asarray(points.kind), np.asarray(points.unstable_dim)
    rows = np.flatnonzero(np.asarray(points.mask) & (kinds == Kind.SADDLE) & (unstable == 1))[:_MAX_DECISIONS]
    leading = np.asarray(points.eigenvalues)[rows, 0]
    # Along a negative multiplier the state alternates between both sides.
    rows, leading = rows[leading.real > 0], leading[leading.real > 0]
    is_map = isinstance(system, AbstractMap)
    starts, duration = _background(system, points.state.shape[1]), 60.0 * unit
    if rows.size:
        slowest = float((np.log(np.abs(leading)) if is_map else leading.real).min())
        duration = min(4 * math.log(1 / _NUDGE) / slowest + duration, 3000.0 * unit)
        starts = np.concatenate([np.asarray(_nudged(system, points.state[rows])).reshape(-1, starts.shape[1]), starts])
    if not len(starts):
        return {}, []
    number = -(-int(duration) // 100) * 100 if is_map else 500
    dtype = points.state.dtype
    paths = np.asarray(_run(system, jnp.asarray(starts, dtype), jnp.asarray(duration, dtype), number))
    sinks = np.flatnonzero(kinds == Kind.SINK)
    where = np.asarray(points.state)[sinks]
    leads_to = {}
    for number, row in enumerate(rows):
        ends = paths[2 * number : 2 * number + 2, -1]
        distance = np.linalg.norm(ends[:, None] - where[None], axis=-1)
        if sinks.size and (distance.min(axis=1) < 1e-2).all():
            # Rows of the list come first in the arrays, so a row is its number.
            leads_to[int(row)] = tuple(int(sinks[index]) for index in distance.argmin(axis=1))
    return leads_to, list(paths)


def _background(system: AbstractSystem, size: int) -> np.ndarray:
    """Starts `(B, S)` at the ends and around the middle of the trapping box of a system in the plane."""
    if system.bounds is None or size != 2 or system.bounds[0].shape != (2,):
        return np.zeros((0, size))
    lower, upper = (np.asarray(end) for end in system.bounds)
    unit = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1], [0.1, 0.2], [-0.1, 0.3], [-0.2, -0.1], [0.3, -0.1]])
    return (lower + upper) / 2 + 0.97 * unit * (upper - lower) / 2


@eqx.filter_jit
def _nudged(system: AbstractSystem, saddles: Array) -> Array:
    """States `(K, 2, S)` on both sides of saddles `(K, S)` along their unstable direction."""
    direction = jax.vmap(lambda saddle: linearise(system, saddle).right[:, 0].real)(saddles)
    return jnp.stack([saddles + _NUDGE * direction, saddles - _NUDGE * direction], axis=1)


@eqx.filter_jit
def _run(system: AbstractSystem, starts: Array, duration: Array, number: int) -> Array:
    """Trajectories `(B, number, S)`: iterates of a map, or a flow up to time `duration`."""
    if isinstance(system, AbstractMap):
        return jnp.concatenate([starts[:, None], rollout(system, starts, num_steps=number - 1)], axis=1)
    if not isinstance(system, AbstractFlow):
        raise TypeError(f"expected a map or a flow, got {type(system).__name__}")
    saveat = diffrax.SaveAt(ts=jnp.linspace(0, duration, number, dtype=starts.dtype))

    def solve(start: Array) -> Array:
        ys = integrate(system, start, duration, saveat=saveat, max_steps=4096, throw=False).ys
        assert ys is not None
        return ys

    return jax.vmap(solve)(starts)
