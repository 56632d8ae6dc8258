"""How far a system is from a bifurcation, as something to train on."""

import equinox as eqx
import jax.numpy as jnp

from .._results import RESULTS
from .._types import Array, ArrayLike, Float, Scalar
from ..fixed_points import fixed_point
from ..linalg import eigenvalues
from ..systems import AbstractFamily, AbstractMap, AbstractSystem
from ._events import AbstractMatrixEvent, Hopf, NeimarkSacker
from ._locate import Located, locate
from ._normal_forms import null_vectors


class BifurcationDistance(eqx.Module):
    """How far a fixed point is from a bifurcation; both numbers are differentiable in every leaf of the family.

    **Fields:** `parameter ()`: parameter of the bifurcation minus the present one, in units of the parameter; nan when
    none was located. `margin ()`, always there: for folds and flips the smallest singular value of the matrix that
    becomes singular; for Hopf and Neimark-Sacker points the growth (real part, or modulus minus 1) of the complex pair
    nearest to the boundary, negative while it decays, -inf without a pair. `located`: the bifurcation itself.

    **Source:** Kuznetsov (2004), section 10.2, for the test functions.
    """

    parameter: Scalar
    margin: Scalar
    located: Located


def bifurcation_distance(
    family: AbstractFamily,
    event: AbstractMatrixEvent,
    *,
    state: Float[Array, " S"],
    mu: ArrayLike | None = None,
    near: Located | None = None,
) -> BifurcationDistance:
    """Distance of a fixed point from a bifurcation, as a penalty for training.

        parameter = mu* - mu        with the bifurcation at mu*;  d mu* / d theta by the implicit function theorem

    To put a bifurcation at a parameter, train on `parameter ** 2`. To stay away from it, train on
    `relu(wanted - margin)` for folds and flips, `relu(wanted + margin)` for pairs: the margin exists whether or not
    there is a bifurcation.

    **Arguments:** `family`, with one scalar parameter; `event`; `state (S,)`, near the fixed point at `mu ()`, by
    default the family's own parameter; `near`, where to look for the bifurcation: in training, the result of the last
    step. By default the state and parameter themselves.

    **Returns:** a `BifurcationDistance`; nothing is raised when no bifurcation is found, so it works under `jax.jit`
    and `jax.vmap`.

    **Raises:** `ValueError` for a state that is not a vector or an event that the system cannot have.

    **Source:** implicit function theorem; Govaerts (2000), chapter 4.
    """
    mu = jnp.asarray(family.mu if mu is None else mu, state.dtype)
    if near is None:
        located = locate(family, event, state=state, mu=mu, throw=False)
    else:
        omega = near.omega if event.has_frequency else None
        located = locate(family, event, state=near.state, mu=near.mu, omega=omega, throw=False)
    found = located.result == RESULTS.successful
    parameter = jnp.where(found, located.mu - mu, jnp.nan)
    system = family(mu)
    return BifurcationDistance(parameter, _margin(system, event, fixed_point(system, state, throw=False)), located)


def _margin(system: AbstractSystem, event: AbstractMatrixEvent, state: Float[Array, " S"]) -> Scalar:
    if isinstance(event, Hopf | NeimarkSacker):
        values = eigenvalues(system.jacobian(state))
        growth = jnp.abs(values) - 1 if isinstance(system, AbstractMap) else values.real
        nearest = jnp.argmin(jnp.where(values.imag > 0, jnp.abs(growth), jnp.inf))
        return jnp.where(jnp.any(values.imag > 0), growth[nearest], -jnp.inf)
    M = event.matrix(system, system.rest(state), jnp.zeros((0,), state.dtype))
    q, p = null_vectors(M)
    return jnp.abs(jnp.vdot(p, M @ q))
