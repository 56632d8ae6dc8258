"""One block, one Parquet file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ._errors import SweepError, optional
from ._files import write_whole


class DamagedPart(Exception):
    """A part that is not what it should be, and why."""


def part_path(folder: Path, block: int) -> Path:
    """Where a block is stored."""
    return folder / f"part-{block:06d}.parquet"


def write_part(folder: Path, block: int, columns: Mapping[str, np.ndarray], fingerprint: str) -> None:
    """Store a block, whole or not at all."""
    write_parquet(part_path(folder, block), columns, {"sweep": fingerprint, "block": str(block)})


def write_parquet(path: Path, columns: Mapping[str, np.ndarray], labels: Mapping[str, str]) -> None:
    """Columns `(rows,)` as a Parquet file with checksums, whole or not at all."""
    arrow, parquet = optional("pyarrow", "sweep"), optional("pyarrow.parquet", "sweep")
    table = arrow.table({name: _as_arrow(arrow, column) for name, column in columns.items()})
    table = table.replace_schema_metadata({f"gru_dynamics.{key}": value for key, value in labels.items()})
    write_whole(path, lambda file: parquet.write_table(table, file, write_page_checksum=True))


def read_part(
    folder: Path, block: int, fingerprint: str, known: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray] | None:
    """The columns of a block, or `None` when it is not there. `known` are columns that it must hold, bit for bit.

    Raises `DamagedPart` when what is there is something else.
    """
    path = part_path(folder, block)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SweepError(f"{path}: cannot be read ({error.strerror}); check its permissions and run again") from error
    columns, labels = _parse(data)
    if labels != {"sweep": fingerprint, "block": str(block)}:
        raise DamagedPart("it belongs to another sweep or block")
    for name, column in known.items():
        if name not in columns or not _same(columns[name], column):
            raise DamagedPart(f"its column {name} is not that of this block")
    return columns


def _parse(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    arrow, parquet = optional("pyarrow", "sweep"), optional("pyarrow.parquet", "sweep")
    try:
        table = parquet.read_table(arrow.BufferReader(data), page_checksum_verification=True)
    except (OSError, arrow.ArrowException) as error:
        reason = " ".join(str(error).split())[:120]
        raise DamagedPart(f"it is not a whole Parquet file: {reason}") from error
    columns = {name: _as_numpy(table[name]) for name in table.column_names}
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    prefix = "gru_dynamics."
    return columns, {key.removeprefix(prefix): text for key, text in metadata.items() if key.startswith(prefix)}


def _as_arrow(arrow: Any, column: np.ndarray) -> Any:
    return arrow.array(column.astype(object), arrow.string()) if column.dtype.kind == "U" else arrow.array(column)


def _as_numpy(column: Any) -> np.ndarray:
    array = column.to_numpy()
    return array.astype(str) if array.dtype == object else array


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == np.ascontiguousarray(b).tobytes()
