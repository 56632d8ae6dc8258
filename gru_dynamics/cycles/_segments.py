"""How trajectories are integrated, and what becomes of their neighbours."""

from typing import Any, NamedTuple

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, Float, Scalar
from ..systems import AbstractFamily, AbstractFlow
from ..trajectories import integrate


class Shooting(eqx.Module):
    """How trajectories are integrated and how Newton's method closes them.

    **Fields:** `rtol`, `atol` of the solver (Dormand & Prince, order 8), numbers of shape `()`, by default 1e-11 and
    1e-13 (float32: 1e-5, 1e-7); `max_steps`, of the solver between two nodes; `max_iterations` of Newton's method;
    `tolerance`: 2-norm of the gaps, relative to `1 + max |state|`, below which an orbit counts as closed, by default
    1e-9 (float32: 1e-4). Newton's method goes on to rounding.

    **Source:** Kuznetsov (2004), section 10.2.2; Dormand & Prince (1981).
    """

    rtol: float | None = None
    atol: float | None = None
    max_steps: int = eqx.field(static=True, default=4096)
    max_iterations: int = eqx.field(static=True, default=30)
    tolerance: float | None = None

    def limit(self, dtype: Any) -> float:
        """`tolerance` for a dtype."""
        return (1e-9 if dtype == jnp.float64 else 1e-4) if self.tolerance is None else self.tolerance

    def options(self, dtype: Any) -> dict[str, Any]:
        """Options of `integrate` for a dtype."""
        double = dtype == jnp.float64
        rtol = (1e-11 if double else 1e-5) if self.rtol is None else self.rtol
        atol = (1e-13 if double else 1e-7) if self.atol is None else self.atol
        return {
            "solver": dfx.Dopri8(),
            "stepsize_controller": dfx.PIDController(rtol=rtol, atol=atol),
            "max_steps": self.max_steps,
            "throw": False,
        }


class Arrived(NamedTuple):
    """Ends of M segments: `state (M, S)`, `velocity (M, S)` there, and `derivative (M, S, S + P)` in the start and the
    P parameters; and `samples (M, K, S)`, K states on each segment at equal times, its start included."""

    state: Float[Array, "M S"]
    velocity: Float[Array, "M S"]
    derivative: Float[Array, "M S columns"]
    samples: Float[Array, "M K S"]


def split(
    family: AbstractFlow | AbstractFamily, u: Float[Array, " n"], num_nodes: int
) -> tuple[Float[Array, "M S"], Scalar, Float[Array, " P"]]:
    """Nodes, period and parameters."""
    last = u.size - num_parameters(family)
    return u[: last - 1].reshape(num_nodes, -1), u[last - 1], u[last:]


def num_parameters(family: AbstractFlow | AbstractFamily) -> int:
    """P: 0 for a flow, 1 for a family."""
    return 0 if isinstance(family, AbstractFlow) else 1


def member(family: AbstractFlow | AbstractFamily, mu: Float[Array, " P"]) -> AbstractFlow:
    """The flow at the parameters `mu`."""
    system = family if isinstance(family, AbstractFlow) else family(mu[0])
    assert isinstance(system, AbstractFlow)
    return system


def sensitivity(
    family: AbstractFlow | AbstractFamily,
    nodes: Float[Array, "M S"],
    period: Scalar,
    mu: Float[Array, " P"],
    method: Shooting,
    adjoint: dfx.AbstractAdjoint,
    num_samples: int = 1,
) -> Arrived:
    """The ends of all segments with their derivatives, from the variational equation `Y' = J Y (+ df/dmu)`."""
    size, extra = nodes.shape[1], mu.size
    part = period / nodes.shape[0]
    times = part * jnp.arange(num_samples, dtype=nodes.dtype) / num_samples
    along = dfx.SubSaveAt(ts=times, fn=_only_state)
    saveat = dfx.SaveAt(subs=[dfx.SubSaveAt(t1=True)] + ([along] if num_samples > 1 else []))
    start = jnp.concatenate([jnp.eye(size, dtype=nodes.dtype), jnp.zeros((size, extra), nodes.dtype)], axis=1)

    def segment(x: Array) -> tuple[Array, Array, Array, Array]:
        solution = dfx.diffeqsolve(
            dfx.ODETerm(_variational),
            t0=jnp.zeros_like(period),
            t1=part,
            dt0=None,
            y0=jnp.concatenate([x[:, None], start], axis=1),
            args=(family, mu),
            saveat=saveat,
            adjoint=adjoint,
            **method.options(nodes.dtype),
        )
        assert solution.ys is not None
        end = jnp.where(solution.result == dfx.RESULTS.successful, solution.ys[0][-1], jnp.nan)
        samples = solution.ys[1] if num_samples > 1 else x[None]
        return end[:, 0], member(family, mu)(period, end[:, 0]), end[:, 1:], samples

    return Arrived(*jax.vmap(segment)(nodes))


def _only_state(t: Any, y: Array, args: Any) -> Array:
    return y[:, 0]


def _variational(t: Any, y: Array, args: tuple[Any, Array]) -> Array:
    family, mu = args
    x, Y = y[:, 0], y[:, 1:]
    flow = member(family, mu)
    change = jnp.matmul(flow.jacobian(x), Y, precision=jax.lax.Precision.HIGHEST)
    if mu.size:
        velocity, push = jax.jvp(lambda p: member(family, p)(t, x), (mu,), (jnp.ones_like(mu),))
        change = change.at[:, -1].add(push)
    else:
        velocity = flow(t, x)
    return jnp.concatenate([velocity[:, None], change], axis=1)


def end_of_segment(flow: AbstractFlow, state: Array, duration: Scalar, method: Shooting) -> Array:
    solution = integrate(flow, state, duration, adjoint=dfx.DirectAdjoint(), **method.options(state.dtype))
    assert solution.ys is not None
    return jnp.where(solution.result == dfx.RESULTS.successful, solution.ys[-1], jnp.nan)
