"""The finite automaton in a driven network: attractors as states, pulses as letters."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._results import RESULTS
from .._types import Array, ArrayLike, Float, Int
from ..fixed_points._precision import highest_precision
from ..systems import AbstractFamily, AbstractMap, AbstractSystem, CellFlow, CellMap, FunctionFamily
from ._advance import Settings, advance
from ._attractors import AttractorKind
from ._follow import label_states
from ._fractions import settings_for
from ._result import BasinFractions
from ._settle import OPEN
from ._text import attractor_rows


class AttractorGraph(eqx.Module):
    """Transitions between A attractors by P pulses.

    **Fields:**

    - `attractors`: the `BasinFractions` whose rows are the nodes. `pulses (P, I)`.
    - `transitions (P, A)`: the attractor that is reached from attractor a by pulse p; -1 when the state settled on none
      of the list, or when different phases of a cycle lead to different attractors, and for padding.
    - `share (P, A, A)`: share of the phases of attractor a that pulse p sends to attractor b; one phase for a sink.
    - `result`: a `RESULTS` item.

    **Source:** Jordan, Sokół, Park (2019), section 3 and figure 2; Ceni, Ashwin, Livi (2020), excitable networks.
    """

    attractors: BasinFractions
    pulses: Float[Array, "P ..."]
    transitions: Int[Array, "P A"]
    share: Float[Array, "P A A"]
    result: RESULTS

    def table(self) -> str:
        """The automaton as text: a line per attractor, a column per pulse, `?` where nothing is certain."""
        pulses = np.asarray(self.pulses).reshape(self.pulses.shape[0], -1)
        heads = ["(" + " ".join(f"{x + 0.0:+g}" for x in pulse) + ")" for pulse in pulses]
        widths = [max(len(head), 3) for head in heads]
        targets = np.asarray(self.transitions).T
        lines = [
            "  ".join(f"{'?' if target < 0 else target:>{width}}" for target, width in zip(row, widths, strict=True))
            for row in targets[np.asarray(self.attractors.mask)]
        ]
        head = "  ".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))
        return "\n".join(attractor_rows(self.attractors, head, lines))


def attractor_graph(
    system: CellMap | CellFlow | AbstractFamily,
    pulses: ArrayLike,
    attractors: BasinFractions,
    *,
    duration: float | int,
    settle: float | int | None = None,
    interval: float | int | None = None,
    num_phases: int = 8,
) -> AttractorGraph:
    """Where a pulse of input sends each attractor: the transition table of a finite automaton.

    From a state on an attractor the system runs under the pulse for `duration`, then at its resting input until it has
    settled. A pulse that leaves the state on the border between two basins, as can happen by symmetry, has the target
    that rounding chooses, or none.

    **Arguments:**

    - `system`: a `CellMap` or `CellFlow` at its resting input, or a family `pulse -> system` that is at rest at
      `family.mu`.
    - `pulses`: `(P, I)`, constant inputs; for a family, P parameters.
    - `attractors`: those of the resting system, from `basin_fractions`.
    - `duration`: of a pulse, in steps of a map or units of time. `settle`: time to settle after it, by default 8192
      steps or 1000 units; `interval` between looks as in `basin_fractions`.
    - `num_phases`: states on a cycle or other attractor from which the pulse is tried.

    **Returns:** an `AttractorGraph` with a row per row of `attractors`.

    **Raises:** `ValueError` when pulses do not match the input, or a duration is not positive.

    **Source:** Jordan, Sokół, Park (2019), section 3; Giles et al. (1992) for automata extracted from networks.
    """
    family = _family(system, pulses)
    rest = system if isinstance(system, CellMap | CellFlow) else family(family.mu)
    held = jnp.asarray(pulses, jnp.asarray(family.mu).dtype)
    if held.ndim != family.mu.ndim + 1 or held.shape[1:] != family.mu.shape:
        raise ValueError(f"attractor_graph: pulses must have shape (P, *{family.mu.shape}), got {held.shape}")
    if not duration > 0 or (isinstance(rest, AbstractMap) and duration != int(duration)):
        raise ValueError(f"attractor_graph: duration must be positive, and whole for a map, got {duration}")
    settings = settings_for(rest, settle, interval)
    phases = min(num_phases, attractors.orbit.shape[-2])
    return _graph(family, rest, held, attractors, float(duration), settings, phases)


def _family(system: CellMap | CellFlow | AbstractFamily, pulses: ArrayLike) -> AbstractFamily:
    if not isinstance(system, CellMap | CellFlow):
        return system
    dtype = jnp.result_type(*jax.tree.leaves(eqx.filter(system.cell, eqx.is_inexact_array)))
    rest = jnp.zeros((system.cell.input_size,), dtype) if system.input is None else system.input
    return FunctionFamily(_with_input, system, rest)


def _with_input(system: Any, input: Array) -> AbstractSystem:
    return eqx.tree_at(lambda s: s.input, system, input, is_leaf=lambda x: x is None)


@eqx.filter_jit
@highest_precision
def _graph(
    family: AbstractFamily,
    rest: AbstractSystem,
    pulses: Array,
    found: BasinFractions,
    duration: float | int,
    settings: Settings,
    phases: int,
) -> AttractorGraph:
    capacity, length, size = found.orbit.shape
    number = jnp.arange(capacity, dtype=jnp.int32)
    start = found.orbit[:, :: length // phases][:, :phases]
    gone = found.kind == AttractorKind.ESCAPED
    start = jnp.where(jnp.isfinite(start), start, 0.0).reshape(capacity * phases, size)

    def after(pulse: Array) -> Array:
        driven = family(pulse)
        return jax.vmap(lambda state: advance(driven, state, duration, settings))(start)

    ends = jax.vmap(after)(pulses)
    label = label_states(rest, found, ends.reshape(-1, size), settings)
    label = label.reshape(pulses.shape[0], capacity, phases)
    # From infinity nothing comes back.
    label = jnp.where(gone[None, :, None], number[None, :, None], label)
    label = jnp.where(found.mask[None, :, None], label, OPEN)
    hits = label[..., None] == number[None, None, None]
    same = jnp.all(label == label[..., :1], axis=-1)
    transitions = jnp.where(same, label[..., 0], OPEN).astype(jnp.int32)
    resolved = jnp.all((label != OPEN) | ~found.mask[None, :, None])
    return AttractorGraph(
        attractors=found,
        pulses=pulses,
        transitions=transitions,
        share=jnp.mean(hits.astype(found.orbit.dtype), axis=2),
        result=RESULTS.where(resolved, RESULTS.successful, RESULTS.not_settled),
    )
