"""Numbers formatted for people."""

from __future__ import annotations

import math

ABSENT = "-"


def number(value: float | None) -> str:
    """Four significant digits, thousands separated; a hyphen for a number that is missing or not finite."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def signed(value: float | None) -> str:
    """The same with its sign, a plus included."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"+{number(value)}" if value > 0 else number(value)


def percent(value: float | None) -> str:
    """A share, 0 to 1, as percent; a share above 0 is never shown as 0 %, nor one below 1 as 100 %."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if 0 < value < 0.001:
        return "< 0.1%"
    if 0.999 < value < 1:
        return "> 99.9%"
    return f"{100 * value:.3g}%"


def rows_in_words(count: int) -> str:
    """A number of rows in words: `1 row`, `2,000 rows`."""
    return f"{count:,} row{'' if count == 1 else 's'}"


def size_in_words(count: int) -> str:
    """A number of bytes in words: `12.5 kB`, `1,024.0 MB`."""
    return f"{count / 2**20:,.1f} MB" if count >= 2**20 else f"{count / 2**10:,.1f} kB"
