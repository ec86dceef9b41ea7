"""Columns of times in a declared form, with Python's `strptime` as the independent reader."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import NoSuchTimeError, zone_of
from evergreen.rows.local import TIME
from evergreen.sources.text import time_texts
from evergreen.sources.text.declared import declared_array
from evergreen.sources.text.types import fit
from evergreen.time_form import time_form

BERLIN = zone_of("Europe/Berlin")
FORMS = [
    "date %d.%m.%Y",
    "date %Y%m%d",
    "date %m/%d/%y",
    "date %d-%b-%Y",
    "time %d.%m.%Y %H:%M",
    "time %Y-%m-%dT%H:%M:%S",
    "time %d/%m/%Y %I:%M:%S %p",
    "time %d.%m.%Y %H:%M in America/New_York",
    "time %d.%m.%Y %H:%M:%S.%f",
]
at = datetime.fromisoformat
MOMENTS = st.datetimes(at("1970-01-01"), at("2060-01-01")) | st.datetimes(
    at("2024-03-31"), at("2024-03-31T05:00")
)
BROKEN = st.sampled_from(
    ["", "x", "31.02.2024", "0000-01-01T00:00:00", "\u0663\u0661.01.2024", "31.01.2024 24:00", "1.1.1"]
)


@given(st.sampled_from(FORMS), st.lists(st.none() | MOMENTS | BROKEN, max_size=6), st.integers(0, 2))
def test_a_column_is_read_as_each_of_its_texts_is(name, values, begin):
    form = time_form(name)
    texts = [value.strftime(form.form) if isinstance(value, datetime) else value for value in values]
    expected = []
    for text in texts[begin:]:
        try:
            expected.append(None if text is None else form.read(text, BERLIN))
        except (NoSuchTimeError, ValueError) as error:
            expected.append(error)
    found, reasons = fit(pa.array(texts, pa.string())[begin:], name, BERLIN)
    assert found.type == (pa.date32() if form.kind == "date" else TIME)
    assert found.to_pylist() == [None if isinstance(value, ValueError) else value for value in expected]
    assert sorted(reasons) == [at for at, value in enumerate(expected) if isinstance(value, ValueError)]
    assert reasons == declared_array(texts[begin:], name, BERLIN)[1]


def test_a_form_of_whole_digits_is_read_at_once(monkeypatch):
    monkeypatch.setattr(time_texts, "_one_by_one", None)
    times = pa.array(["31.01.2024 05:06", None, "01.02.2024 00:00"])
    assert fit(times[1:], "time %d.%m.%Y %H:%M in Europe/Berlin")[0].to_pylist() == [
        None,
        datetime(2024, 1, 31, 23, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("31.02.2024 05:06", "'31.02.2024 05:06' is no time %d.%m.%Y %H:%M"),
        ("31.03.2024 02:30", "2024-03-31 02:30:00 does not exist in Europe/Berlin, where"),
    ],
)
def test_what_is_no_time_of_the_form_says_why(text, reason):
    (found,) = fit(pa.array([text]), "time %d.%m.%Y %H:%M", BERLIN)[1].values()
    assert found.startswith(reason)
