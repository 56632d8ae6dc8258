"""The list of fixed points of one system."""

import enum

import equinox as eqx
import numpy as np

from .._results import RESULTS
from .._types import Array, Bool, Complex, Float, Int


class Kind(enum.IntEnum):
    """Stability of a fixed point, an integer code in arrays of any shape.

    `SINK`: all directions contract. `SOURCE`: all expand. `SADDLE`: some of each. `DEGENERATE`: an eigenvalue on the
    stability boundary within the tolerance. `NONE`: padding.

    **Source:** Kuznetsov (2004), section 2.2; names as in Jordan, Sokół, Park (2019).
    """

    NONE = 0
    SINK = 1
    SADDLE = 2
    SOURCE = 3
    DEGENERATE = 4


class Completeness(enum.IntEnum):
    """What is known about the completeness of a list of fixed points, an integer code of shape `()`.

    - `INCOMPLETE`: the indices do not sum to +1, or a degenerate point leaves the sum open: points may be missing.
    - `CONSISTENT`: the sum is +1, as it must be. Points can only be missing in sets whose indices cancel.
    - `CERTIFIED`: an enumeration has proven the count.
    - `UNKNOWN`: the system has no trapping box, so there is nothing to check against.

    **Source:** Lefschetz (1926); the index sum over a box mapped into itself is +1.
    """

    INCOMPLETE = 0
    CONSISTENT = 1
    CERTIFIED = 2
    UNKNOWN = 3


class FixedPoints(eqx.Module):
    """Fixed points of one system, padded to K = `max_points` rows; rows beyond the count have `mask` False.

    Rows are ordered by unstable dimension, then by the first coordinate.

    **Fields:**

    - `state (K, S)`: the points, differentiable in the system. `mask (K,)`: which rows hold one.
    - `kind (K,)`: a `Kind`. `unstable_dim (K,)`: eigenvalues outside the unit circle (map) or in the right half plane
      (flow). `focus (K,)`: a complex pair, in two dimensions only.
    - `eigenvalues (K, S)`: of the map's or the flow's Jacobian, differentiable where simple; largest modulus (map)
      or real part (flow) first.
    - `residual (K,)`: largest component of the gate-free residual. `index (K,)`: sign det(-d residual), 0 if singular.
    - `hits (K,)`: how many guesses ended at the point.
    - `proven (K,)`: whether it is proven that exactly one fixed point lies within `radius (K,)` of the resting state in
      every component; `radius` is inf where nothing was proven or asked for.
    - `index_sum ()`: sum of the indices. `complete ()`: a `Completeness`.
    - `num_guesses ()`, `num_converged ()`: guesses used, reseeding included, and how many reached a fixed point;
      `num_reseeds ()`: rounds of reseeding.
    - `result`: a `RESULTS` item.

    **Source:** DESIGN of the trapping-box certificate: Lefschetz (1926); residual: Jordan, Sokół, Park (2019), eq. 7.
    """

    state: Float[Array, "*batch K S"]
    mask: Bool[Array, "*batch K"]
    kind: Int[Array, "*batch K"]
    unstable_dim: Int[Array, "*batch K"]
    focus: Bool[Array, "*batch K"]
    eigenvalues: Complex[Array, "*batch K S"]
    residual: Float[Array, "*batch K"]
    index: Int[Array, "*batch K"]
    hits: Int[Array, "*batch K"]
    proven: Bool[Array, "*batch K"]
    radius: Float[Array, "*batch K"]
    index_sum: Int[Array, "*batch"]
    complete: Int[Array, "*batch"]
    num_guesses: Int[Array, "*batch"]
    num_converged: Int[Array, "*batch"]
    num_reseeds: Int[Array, "*batch"]
    result: RESULTS

    @property
    def count(self) -> Int[Array, "*batch"]:
        """Number of points, shape `()`, or one number per system of a batch."""
        return self.mask.sum(axis=-1)

    def table(self, max_rows: int = 60) -> str:
        """The list as text, one line per point, for one system (not a batch)."""
        if self.mask.ndim != 1:
            raise ValueError(
                "FixedPoints.table: this is a batch; pick one system with jax.tree.map(lambda x: x[i], ...)"
            )
        rows = np.flatnonzero(np.asarray(self.mask))
        proven = bool(np.asarray(self.proven).any())
        head = f"{'#':>4}  {'kind':<15} {'unstable':>8}  {'leading eigenvalue':>22}  {'residual':>8}  {'hits':>6}  "
        lines = [f"{head}{'proven  ' * proven}state"]
        for number, row in enumerate(rows[:max_rows]):
            state = " ".join(f"{x:+.4f}" for x in np.asarray(self.state[row])[:6])
            more = " ..." if self.state.shape[-1] > 6 else ""
            lines.append(
                f"{number:>4}  {self.describe(int(row)):<15} {int(self.unstable_dim[row]):>8}  "
                f"{_complex_text(complex(self.eigenvalues[row, 0])):>22}  {float(self.residual[row]):8.1e}  "
                f"{int(self.hits[row]):>6}  {self._radius_text(int(row)) * proven}{state}{more}"
            )
        if rows.size > max_rows:
            lines.append(f"      ... and {rows.size - max_rows} more")
        return "\n".join([*lines, self.summary()])

    def _radius_text(self, row: int) -> str:
        return f"{float(self.radius[row]):6.0e}  " if self.proven[row] else "    no  "

    def summary(self) -> str:
        """One line: the counts, the index sum and what it says."""
        kinds, unstable = np.asarray(self.kind), np.asarray(self.unstable_dim)[np.asarray(self.mask)]
        counts = [
            f"{n} {kind.name.lower()}{'s' if n != 1 and kind is not Kind.DEGENERATE else ''}"
            for kind in (Kind.SINK, Kind.SADDLE, Kind.SOURCE, Kind.DEGENERATE)
            if (n := int((kinds == kind).sum()))
        ]
        dims = "/".join(str(n) for n in np.bincount(unstable)) if unstable.size else "none"
        return (
            f"{int(self.count)} fixed points ({', '.join(counts) or 'none'}); by unstable dimension 0, 1, ...: {dims}; "
            f"index sum {int(self.index_sum):+d}: {Completeness(int(self.complete)).name.lower()}"
        )

    def describe(self, row: int) -> str:
        """Kind of one row in words, with node or focus in two dimensions."""
        kind = Kind(int(self.kind[row]))
        if self.state.shape[-1] != 2 or kind not in (Kind.SINK, Kind.SOURCE):
            return kind.name.lower()
        return f"{kind.name.lower()} ({'focus' if bool(self.focus[row]) else 'node'})"


def _complex_text(value: complex) -> str:
    if value.imag == 0:
        return f"{value.real:+.6f}"
    return f"{value.real:+.6f}{value.imag:+.6f}i"
