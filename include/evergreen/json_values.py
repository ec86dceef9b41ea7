"""Numbers in JSON, which has no NaN and no infinity: null stands for numbers that are not finite."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


def finite_or_none(value: float | None) -> float | None:
    """The number as a JSON value: null if there is none, or it is not finite."""
    return float(value) if value is not None and math.isfinite(value) else None


def number_or_nan(value: float | None) -> float:
    """The number that `finite_or_none` wrote: null is NaN."""
    return math.nan if value is None else float(value)


def json_values(content: Any) -> Any:
    """Mappings and sequences with text for keys, and null in place of each number that is not finite."""
    if isinstance(content, dict):
        return {str(key): json_values(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [json_values(value) for value in content]
    if isinstance(content, Real) and not isinstance(content, Integral):  # also numpy's, unimported
        return finite_or_none(float(content))
    return content
