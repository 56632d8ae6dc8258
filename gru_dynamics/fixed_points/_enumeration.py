"""What an enumeration has proven."""

import equinox as eqx
import numpy as np

from .._results import RESULTS
from .._types import Array, Bool, Float, Int
from ._points import Completeness, FixedPoints, Kind

# Upper end of `Enumeration.count` when an undecided cluster may hold any number of points.
NO_BOUND = 2**31 - 1


class Clusters(eqx.Module):
    """Places of which the enumeration could not decide how many fixed points they hold, padded to C rows.

    Typically a degenerate point, two points closer than `min_width`, or what a spent budget left over.

    **Fields:**

    - `lower`, `upper (C, R)`: the hull of the undecided boxes; `mask (C,)`: which rows hold one.
    - `degree (C,)`: the topological degree, which is the sum of the indices of the fixed points that are not listed as
      proven, where `degree_proven (C,)`. A fold has degree 0; a degree other than 0 needs a fixed point.

    **Source:** Kearfott (1979) for the degree.
    """

    lower: Float[Array, "*batch C R"]
    upper: Float[Array, "*batch C R"]
    mask: Bool[Array, "*batch C"]
    degree: Int[Array, "*batch C"]
    degree_proven: Bool[Array, "*batch C"]


class Enumeration(eqx.Module):
    """Every fixed point in a box, each proven, and what is left undecided; padded to K = `max_points` rows.

    Outside the proven boxes and the clusters there is no fixed point: that, too, is proven, unless `result` says that a
    limit was reached.

    **Fields:**

    - `points`: the `FixedPoints` `(K, ...)`, every row `proven`, with `complete` as below.
    - `lower`, `upper (K, R)`: box of resting states that holds exactly one fixed point, a few rounding errors wide.
    - `kind_proven (K,)`: whether `points.kind` and `points.unstable_dim` follow from an enclosure of the eigenvalues.
    - `clusters`: a `Clusters`. `num_clusters ()`.
    - `count (2,)`: the number of fixed points is at least `count[0]` and at most `count[1]`, `NO_BOUND` if unknown.
    - `num_boxes ()`: boxes looked at. `result`: a `RESULTS` item.

    **Source:** Krawczyk (1969); Hansen & Walster (2004), chapter 11.
    """

    points: FixedPoints
    lower: Float[Array, "*batch K R"]
    upper: Float[Array, "*batch K R"]
    kind_proven: Bool[Array, "*batch K"]
    clusters: Clusters
    count: Int[Array, "*batch 2"]
    num_boxes: Int[Array, "*batch"]
    result: RESULTS

    @property
    def state(self) -> Float[Array, "*batch K S"]:
        return self.points.state

    @property
    def mask(self) -> Bool[Array, "*batch K"]:
        return self.points.mask

    @property
    def kind(self) -> Int[Array, "*batch K"]:
        return self.points.kind

    @property
    def unstable_dim(self) -> Int[Array, "*batch K"]:
        return self.points.unstable_dim

    @property
    def index_sum(self) -> Int[Array, "*batch"]:
        return self.points.index_sum

    @property
    def complete(self) -> Int[Array, "*batch"]:
        """`Completeness.CERTIFIED` when the count is proven, else `INCOMPLETE`."""
        return self.points.complete

    @property
    def num_clusters(self) -> Int[Array, "*batch"]:
        return self.clusters.mask.sum(axis=-1, dtype=np.int32)

    def table(self, max_rows: int = 60) -> str:
        """The proven points as text, then the clusters and the summary, for one system (not a batch)."""
        lines = self.points.table(max_rows).splitlines()[:-1]
        for row in np.flatnonzero(np.asarray(self.clusters.mask)):
            low, high = (np.asarray(end)[row] for end in (self.clusters.lower, self.clusters.upper))
            place = " ".join(f"{x:+.6f}" for x in (low + high)[:6] / 2)
            degree = (
                f"degree {int(self.clusters.degree[row]):+d}" if self.clusters.degree_proven[row] else "degree unknown"
            )
            lines.append(f"   ?  undecided, {np.max(high - low):.1e} wide, {degree}, at {place}")
        return "\n".join([*lines, self.summary()])

    def summary(self) -> str:
        """One line: the proven count, kinds, and what is open."""
        low, high = (int(end) for end in np.asarray(self.count))
        if int(self.complete) == Completeness.CERTIFIED:
            number = f"exactly {low} fixed point{'s' if low != 1 else ''}"
        else:
            number = f"at least {low} fixed point{'s' if low != 1 else ''}"
            number += "" if high == NO_BOUND else f", at most {high}"
        kinds, proven = (
            np.asarray(self.kind)[np.asarray(self.mask)],
            np.asarray(self.kind_proven)[np.asarray(self.mask)],
        )
        parts = [
            f"{n} {kind.name.lower()}{'s' if n != 1 else ''}"
            for kind in (Kind.SINK, Kind.SADDLE, Kind.SOURCE)
            if (n := int(((kinds == kind) & proven).sum()))
        ]
        parts += [f"{n} of unproven stability"] if (n := int((~proven).sum())) else []
        clusters = int(self.num_clusters)
        parts += [f"{clusters} undecided cluster{'s' if clusters != 1 else ''}"] if clusters else []
        text = RESULTS[self.result]
        return f"{number} ({', '.join(parts) or 'none'}); {int(self.num_boxes)} boxes" + (f". {text}" if text else "")
