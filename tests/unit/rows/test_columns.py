from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, InvalidOperation

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import SourceError
from evergreen.rows.columns import LakeTypes, decimals, declared

TIME = pa.timestamp("us", tz="UTC")
MOMENT = datetime(2011, 1, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("array", "kind", "value"),
    [
        (pa.array([MOMENT], pa.timestamp("s")), TIME, MOMENT),
        (pa.array([MOMENT], pa.timestamp("ns")), TIME, MOMENT),
        (pa.array([MOMENT], pa.timestamp("us", tz="+02:00")), TIME, MOMENT),
        (pa.array([Decimal("1.50")]), pa.float64(), 1.5),
        (pa.array([1.5], pa.float32()), pa.float64(), 1.5),
        (pa.array([7], pa.uint8()), pa.float64(), 7.0),
        (pa.array([7], pa.int16()), pa.int16(), 7),
        (pa.array(["a"], pa.large_string()), pa.string(), "a"),
        (pa.array(["a"]).dictionary_encode(), pa.string(), "a"),
        (pa.array([time(5)], pa.time32("s")), pa.string(), "05:00:00"),
        (pa.array([date(2011, 1, 1)]), pa.date32(), date(2011, 1, 1)),
        (pa.array([date(2011, 1, 1)], pa.date64()), pa.date32(), date(2011, 1, 1)),
        (pa.array([[1, None]], pa.list_(pa.int32())), pa.list_(pa.int32()), [1, None]),
        (pa.array([["a"]], pa.large_list(pa.string_view())), pa.list_(pa.string()), ["a"]),
        (pa.array([[1.5, 2.5]], pa.list_(pa.float32(), 2)), pa.list_(pa.float64()), [1.5, 2.5]),
        (pa.array([[Decimal("1.5")]]), pa.list_(pa.float64()), [1.5]),
        (pa.array([[MOMENT]], pa.large_list(pa.timestamp("s"))), pa.list_(TIME), [MOMENT]),
        (pa.array([["a"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))), pa.list_(pa.string()), ["a"]),
        (pa.array([uuid.UUID(int=15).bytes], pa.uuid()), pa.string(), str(uuid.UUID(int=15))),
        (pa.array([True]), pa.bool_(), True),
        (pa.nulls(1), pa.null(), None),
        (pa.array(["1.5"]).view(pa.string()), pa.string(), "1.5"),
    ],
)
def test_each_type_has_its_place(array, kind, value):
    table = LakeTypes().table(pa.table({"x": array}))
    assert table.schema.field("x").type == kind
    assert table.column("x").to_pylist() == [value]


def numeric(*values):
    kind = pa.opaque(pa.string(), "numeric", "PostgreSQL")
    return pa.ExtensionArray.from_storage(kind, pa.array(values, pa.string()))


def test_numeric_that_arrives_as_text_is_a_number():
    table = LakeTypes().table(pa.table({"x": numeric("1.50", None, "-12345678901234.5", "NaN")}))
    assert table.schema.field("x").type == pa.float64()
    assert table.column("x").to_pylist() == [1.5, None, -12345678901234.5, None]


def test_without_whole_numbers_integers_are_float64():
    assert LakeTypes(whole_numbers=False).table(pa.table({"x": [1, 2]})).column("x").to_pylist() == [1.0, 2.0]
    with pytest.raises(SourceError, match="column 'x' cannot be read as double"):
        LakeTypes(whole_numbers=False).table(pa.table({"x": [2**53 + 1]}))


@pytest.mark.parametrize(
    "array", [pa.array([[[1]]]), pa.array([[b"a"]]), pa.array([b"a"]), pa.array([{"a": 1}])]
)
def test_a_type_without_a_place_is_refused_by_name(array):
    with pytest.raises(SourceError, match=r"column 'x' is of type .*leave it out or cast it to"):
        LakeTypes().table(pa.table({"x": array}))


def test_names_that_the_lake_cannot_have():
    with pytest.raises(SourceError, match="column 'a' comes more than once"):
        LakeTypes().table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]))
    with pytest.raises(SourceError, match="column 'partition' has the name of the lake's own"):
        LakeTypes().table(pa.table({"partition": [1]}))


def test_a_table_without_columns_stays_one():
    assert LakeTypes().table(pa.table({})).num_columns == 0


# Arrow's own cast to decimal128(38, 10) makes another number of it.
HUGE = "4729589211505320046687400801577379"
TEXTS = ["2011-01-01T05:00:00Z", "2011-01-01 07:00:00+02:00", "2011-01-01T05:00:00", "2011-01-01", None]


@pytest.mark.parametrize(
    ("wanted", "values", "expected"),
    [
        ("text", ["01234", None], ["01234", None]),
        ("text", [7, None], ["7", None]),
        ("text", [True], ["true"]),
        ("text", [b"gr\xc3\xbcn"], ["grün"]),
        ("float", ["1.5", "-Infinity", None], [1.5, float("-inf"), None]),
        ("float", [7], [7.0]),
        ("int", ["0012", None], [12, None]),
        ("int", [7.0, None], [7, None]),
        ("int", [Decimal("7.00")], [7]),
        ("int", [True], [1]),
        ("boolean", ["true", "0", None], [True, False, None]),
        ("boolean", [1, 0], [True, False]),
        ("boolean", [1.0], [True]),
        ("date", TEXTS, [date(2011, 1, 1)] * 4 + [None]),
        ("date", [datetime(2011, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))], [date(2010, 12, 31)]),
        ("time", TEXTS, [MOMENT] * 3 + [datetime(2011, 1, 1, tzinfo=UTC), None]),
        ("time", [date(2011, 1, 1)], [datetime(2011, 1, 1, tzinfo=UTC)]),
        ("decimal(12, 2)", ["1.5", "-0.010", None], [Decimal("1.50"), Decimal("-0.01"), None]),
        ("decimal(12,2)", [2**33], [Decimal("8589934592.00")]),
        ("decimal(38, 37)", [7], [Decimal(7)]),
        ("decimal(5, 1)", [0.1], [Decimal("0.1")]),
        ("decimal(5, 2)", [None], [None]),
        ("decimal(5, 2)", ["15e-1", "1E2", None], [Decimal("1.50"), Decimal("100.00"), None]),
        ("decimal(38, 10)", [f"-{'9' * 28}.{'9' * 10}"], [Decimal(f"-{'9' * 28}.{'9' * 10}")]),
        ("decimal(38, 10)", ["0" * 60 + "1.50" + "0" * 60], [Decimal("1.50")]),
        ("decimal(38, 10)", [Decimal("1.5"), None], [Decimal("1.5"), None]),
        ("decimal(5, 2)", [b"1.5"], [Decimal("1.50")]),
    ],
)
def test_a_declared_type_wins(wanted, values, expected):
    table = LakeTypes({"x": wanted}, whole_numbers=False).table(pa.table({"x": values}))
    assert table.schema.field("x").type == declared(wanted)
    assert table.column("x").to_pylist() == expected


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        ("int", "7.5"),
        ("int", 7.5),
        ("int", float("nan")),
        ("int", MOMENT),
        ("float", "seven"),
        ("float", MOMENT),
        ("boolean", 2),
        ("boolean", 0.5),
        ("boolean", "maybe"),
        ("date", "01.01.2011"),
        ("date", 14975),
        ("time", 1293858000),
        ("time", "05:00"),
        ("time", "9999-12-31T23:59:59-01:00"),
        ("decimal(4, 2)", "100"),
        ("decimal(4, 2)", 100),
        ("decimal(4, 2)", "1.505"),
        ("decimal(4, 2)", "NaN"),
        ("decimal(4, 2)", "Infinity"),
        ("decimal(4, 2)", "-inf"),
        ("decimal(4, 2)", "5.25e-59"),
        ("decimal(4, 2)", " 1"),
        ("decimal(4, 2)", ""),
        ("decimal(38, 10)", HUGE),
        ("decimal(38, 10)", HUGE.encode()),
        ("decimal(38, 10)", Decimal(HUGE)),
        ("decimal(38, 10)", "4460e+31"),
        ("text", [1]),
        ("text", b"\xff"),
    ],
)
def test_a_value_of_which_something_would_be_lost_is_refused_by_column(wanted, value):
    with pytest.raises(SourceError, match=r"^column 'x' cannot be read as .*: fix the source$") as told:
        LakeTypes({"x": wanted}).table(pa.table({"x": [value]}))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("kind", [TIME, pa.date32(), pa.list_(TIME)])
@pytest.mark.parametrize("edge", ["lowest", "highest"])
def test_a_time_that_no_calendar_has_is_refused(kind, edge):
    bits = 32 if pa.types.is_date(kind) else 64
    number = -(2 ** (bits - 1)) if edge == "lowest" else 2 ** (bits - 1) - 1
    array = pa.array([[number]] if pa.types.is_list(kind) else [number])
    inner = pa.int32() if bits == 32 else array.type
    with pytest.raises(SourceError, match=r"column 'x' .*outside the years 1 to 9999"):
        LakeTypes().table(pa.table({"x": array.cast(inner).cast(kind)}))


@pytest.mark.parametrize("name", ["decimal(39, 2)", "decimal(2, 3)", "decimal(0, 0)", "number", "", "int[]"])
def test_a_type_that_the_lake_has_not_is_refused(name):
    with pytest.raises(SourceError, match="write one of text, float, int, boolean, date, time, or decimal"):
        declared(name)


def test_a_schema_tells_the_types_before_a_row_is_read():
    lake = LakeTypes({"b": "int", "absent": "text"}, whole_numbers=False)
    schema = lake.schema(pa.schema({"a": pa.int32(), "b": pa.float64()}))
    assert schema == pa.schema({"a": pa.float64(), "b": pa.int64()})
    assert lake.batch(pa.record_batch({"a": pa.array([1], pa.int32()), "b": [2.0]})).schema == schema


DIGITS = st.text("0123456789", max_size=45)
NUMBERS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-", "+"]),
    DIGITS,
    st.just("") | DIGITS.map(lambda digits: "." + digits),
    st.just("") | st.integers(-60, 60).map("e{}".format) | st.sampled_from(["E+5", "e0007", "e-99999999999"]),
)
NO_NUMBERS = st.sampled_from(
    ["NaN", "sNaN", "Infinity", "-inf", "", " 1", "1_0", "0x1F", "1e", "\u0663", "1,5"]
)


def read_independently(text, precision, scale):
    """The number as Python reads it, if its digits are no more than the type's."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or text != text.strip() or "_" in text or not text.isascii():
        return None
    if number == 0:
        return Decimal(0)
    digits = "".join(map(str, number.as_tuple().digits))
    last = number.as_tuple().exponent + len(digits) - len(digits.rstrip("0"))  # the last digit's power of ten
    return number if last >= -scale and number.adjusted() < precision - scale else None


@given(
    values=st.lists(st.none() | NUMBERS | NO_NUMBERS, max_size=5),
    kind=st.sampled_from([(38, 10), (38, 0), (38, 38), (12, 2), (1, 1), (19, 0)]),
)
def test_text_is_an_exact_decimal_or_none(values, kind):
    expected = [None if text is None else read_independently(text, *kind) for text in values]
    misfits = [
        at for at, (text, number) in enumerate(zip(values, expected, strict=True)) if text and number is None
    ]
    misfits += [at for at, text in enumerate(values) if text == ""]
    array = pa.array(values, pa.string())
    found, none = decimals(array, pa.decimal128(*kind))
    assert (found.to_pylist(), none) == (expected, sorted(misfits))
    lake, table = LakeTypes({"x": "decimal({}, {})".format(*kind)}), pa.table({"x": array})
    if misfits:
        with pytest.raises(SourceError, match=r"^column 'x' cannot be read as .*: fix the source$"):
            lake.table(table)
    else:
        assert lake.table(table).column("x").to_pylist() == expected


@given(
    st.lists(st.decimals(allow_nan=False, allow_infinity=False).filter(lambda d: abs(d.adjusted()) < 99)),
    st.sampled_from([(38, 10), (38, 0), (12, 2)]),
)
def test_numeric_is_exact_or_refused(numbers, kind):
    texts = [f"{number:f}" for number in numbers]
    expected = [read_independently(text, *kind) for text in texts]
    table = pa.table({"x": numeric(*texts)})
    lake = LakeTypes({"x": "decimal({}, {})".format(*kind)})
    if None in expected:
        with pytest.raises(SourceError, match="column 'x' cannot be read as decimal128"):
            lake.table(table)
    else:
        assert lake.table(table).column("x").to_pylist() == expected


@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.integers(-(2**31), 2**31 - 1),
            st.none() | st.decimals(-(10**8), 10**8, places=2).map(str),
            st.none() | st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat()),
            st.none() | st.lists(st.none() | st.floats(width=32, allow_nan=False), max_size=3),
        ),
        min_size=1,
    ),
    cut=st.integers(0, 100),
)
def test_batches_become_what_the_whole_table_does(rows, cut):
    names, kinds = "abcd", (pa.int32(), pa.string(), pa.string(), pa.list_(pa.float32()))
    columns = [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
    batch = pa.RecordBatch.from_arrays(columns, list(names))
    lake = LakeTypes({"b": "decimal(12, 2)", "c": "time"})
    parts = [lake.batch(batch.slice(0, cut)), lake.batch(batch.slice(cut))]
    whole_table = lake.table(pa.Table.from_batches([batch]))
    assert pa.Table.from_batches(parts).equals(whole_table)
    for (number, money, moment, listed), row in zip(rows, whole_table.to_pylist(), strict=True):
        assert row["a"] == number
        assert row["b"] == (None if money is None else Decimal(money))
        assert row["c"] == (None if moment is None else datetime.fromisoformat(moment))
        assert row["d"] == listed
