"""The entry point: parse, run, and turn every failure into one line and an exit code."""

import os
import shlex
import sys
from collections.abc import Sequence

import jax

from ..interop import WeightError
from ._commands import Job, analyze, convert, demo, follow, gradients, lyapunov, reproduce, sweep, train
from ._errors import CommandError
from ._terminal import say

_OFF = ("0", "false", "f", "no", "n", "off")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `gru-dynamics`; see `gru-dynamics --help`. Works in float64 whatever the process is set to.

    **Arguments:** `argv`, the words after the program's name, by default those of the process; no arrays of any shape.

    **Returns:** the exit code: 0; 1 for an unexpected failure; 2 for bad input, with one line on stderr that names the
    file, what was expected, what was found, and the fix; 130 when interrupted.

    **Raises:** `SystemExit` for `--help` and for options that do not parse.

    **Source:** DESIGN of the command line in `docs/architecture.md`.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    job = _parse(words)
    try:
        _check_environment()
        with jax.enable_x64(True):
            job.run(shlex.join(["gru-dynamics", *words]))
        return 0
    except (CommandError, WeightError) as error:
        if job.debug:
            raise
        say(str(error))
        return 2
    except KeyboardInterrupt:
        say("interrupted; no file is left half-written")
        if argv is None:
            # XLA may still be compiling on its threads, and then crashes the interpreter's orderly end.
            sys.stdout.flush()
            os._exit(130)
        return 130
    except Exception as error:
        if job.debug:
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"unexpected failure: {reason[:500]}; run again with --debug for the traceback")
        return 1


def _parse(words: list[str]) -> Job:
    # Only the command line needs tyro; the library must import without it.
    import tyro

    return tyro.extras.subcommand_cli_from_dict(
        {
            "demo": demo,
            "analyze": analyze,
            "continue": follow,
            "convert": convert,
            "sweep": sweep,
            "lyapunov": lyapunov,
            "gradients": gradients,
            "train": train,
            "reproduce": reproduce,
        },
        prog="gru-dynamics",
        description="Fixed points of gated recurrent networks: find them, certify them, read them.",
        args=words,
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.UseAppendAction),
    )


def _check_environment() -> None:
    value = os.environ.get("JAX_ENABLE_X64")
    if value is not None and value.strip().lower() in _OFF:
        raise CommandError(
            f"environment variable JAX_ENABLE_X64: expected 1 or nothing, because fixed points are computed in "
            f"float64, found {value}; unset it"
        )
