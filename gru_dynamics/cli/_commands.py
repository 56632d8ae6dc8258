"""The commands as tyro sees them: a function each, whose signature is the usage and whose docstring is the help."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from ._run import run_analyze, run_convert, run_demo


class Job(NamedTuple):
    """What to run, given the command line as text, and whether to show tracebacks."""

    run: Callable[[str], None]
    debug: bool


def demo(*, out: Path = Path("gru-dynamics-demo"), json: bool = False, debug: bool = False) -> Job:
    """Analyse two networks that come with the package, in less than a minute.

    Args:
        out: folder for pictures, report.html and result.json.
        json: print result.json, and nothing else, to stdout.
        debug: show a traceback when something fails.
    """
    return Job(functools.partial(run_demo, out=out, json=json), debug)


def analyze(
    file: Path,
    /,
    *,
    format: str = "auto",
    layer: int | None = None,
    prefix: str | None = None,
    reset: Literal["before", "after"] | None = None,
    input: str | None = None,
    states: Path | None = None,
    seeds: int = 1024,
    flow: bool = False,
    tau: float = 1.0,
    seed: int = 0,
    max_points: int | None = None,
    out: Path | None = None,
    json: bool = False,
    debug: bool = False,
) -> Job:
    """Find all fixed points of a recurrent network at constant input, say what they are, and draw them.

    Args:
        file: weights in a .safetensors or .npz file.
        format: auto, gru_dynamics, torch, equinox, flax_linen, flax_nnx, haiku, keras or onnx.
        layer: one layer of several, counted from 0. Default: all, as a stack.
        prefix: what stands before the names of the weights, when the file holds several networks.
        reset: whether the reset gate acts before or after the recurrent product. Default: what the format says.
        input: the constant input, numbers separated by commas. Default: zeros.
        states: visited states (T, S) in an .npz, .npy or .safetensors file: half of the search starts there.
        seeds: number of starting points.
        flow: take the cell as a flow in continuous time instead of a map.
        tau: time constant of the flow.
        seed: of the random numbers.
        max_points: room for fixed points. Default: the number of starting points, at most 1024.
        out: folder for pictures, report.html and result.json. Default: the name of the file and -dynamics.
        json: print result.json, and nothing else, to stdout.
        debug: show a traceback when something fails.
    """
    run = functools.partial(
        run_analyze,
        file=file,
        format=format,
        layer=layer,
        prefix=prefix,
        reset=reset,
        input=input,
        states=states,
        seeds=seeds,
        flow=flow,
        tau=tau,
        seed=seed,
        max_points=max_points,
        out=out,
        json=json,
    )
    return Job(run, debug)


def convert(
    file: Path,
    out: Path,
    /,
    *,
    to: str,
    format: str = "auto",
    layer: int | None = None,
    prefix: str | None = None,
    reset: Literal["before", "after"] | None = None,
    debug: bool = False,
) -> Job:
    """Write the weights of a network in the layout of another framework.

    Args:
        file: weights in a .safetensors or .npz file.
        out: file to write, .safetensors or .npz.
        to: gru_dynamics, torch, equinox, flax_linen, flax_nnx, haiku, keras or onnx.
        format: of the given file, as for `to`, or auto.
        layer: one layer of several, counted from 0. Default: all.
        prefix: what stands before the names of the weights, when the file holds several networks.
        reset: whether the reset gate acts before or after the recurrent product. Default: what the format says.
        debug: show a traceback when something fails.
    """
    run = functools.partial(
        run_convert, file=file, out=out, to=to, format=format, layer=layer, prefix=prefix, reset=reset
    )
    return Job(run, debug)
