"""Which column says when a row happened, how long a partition is, and what says that it changed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evergreen.calendar import Grain
from evergreen.calendar.drafted import UNTIMED, grain_of
from evergreen.draft.columns import Columns
from evergreen.rows.local import LOCAL
from evergreen.shown import shown
from evergreen.validation.codes import words_of

_CHANGES = frozenset({"changed", "edited", "ingested", "loaded", "modified", "synced", "updated"})
_NO_EVENTS = frozenset(
    {"birth", "birthdate", "birthday", "born", "dob", "due", "expires", "expiry", "until", "valid"}
)


@dataclass(frozen=True)
class Times:
    """The event time, if there is one: `config` is it as a description writes it.

    `grain` and `why` are there in any case. `first` and `last` are the moments of the first and last row,
    `partitions` is how many have rows, `by_hour` whether times differ within days. `changed` is the column of
    a row's last change, `others` are columns that could be the event time too.
    """

    grain: Grain
    why: str
    column: str | None = None
    config: Any = None
    first: datetime | None = None
    last: datetime | None = None
    partitions: int = 1
    by_hour: bool = False
    changed: str | None = None
    others: tuple[str, ...] = ()

    @property
    def span(self) -> timedelta:
        """How far the last row is from the first."""
        return self.last - self.first if self.first and self.last else timedelta()


def times_of(columns: Columns, config: Mapping[str, Any]) -> Times:
    """The times of rows that a source of this `config` sent.

    The event time is the first column of dates or times without missing values whose name does not say that
    it is another moment. Partitions are as short as may be, a day at least, as long as half of those between
    the first and the last have rows; they are hours where there are few days, all of them full.
    """
    found = [name for name in columns.found if columns.is_time(name) and not columns.found[name].nulls]
    changed = next((name for name in found if _CHANGES & set(words_of(name))), None)
    events = [name for name in found if not (_CHANGES | _NO_EVENTS) & set(words_of(name))]
    composed = config.get("time_column")
    if isinstance(composed, Mapping):
        name = composed.get("name", "time")
        events = [name, *(one for one in events if one != name)] if name in columns.found else events
    if not events:
        return Times(UNTIMED, "no column of dates or times without gaps says when a row happened")
    name, *others = events
    moments = _moments(columns.values(name))
    best = grain_of(moments)
    if best is None:
        days = len(np.unique(moments.astype("datetime64[D]")))
        why = f"'{shown(name)}' has rows of {days:,} days, too few or too far apart for partitions of time"
        return Times(UNTIMED, why, changed=changed)
    grain, partitions, span = best
    why = f"{partitions:,} of the {span:,} {grain.facts.word}s of '{shown(name)}' have rows"
    first, last = (moment.astype(datetime) for moment in (moments.min(), moments.max()))
    return Times(
        grain,
        why,
        column=name,
        config=composed if isinstance(composed, Mapping) and name == composed.get("name", "time") else name,
        first=first,
        last=last,
        partitions=partitions,
        by_hour=bool((moments != moments.astype("datetime64[D]")).any()),
        changed=changed,
        others=tuple(others),
    )


def _moments(values: pa.ChunkedArray) -> NDArray[np.datetime64]:
    local = values.cast(pa.timestamp("us", getattr(values.type, "tz", None))).cast(LOCAL)
    found: NDArray[np.datetime64] = local.to_numpy().astype("datetime64[us]")
    return found
