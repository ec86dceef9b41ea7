from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.rows.columns import declared
from evergreen.sources.text.types import READINGS, fit, read

TYPES = ["text", "float", "int", "boolean", "date", "time", "decimal(6, 2)"]
LIKELY = st.text("0123456789+-.eE:TZ /xnaif", max_size=12) | st.sampled_from(
    [
        "true",
        "False",
        "1",
        "0",
        "nan",
        "NaN",
        "inf",
        "1e999",
        "0x1F",
        "2024-01-31",
        "2024-02-30",
        "0000-01-01",
        "2024-01-31T05:00Z",
        "9999-12-31T23:00-05:00",
        "0001-01-01T00:00+01:00",
        "9" * 5000,
        " 5",
        "5.0",
    ]
)
TEXTS = st.lists(
    st.none() | LIKELY | st.text(st.characters(exclude_categories=["Cs"]), max_size=4), max_size=6
)


def texts(*values):
    return pa.array(values, pa.string())


@pytest.mark.parametrize(
    ("text", "reading", "value"),
    [
        ("1", "float", 1.0),
        ("-0.5e3", "float", -500.0),
        (" 7 ", "float", 7.0),
        ("0", "float", 0.0),
        ("-0.5", "float", -0.5),
        ("NaN", "float", None),
        ("9007199254740992", "float", 2.0**53),
        ("1e30", "float", 1e30),
        ("TRUE", "boolean", True),
        ("2024-01-31", "date", date(2024, 1, 31)),
        ("2024-01-31", "time", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31 05:00:00.5", "time", datetime(2024, 1, 31, 5, 0, 0, 500000, tzinfo=UTC)),
        ("2024-01-31T05:00:00+01:00", "time", datetime(2024, 1, 31, 4, tzinfo=UTC)),
        ("2024-01-31T05:00:00+01:00", "instant", datetime(2024, 1, 31, 4, tzinfo=UTC)),
        ("20240131T050000Z", "instant", datetime(2024, 1, 31, 5, tzinfo=UTC)),
        ("2024-01-31T05:00:00.123456000Z", "time", datetime(2024, 1, 31, 5, 0, 0, 123456, tzinfo=UTC)),
        ("2024-01-31T05:00:00.123456789Z", "time", None),  # its row is rejected
    ],
)
def test_texts_that_are_values(text, reading, value):
    assert read(texts(text, None), reading).to_pylist() == [value, None]


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("01234", "float"),
        ("-01", "float"),
        ("9007199254740993", "float"),
        ("9" * 5000, "float"),
        ("inf", "float"),
        ("1e999", "float"),
        ("0x10", "float"),
        ("1_000", "float"),
        ("x", "float"),
        ("1", "boolean"),
        ("yes", "boolean"),
        ("2024-02-30", "date"),
        ("0000-01-01", "date"),
        ("20240131", "time"),
        ("soon", "time"),
        ("0001-01-01T00:00:00+01:00", "time"),
        ("2024-01-31x", "time"),
        ("2024-01-31T05:00:00", "instant"),
        (" 2024-01-31T05:00:00Z", "instant"),
        ("0000-01-01T00:00:00Z", "instant"),
        ("soon", "instant"),
    ],
)
def test_texts_that_are_none(text, reading):
    assert read(texts(None, text), reading) is None


def test_times_with_and_without_an_offset_may_mix():
    both = read(texts("2024-01-31T05:00:00", "2024-01-31T05:00:00+01:00"), "time")
    assert [moment.hour for moment in both.to_pylist()] == [5, 4]


def test_instants_need_an_offset_each():
    assert read(texts("2024-01-31T05:00:00Z", "2024-01-31T05:00:00"), "instant") is None


def test_a_slice_is_read_as_its_own_values():
    assert read(texts("01", "1", "2")[1:], "float").to_pylist() == [1.0, 2.0]


@given(TEXTS, st.sampled_from(list(READINGS)))
def test_a_column_is_read_only_if_each_value_is(values, reading):
    alone = [read(texts(value), reading) for value in values]
    found = read(texts(*values), reading)
    if None in alone:
        assert found is None
        return
    assert found.type == READINGS[reading]
    assert found.to_pylist() == [one[0].as_py() for one in alone]


@given(TEXTS, st.sampled_from(TYPES))
def test_each_value_fits_its_declared_type_or_is_named(values, type_name):
    found, reasons = fit(texts(*values), type_name)
    assert (found.type, len(found)) == (declared(type_name), len(values))
    for at, value in enumerate(values):
        alone, why = fit(texts(value), type_name)
        assert (found[at].as_py(), reasons.get(at)) == (alone[0].as_py(), why.get(0))
        if at in reasons:
            assert value is not None
            assert found[at].as_py() is None
            assert len(reasons[at].splitlines()) == 1


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_come_back_as_python_wrote_them(values):
    found, reasons = fit(texts(*map(repr, values)), "float")
    assert (found.to_pylist(), reasons) == (values, {})
    assert not any(map(math.isnan, found.to_pylist()))


@given(
    st.text("0123456789", min_size=1, max_size=38),
    st.integers(0, 38),
    st.none() | st.integers(-99, 99),
    st.sampled_from([(6, 2), (38, 0), (38, 10), (12, 4)]),
)
def test_a_decimal_is_exact_or_does_not_fit(digits, point, exponent, kind):
    text = digits[:point] + "." + digits[point:] + ("" if exponent is None else f"e{exponent}")
    found, reasons = fit(texts(text), f"decimal({kind[0]}, {kind[1]})")
    number = Fraction(Decimal(text)) * 10 ** kind[1]
    if number.denominator == 1 and number < 10 ** kind[0]:
        assert Fraction(found[0].as_py()) == Fraction(Decimal(text))
    else:
        assert list(reasons) == [0]


@given(st.lists(st.decimals(-9999, 9999, places=2)))
def test_decimals_come_back_to_the_last_digit(values):
    assert fit(texts(*map(str, values)), "decimal(6, 2)") == (pa.array(values, pa.decimal128(6, 2)), {})


@pytest.mark.parametrize(
    ("type_name", "good", "value", "bad"),
    [
        ("int", "+7", 7, "7.5"),
        ("int", "007", 7, "0x1F"),
        ("int", "9223372036854775807", 2**63 - 1, "9223372036854775808"),
        ("float", "01", 1.0, "1e999"),
        ("boolean", "False", False, "0"),
        ("date", "2024-01-31", date(2024, 1, 31), "31.01.2024"),
        ("time", "2024-01-31", datetime(2024, 1, 31, tzinfo=UTC), "soon"),
        ("decimal(6, 2)", "1.5", Decimal("1.50"), "1.505"),
        ("decimal(6, 2)", "15e-1", Decimal("1.50"), "5.25e-59"),
        ("decimal(38, 10)", "1e3", Decimal(1000), "4460e+31"),
        ("decimal(6, 2)", "1", Decimal(1), "9" * 50),
    ],
)
def test_what_a_declared_type_takes(type_name, good, value, bad):
    found, reasons = fit(texts(good, None, bad), type_name)
    assert found.to_pylist() == [value, None, None]
    assert reasons == {2: f"'{bad}' is no {type_name}"}
