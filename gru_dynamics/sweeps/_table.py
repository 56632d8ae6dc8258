"""All rows of a sweep."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from ._folder import read_record
from ._parts import DamagedPart, read_part, write_parquet


class Table(eqx.Module):
    """Rows of a sweep in the order of its points; `table["count"]` is a column.

    **Fields:**

    - `columns`: name -> array `(rows,)`, text where the value is a name such as `status`.
    - `names`: which columns are the parameters.
    - `missing`: blocks that are not there; their rows are absent. `damaged`: those of them whose part is unreadable.
    - `num_rows`: rows of the whole sweep.
    - `spec`: what `sweep.json` says.

    **Source:** Codd (1970).
    """

    columns: Mapping[str, np.ndarray]
    names: tuple[str, ...]
    missing: tuple[int, ...]
    damaged: tuple[int, ...]
    num_rows: int
    spec: dict[str, Any]

    def __getitem__(self, name: str) -> np.ndarray:
        """One column, `(rows,)`."""
        return self.columns[name]

    @property
    def complete(self) -> bool:
        """Whether every row is there."""
        return not self.missing


def load(folder: str | Path) -> Table:
    """Read what is there of a sweep. Several shards may still be at work.

    **Arguments:** `folder` that `run` has written to.

    **Returns:** `Table`, columns `(rows,)` in the order of the points, and which blocks are missing.

    **Raises:** `SweepError` when the folder holds no sweep, or without pyarrow.

    **Source:** none; it concatenates.
    """
    folder = Path(folder)
    record = read_record(folder)
    spec = record["sweep"]
    num, size = spec["points"]["num"], spec["block_size"]
    parts, missing, damaged = [], [], []
    for block in range(-(-num // size)):
        rows = np.arange(block * size, min((block + 1) * size, num))
        try:
            part = read_part(folder, block, record["fingerprint"], {"row": rows})
        except DamagedPart:
            damaged.append(block)
            part = None
        if part is None:
            missing.append(block)
        else:
            parts.append(part)
    names = parts[0] if parts else ["row", *spec["points"]["names"]]
    columns = {name: np.concatenate([part[name] for part in parts] or [np.zeros(0)]) for name in names}
    return Table(columns, tuple(spec["points"]["names"]), tuple(missing), tuple(damaged), num, spec)


def write_table(path: str | Path, table: Table) -> None:
    """Write all rows to one Parquet file, whole or not at all.

    **Arguments:** `path`; `table`, columns `(rows,)`.

    **Returns:** nothing.

    **Raises:** `SweepError` without pyarrow; `OSError` when the file cannot be written.

    **Source:** none.
    """
    write_parquet(Path(path), table.columns, {})
