"""The family and the points that the words of `gru-dynamics sweep` ask for."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp

from ..sweeps import AbstractPoints, Grid, NamedFamily, Sobol
from ..systems import AbstractFamily, FunctionFamily, library
from ._errors import CommandError
from ._inputs import read_cell, read_system

_GAIN = 3.0


class Plane(NamedTuple):
    """A parameter plane of Jordan, Sokół, Park (2019): its ranges, `name -> (lower, upper, num)`."""

    ranges: Mapping[str, tuple[float, float, int]]


# Ranges that hold all that happens at the parameters of fig. 3a, the case with eleven fixed points.
PLANES = {
    "weights": Plane({"U_c[0,0]": (-1.0, 5.0, 200), "U_c[1,1]": (-1.0, 5.0, 200)}),
    "biases": Plane({"b_c[0]": (-1.0, 1.0, 200), "b_c[1]": (-1.0, 1.0, 200)}),
    "alpha": Plane({"alpha": (0.0, math.pi, 400)}),
}


class Source(NamedTuple):
    """What to sweep, and how to call it."""

    family: AbstractFamily
    points: AbstractPoints
    title: str


def from_plane(plane: str, case: str | None, vary: Sequence[str], samples: int | None, seed: int) -> Source:
    """A plane of the paper, with the ranges that `vary` gives instead of its own."""
    if plane not in PLANES:
        raise CommandError(f"--plane must be one of {', '.join(PLANES)}, found {plane!r}; choose one")
    ranges = parse_ranges(vary, samples) or dict(PLANES[plane].ranges)
    if plane == "alpha":
        if case is not None:
            raise CommandError(f"--case must be absent with --plane alpha, found {case!r}; alpha has no case")
        if tuple(ranges) != ("alpha",):
            raise CommandError(f"--vary must be alpha=LOWER:UPPER:NUM here, found {', '.join(ranges)}; write that")
        title = f"eq. 8 of Jordan, Sokół, Park (2019), gain {_GAIN:g}"
        family = FunctionFamily(_rotation, jnp.asarray(_GAIN), 0.0)
        return Source(family, _points(ranges, samples, seed), title)
    case = "fig:3a" if case is None else case
    if case not in library.jordan_cases():
        raise CommandError(f"--case must be one of {', '.join(library.jordan_cases())}, found {case!r}; choose one")
    title = f"{case} of Jordan, Sokół, Park (2019)"
    return Source(_named(library.jordan(case), ranges, "--vary"), _points(ranges, samples, seed), title)


def from_file(
    file: Path,
    vary: Sequence[str],
    samples: int | None,
    seed: int,
    *,
    format: str,
    layer: int | None,
    prefix: str | None,
    reset: Literal["before", "after"] | None,
    input: str | None,
    flow: bool,
    tau: float,
) -> Source:
    """The network of a file."""
    if not vary:
        raise CommandError(f"{file}: expected what to vary, found no --vary; write for example --vary b_c[0]=-2:2:200")
    cell = read_cell(file, format=format, layer=layer, prefix=prefix, reset=reset)
    held = input
    if input is None and cell.input_size:
        held = ",".join("0" * cell.input_size)  # an input that is there can be varied
    system, _ = read_system(file, cell, input=held, flow=flow, tau=tau)
    ranges = parse_ranges(vary, samples)
    return Source(_named(system, ranges, f"{file}: --vary"), _points(ranges, samples, seed), file.name)


def parse_ranges(vary: Sequence[str], samples: int | None) -> dict[str, tuple[float, float, int]]:
    """`NAME=LOWER:UPPER:NUM`, without `:NUM` where points are sampled."""
    form = "NAME=LOWER:UPPER" if samples is not None else "NAME=LOWER:UPPER:NUM"
    found = {}
    for word in vary:
        match = re.fullmatch(r"([^=]+)=([^:]+):([^:]+)(?::([^:]+))?", word.replace(" ", ""))
        try:
            if match is None or (match[4] is None) != (samples is not None):
                raise ValueError
            num = 1 if match[4] is None else int(match[4])
            lower, upper = float(match[2]), float(match[3])
            if num < 1 or not (math.isfinite(lower) and math.isfinite(upper)):
                raise ValueError
        except ValueError:
            raise CommandError(
                f"--vary must be {form} with finite ends, found {word!r}; write for example "
                f"--vary b_c[0]=-2:2{'' if samples is not None else ':200'}"
            ) from None
        if match[1] in found:
            raise CommandError(f"--vary must name each parameter once, found {match[1]} twice; leave one out")
        found[match[1]] = (lower, upper, num)
    return found


def _points(ranges: Mapping[str, tuple[float, float, int]], samples: int | None, seed: int) -> AbstractPoints:
    if samples is None:
        return Grid(ranges)
    if not 1 <= samples <= 2**30:
        raise CommandError(f"--samples must be 1 to 2**30, found {samples}; leave it out for a grid")
    return Sobol({name: (lower, upper) for name, (lower, upper, _) in ranges.items()}, num=samples, seed=seed)


def _named(system: Any, ranges: Mapping[str, Any], where: str) -> NamedFamily:
    try:
        return NamedFamily(system, tuple(ranges))
    except ValueError as error:
        raise CommandError(f"{where} {error}; choose one that is there") from error


def _rotation(gain: Any, alpha: Any) -> Any:
    return library.jordan_rotation(alpha, gain)
