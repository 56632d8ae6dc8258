"""What a reproduction may be asked for, and what it hands over."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Names of the files, the page first; a summary; the content of result.json.
Found = tuple[tuple[str, ...], str, dict[str, Any]]
Say = Callable[[str], None]


class OptionError(ValueError):
    """A name or option with which nothing can be reproduced. The message is one line: what was expected, what was
    found, and the fix.

    **Source:** the house rule for bad input.
    """


@dataclass(frozen=True)
class Options:
    """How large a reproduction is.

    **Fields**, plain values, no arrays of any shape: `scale`, `"small"`, minutes on two CPU cores, or `"paper"`, the
    printed setting; `seeds`, networks trained of each kind; `data`, folder with the files of text or music.

    **Source:** none; a record.
    """

    scale: str = "small"
    seeds: int = 3
    data: Path | None = None

    def __post_init__(self):
        if self.scale not in ("small", "paper"):
            raise OptionError(f"scale: expected small or paper, found {self.scale!r}; choose one")
        if self.seeds < 1:
            raise OptionError(f"seeds: expected a number from 1 up, found {self.seeds}; write for example seeds 3")

    def changed(self) -> dict[str, Any]:
        """The fields that differ from their defaults, by name, of any shape."""
        usual = Options()
        return {name: value for name, value in vars(self).items() if value != getattr(usual, name)}

    def file(self, name: str, below: str) -> Path:
        """A file in the folder of the data, or in its usual place below it; what reads it says when it is missing.

        **Returns:** its path, no array of any shape.

        **Source:** none.
        """
        assert self.data is not None
        usual = self.data / below / name
        return usual if usual.exists() else self.data / name
