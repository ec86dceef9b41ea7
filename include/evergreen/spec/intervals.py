"""The intervals that predictions of a regression get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from evergreen.description import Described
from evergreen.units import Levels


class Intervals(Described):
    """The intervals around the predictions of a regression."""

    levels: Levels
    """How often intervals hold the truth, the main level first."""
    adapt: bool = False
    """Whether a level is raised or lowered between trainings too, where the partitions since were held less
    or more often than promised.
    """

    def check_time(self, has_time: bool) -> None:
        """Raise `ValueError` where a pipeline has no partitions that follow one another."""
        if self.adapt and not has_time:
            raise ValueError("intervals.adapt: a snapshot has no partitions to learn from, leave it out")


def _whole(value: Any) -> Any:
    """`90%` and `[90%, 99%]` are short for levels that do not adapt."""
    return value if isinstance(value, Mapping | Intervals) else {"levels": value}


AnyIntervals = Annotated[Intervals, BeforeValidator(_whole, json_schema_input_type=Levels | Intervals)]
"""Intervals, written like `90%`, `[90%, 99%]` or `{levels: [90%, 99%], adapt: true}`."""
