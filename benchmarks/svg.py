"""Just enough SVG for plots that need no package: axes, lines, bars and labels that keep off each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH = 1000
"""Of every plot, in the units of its view box; a page scales it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Values ``low`` to ``high`` on places ``start`` to ``end`` of the plot; with ``log``, ``low`` is above zero.

    An empty axis is widened: by one, or tenfold.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __post_init__(self) -> None:
        """Widen an empty axis, on which nothing would have a place."""
        if self.high - self.low <= 1e-9 * abs(self.low):
            object.__setattr__(self, "high", self.low * 10 if self.log else self.low + 1)

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        low, high, value = (math.log10(x) if self.log else x for x in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return two or more round values between the ends: 1, 2 and 5 times powers of ten, or their multiples."""
        if self.log and len(powers := self._powers()) > 1:
            return powers
        rough = (self.high - self.low) / 6
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        return [step * place for place in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]

    def _powers(self) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        few = math.log10(self.high / self.low) > 3  # noqa: PLR2004  (decades, beyond which 2 and 5 would crowd)
        values = [factor * 10.0**decade for decade in decades for factor in ((1,) if few else (1, 2, 5))]
        return [value for value in values if self.low <= value <= self.high * (1 + 1e-9)]


@dataclass(slots=True)
class Plot:
    """A plot that is drawn piece by piece; ``title`` is for those who cannot see it."""

    title: str
    height: float
    _parts: list[str] = field(default_factory=list)

    def line(self, points: Iterable[tuple[float, float]], colour: str, *, dash: str = "", width: float = 2) -> None:
        """Draw a line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        style = f'stroke="{colour}" stroke-width="{width:g}" stroke-dasharray="{dash}"'
        self._parts.append(f'<polyline points="{path}" fill="none" {style}/>')

    def area(self, points: Iterable[tuple[float, float]], colour: str) -> None:
        """Fill the polygon of points, half transparent."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polygon points="{path}" fill="{colour}" fill-opacity="0.45" stroke="{colour}"/>')

    def bar(self, x: float, y: float, width: float, height: float, colour: str, hint: str) -> None:
        """Fill a rectangle; ``hint`` shows when it is pointed at."""
        place = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}"'
        self._parts.append(f'<rect {place} fill="{colour}"><title>{escape(hint)}</title></rect>')

    def dot(self, x: float, y: float, colour: str, hint: str) -> None:
        """Draw a point."""
        title = f"<title>{escape(hint)}</title>"
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}">{title}</circle>')

    def text(
        self, x: float, y: float, text: str, *, anchor: str = "start", turn: float = 0, faint: bool = False
    ) -> None:
        """Write text at a place; ``anchor``: start, middle or end; ``turn`` in degrees."""
        turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
        kind = ' class="faint"' if faint else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" dominant-baseline="middle"{kind}{turned}>'
            f"{escape(text)}</text>"
        )

    def x_axis(self, axis: Axis, top: float, bottom: float, label: str) -> None:
        """Draw a grid line and a number at each tick, and what the axis means, below."""
        for value in axis.ticks():
            self.line([(axis(value), top), (axis(value), bottom)], "var(--grid)", width=1)
            self.text(axis(value), bottom + 14, f"{value:g}", anchor="middle", faint=True)
        self.text((axis.start + axis.end) / 2, bottom + 36, label, anchor="middle", faint=True)

    def y_axis(self, axis: Axis, left: float, right: float, label: str) -> None:
        """Draw a grid line and a number at each tick, and what the axis means, at the left."""
        for value in axis.ticks():
            self.line([(left, axis(value)), (right, axis(value))], "var(--grid)", width=1)
            self.text(left - 8, axis(value), f"{value:g}", anchor="end", faint=True)
        self.text(left - 58, (axis.start + axis.end) / 2, label, anchor="middle", turn=-90, faint=True)

    def __str__(self) -> str:
        """Return the SVG element."""
        name = escape(self.title, quote=True)
        inside = "\n".join(self._parts)
        size = f'viewBox="0 0 {WIDTH} {self.height:g}" xmlns="http://www.w3.org/2000/svg"'
        return f'<svg {size} role="img" aria-label="{name}">\n{inside}\n</svg>'

    def alone(self) -> str:
        """Return the text of an SVG file: the element with a font and colours of its own, on white."""
        head, _, inside = str(self).partition("\n")
        style = "<style>text { font: 14px sans-serif } .faint { fill: #475569 } svg { --grid: #ddd }</style>"
        return f'{head}\n{style}\n<rect width="100%" height="100%" fill="white"/>\n{inside}\n'


def spread(places: Sequence[float], gap: float, end: float) -> list[float]:
    """Move places, ascending, so that they lie at least ``gap`` apart and none beyond ``end``, as little as needed."""
    moved = list(places)
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    limit = end
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], limit)
        limit = moved[i] - gap
    return moved
