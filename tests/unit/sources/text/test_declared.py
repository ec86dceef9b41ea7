from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.rows.columns import declared
from evergreen.sources.text.declared import declared_array, json_text, time_of

KINDS = {"decimal(6, 2)": (6, 2), "decimal(38, 10)": (38, 10), "decimal(38, 38)": (38, 38)}


@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,44})(\.[0-9]{1,44})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(list(KINDS)),
    st.booleans(),
)
def test_a_number_of_json_is_an_exact_decimal_or_a_misfit(number, kind, as_text):
    value = number if as_text else json.loads(number, parse_float=Decimal)
    found, reasons = declared_array([value], kind)
    precision, scale = KINDS[kind]
    units = Fraction(Decimal(number)) * 10**scale
    if units.denominator == 1 and abs(units) < 10**precision:
        assert reasons == {}
        assert Fraction(found[0].as_py()) == Fraction(Decimal(number))
    else:
        assert found is None
        assert list(reasons) == [0]
        assert reasons[0].endswith(f"is no {kind}")


@given(st.from_regex(r"-?[1-9](\.[0-9]{1,20})?(e[+-]?[0-9]{1,3})?", fullmatch=True), st.booleans())
def test_a_number_of_json_is_a_finite_float_or_a_misfit(number, as_text):
    found, reasons = declared_array([number if as_text else json.loads(number)], "float")
    # What float64 rounds to infinity: halfway from its largest number to the next there would be.
    if abs(Fraction(Decimal(number))) < 2**1024 - 2**970:
        assert (found.to_pylist(), reasons) == ([float(number)], {})
    else:
        assert found is None
        assert list(reasons) == [0]


@pytest.mark.parametrize("value", ["1e999", "-1e999", "inf", math.inf, Decimal("1e999"), 10**400])
def test_what_overflows_float64_is_a_misfit_among_others(value):
    found, reasons = declared_array([1.5, None, value, math.nan], "float")
    assert found is None
    assert list(reasons) == [2]


@pytest.mark.parametrize("value", ["5.25e-59", 5.25e-59, Decimal("5.25e-59"), 1.005, "9999.999", 10000, -1e4])
def test_what_a_decimal_has_no_digits_for_is_a_misfit(value):
    found, reasons = declared_array([value, 1, 0.1], "decimal(6, 2)")
    assert found is None
    assert list(reasons) == [0]


def test_what_fits_comes_in_the_declared_type():
    found, reasons = declared_array([7, 0.1, "1.50", Decimal("1e2"), None, math.nan], "decimal(6, 2)")
    assert reasons == {}
    assert found.type == declared("decimal(6, 2)")
    assert found.to_pylist() == [*map(Decimal, ["7.00", "0.10", "1.50", "100.00"]), None, None]


@pytest.mark.parametrize("value", [Decimal("1e999999999"), Decimal("-1e19"), Decimal("1.5"), Decimal(2**63)])
def test_a_decimal_that_is_no_int64_is_a_misfit(value):
    assert declared_array([Decimal("7.0"), Decimal(-(2**63))], "int")[0].to_pylist() == [7, -(2**63)]
    assert list(declared_array([value], "int")[1]) == [0]


def test_json_text_has_no_number_that_is_none():
    values = {"b": math.nan, "a": [math.nan, Decimal("1.5"), Decimal("NaN")]}
    assert json_text(values) == '{"a": [null, 1.5, null], "b": null}'
    for value in (math.inf, -math.inf, Decimal("1e999")):
        with pytest.raises(OverflowError):
            json_text({"b": math.nan, "a": [1, {"c": value}]})


def test_a_time_needs_an_offset_if_asked_to():
    assert time_of("2011-01-01T02:00:00+02:00") == time_of("2011-01-01")
    with pytest.raises(ValueError, match="no offset"):
        time_of("2011-01-01", needs_offset=True)
