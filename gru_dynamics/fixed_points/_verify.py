"""The verb: proof that one approximate fixed point is near a true one."""

import equinox as eqx
import jax.numpy as jnp

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayLike, Bool, Float, Int
from ..linalg.intervals import Interval
from ..linalg.intervals._rounding import up
from ..systems import AbstractSystem
from ._classify import stability
from ._levenberg_marquardt import largest
from ._points import Kind
from ._precision import highest_precision
from ._proof import count_unstable, prove_existence, uniqueness_radius
from ._tolerances import as_double, degenerate_tolerance


class VerifiedPoint(eqx.Module):
    """What is proven about one fixed point.

    **Fields:**

    - `state (S,)`: the point, polished. `residual ()`: largest component of the residual there.
    - `proven ()`: whether a fixed point exists within `radius ()` of the resting part of `state`, in every component,
      and is the only one within `unique_radius ()`. `lower`, `upper (R,)`: the box that holds it.
    - `index ()`: sign det(-d residual), 0 if not proven. `unstable_dim ()` and `kind ()`, a `Kind`, and whether both
      are proven, `kind_proven ()`; else they are those of floating-point eigenvalues.
    - `result`: a `RESULTS` item.

    **Source:** Rump (2010), section 13.
    """

    state: Float[Array, "*batch S"]
    residual: Float[Array, "*batch"]
    proven: Bool[Array, "*batch"]
    radius: Float[Array, "*batch"]
    unique_radius: Float[Array, "*batch"]
    lower: Float[Array, "*batch R"]
    upper: Float[Array, "*batch R"]
    index: Int[Array, "*batch"]
    unstable_dim: Int[Array, "*batch"]
    kind: Int[Array, "*batch"]
    kind_proven: Bool[Array, "*batch"]
    result: RESULTS

    def summary(self) -> str:
        """One line in words, for one point (not a batch)."""
        if not bool(self.proven):
            return f"not proven: {RESULTS[self.result]}"
        sure = "proven" if bool(self.kind_proven) else "by floating-point eigenvalues"
        return (
            f"proven: exactly one fixed point within {float(self.unique_radius):.1e}, and it is within "
            f"{float(self.radius):.1e}; {Kind(int(self.kind)).name.lower()} with {int(self.unstable_dim)} unstable "
            f"directions ({sure})"
        )


def verify_point(system: AbstractSystem, state: ArrayLike, *, throw: bool = True) -> VerifiedPoint:
    """Proof that there is exactly one fixed point near an approximate one, how near, and whether it is stable.

        |Y f(m)| + |I - Y f'(X)| rad(X) < rad(X)        for a box X around m and an approximate inverse Y of f'

    by Krawczyk's theorem, with every rounding error bounded. Stability by trace and determinant in the plane, by
    Gershgorin discs of the diagonalised Jacobian beyond. Meant for up to some 500 units: a few matrix products and one
    eigenvalue decomposition.

    **Arguments:** `system`, a map or flow with an enclosure (see `enumerate_fixed_points`), in float64; `state`, shape
    `(S,)`, near a fixed point; `throw`, whether to raise when nothing could be proven. Under `jax.vmap` use
    `throw=False`.

    **Returns:** a `VerifiedPoint`.

    **Raises:** `TypeError` when the system has no enclosure, `ValueError` for a state that is not one vector or when
    float64 is disabled, `RuntimeError` when the point could not be proven (not inside `jax.jit` or `jax.vmap`).

    **Source:** Krawczyk (1969); Rump (2010), theorem 13.2.
    """
    system, state = as_double(system, "verify_point"), jnp.asarray(state, jnp.float64)
    if state.ndim != 1:
        raise ValueError(f"verify_point: state must be one vector, got shape {state.shape}; use jax.vmap for batches.")
    verified = _verify(system, state)
    if throw:
        raise_failure("verify_point", verified.result)
    return verified


@eqx.filter_jit
@highest_precision
def _verify(system: AbstractSystem, state: Float[Array, " S"]) -> VerifiedPoint:
    existence = prove_existence(system, system.rest(state))
    point = existence.point
    lower, upper = existence.box.lower, existence.box.upper
    J = existence.jacobian
    proven_dim, known = count_unstable(system, J)
    known = known & existence.proven
    likely, likely_dim, _ = stability(
        system, jnp.linalg.eigvals(J.midpoint), ~existence.proven, degenerate_tolerance(point.dtype)
    )
    size = J.shape[0]
    sharp = jnp.where(proven_dim == 0, Kind.SINK, jnp.where(proven_dim == size, Kind.SOURCE, Kind.SADDLE))
    return VerifiedPoint(
        state=system.lift(point),
        residual=largest(system.residual(point)),
        proven=existence.proven,
        radius=distance(point, existence.box, existence.proven),
        unique_radius=jnp.where(existence.proven, uniqueness_radius(system, point), 0.0),
        lower=lower,
        upper=upper,
        index=existence.sign,
        unstable_dim=jnp.where(known, proven_dim, likely_dim),
        kind=jnp.where(known, sharp, likely).astype(jnp.int32),
        kind_proven=known,
        result=RESULTS.where(existence.proven, RESULTS.successful, RESULTS.not_proven),
    )


def distance(point: Float[Array, " R"], box: Interval, proven: Bool[Array, ""]) -> Float[Array, ""]:
    """A bound on how far the zero in the box is from the point, in any component; inf if nothing is proven."""
    reach = up(jnp.max(jnp.maximum(box.upper - point, point - box.lower)))
    return jnp.where(proven, reach, jnp.inf)


def prove_listed(system: AbstractSystem, point: Float[Array, " R"]) -> tuple[Bool[Array, ""], Float[Array, ""]]:
    """`(proven, radius)` of a point as it is listed, in whatever precision."""
    double = as_double(system, "find_fixed_points(verify=True)")
    listed = point.astype(jnp.float64)
    existence = prove_existence(double, listed)
    return existence.proven, distance(listed, existence.box, existence.proven).astype(point.dtype)
