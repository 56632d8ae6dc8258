"""What can be reproduced, by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from . import _nc_gru as nc_gru
from ._errata import errata
from ._jordan_atlas import jordan_atlas
from ._jordan_curves import jordan_figures
from ._kanai_sweep import kanai_sweep
from ._kanai_tables import kanai_tables
from ._options import Found, OptionError, Options, Say
from ._rehmer_kroll import rehmer_kroll_gradients


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


class _Entry(NamedTuple):
    """What makes the files, and which of the options have an effect on it; one that takes `data` needs them."""

    run: Callable[[Path, Say, Options], Found]
    takes: tuple[str, ...] = ()


def _without_options(run: Callable[[Path, Say], Found]) -> _Entry:
    return _Entry(lambda folder, say, options: run(folder, say))


_REGISTRY: dict[str, _Entry] = {
    "jordan-atlas": _without_options(jordan_atlas),
    "jordan-figures": _without_options(jordan_figures),
    **{f"nc-gru-{name}": _Entry(run, nc_gru.TAKES[name]) for name, run in nc_gru.RUNS.items()},
    "kanai-sweep": _Entry(kanai_sweep, ("scale", "seeds")),
    "kanai-tables": _Entry(kanai_tables, ("scale", "seeds", "data")),
    "rehmer-kroll-gradients": _Entry(rehmer_kroll_gradients, ("scale",)),
    "errata": _Entry(errata),
}


def names() -> tuple[str, ...]:
    """Names that `reproduce` takes.

    **Returns:** tuple of names, no arrays of any shape.

    **Source:** none; a list.
    """
    return tuple(_REGISTRY)


def _silent(text: str) -> None:
    pass


def reproduce(
    name: str,
    folder: str | Path,
    *,
    scale: str = "small",
    seeds: int = 3,
    data: str | Path | None = None,
    say: Say = _silent,
) -> Reproduction:
    """Recompute tables and figures of a paper, and write them beside what is printed.

    `"jordan-atlas"`: the 36 topologies and the figures of Jordan, Sokół, Park (2019), as `atlas.html`, `table.md`,
    `table.csv`, `result.json`, and pictures. `"jordan-figures"`: figures 2 to 7 of the same paper with the curves
    behind them (branches of fixed points, cycles and their periods, homoclinic orbits, folds next to slow points,
    automata, and the map beside the flow), as `figures.html`, `table.md`, `result.json`, and pictures. Both need
    float64 (`JAX_ENABLE_X64=1`), and have one scale.

    `"nc-gru-table1"` to `"nc-gru-table6"` and `"nc-gru-figure5"` to `"nc-gru-figure8"`: those of Mucllari et al.
    (2022), trained anew in float32; `"nc-gru-learning"`: what its networks learn on a CPU. `"kanai-sweep"` and
    `"kanai-tables"`: success rates of Kanai, Fujiwara, Iwamura (2017). Each writes a page, `table.md`, `result.json`
    and pictures, and says of each printed claim whether it reproduces. `"nc-gru-table5"`, `"nc-gru-table6"` and
    `"kanai-tables"` need `data`.

    `"errata"`: theorems and formulas of all five papers, each executed: does it hold, when, or which case found by the
    program breaks it, and what is true instead. `"rehmer-kroll-gradients"`: figures 3 to 9 of Rehmer & Kroll (2020):
    gradients of the state equation, its limit shapes, and loss landscapes. Both need float64.

    **Arguments:** `name`, one of `names()`; `folder`, made if it is not there; `scale`, `"small"`, minutes on two CPU
    cores, or `"paper"`, the printed setting, for an accelerator; `seeds`, networks trained of each kind; `data`, folder
    with the files of text or music; `say`, called with a line of text at each step. No arrays of any shape.

    **Returns:** a `Reproduction`.

    **Raises:** `OptionError` for an unknown name, and for an option that is unknown, missing, or without effect on what
    is reproduced; what the computations raise.

    **Source:** Jordan, Sokół, Park (2019); Mucllari et al. (2022); Kanai, Fujiwara, Iwamura (2017); Rehmer & Kroll
    (2020); Pal (2019).
    """
    if name not in _REGISTRY:
        raise OptionError(f"unknown name {name!r}; what can be reproduced: {', '.join(_REGISTRY)}")
    entry = _REGISTRY[name]
    options = Options(scale, seeds, None if data is None else Path(data))
    idle = [option for option in options.changed() if option not in entry.takes]
    if idle:
        raise OptionError(f"{name}: expected no {idle[0]}, it has no effect there; leave it out")
    if "data" in entry.takes and options.data is None:
        raise OptionError(f"{name}: expected data, the folder of its files, found none; nothing is downloaded")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return Reproduction(name, *entry.run(folder, say, options))
