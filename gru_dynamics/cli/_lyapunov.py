"""`gru-dynamics lyapunov`: the exponents of the network in a file, from several random starts."""

import json as text
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._report import versions
from .._results import RESULTS
from .._types import Array
from ..sensitivity._lyapunov import lyapunov_spectrum
from ..sensitivity._lyapunov_result import LyapunovSpectrum
from ..systems import AbstractSystem
from ._errors import CommandError
from ._inputs import positive, read_cell, read_system
from ._lyapunov_page import OUTCOMES, page, picture, story, table
from ._staging import staged
from ._terminal import paragraphs, say, show

# Of a network with more units only so many leading exponents, unless asked for.
_MOST = 64
_STEPS_PER_TAU = 20


def run_lyapunov(
    command: str,
    file: Path,
    *,
    format: str,
    layer: int | None,
    prefix: str | None,
    reset: Literal["before", "after"] | None,
    input: str | None,
    flow: bool,
    tau: float,
    num_steps: int,
    num_exponents: int | None,
    burn_in: int | None,
    time_step: float | None,
    starts: int,
    seed: int,
    out: Path | None,
    json: bool,
) -> None:
    """Exponents with error bars from several random starts: a table, a picture, a page and `result.json`."""
    positive(file, [("--num-steps", num_steps), ("--num-exponents", num_exponents), ("--starts", starts)])
    if burn_in is not None and burn_in < 0:
        raise CommandError(f"{file}: --burn-in must be 0 or more, found {burn_in}; leave it out for the default")
    cell = read_cell(file, format=format, layer=layer, prefix=prefix, reset=reset)
    system, facts = read_system(file, cell, input=input, flow=flow, tau=tau)
    size = cell.state_size
    if num_exponents is not None and num_exponents > size:
        raise CommandError(
            f"{file}: --num-exponents must be at most {size}, the state variables of this {type(cell).__name__}, "
            f"found {num_exponents}; ask for fewer"
        )
    k = min(size, _MOST) if num_exponents is None else num_exponents
    dt = _time_step(file, flow, tau, time_step)
    out = Path(f"{file.stem}-lyapunov") if out is None else out
    with staged(out) as scratch:
        say(f"{starts} starts, {num_steps} steps each, {k} exponents (compiling takes a few seconds)")
        spectra = _spectra(system, _starts(system, starts, seed), num_steps, k, burn_in, dt)
        result = {"system": facts, **_facts(spectra, num_steps, dt, flow), "command": command, "seed": seed}
        result["versions"] = versions()
        unit = "per unit of time" if flow else "per step"
        words = story(result, unit)
        png = picture(spectra, unit)
        (scratch / "lyapunov.png").write_bytes(png)
        dumped = text.dumps(result, indent=1, allow_nan=False, ensure_ascii=False)
        (scratch / "result.json").write_text(dumped + "\n", encoding="utf-8")
        (scratch / "report.html").write_text(page(file.name, words, png, result), encoding="utf-8")
    if json:
        show(dumped)
        return
    show(f"{table(result)}\n\n{paragraphs(words)}\n\nReport: {out / 'report.html'}")


def _time_step(file: Path, flow: bool, tau: float, time_step: float | None) -> float | None:
    if not flow:
        if time_step is not None:
            raise CommandError(f"{file}: --time-step is for flows, found it without --flow; leave it out or add --flow")
        return None
    if time_step is None:
        return tau / _STEPS_PER_TAU
    if not (np.isfinite(time_step) and time_step > 0):
        raise CommandError(f"{file}: --time-step must be a positive number, found {time_step}; leave it out")
    return time_step


def _starts(system: AbstractSystem, number: int, seed: int) -> Array:
    """Uniform in the trapping box, or where there is none in [-1, 1]."""
    assert system.resting_size is not None
    rng = np.random.default_rng(seed)
    unit = jnp.asarray(rng.uniform(-1, 1, (number, system.resting_size)))
    if system.bounds is not None:
        lower, upper = (end[None] for end in system.bounds)
        unit = (lower + upper) / 2 + (upper - lower) / 2 * unit
    return jax.vmap(system.lift)(unit)


@eqx.filter_jit
def _spectra(
    system: Any, starts: Array, num_steps: int, k: int, burn_in: int | None, dt: float | None
) -> LyapunovSpectrum:
    def run(start: Array) -> LyapunovSpectrum:
        return lyapunov_spectrum(
            system, start, num_steps=num_steps, num_exponents=k, burn_in=burn_in, time_step=dt, throw=False
        )

    return eqx.filter_vmap(run)(starts)


def _facts(spectra: LyapunovSpectrum, num_steps: int, dt: float | None, flow: bool) -> dict[str, Any]:
    runs = []
    for lane in range(len(spectra.exponents)):
        outcome = next(name for name in OUTCOMES if bool(np.asarray(spectra.result == getattr(RESULTS, name))[lane]))
        runs.append(
            {
                "result": outcome,
                "exponents": _numbers(spectra.exponents[lane]),
                "standard_error": _numbers(spectra.standard_error[lane]),
                "kaplan_yorke": _number(spectra.kaplan_yorke[lane]),
                "entropy": _number(spectra.entropy[lane]),
                "volume_defect": _number(spectra.volume_defect[lane]),
                "rounding": _number(spectra.rounding[lane]),
                "final_state": _numbers(spectra.state[lane]),
            }
        )
    return {"num_steps": num_steps, "time_step": dt, "unit": "1/time" if flow else "1/step", "runs": runs}


def _numbers(values: Any) -> list[float | None]:
    return [_number(value) for value in np.asarray(values)]


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
