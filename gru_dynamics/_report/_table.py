"""The list of points as an HTML table."""

import math
from html import escape

from ._analysis import Analysis, Point

MAX_ROWS = 200

_RING = '<circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" stroke-width="2"/>'
_SHAPES = {
    "sink": '<circle cx="8" cy="8" r="7" fill="currentColor"/>',
    "saddle": f'{_RING}<path d="M8 1.5a6.5 6.5 0 0 0 0 13z" fill="currentColor"/>',
    "source": _RING,
    "degenerate": '<path d="M8 1l7 7-7 7-7-7z" fill="none" stroke="currentColor" stroke-width="2"/>',
}


def table(analysis: Analysis) -> str:
    """Rows by unstable dimension, at most `MAX_ROWS`; readout and outcomes only where known."""
    points = analysis.points
    proven = any(point.radius is not None for point in points)
    readout = any(point.readout is not None for point in points)
    leads = any(point.leads_to for point in points)
    names = ["#", "kind", "unstable", "leading eigenvalue", f"time constant ({analysis.unit})", "index"]
    names += ["residual", "hits"] + ["proven within"] * proven + ["readout"] * readout + ["leads to"] * leads
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = "\n".join(
        _row(number, point, analysis.is_map, proven, readout, leads) for number, point in enumerate(points[:MAX_ROWS])
    )
    cut = len(points) - MAX_ROWS
    more = f'<p class="lede">{cut} more points are in result.json.</p>' if cut > 0 else ""
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>{more}'


def _row(number: int, point: Point, is_map: bool, proven: bool, readout: bool, leads: bool) -> str:
    shape = f'<svg viewBox="0 0 16 16" aria-hidden="true">{_SHAPES[point.kind]}</svg>'
    cells = [
        str(number),
        shape + escape(point.label),
        str(point.unstable_dim),
        _minus(_complex(complex(point.eigenvalues[0]))),
        _duration(point.time_constant(is_map)),
        _minus(f"{point.index:+d}" if point.index else "0"),
        _minus(f"{point.residual:.1e}"),
        str(point.hits),
    ]
    if proven:
        cells.append("no" if point.radius is None else _minus(f"{point.radius:.0e}"))
    if readout:
        cells.append("" if point.readout is None else ", ".join(_minus(f"{value:+.2f}") for value in point.readout))
    if leads:
        cells.append(" or ".join(f"#{end}" for end in point.leads_to))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _complex(value: complex) -> str:
    return f"{value.real:+.4f}" if value.imag == 0 else f"{value.real:+.4f} {value.imag:+.4f}i"


def _duration(value: float) -> str:
    if not math.isfinite(value):
        return "neutral"
    return f"{value:.3g}" if value > 0 else f"grows in {-value:.3g}"


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")
