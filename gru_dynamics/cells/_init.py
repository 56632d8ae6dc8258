"""Field-standard initialisations, as functions `(key, shape, dtype) -> array` for an (outputs, inputs) matrix."""

from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp
import jax.random as jr

from .._types import Array, Float, PRNGKey

Initializer: TypeAlias = Callable[[PRNGKey, tuple[int, int], jnp.dtype], Array]


def initial_bias(key: PRNGKey, size: int, dtype: jnp.dtype, recurrent_init: Initializer) -> Float[Array, " H"]:
    """Bias `(H,)` that goes with an initialiser: drawn alike for `uniform_fan`, whose frameworks do so, else zeros."""
    if recurrent_init is uniform_fan:
        return uniform_fan(key, (size, 1), dtype)[:, 0]
    return jnp.zeros((size,), dtype)


def glorot(key: PRNGKey, shape: tuple[int, int], dtype: jnp.dtype) -> Float[Array, "m n"]:
    """Uniform on `[-a, a]`, `a = sqrt(6 / (m + n))`, for a matrix of `shape = (m, n)`; keeps the forward and backward
    variances about equal.

    **Returns:** array of `shape`.

    **Source:** Glorot & Bengio (2010), eq. 16.
    """
    limit = (6.0 / max(sum(shape), 1)) ** 0.5
    return jr.uniform(key, shape, dtype, -limit, limit)


def he_uniform(key: PRNGKey, shape: tuple[int, int], dtype: jnp.dtype) -> Float[Array, "m n"]:
    """Uniform on `[-a, a]`, `a = sqrt(6 / n)`, for a matrix of `shape = (m, n)` with n inputs; keeps the variance of
    the forward signal through rectifiers.

    **Returns:** array of `shape`.

    **Source:** He, Zhang, Ren, Sun (2015), eq. 10, as a uniform distribution.
    """
    limit = (6.0 / max(shape[1], 1)) ** 0.5
    return jr.uniform(key, shape, dtype, -limit, limit)


def orthogonal(key: PRNGKey, shape: tuple[int, int], dtype: jnp.dtype) -> Float[Array, "m n"]:
    """Haar-random matrix of `shape = (m, n)` with orthonormal rows or columns, whichever are fewer.

    **Returns:** array of `shape`.

    **Source:** Saxe, McClelland, Ganguli (2014); Mezzadri (2007) for the sign correction of the QR factors.
    """
    return jr.orthogonal(key, max(shape), dtype=dtype)[: shape[0], : shape[1]]


def uniform_fan(key: PRNGKey, shape: tuple[int, int], dtype: jnp.dtype) -> Float[Array, "m n"]:
    """Uniform on `[-1/sqrt(m), 1/sqrt(m)]` for a matrix of `shape = (m, n)`, m the number of hidden units.

    **Returns:** array of `shape`.

    **Source:** the default of `torch.nn.GRU` and `equinox.nn.GRUCell`.
    """
    limit = 1.0 / max(shape[0], 1) ** 0.5
    return jr.uniform(key, shape, dtype, -limit, limit)
