"""Further fixed points from those that are known."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import RESULTS
from .._types import Array, Bool, Float, Scalar
from ..fixed_points._merge import merge
from ..fixed_points._precision import highest_precision
from ..fixed_points._tolerances import merge_distance, residual_tolerance
from ..linalg import solve
from ..linalg._implicit import freeze
from ..systems import AbstractSystem

_HALVINGS = 12
_POLISH = 3


class DeflatedPoints(eqx.Module):
    """Fixed points found by deflation, padded to M = `max_new` rows.

    **Fields:** `resting (M, R)`, resting states, new ones only; `mask (M,)`, which rows hold one; `residual (M,)`, the
    largest component of the gate-free residual, inf in padding; `result`, a `RESULTS` item: `max_points_reached` when
    there may be more.

    **Source:** Farrell, Birkisson & Funke (2015).
    """

    resting: Float[Array, "*batch M R"]
    mask: Bool[Array, "*batch M"]
    residual: Float[Array, "*batch M"]
    result: RESULTS


def deflated_fixed_points(
    system: AbstractSystem,
    known: Float[Array, "K R"],
    mask: Bool[Array, " K"],
    guesses: Float[Array, "G R"],
    *,
    max_new: int = 16,
    max_steps: int = 60,
    power: float = 2.0,
    shift: float = 1.0,
) -> DeflatedPoints:
    """Fixed points that are not among the known ones, by Newton's method on the deflated residual

        G(x) = M(x) F(x),    M(x) = prod_i (|x - x_i|^-power + shift)

    which has the zeros of F but for the known ones. A Newton step of G is one of F times a number:

        step = d / (1 - d . grad log M),    d = -F'^-1 F

    All guesses are iterated at once, each halved until `|G|` falls; what is new joins the known points, and all guesses
    start again, until none leads to anything new.

    **Arguments:** `system`; `known (K, R)`, resting states, of which those with `mask (K,)` count; `guesses (G, R)`,
    for example the fixed points of a neighbouring parameter, or the known points themselves; `max_new`, rows of the
    result; `max_steps` of Newton's method from each guess; `power` and `shift` of the deflation.

    **Returns:** `DeflatedPoints`, in the order in which they were found. Works under `jax.vmap`.

    **Raises:** `ValueError` when the shapes do not fit.

    **Source:** Farrell, Birkisson & Funke (2015), Deflation techniques for finding distinct solutions of nonlinear
    partial differential equations, sections 2 and 3.
    """
    if known.shape[1] != guesses.shape[1]:
        raise ValueError(
            f"deflated_fixed_points: known points have {known.shape[1]} components, guesses {guesses.shape[1]}"
        )
    dtype = guesses.dtype
    options = jnp.asarray(power, dtype), jnp.asarray(shift, dtype)
    arrays = jax.lax.stop_gradient((known.astype(dtype), mask, guesses))
    return _deflated(freeze(system), *arrays, max_new, max_steps, *options)


@eqx.filter_jit
@highest_precision
def _deflated(
    system: AbstractSystem,
    known: Float[Array, "K R"],
    mask: Bool[Array, " K"],
    guesses: Float[Array, "G R"],
    max_new: int,
    max_steps: int,
    power: Scalar,
    shift: Scalar,
) -> DeflatedPoints:
    first, size = known.shape
    dtype = guesses.dtype
    distance = merge_distance(dtype)

    def search(carry: tuple) -> tuple:
        points, used, _ = carry
        ends, residual = jax.vmap(lambda x: _newton(system, points, used, x, max_steps, power, shift))(guesses)
        good = residual <= residual_tolerance(dtype)
        label = merge(jnp.concatenate([points, ends]), jnp.concatenate([used, good]), distance)
        new = (label == jnp.arange(label.size, dtype=label.dtype))[points.shape[0] :]
        count = jnp.sum(used[first:], dtype=jnp.int32)
        row = jnp.where(new, first + count + jnp.cumsum(new, dtype=jnp.int32) - 1, points.shape[0])
        points, used = points.at[row].set(ends, mode="drop"), used.at[row].set(True, mode="drop")
        return points, used, jnp.any(new)

    def unfinished(carry: tuple) -> Bool[Array, ""]:
        return carry[2] & ~carry[1][-1]

    points = jnp.concatenate([known, jnp.zeros((max_new, size), dtype)])
    used = jnp.concatenate([mask, jnp.zeros((max_new,), bool)])
    points, used, _ = jax.lax.while_loop(unfinished, search, (points, used, jnp.ones((), bool)))
    points, used = points[first:], used[first:]
    residual = jnp.max(jnp.abs(jax.vmap(system.residual)(points)), axis=1)
    result = RESULTS.where(used[-1], RESULTS.max_points_reached, RESULTS.successful)
    return DeflatedPoints(jnp.where(used[:, None], points, 0), used, jnp.where(used, residual, jnp.inf), result)


def _log_deflation(
    x: Float[Array, " R"], points: Float[Array, "P R"], used: Bool[Array, " P"], power: Scalar, shift: Scalar
) -> tuple[Scalar, Float[Array, " R"]]:
    """`log M` and its gradient, which neither over- nor underflow however many points there are."""
    gap = x[None] - points
    square = jnp.where(used, jnp.sum(gap**2, axis=1), 1)
    square = jnp.maximum(square, jnp.finfo(x.dtype).tiny)
    near = square ** (-power / 2)
    slope = jnp.where(used, -power * near / ((near + shift) * square), 0)
    return jnp.sum(jnp.where(used, jnp.log(near + shift), 0)), slope @ gap


def _newton(
    system: AbstractSystem,
    points: Float[Array, "P R"],
    used: Bool[Array, " P"],
    guess: Float[Array, " R"],
    max_steps: int,
    power: Scalar,
    shift: Scalar,
) -> tuple[Float[Array, " R"], Scalar]:
    """Where the deflated Newton's method ends, and the residual there."""
    shares = 0.5 ** jnp.arange(_HALVINGS, dtype=guess.dtype)

    def merit(x: Float[Array, " R"]) -> Scalar:
        value = jnp.log(jnp.linalg.norm(system.residual(x))) + _log_deflation(x, points, used, power, shift)[0]
        return jnp.where(jnp.isnan(value), jnp.inf, value)

    def plain(x: Float[Array, " R"]) -> Float[Array, " R"]:
        return solve(system.residual_jacobian(x), -system.residual(x))

    def body(carry: tuple) -> tuple:
        x, present, _, number = carry
        d = plain(x)
        step = d / (1 - jnp.dot(d, _log_deflation(x, points, used, power, shift)[1]))
        trials = x[None] + shares[:, None] * step[None]
        values = jax.vmap(merit)(trials)
        # The longest step that lets |G| fall at all.
        better = values < present
        pick = jnp.argmax(better)
        going = jnp.any(better)
        length = jnp.max(jnp.abs(trials[pick] - x)) / (1 + jnp.max(jnp.abs(x)))
        new = jnp.where(going, trials[pick], x)
        return new, jnp.where(going, values[pick], present), jnp.where(going, length, 0), number + 1

    def unfinished(carry: tuple) -> Bool[Array, ""]:
        return (carry[2] > 1e-9) & (carry[3] < max_steps)

    # A guess that is a known point is where G is infinite.
    apart = jnp.sin(jnp.arange(1, guess.size + 1, dtype=guess.dtype))
    touching = jnp.any(used & (jnp.max(jnp.abs(points - guess[None]), axis=1) < 1e-3))
    start = jnp.where(touching, guess + 1e-2 * (1 + jnp.max(jnp.abs(guess))) * apart, guess)
    zero = jnp.zeros((), jnp.int32)
    x, _, _, _ = jax.lax.while_loop(unfinished, body, (start, merit(start), jnp.full((), jnp.inf, guess.dtype), zero))
    x = jax.lax.fori_loop(0, _POLISH, lambda _, x: x + plain(x), x)
    residual = jnp.max(jnp.abs(system.residual(x)))
    return x, jnp.where(jnp.isfinite(residual), residual, jnp.inf)
