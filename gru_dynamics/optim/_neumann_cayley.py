"""Orthogonal (unitary) parameters for any optax optimiser."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from .._types import Array, Inexact, Int
from ..linalg import (
    cayley,
    cayley_signs,
    choose_signs,
    inverse_cayley,
    orthogonality_defect,
    rebased_step,
    run_after,
    skew_part,
)
from ._orthogonal_modes import AbstractMode, ClosedLoop, OpenLoop, Rebased
from ._orthogonal_probe import check_inner
from ._orthogonal_state import OrthogonalLeaf, frobenius

Mode = Literal["closed_loop", "paper", "released", "rebased", "exact"]
Signs = int | Inexact[Array, "... n"] | None
Retraction = Callable[[Array, Array], Array]

# How far from orthogonal a parameter may be at the start; what training in float32 leaves is well inside.
_START = 1e-3


class NeumannCayleyState(NamedTuple):
    """State of `neumann_cayley`.

    **Fields**: `leaves`, an `OrthogonalLeaf` in place of each parameter `(..., n, n)`, with its certificate `residual`;
    `inner`, the state of the inner optimiser, which sees the skew matrices A; `steps`, `()`, how many were taken.

    **Source:** none; a record.
    """

    leaves: Any
    inner: optax.OptState
    steps: Int[Array, ""]


def neumann_cayley(
    inner: optax.GradientTransformation,
    *,
    signs: Signs = None,
    order: int = 2,
    mode: Mode | str = "closed_loop",
    reset_every: int | None = None,
    tol: float | None = None,
    learning_rate: float | None = None,
    retraction: Retraction = rebased_step,
) -> optax.GradientTransformationExtraArgs:
    """Train orthogonal matrices W with an optimiser that knows nothing of them.

        W = (I + A)^-1 (I - A) D,    A skew,    D = diag(signs)

    The gradient in W is pulled back to A, the inner optimiser moves A, and W follows by products of matrices instead of
    an inverse. `update(gradients, state, params)` takes gradients in W and returns updates such that
    `optax.apply_updates(params, updates)` is orthogonal. The state is in charge: whatever else moved W in between is
    undone by the next update.

    **Modes:**

    - `"closed_loop"`: `X <- (I + R + ... + R^order) X`, `R = I - X (I + A)` measured at each step, then polar steps
      until W is orthogonal to `tol`. Nothing drifts, nothing has to be reset. Where a step is too long for the series,
      the inverse is computed by LU and counted in `refactorisations`.
    - `"exact"`: LU at every step, then as above. Often the fastest on CPU.
    - `"rebased"`: W is the base of its own chart, moved by `retraction(W, d)` at each step, then as above.
    - `"paper"`: algorithm 1 as printed, `X <- (I + E + ... + E^order) X`, `E = X dA`. Its errors add up: give
      `reset_every`, or `tol` for the residual beyond which the inverse is computed anew.
    - `"released"`: what the programs released with the paper do: the series follows `learning_rate * gradient` while A
      takes the step of the inner optimiser. W is not orthogonal; for comparison only.

    **Arguments:**

    - `inner`: any optax optimiser, schedules included. It sees A as its parameters. It must keep a skew gradient skew
      and move nothing without a gradient: no noise, no weight decay.
    - `signs`: the diagonal of D: how many entries, the last ones, are -1; or an array `(n,)` or `(..., n)` of +1 and
      -1; or None: chosen from W so that A is small (of no effect in mode `"rebased"`).
    - `order`: terms of the series, 2 in the paper.
    - `reset_every`: compute the inverse by LU at every so many steps.
    - `tol`: bound on `||W^H W - I||_F`, before rounding, by default 5e-7 in float32 and 1e-13 in float64; in mode
      `"paper"` and `"released"` on `||I - X (I + A)||_F`, by default none.
    - `learning_rate`: in mode `"released"` only.
    - `retraction`: in mode `"rebased"` only, a function `(W, d) -> W'` such as `linalg.retract_qr`.

    Parameters are any pytree of float32, float64 or complex matrices `(..., n, n)`; leading axes are a batch, decided
    on together, also under `jax.vmap`. For complex W, conjugate the gradients of `jax.grad`, as optax asks. All
    products are at the highest precision of the device.

    **Returns:** an `optax.GradientTransformationExtraArgs` with state `NeumannCayleyState`.

    **Raises:** `ValueError` for unknown modes or options that do not go together; from `init`, `ValueError` for a
    parameter that is not square or signs of another length or an inner optimiser that moves A without a gradient or
    makes it not skew, `TypeError` for another dtype, and a run-time error for a parameter that is not orthogonal;
    from `update`, `ValueError` without `params`.

    **Source:** Mucllari, Zadorozhnyy, Pospisil, Nguyen, Ye (2022), algorithm 1; Helfrich, Willmott, Ye (2018).
    """
    method = _method(mode, order, tol, learning_rate, retraction)
    if reset_every is not None and reset_every < 1:
        raise ValueError(f"reset_every: expected a number of steps from 1 up, or None, got {reset_every}")
    inner = optax.with_extra_args_support(inner)

    def init(params: Any) -> NeumannCayleyState:
        jax.tree_util.tree_map_with_path(_check_leaf, params)
        check_inner(inner, params)
        leaves = jax.tree.map(lambda w: _start(method(w.dtype), w, signs), params)
        return NeumannCayleyState(leaves, inner.init(_skews(params, leaves)), jnp.zeros((), jnp.int32))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, NeumannCayleyState]:
        if params is None:
            raise ValueError("neumann_cayley: give the parameters, as in update(gradients, state, params)")
        leaves = state.leaves
        pulled = jax.tree.map(lambda g, leaf: method(g.dtype).pull(leaf, g), updates, leaves)
        steps, inner_state = inner.update(pulled, state.inner, _skews(params, leaves), **extra)
        taken = jnp.asarray(optax.safe_increment(state.steps))
        reset = jnp.zeros((), bool) if reset_every is None else taken % reset_every == 0

        moved: list[OrthogonalLeaf] = []

        def advance(step: Array, leaf: OrthogonalLeaf, gradient: Array) -> OrthogonalLeaf:
            # One after the other, since each may have to compute an inverse.
            step = skew_part(step if not moved else run_after(step, moved[-1].matrix))
            moved.append(method(step.dtype).advance(leaf, step, gradient, reset))
            return moved[-1]

        leaves = jax.tree.map(advance, steps, leaves, pulled)
        changes = jax.tree.map(lambda w, leaf: leaf.matrix - w, params, leaves)
        return changes, NeumannCayleyState(leaves, inner_state, taken)

    return optax.GradientTransformationExtraArgs(init, update)


def _method(
    mode: str, order: int, tol: float | None, learning_rate: float | None, retraction: Retraction
) -> Callable[[Any], AbstractMode]:
    """Dtype -> the mode with its tolerance."""
    if order < 1:
        raise ValueError(f"order: expected 1 or more terms of the series, got {order}")
    if (learning_rate is not None) != (mode == "released"):
        raise ValueError(f'learning_rate: mode "released" needs it, and no other mode takes it; got mode {mode!r}')
    if retraction is not rebased_step and mode != "rebased":
        raise ValueError(f'retraction: only mode "rebased" takes one; got mode {mode!r}')

    def limit(dtype: Any) -> float:
        return tol if tol is not None else 5e-7 if jnp.finfo(dtype).bits == 32 else 1e-13

    match mode:
        case "closed_loop":
            return lambda dtype: ClosedLoop(order, limit(dtype))
        case "exact":
            return lambda dtype: ClosedLoop(None, limit(dtype))
        case "rebased":
            return lambda dtype: Rebased(retraction, limit(dtype))
        case "paper" | "released":
            return lambda dtype: OpenLoop(order, tol, learning_rate)
    raise ValueError(
        f'mode: expected "closed_loop", "paper", "released", "rebased" or "exact", got {mode!r}; see neumann_cayley'
    )


def _check_leaf(path: Any, matrix: Array) -> None:
    name = "neumann_cayley: parameter " + (jax.tree_util.keystr(path) or "(the only one)")
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(
            f"{name} has shape {matrix.shape}, expected square matrices (..., n, n); select the orthogonal parameters "
            "with optax.masked or optax.partition, or with gru_dynamics.optim.constrained"
        )
    if jnp.dtype(matrix.dtype) not in [jnp.dtype(d) for d in ("float32", "float64", "complex64", "complex128")]:
        raise TypeError(
            f"{name} is {matrix.dtype}, in which no matrix is orthogonal enough; keep it in float32 and cast where it "
            "is used"
        )


def _start(method: AbstractMode, matrix: Array, signs: Signs) -> OrthogonalLeaf:
    error = frobenius(orthogonality_defect(matrix))
    matrix = eqx.error_if(
        matrix,
        ~jnp.all(error < _START),
        f"neumann_cayley: a parameter is not orthogonal, ||W^H W - I||_F is over {_START}; start from "
        "linalg.random_cayley or linalg.retract_polar, or select the orthogonal parameters with optax.masked",
    )
    diagonal = _diagonal(matrix, signs)
    skew = inverse_cayley(matrix, diagonal)
    start = OrthogonalLeaf(
        skew, None, cayley(skew, diagonal), diagonal, jnp.zeros_like(error), jnp.zeros((), jnp.int32)
    )
    return method.start(start)


def _diagonal(matrix: Array, signs: Signs) -> Array:
    n = matrix.shape[-1]
    if signs is None:
        choose = jnp.vectorize(choose_signs, signature="(n,n)->(n)")
        return choose(matrix)
    if isinstance(signs, int):
        diagonal = cayley_signs(n, signs, matrix.dtype)
    else:
        diagonal = jnp.asarray(signs).astype(matrix.dtype)
    if diagonal.shape[-1:] != (n,) or diagonal.ndim > matrix.ndim - 1:
        raise ValueError(f"neumann_cayley: signs of shape {diagonal.shape} do not fit a parameter of {matrix.shape}")
    return jnp.broadcast_to(diagonal, matrix.shape[:-1])


def _skews(params: Any, leaves: Any) -> Any:
    return jax.tree.map(lambda _, leaf: leaf.skew, params, leaves)
