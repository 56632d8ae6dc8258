"""`gru-dynamics continue`: follow all fixed points in one parameter, say what happens on the way, and draw it."""

import datetime
import io
import json as text
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._report import Continuation, Picture, collect_continuation, continuation_page, versions
from .._results import RESULTS
from ..bifurcations import BranchPoint, Fold, Hopf, NeimarkSacker, PeriodDoubling, all_events
from ..continuation import AbstractEvent, Branch
from ..fixed_points import UniformGuesses
from ..plot import bifurcation_diagram
from ._continue_source import Source, read_source
from ._errors import CommandError
from ._follow import Settings, follow_all, follow_from
from ._inputs import positive
from ._parameter import named_family, names_of
from ._staging import staged
from ._terminal import paragraphs, say, show

_DPI = 170
_BOX = (-10.0, 10.0)
_EVENTS: dict[str, Callable[[], AbstractEvent]] = {
    "fold": Fold,
    "branch-point": BranchPoint,
    "hopf": Hopf,
    "period-doubling": PeriodDoubling,
    "neimark-sacker": NeimarkSacker,
}


def run_continue(
    command: str,
    word: str,
    *,
    parameter: str | None,
    range: tuple[str, str] | None,
    start: str | None,
    steps: int,
    events: str,
    component: str,
    box: tuple[str, str] | None,
    seeds: int,
    max_points: int,
    seed: int,
    out: Path | None,
    json: bool,
    **network: Any,
) -> None:
    """Search at some values of the parameter, follow what is found, write and say what happens."""
    positive(Path(word), [("--steps", steps), ("--seeds", seeds), ("--max-points", max_points)])
    source = read_source(word, **network)
    if parameter is None:
        raise CommandError(f"{source.name}: expected what to vary, found no --parameter; {names_of(source.system)}")
    family = named_family(source.system, parameter, source.name)
    mu_range = _range(source.name, range)
    values = _starts(source.name, start, mu_range)
    wanted = _chosen_events(source, events)
    state_size = int(np.size(source.system.lift(jnp.zeros((source.size,)))))
    drawn = _component(source.name, component, state_size)
    guesses = _guesses(source, box, seeds)
    out = Path(f"{_stem(word)}-continuation") if out is None else out
    with staged(out) as scratch:
        where = f"at {len(values)} given value{'s' * (len(values) != 1)}" if values else "in the whole range"
        say(f"searching {where} of {parameter}, then following (compiling takes some seconds)")
        settings = Settings(mu_range, steps, wanted, max_points, seed)
        followed = follow_from(family, guesses, values, settings) if values else follow_all(family, guesses, settings)
        branches = [branch for branch in followed.branches if _usable(branch)]
        _check(source.name, parameter, followed.branches, branches, values)
        facts = collect_continuation(
            f"Fixed points of {source.name} over {parameter}",
            source.facts,
            parameter,
            mu_range,
            list(zip(values, followed.counts, strict=False)),
            branches,
            warnings=followed.warnings,
            provenance={"command": command, "seed": seed, "versions": versions()},
        )
        say(f"{len(branches)} branch{'es' * (len(branches) != 1)}; drawing")
        _write(scratch, facts, branches, drawn)
    if json:
        show(_dumps(facts))
        return
    show(f"{facts.table()}\n\n{paragraphs(facts.words())}\n")
    for warning in facts.warnings:
        show(f"Warning: {warning}")
    show(f"Report: {out / 'report.html'}")


def _number(name: str, option: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise CommandError(
            f"{name}: {option} must be numbers, found {word!r}; write for example {option} 1.5"
        ) from None
    if not math.isfinite(value):
        raise CommandError(f"{name}: {option} must be finite numbers, found {word!r}; give finite ones")
    return value


def _range(name: str, words: tuple[str, str] | None) -> tuple[float, float]:
    if words is None:
        raise CommandError(
            f"{name}: expected the range of the parameter, found no --range; write for example --range -1 1"
        )
    low, high = (_number(name, "--range", word) for word in words)
    if not low < high:
        fix = f"write --range {high:g} {low:g}" if low > high else "widen it"
        raise CommandError(f"{name}: --range must be LOWER UPPER with LOWER < UPPER, found {low:g} {high:g}; {fix}")
    return low, high


def _starts(name: str, word: str | None, mu_range: tuple[float, float]) -> list[float]:
    """The given values, none by default."""
    low, high = mu_range
    values = [] if word is None else [_number(name, "--start", part) for part in word.split(",")]
    outside = [value for value in values if not low <= value <= high]
    if outside:
        raise CommandError(
            f"{name}: --start must lie in the range {low:g} to {high:g}, found {outside[0]:g}; widen --range or start "
            "inside"
        )
    return list(dict.fromkeys(values))


def _chosen_events(source: Source, word: str) -> tuple[AbstractEvent, ...]:
    if word in ("all", "none"):
        return all_events(source.system) if word == "all" else ()
    found = []
    for part in dict.fromkeys(word.split(",")):
        if part not in _EVENTS:
            raise CommandError(
                f"{source.name}: --events must be all, none, or some of {', '.join(_EVENTS)}, found {part!r}; choose "
                "from these, with commas between"
            )
        event = _EVENTS[part]()
        try:
            event.check(source.system)
        except ValueError as error:
            raise CommandError(f"{source.name}: --events {part}: {error}") from error
        found.append(event)
    return tuple(found)


def _component(name: str, word: str, size: int) -> int | str:
    if word == "norm":
        return word
    if not word.isdigit() or int(word) >= size:
        raise CommandError(f"{name}: --component must be 0 to {size - 1} or norm, found {word!r}; choose one")
    return int(word)


def _guesses(source: Source, box: tuple[str, str] | None, seeds: int) -> UniformGuesses:
    """Uniform in the trapping box, or in the one given, or in one of some size."""
    if box is None and source.system.bounds is not None:
        return UniformGuesses(num=seeds)
    low, high = _BOX if box is None else (_number(source.name, "--box", word) for word in box)
    if not low < high:
        raise CommandError(
            f"{source.name}: --box must be LOWER UPPER with LOWER < UPPER, found {low:g} {high:g}; swap them"
        )
    ends = jnp.full((source.size,), low), jnp.full((source.size,), high)
    return UniformGuesses(*ends, num=seeds)


def _stem(word: str) -> str:
    name = word.removeprefix("library:")
    return name.split(",")[0] if name != word else Path(word).stem


def _usable(branch: Branch) -> bool:
    return not any(
        bool(branch.result == failure)
        for failure in (RESULTS.start_not_on_branch, RESULTS.nonfinite_system, RESULTS.parameter_moves_nothing)
    )


def _check(name: str, parameter: str, followed: list[Branch], usable: list[Branch], values: list[float]) -> None:
    if any(bool(branch.result == RESULTS.parameter_moves_nothing) for branch in followed):
        raise CommandError(
            f"{name}: expected --parameter to change the system, found that {parameter} does not; choose another"
        )
    if not usable:
        searched = f"at {parameter} = {', '.join(f'{value:g}' for value in values)}" if values else "in the range"
        raise CommandError(
            f"{name}: expected a fixed point, found none {searched}; give --box LOWER UPPER around where the states "
            "are, or another --range"
        )


def _write(folder: Path, facts: Continuation, branches: list[Branch], component: int | str) -> None:
    ax = bifurcation_diagram(branches, component=component)
    ax.set(xlabel=_label(facts.parameter), title=facts.title)
    ax.title.set_fontsize("medium")
    buffer = io.BytesIO()
    ax.figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white")  # pyright: ignore[reportAttributeAccessIssue]
    caption = (
        "Branches of fixed points: thick where they are stable, thin where not. Markers: special points, hollow where "
        "they are only known to lie between two points of the branch."
    )
    picture = Picture("bifurcation.png", buffer.getvalue(), caption)
    (folder / picture.name).write_bytes(picture.png)
    arrays = {}
    for number, branch in enumerate(branches, 1):
        used = np.asarray(branch.mask)
        for name in ("mu", "state", "eigenvalues", "unstable_dim", "stable"):
            arrays[f"branch_{number}_{name}"] = np.asarray(getattr(branch, name))[used]
    np.savez_compressed(folder / "branches.npz", **arrays)
    (folder / "result.json").write_text(_dumps(facts) + "\n", encoding="utf-8")
    written = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    (folder / "report.html").write_text(continuation_page(facts, picture, written=written), encoding="utf-8")


def _label(name: str) -> str:
    """Names of numbers as mathematics, others as they are."""
    if name.startswith("gain:"):
        return f"factor of {_label(name.removeprefix('gain:'))}"
    if name in ("mu", "rho", "sigma", "beta", "theta", "epsilon", "alpha", "omega", "tau"):
        return rf"$\{name}$"
    return f"${name}$" if re.fullmatch(r"[A-Za-z](_[A-Za-z]+)?(\[[\d,]+\])?", name) else name


def _dumps(facts: Continuation) -> str:
    return text.dumps(facts.as_dict(), indent=1, allow_nan=False, ensure_ascii=False)
