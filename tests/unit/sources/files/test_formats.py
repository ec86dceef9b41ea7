"""Workbooks, ORC and Avro: values by type, damage, and what is not read."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from decimal import Decimal

import fastavro
import openpyxl
import pyarrow as pa
import pytest
from pyarrow import orc

from evergreen.calendar import zone_of
from evergreen.errors import SourceError
from evergreen.sources.files.description import FileSource
from evergreen.sources.files.formats import FORMATS, format_of
from evergreen.sources.files.read import read_file

NOON = dt.datetime(2024, 7, 1, 12, 30, 0, 123456, tzinfo=dt.UTC)
LOCAL = NOON.replace(tzinfo=None)
LATE = dt.datetime(2023, 12, 31, 23, 15, tzinfo=dt.UTC).replace(tzinfo=None)


@pytest.fixture
def read(tmp_path, storage):
    def read(path, zone="UTC", **source):
        found = read_file(
            FileSource(path=path, **source), tmp_path, storage, "snapshot", None, zone=zone_of(zone)
        )
        return found, found.table()

    return read


def avro(path, fields, records):
    schema = {"type": "record", "name": "r", "fields": [{"name": n, "type": t} for n, t in fields.items()]}
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), records)


def workbook(path, *rows, sheet="Data", above=0, left=0):
    book = openpyxl.Workbook()
    page = book.active
    page.title = sheet
    for at, row in enumerate(rows, 1 + above):
        for column, value in enumerate(row, 1 + left):
            page.cell(at, column, value)
    book.create_sheet("Notes").append(["nothing"])
    book.save(path)


class TestOrc:
    def test_a_time_that_its_reader_does_not_have_is_named(self, tmp_path, read):
        for year in (1, 1677, 2263, 9999):
            far = pa.array([dt.datetime(year, 1, 1)], pa.timestamp("us"))  # noqa: DTZ001
            orc.write_table(pa.table({"n": [1], "at": far}), tmp_path / "a.orc")
            with pytest.raises(
                SourceError, match=r"a\.orc: column 'at' holds a time outside of the years 1678"
            ):
                read("a.orc")

    def test_values_have_their_types(self, tmp_path, read):
        table = pa.table(
            {
                "i": pa.array([1, None], pa.int32()),
                "f": pa.array([0.5, None], pa.float32()),
                "m": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
                "t": ["a", None],
                "b": [True, None],
                "d": [dt.date(2024, 1, 1), None],
                "at": pa.array([NOON, None], pa.timestamp("ns", "UTC")),
                "here": pa.array([LOCAL, None], pa.timestamp("ns")),
                "l": [[1, None], None],
            }
        )
        orc.write_table(table, tmp_path / "a.orc")
        _, rows = read("a.orc", zone="Europe/Berlin", types={"m": "decimal(10, 2)"})
        assert rows.schema.types == [
            pa.int32(), pa.float64(), pa.decimal128(10, 2), pa.string(), pa.bool_(), pa.date32(),
            pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC"), pa.list_(pa.int64()),
        ]  # fmt: skip
        first, nothing = rows.to_pylist()
        assert first["at"] == NOON
        assert first["here"] == NOON - dt.timedelta(hours=2)
        assert (first["m"], first["l"]) == (Decimal("1.50"), [1, None])
        assert set(nothing.values()) == {None}

    def test_many_stripes_are_read_one_after_another(self, tmp_path, read):
        orc.write_table(pa.table({"n": range(300_000)}), tmp_path / "a.orc", stripe_size=2**16)
        assert read("a.orc")[1].column("n").to_pylist() == list(range(300_000))


class TestAvro:
    def test_values_have_their_types(self, tmp_path, read):
        fields = {
            "i": ["null", "int"],
            "n": ["null", "long"],
            "f": ["null", "double"],
            "t": ["null", "string"],
            "b": ["null", "boolean"],
            "m": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}],
            "d": ["null", {"type": "int", "logicalType": "date"}],
            "at": ["null", {"type": "long", "logicalType": "timestamp-micros"}],
            "ms": ["null", {"type": "long", "logicalType": "timestamp-millis"}],
            "here": ["null", {"type": "long", "logicalType": "local-timestamp-micros"}],
            "u": ["null", {"type": "string", "logicalType": "uuid"}],
            "e": ["null", {"type": "enum", "name": "kind", "symbols": ["card", "cash"]}],
            "l": ["null", {"type": "array", "items": "long"}],
        }
        whole = {
            "i": 1, "n": 2**53 + 1, "f": 0.5, "t": "a", "b": True, "m": Decimal("1.50"),
            "d": dt.date(2024, 1, 1), "at": NOON, "ms": NOON.replace(microsecond=123000), "here": LOCAL,
            "u": "8c6ee3f3-b7c3-4ea8-8ab6-3c23a4a1b6b4", "e": "cash", "l": [1, 2],
        }  # fmt: skip
        avro(tmp_path / "a.avro", fields, [whole, dict.fromkeys(fields)])
        _, rows = read("a.avro", zone="Europe/Berlin", types={"m": "decimal(10, 2)"})
        first, nothing = rows.to_pylist()
        assert first == {**whole, "here": NOON - dt.timedelta(hours=2)}
        assert set(nothing.values()) == {None}
        assert rows.schema.field("n").type == pa.int64()

    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            (["int", "string"], "column 'x' is a union of several types (int, string)"),
            ({"type": "map", "values": "int"}, "column 'x' is map, which the lake does not have"),
        ],
    )
    def test_a_type_that_the_lake_has_not_is_named(self, tmp_path, read, kind, said):
        avro(tmp_path / "a.avro", {"x": kind}, [])
        with pytest.raises(SourceError) as refused:
            read("a.avro")
        assert said in str(refused.value)


class TestExcel:
    def test_cells_are_read_as_what_they_are(self, tmp_path, read):
        workbook(
            tmp_path / "a.xlsx",
            ["id", "day", "at", "amount", "member", "code", "note"],
            [1, dt.date(2023, 12, 31), LATE, 1234.5, True, "01234", "Müller"],
            [2, dt.date(2024, 1, 1), LATE + dt.timedelta(minutes=75), -3, False, "90210", None],
            [None] * 7,
        )
        _, rows = read("a.xlsx", zone="Europe/Berlin", types={"id": "int"})
        assert rows.to_pylist() == [
            {
                "id": 1, "day": dt.date(2023, 12, 31), "amount": 1234.5, "member": True, "code": "01234",
                "at": dt.datetime(2023, 12, 31, 22, 15, tzinfo=dt.UTC), "note": "Müller",
            },
            {
                "id": 2, "day": dt.date(2024, 1, 1), "amount": -3.0, "member": False, "code": "90210",
                "at": dt.datetime(2023, 12, 31, 23, 30, tzinfo=dt.UTC), "note": None,
            },
        ]  # fmt: skip

    @pytest.mark.parametrize("range_", ["C4:D6", "c4:d", "$C$4:$D$6"])
    def test_a_sheet_and_a_range_say_where_the_table_is(self, tmp_path, read, range_):
        rows = [["Report", None], [None, None], ["n", "x"], [1, 2.5], [2, 3.5], ["sum", 6]]
        workbook(tmp_path / "a.xlsx", *rows[:5], sheet="July", above=1, left=2)
        found = read("a.xlsx", excel={"sheet": "July", "range": range_})[1].to_pylist()
        assert found == [{"n": 1.0, "x": 2.5}, {"n": 2.0, "x": 3.5}]

    def test_a_row_that_does_not_fit_is_rejected_with_its_place(self, tmp_path, read):
        workbook(tmp_path / "a.xlsx", ["n"], [1], ["many"], [3])
        found, rows = read("a.xlsx", types={"n": "int"})
        assert rows.to_pylist() == [{"n": 1}, {"n": 3}]
        assert [(one.place, one.text) for one in found.rejected] == [("a.xlsx, Data, row 3", '{"n": "many"}')]

    def test_many_workbooks_are_one_table(self, tmp_path, read):
        workbook(tmp_path / "1.xlsx", ["a", "b"], [1, "x"])
        workbook(tmp_path / "2.xlsx", ["b", "a"], ["y", 2])
        assert read("*.xlsx")[1].to_pylist() == [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}]

    @pytest.mark.parametrize(
        ("rows", "excel", "said"),
        [
            ([["a"], [1]], {"sheet": "Jan"}, "has no sheet 'Jan' (there: Data, Notes)"),
            ([["a"], [1]], {"sheet": 3}, "has no sheet '3' (there: Data, Notes)"),
            ([["a", "a"], [1, 2]], {}, "column 'a' comes more than once"),
            ([["a", None], [1, 2]], {}, "column 2 of 2 has no name: give it one, or give the cells"),
            ([["a"], [1]], {"range": "X5:Z9"}, "has no header"),
            ([["a"], [1]], {"range": "B1:C9"}, "column 1 of 2 has no name"),
        ],
    )
    def test_what_is_no_table_is_said(self, tmp_path, read, rows, excel, said):
        workbook(tmp_path / "a.xlsx", *rows)
        with pytest.raises(SourceError) as refused:
            read("a.xlsx", excel=excel)
        assert said in str(refused.value)

    def test_a_workbook_that_unpacks_to_very_much_is_refused(self, tmp_path, read):
        with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as packed:
            for number in range(6):
                packed.writestr(f"xl/{number}.xml", bytes(100 * 2**20))
        with pytest.raises(SourceError, match="more than a workbook should"):
            read("a.xlsx")


def some(format_: str, path) -> None:
    table = pa.table({"n": range(500), "t": [f"row {n}" for n in range(500)]})
    if format_ == "orc":
        orc.write_table(table, path)
    elif format_ == "avro":
        avro(path, {"n": "long", "t": "string"}, table.to_pylist())
    else:
        workbook(path, ["n", "t"], *([row["n"], row["t"]] for row in table.to_pylist()))


@pytest.mark.parametrize("name", ["a.orc", "a.avro", "a.xlsx"])
def test_a_file_that_was_cut_is_one_line(tmp_path, read, name):
    some(format_of(name), tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    assert read(name)[1].num_rows == 500
    refused = 0
    for tenth in range(10):
        (tmp_path / name).write_bytes(whole[: len(whole) * tenth // 10])
        with pytest.raises(SourceError, match=f"^{name}") as said:
            read(name)
        assert "\n" not in str(said.value)
        refused += 1
    assert refused == 10


@pytest.mark.parametrize("name", ["a.orc", "a.avro", "a.xlsx"])
def test_a_type_that_is_declared_for_no_column_is_refused(tmp_path, read, name):
    some(format_of(name), tmp_path / name)
    with pytest.raises(SourceError, match="'m'"):
        read(name, types={"m": "int"})


def test_a_zip_of_one_file_is_read(tmp_path, read):
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("folder/", "")
        packed.writestr("folder/what.csv", "a\n1\n2\n")
    assert read("a.csv.zip")[1].to_pylist() == [{"a": 1.0}, {"a": 2.0}]


def test_a_zip_of_several_files_or_damaged_is_one_line(tmp_path, read):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as several:
        several.writestr("a.csv", "a\n" + "1\n" * 9_000)
    for cut in (50, len(packed.getvalue()) - 10):
        (tmp_path / "a.csv.zip").write_bytes(packed.getvalue()[:cut])
        with pytest.raises(SourceError, match="is not a complete zip file"):
            read("a.csv.zip")
    with zipfile.ZipFile(packed, "a") as several:
        several.writestr("b.csv", "a\n1\n")
    (tmp_path / "a.csv.zip").write_bytes(packed.getvalue())
    with pytest.raises(SourceError, match=r"holds 2 files \(a\.csv, b\.csv\)"):
        read("a.csv.zip")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.xml", "XML is a tree and no table: load it into a database"),
        ("a.xls", "save the workbook as .xlsx"),
        ("a.pkl", "a pickle runs code"),
        ("a.data", f"one of {', '.join(FORMATS)}"),
    ],
)
def test_a_name_of_another_format_says_what_to_do(name, said):
    with pytest.raises(SourceError) as refused:
        format_of(name)
    assert said in str(refused.value)
