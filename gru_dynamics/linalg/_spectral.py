"""The spectral norm, and the nearest matrix whose norm is at most a radius."""

import functools
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from .._types import Array, Bool, Float, Inexact
from ._batch import as_one_batch
from ._order import run_after
from ._spectral_certificate import each, gram, is_below, norm_bound, rounding_margin, shrink_into_ball
from ._spectral_methods import clip_by_eigh, clip_by_lanczos, clip_by_polar, clip_by_subspace, clip_by_svd

Method = Literal["svd", "eigh", "polar", "block_power", "lanczos"]

# Beyond this multiple of the radius a Gram matrix has lost the digits near the radius.
_LARGEST = 1e3


class SpectralProjection(NamedTuple):
    """The nearest point of a spectral ball, and what is known about it.

    **Fields:** `matrix (..., m, n)`; `bound (...)`, a certified upper bound of its spectral norm, at most the radius
    (nan for a matrix with nan); `clipped (...)`, True where the matrix was not in the ball already; `subspace
    (..., min(m, n), rank)`, the leading singular vectors of the smaller side where method is `"block_power"`, to start
    the next projection from, and `(..., min(m, n), 0)` for the other methods.

    **Source:** Kanai, Fujiwara, Iwamura (2017), section 3.4.
    """

    matrix: Inexact[Array, "*batch m n"]
    bound: Float[Array, "*batch"]
    clipped: Bool[Array, "*batch"]
    subspace: Inexact[Array, "*batch k rank"]


def spectral_norm(matrix: Inexact[Array, "*batch m n"]) -> Float[Array, "*batch"]:
    """The largest singular value, `max |W x| / |x|`.

    **Arguments:** `matrix (..., m, n)`, real or complex.

    **Returns:** `(...)`, real.

    **Source:** Golub & Van Loan (2013), section 2.3.
    """
    return jnp.linalg.svd(matrix, compute_uv=False)[..., 0]


def project_spectral_ball(
    matrix: Inexact[Array, "*batch m n"],
    radius: float | Float[Array, "..."],
    *,
    method: Method = "svd",
    rank: int | None = None,
    slack: float | None = None,
) -> Inexact[Array, "*batch m n"]:
    """The matrix of spectral norm at most `radius` that is nearest in the Frobenius norm.

        P = U diag(min(sigma, radius)) V^H,    W = U diag(sigma) V^H,    |W - P|_F^2 = sum (sigma_i - radius)_+^2

    The same as `spectral_projection(...).matrix`, where arguments, methods and certificate are described.

    **Arguments:** `matrix (..., m, n)`; `radius`, a positive number or an array that broadcasts against `(...)`.

    **Returns:** `(..., m, n)`.

    **Raises:** as `spectral_projection`.

    **Source:** Kanai, Fujiwara, Iwamura (2017), Lemma 5.
    """
    return spectral_projection(matrix, radius, method=method, rank=rank, slack=slack).matrix


def spectral_projection(
    matrix: Inexact[Array, "*batch m n"],
    radius: float | Float[Array, "..."],
    *,
    method: Method = "svd",
    rank: int | None = None,
    slack: float | None = None,
    subspace: Inexact[Array, "*batch k rank"] | None = None,
) -> SpectralProjection:
    """Clips the singular values of a matrix at a radius, and proves that none is left above it.

    Each method ends with the same certificate: a Cholesky factorisation of `s^2 I - P^H P` proves `sigma_1(P) <= s` up
    to `(4 + sqrt(max(m, n))/4)` unit roundoffs. The smallest such s on a ladder that starts at the radius is taken, and
    P is scaled by radius/s where s is larger. If s would have to exceed `radius (1 + slack)`, the full singular value
    decomposition is used instead. A matrix that the same proof finds in the ball is returned as it is, bit for bit, and
    a batch, by leading axes or by `jax.vmap`, in which all are costs no more than this proof.

    **Arguments:**

    - `matrix (..., m, n)`, float32, float64, or complex.
    - `radius`, a positive number or an array that broadcasts against `(...)`.
    - `method`: `"svd"`, the reference. `"eigh"`, eigenvectors of the Gram matrix of the smaller side, about 1.4
      times faster on CPU. `"polar"`, products only, about 60 of them. `"block_power"`, `rank` directions that are
      kept from one call to the next. `"lanczos"`, `rank` steps of Golub-Kahan. The last two pay where few singular
      values are above the radius. Matrices above a thousand times the radius go to `"svd"` directly.
    - `rank`, for the last two; min(m, n, 32) by default.
    - `slack`, the relative change by scaling that is preferred to the full decomposition; by default a few hundred unit
      roundoffs, so that all methods give the nearest point up to rounding. With 1e-3 `"block_power"` that is started
      warm hardly ever falls back, with 1e-2 nor does `"lanczos"`, and the result is as much inside of the ball.
    - `subspace (..., min(m, n), rank)`, that of the last result, for `"block_power"`; sets `rank`.

    **Returns:** a `SpectralProjection`. In float32 as in float64, `sigma_1 <= radius (1 + 1e-6)`.

    **Raises:** `TypeError` for 16-bit floats, `ValueError` for fewer than two axes, an unknown method, a radius that is
    not positive, or a `rank` out of range.

    **Source:** Kanai, Fujiwara, Iwamura (2017), Lemma 5; Higham (2008), sections 5.3 and 8.6, for `"polar"`; Higham &
    Mary (2019) for the margin.
    """
    _check(matrix, radius, method)
    batch, (rows, columns) = matrix.shape[:-2], matrix.shape[-2:]
    small = min(rows, columns)
    if subspace is not None:
        rank = subspace.shape[-1]
    rank = min(small, 32) if rank is None else rank
    if not 1 <= rank <= small:
        raise ValueError(f"spectral_projection: rank must be between 1 and {small}, the smaller side; got {rank}.")
    if method != "block_power":
        subspace = jnp.zeros((*batch, small, 0), matrix.dtype)
    elif subspace is None:
        subspace = start_subspace(matrix.shape, rank, matrix.dtype)
    radius = jnp.broadcast_to(jnp.asarray(radius, matrix.real.dtype), batch)

    wide = rows < columns
    tall = jnp.conj(matrix.mT) if wide else matrix
    project = functools.partial(_project, method, rank, slack)
    out: SpectralProjection = as_one_batch(project, batch, tall, radius, subspace)
    return out._replace(matrix=jnp.conj(out.matrix.mT)) if wide else out


def start_subspace(shape: tuple[int, ...], rank: int, dtype: Any) -> Inexact[Array, "*batch k rank"]:
    """Orthonormal columns to start block power iteration from, the same in every call, for matrices of a `shape`
    `(..., m, n)`.

    **Returns:** `(..., min(m, n), rank)`.

    **Source:** none; any start without structure does.
    """
    small = min(shape[-2:])
    angles = jnp.sin(jnp.arange(1, small * rank + 1, dtype=jnp.finfo(dtype).dtype) ** 2).reshape(small, rank)
    return jnp.broadcast_to(jnp.linalg.qr(angles)[0].astype(dtype), (*shape[:-2], small, rank))


def _project(
    method: Method, rank: int, slack: float | None, matrix: Array, radius: Array, subspace: Array
) -> SpectralProjection:
    margin = rounding_margin(matrix.shape[1:], matrix.dtype)
    slack = 32 * margin if slack is None else slack
    scaled = matrix / each(radius).astype(matrix.dtype)
    usable = jnp.max(jnp.abs(scaled), axis=(-2, -1)) <= _LARGEST
    scaled = jnp.where(each(usable), scaled, 0)
    gram_matrix = gram(scaled)
    inside = usable & is_below(gram_matrix, jnp.ones_like(radius), margin)

    def exact(_: Array) -> Array:
        # The ladder has no end that matters here: the error of a decomposition is a small multiple of the margin.
        return shrink_into_ball(clip_by_svd(matrix, radius), 1.0)[0]

    def clip() -> tuple[Array, Array]:
        kept, found = subspace, scaled
        if method == "svd":
            return exact(found), kept
        if method == "eigh":
            found = clip_by_eigh(scaled, gram_matrix)
        elif method == "polar":
            found = clip_by_polar(scaled, gram_matrix)
        elif method == "lanczos":
            found = clip_by_lanczos(scaled, rank)
        else:
            found, kept = clip_by_subspace(scaled, gram_matrix, subspace, 4)
        found, proven = shrink_into_ball(found, slack)
        proven = inside | (usable & proven)
        found = jax.lax.cond(
            jnp.all(proven), lambda found: found, lambda found: jnp.where(each(proven), found, exact(found)), found
        )
        return found, kept

    found, subspace = jax.lax.cond(jnp.all(inside), lambda: (scaled, subspace), clip)
    found = jnp.where(each(inside), matrix, found * each(radius).astype(matrix.dtype))
    bound = jnp.where(inside, norm_bound(run_after(gram_matrix, found), margin), 1) * radius
    has_nan = jnp.any(jnp.isnan(found), axis=(-2, -1))
    return SpectralProjection(found, jnp.where(has_nan, jnp.nan, bound), ~inside, subspace)


def _check(matrix: Array, radius: Any, method: str) -> None:
    if matrix.ndim < 2:
        raise ValueError(f"A spectral norm needs a matrix, of shape (..., m, n); got {matrix.shape}.")
    if jnp.finfo(matrix.dtype).bits < 32:
        raise TypeError(f"A spectral norm cannot be kept in {matrix.dtype}; cast the matrix to float32 first.")
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}; got {method!r}.")
    if isinstance(radius, int | float) and not radius > 0:
        raise ValueError(f"The radius of a spectral ball must be positive; got {radius}.")
