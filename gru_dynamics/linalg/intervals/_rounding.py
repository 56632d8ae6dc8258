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


def widen(lower: Array, upper: Array, error: Array) -> tuple[Array, Array]:
    """`(lower - error, upper + error)`, rounded outward."""
    return down(lower - error), up(upper + error)


def sum_error(terms: int, magnitude: Array) -> Array:
    """Bound on the rounding error of a sum of `terms` products in any order, with or without fused operations, from the
    computed sum of their magnitudes.

    `gamma_k = k u / (1 - k u)` with `u = 2^-53` bounds it relative to the exact magnitude (Higham 2002, section 3.1);
    the slack between `terms + 4` and `2^-52` pays for computing the magnitude and this bound in floating point.
    """
    return (terms + 4) * EPSILON * magnitude + (terms + 1) * TINY
