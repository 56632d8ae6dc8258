"""What an enumeration with proof asks of a cell."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp

from .._types import Array
from ..linalg import intervals
from ..linalg.intervals import Interval


class CellEnclosure(NamedTuple):
    """Boxes that hold what a cell does anywhere in a box of resting states.

    **Fields** (R resting, S state variables), all `Interval`:

    - `image (R,)`: G(h), whose fixed points `G(h) = h` are the cell's; the candidate of a gated cell.
    - `image_jacobian (R, R)`: dG/dh.
    - `step_jacobian (S, S)`, `velocity_jacobian (S, S)`: derivatives of the step and of the unit-time velocity at the
      **fixed points** in the box, and only there.

    **Source:** the residual is `G(h) - h`, free of the update gate: Jordan, Sokół, Park (2019), eq. 7.
    """

    image: Interval
    image_jacobian: Interval
    step_jacobian: Interval
    velocity_jacobian: Interval


@runtime_checkable
class Enclosable(Protocol):
    """A cell that can be enumerated: it has a method `enclose`, like `GRUCell` and `ElmanCell`.

    Give your own cell one, built from `gd.linalg.intervals`, and `enumerate_fixed_points` and `verify_point` work on
    it. Every number that the cell can produce from a member of `resting` must lie in the returned intervals; that is
    all that proofs rest on. Wide intervals are not wrong, only slow.

    **Shapes:** `resting`, an `Interval` `(R,)`; `input (I,)` or `None` for zeros.

    **Source:** Rump (2010), section 5, inclusion functions.
    """

    def enclose(self, resting: Interval, input: Any = None) -> CellEnclosure:
        """What the cell does in the box `resting`."""
        ...


def enclose_gated(candidate: Interval, candidate_state: Interval, keep: Interval) -> CellEnclosure:
    """The `CellEnclosure` of `h' = z h + (1 - z) c`.

        d velocity / dh = diag(1 - z) (dc/dh - I)       where c = h: the term with dz/dh has the factor c - h
        d step / dh = I + d velocity / dh

    **Arguments:** `candidate` c `(H,)`, `candidate_state` dc/dh `(H, H)` and `keep` z `(H,)`, all `Interval`.

    **Returns:** `CellEnclosure`.

    **Source:** Jordan, Sokół, Park (2019), eq. 7.
    """
    identity = jnp.eye(candidate.shape[0])
    opening = Interval(jnp.maximum((1 - keep).lower, 0.0), (1 - keep).upper)
    velocity = intervals.times_nonnegative(column(opening), candidate_state - identity)
    return CellEnclosure(candidate, candidate_state, velocity + identity, velocity)


def column(value: Interval) -> Interval:
    """`(n,)` as `(n, 1)`."""
    return value[:, None]


def affine(W: Array, x: Array | None, U: Array, h: Interval, b: Array | None) -> Interval:
    """Enclosure of `W x + U h + b`."""
    total = intervals.matvec(U, h)
    if x is not None and x.size:
        total = total + intervals.matvec(W, x)
    return total if b is None else total + b
