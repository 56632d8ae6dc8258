"""Attractors, their shares, and where each initial state ends."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._results import RESULTS
from .._types import Array, Bool, Float, Int
from ._attractors import Attractor, AttractorKind, Attractors
from ._binomial import wilson_interval
from ._settle import AT_INFINITY, OPEN
from ._text import attractor_rows


class BasinFractions(eqx.Module):
    """Attractors of one system, padded to A = `max_attractors + 1` rows, the largest basin first, and where each of N
    initial states ends.

    **Fields:**

    - `kind (A,)`, an `AttractorKind`; `mask (A,)`, which rows hold an attractor.
    - `state (A, S)`: a state on the attractor; inf for `ESCAPED`. `orbit (A, M, S)`: M states along it, at equal times
      over one turn for a cycle; a sink is repeated. `radius (A, M)`: how near to each counts as on the attractor.
    - `period (A,)`: steps of a map (1 for a sink), time of a flow (0 for a sink); inf if it does not repeat.
    - `count (A,)`: initial states that end there. `fraction (A,)`: `count / N`. `lower`, `upper (A,)`: 95 % Wilson
      interval of the share, for initial states drawn independently. A sink that no initial state reached has 0.
    - `label (N,)`: row of each initial state, -1 if open. `states (N, S)`: the initial states.
    - `num_unresolved ()`: initial states with label -1, which had not settled or are beyond `max_attractors`.
    - `result`: a `RESULTS` item.

    **Source:** Menck, Heitzig, Marwan, Kurths (2013), basin stability; Wilson (1927).
    """

    state: Float[Array, "*batch A S"]
    mask: Bool[Array, "*batch A"]
    kind: Int[Array, "*batch A"]
    period: Float[Array, "*batch A"]
    orbit: Float[Array, "*batch A M S"]
    radius: Float[Array, "*batch A M"]
    count: Int[Array, "*batch A"]
    fraction: Float[Array, "*batch A"]
    lower: Float[Array, "*batch A"]
    upper: Float[Array, "*batch A"]
    label: Int[Array, "*batch N"]
    states: Float[Array, "*batch N S"]
    num_unresolved: Int[Array, "*batch"]
    result: RESULTS

    def table(self) -> str:
        """The attractors as text, one line each, for one system (not a batch)."""
        if self.mask.ndim != 1:
            raise ValueError("BasinFractions.table: this is a batch; pick one with jax.tree.map(lambda x: x[i], ...)")
        shares = [
            f"{float(self.fraction[row]):8.4f}  [{float(self.lower[row]):.4f}, {float(self.upper[row]):.4f}]"
            for row in np.flatnonzero(np.asarray(self.mask))
        ]
        return "\n".join([*attractor_rows(self, f"{'share':>8}  {'95 % interval':<16}", shares), self.summary()])

    def summary(self) -> str:
        """One line: how many of each kind, and what is open."""
        kinds = np.asarray(self.kind)
        words = {AttractorKind.SINK: "sink", AttractorKind.CYCLE: "cycle", AttractorKind.OTHER: "other"}
        counts = [
            f"{n} {word}{'s' if n != 1 and word != 'other' else ''}"
            for kind, word in words.items()
            if (n := int((kinds == kind).sum()))
        ]
        escaped = ["infinity"] if (kinds == AttractorKind.ESCAPED).any() else []
        return (
            f"{', '.join([*counts, *escaped]) or 'no attractors'}; {self.label.size} initial states, "
            f"{int(self.num_unresolved)} unresolved"
        )


def counted(
    known: Attractors, label: Int[Array, " N"], start: Float[Array, "N S"], finite: Bool[Array, ""]
) -> BasinFractions:
    """The result: infinity as one more row, the largest basin first, padding last."""
    num, capacity = label.size, known.capacity
    rows = known.rows
    (length, size), dtype = rows.orbit.shape[1:], rows.orbit.dtype
    escaped = jnp.any(label == AT_INFINITY)
    last = Attractor(
        jnp.where(escaped, AttractorKind.ESCAPED, AttractorKind.NONE).astype(jnp.int32),
        jnp.asarray(jnp.inf, dtype),
        jnp.full((length, size), jnp.inf, dtype),
        jnp.ones((length,), dtype),
    )
    rows = jax.tree.map(lambda x, y: jnp.concatenate([x, y[None]]), rows, last)
    label = jnp.where(label == AT_INFINITY, capacity, label)
    count = jnp.zeros((capacity + 1,), jnp.int32).at[jnp.where(label < 0, capacity + 1, label)].add(1, mode="drop")
    mask = rows.kind != AttractorKind.NONE
    order = jnp.argsort(jnp.where(mask, -count, 1), stable=True)
    rank = jnp.zeros_like(count).at[order].set(jnp.arange(capacity + 1, dtype=jnp.int32))
    label = jnp.where(label < 0, OPEN, rank[jnp.maximum(label, 0)])
    rows, mask, count = jax.tree.map(lambda x: x[order], (rows, mask, count))
    lower, upper = wilson_interval(count, num)
    unresolved = jnp.sum(label == OPEN, dtype=jnp.int32)
    result = RESULTS.where(known.overflow, RESULTS.max_attractors_reached, RESULTS.successful)
    result = RESULTS.where(finite, result, RESULTS.nonfinite_system)
    return BasinFractions(
        state=rows.orbit[:, 0],
        mask=mask,
        kind=rows.kind,
        period=rows.period,
        orbit=rows.orbit,
        radius=rows.radius,
        count=count,
        fraction=count.astype(dtype) / num,
        lower=jnp.where(mask, lower, 0.0).astype(dtype),
        upper=jnp.where(mask, upper, 0.0).astype(dtype),
        label=label,
        states=start,
        num_unresolved=unresolved,
        result=result,
    )
