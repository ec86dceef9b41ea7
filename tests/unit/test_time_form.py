from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from evergreen.calendar import UTC_ZONE, NoSuchTimeError, zone_of
from evergreen.time_form import time_form
from evergreen.units import TypeName

NAMES = TypeAdapter(TypeName)


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("date %d.%m.%Y", "31.01.2024", date(2024, 1, 31)),
        ("date %d.%m.%Y", " 1.2.2024 ", date(2024, 2, 1)),
        ("date %m/%d/%y", "01/31/24", date(2024, 1, 31)),
        ("date %Y%m%d", "20240131", date(2024, 1, 31)),
        ("date %d %B %Y", "31 january 2024", date(2024, 1, 31)),
        ("date %Y%j", "2024366", date(2024, 12, 31)),
        ("time %d.%m.%Y %H:%M", "31.01.2024 05:06", datetime(2024, 1, 31, 5, 6, tzinfo=UTC)),
        ("time %d/%m/%Y %I:%M %p", "31/01/2024 03:04 PM", datetime(2024, 1, 31, 15, 4, tzinfo=UTC)),
        ("time %Y-%m-%dT%H:%M:%S.%f%z", "2024-01-31T01:00:00.25+02:00",
         datetime(2024, 1, 30, 23, 0, 0, 250_000, tzinfo=UTC)),
        ("time %d.%m.%Y %H:%M in Europe/Berlin", "31.07.2024 05:06", datetime(2024, 7, 31, 3, 6, tzinfo=UTC)),
        ("time in America/New_York", "2024-07-31 05:06", datetime(2024, 7, 31, 9, 6, tzinfo=UTC)),
        ("time in America/New_York", "2024-07-31 05:06Z", datetime(2024, 7, 31, 5, 6, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_text_in_its_form(name, text, read):
    form = time_form(NAMES.validate_python(name))
    assert form.read(text, UTC_ZONE) == read
    assert str(form) == name


def test_the_zone_of_the_pipeline_counts_where_the_form_has_none():
    form, berlin = time_form("time %d.%m.%Y %H:%M"), zone_of("Europe/Berlin")
    assert form.read("31.07.2024 05:06", berlin) == datetime(2024, 7, 31, 3, 6, tzinfo=UTC)
    with pytest.raises(NoSuchTimeError):
        form.read("31.03.2024 02:30", berlin)


@pytest.mark.parametrize("text", ["31.02.2024", "2024-01-31", "31.01.24", "31.01.2024 05:00", "", "x"])
def test_a_text_that_is_not_in_the_form(text):
    with pytest.raises(ValueError):  # noqa: PT011 - of Python, which says it for its own types
        time_form("date %d.%m.%Y").read(text, UTC_ZONE)


@pytest.mark.parametrize("name", ["text", "float", "date", "time", "decimal(3, 1)", "datex %d"])
def test_a_name_without_a_form(name):
    assert time_form(name) is None


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("date %d.%m", "must say day, month and year"),
        ("date %m %Y", "must say day, month and year"),
        ("date %d.%m.%Y %H", "a form with an hour is that of a 'time'"),
        ("time %d.%m.%Y", "a form with an hour is that of a 'time'"),
        ("time %d.%m.%Y %I:%M", "'%I' needs '%p'"),
        ("date %d.%m.%Q", "'%Q' is no directive"),
        ("date %d.%m.%Y %", "'%' is no directive"),
        ("date %d.%m.%Y in Europe/Berlin", "a zone is for times"),
        ("time %Y-%m-%d %H:%M%z in Europe/Berlin", "a zone is for times"),
        ("time in Europe/Berlim", "Europe/Berlin"),
        ("dates", "write one of text, float, int"),
        ("time ", "write one of text, float, int"),
    ],
)
def test_what_is_no_type_is_refused_in_words(name, wrong):
    with pytest.raises(ValidationError, match=wrong):
        NAMES.validate_python(name)
