"""A branch of cycles."""

from typing import Any

import equinox as eqx

from .._results import RESULTS
from .._types import Array, Bool, Complex, Float, Int
from ..continuation import SpecialPoints
from ._cycle import Cycle


class CycleBranch(eqx.Module):
    """A curve of cycles in a parameter, N = 2 `num_steps` + 1 rows of which those with `mask` are in use, in order
    along the curve; the start is row `num_steps`.

    **Fields:**

    - `states (N, M, S)`, shooting nodes; `period (N,)`; `mu (N,)`; `mask (N,)`, contiguous.
    - `minimum (N, S)`, `maximum (N, S)`: of each state variable along the orbit; `amplitude (N, S)`, their difference.
    - `multipliers (N, S - 1)`, without the trivial one, largest modulus first; `trivial_error (N,)`; `unstable_dim
      (N,)`; `stable (N,)`.
    - `slope (N, 2)`: `(d log T, d mu)` along the branch, part of the unit tangent; their ratio is how the period
      depends on the parameter.
    - `residual (N,)`: 2-norm of the gaps.
    - `end (2,)`: a `continuation.End` for the first and the last row; `RANGE` means the end of `mu_range` or a bound on
      the period. `closed ()`: the branch is a loop.
    - `special_points`: `SpecialPoints` with K rows, of the kinds `CYCLE_FOLD`, `CYCLE_PERIOD_DOUBLING`, `CYCLE_TORUS`
      (its `omega` is the angle of the multipliers), `CYCLE_BRANCH_POINT`, and `HOPF` where the cycle shrinks to a fixed
      point and the branch ends. `state` is a state on the cycle. `special_period (K,)`: the periods there.
    - `result`: a `RESULTS` item.

    **Source:** Kuznetsov (2004), chapters 5 and 10.
    """

    states: Float[Array, "*batch N M S"]
    period: Float[Array, "*batch N"]
    mu: Float[Array, "*batch N"]
    mask: Bool[Array, "*batch N"]
    minimum: Float[Array, "*batch N S"]
    maximum: Float[Array, "*batch N S"]
    multipliers: Complex[Array, "*batch N F"]
    trivial_error: Float[Array, "*batch N"]
    unstable_dim: Int[Array, "*batch N"]
    stable: Bool[Array, "*batch N"]
    slope: Float[Array, "*batch N 2"]
    residual: Float[Array, "*batch N"]
    end: Int[Array, "*batch 2"]
    closed: Bool[Array, "*batch"]
    special_points: SpecialPoints
    special_period: Float[Array, "*batch K"]
    result: RESULTS

    @property
    def amplitude(self) -> Any:
        """Largest minus smallest value of each state variable along the orbit, shape `(N, S)`."""
        return self.maximum - self.minimum

    @property
    def count(self) -> Int[Array, "*batch"]:
        """Number of rows in use, shape `()`, or one number per branch of a batch."""
        return self.mask.sum(axis=-1)

    def cycle(self, row: int) -> Cycle:
        """One row as a `Cycle`, without derivatives.

        **Arguments:** `row`, an index into the N rows of one branch.

        **Returns:** a `Cycle` with states `(M, S)`.

        **Source:** Kuznetsov (2004), section 1.5.
        """
        return Cycle(
            states=self.states[row],
            period=self.period[row],
            multipliers=self.multipliers[row],
            trivial_error=self.trivial_error[row],
            unstable_dim=self.unstable_dim[row],
            stable=self.stable[row],
            residual=self.residual[row],
            result=RESULTS.successful,
        )
