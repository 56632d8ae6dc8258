"""What the user gives, checked before anything is computed."""

from .._types import Array, ArrayLike
from ..cells import AbstractCell
from ..systems import AbstractFlow, CellFlow, CellMap
from ._lyapunov_result import LyapunovSpectrum
from ._lyapunov_tangent import System


def check_state(where: str, state: Array | None, start: LyapunovSpectrum | None) -> Array:
    """The state to start from."""
    if start is not None:
        if start.state.ndim != 1:
            raise ValueError(f"{where}: start is a batch, of states {start.state.shape}; use jax.vmap.")
        if state is not None and state.shape != start.state.shape:
            raise ValueError(f"{where}: state {state.shape} does not match that of start, {start.state.shape}.")
        return start.state
    if state is None or state.ndim != 1:
        found = "none" if state is None else f"shape {state.shape}"
        raise ValueError(f"{where}: state must be one vector (S,), got {found}; use jax.vmap for batches.")
    return state


def check_number(where: str, number: int | None, size: int, start: LyapunovSpectrum | None) -> int:
    """How many directions are followed."""
    tracked = size if start is None else start.basis.shape[1]
    k = tracked if number is None else number
    if not 1 <= k <= size:
        raise ValueError(f"{where}: asked for {k} exponents or vectors of a state of {size}; choose 1 to {size}.")
    if start is not None and k != tracked:
        raise ValueError(f"{where}: start has {tracked} exponents, num_exponents is {k}; leave it out.")
    return k


def check_system(where: str, system: System, inputs: Array | None, time_step: ArrayLike | None) -> None:
    """Whether system, inputs and time step belong together."""
    flow = isinstance(system, AbstractFlow)
    if flow and time_step is None:
        raise ValueError(
            f"{where}: a flow needs `time_step`, that of the Runge-Kutta steps; take a hundredth of its fastest time, "
            "and halve it to see that nothing changes."
        )
    if not flow and time_step is not None:
        raise ValueError(f"{where}: `time_step` is for flows; the exponents of maps are per step.")
    if inputs is None:
        return
    if not isinstance(system, AbstractCell | CellMap | CellFlow):
        raise ValueError(f"{where}: only cells, CellMap and CellFlow take `inputs`.")
    cell = system if isinstance(system, AbstractCell) else system.cell
    if inputs.ndim != 2 or inputs.shape[1] != cell.input_size:
        raise ValueError(
            f"{where}: inputs must have shape (T, {cell.input_size}), got {inputs.shape}; use jax.vmap for batches."
        )


def count_steps(
    where: str,
    burn_in: int | None,
    num_steps: int | None,
    inputs: Array | None,
    interval: int | None,
    resumed: bool,
) -> tuple[int, int]:
    """`(burn_in, num_steps)`; a sequence that ends during the burn-in leaves no steps."""
    if interval is not None and interval < 1:
        raise ValueError(f"{where}: interval must be at least 1, got {interval}.")
    if num_steps is not None and num_steps < 1:
        raise ValueError(f"{where}: num_steps must be at least 1, got {num_steps}.")
    if burn_in is not None and burn_in < 0:
        raise ValueError(f"{where}: burn_in must not be negative, got {burn_in}.")
    if inputs is None:
        if num_steps is None:
            raise ValueError(f"{where}: give `num_steps`, or `inputs` that drive a cell.")
        return (0 if resumed else num_steps // 10) if burn_in is None else burn_in, num_steps
    length = len(inputs)
    if burn_in is None:
        burn_in = 0 if resumed else length // 10 if num_steps is None else max(length - num_steps, 0)
    burn_in = min(burn_in, length)
    if num_steps is not None and burn_in + num_steps != length:
        raise ValueError(
            f"{where}: {length} inputs are not burn_in {burn_in} and num_steps {num_steps}; leave num_steps out."
        )
    return burn_in, length - burn_in
