"""The parts of figures: shapes, scales and axes; the style sheet of the page gives them their colours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evergreen.numbers import number

WIDTH = 420  # of every figure, in its own units: text of 12 stays readable on a phone
_CHARACTER = 7.1  # the width of one, at a size of 12
_GAP = 8

SIGNS = {
    "promotion": "M0 -4.5L4.5 3.5H-4.5Z",
    "refusal": "M-3.5 -3.5L3.5 3.5M3.5 -3.5L-3.5 3.5",
    "rollback": "M0 4.5L4.5 -3.5H-4.5Z",
}
"""The shapes of signs, by their class: they differ in more than their colour."""


@dataclass(frozen=True)
class Scale:
    """Maps `low` to the place `start` and `high` to `end`, and what lies between."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value, which may lie outside the range."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values in the range, a step of 1, 2 or 5 times a power of ten apart."""
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [count * step + 0.0 for count in range(first, last + 1)]


def spanned(values: Iterable[float | None], around: float | None = None) -> tuple[float, float]:
    """The range of the finite values (and `around`), a little wider, and never empty."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    finite += [around] if around is not None else []
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    room = (high - low) * 0.06 or abs(low) * 0.1 or 1.0
    return low - room, high + room


class Figure:
    """An SVG image that is being drawn. All text is escaped; `name` must be unique on the page."""

    def __init__(self, name: str, title: str, description: str, height: float) -> None:
        self._name, self._title, self._description, self._height = name, title, description, height
        self._parts: list[Markup] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """A straight line."""
        self._add(Markup('<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>'), css, x1, y1, x2, y2)

    def bar(
        self, x: float, y: float, width: float, height: float, css: str, *, told: str = "", opacity: float = 1
    ) -> None:
        """A rectangle with a tooltip."""
        faded = Markup(' fill-opacity="%s"') % _place(opacity) if opacity < 1 else ""
        self._add(
            Markup('<rect class="%s" x="%s" y="%s" width="%s" height="%s"%s>%s</rect>'),
            *(css, x, y, max(0.0, width), max(0.0, height), faded, _told(told)),
        )

    def dot(self, x: float, y: float, css: str, radius: float = 3, told: str = "") -> None:
        """A disc with a tooltip."""
        self._add(
            Markup('<circle class="%s" cx="%s" cy="%s" r="%s">%s</circle>'), css, x, y, radius, _told(told)
        )

    def diamond(self, x: float, y: float, css: str, size: float = 5, told: str = "") -> None:
        """A square on its corner, told from a disc without its colour, with a tooltip."""
        corners = ((x, y - size), (x + size, y), (x, y + size), (x - size, y))
        points = " ".join(f"{_place(across)},{_place(down)}" for across, down in corners)
        self._add(Markup('<polygon class="%s" points="%s">%s</polygon>'), css, points, _told(told))

    def sign(self, x: float, y: float, css: str, told: str = "") -> None:
        """A small sign around a place with a tooltip; its class is one of `SIGNS`, which has its shape."""
        path = Markup('<path class="sign %s" transform="translate(%s %s)" d="%s">%s</path>')
        self._add(path, css, x, y, SIGNS[css], _told(told))

    def curve(self, points: Sequence[tuple[float, float]], css: str) -> None:
        """A line through the points."""
        if len(points) > 1:
            path = " ".join(f"{_place(x)},{_place(y)}" for x, y in points)
            self._add(Markup('<polyline class="%s" points="%s"/>'), css, path)

    def text(self, x: float, y: float, content: str, css: str = "", anchor: str = "start") -> None:
        """A line of text whose baseline is at `y`; `anchor` is start, middle or end."""
        self._add(
            Markup('<text class="%s" x="%s" y="%s" text-anchor="%s">%s</text>'), css, x, y, anchor, content
        )

    def label(
        self, x: float, y: float, content: str, room: float, *, css: str = "", anchor: str = "end"
    ) -> None:
        """A text, truncated to the room that there is, with the whole of it as a tooltip."""
        self._add(
            Markup('<text class="%s" x="%s" y="%s" text-anchor="%s">%s%s</text>'),
            *(css, x, y, anchor, cut(content, room), _told(content)),
        )

    def svg(self) -> Markup:
        """The image."""
        height, name = _place(self._height), self._name
        return Markup(
            '<svg viewBox="0 0 %s %s" role="img" aria-labelledby="%s-t %s-d">'
            '<title id="%s-t">%s</title><desc id="%s-d">%s</desc>%s</svg>'
        ) % (
            *(WIDTH, height, name, name, name, self._title, name, self._description),
            Markup("").join(self._parts),
        )

    def _add(self, shape: Markup, *values: object) -> None:
        # A page has hundreds of shapes, and `Markup.format` takes three times as long as its `%`.
        self._parts.append(
            shape % tuple(_place(value) if isinstance(value, float | int) else value for value in values)
        )


class Plot(Figure):
    """A figure with two axes: `x` and `y` are its scales, within `left`, `right`, `top` and `bottom`.

    `below` is room that is left free under the name of the x axis.
    """

    def __init__(
        self,
        name: str,
        title: str,
        description: str,
        *,
        x: tuple[float, float],
        y: tuple[float, float],
        labels: tuple[str, str],
        height: float = 250,
        below: float = 0,
    ) -> None:
        super().__init__(name, title, description, height)
        self.top, self.bottom, self.right = 26.0, height - 42.0 - below, WIDTH - 12.0
        self.y = Scale(*y, self.bottom, self.top)
        self.left = 14.0 + max(width(number(tick)) for tick in self.y.ticks())
        self.x = Scale(*x, self.left, self.right)
        self.labels = labels

    def axes(self, x_ticks: Sequence[tuple[float, str]] | None = None) -> None:
        """Draw grid, ticks and names of the axes; `x_ticks` are places and their words."""
        for tick in self.y.ticks():
            self.line(self.left, self.y(tick), self.right, self.y(tick), "grid")
            self.text(self.left - 6, self.y(tick) + 4, number(tick), anchor="end")
        for tick, words in x_ticks or [(tick, number(tick)) for tick in self.x.ticks()]:
            self.line(self.x(tick), self.bottom, self.x(tick), self.bottom + 4, "axis")
            half = width(words) / 2
            place = min(max(self.x(tick), half), WIDTH - half)
            self.text(place, self.bottom + 17, words, anchor="middle")
        self.line(self.left, self.bottom, self.right, self.bottom, "axis")
        across, up = self.labels
        self.label(
            (self.left + self.right) / 2,
            self.bottom + 36,
            across,
            WIDTH - self.left,
            css="name",
            anchor="middle",
        )
        self.label(2, 13, up, WIDTH - 4, css="name", anchor="start")


def key_ticks(keys: Sequence[str], about: int = 4) -> list[tuple[float, str]]:
    """Ticks for partitions that stand at 0, 1, 2 ..., the first and last among them."""
    if len(keys) < 2:
        return [(float(place), key) for place, key in enumerate(keys)]
    about = min(about, len(keys))
    places = sorted({round(number * (len(keys) - 1) / (about - 1)) for number in range(about)})
    return [(float(place), keys[place]) for place in places]


def width(content: str) -> float:
    """About how wide a text is."""
    return len(content) * _CHARACTER


def cut(content: str, room: float) -> str:
    """The text, truncated in the middle to what the room holds."""
    most = max(4, int(room / _CHARACTER + 1e-6))
    if len(content) <= most:
        return content
    tail = most // 3
    return f"{content[: most - tail - 1]}…{content[len(content) - tail :]}"


def legend(figure: Figure, entries: Sequence[tuple[str, str]], y: float, left: float = 2) -> None:
    """Names with a swatch of each class, in one line."""
    room = (WIDTH - left) / max(1, len(entries)) - 16 - _GAP
    for css, words in entries:
        figure.bar(left, y - 9, 10, 10, css)
        figure.label(left + 14, y, words, room, anchor="start")
        left += 14 + min(room, width(words)) + 2 * _GAP


def _told(words: str) -> Markup:
    return Markup("<title>%s</title>") % words if words else Markup("")


def _place(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def stretches(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """The values with their places, parted where one is missing."""
    found: list[list[tuple[int, float]]] = [[]]
    for place, value in enumerate(values):
        if value is not None:
            found[-1].append((place, value))
        elif found[-1]:
            found.append([])
    return found
