"""Compute the blocks that are not there yet."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import equinox as eqx
import jax
import numpy as np
from tqdm import tqdm

from ._errors import SweepError, optional
from ._files import remove_leftovers
from ._folder import claim
from ._parts import DamagedPart, part_path, read_part, write_part
from ._ray import compute_on_ray
from ._sweep import Sweep, collect, start

Finished: TypeAlias = Iterator[tuple[int, dict[str, np.ndarray]]]


class RunReport(eqx.Module):
    """What a run has done with the blocks of its shard.

    **Fields:** `computed`, blocks computed now; `found`, blocks that were there; `repaired`, those of the computed
    whose part was there but damaged.

    **Shapes:** block numbers, tuples and no arrays of any shape.

    **Source:** none.
    """

    computed: tuple[int, ...]
    found: tuple[int, ...]
    repaired: tuple[int, ...]


def run(
    sweep: Sweep,
    folder: str | Path,
    *,
    shard: tuple[int, int] = (0, 1),
    engine: Literal["local", "ray"] = "local",
    progress: bool = True,
) -> RunReport:
    """Compute the blocks of a sweep that its folder does not hold yet, and write each as a part.

    A part appears in one step once it is whole and durable, so a run may be killed at any time and be repeated, by
    itself or as other shards. A part that is there is read and checked; a damaged one is computed again.

    **Arguments:**

    - `sweep`; `folder`, made if need be. It remembers the sweep and refuses another.
    - `shard`: `(i, n)`, this run takes the blocks b with `b % n == i`. Shards share the folder and nothing else.
    - `engine`: `"local"`, a block at a time on each local device; `"ray"`, each block a task on a Ray cluster. The
      tasks are repeated when a node is lost; the parts are written by this process alone.
    - `progress`: a bar on stderr.

    **Returns:** `RunReport`, with block numbers and no shapes.

    **Raises:** `SweepError` for a folder that holds another sweep or is not writable, a full disk, a lost cluster, or a
    missing package; `ValueError` for a shard outside 0 to n - 1 or an unknown engine. Parts already written stay.

    **Source:** idempotent tasks and atomic renames: Dean & Ghemawat (2004), section 3.3.
    """
    number, shards = shard
    if not 0 <= number < shards:
        raise ValueError(f"run: shard must be (i, n) with 0 <= i < n, got {shard}")
    engines: dict[str, Callable[[Sweep, Sequence[int]], Finished]] = {"local": _compute_here, "ray": compute_on_ray}
    if engine not in engines:
        raise ValueError(f"run: engine must be local or ray, got {engine!r}")
    optional("pyarrow.parquet", "sweep")
    folder = Path(folder)
    fingerprint = claim(folder, sweep)
    remove_leftovers(folder)
    mine = range(number, sweep.num_blocks, shards)
    todo, repaired = _survey(sweep, folder, mine, fingerprint)
    done = 0
    with tqdm(total=len(mine), initial=len(mine) - len(todo), unit="block", disable=not progress) as bar:
        for block, columns in engines[engine](sweep, todo) if todo else ():
            try:
                write_part(folder, block, columns, fingerprint)
            except OSError as error:
                raise SweepError(
                    f"{part_path(folder, block)}: cannot be written ({error.strerror or error}); {done} blocks of this "
                    f"run and all earlier ones are kept: free space or permit writing, and run again to continue"
                ) from error
            done += 1
            bar.update()
    return RunReport(tuple(todo), tuple(sorted(set(mine) - set(todo))), tuple(repaired))


def _survey(sweep: Sweep, folder: Path, blocks: Sequence[int], fingerprint: str) -> tuple[list[int], list[int]]:
    """The blocks to compute, and those of them whose part is damaged."""
    todo, damaged = [], []
    for block in blocks:
        try:
            held = read_part(folder, block, fingerprint, sweep.parameters(block))
        except DamagedPart as error:
            warnings.warn(f"{part_path(folder, block)}: {error}; computing it again", stacklevel=3)
            damaged.append(block)
            held = None
        if held is None:
            todo.append(block)
    return todo, damaged


def _compute_here(sweep: Sweep, blocks: Sequence[int]) -> Finished:
    """A block on each local device at a time; while one wave is computed, the one before is written."""
    devices = jax.local_devices()
    waves = [blocks[first : first + len(devices)] for first in range(0, len(blocks), len(devices))]
    pending = None
    for wave in [*waves, None]:
        begun = None if wave is None else (wave, start(sweep, wave, devices))
        if pending is not None:
            yield from zip(pending[0], collect(sweep, *pending), strict=True)
        pending = begun
