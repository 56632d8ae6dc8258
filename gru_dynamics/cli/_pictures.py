"""The pictures of a run, as PNG."""

import io

import numpy as np
from matplotlib.axes import Axes

from .._report import Picture
from ..plot import pca_portrait, phase_portrait, spectrum
from ._search import Found

_DPI = 170


def draw(found: Found, prefix: str = "") -> list[Picture]:
    """Portrait and spectrum of an analysis."""
    size = found.points.state.shape[-1]
    pictures = []
    if size == 2:
        pictures.append(_phase(found, prefix))
    elif size > 2:
        pictures += [_pca(found, prefix, 2), _pca(found, prefix, 3)]
    if found.analysis.points:
        pictures.append(_spectrum(found, prefix))
    return [picture for picture in pictures if picture is not None]


def _phase(found: Found, prefix: str) -> Picture:
    what = "one step of the map" if found.analysis.is_map else "the flow"
    caption = (
        f"Phase portrait. Arrows: direction of {what}; background: its speed, dark where the state lingers. The two "
        "nullclines are where one unit stands still; they cross at the fixed points. Full circles are sinks, half "
        "circles saddles, open circles sources, diamonds degenerate points. Thin lines: trajectories."
    )
    ax = phase_portrait(found.system, found.points, trajectories=found.paths)
    return Picture(f"{prefix}phase_portrait.png", _png(ax), caption)


def _pca(found: Found, prefix: str, dims: int) -> Picture | None:
    if not found.analysis.points and found.states is None:
        return None
    size = found.points.state.shape[-1]
    readout = found.readout
    # A cell whose output is a part of its state, such as an LSTM, has no readout matrix of its full width.
    fits = readout is not None and readout.weight.shape[1] == size and len(readout.weight) <= 4
    ax = pca_portrait(
        found.system,
        found.points,
        found.states,
        trajectories=found.paths,
        readout=(readout.weight, readout.bias) if readout is not None and fits else None,
        dims=3 if dims == 3 else 2,
    )
    source = "the visited states" if found.states is not None else "the fixed points"
    caption = f"Fixed points along the first {dims} principal components of {source}. "
    if dims == 2:
        caption += (
            "Full circles are sinks, half circles saddles, open circles sources. Thick segments: unstable "
            "directions, all of one length in state space. "
        )
    if found.paths:
        caption += "Thin lines: where the state goes when nudged off a decision point, either way. "
    if fits:
        caption += (
            f"Labels: {'signs' if _signs(found) else 'values'} of the readout {readout.name if readout else ''!r}."
        )
    return Picture(f"{prefix}pca{'_3d' if dims == 3 else ''}.png", _png(ax), caption.strip())


def _signs(found: Found) -> bool:
    values = [point.readout for point in found.analysis.of_kind("sink") if point.readout is not None]
    return bool(values) and float(np.abs(np.abs(np.stack(values)) - 1).max()) < 0.25


def _spectrum(found: Found, prefix: str) -> Picture:
    border = "unit circle" if found.analysis.is_map else "imaginary axis"
    caption = (
        f"Eigenvalues at all fixed points. Shaded: stable. The closer to the {border}, the slower the mode; off the "
        "real axis, it rotates. Colour: number of unstable directions of the point."
    )
    return Picture(f"{prefix}spectrum.png", _png(spectrum(found.points, system=found.system)), caption)


def _png(ax: Axes) -> bytes:
    buffer = io.BytesIO()
    ax.figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white")  # pyright: ignore[reportAttributeAccessIssue]
    return buffer.getvalue()
