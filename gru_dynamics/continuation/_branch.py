"""A branch of fixed points, and what is special on it."""

import equinox as eqx
import numpy as np

from .._results import RESULTS
from .._types import Array, Bool, Complex, Float, Int
from ._kinds import Location, SpecialKind
from ._step import Lane


class SpecialPoints(eqx.Module):
    """Special points of a branch in their order along it, padded to K rows.

    **Fields:**

    - `kind (K,)`: a `SpecialKind`. `mask (K,)`: which rows hold a point.
    - `mu (K,)`, or `(K, 2)` on curves of bifurcations, and `state (K, S)`: where. For a point that is only bracketed
      the
      row of the branch next to it.
    - `omega (K,)`: angular frequency (Hopf) or angle per step (Neimark-Sacker), else 0.
    - `coefficient (K,)`: of the normal form, nan where it is not known.
    - `multiplicity (K,)`: eigenvalues or pairs that cross at once.
    - `bracket (K, 2)`, or `(K, 2, 2)`: parameters of the two rows between which it lies. `row (K,)`: the first of them.
    - `residual (K,)`: largest residual of the equations that define it. `location (K,)`: a `Location`.

    **Source:** the status and the bracket of every point follow BifurcationKit.jl.
    """

    kind: Int[Array, "*batch K"]
    mask: Bool[Array, "*batch K"]
    mu: Float[Array, "*batch_K_p"]
    state: Float[Array, "*batch K S"]
    omega: Float[Array, "*batch K"]
    coefficient: Float[Array, "*batch K"]
    multiplicity: Int[Array, "*batch K"]
    bracket: Float[Array, "*batch_K_2_p"]
    row: Int[Array, "*batch K"]
    residual: Float[Array, "*batch K"]
    location: Int[Array, "*batch K"]

    def table(self) -> str:
        """The list as text, one line per point, for one branch (not a batch)."""
        if self.mask.ndim != 1:
            raise ValueError(
                "SpecialPoints.table: this is a batch; pick one branch with jax.tree.map(lambda x: x[i], ...)"
            )
        lines = [f"{'kind':<26} {'parameter':>24} {'omega':>10} {'coefficient':>12}  {'residual':>8}  state"]
        for row in np.flatnonzero(np.asarray(self.mask)):
            kind = SpecialKind(int(self.kind[row])).name.replace("_", " ").lower()
            if int(self.location[row]) == Location.BRACKETED:
                kind += " (bracketed)"
            mu = " ".join(f"{m:+.10f}" for m in np.atleast_1d(np.asarray(self.mu[row])))
            state = " ".join(f"{x:+.4f}" for x in np.asarray(self.state[row])[:6])
            omega = f"{float(self.omega[row]):.6f}" if self.omega[row] else ""
            more = " ..." if self.state.shape[-1] > 6 else ""
            lines.append(
                f"{kind:<26} {mu:>24} {omega:>10} {float(self.coefficient[row]):>+12.6f}  "
                f"{float(self.residual[row]):8.1e}  {state}{more}"
            )
        return "\n".join(lines)


class Branch(eqx.Module):
    """A curve of fixed points, N = 2 `num_steps` + 1 rows of which those with `mask` are in use, in order along the
    curve; the start is row `num_steps`.

    **Fields:**

    - `state (N, S)`; `mu (N,)`; `mask (N,)`, contiguous.
    - `tangent (N, R + 1)`: direction `(dx, dmu)` of the branch, of unit length in the method's metric.
    - `eigenvalues (N, S)`: of the map's or flow's Jacobian, most unstable first; `(N, k)` with `Krylov`.
    - `unstable_dim (N,)`; `stable (N,)`.
    - `residual (N,)`: largest component of the gate-free residual.
    - `end (2,)`: an `End` for the first and the last row. `closed ()`: the branch is a loop; its last row is its first.
    - `special_points`: a `SpecialPoints`. `result`: a `RESULTS` item for the branch as a whole.
    - `lanes`: what `extend_branch` goes on from.

    **Source:** Kuznetsov (2004), chapter 10; the words are those of BifurcationKit.jl.
    """

    state: Float[Array, "*batch N S"]
    mu: Float[Array, "*batch_N_p"]
    mask: Bool[Array, "*batch N"]
    tangent: Float[Array, "*batch N u"]
    orientation: Float[Array, "*batch N"]
    eigenvalues: Complex[Array, "*batch N k"]
    unstable_dim: Int[Array, "*batch N"]
    stable: Bool[Array, "*batch N"]
    residual: Float[Array, "*batch N"]
    end: Int[Array, "*batch 2"]
    closed: Bool[Array, "*batch"]
    special_points: SpecialPoints
    result: RESULTS
    lanes: Lane

    @property
    def count(self) -> Int[Array, "*batch"]:
        """Number of rows in use, shape `()`, or one number per branch of a batch."""
        return self.mask.sum(axis=-1)
