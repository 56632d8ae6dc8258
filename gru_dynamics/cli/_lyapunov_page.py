"""Exponents in words, as a table, as a picture and as a page."""

import datetime
import io
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from .._report import Card, Chapter, Shot, gallery, versions
from .._results import RESULTS
from ..plot._lyapunov import lyapunov_convergence, lyapunov_exponents
from ..sensitivity._lyapunov_result import LyapunovSpectrum

OUTCOMES = ("successful", "too_short", "trajectory_exploded", "singular_jacobian")
_DPI = 170


def _leading(result: dict[str, Any]) -> list[tuple[float, float]]:
    """Largest exponent and half its 95 % interval, of the runs that have one."""
    pairs = [(run["exponents"][0], run["standard_error"][0]) for run in result["runs"]]
    return [(value, 1.96 * (error or 0.0)) for value, error in pairs if value is not None]


def story(result: dict[str, Any], unit: str) -> list[str]:
    """What the numbers say, in sentences."""
    leading, number = _leading(result), len(result["runs"])
    words = []
    chaotic = sum(value - bar > 0 for value, bar in leading)
    stable = sum(value + bar < 0 for value, bar in leading)
    if leading:
        largest = max(value for value, _ in leading)
        words.append(
            f"{chaotic} of {number} runs are chaotic, {stable} settle where every disturbance dies out, and for "
            f"{len(leading) - chaotic - stable} the largest exponent cannot be told from zero. The largest is "
            f"{largest:.5g} {unit}."
        )
        if stable == number:
            words.append(
                f"The state forgets where it came from: disturbances shrink by e within {-1 / largest:.3g} "
                f"{'units of time' if unit.endswith('time') else 'steps'} or less."
            )
    for name in OUTCOMES[1:]:
        count = sum(run["result"] == name for run in result["runs"])
        if count:
            words.append(f"{count} of {number} runs: {RESULTS[getattr(RESULTS, name)]}")
    defects = [run["volume_defect"] for run in result["runs"] if run["volume_defect"] is not None]
    if defects:
        words.append(
            f"Check: the sum of all exponents equals the mean of log |det J| to {max(defects):.1e}; rounding accounts "
            f"for at most {max(run['rounding'] or 0.0 for run in result['runs']):.1e}."
        )
    return words


def table(result: dict[str, Any]) -> str:
    """The leading exponents of all runs."""
    k = min(4, len(result["runs"][0]["exponents"]))
    head = "".join(f"{f'exponent {i + 1} +- 95 %':>26}" for i in range(k))
    lines = [f"{'run':>4}{head}{'dimension':>11}  result"]
    for number, run in enumerate(result["runs"], 1):
        cells = ""
        for value, error in zip(run["exponents"][:k], run["standard_error"][:k], strict=True):
            shown = "-inf or nan" if value is None else f"{value:.6f}"
            cells += f"{shown if error is None else f'{shown} +- {1.96 * error:.1e}':>26}"
        dimension = "-" if run["kaplan_yorke"] is None else f"{run['kaplan_yorke']:.3f}"
        lines.append(f"{number:>4}{cells}{dimension:>11}  {run['result'].replace('_', ' ')}")
    return "\n".join(lines)


def picture(spectra: LyapunovSpectrum, unit: str) -> bytes:
    """All runs over the index, and the convergence of the one with the largest exponent."""
    figure = Figure(figsize=(10.6, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    lyapunov_exponents(spectra, unit=unit, ax=left)
    leading = np.where(np.isfinite(spectra.exponents[:, 0]), spectra.exponents[:, 0], -np.inf)
    one = jax.tree.map(lambda leaf: leaf[int(np.argmax(leading))], spectra)
    lyapunov_convergence(one, time_label="time" if unit.endswith("time") else "steps", ax=right)
    right.set_title("convergence of the run with the largest exponent", fontsize="medium")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white")
    return buffer.getvalue()


def page(name: str, words: list[str], picture: bytes, result: dict[str, Any]) -> str:
    rows = tuple(
        (
            str(number),
            "none" if run["exponents"][0] is None else f"{run['exponents'][0]:.6f}",
            "-" if run["standard_error"][0] is None else f"{1.96 * run['standard_error'][0]:.1e}",
            "-" if run["kaplan_yorke"] is None else f"{run['kaplan_yorke']:.3f}",
            run["result"].replace("_", " "),
            "spectrum",
        )
        for number, run in enumerate(result["runs"], 1)
    )
    shot = Shot(picture, "Lyapunov exponents", "Exponents of all runs with 95 % intervals, and their convergence.")
    card = Card("spectrum", "The spectrum", "", True, (shot,), (), {})
    columns = ("run", "largest exponent", "+- (95 %)", "Kaplan-Yorke dimension", "result")
    chapter = Chapter("Runs from random starts", tuple(words), columns, rows, cards=(card,))
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    largest = max((value for value, _ in _leading(result)), default=float("nan"))
    tiles = [(str(len(rows)), "runs"), (f"{largest:.4g}", "largest exponent")]
    origin = {**result["system"], "command": result["command"], "seed": result["seed"], "versions": versions()}
    lede = "Lyapunov exponents: how fast neighbouring states separate or meet."
    return gallery(f"Lyapunov exponents of {name}", lede, tiles, [chapter], origin, written=now)
