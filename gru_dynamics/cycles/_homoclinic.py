"""Where the period of a branch of cycles becomes infinite."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayLike, Bool, Float, Int, Scalar
from ..continuation import SpecialKind
from ..systems import AbstractFamily
from ._branch import CycleBranch
from ._continue import continue_cycles
from ._cycle import Cycle


class PeriodLimit(eqx.Module):
    """The end of a branch at infinite period.

    **Fields:**

    - `kind ()`: `SpecialKind.HOMOCLINIC`, where T grows like `-ln|mu - mu*| / rate`; `INFINITE_PERIOD`, a saddle-node
      on the cycle, where T grows like `rate / sqrt|mu - mu*|`; `NONE` where there is no such end.
    - `mu ()`: the extrapolated parameter mu*. `rate ()`: the unstable eigenvalue of the saddle, or the factor above.
    - `misfit (2,)`: root mean square error of `ln |dmu/dT|` by the first law and by the second; the smaller decides,
      and a ratio near 1 means that the period is not long enough to tell.
    - `period ()`: the longest that was used. `num_rows ()`: rows of the branch that were fitted.
    - `result`: a `RESULTS` item.

    **Source:** Kuznetsov (2004), sections 6.2 and 7.1; Gaspard (1990).
    """

    kind: Int[Array, "*batch"]
    mu: Float[Array, "*batch"]
    rate: Float[Array, "*batch"]
    misfit: Float[Array, "*batch 2"]
    period: Float[Array, "*batch"]
    num_rows: Int[Array, "*batch"]
    result: RESULTS


def period_limit(branch: CycleBranch) -> PeriodLimit:
    """Which law the period of a branch follows at its end of longest period, and where it becomes infinite.

        homoclinic:  mu = mu* + C exp(-rate T),           so  ln |dmu/dT|       is linear in T
        saddle-node: mu = mu* + rate^2 / (T - T0)^2,      so  |dmu/dT|^(-1/3)   is linear in T

    Both lines are fitted to the rows with more than half of the longest period, and extrapolated, the second from its
    last two rows; `dmu/dT` comes from the tangents. Rows where mu stands still to rounding are left out.

    **Arguments:** `branch`, one that ends at the upper end of its `period_range`, long against the shortest period.

    **Returns:** a `PeriodLimit`, scalars `()`; with fewer than five rows its kind is `NONE`.

    **Source:** Kuznetsov (2004), sections 6.2 and 7.1; Gaspard (1990).
    """
    return _limit(branch)


def find_homoclinic(
    family: AbstractFamily,
    cycle: Cycle,
    mu: ArrayLike,
    *,
    mu_range: tuple[ArrayLike, ArrayLike],
    max_period: ArrayLike,
    throw: bool = True,
    **options: Any,
) -> tuple[PeriodLimit, CycleBranch]:
    """Follow a cycle until its period is long, and extrapolate to where it is infinite.

    **Arguments:** `family`, `cycle`, `mu ()`, `mu_range` and `options` as for `continue_cycles`; give the cycle several
    nodes, since over one whole long period errors grow by `exp(rate T)`. `max_period ()`: where to stop. `throw`: raise
    when no end of the branch has a growing period.

    **Returns:** a `PeriodLimit`, and the `CycleBranch` it was read from.

    **Raises:** `RuntimeError` when no such end was found (not inside `jax.jit` or `jax.vmap`).

    **Source:** Kuznetsov (2004), sections 6.2, 7.1 and 10.3.
    """
    branch = continue_cycles(
        family, cycle, mu, mu_range=mu_range, period_range=(0.0, max_period), throw=throw, **options
    )
    limit = period_limit(branch)
    if throw:
        raise_failure("find_homoclinic", limit.result)
    return limit, branch


@eqx.filter_jit
def _limit(branch: CycleBranch) -> PeriodLimit:
    T, mu, mask = branch.period, branch.mu, branch.mask
    log_slope, mu_slope = branch.slope.T
    number = jnp.arange(T.size, dtype=jnp.int32)
    top = jnp.argmax(jnp.where(mask, T, -jnp.inf))
    # Only the arm of the branch on which the period grows up to its end.
    at_front = top == jnp.argmax(mask)
    wrong = mask & ~jnp.where(at_front, log_slope < 0, log_slope > 0)
    before, after = jnp.min(jnp.where(wrong, number, T.size)), jnp.max(jnp.where(wrong, number, -1))
    arm = mask & jnp.where(at_front, number < before, number > after)
    # A homoclinic parameter is reached to rounding long before the period is infinite.
    arm = arm & (jnp.abs(mu - mu[top]) > 1e-9 * (1 + jnp.abs(mu[top])))
    use = arm & (jnp.max(jnp.where(arm, T, 0)) / 2 < T)
    rate = mu_slope / jnp.where(use, log_slope * T, 1)
    last = jnp.argmax(jnp.where(use, T, -jnp.inf))
    size = jnp.where(use, jnp.abs(rate), 1)
    y, z = jnp.log(size), size ** (-1 / 3)
    (exponential, slope), (power, _) = _line(T, y, use), _line(T, z, use)
    fits = jnp.stack([exponential, -3 * jnp.log(power)])
    misfit = jnp.sqrt(jnp.sum(jnp.where(use, (fits - y[None]) ** 2, 0), axis=1) / jnp.sum(use, dtype=T.dtype))
    misfit = jnp.where(jnp.isnan(misfit), jnp.inf, misfit)

    enough = (jnp.sum(use, dtype=jnp.int32) >= 5) & jnp.any(jnp.isfinite(misfit))
    homoclinic = misfit[0] < misfit[1]
    # mu' = -rate (mu - mu*), and mu' = -2 (mu - mu*) / (T - T0) with T0 from the last two rows.
    saddle = mu[last] - rate[last] / slope
    previous = jnp.where(at_front, last + 1, last - 1)
    since = z[last] * (T[last] - T[previous]) / (z[last] - z[previous])
    node = mu[last] + rate[last] * since / 2
    factor = jnp.sqrt(jnp.abs(rate[last]) * since**3 / 2)
    kind = jnp.where(homoclinic, SpecialKind.HOMOCLINIC, SpecialKind.INFINITE_PERIOD)
    return PeriodLimit(
        jnp.where(enough, kind, SpecialKind.NONE).astype(jnp.int32),
        jnp.where(enough, jnp.where(homoclinic, saddle, node), jnp.nan),
        jnp.where(enough, jnp.where(homoclinic, -slope, factor), jnp.nan),
        misfit,
        T[last],
        jnp.sum(use, dtype=jnp.int32),
        RESULTS.where(enough, RESULTS.successful, RESULTS.no_period_limit),
    )


def _line(x: Float[Array, " N"], y: Float[Array, " N"], use: Bool[Array, " N"]) -> tuple[Float[Array, " N"], Scalar]:
    """The straight line through the rows in use, by least squares, and its slope."""
    weight = jnp.where(use, 1, 0).astype(x.dtype)
    weight = weight / jnp.sum(weight)
    x_mean, y_mean = jnp.sum(weight * x), jnp.sum(weight * y)
    slope = jnp.sum(weight * (x - x_mean) * y) / jnp.sum(weight * (x - x_mean) ** 2)
    return y_mean + slope * (x - x_mean), slope
