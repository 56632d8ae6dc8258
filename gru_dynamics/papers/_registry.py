"""What can be reproduced, by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ._jordan_atlas import jordan_atlas
from ._jordan_curves import jordan_figures


class Reproduction(NamedTuple):
    """What a reproduction wrote and found.

    **Fields**, plain values, no arrays of any shape: `name`; `files`, their names in the folder, the page first;
    `summary`, a few lines of text; `result`, the content of `result.json`.

    **Source:** none; a record.
    """

    name: str
    files: tuple[str, ...]
    summary: str
    result: dict[str, Any]


_REGISTRY: dict[str, Callable[[Path, Callable[[str], None]], tuple[tuple[str, ...], str, dict[str, Any]]]] = {
    "jordan-atlas": jordan_atlas,
    "jordan-figures": jordan_figures,
}


def names() -> tuple[str, ...]:
    """Names that `reproduce` takes.

    **Returns:** tuple of names, no arrays of any shape.

    **Source:** none; a list.
    """
    return tuple(_REGISTRY)


def _silent(text: str) -> None:
    pass


def reproduce(name: str, folder: str | Path, *, say: Callable[[str], None] = _silent) -> Reproduction:
    """Recompute tables and figures of a paper, and write them beside what is printed.

    `"jordan-atlas"`: the 36 topologies and the figures of Jordan, Sokół, Park (2019), as `atlas.html`, `table.md`,
    `table.csv`, `result.json`, and pictures. `"jordan-figures"`: figures 2 to 7 of the same paper with the curves
    behind them (branches of fixed points, cycles and their periods, homoclinic orbits, folds next to slow points,
    automata, and the map beside the flow), as `figures.html`, `table.md`, `result.json`, and pictures. Both need
    float64 (`JAX_ENABLE_X64=1`).

    **Arguments:** `name`, one of `names()`; `folder`, made if it is not there; `say`, called with a line of text at
    each step. No arrays of any shape.

    **Returns:** a `Reproduction`.

    **Raises:** `ValueError` for an unknown name; what the computations raise.

    **Source:** Jordan, Sokół, Park (2019).
    """
    if name not in _REGISTRY:
        raise ValueError(f"unknown name {name!r}; what can be reproduced: {', '.join(_REGISTRY)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return Reproduction(name, *_REGISTRY[name](folder, say))
