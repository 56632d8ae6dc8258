"""The specification of a sweep, and one block of it as a pure function."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from .._results import RESULTS
from .._types import Array
from ..systems import AbstractFamily
from ._analysis import AbstractAnalysis
from ._errors import SweepError
from ._points import AbstractPoints


class Sweep(eqx.Module):
    """A study of a family of systems over its parameters, cut into blocks.

    **Fields:**

    - `family`: `mu -> system`, a `Family`, `FunctionFamily` or `NamedFamily`.
    - `points`: a `Grid`, `Sobol` or `ArrayPoints`. A row of P numbers becomes the `mu` of the family in its shape.
    - `analysis`: what to measure, such as `Search(num_guesses=64)`.
    - `block_size`: points computed at a time on one device and written to one part. Memory is that of a block.
    - `dtype`: of parameters and of the system, `"float64"` or `"float32"`.
    - `seed`: of the random numbers of the analysis, which are the same for all rows.

    **Shapes:** `points.num` rows, in `num_blocks` blocks, with P parameters each.

    **Raises:** `ValueError` when the family does not take P parameters, or for a `block_size` below 1 or another dtype.

    **Source:** idempotent tasks, as in Dean & Ghemawat (2004), section 3.3.
    """

    family: AbstractFamily
    points: AbstractPoints
    analysis: AbstractAnalysis
    block_size: int = 4096
    dtype: str = "float64"
    seed: int = 0

    def __check_init__(self):
        if self.block_size < 1:
            raise ValueError(f"Sweep: block_size must be at least 1, got {self.block_size}")
        if self.dtype not in ("float64", "float32"):
            raise ValueError(f"Sweep: dtype must be float64 or float32, got {self.dtype}")
        if self.family.mu.size != len(self.points.names):
            raise ValueError(
                f"Sweep: the family takes {self.family.mu.size} parameters, the points have {len(self.points.names)} "
                f"({', '.join(self.points.names)})"
            )

    @property
    def rows_per_block(self) -> int:
        """Rows of every block but perhaps the last, which is padded to as many."""
        return min(self.block_size, self.points.num)

    @property
    def num_blocks(self) -> int:
        """Number of blocks; the last may have fewer rows than `block_size`."""
        return -(-self.points.num // self.block_size)

    def parameters(self, block: int) -> dict[str, np.ndarray]:
        """Columns `row` and the parameters of a block, each `(rows,)`."""
        if not 0 <= block < self.num_blocks:
            raise ValueError(f"Sweep: there are blocks 0 to {self.num_blocks - 1}, got {block}")
        start = block * self.block_size
        stop = min(start + self.block_size, self.points.num)
        values = self.points.rows(start, stop).astype(self.dtype)
        return {"row": np.arange(start, stop), **dict(zip(self.points.names, values.T, strict=True))}


def run_block(sweep: Sweep, block: int) -> dict[str, np.ndarray]:
    """The rows of one block. The same block gives the same rows, bit for bit, whoever computes it.

    **Arguments:** `sweep`; `block`, 0 to `sweep.num_blocks - 1`.

    **Returns:** columns by name, each `(rows,)`: `row`, the number of the point in the sweep, the parameters, and the
    columns of the analysis, among them `status`. Every point has its row, also where the system returns nan.

    **Raises:** `ValueError` for a block that there is not; `SweepError` when float64 is asked for and switched off.

    **Source:** idempotent tasks, as in Dean & Ghemawat (2004), section 3.3.
    """
    return collect(sweep, [block], start(sweep, [block], jax.local_devices()[:1]))[0]


def start(sweep: Sweep, blocks: Sequence[int], devices: Sequence[Any]) -> dict[str, Any]:
    """Start to compute up to as many blocks as there are devices; `collect` waits for them."""
    if jax.dtypes.canonicalize_dtype(sweep.dtype) != np.dtype(sweep.dtype):
        raise SweepError(
            f"Sweep: dtype {sweep.dtype} needs double precision, found it switched off; set JAX_ENABLE_X64=1"
        )
    mesh = jax.make_mesh((len(devices),), ("block",), axis_types=(AxisType.Auto,), devices=list(devices))
    # Where blocks or rows are fewer than there is room for, the last ones are repeated: one program serves all.
    rows = [_padded(sweep, blocks[min(number, len(blocks) - 1)]) for number in range(len(devices))]
    mu = jax.device_put(np.concatenate(rows), NamedSharding(mesh, PartitionSpec("block")))
    return _columns(mesh, sweep.family, sweep.analysis, mu, sweep.seed)


def collect(sweep: Sweep, blocks: Sequence[int], columns: dict[str, Any]) -> list[dict[str, np.ndarray]]:
    """The tables of the blocks that `start` has begun, padding removed."""
    held = {name: _as_numpy(sweep, name, value) for name, value in columns.items()}
    tables = []
    for number, block in enumerate(blocks):
        known = sweep.parameters(block)
        first = number * sweep.rows_per_block
        here = slice(first, first + len(known["row"]))
        clash = set(known) & set(held)
        if clash:
            raise ValueError(f"Sweep: {', '.join(sorted(clash))} names both a parameter and a result; rename it")
        tables.append({**known, **{name: _trimmed(column[here]) for name, column in held.items()}})
    return tables


def _padded(sweep: Sweep, block: int) -> np.ndarray:
    known = sweep.parameters(block)
    rows = np.stack([known[name] for name in sweep.points.names], axis=1)
    return np.pad(rows, ((0, sweep.rows_per_block - len(rows)), (0, 0)), mode="edge")


@eqx.filter_jit
def _columns(mesh: Mesh, family: AbstractFamily, analysis: AbstractAnalysis, mu: Array, seed: int) -> dict[str, Any]:
    """Columns `(devices * rows_per_block,)`. Each device runs the program of one block on its own: a search over a
    sharded batch would make the devices wait for one another at every step, and its bits depend on their number."""
    arrays, rest = eqx.partition(family, eqx.is_array)

    def block(arrays: Any, mu: Array) -> dict[str, Any]:
        family = eqx.combine(arrays, rest)
        family = jax.tree.map(lambda leaf: leaf.astype(mu.dtype) if eqx.is_inexact_array(leaf) else leaf, family)
        shape, key = family.mu.shape, jr.key(seed)
        # An ordered dictionary leaves jit in its order, a plain one sorted by name.
        return jax.vmap(lambda row: OrderedDict(analysis.columns(family(row.reshape(shape)), key)))(mu)

    split = PartitionSpec("block")
    mapped = jax.shard_map(block, mesh=mesh, in_specs=(PartitionSpec(), split), out_specs=split, check_vma=False)
    return mapped(arrays, mu)


def _as_numpy(sweep: Sweep, name: str, value: Any) -> np.ndarray:
    """A column on the host, codes as text."""
    if isinstance(value, RESULTS):
        texts = {int(item._value): text for text, item in RESULTS._name_to_item.items()}
        return _words(np.asarray(value._value), texts)
    codes = sweep.analysis.codes
    if name in codes:
        return _words(np.asarray(value), {int(code): code.name.lower() for code in codes[name]})
    return np.asarray(value)


def _trimmed(column: np.ndarray) -> np.ndarray:
    """Text as wide as its longest, as when it is read from a file."""
    return np.array(column.tolist()) if column.dtype.kind == "U" else column


def _words(codes: np.ndarray, texts: dict[int, str]) -> np.ndarray:
    table = np.array([texts.get(code, str(code)) for code in range(max(texts) + 1)])
    return table[codes]
