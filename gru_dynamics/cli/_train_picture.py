"""The course of a training run, as PNG."""

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..training import TrainLog

_DPI = 170
# Okabe & Ito (2008)
_LOSS, _VALID, _BASELINE, _FLOOR, _DRIFT = "#0072b2", "#d55e00", "#1a1a1a", "#7f8c99", "#7a2a6b"


def draw_loss(log: TrainLog, task: Any, *, title: str) -> bytes:
    """Loss over steps with the baseline and the floor of the task, and below it the drift from orthogonality."""
    figure = Figure(figsize=(7.0, 5.6 if log.drift else 4.0), layout="constrained")
    panels = figure.subplots(
        2 if log.drift else 1, 1, sharex=True, squeeze=False, height_ratios=[3, 1][: 1 + bool(log.drift)]
    )
    loss = np.atleast_2d(np.asarray(log.loss, float))
    _losses(panels[0, 0], loss, log, task)
    panels[0, 0].set_title(title)
    if log.drift:
        _drifts(panels[1, 0], log)
    panels[-1, 0].set_xlabel("step")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white")
    return buffer.getvalue()


def _losses(ax: Axes, loss: np.ndarray, log: TrainLog, task: Any) -> None:
    steps = np.arange(1, loss.shape[1] + 1)
    width = max(1, loss.shape[1] // 50)
    for lane, row in enumerate(loss):
        ax.plot(steps, row, color=_LOSS, alpha=0.25, linewidth=0.8)
        if width > 1 and np.isfinite(row).all():
            smooth = np.convolve(row, np.ones(width) / width, "valid")
            label = f"training loss, mean of {width} steps" if lane == 0 else None
            ax.plot(steps[width - 1 :], smooth, color=_LOSS, linewidth=1.6, label=label)
    if "loss" in log.validation:
        for lane, row in enumerate(np.atleast_2d(np.asarray(log.validation["loss"], float))):
            label = "validation loss" if lane == 0 else None
            ax.plot(np.asarray(log.validation_step), row, "o-", color=_VALID, markersize=3, linewidth=1.2, label=label)
    if task.baseline is not None:
        ax.axhline(
            task.baseline, color=_BASELINE, linestyle="--", linewidth=1.2, label=f"without memory {task.baseline:.3g}"
        )
    if task.floor > 0:
        ax.axhline(task.floor, color=_FLOOR, linestyle=":", linewidth=1.6, label=f"floor {task.floor:.3g}")
    if np.any(loss > 0):
        ax.set_yscale("log")
    ax.set_ylabel("loss")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small")


def _drifts(ax: Axes, log: TrainLog) -> None:
    for number, (name, values) in enumerate(log.drift.items()):
        style = ("-", "--", ":", "-.")[number % 4]
        for lane, row in enumerate(np.atleast_2d(np.asarray(values, float))):
            ax.plot(
                np.asarray(log.drift_step), row, style, color=_DRIFT, linewidth=1.2, label=name if lane == 0 else None
            )
    # Zero drift has no place on a logarithmic axis.
    if any(np.any(np.asarray(values) > 0) for values in log.drift.values()):
        ax.set_yscale("log")
    ax.set_ylabel(r"$\Vert W^T W - I\Vert_2$")
    ax.legend(frameon=False, fontsize="small")
