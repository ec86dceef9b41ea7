"""Numbers as a person reads them."""

from __future__ import annotations

import math

ABSENT = "-"


def number(value: float | None) -> str:
    """Four significant digits, thousands parted; a hyphen for what is missing or not finite."""
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
    """A share, 0 to 1, as percent; never 0 % of what is there, nor 100 % of what is not whole."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if 0 < value < 0.001:
        return "< 0.1%"
    if 0.999 < value < 1:
        return "> 99.9%"
    return f"{100 * value:.3g}%"
