"""Kanai, Fujiwara, Iwamura (2017): which runs survive large learning rates, with clipping and with projection."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..tasks import Copying
from ._kanai_judge import CRITERION, Share, finished, share, spread
from ._kanai_page import Story, Table, number, write
from ._kanai_train import Arm, Runs, Setting, train
from ._options import Options

Say = Callable[[str], None]

RATES = (1.0, 3.0, 5.0, 7.0, 10.0)
CLIPS = (0.3, 1.0, 3.0)
DELTAS = (0.2, 0.8, 1.4)

_TITLE = "Which runs survive: gradient clipping and the spectral ball"
_LEDE = (
    "Gated recurrent units without biases, trained by plain gradient descent at rates up to where it breaks: as it is, "
    "with the gradient clipped by its norm, and with U_c moved to the nearest matrix with singular values of at most "
    "2 - delta after each step (P_delta). All runs of all methods are one compiled program."
)
_CAPTION = (
    "A: share of the runs that came through, with intervals that cover at least 95 %. B: sigma_1(U_c) and C: norm of "
    "the gradient before clipping, of one seed at the largest rate; the dotted line is the bound 2."
)
_COLUMNS = (
    "method", "rate", "came through (95 %)", "last loss: median (least to greatest)",
    "sigma_1(U_c), greatest", "rho(J(0)), greatest", "gradient norm, greatest",
)  # fmt: skip


def setting_of(scale: str) -> Setting:
    """Copying with 24 units, minutes on two cores, or with 128 units and ten times the blank."""
    if scale == "small":
        return Setting(Copying(30), Copying(30), 24, 16, steps=300, checks=10, epoch=30, summed=1)
    return Setting(Copying(300), Copying(300), 128, 128, steps=10_000, checks=50, epoch=200, summed=1)


def arms_of(rates: tuple[float, ...] = RATES) -> list[Arm]:
    """Every method at every rate, method by method."""
    methods: list[tuple[str, dict[str, float]]] = [("plain", {})]
    methods += [(f"clip at {clip:g}", {"clip": clip}) for clip in CLIPS]
    methods += [(f"P, delta {delta:g}", {"delta": delta}) for delta in DELTAS]
    return [Arm(name, rate, **options) for name, options in methods for rate in rates]


def kanai_sweep(folder: Path, say: Say, options: Options) -> tuple[tuple[str, ...], str, dict[str, Any]]:
    """The whole reproduction; see `reproduce`."""
    setting = setting_of(options.scale)
    return report(folder, setting, train(setting, "sgd", arms_of(), options.seeds, say), options)


def report(folder: Path, setting: Setting, runs: Runs, options: Options) -> tuple[tuple[str, ...], str, dict[str, Any]]:
    """Judge and write."""
    rows = judge(runs, setting.valid.output_size)
    lines = summary(rows)
    kinds = (
        ([row for row in rows if row["method"] == "plain"], "came through, plain"),
        ([row for row in rows if row["clip"] is not None], "came through, clipped"),
        ([row for row in rows if row["delta"] is not None], "came through, P_delta"),
    )
    tiles = [(f"{sum(r['finished'] for r in kind)}/{sum(r['num'] for r in kind)}", words) for kind, words in kinds]
    tiles.append((f"{max(row['rho_ever'] for row in kinds[-1][0]):.3f}", "greatest rho(J(0)) with P_delta"))
    task, uniform = setting.train, float(np.log(setting.train.output_size))
    facts = {
        "scale": options.scale,
        "seeds": options.seeds,
        "task": repr(task),
        "cell": f"GRU without biases, {setting.hidden_size} units, Glorot",
        "batch": setting.batch_size,
        "steps": setting.steps,
        "checks": setting.checks,
        "loss_without_memory": task.baseline,
        "loss_of_the_uniform_predictor": uniform,
        "criterion": CRITERION,
    }
    words = (
        CRITERION,
        f"Task: {task!r}, {len(rows)} settings with {options.seeds} seeds each, {setting.steps} steps. Without memory "
        f"the loss is {task.baseline:.4f}, of the uniform predictor {uniform:.4f}.",
    )
    table = Table("Every method at every rate", words, _COLUMNS, tuple(_texts(row) for row in rows))
    story = Story("kanai-sweep", _TITLE, _LEDE, tiles, lines, (table,), draw(runs, rows), _CAPTION)
    return write(folder, story, facts, {"runs": rows})


def judge(runs: Runs, num_outcomes: int) -> list[dict[str, Any]]:
    """A row of plain numbers for each arm."""
    success = finished(runs.valid, runs.failed, float(np.log(num_outcomes)))
    rows = []
    for i, arm in enumerate(runs.arms):
        held = share(success[i])
        norms = runs.grad_norm[i][np.isfinite(runs.grad_norm[i])]
        rows.append(
            {
                "method": arm.name,
                "rate": arm.rate,
                "clip": arm.clip if np.isfinite(arm.clip) else None,
                "delta": arm.delta,
                **held._asdict(),
                "not_finite": int(np.sum(runs.failed[i] > 0)),
                "last_loss": spread(runs.valid[i, :, -1]),
                "sigma": spread(runs.sigma[i, :, -1]),
                "rho": spread(runs.rho[i, :, -1]),
                "sigma_ever": float(runs.sigma[i].max()),
                "rho_ever": float(runs.rho[i].max()),
                "gradient_norm_mean": float(norms.mean()) if norms.size else None,
                "gradient_norm_greatest": float(norms.max()) if norms.size else None,
                "last_losses": [float(value) if np.isfinite(value) else None for value in runs.valid[i, :, -1]],
                "sigmas": [float(value) for value in runs.sigma[i, :, -1]],
                "rhos": [float(value) for value in runs.rho[i, :, -1]],
            }
        )
    return rows


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """What holds and what does not, a sentence each."""
    methods = {row["method"]: [] for row in rows}
    for row in rows:
        methods[row["method"]].append(row)
    lines = []
    for name, own in methods.items():
        lost = [row for row in own if row["finished"] < row["num"]]
        where = "all rates" if not lost else "all but rates " + ", ".join(f"{row['rate']:g}" for row in lost)
        total = f"{sum(row['finished'] for row in own)} of {sum(row['num'] for row in own)}"
        lines.append(f"{name}: {total} runs came through; complete at {where}.")
    balls = [row for row in rows if row["delta"] is not None]
    bound = all(row["rho_ever"] <= 1 for row in balls)
    lines.append(
        f"rho(J(0)) <= 1 at every check of {'every' if bound else 'not every'} run with P_delta, greatest "
        f"{max(row['rho_ever'] for row in balls):.4f}; without it up to "
        f"{max(row['rho_ever'] for row in rows if row['delta'] is None):.3g}."
    )
    return [*lines, _claim(rows)]


def _claim(rows: list[dict[str, Any]]) -> str:
    """Where the projection is complete and clipping is not."""
    parts = []
    for name in dict.fromkeys(row["method"] for row in rows if row["delta"] is not None):
        better = []
        for whole in (row for row in rows if row["method"] == name and row["finished"] == row["num"]):
            at = [row for row in rows if row["clip"] is not None and row["rate"] == whole["rate"]]
            lost = [row["method"] for row in at if row["finished"] < row["num"]]
            if lost:
                better.append(f"{whole['rate']:g} ({', '.join(lost)} lose runs)")
        parts.append(f"{name} is complete where a clipping is not at {'no rate' if not better else '; '.join(better)}")
    held = [row["method"] for row in rows if row["clip"] is not None]
    safe = [name for name in dict.fromkeys(held) if all(r["finished"] == r["num"] for r in rows if r["method"] == name)]
    also = f" A threshold that is small enough does it as well: {', '.join(safe)}." if safe else ""
    return ". ".join(parts) + "." + also


def draw(runs: Runs, rows: list[dict[str, Any]]) -> Figure:
    """Success, and what one run of each method did at the largest rate."""
    figure = Figure(figsize=(12, 4.4), layout="constrained")
    axes = figure.subplots(1, 3)
    names = list(dict.fromkeys(arm.name for arm in runs.arms))
    top = max(arm.rate for arm in runs.arms)
    for number_, name in enumerate(names):
        style = _style(name, number_)
        own = [row for row in rows if row["method"] == name]
        part = np.array([row["finished"] / row["num"] for row in own])
        ends = np.array([[row["lower"] for row in own], [row["upper"] for row in own]])
        reach = np.abs(ends - part)
        rates = np.array([row["rate"] for row in own]) * 1.02 ** (number_ - len(names) / 2)
        axes[0].errorbar(rates, part, yerr=reach, capsize=2, elinewidth=0.8, markersize=4, label=name, **style)
        index = max((arm.rate, i) for i, arm in enumerate(runs.arms) if arm.name == name)[1]
        axes[1].plot(runs.stops, runs.sigma[index, 0], markersize=3, **style)
        axes[2].plot(
            np.arange(1, runs.grad_norm.shape[-1] + 1), runs.grad_norm[index, 0], linewidth=0.7, **_line(style)
        )
    axes[1].axhline(2.0, color="#7f8c99", linestyle=":")
    _label(axes[0], "A", "learning rate", "share of runs that came through")
    _label(axes[1], "B", "step", f"sigma_1(U_c), seed 0, rate {top:g}")
    _label(axes[2], "C", "step", f"gradient norm, seed 0, rate {top:g}")
    axes[0].set_xscale("log")
    axes[0].set_xticks(sorted({arm.rate for arm in runs.arms}), minor=False)
    axes[0].minorticks_off()
    axes[0].xaxis.set_major_formatter("{x:g}")
    axes[1].set_yscale("log")
    axes[2].set_yscale("log")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names), frameon=False)
    return figure


def _style(name: str, place: int) -> dict[str, Any]:
    """Okabe and Ito's colours: warm for clipping, cold for projection."""
    colours = {"plain": "#1a1a1a", "clip": ("#e69f00", "#d55e00", "#cc79a7"), "P": ("#56b4e9", "#0072b2", "#009e73")}
    if name == "plain":
        return {"color": colours["plain"], "marker": "x"}
    kind = "clip" if name.startswith("clip") else "P"
    return {"color": colours[kind][(place - 1) % 3], "marker": "s" if kind == "clip" else "o"}


def _line(style: Mapping[str, Any]) -> dict[str, Any]:
    return {"color": style["color"]}


def _label(ax: Axes, letter: str, x: str, y: str) -> None:
    ax.set_title(letter, loc="left", fontweight="bold")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)


def _texts(row: Mapping[str, Any]) -> tuple[str, ...]:
    last = row["last_loss"]
    held = Share(*(row[name] for name in Share._fields))
    return (
        row["method"],
        f"{row['rate']:g}",
        held.text(),
        f"{number(last['median'], 4)} ({number(last['least'], 4)} to {number(last['greatest'], 4)})",
        number(row["sigma"]["greatest"], 5),
        number(row["rho"]["greatest"], 4),
        number(row["gradient_norm_greatest"], 2),
    )
