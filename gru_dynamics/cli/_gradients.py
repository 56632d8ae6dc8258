"""`gru-dynamics gradients`: how far back the gradient of a network reaches on given sequences."""

import datetime
import io
import json as text
import math
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from .._report import Card, Chapter, Shot, gallery, versions
from .._types import Array, Scalar
from ..cells import AbstractCell
from ..interop import load_arrays
from ..plot import gradient_flow
from ..sensitivity import BPTTFactors, GradientFlow, GradientHorizon, bptt_factors, gradient_horizon
from ._errors import CommandError
from ._inputs import positive, read_cell, read_system
from ._staging import staged
from ._terminal import say, show

_DPI = 170
LossName = Literal["last", "sum-of-squares"]


class SumOfSquares(eqx.Module):
    """Half the sum of squares of the cell's outputs, at every step or at the last one."""

    cell: AbstractCell
    last: bool = eqx.field(static=True)

    def __call__(self, states: Array) -> Scalar:
        seen = jax.vmap(self.cell.output)(states[-1:] if self.last else states)
        return jnp.sum(seen * seen) / 2


def run_gradients(
    command: str,
    file: Path,
    *,
    data: Path | None,
    loss: LossName,
    steps: int,
    max_lag: int | None,
    sequence: int,
    format: str,
    layer: int | None,
    prefix: str | None,
    reset: Literal["before", "after"] | None,
    seed: int,
    out: Path | None,
    json: bool,
) -> None:
    """Split the gradient by lag, say how far it reaches, and draw it."""
    positive(file, [("--steps", steps), ("--max-lag", max_lag)])
    cell = read_cell(file, format=format, layer=layer, prefix=prefix, reset=reset)
    _, facts = read_system(file, cell, input=None, flow=False, tau=1.0)
    inputs, source = _inputs(cell, data, steps, sequence, seed)
    out = Path(f"{file.stem}-gradients") if out is None else out
    number = min(inputs.shape[0], 100 if max_lag is None else max_lag)
    with staged(out) as scratch:
        say(f"{inputs.shape[0]} steps, {number} lags (compiling takes a few seconds)")
        factors, horizon = _analyse(file, cell, inputs, loss, number)
        result = {
            "command": command,
            "system": {name: value for name, value in facts.items() if name not in ("kind", "tau", "input")},
            "data": source,
            "loss": loss,
            **_facts(factors, horizon),
            "versions": versions(),
        }
        picture = _picture(factors, horizon, file.name)
        words = _words(result)
        (scratch / "gradients.png").write_bytes(picture)
        (scratch / "result.json").write_text(_dumps(result) + "\n", encoding="utf-8")
        (scratch / "report.html").write_text(_page(file.name, picture, words, result), encoding="utf-8")
    if json:
        show(_dumps(result))
        return
    show("\n".join(words))
    show(f"Picture: {out / 'gradients.png'}\nReport: {out / 'report.html'}")


def _inputs(
    cell: AbstractCell, data: Path | None, steps: int, sequence: int, seed: int
) -> tuple[Array, dict[str, Any]]:
    """Input `(T, I)` and where it comes from."""
    size = cell.input_size
    if data is None:
        if size == 0:
            return jnp.zeros((steps, 0), jnp.float64), {"source": "none, the network has no input", "steps": steps}
        noise = jr.normal(jr.key(seed), (steps, size), jnp.float64)
        return noise, {"source": "white noise, standard normal", "steps": steps, "seed": seed}
    array = _read(data)
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise CommandError(f"{data}: the inputs must be real numbers, found dtype {array.dtype}; convert them")
    if array.ndim not in (2, 3) or array.shape[-1] != size or array.size == 0:
        raise CommandError(
            f"{data}: the inputs must have shape (T, {size}) or (B, T, {size}), found {array.shape}; give one column "
            f"for each of the {size} inputs"
        )
    if not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise CommandError(f"{data}: the inputs must be finite, found {bad} nan or inf of {array.size}; clean the file")
    number = array.shape[0] if array.ndim == 3 else 1
    if not 0 <= sequence < number:
        raise CommandError(f"{data}: --sequence must lie in 0 to {number - 1}, found {sequence}; choose one")
    chosen = array[sequence] if array.ndim == 3 else array
    facts = {"source": data.name, "sequence": sequence, "sequences": number, "steps": chosen.shape[0]}
    return jnp.asarray(chosen, jnp.float64), facts


def _read(path: Path) -> np.ndarray:
    if path.suffix in (".csv", ".txt"):
        try:
            rows = np.genfromtxt(path, delimiter=",", dtype=float, encoding="utf-8", ndmin=2)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise CommandError(
                f"{path}: expected numbers in columns separated by commas, found {reason[:200]}; check --data"
            ) from error
        # A first line of names reads as nan.
        return rows[1:] if len(rows) > 1 and np.isnan(rows[0]).all() else rows
    arrays = load_arrays(path, finite=False)
    if "inputs" in arrays:
        return arrays["inputs"]
    if len(arrays) != 1:
        raise CommandError(
            f"{path}: expected one array or one named 'inputs', found {', '.join(sorted(arrays)[:8])}; save the inputs "
            "under that name"
        )
    return next(iter(arrays.values()))


def _analyse(
    file: Path, cell: AbstractCell, inputs: Array, loss: LossName, number: int
) -> tuple[BPTTFactors, GradientHorizon]:
    start = jnp.zeros((cell.state_size,), jnp.float64)
    judge = SumOfSquares(cell, loss == "last")
    factors = bptt_factors(cell, start, inputs, judge, max_lag=number, throw=False)
    if not bool(jnp.isfinite(factors.value)) or not bool(jnp.all(jnp.isfinite(factors.adjoint))):
        raise CommandError(
            f"{file}: expected a finite loss and gradient, found inf or nan; scale the inputs or take fewer --steps"
        )
    return factors, gradient_horizon(factors, throw=False)


def _facts(factors: BPTTFactors, horizon: GradientHorizon) -> dict[str, Any]:
    assert factors.lags is not None
    return {
        "steps": factors.states.shape[0],
        "lags": int(horizon.lag.size),
        "value": _number(factors.value),
        "verdict": GradientFlow(int(horizon.verdict)).name.lower(),
        "rate_per_step": _number(horizon.rate),
        "rate_standard_error": _number(horizon.standard_error),
        "fitted_lags": [_number(lag) for lag in horizon.fitted],
        "horizon": [
            {"level": float(level), "lag": _number(reach)}
            for level, reach in zip(horizon.levels, horizon.horizon, strict=True)
        ],
        "left": [_number(share) for share in horizon.left],
        "contribution_norm": [_number(norm) for norm in factors.lags.whole_norm],
        "contribution_cosine": [_number(cosine) for cosine in factors.lags.whole_cosine],
        "parameters": _parameters(factors),
    }


def _parameters(factors: BPTTFactors) -> dict[str, Any]:
    """For each parameter the norm of its gradient and the lag that contributes most to it."""
    assert factors.lags is not None
    leaves = jax.tree_util.tree_leaves_with_path(factors.gradient)
    norms = jax.tree.leaves(factors.lags.norm)
    return {
        jax.tree_util.keystr(path).lstrip("."): {
            "gradient_norm": _number(jnp.linalg.norm(leaf)),
            "strongest_lag": int(jnp.argmax(by_lag)),
        }
        for (path, leaf), by_lag in zip(leaves, norms, strict=True)
        if leaf.size
    }


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(float(value)) else None


def _picture(factors: BPTTFactors, horizon: GradientHorizon, title: str) -> bytes:
    ax = gradient_flow(factors, horizon)
    ax.set_title(title, fontsize="medium", loc="left")
    buffer = io.BytesIO()
    ax.figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white", bbox_inches="tight")  # pyright: ignore[reportAttributeAccessIssue]
    return buffer.getvalue()


def _words(result: dict[str, Any]) -> list[str]:
    rate, error = result["rate_per_step"], result["rate_standard_error"]
    lines = [
        f"{result['system']['file']}, {result['system']['cell']}: the gradient is {result['verdict']} over "
        f"{result['lags']} lags of {result['steps']} steps; inputs: {result['data']['source']}; loss: {result['loss']}"
    ]
    if rate is not None:
        lines.append(
            f"  rate {rate:.4g} +- {error:.2g} per step (a factor {math.exp(rate):.4g}), fitted over lags "
            f"{result['fitted_lags'][0]:.0f} to {result['fitted_lags'][1]:.0f}"
        )
    for entry in result["horizon"]:
        reach = "more than the lags looked at" if entry["lag"] is None else f"{entry['lag']:.4g} steps"
        lines.append(f"  {100 * entry['level']:.3g} % of the signal is left after {reach}")
    return lines


def _page(title: str, picture: bytes, words: list[str], result: dict[str, Any]) -> str:
    caption = (
        "Colour: size of the backward signal that arrives at a step (across) from a reading of the loss so many steps "
        "later (up). Right: share of the signal that is left at each lag; broken: the fitted rate; lines: the horizons."
    )
    rows = {
        name: f"gradient {entry['gradient_norm']:.3g}, most from lag {entry['strongest_lag']}"
        for name, entry in result["parameters"].items()
        if entry["gradient_norm"] is not None
    }
    card = Card("parameters", "Parameters", "", True, (), (), rows)
    shot = Shot(picture, "gradient flow", caption)
    reach = [entry["lag"] for entry in result["horizon"]]
    tiles = [(result["verdict"], "gradient"), (str(result["steps"]), "steps")]
    tiles += [
        ("beyond" if lag is None else f"{lag:.4g}", f"steps until {100 * entry['level']:.3g} % is left")
        for lag, entry in zip(reach, result["horizon"], strict=True)
    ]
    return gallery(
        f"How gradients flow through {title}",
        "The gradient of the loss, split by how many steps it has travelled back.",
        tiles,
        [Chapter("Gradient flow", words=tuple(words), wide=(shot,), cards=(card,))],
        {"command": result["command"], **result["data"], **result["versions"]},
        written=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _dumps(result: dict[str, Any]) -> str:
    return text.dumps(result, indent=1, allow_nan=False, ensure_ascii=False)
