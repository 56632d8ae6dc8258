"""Products of plane rotations between neighbours, applied in order n per layer."""

import jax
import jax.numpy as jnp

from .._types import Array, Float


def rotate(
    even_angles: Float[Array, "A p"], odd_angles: Float[Array, "B q"], vector: Float[Array, " n"]
) -> Float[Array, " n"]:
    """`U v`, U a product of layers of Givens rotations: even, odd, even, ..., the first even layer acting first.

    An even layer turns the planes (0, 1), (2, 3), ..., an odd layer (1, 2), (3, 4), ..., each from its first axis to
    its second by its angle. There are as many even layers as odd ones or one more: A = B or A = B + 1; p = n // 2,
    q = (n - 1) // 2.
    """

    def even_and_odd(vector: Array, angles: tuple[Array, Array]) -> tuple[Array, None]:
        return _layer(_layer(vector, angles[0], 0), angles[1], 1), None

    pairs = odd_angles.shape[0]
    vector, _ = jax.lax.scan(even_and_odd, vector, (even_angles[:pairs], odd_angles), unroll=4)
    return vector if even_angles.shape[0] == pairs else _layer(vector, even_angles[pairs], 0)


def _layer(vector: Array, angles: Array, start: int) -> Array:
    stop = start + 2 * angles.shape[0]
    first, second = vector[start:stop].reshape(-1, 2).T
    c, s = jnp.cos(angles), jnp.sin(angles)
    turned = jnp.stack([c * first - s * second, s * first + c * second], axis=1).reshape(-1)
    return jnp.concatenate([vector[:start], turned, vector[stop:]])
