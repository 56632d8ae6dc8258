"""What stands in a table of Mucllari et al. (2022): networks by name, printed numbers, claims."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ._nc_gru_run import Setting
from ._options import Options

LSTM, GRU, SCO, GORU = "LSTM", "GRU", "scoRNN", "GORU"
C, RC, RZC = "NC-GRU (U_c)", "NC-GRU (U_r, U_c)", "NC-GRU (U_r, U_u, U_c)"
RELEASED = "NC-GRU (U_c), released update"


class Claim(NamedTuple):
    """Each of `better` is below each of `worse`, or below `limit`; `of` the metric or the `seconds` of a step.
    `printed`: where the paper says so, empty for a question of ours."""

    text: str
    printed: str
    better: tuple[str, ...]
    worse: tuple[str, ...] = ()
    limit: float | None = None
    of: str = "metric"


class Column(NamedTuple):
    """One column of a printed table: a setting, the numbers printed for it by the name of the network, and claims."""

    title: str
    setting: Setting
    printed: Mapping[str, float] = {}
    claims: tuple[Claim, ...] = ()


class Experiment(NamedTuple):
    """A table or figure: what it is called, where it stands, what its numbers are, what there is to know of it, and
    its columns at a scale."""

    title: str
    place: str
    quantity: str
    remarks: tuple[str, ...]
    columns: Callable[[Options], list[Column]]


def released(rate: float) -> dict[str, Any]:
    """The update of the released programs at this learning rate."""
    return {"mode": "released", "learning_rate": rate, "reset_every": 49}
