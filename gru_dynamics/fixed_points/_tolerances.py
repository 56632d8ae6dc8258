"""Default tolerances by dtype, and the one warning about float32."""

import functools
import warnings
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

T = TypeVar("T")


class PrecisionWarning(UserWarning):
    """Fixed points are being computed in float32: tolerances are loose and near-degenerate points unreliable.

    Raised once per process, whatever the shapes.

    **Source:** the precision rules in `docs/architecture.md`.
    """


def is_double(dtype: jnp.dtype) -> bool:
    return dtype == jnp.float64


def residual_tolerance(dtype: jnp.dtype) -> float:
    """Largest residual of a converged point. Rounding in a residual of 512 tanh units is about 1e-13 (1e-5)."""
    return 1e-12 if is_double(dtype) else 2e-5


def merge_distance(dtype: jnp.dtype) -> float:
    """Points nearer than this are one: the square root of the residual tolerance, the scatter at a fold."""
    return 1e-6 if is_double(dtype) else 5e-3


def degenerate_tolerance(dtype: jnp.dtype) -> float:
    """Relative distance to singularity below which a point cannot be told from a degenerate one: at a fold the position
    is known to the square root of rounding, and the smallest singular value with it, times curvature."""
    return 1e-6 if is_double(dtype) else 5e-3


@functools.cache
def warn_float32() -> None:
    warnings.warn(
        "find_fixed_points: running in float32, so points converge to 2e-5 instead of 1e-12. For analysis set the "
        "environment variable JAX_ENABLE_X64=1, or update jax_enable_x64 in jax.config before creating arrays.",
        PrecisionWarning,
        stacklevel=4,
    )


def as_double(system: T, where: str) -> T:
    """The system with its floating-point leaves in float64, the very same numbers."""
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise ValueError(
            f"{where}: proofs need float64. Set the environment variable JAX_ENABLE_X64=1, or update jax_enable_x64 in "
            "jax.config before creating arrays."
        )
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if eqx.is_inexact_array(leaf) else leaf, system)
