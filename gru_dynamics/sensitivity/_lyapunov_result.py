"""What is known about the exponents after a run."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._results import RESULTS
from .._types import Array, Float, Int
from ._lyapunov_record import GrowthRecord


class LyapunovSpectrum(eqx.Module):
    """Lyapunov exponents with error bars, and everything needed to go on (`lyapunov_spectrum(..., start=this)`).

    **Fields** (k exponents, S state variables, B = 128 blocks):

    - `exponents (k,)`, descending, per step of a map or per unit of time of a flow; `-inf` for directions that singular
      Jacobians wipe out.
    - `standard_error (k,)`: the mean over an infinite run lies within `1.96 standard_error` in 95 % of runs, however
      the growth is correlated in time; nan where too few steps are left to tell. Where fluctuations cancel in the long
      run (linear maps, conjugacies such as the logistic map at r = 4) the bar is too long.
    - `history (B, k)`, the running estimate, and `time (B,)`, after how many steps or how much time; nan in unused
      rows.
    - `state (S,)`, `basis (S, k)`: where the run ended, and its orthonormal tangent vectors there.
    - `num_steps ()`: steps that were counted, in all runs so far.
    - `interval`: steps between two orthonormalisations.
    - `volume_defect ()`: `|sum of exponents - mean log |det J||`, zero but for rounding, measured on rows along the
      whole run against determinants of Jacobians; nan for a part of the spectrum.
    - `rounding ()`: what rounding may have changed in the exponents.
    - `record`: growth in blocks.
    - `result`: a `RESULTS` item.

    **Source:** Benettin et al. (1980), part 2; Geist, Parlitz, Lauterborn (1990), section 3.
    """

    exponents: Float[Array, "*batch k"]
    standard_error: Float[Array, "*batch k"]
    history: Float[Array, "*batch B k"]
    time: Float[Array, "*batch B"]
    state: Float[Array, "*batch S"]
    basis: Float[Array, "*batch S k"]
    num_steps: Int[Array, "*batch"]
    volume_defect: Float[Array, "*batch"]
    rounding: Float[Array, "*batch"]
    record: GrowthRecord
    result: RESULTS
    interval: int = eqx.field(static=True)

    @property
    def entropy(self) -> Float[Array, "*batch"]:
        """Sum of the positive exponents, shape `()`: a bound on the metric entropy, in nats per step or unit of time,
        reached by smooth invariant measures (Pesin)."""
        return jnp.sum(jnp.maximum(self.exponents, 0), axis=-1)

    @property
    def kaplan_yorke(self) -> Float[Array, "*batch"]:
        """Kaplan-Yorke dimension `j + (l_1 + ... + l_j) / |l_{j+1}|`, shape `()`, j the most exponents whose sum is
        not negative; nan when more exponents are needed to tell."""
        sums = jnp.cumsum(self.exponents, axis=-1)
        count = jnp.sum(jnp.cumprod(sums >= 0, axis=-1, dtype=jnp.int32), axis=-1, keepdims=True)
        number = self.exponents.shape[-1]
        reached = jnp.take_along_axis(sums, jnp.maximum(count - 1, 0), axis=-1)
        following = jnp.take_along_axis(self.exponents, jnp.minimum(count, number - 1), axis=-1)
        whole = count.astype(sums.dtype)
        part = jnp.where(count > 0, reached / jnp.where(following < 0, jnp.abs(following), 1), 0)
        beyond = float(number) if number == self.state.shape[-1] else jnp.nan
        dimension = jnp.where(count < number, whole + part, beyond)[..., 0]
        return jnp.where(jnp.any(jnp.isnan(self.exponents), axis=-1), jnp.nan, dimension)

    @property
    def nearest_zero(self) -> Float[Array, "*batch"]:
        """The exponent nearest to zero, shape `()`. Any bounded trajectory of a flow that does not end at a fixed
        point has one exponent zero, so this is a check on the run."""
        closest = jnp.argmin(jnp.abs(self.exponents), axis=-1, keepdims=True)
        return jnp.take_along_axis(self.exponents, closest, axis=-1)[..., 0]

    def table(self) -> str:
        """Exponents with their 95 % intervals as text, for one spectrum; no arrays of any shape."""
        if self.exponents.ndim != 1:
            raise ValueError("LyapunovSpectrum.table: this is a batch; pick one with jax.tree.map(lambda x: x[i], it)")
        values, bars = np.asarray(self.exponents), 1.96 * np.asarray(self.standard_error)
        rows = [f"{'':>4} {'exponent':>14} {'+- (95 %)':>10}"]
        rows += [f"{i + 1:>4} {values[i]:>14.7f} {bars[i]:>10.1e}" for i in range(len(values))]
        return "\n".join(rows)
