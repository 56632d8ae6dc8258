"""Group points that are the same within a distance, at a cost that does not depend on how many there are."""

import jax
import jax.numpy as jnp
import numpy as np

from .._types import Array, Bool, Float, Int


def merge(points: Float[Array, "num R"], valid: Bool[Array, " num"], distance: float) -> Int[Array, " num"]:
    """Label `(num,)` of every valid point: the index of its leader, itself for leaders, `num` for invalid points.

    1. Project the points without a label on a fixed random direction and sort: points within `distance` of each other
       are neighbours without a gap.
    2. In every run without a gap the point of lowest index becomes a leader.
    3. Points within `distance` (2-norm) of the leader of their run take its label.
    4. Repeat with the rest, which exists only where different points happen to have close projections.

    Leaders are further than `distance` apart.
    """
    num, size = points.shape
    # Fixed and generic: structured points, such as the corners of a box, must not share their projections. Drawn by
    # NumPy, it is a constant of the program; a JAX generator would take longer to compile than all the rest.
    direction = np.random.default_rng(0).normal(size=size)
    projection = points @ jnp.asarray(direction / np.linalg.norm(direction), points.dtype)

    def body(label):
        free = valid & (label == num)
        key, order = jax.lax.sort((jnp.where(free, projection, jnp.inf), jnp.arange(num, dtype=jnp.int32)), num_keys=1)
        joined = jnp.concatenate([jnp.zeros((1,), bool), key[1:] - key[:-1] <= distance])
        run = jnp.cumsum(~joined, dtype=jnp.int32) - 1
        leader = jax.ops.segment_min(order, run, num, indices_are_sorted=True)[run]
        near = jnp.linalg.norm(points[order] - points[leader], axis=1) <= distance
        return label.at[jnp.where(free[order] & near, order, num)].set(leader, mode="drop")

    def unfinished(label):
        return jnp.any(valid & (label == num))

    return jax.lax.while_loop(unfinished, body, jnp.full((num,), num, jnp.int32))
