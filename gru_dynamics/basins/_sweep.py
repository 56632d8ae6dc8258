"""Shares of basins against a parameter."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayLike, Bool, Float, Int, PRNGKey
from ..fixed_points import AbstractGuesses
from ..fixed_points._guesses import as_guesses
from ..systems import AbstractFamily
from ._attractors import AttractorKind
from ._fractions import basin_fractions
from ._match import Rows, assign
from ._result import BasinFractions


class BasinSweep(eqx.Module):
    """Basin fractions of M systems along a parameter, with one column per attractor: B columns in the order in which
    they appear. An attractor that vanishes and comes back at the place where it was last seen has one column.

    **Fields:** `mu (M, ...)`, the parameters; `mask (M, B)`, which attractors exist; `kind (M, B)`, an `AttractorKind`;
    `state (M, B, S)`, inf where there is none; `period (M, B)`; `count`, `fraction`, `lower`, `upper (M, B)` as in
    `BasinFractions`; `num_unresolved (M,)`; `num_states ()`, initial states at each parameter; `result`, the `RESULTS`
    of each system, `(M,)` codes.

    **Source:** Datseris, Rossi, Wagemakers (2023).
    """

    mu: Float[Array, "M ..."]
    mask: Bool[Array, "M B"]
    kind: Int[Array, "M B"]
    state: Float[Array, "M B S"]
    period: Float[Array, "M B"]
    count: Int[Array, "M B"]
    fraction: Float[Array, "M B"]
    lower: Float[Array, "M B"]
    upper: Float[Array, "M B"]
    num_unresolved: Int[Array, " M"]
    num_states: int = eqx.field(static=True)
    result: RESULTS

    def table(self) -> str:
        """Shares as text, one line per parameter, one column per attractor; a dot where there is none."""
        kinds = np.asarray(self.kind)
        names = [
            f"{column} {AttractorKind(int(codes[codes > 0][0])).name.lower()}" for column, codes in enumerate(kinds.T)
        ]
        lines = [f"{'mu':>12}  " + "  ".join(f"{name:>10}" for name in names) + "  unresolved"]
        for row in range(kinds.shape[0]):
            mu = " ".join(f"{value:.6g}" for value in np.ravel(np.asarray(self.mu[row])))
            shares = [
                f"{float(self.fraction[row, column]):10.4f}" if bool(self.mask[row, column]) else f"{'.':>10}"
                for column in range(len(names))
            ]
            lines.append(f"{mu:>12}  {'  '.join(shares)}  {int(self.num_unresolved[row]):>10}")
        return "\n".join(lines)


def basin_sweep(
    family: AbstractFamily,
    mus: ArrayLike,
    guesses: AbstractGuesses | ArrayLike,
    *,
    key: PRNGKey,
    duration: float | int | None = None,
    interval: float | int | None = None,
    max_attractors: int = 32,
    max_distance: float | int | None = None,
    throw: bool = True,
) -> BasinSweep:
    """Basin fractions along a parameter, with attractors followed from one value to the next.

    The same initial states are used everywhere (the same `key`), so that curves of shares are smooth. An attractor is
    compared with all that came before, each where it was last seen; see `match_attractors`.

    **Arguments:** `family`, `mu -> system`; `mus`, M parameters in order, shape `(M,)`, or `(M, P)` for P at a time;
    `guesses`, `key`, `duration`, `interval`, `max_attractors`: as in `basin_fractions`; `max_distance`: as in
    `match_attractors`; `throw`: raise at the first system whose result is not successful.

    **Returns:** a `BasinSweep`. Not for use inside `jax.jit`: the number of columns depends on what is found.

    **Raises:** `ValueError` when there are no parameters, and as `basin_fractions`.

    **Source:** Datseris, Rossi, Wagemakers (2023), section II C.
    """
    mu = jnp.asarray(mus, jnp.asarray(family.mu).dtype)
    if mu.ndim < 1 or mu.shape[0] == 0:
        raise ValueError(f"basin_sweep: mus must have shape (M,) or (M, P) with M > 0, got {mu.shape}")
    guesses = as_guesses(guesses)
    found = _along(family, mu, guesses, key, duration, interval, max_attractors)
    if throw:
        for code in range(mu.shape[0]):
            raise_failure(f"basin_sweep at mu = {np.asarray(mu[code])}", _pick(found.result, code))
    column = _columns(found, max_distance)
    return _arrange(mu, found, column, guesses.num)


@eqx.filter_jit
def _along(
    family: AbstractFamily,
    mu: Array,
    guesses: AbstractGuesses,
    key: PRNGKey,
    duration: float | int | None,
    interval: float | int | None,
    max_attractors: int,
) -> BasinFractions:
    def one(mu: Array) -> BasinFractions:
        return basin_fractions(
            family(mu),
            guesses,
            key=key,
            duration=duration,
            interval=interval,
            max_attractors=max_attractors,
            throw=False,
        )

    return jax.lax.map(one, mu)


def _pick(tree: RESULTS, number: int) -> RESULTS:
    return jax.tree.map(lambda x: x[number], tree)


def _columns(found: BasinFractions, max_distance: float | int | None) -> np.ndarray:
    """Column of each row `(M, A)`, -1 for padding."""
    num, capacity = found.mask.shape
    # The last known place of every attractor so far; at most all rows of all systems are different.
    orbit, kind = np.asarray(found.orbit), np.asarray(found.kind)
    mask = np.asarray(found.mask)
    column = np.full((num, capacity), -1)
    known = Rows(np.full_like(orbit[0], np.inf)[:0], kind[0][:0], mask[0][:0])
    for system in range(num):
        rows = Rows(orbit[system], kind[system], mask[system])
        index = np.full(capacity, -1) if system == 0 else assign(known, rows, max_distance)[0]
        fresh = mask[system] & (index < 0)
        index[fresh] = known.mask.size + np.arange(fresh.sum())
        column[system] = index
        known = _updated(known, rows, index)
    return column


def _updated(known: Rows, rows: Rows, index: np.ndarray) -> Rows:
    """The known attractors with those of one system at their present place, new ones behind."""
    used = index >= 0
    size = max(known.mask.size, int(index.max(initial=-1)) + 1)

    def grow(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        out = np.zeros((size, *old.shape[1:]), old.dtype)
        out[: old.shape[0]] = old
        out[index[used]] = new[used]
        return out

    return jax.tree.map(grow, known, rows)


def _arrange(mu: Array, found: BasinFractions, column: np.ndarray, num_states: int) -> BasinSweep:
    """Rows to columns."""
    num, width = column.shape[0], int(column.max(initial=-1)) + 1
    system, row = np.nonzero(column >= 0)

    def spread(values: Array, empty: Any) -> Array:
        table = np.full((num, width, *values.shape[2:]), empty, values.dtype)
        table[system, column[system, row]] = np.asarray(values)[system, row]
        return jnp.asarray(table)

    return BasinSweep(
        mu=mu,
        mask=spread(found.mask, False),
        kind=spread(found.kind, AttractorKind.NONE),
        state=spread(found.state, np.inf),
        period=spread(found.period, np.inf),
        count=spread(found.count, 0),
        fraction=spread(found.fraction, 0.0),
        lower=spread(found.lower, 0.0),
        upper=spread(found.upper, 0.0),
        num_unresolved=found.num_unresolved,
        num_states=num_states,
        result=found.result,
    )
