"""A chart of bars as SVG, written by hand so that no library draws it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_LEFT, _WIDTH, _ROW, _TOP = 270, 760, 30, 56
_INK, _BAR, _AIM = "#24292f", "#3b7dd8", "#c2410c"


@dataclass(frozen=True)
class Bar:
    """A ratio with the ends of its spread, and the one we aim at."""

    label: str
    value: float
    low: float
    high: float
    aim: float | None


def draw(title: str, bars: Sequence[Bar]) -> str:
    """Ratios on a logarithmic scale around 1: to the right of the line we are faster."""
    reach = max(abs(math.log10(each)) for bar in bars for each in (bar.low, bar.high, bar.aim or 1))
    lowest, highest = -1.0, max(1.0, math.ceil(reach * 2) / 2)
    lowest = min(lowest, *(math.log10(bar.low) for bar in bars))
    scale = (_WIDTH - _LEFT - 70) / (highest - lowest)

    def x(ratio: float) -> float:
        return _LEFT + (math.log10(ratio) - lowest) * scale

    height = _TOP + _ROW * len(bars) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"'
        f' font-family="sans-serif" font-size="13" fill="{_INK}">',
        f'<rect width="100%" height="100%" fill="#ffffff"/><text x="16" y="26" font-size="15"'
        f' font-weight="bold">{escape(title)}</text>',
        f'<text x="{_WIDTH - 16}" y="26" text-anchor="end" fill="{_AIM}">| what we aim at</text>',
    ]
    for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100):
        if not lowest <= math.log10(tick) <= highest:
            continue
        parts.append(
            f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{_TOP - 8}" y2="{height - 26}"'
            f' stroke="{_INK}" stroke-opacity="{0.8 if tick == 1 else 0.15}"/>'
            f'<text x="{x(tick):.1f}" y="{height - 10}" text-anchor="middle">{tick:g}×</text>'
        )
    for number, bar in enumerate(bars):
        middle = _TOP + _ROW * number + _ROW / 2
        left, right = sorted((x(1), x(bar.value)))
        parts.append(
            f'<text x="{_LEFT - 12}" y="{middle + 4}" text-anchor="end">{escape(bar.label)}</text>'
            f'<rect x="{left:.1f}" y="{middle - 9}" width="{right - left:.1f}" height="18"'
            f' fill="{_BAR}"/><line x1="{x(bar.low):.1f}" x2="{x(bar.high):.1f}" y1="{middle}"'
            f' y2="{middle}" stroke="{_INK}" stroke-width="2"/>'
            f'<text x="{max(x(bar.high), x(bar.aim or 1), x(1)) + 8:.1f}" y="{middle + 4}">'
            f"{bar.value:.2f}</text>"
        )
        if bar.aim:
            parts.append(
                f'<line x1="{x(bar.aim):.1f}" x2="{x(bar.aim):.1f}" y1="{middle - 12}"'
                f' y2="{middle + 12}" stroke="{_AIM}" stroke-width="3"/>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"
