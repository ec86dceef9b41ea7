from __future__ import annotations

import errno
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import SourceError, UnavailableError
from evergreen.sources.text.records import prepare_records
from evergreen.sources.text.spool import Spool
from evergreen.sources.text.texts import prepare_texts
from evergreen.sources.text.types import fit

TIME = pa.timestamp("us", tz="UTC")
T0 = datetime(2011, 1, 1, tzinfo=UTC)


def add(spool, records, place=str, csv=False):
    """Keep records; those of CSV are texts."""
    if csv:
        texts = pa.RecordBatch.from_pylist(records, pa.schema({n: pa.string() for n in records[0]}))
        prepared, misfits = prepare_texts(spool.types, spool.known, texts)
        spool.keep(prepared)
        return list(misfits.values())
    return spool.keep(prepare_records(spool.types, spool.known, records, place))


def records_to_table(records):
    spool = Spool()
    add(spool, records)
    return spool.rows().table()


def column(*values):
    return records_to_table([{"x": value} for value in values]).column("x")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((1, 2), pa.float64()),
        ((1.5, 2), pa.float64()),
        ((1, None), pa.float64()),
        ((True, None), pa.bool_()),
        (("a", None), pa.string()),
        (("2011-01-01T00:00:00Z", None), TIME),
        (("2011-01-01T00:00:00Z", "soon"), pa.string()),
        (("2011-01-01",), pa.string()),
        (("2011-01-01T00:00:00",), pa.string()),
        (({"a": 1}, [2]), pa.string()),
        ((None, None), pa.null()),
    ],
)
def test_a_column_has_the_type_of_its_kind(values, kind):
    assert column(*values).type == kind


def test_whole_and_broken_numbers_make_the_same_column():
    assert column(1, 2).type == column(1.5, 2.5).type


def test_times_of_any_offset_are_the_same_instant_in_utc():
    values = ["2011-01-01T02:00:00+02:00", "2011-01-01T00:00:00Z", "2010-12-31T19:00:00.000000-05:00"]
    assert set(column(*values).to_pylist()) == {datetime(2011, 1, 1, tzinfo=UTC)}


def test_a_field_that_a_record_lacks_is_null_there():
    table = records_to_table([{"a": 1, "b": "x"}, {"a": 2}, {"c": True}])
    assert table.to_pylist() == [
        {"a": 1.0, "b": "x", "c": None},
        {"a": 2.0, "b": None, "c": None},
        {"a": None, "b": None, "c": True},
    ]


def test_nan_is_no_value():
    assert column(float("nan"), 1).to_pylist() == [None, 1.0]
    assert column(float("nan"), "a").to_pylist() == [None, "a"]


def test_objects_and_lists_are_kept_as_json_whatever_the_order_of_their_keys():
    assert column({"b": 1, "a": [2]}, [3]).to_pylist() == ['{"a": [2], "b": 1}', "[3]"]


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ((1, "a"), "numbers and text"),
        ((True, 1), "numbers and truth values"),
        (({}, "a"), "objects and text"),
    ],
)
def test_a_field_of_two_kinds_is_refused_by_name(values, kinds):
    with pytest.raises(SourceError, match=f"field 'x' holds {kinds}"):
        column(*values)


def test_a_number_too_large_to_be_exact_is_refused_by_name():
    assert column(2**53).to_pylist() == [float(2**53)]
    with pytest.raises(SourceError, match="field 'x' holds a whole number beyond"):
        column(2**53 + 1)


json_values = st.one_of(
    st.lists(st.none() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)),
    st.lists(st.none() | st.booleans()),
    st.lists(st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
)


@given(json_values)
def test_values_come_through_as_they_were(values):
    records = json.loads(json.dumps([{"x": value} for value in values]))
    table = records_to_table(records)
    expected = [record["x"] for record in records]
    assert (table.column("x").to_pylist() if values else []) == expected


@given(st.lists(st.datetimes(), min_size=1), st.integers(-12, 14))
def test_times_come_through_as_they_were(moments, offset):
    zone = timezone(timedelta(hours=offset))
    times = [moment.replace(tzinfo=zone) for moment in moments]
    assert column(*(time.isoformat() for time in times)).to_pylist() == times


class TestSpool:
    """Records in parts, as pages and files bring them."""

    def spooled(self, *parts, types=(), csv=False):
        spool = Spool(dict(types))
        for number, part in enumerate(parts, 1):
            add(spool, part, lambda at, number=number: f"part {number}, record {at + 1}", csv)
        return spool.rows()

    def test_types_are_settled_over_all_parts(self):
        time = "2011-01-01T00:00:00Z"
        rows = self.spooled(
            [{"a": None, "t": time, "s": time}], [{"b": True, "t": time, "s": "soon"}], [{"a": 2, "t": None}]
        )
        table = rows.table()
        assert table.schema.types == [pa.float64(), TIME, pa.string(), pa.bool_()]
        assert table.column("s").to_pylist() == [time, "soon", None]
        assert table.column("a").to_pylist() == [None, None, 2.0]

    def test_a_part_that_mixes_kinds_with_one_before_keeps_nothing(self):
        spool = Spool()
        add(spool, [{"x": 1}])
        with pytest.raises(SourceError, match="field 'x' holds numbers and text"):
            add(spool, [{"x": 2, "y": 1}, {"x": "a"}])
        assert spool.rows().table().to_pylist() == [{"x": 1.0}]

    @pytest.mark.parametrize(
        ("kind", "fits", "misfits"),
        [
            ("text", {"01": "01", 7: "7", True: "true", 1.5: "1.5"}, []),
            (
                "float",
                {7: 7.0, "1.5e2": 150.0, 2**60: float(2**60)},
                ["x", "nan", "1_0", "1e999", "inf", True, {}, 10**400],
            ),
            (
                "int",
                {7: 7, -3.0: -3, "-07": -7, "1.0": 1, 2**63 - 1: 2**63 - 1},
                [1.5, "1.5", 2**63, "9" * 30, True, 1e300],
            ),
            ("boolean", {True: True, "False": False}, [1, "yes", "1", []]),
            ("date", {"2011-01-31": date(2011, 1, 31)}, ["2011-02-30", "soon", 7, "2011-01-01T00:00:00"]),
            (
                "time",
                {"2011-01-01T02:00:00+02:00": T0, "2011-01-01 00:00": T0, "2011-01-01": T0},
                ["soon", 7, "2011-01-01T25:00:00Z", "0001-01-01T00:00:00+14:00"],
            ),
            (
                "decimal(5, 2)",
                {"1.50": Decimal("1.50"), 7: Decimal(7), 0.1: Decimal("0.10")},
                ["1.234", 1000, "x", True, 1e300, "5.25e-59", 5.25e-59, "nan"],
            ),
        ],
    )
    def test_a_value_fits_a_declared_type_or_is_rejected(self, kind, fits, misfits):
        rows = self.spooled([{"x": value} for value in [*fits, None, *misfits]], types={"x": kind})
        assert rows.table().column("x").to_pylist() == [*fits.values(), None]
        assert [r.place for r in rows.rejected] == [
            f"part 1, record {len(fits) + 2 + at}" for at in range(len(misfits))
        ]
        assert all(r.reason.startswith("field 'x': '") for r in rows.rejected)
        assert [json.loads(r.text)["x"] for r in rows.rejected] == misfits

    @pytest.mark.parametrize(
        ("texts", "kind"),
        [
            (["1", "2.5", None], pa.float64()),
            (["true", "FALSE"], pa.bool_()),
            (["2011-01-01"], pa.date32()),
            (["2011-01-01", "2011-01-01T05:00:00"], TIME),
            (["2011-01-01T05:00:00Z", "2011-01-01 05:00"], TIME),
            (["1", "true"], pa.string()),
            (["1", "0"], pa.float64()),
            (["01234", "5"], pa.string()),
            (["9007199254740993"], pa.string()),
            (["inf", "1"], pa.string()),
            ([" 1 ", "NaN"], pa.float64()),
            (["1", "x"], pa.string()),
            ([None], pa.null()),
        ],
    )
    def test_the_text_of_csv_is_read_as_what_all_of_it_is(self, texts, kind):
        whole = self.spooled([{"x": text} for text in texts], csv=True).table()
        apart = self.spooled(*[[{"x": text}] for text in texts], csv=True).table()
        assert whole.schema.field("x").type == kind
        assert apart.equals(whole)

    def test_declared_text_of_csv_fits_or_is_rejected(self):
        texts = [" 7", "x", None, "NaN", "1e999", "1.50"]
        for kind in ("float", "int", "decimal(5, 2)", "text"):
            expected, reasons = fit(pa.array(texts), kind)
            spool = Spool({"x": kind})
            misfits = add(spool, [{"x": text} for text in texts], csv=True)
            kept = [value for at, value in enumerate(expected.to_pylist()) if at not in reasons]
            assert spool.rows().table().column("x").to_pylist() == kept
            assert misfits == [f"column 'x': {why}" for why in reasons.values()]

    def test_what_was_saved_comes_back(self):
        first, second = Spool({"n": "int"}), Spool({"n": "int"})
        add(first, [{"n": 1, "t": "2011-01-01T00:00:00Z"}, {"n": "x"}])
        part, _ = first.save()
        add(first, [{"n": 2, "u": {"a": [1]}}])
        rest, state = first.save()
        second.restore([part, rest], json.loads(json.dumps(state)))
        for spool in (first, second):
            add(spool, [{"n": 3, "t": None}])
        assert second.rows().table().equals(first.rows().table())
        assert second.rows().rejected == first.rows().rejected

    def test_blocks_are_of_a_good_size(self):
        rows = self.spooled(*[[{"x": n}] * 500 for n in range(400)])
        assert [batch.num_rows for batch in rows] == [65_536 + 464] * 3 + [200_000 - 3 * 66_000]

    def test_a_full_disk_is_one_line(self, monkeypatch):
        spool = Spool()
        monkeypatch.setattr(spool._spill._file, "write", _full, raising=False)
        with pytest.raises(
            UnavailableError, match=r"cannot be written \(No space left on device\): make room"
        ):
            add(spool, [{"x": 1}])
        with pytest.raises(UnavailableError):
            spool.save()


def _full(_):
    raise OSError(errno.ENOSPC, "No space left on device")


records_of_anything = st.lists(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "", "partition"]) | st.text(max_size=3),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
            ),
            max_leaves=4,
        ),
        max_size=4,
    ),
    max_size=8,
)


@given(
    st.lists(records_of_anything, max_size=3),
    st.dictionaries(
        st.sampled_from("abc"),
        st.sampled_from(["text", "float", "int", "boolean", "date", "time", "decimal(5, 2)"]),
    ),
)
def test_any_records_are_rows_or_rejected_or_one_line(parts, types):
    spool = Spool(types)
    try:
        for part in parts:
            add(spool, part)
        rows = spool.rows()
        table = rows.table()
    except SourceError as error:
        message = str(error)
        assert "\n" not in message
    else:
        assert table.num_rows + len(rows.rejected) == sum(map(len, parts))
    finally:
        spool.close()
