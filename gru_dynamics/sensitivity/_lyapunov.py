"""Lyapunov exponents of maps, flows and driven cells."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayLike, Float
from ..cells import AbstractCell
from ..systems import AbstractFlow, AbstractMap
from ._lyapunov_checks import check_number, check_state, check_system, count_steps
from ._lyapunov_record import FEWEST, GrowthRecord, empty_record, running_mean, standard_error
from ._lyapunov_result import LyapunovSpectrum
from ._lyapunov_run import LONGEST, count, factors_per_row, settle
from ._lyapunov_tangent import TangentMap, start_basis, tangent_map


def lyapunov_spectrum(
    system: AbstractMap | AbstractFlow | AbstractCell,
    state: Float[Array, " S"] | None = None,
    *,
    num_steps: int | None = None,
    num_exponents: int | None = None,
    inputs: Float[Array, "T I"] | None = None,
    burn_in: int | None = None,
    interval: int | None = None,
    time_step: ArrayLike | None = None,
    start: LyapunovSpectrum | None = None,
    throw: bool = True,
) -> LyapunovSpectrum:
    """Leading Lyapunov exponents along a trajectory, with honest error bars.

        V_t R_t = DF(s_{t-1}) V_{t-1},    lambda_i = lim 1/T sum_t log |(R_t)_ii|        V_t orthonormal, R_t triangular

    1. Burn-in: the state settles on its attractor and the tangent vectors turn into the leading directions,
       orthonormalised after every step; it is noted how fast they lose their independence.
    2. The counted steps, orthonormalised as seldom as keeps rounding near 1e-11 (float32: 1e-4) in the exponents,
       judged by the burn-in; where the run itself turns out worse it is repeated with half the interval.
    3. Error bars from the scatter of batches, see `LyapunovSpectrum`.

    Cells driven by `inputs` have the conditional exponents of that sequence: all negative means that the state forgets
    where it started (echo state property). Derivatives in the weights are those of the finite run; on chaotic
    trajectories they grow exponentially with its length.

    **Arguments:**

    - `system`: a map; a flow, by Runge-Kutta steps of order 4, with exponents per unit of time; or a cell.
    - `state`: where to start, shape `(S,)`.
    - `num_steps`: steps that are counted, after the burn-in; with `inputs` it is what the burn-in leaves.
    - `num_exponents`: k, by default all S.
    - `inputs`: `(T, I)`, one row per step, held constant over a step of a flow; only for cells and their systems.
    - `burn_in`: steps before counting, by default a tenth of `num_steps` or of T, none with `start`.
    - `interval`: steps between two orthonormalisations. Inside `jax.jit`, `jax.vmap` and `jax.grad`, where nothing can
      be judged beforehand, the default is 1; take that of a similar run, and look at `rounding`.
    - `time_step`: of a flow, in its units of time.
    - `start`: a spectrum of the same system to go on from: state, basis, interval and record are continued, and two
      runs of 1000 steps are one of 2000, up to rounding.
    - `throw`: raise when the run is too short, explodes, or meets a singular Jacobian.

    **Returns:** a `LyapunovSpectrum`.

    **Raises:** `ValueError` for shapes, numbers or combinations that make no sense; `RuntimeError` with `throw` (not
    inside `jax.jit` or `jax.vmap`).

    **Source:** Benettin et al. (1980); Shimada & Nagashima (1979). For networks Engelken, Wolf, Abbott (2023).
    """
    state = check_state("lyapunov_spectrum", state, start)
    check_system("lyapunov_spectrum", system, inputs, time_step)
    size = state.shape[0]
    k = check_number("lyapunov_spectrum", num_exponents, size, start)
    dt = None if time_step is None else jnp.asarray(time_step, state.dtype)
    tangent = tangent_map(system, dt, k, size)
    burn_in, num_steps = count_steps("lyapunov_spectrum", burn_in, num_steps, inputs, interval, start is not None)
    before, after = (None, None) if inputs is None else (inputs[:burn_in], inputs[burn_in:])
    basis = start_basis(size, k, state.dtype) if start is None else start.basis
    spreads = None
    if burn_in:
        state, basis, spreads = settle(tangent, state, basis, before, burn_in)
    chosen = interval
    if chosen is None:
        chosen = _interval(spreads, num_steps, factors_per_row(size, k)) if start is None else start.interval
    while True:
        found = _finish(tangent, state, basis, start, after, num_steps, chosen)
        if interval is not None or chosen == 1 or isinstance(found.rounding, Tracer):
            break
        lost = bool(found.result == RESULTS.singular_jacobian)
        if not lost and not bool(found.rounding > 10 * _tolerance(state.dtype)):
            break
        chosen = chosen // 2
    if throw:
        raise_failure("lyapunov_spectrum", found.result)
    return found


def _tolerance(dtype: Any) -> float:
    return 1e-11 if dtype == jnp.float64 else 1e-4


def _interval(spreads: Array | None, num_steps: int, in_row: int) -> int:
    """Nearly the most steps after which, by the burn-in, columns are independent enough; 16 rows are left at least."""
    if spreads is None or isinstance(spreads, Tracer):
        return 1
    noise = np.finfo(spreads.dtype).eps * np.asarray(spreads) / np.arange(1, LONGEST + 1)
    safe = int(np.sum(np.maximum.accumulate(noise) <= _tolerance(spreads.dtype)))
    most = max(1, min(safe, num_steps // (16 * in_row)))
    # A row that the run does not fill costs a selection in every step.
    even = (q for q in range(most, most // 2, -1) if num_steps % (q * in_row) == 0)
    return next(even, most)


@eqx.filter_jit
def _finish(
    tangent: TangentMap,
    state: Array,
    basis: Array,
    start: LyapunovSpectrum | None,
    inputs: Array | None,
    num_steps: int,
    interval: int,
) -> LyapunovSpectrum:
    """Count, and sum up."""
    size, k = basis.shape
    record = empty_record(k, state.dtype) if start is None else start.record
    run = count(tangent, state, basis, record, inputs, num_steps, interval)
    steps = jnp.asarray(num_steps, jnp.int32) + (0 if start is None else start.num_steps)
    dt = jnp.ones((), state.dtype) if tangent.time_step is None else tangent.time_step
    exponents = run.record.total / (steps.astype(state.dtype) * dt)
    order = jnp.argsort(-exponents)
    history, time = running_mean(run.record)
    factors = max(-(-num_steps // interval), 1)
    defect = jnp.abs(run.defect) / run.checked if size == k else jnp.full_like(dt, jnp.nan)
    return LyapunovSpectrum(
        exponents[order],
        standard_error(run.record)[order],
        history[:, order],
        time,
        run.state,
        run.basis,
        steps,
        defect,
        jnp.finfo(state.dtype).eps * run.noise / (factors * interval * dt),
        run.record,
        _result(run.record, run.state, exponents),
        interval,
    )


def _result(record: GrowthRecord, state: Array, exponents: Array) -> RESULTS:
    few = record.rows // record.width < FEWEST
    result = RESULTS.where(jnp.any(exponents == -jnp.inf), RESULTS.singular_jacobian, RESULTS.successful)
    exploded = ~jnp.all(jnp.isfinite(state)) | jnp.any(jnp.isnan(record.total))
    result = RESULTS.where(exploded, RESULTS.trajectory_exploded, result)
    return RESULTS.where(few & ~exploded, RESULTS.too_short, result)
