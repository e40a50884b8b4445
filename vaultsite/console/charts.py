"""Draw the bars of a chart on the server: shapes with links, no script."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 120
_GAP = 0.25
_LEAST = 2.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle in a drawing of `WIDTH` by `HEIGHT`, with its tooltip and link."""

    x: float
    y: float
    width: float
    height: float
    title: str
    url: str

    @property
    def whole(self) -> tuple[float, float]:
        """Return left edge and width of the bar's whole column, which is easier to hit than a low bar."""
        step = self.width / (1 - _GAP)
        return round(self.x - (step - self.width) / 2, 2), round(step, 2)


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    kind: str
    total: int
    url: str
    top: int
    bars: Sequence[Bar]
    first: str
    last: str


def bars(values: Sequence[int], titles: Sequence[str], urls: Sequence[str]) -> list[Bar]:
    """Return one bar for each value, scaled to the highest. A value above 0 is always visible."""
    top = max(values, default=0) or 1
    step = WIDTH / max(1, len(values))
    drawn = []
    for n, value in enumerate(values):
        height = max(_LEAST, HEIGHT * value / top) if value else 0
        drawn.append(
            Bar(
                x=round(n * step + step * _GAP / 2, 2),
                y=round(HEIGHT - height, 2),
                width=round(step * (1 - _GAP), 2),
                height=round(height, 2),
                title=titles[n],
                url=urls[n],
            )
        )
    return drawn
