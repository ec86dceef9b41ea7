"""Values of JSON in the types of the published columns, and the rows that do not fit them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import UTC_ZONE, zone_of
from evergreen.rows.local import TIME
from evergreen.serving.arrow_columns import arrow_column
from evergreen.serving.column_values import column_values
from evergreen.serving.refused import RequestRefusedError
from evergreen.serving.row_types import RowTypes

SCHEMA = pa.schema([("at", TIME), ("price", pa.float64()), ("shop", pa.string()), ("sold", pa.int64())])
TYPES = RowTypes(SCHEMA.remove(3), ("sold",), UTC_ZONE)
ROW = {"at": "2024-01-01T06:00:00Z", "price": 1, "shop": "a"}

FITS: list[tuple[pa.DataType, Any, Any]] = [
    (pa.float64(), 1, 1.0),
    (pa.float64(), "1.5", 1.5),
    (pa.float64(), -0.0, -0.0),
    (pa.int64(), 2**63 - 1, 2**63 - 1),
    (pa.int64(), 3.0, 3),
    (pa.int16(), -32768, -32768),
    (pa.bool_(), True, True),
    (pa.string(), "é", "é"),
    (pa.string(), 5, "5"),
    (pa.date32(), "2024-02-29", date(2024, 2, 29)),
    (TIME, "2024-02-29T01:00:00+01:00", datetime(2024, 2, 29, tzinfo=UTC)),
    (pa.decimal128(5, 2), Decimal("123.45"), Decimal("123.45")),
    (pa.list_(pa.float64()), [1, None], [1.0, None]),
    (pa.list_(pa.string()), [], []),
]
MISFITS: list[tuple[pa.DataType, Any, str]] = [
    (pa.float64(), "x", "'x' is no float"),
    (pa.float64(), True, "'True' is no float"),
    (pa.float64(), [1], "'[1]' is no float"),
    (pa.float64(), {}, "'{}' is no float"),
    (pa.float64(), 2**53 + 1, "'9007199254740993' is no float"),
    (pa.float64(), "007", "'007' is no float"),
    (pa.float64(), 10**400, "is no float"),
    (pa.int64(), 2**63, "'9223372036854775808' is no int"),
    (pa.int64(), 1.5, "'1.5' is no int"),
    (pa.int64(), 9007199254740993.0, "'9007199254740992.0' is no int"),
    (pa.int16(), 32768, "is beyond the range of int16"),
    (pa.bool_(), "maybe", "'maybe' is no boolean"),
    (pa.string(), "a\0b", "text with a NUL"),
    (pa.date32(), "2023-02-29", "'2023-02-29' is no date, such as 2024-01-31"),
    (TIME, "2024-01-01T00:00:00", "is no time with an offset, such as 2024-01-31T08:00:00Z"),
    (TIME, 5, "'5' is no time with an offset"),
    (pa.decimal128(5, 2), Decimal("1.234"), "'1.234' is no decimal(5, 2)"),
    (pa.list_(pa.float64()), 1, "'1' is no list"),
    (pa.list_(pa.float64()), [1, "x"], "'x' is no float"),
]


@pytest.mark.parametrize(("kind", "value", "held"), FITS)
def test_a_value_that_fits(kind: pa.DataType, value: Any, held: Any) -> None:
    found, misfits = column_values([None, value, None], kind, None, UTC_ZONE)
    assert (found.type, misfits) == (kind, {})
    assert found.to_pylist() == [None, held, None]
    assert str(found.to_pylist()[1]) == str(held)  # a zero keeps its sign


@pytest.mark.parametrize(("kind", "value", "why"), MISFITS)
def test_a_value_that_does_not_fit_is_told_beside_the_others(kind: pa.DataType, value: Any, why: str) -> None:
    good = next(one for fitting, one, _ in FITS if fitting == kind)
    found, misfits = column_values([good, value], kind, None, UTC_ZONE)
    assert list(misfits) == [1]
    assert why in misfits[1]
    assert (found.type, len(found)) == (kind, 2)
    assert found[0].is_valid


def test_a_described_type_reads_text_as_the_description_says() -> None:
    found, misfits = column_values(["31.01.2024"], pa.date32(), "date %d.%m.%Y", UTC_ZONE)
    assert (found.to_pylist(), misfits) == ([date(2024, 1, 31)], {})
    found, _ = column_values(["2024-01-31T08:00"], TIME, "time", zone_of("Europe/Berlin"))
    assert found.to_pylist() == [datetime(2024, 1, 31, 7, tzinfo=UTC)]


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)))
def test_numbers_are_the_same_floats(values: list[Any]) -> None:
    found, misfits = column_values(values, pa.float64(), None, UTC_ZONE)
    assert misfits == {}
    assert found.to_pylist() == [None if value is None else float(value) for value in values]


def test_rows_that_cannot_be_read_are_told_by_their_place() -> None:
    read = TYPES.read(
        [ROW, 5, {**ROW, "price": "x"}, {**ROW, "sold": "never looked at"}, {**ROW, "shp": 1}, {}]
    )
    assert read.places == [0, 3]
    assert read.rows.schema == TYPES.schema
    assert read.rows.column("price").to_pylist() == [1.0, 1.0]
    assert read.reasons == {
        1: "is no JSON object: send the value of each column by its name",
        2: "field 'price': 'x' is no float",
        4: "has the field 'shp', which rows of this pipeline do not have: leave it out",
        5: "lacks 'at': send null where there is no value",
    }


def test_no_row_can_be_read() -> None:
    read = TYPES.read([None])
    assert (len(read.rows), read.places, list(read.reasons)) == (0, [], [0])


def test_a_table_is_read_by_the_same_rules() -> None:
    found = TYPES.read(
        pa.table(
            {
                "price": ["1", "x", "1.5"],
                "shop": [5, None, 7],
                "at": ["2024-01-01T06:00:00Z", None, "2024-01-01T06:00:00"],
                "sold": [b"never looked at"] * 3,
            }
        )
    )
    assert found.places == [0]
    assert found.rows.to_pylist() == [{"at": datetime(2024, 1, 1, 6, tzinfo=UTC), "price": 1.0, "shop": "5"}]
    assert found.reasons == {
        1: "field 'price': 'x' is no float",
        2: "field 'at': '2024-01-01T06:00:00' is no time with an offset, such as 2024-01-31T08:00:00Z",
    }


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        (["at", "price", "shop", "shp"], "the table has the field 'shp', which rows of this pipeline do not"),
        (["at", "price"], "the table lacks 'shop': send null where there is no value"),
        (["at", "price", "shop", "shop"], "the table has the field 'shop' twice: send it once"),
    ],
)
def test_a_table_with_other_columns_is_refused(columns: list[str], why: str) -> None:
    with pytest.raises(RequestRefusedError, match=why):
        TYPES.read(pa.Table.from_arrays([pa.array(["a"])] * len(columns), columns))


ARROWS: list[tuple[pa.Array, pa.DataType, str | None, Any]] = [
    (pa.array([2**53], pa.uint64()), pa.float64(), None, 2.0**53),
    (pa.array([2**53 + 1]), pa.float64(), None, "'9007199254740993' is no float"),
    (pa.array([0.1], pa.float32()), pa.float64(), None, 0.10000000149011612),
    (pa.array([float("nan")]), pa.float64(), None, None),
    (pa.array([True]), pa.float64(), None, "'True' is no float"),
    (pa.array([2.0]), pa.int16(), None, 2),
    (pa.array([2.5]), pa.int16(), None, "'2.5' is no int"),
    (pa.array([2**40]), pa.int16(), None, "is beyond the range of int16"),
    (pa.array([2**63], pa.uint64()), pa.int64(), None, "'9223372036854775808' is no int"),
    (pa.array([1]), pa.bool_(), None, "'1' is no boolean"),
    (pa.array(["a\0"]), pa.string(), None, "text with a NUL"),
    (pa.array([0], pa.timestamp("us")), TIME, None, "'1970-01-01 00:00:00.000000' is no time with an offset"),
    (pa.array([0], pa.timestamp("us")), TIME, "time", datetime(1970, 1, 1, tzinfo=UTC)),
    (pa.array([5], pa.timestamp("ns", "UTC")), TIME, None, "is no time with an offset"),
    (pa.array([2**62], pa.timestamp("s", "UTC")), TIME, None, "is no time with an offset"),
    (pa.array([date(2024, 1, 1)]), TIME, None, "'2024-01-01' is no time with an offset"),
    (pa.array([86_400_000], pa.date64()), pa.date32(), None, date(1970, 1, 2)),
    (pa.array([1.5]), pa.decimal128(5, 2), None, Decimal("1.50")),
    (pa.array([Decimal("1.234")]), pa.decimal128(5, 2), None, "'1.234' is no decimal(5, 2)"),
    (pa.array([[1, None]]), pa.list_(pa.float64()), None, [1.0, None]),
    (pa.array([1]), pa.list_(pa.float64()), None, "'1' is no list"),
    (pa.nulls(1), pa.list_(pa.float64()), None, None),
]


@pytest.mark.parametrize(("values", "kind", "written", "held"), ARROWS)
def test_a_value_of_arrow_fits_without_loss_or_says_why_not(
    values: pa.Array, kind: pa.DataType, written: str | None, held: Any
) -> None:
    found, misfits = arrow_column(values, kind, written, UTC_ZONE)
    assert found.type == kind
    if isinstance(held, str):
        assert held in misfits[0]
    else:
        assert (found.to_pylist(), misfits) == ([held], {})
