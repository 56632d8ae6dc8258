"""Loss and gradient over a plane of parameters."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from .._results import RESULTS, raise_failure
from .._types import Array, ArrayLike, ArrayTree, Bool, Float, Scalar
from ._landscape_plane import AbstractPlane, Directions, Entries, Index, Where

Loss = Callable[[Any], Any]
Mode = Literal["forward", "reverse"]

# How much the loss rises over the half-width of the valley, as a share of median minus least loss of the grid.
_RISE = 0.01


class LossLandscape(eqx.Module):
    """Loss and gradient on a grid of X by Y points in a plane of parameters, and how sharp the valley is.

    **Fields:**

    - `x (X,)`, `y (Y,)`: the coordinates. `loss (X, Y)`. `gradient (X, Y, 2)`, the derivatives in x and in y.
    - `best (2,)`: the point of least loss on the grid; `lowest ()`, the loss there; `interior ()`, whether the point
      lies off the border of the grid.
    - `curvature (2,)`: eigenvalues of the Hessian at `best`, ascending; the columns of `axes (2, 2)` are their unit
      directions in the plane, along the valley and across it. A negative eigenvalue says that `best` is no minimum.
    - `width (2,)`: half-widths of the valley along these axes, `sqrt(2 rise / curvature)`: how far one may go until the
      quadratic model of the loss has risen by 1 % of the way from the least loss to the median of the grid. inf where
      the curvature is not positive.
    - `steepest ()`: the largest 2-norm of the gradient on the grid, and `steepest_at (2,)`, where.
    - `result`, a `RESULTS` item. Points where loss or gradient are inf or nan count for none of these.

    **Source:** Rehmer & Kroll (2020), section 4, figs. 8 and 9, for the pictures; Li et al. (2018) for directions.
    """

    x: Float[Array, "*batch X"]
    y: Float[Array, "*batch Y"]
    loss: Float[Array, "*batch X Y"]
    gradient: Float[Array, "*batch X Y 2"]
    best: Float[Array, "*batch 2"]
    lowest: Float[Array, "*batch"]
    interior: Bool[Array, "*batch"]
    curvature: Float[Array, "*batch 2"]
    axes: Float[Array, "*batch 2 2"]
    width: Float[Array, "*batch 2"]
    steepest: Float[Array, "*batch"]
    steepest_at: Float[Array, "*batch 2"]
    result: RESULTS

    @property
    def slope(self) -> Float[Array, "*batch X Y"]:
        """2-norm of the gradient, shape `(X, Y)`."""
        return jnp.hypot(self.gradient[..., 0], self.gradient[..., 1])

    def share_above(self, level: ArrayLike) -> Float[Array, "*batch"]:
        """Share of the grid where the 2-norm of the gradient exceeds `level` or is not finite, shape `()`."""
        steep = ~(self.slope <= jnp.asarray(level, self.slope.dtype))
        return jnp.mean(steep, axis=(-2, -1), dtype=self.slope.dtype)


def loss_landscape(
    loss: Loss,
    model: ArrayTree,
    x: ArrayLike,
    y: ArrayLike,
    *,
    where: Where | None = None,
    index: Sequence[Index] | None = None,
    directions: Sequence[ArrayTree] | None = None,
    batch_size: int | None = 1024,
    mode: Mode = "forward",
    throw: bool = True,
) -> LossLandscape:
    """Loss and gradient over a plane: either two scalar entries of a model, or two directions through it.

        L(x, y) = loss(model with the entries x, y)        or        loss(model + x d_1 + y d_2)

    **Arguments:**

    - `loss`, `model -> scalar ()`; `model`, any pytree. Define `loss` and `where` at module level, or make them
      `eqx.Module`: a new function means a new compilation.
    - `x (X,)`, `y (Y,)`: coordinates, the values of the entries, or the steps along the directions.
    - `where`, `model -> (leaf, leaf)`, with `index`, one per leaf, the element to vary; as in `Family`.
    - `directions`: two pytrees like the model, not normalised; leaves may be left out as `None`.
    - `batch_size`: points computed at a time, `None` for all at once.
    - `mode`: `"forward"` derives in the two coordinates alone and stores no history, a third of the memory and more;
      `"reverse"` for losses that have no forward derivative (`jax.custom_vjp`, some diffrax adjoints).
    - `throw`: raise when no point of the grid is finite.

    **Returns:** a `LossLandscape` over `(X, Y)`.

    **Raises:** `ValueError` unless exactly one of `where` and `directions` is given, and when an entry, a coordinate or
    the loss is not a real scalar; `RuntimeError` when the loss is finite nowhere (not inside `jax.jit` or `jax.vmap`).

    **Source:** Rehmer & Kroll (2020), section 4; Li et al. (2018), eq. 1.
    """
    if (where is None) == (directions is None):
        raise ValueError("loss_landscape: give `where` for two entries, or `directions`, and not both")
    if mode not in ("forward", "reverse"):
        raise ValueError(f'loss_landscape: mode must be "forward" or "reverse", got {mode!r}')
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"loss_landscape: batch_size must be at least 1, got {batch_size}; None takes all at once")
    plane = Entries(model, where, index) if where is not None else Directions(model, directions or ())
    x, y = (_coordinate(name, value, plane.dtype) for name, value in (("x", x), ("y", y)))
    shape = eqx.filter_eval_shape(lambda plane, point: loss(plane(point)), plane, jnp.stack([x[0], y[0]]))
    if not isinstance(shape, jax.ShapeDtypeStruct) or shape.shape or not jnp.issubdtype(shape.dtype, jnp.floating):
        raise ValueError(f"loss_landscape: `loss` must return one real scalar, got {shape}")
    found = _landscape(loss, plane, x, y, batch_size, mode)
    if throw:
        raise_failure("loss_landscape", found.result)
    return found


def _coordinate(name: str, value: ArrayLike, dtype: jnp.dtype) -> Array:
    array = jnp.asarray(value)
    if array.ndim != 1 or array.size == 0 or jnp.iscomplexobj(array):
        raise ValueError(f"loss_landscape: {name} must be a vector of reals, got {array.dtype} of shape {array.shape}")
    return array.astype(dtype)


@eqx.filter_jit
def _landscape(
    loss: Loss, plane: AbstractPlane, x: Array, y: Array, batch_size: int | None, mode: Mode
) -> LossLandscape:
    def at(point: Array) -> Scalar:
        return loss(plane(point))

    derive = jax.jacfwd if mode == "forward" else jax.jacrev

    def value_and_gradient(point: Array) -> tuple[Array, Array]:
        gradient, value = derive(lambda p: (at(p),) * 2, has_aux=True)(point)
        return value, gradient

    points = jnp.stack(jnp.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    number = points.shape[0] if batch_size is None else min(batch_size, points.shape[0])
    value, gradient = jax.lax.map(value_and_gradient, points, batch_size=number)
    slope = jnp.hypot(gradient[:, 0], gradient[:, 1])
    finite = jnp.isfinite(value) & jnp.isfinite(slope)
    any_finite = jnp.any(finite)
    low = jnp.argmin(jnp.where(finite, value, jnp.inf))
    steep = jnp.argmax(jnp.where(finite, slope, -jnp.inf))
    best = points[low]
    curvature, axes = jnp.linalg.eigh(jax.jacfwd(derive(at))(best))
    rise = _RISE * (jnp.nanmedian(jnp.where(finite, value, jnp.nan)) - value[low])
    sizes = x.size, y.size
    row, column = jnp.unravel_index(low, sizes)
    inside = (row > 0) & (row < sizes[0] - 1) & (column > 0) & (column < sizes[1] - 1)
    return LossLandscape(
        x,
        y,
        value.reshape(sizes),
        gradient.reshape(*sizes, 2),
        best,
        value[low],
        inside,
        curvature,
        axes,
        jnp.where(curvature > 0, jnp.sqrt(2 * rise / jnp.where(curvature > 0, curvature, 1)), jnp.inf),
        slope[steep],
        points[steep],
        RESULTS.where(any_finite, RESULTS.successful, RESULTS.nonfinite_loss),
    )
