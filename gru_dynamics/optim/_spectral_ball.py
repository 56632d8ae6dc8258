"""A bound on the spectral norm of parameters, as the end of a chain of transformations."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from .._types import Array, ArrayLike, Float, Int
from ..linalg import as_one_batch, run_after, spectral_projection, start_subspace

Select = Callable[[Any], Any]
Method = Literal["svd", "eigh", "polar", "block_power", "lanczos"]


class SpectralBallState(NamedTuple):
    """State of `spectral_ball`; lists have an entry for each selected parameter W `(..., m, n)`.

    **Fields**: `bounds`, `(...)`, certified upper bounds of the norm that is kept small, infinite before the first
    step; `distances`, `(...)`, how far the last step moved W back, in the Frobenius norm; `projections`, `()`, in how
    many steps something had to be computed (the others are inside by Lemma 6); `subspaces`, where the next step of
    `"block_power"` starts.

    **Source:** none; a record.
    """

    bounds: list[Float[Array, "..."]]
    distances: list[Float[Array, "..."]]
    projections: list[Int[Array, ""]]
    subspaces: list[Array]


def spectral_ball(
    radius: ArrayLike | None = None,
    *,
    delta: ArrayLike | None = None,
    method: Method | str = "svd",
    where: Select | None = None,
    gate_bias: Select | None = None,
    reset: Literal["before", "after"] | str = "before",
    rank: int | None = None,
    slack: float | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Keep matrices in a spectral ball: after the step that comes before it in the chain, each selected W moves to the
    nearest matrix with `sigma_1(W) <= radius`.

        P(W) = U diag(min(sigma, radius)) V^T,    radius = 2 - delta

    For a GRU without biases the origin is a fixed point with Jacobian `U_c / 4 + I / 2`, stable for any `delta > 0`.
    With a bias in the reset gate, `r0 = sigmoid(b_r)`, what counts is `sigma_1(U_c diag(r0)) < 1` (`reset="before"`),
    or that of `diag(r0) U_c` (`"after"`), whatever the update gate: give `gate_bias`, and that norm is kept at most
    `radius / 2`, by projecting `U_c diag(r0)`. For `b_r = 0` both are the same.

    Put it last: `optax.chain(optax.sgd(1.0), spectral_ball(delta=0.2, where=lambda model: model.cell.U_c))`.

    **Arguments:**

    - `radius`, positive, or `delta`, below 2: one of them, shape `()`; arrays too, so `optax.inject_hyperparams` can
      schedule it.
    - `method`, `rank`, `slack`: of `linalg.spectral_projection`; each ends with a proof, none returns more than
      `radius (1 + 1e-6)`. A step from hundreds of radii away rounds when it is added, and the next one puts that right.
    - `where(params)`: the matrices `(..., m, n)`, one or a list; by default all leaves.
    - `gate_bias(params)`: for each of them the bias `(..., n)` of its reset gate, one or a list.

    Where `sigma_1(before) + |step|_F <= radius` nothing is computed (Lemma 6); one decision for a batch, also under
    `jax.vmap`.

    **Returns:** an `optax.GradientTransformationExtraArgs` with state `SpectralBallState`.

    **Raises:** `ValueError` unless one of `radius` and `delta` is given and in range, for an unknown `method` or
    `reset`; from `init`, `ValueError` for a leaf that is not a matrix or biases that do not fit, `TypeError` for 16-bit
    floats; from `update`, `ValueError` without `params`.

    **Source:** Kanai, Fujiwara, Iwamura (2017), section 3.4, lemmas 3, 5 and 6; the condition with biases from
    `J = diag(z) + diag(1 - z) U_c diag(r0)`.
    """
    limit = _limit(radius, delta)
    limit = limit / 2 if gate_bias is not None else limit
    if method not in get_args(Method):
        raise ValueError(f"spectral_ball: method must be one of {', '.join(get_args(Method))}, got {method!r}")
    if reset not in ("before", "after"):
        raise ValueError(f'spectral_ball: reset must be "before" or "after", got {reset!r}')
    keep = _keeper(method, rank, slack)

    def turned(matrix: Array) -> Array:
        # The projection keeps the relative accuracy of rows, which a division by small gates needs: gates to the rows.
        return matrix.mT if reset == "before" else matrix

    def init(params: Any) -> SpectralBallState:
        jax.tree_util.tree_map_with_path(_check, params if where is None else where(params))
        matrices = _chosen(params, where)
        _weights(params, matrices, gate_bias, reset)
        bounds = [jnp.full(w.shape[:-2], jnp.inf, w.real.dtype) for w in matrices]
        subspaces = [
            start_subspace(w.shape, min(*w.shape[-2:], rank or 32) if method == "block_power" else 0, w.dtype)
            for w in matrices
        ]
        none = [jnp.zeros((), jnp.int32) for _ in matrices]
        return SpectralBallState(bounds, [jnp.zeros_like(b) for b in bounds], none, subspaces)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, SpectralBallState]:
        if params is None:
            raise ValueError("spectral_ball: give the parameters, as in update(updates, state, params)")
        moved = optax.apply_updates(params, updates)
        old, new = _chosen(params, where), _chosen(moved, where)
        old_weights = _weights(params, old, gate_bias, reset)
        new_weights = _weights(moved, new, gate_bias, reset)
        kept, bounds, distances, projections, subspaces = [], [], [], [], []
        for before, after, u, v, bound, count, subspace in zip(
            old, new, old_weights, new_weights, state.bounds, state.projections, state.subspaces, strict=True
        ):
            weighted = after * v if not kept else run_after(after * v, kept[-1])
            within = jnp.broadcast_to(jnp.asarray(limit, bound.dtype), bound.shape)
            scaled, clipped, bound, subspace, computed = as_one_batch(
                keep, bound.shape, within, turned(before * u), turned(weighted), bound, subspace
            )
            found = jnp.where(clipped[..., None, None], turned(scaled) / v, after)
            kept.append(found - before)
            bounds.append(bound)
            distances.append(jnp.linalg.norm(found - after, axis=(-2, -1)))
            projections.append(count + jnp.any(computed).astype(jnp.int32))
            subspaces.append(subspace)
        return _placed(updates, where, kept), SpectralBallState(bounds, distances, projections, subspaces)

    return optax.GradientTransformationExtraArgs(init, update)


def _keeper(method: Any, rank: int | None, slack: float | None) -> Callable[..., tuple[Array, ...]]:
    def keep(limit: Array, before: Array, after: Array, bound: Array, subspace: Array) -> tuple[Array, ...]:
        """Matrices `(B, m, n)` moved into the ball, which of them, their bounds and subspaces, and who was computed."""
        step = jnp.linalg.norm(after - before, axis=(-2, -1))
        above = (bound + step) * (1 + 8 * jnp.finfo(bound.dtype).eps)

        def project(_: Array) -> tuple[Array, ...]:
            start = subspace if method == "block_power" else None
            most = None if rank is None else min(rank, *after.shape[1:])
            found = spectral_projection(after, limit, method=method, rank=most, slack=slack, subspace=start)
            return found.matrix, found.clipped, found.bound, found.subspace, jnp.ones_like(found.clipped)

        def skip(_: Array) -> tuple[Array, ...]:
            nothing = jnp.zeros_like(above, bool)
            return after, nothing, above, subspace, nothing

        return jax.lax.cond(jnp.all(above <= limit), skip, project, after)

    return keep


def _limit(radius: ArrayLike | None, delta: ArrayLike | None) -> ArrayLike:
    if (radius is None) == (delta is None):
        raise ValueError(f"spectral_ball: give either radius or delta (radius = 2 - delta), got {radius} and {delta}")
    limit = radius if delta is None else 2 - delta
    # A schedule hands over an array.
    if isinstance(limit, int | float) and not limit > 0:
        raise ValueError(f"spectral_ball: the radius must be positive, so delta below 2; got radius {limit}")
    assert limit is not None
    return limit


def _chosen(params: Any, where: Select | None) -> list[Array]:
    return jax.tree.leaves(params if where is None else where(params))


def _placed(updates: Any, where: Select | None, values: list[Array]) -> Any:
    if where is None:
        return jax.tree.unflatten(jax.tree.structure(updates), values)
    return eqx.tree_at(lambda tree: jax.tree.leaves(where(tree)), updates, values)


def _check(path: Any, matrix: Array) -> None:
    name = "spectral_ball: parameter " + (jax.tree_util.keystr(path) or "(the only one)")
    if matrix.ndim < 2:
        raise ValueError(
            f"{name} has shape {matrix.shape}, expected a matrix (..., m, n); choose the matrices with where="
        )
    if jnp.finfo(matrix.dtype).bits < 32:
        raise TypeError(
            f"{name} is {matrix.dtype}, too coarse for a bound; keep it in float32 and cast where it is used"
        )


def _weights(params: Any, matrices: list[Array], gate_bias: Select | None, reset: str) -> list[Array]:
    """What each matrix is multiplied with, entry by entry, before its norm is taken."""
    if gate_bias is None:
        return [jnp.ones((*w.shape[:-2], 1, 1), w.dtype) for w in matrices]
    biases = jax.tree.leaves(gate_bias(params))
    axis = -1 if reset == "before" else -2
    shapes = [(*w.shape[:-2], w.shape[axis]) for w in matrices]
    if [b.shape for b in biases] != shapes:
        raise ValueError(
            f"spectral_ball: gate_bias must give a bias of each matrix, of shapes {shapes}, got "
            f"{[b.shape for b in biases]}"
        )
    # A gate below the floor counts as the floor: that bounds a little more, and can be divided by.
    gates = [jnp.maximum(jax.nn.sigmoid(b), float(jnp.finfo(b.dtype).tiny) ** 0.5) for b in biases]
    return [r[..., None, :] if reset == "before" else r[..., :, None] for r in gates]
