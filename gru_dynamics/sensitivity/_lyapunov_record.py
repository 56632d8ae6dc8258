"""Growth along a run in blocks that double in length as the run grows, and what their scatter says about the mean."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Array, DTypeLike, Float, Int

NUM_BLOCKS = 128
FEWEST = 8
_MOST = 32


class GrowthRecord(eqx.Module):
    """Logarithms of growth summed over blocks of `width` orthonormalisations.

    With the run the blocks double in length, so that there are never more than 128 and, beyond 64, never fewer than
    64. A run that is continued has the same blocks as one in one piece.

    **Fields:** `growth (128, k)`, in the order of the basis; `time (128,)`, that each block took; `total (k,)`; `rows
    ()`, orthonormalisations so far; `width ()`.

    **Source:** blocks as in Flyvbjerg & Petersen (1989).
    """

    growth: Float[Array, "*batch B k"]
    time: Float[Array, "*batch B"]
    total: Float[Array, "*batch k"]
    rows: Int[Array, "*batch"]
    width: Int[Array, "*batch"]


def empty_record(num_exponents: int, dtype: DTypeLike) -> GrowthRecord:
    """Nothing yet."""
    return GrowthRecord(
        jnp.zeros((NUM_BLOCKS, num_exponents), dtype),
        jnp.zeros((NUM_BLOCKS,), dtype),
        jnp.zeros((num_exponents,), dtype),
        jnp.zeros((), jnp.int32),
        jnp.ones((), jnp.int32),
    )


def make_room(record: GrowthRecord, num_rows: int) -> GrowthRecord:
    """The same with blocks merged until `num_rows` more have their place."""
    widths = jnp.left_shift(jnp.ones((), jnp.int32), jnp.arange(23, dtype=jnp.int32))
    width = widths[jnp.argmax(widths * NUM_BLOCKS >= record.rows + num_rows)]
    label = jnp.arange(NUM_BLOCKS, dtype=jnp.int32) // (width // record.width)
    growth = jax.ops.segment_sum(record.growth, label, NUM_BLOCKS)
    time = jax.ops.segment_sum(record.time, label, NUM_BLOCKS)
    return GrowthRecord(growth, time, record.total, record.rows, width)


def add(record: GrowthRecord, growth: Float[Array, " k"], took: Array) -> GrowthRecord:
    """With one more row."""
    block = record.rows // record.width
    return GrowthRecord(
        record.growth.at[block].add(growth),
        record.time.at[block].add(took),
        record.total + growth,
        record.rows + 1,
        record.width,
    )


def running_mean(record: GrowthRecord) -> tuple[Float[Array, "B k"], Float[Array, " B"]]:
    """Mean growth per time up to the end of each block, and that time; nan beyond the last."""
    used = record.time > 0
    time = jnp.where(used, jnp.cumsum(record.time), jnp.nan)
    return jnp.cumsum(record.growth, axis=0) / time[:, None], time


def standard_error(record: GrowthRecord) -> Float[Array, " k"]:
    """Standard error of the mean growth per time, such that `mean +- 1.96 standard_error` covers 95 %.

    Batch means: the blocks are gathered into 16 to 32 batches (all there are, when fewer), whose means scatter with
    variance s^2. Where neighbouring batches are still correlated, beyond what chance gives (`|rho| > 2/sqrt(m)`), s^2
    is multiplied by `(1 + rho)/(1 - rho)`, as for an autoregressive process. Since s itself comes from m batches only,
    the result is scaled by the quantile of Student's t. nan with fewer than 8 batches.
    """
    full = record.rows // record.width
    group = jnp.maximum((full + _MOST - 1) // _MOST, 1)
    number = full // group
    label = jnp.arange(NUM_BLOCKS, dtype=jnp.int32) // group
    label = jnp.where(label < number, label, _MOST)
    growth = jax.ops.segment_sum(record.growth, label, _MOST + 1)[:-1]
    time = jax.ops.segment_sum(record.time, label, _MOST + 1)[:-1]
    used = (jnp.arange(_MOST, dtype=jnp.int32) < number)[:, None]
    mean = jnp.sum(growth, axis=0) / jnp.sum(time)
    gap = jnp.where(used, growth / jnp.where(used, time[:, None], 1) - mean[None], 0)
    m = number.astype(growth.dtype)
    square = jnp.sum(gap * gap, axis=0)
    rho = jnp.sum(gap[1:] * gap[:-1], axis=0) / jnp.where(square > 0, square, 1)
    rho = jnp.where(jnp.abs(rho) > 2 / jnp.sqrt(m), jnp.clip(rho, -0.9, 0.9), 0)
    variance = square / (m * (m - 1)) * (1 + rho) / (1 - rho)
    # Quantile of Student's t over that of the normal distribution (Abramowitz & Stegun 26.7.5).
    scale = 1 + 1.2103 / (m - 1) + 1.4405 / (m - 1) ** 2
    positive = variance > 0
    error = jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1)), variance) * scale
    return jnp.where(number < FEWEST, jnp.nan, error)
