"""How far back a gradient reaches, and whether it vanishes or explodes on the way."""

import enum
import math
from collections.abc import Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import RESULTS, raise_failure
from .._types import Array, Float, Int
from ._bptt import BPTTFactors
from ._bptt_flow import FlowFactors

# Lags that a fit with an error needs.
_FEWEST = 4


class GradientFlow(enum.IntEnum):
    """What a gradient does on its way back, an integer code in arrays of any shape.

    `VANISHING`, `EXPLODING`: it falls or rises by a factor e or more over the fitted lags, and the rate differs from
    zero by twice its standard error. `STEADY`: it changes by less than a factor e. `UNDECIDED`: it changes by more, but
    too erratically to call; or too few lags carry a signal.

    **Source:** Bengio, Simard, Frasconi (1994), for the two ways; the thresholds are ours.
    """

    UNDECIDED = 0
    VANISHING = 1
    STEADY = 2
    EXPLODING = 3


class GradientHorizon(eqx.Module):
    """How much of a gradient is left after each lag, and what follows from it.

    **Fields** (K lags, L levels):

    - `lag (K,)`: in steps, or in units of time for a flow. `left (K,)`: the share that is left there.
    - `levels (L,)`; `horizon (L,)`: the lag from which on less than a level is left, interpolated in the logarithm; inf
      when that is not reached within the lags.
    - `rate ()`: mean d log(left) / d lag over the fitted lags; `standard_error ()`, from the scatter of its steps, by
      Newey & West. `fitted (2,)`: the first and the last of these lags.
    - `verdict ()`: a `GradientFlow`.
    - `result`, a `RESULTS` item.

    **Source:** Newey & West (1987), eq. 5, for the error.
    """

    lag: Float[Array, "*batch K"]
    left: Float[Array, "*batch K"]
    levels: Float[Array, " L"]
    horizon: Float[Array, "*batch L"]
    rate: Float[Array, "*batch"]
    standard_error: Float[Array, "*batch"]
    fitted: Float[Array, "*batch 2"]
    verdict: Int[Array, "*batch"]
    result: RESULTS


def gradient_horizon(
    factors: BPTTFactors | FlowFactors,
    *,
    of: Literal["signal", "contribution"] = "signal",
    levels: Sequence[float] = (1 / math.e, 0.01),
    skip: float = 0.25,
    throw: bool = True,
) -> GradientHorizon:
    """The lag by which 1/e, or 1 %, of a backward signal is left, its rate per step, and the verdict: vanishing, steady
    or exploding.

    **Arguments:**

    - `factors`: from `bptt_factors` with `max_lag` K, which bounds what can be seen; or from `bptt_factors_flow`, where
      the signal is that of the last reading, back from the end.
    - `of`: `"signal"`, `LagFactors.left (K,)`, which is `|a|^k` where every Jacobian is `a` times a rotation; or
      `"contribution"`, what lag k contributes to the parameters relative to lag 0.
    - `levels`: L shares of what there is at lag 0, each positive.
    - `skip`: share of the lags, from 0 on, that the fit leaves out as transient.
    - `throw`: raise when fewer than 4 lags can be fitted.

    **Returns:** `GradientHorizon`, shapes `(K,)` and `(L,)`.

    **Raises:** `ValueError` when the factors have no lags, or for a level or share out of range; `RuntimeError` when
    too few lags carry a signal (not inside `jax.jit` or `jax.vmap`).

    **Source:** Bengio, Simard, Frasconi (1994), section 3; Pascanu, Mikolov, Bengio (2013), section 2.
    """
    if not all(level > 0 for level in levels):
        raise ValueError(f"gradient_horizon: levels must be positive, got {levels}")
    if not 0 <= skip < 1:
        raise ValueError(f"gradient_horizon: skip must be at least 0 and below 1, got {skip}")
    lag, left = _profile(factors, of)
    found = _horizon(lag, left, jnp.asarray(levels, left.dtype), skip)
    if throw:
        raise_failure("gradient_horizon", found.result)
    return found


def _profile(factors: BPTTFactors | FlowFactors, of: str) -> tuple[Array, Array]:
    if of not in ("signal", "contribution"):
        raise ValueError(f'gradient_horizon: of must be "signal" or "contribution", got {of!r}')
    if isinstance(factors, FlowFactors):
        if of != "signal":
            raise ValueError('gradient_horizon: for a flow there is of="signal" only')
        return factors.node_lag, factors.left
    if factors.lags is None:
        raise ValueError("gradient_horizon: these factors have no lags; give `max_lag` to bptt_factors")
    left = factors.lags.left
    if of == "contribution":
        first = factors.lags.whole_norm[:1]
        left = jnp.where(first > 0, factors.lags.whole_norm / jnp.where(first > 0, first, 1), jnp.nan)
    return jnp.arange(left.shape[0], dtype=left.dtype), left


@eqx.filter_jit
def _horizon(lag: Array, left: Array, levels: Array, skip: float) -> GradientHorizon:
    number = lag.shape[0]
    usable = (left > 0) & jnp.isfinite(left)
    height = jnp.log(jnp.where(usable, left, 1))
    used = usable & (jnp.arange(number, dtype=jnp.int32) >= int(skip * number))
    count = jnp.sum(used, dtype=lag.dtype)
    enough = count >= _FEWEST
    rate, error = _slope(lag, height, used)
    first = jnp.min(jnp.where(used, lag, jnp.inf))
    last = jnp.max(jnp.where(used, lag, -jnp.inf))
    change = rate * (last - first)
    sure, much = jnp.abs(rate) > 2 * error, jnp.abs(change) >= 1
    verdict = jnp.where(
        much,
        jnp.where(sure, jnp.where(rate < 0, GradientFlow.VANISHING, GradientFlow.EXPLODING), GradientFlow.UNDECIDED),
        GradientFlow.STEADY,
    )
    verdict = jnp.where(enough, verdict, GradientFlow.UNDECIDED)
    # What is exactly zero, or too large for its format, needs no fit.
    gone, burst = jnp.any(left == 0), jnp.any(jnp.isinf(left))
    verdict = jnp.where(gone, GradientFlow.VANISHING, jnp.where(burst, GradientFlow.EXPLODING, verdict))
    missing = jnp.asarray(jnp.nan, lag.dtype)
    fine = enough | gone | burst
    return GradientHorizon(
        lag,
        left,
        levels,
        jax.vmap(lambda level: _crossing(lag, left, level))(levels),
        jnp.where(enough, rate, missing),
        jnp.where(enough, error, missing),
        jnp.where(enough, jnp.stack([first, last]), missing),
        verdict.astype(jnp.int32),
        RESULTS.where(fine, RESULTS.successful, RESULTS.too_few_lags),
    )


def _slope(x: Array, y: Array, used: Array) -> tuple[Array, Array]:
    """Mean slope between neighbours and its standard error, allowing for steps that resemble those before them.

    The logarithm of a product of Jacobians wanders like a random walk, so its distance from a straight line does not
    tell how well the slope is known; the scatter of its steps does.
    """
    pair = (used[1:] & used[:-1]).astype(x.dtype)
    run, rise = pair * jnp.diff(x), pair * jnp.diff(y)
    count, length = jnp.sum(pair), jnp.sum(run)
    safe = jnp.where(length > 0, length, 1)
    slope = jnp.sum(rise) / safe
    gap = rise - slope * run
    number = gap.shape[0]
    width = min(math.ceil(1.5 * number ** (1 / 3)), number - 1)
    total = jnp.sum(gap * gap)
    for shift in range(1, width + 1):
        total = total + 2 * (1 - shift / (width + 1)) * jnp.sum(gap[shift:] * gap[:-shift])
    total = jnp.maximum(total, 0) * count / jnp.maximum(count - 1, 1)
    return slope, jnp.sqrt(total) / safe


def _crossing(lag: Array, left: Array, level: Array) -> Array:
    """The lag from which on `left` stays below `level`: between the last lag above and the next one."""
    above = left >= level
    number = lag.shape[0]
    rows = jnp.arange(number, dtype=jnp.int32)
    row = jnp.max(jnp.where(above, rows, -1))
    known = jnp.max(jnp.where(jnp.isnan(left), -1, rows))
    after = jnp.minimum(row + 1, number - 1)
    low, high = left[after], left[jnp.maximum(row, 0)]
    # A signal that is zero at the next lag has no logarithm: it is gone there.
    fraction = jnp.log(high / level) / jnp.log(high / jnp.where(low > 0, low, jnp.nan))
    step = jnp.where(low > 0, fraction, 1)
    crossed = lag[jnp.maximum(row, 0)] + step * (lag[after] - lag[jnp.maximum(row, 0)])
    crossed = jnp.where(row < 0, lag[0], crossed)
    return jnp.where(row < known, crossed, jnp.inf)
