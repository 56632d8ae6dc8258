"""The largest norm that a one-step Jacobian has anywhere in a box of states."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, ArrayLike, Float, Scalar
from ..cells import AbstractCell, ElmanCell, GRUCell, NCGRUCell
from ..cells._enclosure import affine, column
from ..fixed_points._precision import highest_precision
from ..fixed_points._tolerances import as_double
from ..linalg import intervals, spectral_norm
from ..linalg.intervals import Interval


class JacobianNormRange(eqx.Module):
    """Where the largest norm of the one-step Jacobian over a box lies: `measured <= max ||dh'/dh||_2 <= bound`.

    **Fields:** `bound ()`; `measured ()`, the largest norm found, that at `state (H,)`. `bound` is inf where the
    Jacobian is not bounded or the candidate jumps, nan for an empty box.

    **Source:** Rump (2010), section 5, for the enclosure; Moore (1966) for the subdivision.
    """

    bound: Scalar
    measured: Scalar
    state: Float[Array, " H"]


def jacobian_norm_range(
    cell: AbstractCell,
    input: Float[Array, " I"] | None = None,
    *,
    bounds: tuple[ArrayLike, ArrayLike] | None = None,
    splits: int = 64,
) -> JacobianNormRange:
    """The largest norm that the one-step Jacobian of a cell has in a box, from above and from below.

        [J] = I + diag(1 - z) ([dc/dh] - I) + diag(z (1 - z) (h - c)) U_z          over the box, by intervals
        ||J||_2 <= min(||mid [J]||_2 + ||rad [J]||_2,  || |[J]| ||_2)

    The box with the largest bound is halved, `splits` times, across the unit that the matrices see most of. The bound
    falls toward the maximum, for two units to within 2 % by 256 splits (10 ms), and hardly for many. A kink of modReLU
    counts with all slopes from 0 to 1. From below: the norm at the midpoints of all boxes.

    **Arguments:**

    - `cell`, a `GRUCell`, `ElmanCell` or `NCGRUCell`; `input (I,)` or `None` for zeros. Float64 is required; float32
      weights are taken as the numbers they are.
    - `bounds`, `(lower, upper)`, each `(H,)`; by default the trapping box of the cell.
    - `splits`, at least 0; the work is proportional to it.

    **Returns:** a `JacobianNormRange`. The enclosure of the Jacobian is rounded outward; to the singular values of its
    midpoint and radius `16 H` unit roundoffs are added, more than the error seen of LAPACK.

    **Raises:** `TypeError` for other cells; `ValueError` for a cell without a trapping box, wrong shapes, negative
    `splits`, and without float64.

    **Source:** Rump (2010), section 5; Moore (1966), chapter 4.
    """
    if not isinstance(cell, GRUCell | ElmanCell | NCGRUCell):
        raise TypeError(
            f"jacobian_norm_range: expected a GRUCell, ElmanCell or NCGRUCell, got {type(cell).__name__}, whose "
            "Jacobian has no enclosure"
        )
    if splits < 0:
        raise ValueError(f"jacobian_norm_range: splits must be at least 0, got {splits}")
    box = cell.bounds if bounds is None else bounds
    if box is None:
        raise ValueError(f"jacobian_norm_range: {type(cell).__name__} has no trapping box; give one as `bounds`")
    lower, upper = (jnp.asarray(end) for end in box)
    if lower.shape != (cell.hidden_size,) or upper.shape != lower.shape:
        raise ValueError(
            f"jacobian_norm_range: bounds must have shape ({cell.hidden_size},) each, got {lower.shape} and "
            f"{upper.shape}"
        )
    if input is not None and input.shape != (cell.input_size,):
        raise ValueError(f"jacobian_norm_range: input must have shape ({cell.input_size},), got {input.shape}")
    return _subdivide(*as_double((cell, input, lower, upper), "jacobian_norm_range"), splits)


def enclose_jacobian(cell: GRUCell | ElmanCell | NCGRUCell, box: Interval, input: Any = None) -> Interval:
    """Interval matrix that holds the one-step Jacobian of a cell at every state of a box.

    That of `cell.enclose` holds at fixed points only, where the term with the derivative of the gate vanishes.

    **Arguments:** `cell`; `box`, an `Interval` `(H,)`; `input (I,)` or `None`.

    **Returns:** `Interval (H, H)`.

    **Source:** chain rule on `h' = z h + (1 - z) c`; for modReLU, Clarke (1983), section 2.6.
    """
    if isinstance(cell, ElmanCell):
        return cell.enclose(box, input).step_jacobian
    keep = intervals.sigmoid(affine(cell.W_z, input, cell.U_z, box, cell.b_z))
    if isinstance(cell, GRUCell):
        made = cell.enclose(box, input)
        candidate, step = made.image, made.step_jacobian
    else:
        candidate, step = _enclose_modrelu(cell, box, input, keep)
    pull = intervals.times_nonnegative(intervals.sigmoid_slope(keep), box - candidate)
    return step + column(pull) * cell.U_z


def _enclose_modrelu(cell: NCGRUCell, box: Interval, input: Any, keep: Interval) -> tuple[Interval, Interval]:
    """Candidate, and the Jacobian of the step for a constant gate."""
    reset = intervals.sigmoid(affine(cell.W_r, input, cell.U_r, box, cell.b_r))
    drive = affine(cell.W_c, input, cell.U_c, intervals.times_nonnegative(reset, box), None)
    weight = intervals.times_nonnegative(intervals.sigmoid_slope(reset), box)
    identity = jnp.eye(cell.hidden_size)
    inner = intervals.matmul(cell.U_c, column(weight) * cell.U_r + column(reset) * identity)
    slope = column(intervals.modrelu_slope(drive, cell.b_c))
    opening = column(Interval(jnp.maximum((1 - keep).lower, 0.0), (1 - keep).upper))
    relaxed = intervals.times_nonnegative(slope, inner) - identity
    return intervals.modrelu(drive, cell.b_c), intervals.times_nonnegative(opening, relaxed) + identity


def _examine(cell: Any, input: Any, lower: Array, upper: Array) -> tuple[Array, Array, Array]:
    """Bound over a box, and the norm at its midpoint, with the midpoint."""
    box = Interval(lower, upper)
    jacobian, here = enclose_jacobian(cell, box, input), cell.jacobians(box.midpoint, input)[0]
    # One decomposition for all four.
    norms = spectral_norm(jnp.stack([jacobian.midpoint, jacobian.radius, jacobian.magnitude, here]))
    slack = 1 + 16 * cell.hidden_size * float(jnp.finfo(norms.dtype).eps)
    bound = jnp.minimum(norms[0] + norms[1], norms[2]) * slack
    # A jump of the candidate makes the radius infinite, and its norm nan.
    return jnp.where(jnp.isnan(bound), jnp.inf, bound), norms[3], box.midpoint


@eqx.filter_jit
@highest_precision
def _subdivide(cell: Any, input: Any, lower: Array, upper: Array, splits: int) -> JacobianNormRange:
    rows = splits + 1
    weight = _weights(cell)

    def halve(carry: tuple[Array, ...], number: Array) -> tuple[tuple[Array, ...], None]:
        """Look at two boxes, put them on the list, and cut the worst of the list in two."""
        pair, places, lowers, uppers, limits, best, where = carry
        found, norms, middles = jax.vmap(functools.partial(_examine, cell, input))(*pair)
        lowers, uppers = lowers.at[places].set(pair[0]), uppers.at[places].set(pair[1])
        # What holds in the whole holds in the half.
        limits = limits.at[places].set(jnp.minimum(found, limits[places[0]]))
        better = jnp.argmax(norms)
        improved = norms[better] > best
        best, where = jnp.where(improved, norms[better], best), jnp.where(improved, middles[better], where)
        worst = jnp.argmax(limits)
        low, high = lowers[worst], uppers[worst]
        side = jnp.argmax(weight * (high - low))
        cut = Interval(low[side], high[side]).midpoint
        pair = jnp.stack([jnp.stack([low, low.at[side].set(cut)]), jnp.stack([high.at[side].set(cut), high])])
        places = jnp.stack([worst.astype(number.dtype), number + 1])
        return (pair, places, lowers, uppers, limits, best, where), None

    # The whole box stands for both halves at first; the last cut is not looked at.
    whole = jnp.stack([jnp.stack([lower, lower]), jnp.stack([upper, upper])])
    boxes = jnp.zeros((rows, *lower.shape), lower.dtype)
    limits = jnp.full((rows,), -jnp.inf, lower.dtype).at[0].set(jnp.inf)
    nothing = jnp.asarray(-jnp.inf, lower.dtype)
    start = whole, jnp.zeros((2,), jnp.int32), boxes, boxes, limits, nothing, lower
    carry, _ = jax.lax.scan(halve, start, jnp.arange(rows, dtype=jnp.int32))
    empty = jnp.any(lower > upper)
    bound, measured = (jnp.where(empty, jnp.nan, value) for value in (jnp.max(carry[4]), carry[5]))
    return JacobianNormRange(bound, measured, carry[6])


def _weights(cell: GRUCell | ElmanCell | NCGRUCell) -> Array:
    """How much the Jacobian sees of each unit: the columns of all recurrent matrices."""
    matrices = [cell.U] if isinstance(cell, ElmanCell) else [U for U in (cell.U_r, cell.U_z, cell.U_c) if U is not None]
    columns = jnp.stack([jnp.linalg.norm(U, axis=0) for U in matrices])
    return 1e-6 + jnp.sum(columns, axis=0, dtype=columns.dtype)
