"""The forms that dates and times are written in: `date %d.%m.%Y`, `time %d/%m/%Y %H:%M in Europe/Berlin`.

They are types of a description like `date` and `time`, which are ISO 8601.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Literal

from evergreen.calendar import Zone, check_zone, zone_of

_WRITTEN = re.compile(r"(date|time)(?: (?!in )(.*?\S))?(?: in (\S+))?")
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
_KNOWN = set("dmYybBjHIMSfpzaA%")
_DAYS = ({"d", "m"}, {"d", "b"}, {"d", "B"}, {"j"})


@dataclass(frozen=True)
class TimeForm:
    """How a column's dates or times are written.

    `form` has the directives of `datetime.strptime`; None is ISO 8601. `zone` is that of times without an
    offset; None is the pipeline's.
    """

    kind: Literal["date", "time"]
    form: str | None
    zone: Zone | None

    def __str__(self) -> str:
        zone = f"in {self.zone.name}" if self.zone else None
        return " ".join(part for part in (self.kind, self.form, zone) if part)

    def read(self, text: str, zone: Zone) -> date | datetime:
        """The day, or the moment in UTC, that a text says; `zone` is the pipeline's.

        Raises `ValueError` for another text, and `NoSuchTimeError` for a time that the zone's clocks skip.
        """
        text = text.strip()
        if not text.isascii():
            raise ValueError("digits of other scripts")
        time = datetime.strptime(text, self.form) if self.form else datetime.fromisoformat(text)  # noqa: DTZ007
        if self.kind == "date":
            return time.date()
        return time.astimezone(UTC) if time.tzinfo else (self.zone or zone).moment(time)


@lru_cache
def time_form(type_name: str) -> TimeForm | None:
    """The form that the name of a type declares; None for a name without one, such as `float` or `date`.

    Raises `ValueError` for a form that says no date or no time, or more than that.
    """
    found = _WRITTEN.fullmatch(type_name)
    if found is None or not (found[2] or found[3]):
        return None
    kind: Literal["date", "time"] = "date" if found[1] == "date" else "time"
    form = found[2]
    if form is not None:
        _check(kind, form)
    if found[3] and (kind == "date" or "%z" in (form or "")):
        raise ValueError("a zone is for times that are written without an offset: leave out 'in ...'")
    return TimeForm(kind, form, zone_of(check_zone(found[3])) if found[3] else None)


def zone_in(type_name: str | None, otherwise: Zone) -> Zone:
    """The zone that a type declares, or else another."""
    form = time_form(type_name or "")
    return (form and form.zone) or otherwise


def _check(kind: str, form: str) -> None:
    said = _DIRECTIVE.findall(form)
    if unknown := [sign for sign in said if sign not in _KNOWN]:
        raise ValueError(f"'%{unknown[0]}' is no directive: write forms like '{kind} {_LIKE[kind]}'")
    signs = set(said)
    if not (signs & {"Y", "y"} and any(day <= signs for day in _DAYS)):
        raise ValueError(f"the form must say day, month and year, like '{kind} {_LIKE[kind]}'")
    if (kind == "time") != bool(signs & {"H", "I"}):
        raise ValueError("a form with an hour is that of a 'time', one without of a 'date'")
    if "I" in signs and "p" not in signs:
        raise ValueError("'%I' needs '%p' beside it, or write '%H'")


_LIKE = {"date": "%d.%m.%Y", "time": "%d.%m.%Y %H:%M"}
