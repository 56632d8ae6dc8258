"""Rounding outward by arithmetic that compiles to two instructions.

XLA on CPU flushes subnormal numbers to zero and may contract a product and a sum into one fused operation, so neither
`nextafter` around zero nor a switch of the rounding mode can be relied on. What holds for every IEEE double precision
machine is the error of one operation, `|fl(a op b) - (a op b)| <= 2^-53 |fl(a op b)|` unless it underflows. Moving the
result by `2^-52 |x| + TINY` goes at least to the next number beyond, whatever is contracted or flushed. A subnormal
operand may be read as zero: this is covered as long as it does not meet a number beyond 1e17.
"""

import jax.numpy as jnp

from ..._types import Array

# Twice the unit roundoff of float64, and a length far above everything that is flushed to zero and far below all else.
EPSILON = 2.0**-52
TINY = 1e-290


def down(x: Array) -> Array:
    """A number not above the exact result of the one operation that gave `x`."""
    return x - (jnp.abs(x) * EPSILON + TINY)


def up(x: Array) -> Array:
    """A number not below the exact result of the one operation that gave `x`."""
    return x + (jnp.abs(x) * EPSILON + TINY)


def sum_slack(terms: int) -> float:
    """Bound on the rounding error of a sum of `terms` products in any order, with or without fused operations, relative
    to the sum of their magnitudes.

    `gamma_k = k u / (1 - k u)` with `u = 2^-53` bounds it (Higham 2002, section 3.1); the excess of `terms + 6` times
    `2^-52` pays for computing magnitudes and this bound in floating point, and for adding the bound to the sum.
    """
    return (terms + 6) * EPSILON


def cover(terms: int, bound: Array) -> Array:
    """A number not below a bound that was computed as a sum of `terms` products of numbers >= 0, nor below what
    underflow in them and in the sum that is bounded can hide."""
    return bound * (1 + sum_slack(terms)) + (2 * terms + 2) * TINY


def sum_error(terms: int, magnitude: Array) -> Array:
    """Bound on the rounding error of a sum of `terms` products from the computed sum of their magnitudes."""
    return cover(terms, sum_slack(terms) * magnitude)
