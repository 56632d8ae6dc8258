"""What a run has to say, row by row: in memory, and as JSON lines in a file."""

import io
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from ._errors import TrainingError


class Mark(NamedTuple):
    """A place between two rows: how many rows there are before it, and how many bytes in the file."""

    rows: int
    bytes: int


class Journal:
    """Rows are dicts; a number that is not finite is kept and written as null."""

    def __init__(self, path: Path | None, mark: Mark | None = None, *, writes: bool = True):
        self.rows: list[dict[str, Any]] = []
        if path is not None and mark is not None:
            self._read(path, mark)
        self._path = path if writes else None
        self._mode = "wb" if mark is None else "r+b"
        self._file: io.FileIO | None = None
        if mark is not None:
            self.rewind(mark)

    def append(self, rows: list[dict[str, Any]]) -> Mark:
        """Add rows in one write; returns the place after them."""
        rows = [_plain(row) for row in rows]
        file = self._opened()
        if file is not None:
            file.write("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode())
        self.rows += rows
        return self.mark()

    def mark(self) -> Mark:
        return Mark(len(self.rows), 0 if self._file is None else self._file.tell())

    def rewind(self, mark: Mark) -> None:
        """Forget what comes after a place."""
        del self.rows[mark.rows :]
        file = self._opened() if mark.rows or self._file is not None else None
        if file is not None:
            file.truncate(mark.bytes)
            file.seek(mark.bytes)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _opened(self) -> io.FileIO | None:
        # Only when there is something to write: a run that fails before its first row leaves no trace.
        if self._file is None and self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                # Buffering would leave half a row behind when the process is killed.
                self._file = io.FileIO(self._path, self._mode)
            except OSError as error:
                raise TrainingError(f"{self._path}: cannot be written: {error.strerror}") from error
        return self._file

    def _read(self, path: Path, mark: Mark) -> None:
        try:
            with path.open("rb") as file:
                content = file.read(mark.bytes)
            self.rows = [json.loads(line) for line in content.splitlines()]
        except (OSError, ValueError) as error:
            raise TrainingError(f"{path}: cannot be read ({error}); start anew in another folder") from error
        if len(content) != mark.bytes or len(self.rows) != mark.rows:
            raise TrainingError(
                f"{path}: expected the {mark.rows} rows that the checkpoint speaks of, found {len(self.rows)}; "
                "start anew in another folder"
            )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
