"""The texts that ask for a partition, filled in: paths of files, requests of APIs, by one grammar. Pure.

`{partition}` is the partition's key; `{from}` its first moment, `{to}` the first one after it and `{last}`
its last microsecond, in ISO 8601. `{from:%Y-%m-%d}` writes a moment in that form of `strftime`, `{from:unix}`
and `{from:unix_ms}` as seconds or milliseconds since 1970. Other braces stay as they are: a query in GraphQL
is full of them. A source with `for_each` has a placeholder for each of its keys, such as `{store}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from evergreen.calendar import Zone
from evergreen.errors import SourceError

OF_PARTITION = frozenset({"partition", "from", "to", "last"})

_PLACE = re.compile(r"\{([^\W\d]\w*)(?::([^{}]*))?\}")
_UNIX = {"unix": 1, "unix_ms": 1000}
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Window:
    """A partition's key, its first moment and the first one after it; a snapshot has no moments.

    `values` are those of further placeholders, by name.
    """

    partition: str
    start: datetime | None = None
    end: datetime | None = None
    values: Mapping[str, str | int] = field(default_factory=dict)

    def within(self, zone: Zone | None) -> Window:
        """The same window, written in the time of a zone."""
        if zone is None or self.start is None or self.end is None:
            return self
        return replace(self, start=self.start.astimezone(zone.info), end=self.end.astimezone(zone.info))

    def moment(self, name: str) -> datetime | None:
        """The moment that a placeholder of this name stands for, None for a snapshot."""
        if name == "to":
            return self.end
        return self.end - _MICROSECOND if name == "last" and self.end else self.start


def names_partition(text: str) -> bool:
    """Whether a text has a placeholder that differs by partition."""
    return any(name in OF_PARTITION for name in placeholders(text))


def placeholders(text: str) -> Iterator[str]:
    """The names in braces that may be placeholders."""
    return (place[1] for place in _PLACE.finditer(text))


def check_forms(text: str) -> None:
    """Raise `ValueError` for a placeholder with a form that writes no time."""
    for place in _PLACE.finditer(text):
        if (
            place[1] in OF_PARTITION
            and place[2] is not None
            and "%" not in place[2]
            and place[2] not in _UNIX
        ):
            raise ValueError(
                f"'{place[0]}' has a form that writes no time: write it like '{{{place[1]}:%Y-%m-%d}}', or "
                "'unix' or 'unix_ms' after the colon"
            )


def texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value, apart from keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from texts(part)


def filled(text: str, window: Window) -> str:
    """A text with its placeholders filled in; `SourceError` for a moment of a snapshot."""
    return _PLACE.sub(lambda place: str(_value(place, window)), text)


def filled_texts(named: Mapping[str, str], window: Window) -> dict[str, str]:
    """The texts of a mapping, filled in."""
    return {name: filled(text, window) for name, text in named.items()}


def filled_json(value: Any, window: Window) -> Any:
    """A JSON value with all its texts filled in; one that is a single placeholder of a number becomes it."""
    if isinstance(value, str):
        whole = _PLACE.fullmatch(value)
        return _value(whole, window) if whole else filled(value, window)
    if isinstance(value, Mapping):
        return {name: filled_json(part, window) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [filled_json(part, window) for part in value]
    return value


def _value(place: re.Match[str], window: Window) -> str | int:
    name, form = place[1], place[2]
    if form is None and name in window.values:
        return window.values[name]
    if name not in OF_PARTITION:
        return place[0]
    if name == "partition" and form is None:
        return window.partition
    if (moment := window.moment(name)) is None:
        raise SourceError(
            f"a snapshot has no time to write as '{place[0]}': use '{{partition}}' there, or leave it out"
        )
    if form is None:
        return moment.isoformat()
    if form in _UNIX:
        return int(moment.timestamp() * _UNIX[form])
    return moment.strftime(form)
