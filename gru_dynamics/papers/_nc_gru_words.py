"""Measured beside printed as rows, and what becomes of each claim as sentences."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..tasks import AbstractRecallTask
from ._nc_gru_columns import GRU, LSTM, C, Claim, Column
from ._nc_gru_run import Run

COLUMNS = ("network", "printed", "measured, median", "least to most", "parameters", "ms per step", "largest drift")
TIMES = ("network", "ms per step, median", "least to most", "parameters")

# A loss above this share of that without memory counts as not learned.
_LEARNED = 0.9


class Verdict(NamedTuple):
    """What became of a claim: `answer` in a word or two, `text` as a sentence with the numbers."""

    claim: str
    printed: str
    answer: str
    text: str


def row(run: Run, column: Column) -> tuple[str, ...]:
    """One line of the table."""
    printed = column.printed.get(run.network.name)
    low, high = number(run.metric.min()), number(run.metric.max())
    return (
        run.network.name,
        "" if printed is None else number(printed),
        number(np.median(run.metric)),
        f"{low} to {high}" + (f", {run.failed} of {run.metric.size} diverged" if run.failed else ""),
        f"{run.parameters:,}",
        f"{1e3 * np.median(run.seconds):.3g}",
        "" if run.drift is None else f"{run.drift.max():.1e}",
    )


def time_row(run: Run) -> tuple[str, ...]:
    """One line of a table of times."""
    low, *_, high = np.sort(1e3 * run.seconds)
    return run.network.name, f"{1e3 * np.median(run.seconds):.3g}", f"{low:.3g} to {high:.3g}", f"{run.parameters:,}"


def judge(claim: Claim, column: Column, runs: Sequence[Run]) -> Verdict:
    """Compares the worst of those that are said to be better with the best of the others, over all seeds."""
    values = {run.network.name: run.metric if claim.of == "metric" else 1e3 * run.seconds for run in runs}
    medians = {name: float(np.median(value)) for name, value in values.items()}
    better = max(claim.better, key=medians.__getitem__)
    shown = f"{better} {_spread(values[better])}"
    unit = " ms" if claim.of == "seconds" else ""
    if claim.limit is not None:
        answer = _answer(bool(np.all(values[better] < claim.limit)), False, claim)
        return _verdict(claim, answer, f"{shown}{unit}, the limit is {number(claim.limit)}")
    worse = min(claim.worse, key=medians.__getitem__)
    shown += f" against {worse} {_spread(values[worse])}{unit}"
    bar = None if claim.of == "seconds" else _bar(column)
    if bar is not None and min(medians[better], medians[worse]) > _LEARNED * bar:
        return _verdict(claim, "not testable at this scale", f"neither learned: {shown}; without memory {number(bar)}")
    one, other = values[better], values[worse]
    holds = medians[better] < medians[worse]
    overlap = bool(one.max() >= other.min() and other.max() >= one.min())
    return _verdict(claim, _answer(holds, overlap, claim), shown)


def facts(runs: Sequence[Run], column: Column, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Everything about a column for `result.json`; numbers that are not finite are null."""
    setting = column.setting
    return {
        "column": column.title,
        "setting": words_of_setting(column),
        "baseline": setting.task.baseline,
        "floor": setting.task.floor,
        "metric": setting.metric,
        "networks": [
            {
                "network": run.network.name,
                "hidden": list(run.network.hidden),
                "printed": column.printed.get(run.network.name),
                "measured": _plain(run.metric),
                "median": _plain(np.median(run.metric)),
                "parameters": run.parameters,
                "dtype": run.dtype,
                "seconds_per_step": _plain(run.seconds),
                "drift": None if run.drift is None else _plain(run.drift),
                "diverged": run.failed,
            }
            for run in runs
        ],
        "claims": [verdict._asdict() for verdict in verdicts],
    }


def words_of_setting(column: Column) -> str:
    """On what, how long, with which rates."""
    one = column.setting
    name, length = type(one.task).__name__, getattr(one.task, "length", getattr(one.task, "window", None))
    rate = f"Adam at {one.rate:g}"
    if one.orthogonal_rate != one.rate:
        rate += f", {one.orthogonal_rate:g} for skew matrices"
    items = f", {one.task.num_items} symbols to recall" if isinstance(one.task, AbstractRecallTask) else ""
    work = (
        f"{one.steps:,} steps of {one.batch_size} sequences" if one.steps else f"{one.batch_size} sequences in a step"
    )
    return (
        f"{name}, length {length}{items}, {work}, {rate}"
        + (", falling to zero along a cosine" if one.decay else "")
        + (f", gradients clipped at {one.clip:g}" if one.clip else "")
        + ", float32"
    )


def sizes(runs: Sequence[Run]) -> list[str]:
    """How equal the numbers of parameters are that the paper calls equal."""
    counts = {run.network.name: run.parameters for run in runs}
    least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if len(counts) == 1:
        return []
    share = counts[most] / counts[least]
    return [
        f"Free parameters, n(n-1)/2 of an orthogonal matrix: from {counts[least]:,} ({least}) to {counts[most]:,} "
        f"({most}), a factor {share:.2f}; the paper (section 4) calls them equal."
    ]


def margin(runs: Sequence[Run], column: Column) -> list[str]:
    """How far NC-GRU (U_c) is below the better of LSTM and GRU, printed and measured."""
    if not {C, LSTM, GRU} <= set(column.printed):
        return []
    medians = {run.network.name: float(np.median(run.metric)) for run in runs}
    printed, measured = (values[C] / min(values[LSTM], values[GRU]) for values in (column.printed, medians))
    return [f"{C} over the better of LSTM and GRU: printed {number(printed)}, measured {number(measured)}."]


def number(value: float) -> str:
    """Four digits."""
    return "diverged" if not np.isfinite(value) else f"{value:.4g}"


def _spread(values: np.ndarray) -> str:
    return f"{number(np.median(values))} [{number(values.min())}, {number(values.max())}]"


def _bar(column: Column) -> float | None:
    """The loss without memory, in the unit of the metric."""
    return column.setting.task.baseline if column.setting.metric == "loss" else None


def _answer(holds: bool, overlap: bool, claim: Claim) -> str:
    if overlap:
        return f"{'holds' if holds else 'does not hold'} in the median, but the ranges overlap"
    if claim.printed:
        return "reproduces" if holds else "does not reproduce"
    return "yes" if holds else "no"


def _verdict(claim: Claim, answer: str, shown: str) -> Verdict:
    place = f" ({claim.printed})" if claim.printed else ""
    return Verdict(
        claim.text, claim.printed, answer, f"{claim.text[0].upper()}{claim.text[1:]}{place}: {answer}. {shown}."
    )


def _plain(values: Any) -> Any:
    if isinstance(values, np.ndarray) and values.ndim:
        return [_plain(value) for value in values]
    return float(values) if np.isfinite(values) else None
