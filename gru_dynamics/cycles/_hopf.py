"""The cycle that is born at a Hopf point."""

from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import raise_failure
from .._types import Array, ArrayLike, Complex, Float, Scalar
from ..fixed_points._precision import highest_precision
from ..linalg import eigensystem
from ..linalg._implicit import freeze
from ..systems import AbstractFamily
from ._close import close_flow
from ._cycle import Cycle
from ._segments import Shooting, member
from ._shooting import FlowShooting


@runtime_checkable
class HopfPoint(Protocol):
    """What is asked of a Hopf point: `mu ()`, `state (S,)` and the angular frequency `omega ()`.

    **Source:** Kuznetsov (2004), section 3.4.
    """

    @property
    def mu(self) -> Any:
        """Parameter, `()`."""

    @property
    def state(self) -> Any:
        """Fixed point, `(S,)`."""

    @property
    def omega(self) -> Any:
        """Imaginary part of the eigenvalue, `()`."""


def cycle_from_hopf(
    family: AbstractFamily,
    hopf: HopfPoint,
    amplitude: ArrayLike,
    *,
    num_nodes: int = 1,
    method: Shooting = Shooting(),  # noqa: B008
    throw: bool = True,
) -> tuple[Cycle, Scalar]:
    """The cycle of a given amplitude near a Hopf point, and the parameter at which it exists.

        x(t) = x_H + amplitude Re(q e^{i omega t}) + ...,    J q = i omega q,  |Re q| = 1 >= |Im q|,  <Re q, Im q> = 0

    The parameter is an unknown and the amplitude is given, so it does not matter to which side the branch goes.
    Exactly, `2 <p, x_0 - x_H> = amplitude` with the adjoint eigenvector `p`, `<p, q> = 1`: the largest distance from
    the fixed point up to second order.

    **Arguments:** `family` of flows with one parameter; `hopf`, anything with `mu ()`, `state (S,)` and `omega ()`,
    such as the result of `locate`; `amplitude ()`, in units of the state; `num_nodes`, M; `method`; `throw`, raise when
    Newton's method does not converge (use `throw=False` under `jax.vmap`).

    **Returns:** a `Cycle` with M nodes, and `mu ()`. Both have derivatives in the family at fixed `hopf` and amplitude.

    **Raises:** `RuntimeError` when Newton's method does not converge: take a smaller amplitude (not inside `jax.jit`).

    **Source:** Kuznetsov (2004), sections 3.4 and 10.2.
    """
    state = jnp.asarray(hopf.state)
    mu, omega, size = (jnp.asarray(value, state.dtype) for value in (hopf.mu, hopf.omega, amplitude))
    cycle, mu = _from_hopf(family, state, mu, omega, size, num_nodes, method)
    if throw:
        raise_failure("cycle_from_hopf", cycle.result)
    return cycle, mu


@eqx.filter_jit
@highest_precision
def _from_hopf(
    family: AbstractFamily, state: Float[Array, " S"], mu: Scalar, omega: Scalar, size: Scalar, M: int, method: Shooting
) -> tuple[Cycle, Scalar]:
    state, mu, omega, size = jax.lax.stop_gradient((state, mu, omega, size))
    q, p = _mode(member(freeze(family), mu[None]).jacobian(state), omega)
    angles = 2 * jnp.pi * jnp.arange(M, dtype=state.dtype) / M
    turned = jnp.cos(angles)[:, None] * q.real[None] - jnp.sin(angles)[:, None] * q.imag[None]
    u = jnp.concatenate([(state[None] + size * turned).ravel(), jnp.stack([2 * jnp.pi / omega, mu])])
    normals = jnp.stack([p.imag, 2 * p.real])
    rows = jnp.zeros((2, u.size), u.dtype).at[:, : state.size].set(normals)
    values = normals @ state + jnp.stack([jnp.zeros_like(size), size])
    cycle, found = close_flow(FlowShooting(family, rows, values, method, M), u)
    return cycle, found[0]


def _mode(J: Float[Array, "S S"], omega: Scalar) -> tuple[Complex[Array, " S"], Complex[Array, " S"]]:
    """Eigenvector `q` of the eigenvalue nearest to `i omega`, its real part the long half axis of the ellipse and of
    unit length, and the row `p` with `p q = 1`, `p conj(q) = 0`."""
    values, right, left = eigensystem(J)
    near = jnp.argmin(jnp.abs(values - jax.lax.complex(jnp.zeros_like(omega), omega)))
    q, p = right[:, near], left[near]
    square = jnp.sum(q * q)
    turn = jnp.exp(jax.lax.complex(jnp.zeros_like(omega), -jnp.angle(square) / 2))
    scale = turn / jnp.linalg.norm((turn * q).real).astype(q.dtype)
    return scale * q, p / scale
