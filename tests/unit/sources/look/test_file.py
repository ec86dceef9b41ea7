"""A look at files of every kind: dialect, types with the rows that forced them, candidates, and doubts."""

from __future__ import annotations

import sqlite3
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import write_deltalake
from pyiceberg.catalog.sql import SqlCatalog

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.look import look_at
from evergreen.sources import Source
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.read import read_file
from evergreen.sources.files.text_files import read_csv_files
from evergreen.sources.look.found import Forced, Target
from evergreen.sources.text.dialect import CsvDialect
from evergreen.storage import Storage
from tests.unit.sources.look.conftest import LookAt

GERMAN = "Datum;Filiale;Umsatz;Kunden\r\n31.12.2023;Köln;1.234,50;17\r\n01.01.2024;München;987,00;\r\n"


def described(text: str, kind: str = "file") -> dict[str, object]:
    (source,) = yaml.safe_load(text)["sources"].values()
    return dict(source[kind])


def test_a_time_in_several_columns_is_described_by_them(look: LookAt) -> None:
    rows = [f"{n},2013,3,{n},{n % 24},{n * 1.5}" for n in range(1, 29)]
    found = look("\n".join(["No,year,month,day,hour,PM10", *rows, ""]))
    assert described(found.yaml)["time_column"] == {"from": ["year", "month", "day", "hour"]}
    without = look("\n".join(["No,year,month,dy,hour,PM10", *rows, ""]))
    assert "time_column" not in described(without.yaml)
    (source,) = yaml.safe_load(found.yaml)["sources"].values()
    assert Source.model_validate(source).time_column == "time"


def test_an_export_of_excel_in_europe(look: LookAt, tmp_path: Path) -> None:
    found = look(GERMAN, "Umsätze 2023.csv", "cp1252")
    assert found.unsure == ()
    assert (found.rows, found.is_whole, found.rejected) == (2, True, 0)
    assert found.encoding == "cp1252"
    assert found.dialect == {"encoding": "cp1252", "delimiter": ";", "decimal": ",", "thousands": "."}
    assert [(one.name, one.type, one.nulls, one.distinct) for one in found.columns] == [
        ("Datum", "date %d.%m.%Y", 0, 2),
        ("Filiale", "text", 0, 2),
        ("Umsatz", "float", 0, 2),
        ("Kunden", "float", 1, 1),
    ]
    assert found.columns[1].forced == Forced("line 2", "Köln")
    assert found.told["thousands"] == "'1.234,50' of column 'Umsatz'"
    assert found.times == ["Datum"]
    assert found.targets == [Target("Umsatz", "regression")]
    assert yaml.safe_load(found.yaml) == {
        "sources": {
            "ums_tze_2023": {
                "file": {
                    "path": str(tmp_path / "Umsätze 2023.csv"),
                    "csv": found.dialect,
                    "types": {"Datum": "date %d.%m.%Y"},
                    "time_column": "Datum",
                }
            }
        }
    }


@pytest.mark.parametrize(
    ("content", "dialect", "types"),
    [
        ("n\n1\n2\n", {}, ["float"]),
        ("1\n2\n3\n", {"columns": ["column_1"]}, ["float"]),
        ("a\tb\n1\t2\n", {"delimiter": "\t"}, ["float", "float"]),
        ("a;b\n1,5;2\n", {"delimiter": ";", "decimal": ","}, ["float", "float"]),
        ("a,b\n'x,y',1\n'z',2\n", {"quote": "'"}, ["text", "float"]),
        ('a|b\n5" pipe|1\n"x" y|2\n', {"delimiter": "|", "quote": None}, ["text", "float"]),
        ("a,b\nNA,1\n2,-\n", {"nulls": ["-", "NA"]}, ["float", "float"]),
        ("a,b\n1,2\n#x\n3,4\n", {"comment": "#"}, ["float", "float"]),
        ("# made by x\na,b\n1,2\n", {"comment": "#"}, ["float", "float"]),
        ("#a,b\n1,2\n", {}, ["float", "float"]),
        ("Report\n\na,b,c\n1,2,3\n", {"skip": 2}, ["float"] * 3),
        ("Report,,\n,,\na,b,c\n1,2,3\n", {"skip": 2}, ["float"] * 3),
        ("sep=;\nReport\na;b\n1;2\n", {"delimiter": ";", "skip": 2}, ["float"] * 2),
        ("a,a,,partition\n1,2,3,4\n", {"columns": ["a", "a_2", "column_3", "partition_2"], "skip": 1},
         ["float"] * 4),
        ('"a\nb",a,A\n1,2,3\n', {"columns": ["ab", "a", "A_2"], "skip": 2}, ["float"] * 3),
        ("2024-01-31T05:00:00Z|21.5\n2024-01-31T06:00:00Z|22\n",
         {"delimiter": "|", "columns": ["column_1", "column_2"]}, ["time", "float"]),
        ("x,day\n1,31-Jan-2024\n2,01-May-2024\n", {}, ["float", "date %d-%b-%Y"]),
        ("x,at\n1,1/31/2024 3:04 PM\n2,2/1/2024 11:04 AM\n", {}, ["float", "time %m/%d/%Y %I:%M %p"]),
        ("x,at\n1,31.01.2024 05:06:07\n2,01.02.2024 05:06:07\n", {}, ["float", "time %d.%m.%Y %H:%M:%S"]),
        ("x,at\n1,2024/01/31\n2,2024/02/01\n", {}, ["float", "date %Y/%m/%d"]),
        ("x,at\n1,20240131T0506\n2,20240201T0506\n", {}, ["float", "time %Y%m%dT%H%M"]),
        ("x,a,b\n1,01/02/2024,31/01/2024\n2,02/02/2024,31/01/2024\n", {},
         ["float", "date %d/%m/%Y", "date %d/%m/%Y"]),
        ("ok,n\ntrue,1\nfalse,2\n", {}, ["boolean", "float"]),
        ("zip,n\n01234,1\n90210,2\n", {}, ["text", "float"]),
        ("zip,n\n01234,1\nNA,2\n", {"nulls": ["NA"]}, ["text", "float"]),
        ("card,n\n4111111111111111,1\n4111111111111112,2\n", {}, ["text", "float"]),
        ("n,v\n123456789012345,0\n1,0.25\n", {}, ["float", "float"]),
        ("ip,n\n192.168.100.200,1\n192.168.100.201,2\n", {}, ["text", "float"]),
        ("v;n\n1.234,5;1\n12;2\n", {"delimiter": ";", "decimal": ",", "thousands": "."}, ["float"] * 2),
        ("v;n\n1 234,5;1\n12;2\n", {"delimiter": ";", "decimal": ",", "thousands": " "}, ["float"] * 2),
        ("v,n\n1'234.5,1\n12,2\n", {"thousands": "'"}, ["float"] * 2),
    ],
)  # fmt: skip
def test_what_is_sure_is_told_without_a_doubt(
    look: LookAt, content: str, dialect: dict[str, object], types: list[str]
) -> None:
    found = look(content)
    assert found.unsure == () or all(doubt.startswith("time_column") for doubt in found.unsure)
    assert dict(found.dialect) == dialect
    assert [one.type for one in found.columns] == types
    assert found.rejected == 0


@pytest.mark.parametrize(
    ("content", "doubt", "types"),
    [
        ("a;b\nx;y\n", "header: the first line is supposed to name the columns, but all columns are text",
         ["text", "text"]),
        ("id,name\n", "header: the first line is supposed to name the columns, but it is the only line",
         ["nothing but nulls"] * 2),
        ("region,2019,2020\nnorth,5.2,6\n", "header: years like '2019' are taken for names of columns",
         ["text", "float", "float"]),
        ("x,d\n1,01/02/2024\n2,03/04/2024\n",
         "types: column 'd' ('01/02/2024') is date %d/%m/%Y or date %m/%d/%Y, and no value tells which: it "
         "is left as text", ["float", "text"]),
        ("x,d\n1,01.02.24\n2,03.04.24\n",
         "types: column 'd' ('01.02.24') is date %d.%m.%y or date %m.%d.%y or date %y.%m.%d, and no value "
         "tells which: it is left as text", ["float", "text"]),
        ("x;n\n1;1.234\n2;5.678\n",
         "numbers: '1.234' of column 'n' is 1.234 (decimal '.') or 1234.0 (decimal ',', thousands '.'), and "
         "no value tells which", ["float", "float"]),
        ("x;n\n1;1,234\n2;5,678\n",
         "numbers: '1,234' of column 'n' is 1.234 (decimal ',') or 1234.0 (decimal '.', thousands ','), and "
         "no value tells which", ["float", "text"]),
        ("x;n;m\n1;1,5;1.5\n2;2,5;2.5\n",
         "numbers: '1.5' of column 'm' and '1,5' of column 'n' are written in different forms, so one is "
         "left as text",
         ["float", "text", "float"]),
        ("x,phone\n1,555 123 456\n2,555 123 457\n",
         "numbers: '555 123 456' of column 'phone' may be a code, and no number with ' '",
         ["float", "float"]),
        ("x,d\n1,20240131\n2,20240201\n", "types: column 'd' is of numbers, it may be date %Y%m%d",
         ["float", "float"]),
        ("x,land\n1,NA\n2,DE\n",
         "nulls: 'NA' in the column of text 'land' (1 times) is text unless 'nulls' names it",
         ["float", "text"]),
        ("x,land\n1,NA\nNA,DE\n",
         "nulls: 'NA' in the column of text 'land' (1 times) is null, as elsewhere", ["float", "text"]),
        ("a;b\nr1;1;2\nr2;3;4\n", "skip: line 1 ('a;b') is above the table, which may be wrong",
         ["text", "float", "float"]),
        ("a,b\n1,2\n#3,4\n5,6\n",
         "comment: 1 of the first 4 records begin with '#' like line 3, and are read as values",
         ["text", "float"]),
        ("a,b\n1,2\n# x\n#3,4\n5,6\n", "comment: '#3,4' has all fields, and is left out as a comment",
         ["float", "float"]),
        ("a,b\n1,'x'\n3,y\n5,6\n", "quote: ' stands around 1 field, and is left out", ["float", "text"]),
        ("a,b\n1,'x'\n3,\"y\"\n5,6\n", "quote: ' stands around 1 field, and is read as text",
         ["float", "text"]),
        ("w,v\nhello,1\nworld\n", "records: 1 of the first 3 cannot be read: line 3 has 1 field instead of 2",
         ["text", "float"]),
        ("word\nhello, you\nworld\n", "delimiter: ',' divides the lines unevenly: read as one column",
         ["text"]),
    ],
)  # fmt: skip
def test_what_is_not_sure_is_said(look: LookAt, content: str, doubt: str, types: list[str]) -> None:
    found = look(content)
    assert doubt in found.unsure
    assert f"# unsure: {doubt}\n" in found.yaml
    assert [one.type for one in found.columns] == types


@pytest.mark.parametrize(
    ("text", "encoding", "told", "doubt"),
    [
        ("ort,n\nKöln,1\n", "utf-8", "utf-8", None),
        ("ort,n\nKöln,1\n", "utf-8-sig", "utf-8", None),
        ("ort,n\nKöln,1\n", "utf-16", "utf-16", None),
        ("ort,n\nKöln,1\n", "utf-16-be", "utf-16-be", None),
        ("ort,n\nKöln,1\n", "utf-32-le", "utf-32-le", None),
        ("ort,n\nKöln,1\n", "cp1252", "cp1252", None),
        ("ort,n\n„Köln“ 5 €,1\n", "cp1252", "cp1252", None),
        ("lieu,n\nOrléans très,1\n", "cp1252", "cp1252",
         "encoding: cp1252 ('Orléans', 'très') is taken, it may be cp1250 ('trčs') or cp1257 ('trčs')"),
        ("miasto,n\nŁódź,1\n", "cp1250", "cp1252", "it may be cp1250 ('Łódź')"),
        ("число,n\nдождь,1\nПетербург,2\n", "cp1251", "cp1251", "cp1251 ("),  # noqa: RUF001
        ("都市,n\n東京と大阪,1\n", "shift_jis", "cp932", "cp932 ('都市', '東京と大阪') is likely"),
    ],
)  # fmt: skip
def test_encodings(look: LookAt, text: str, encoding: str, told: str, doubt: str | None) -> None:
    found = look(text, encoding=encoding)
    assert found.encoding == told
    said = [one for one in found.unsure if one.startswith("encoding")]
    assert len(said) == (doubt is not None)
    assert all(doubt in one for one in said if doubt)


def test_the_first_value_that_makes_a_column_text_is_named(look: LookAt) -> None:
    lines = ["id,amount,day"] + [f"{at},{at}.5,{at % 28 + 1:02}.01.2024" for at in range(1, 3001)]
    lines[2000] = '2000,unknown,"so\non"'
    lines[2900] = "2900,later,never"
    found = look("\n".join(lines) + "\n")
    forced = {one.name: one.forced for one in found.columns}
    assert forced == {
        "id": None,
        "amount": Forced("line 2001", "unknown", "number", 2998),
        "day": Forced("line 2001", "so on", "date %d.%m.%Y", 2998),
    }


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", b"", "a.csv is not a CSV file with a header: it is empty: fix the file"),
        ("a.csv", b"\n\n", "a.csv is not a CSV file with a header: it is empty: fix the file"),
        ("a.csv", bytes(range(256)), "a.csv is not a CSV file with a header: line 1 has a NUL byte"),
        ("a.jsonl", b"[1, 2]\n", "1 of 1 records cannot be read, a.jsonl:1 is no JSON object"),
        ("a.parquet", b"PAR1", "a.parquet is not a complete Parquet file"),
        ("a.xml", b"<a/>", "a.xml is of a format that is not read (.xml): XML is a tree and no table"),
        ("a.csv.gz", b"x", "a.csv.gz is not a complete gzip file"),
    ],
)
def test_what_is_no_table_is_one_line(look: LookAt, name: str, content: bytes, line: str) -> None:
    with pytest.raises(SourceError) as raised:
        look(content, name)
    assert line in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_an_absent_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.csv cannot be read \(No such file or directory\)"):
        look_at(str(tmp_path / "none.csv"))
    with pytest.raises(SourceError, match=r"no file matches .*\*\.csv"):
        look_at(str(tmp_path / "*.csv"))


def test_a_part_of_a_file_is_looked_at_and_said(look: LookAt) -> None:
    content = "id,v\n" + "".join(f"{at},{at / 2}\n" for at in range(5_000_000 // 10))
    found = look(content, most=1000)
    assert (found.rows, found.is_whole) == (1000, False)
    assert found.keys == [("id",), ("v",)][:1]
    assert look(content[:40], most=1000).is_whole


def test_a_name_that_tells_no_format_is_tried_as_csv(look: LookAt) -> None:
    assert described(look("a\tb\n1\t2\n", "a.tsv").yaml)["format"] == "csv"


def test_many_files_are_one_source(tmp_path: Path) -> None:
    for day in (1, 2):
        (tmp_path / f"{day}.csv").write_text(f"day;v\n0{day}.12.2023;1,5\n3{day - 1}.12.2023;2,5\n")
    found = look_at(str(tmp_path / "*.csv"))
    assert found.rows == 4
    assert [one.type for one in found.columns] == ["date %d.%m.%Y", "float"]


def test_a_file_s_name_may_look_like_a_pattern(look: LookAt, tmp_path: Path) -> None:
    found = look("a,b\n1,2\n", "a[1]*.csv")
    assert found.rows == 1
    source = Source.model_validate({"file": described(found.yaml)})
    assert read_file(source.config, tmp_path, None, "snapshot", None).table().num_rows == 1  # type: ignore[arg-type]
    with pytest.raises(SourceError, match=r"path: braces may contain only"):
        look("a,b\n1,2\n", "a{b}.csv")


def test_an_address_is_looked_at(configured: Storage) -> None:
    configured.create("in/sales.csv", b"id;v\n1;1,5\n2;2,5\n")
    address = configured.uri("in/sales.csv")
    found = look_at(address)
    assert described(found.yaml) == {"path": address, "csv": {"delimiter": ";", "decimal": ","}}
    with pytest.raises(SourceError, match="does not exist"):
        look_at(address.replace("sales", "none"))
    with pytest.raises(SourceError, match=r"path: must be a path on disk, or begin with one of s3://"):
        look_at("ftp://host/a.csv")
    with pytest.raises(SourceError, match="az:// needs 'conn_id'"):
        look_at("az://container/a.csv")
    with pytest.raises(SourceError, match="connection 'lake_keys' is not defined"):
        look_at("gs://bucket/a.csv", connection="lake_keys")


def test_a_delta_table_is_looked_at(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "orders", pa.table({"id": [1, 2], "day": ["2024-01-31", "2024-02-01"]}))
    found = look_at(str(tmp_path / "orders"))
    assert [one.type for one in found.columns] == ["int", "date"]
    assert described(found.yaml, "delta") == {
        "path": str(tmp_path / "orders"),
        "types": {"day": "date"},
        "time_column": "day",
    }


def test_a_table_of_iceberg_is_looked_at(tmp_path: Path) -> None:
    options = {"uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}"}
    catalog = SqlCatalog("lake", **options)
    catalog.create_namespace("shop")
    rows = pa.table({"id": [1, 2], "day": ["31.01.2024", "01.02.2024"]})
    table = catalog.create_table("shop.orders", rows.schema)
    table.append(rows)
    connection = Connection("lake", "iceberg", extra=options)
    file = table.metadata_location.removeprefix("file://")
    for found, place in (
        (
            look_at("lake", "shop.orders", connect=lambda _: connection),
            {"conn_id": "lake", "table": "shop.orders"},
        ),
        (look_at(file), {"path": file}),
    ):
        assert described(found.yaml, "iceberg") == {
            **place,
            "types": {"day": "date %d.%m.%Y"},
            "time_column": "day",
        }


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": [1, 2, 3],
            "day": [date(2024, 1, 1), date(2024, 1, 2), None],
            "at": [datetime(2024, 1, at) for at in (1, 2, 3)],  # noqa: DTZ001
            "text": ["31.12.2023", "01.02.2024", None],
            "code": ["1", "2", "3"],
            "tags": [["a"], [], None],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    found = look_at(str(tmp_path / "a.parquet"))
    types = {one.name: one.type for one in found.columns}
    assert types == {
        "id": "int",
        "day": "date",
        "at": "time",
        "text": "date %d.%m.%Y",
        "code": "text",
        "tags": "list of text",
    }
    assert (found.encoding, found.times) == (None, ["at"])
    assert found.unsure == ("types: column 'code' is text of numbers, it may be float",)
    assert found.columns[4].forced is None


@pytest.mark.parametrize("first", ["01234", "4111111111111111", " 007 "])
def test_codes_of_digits_are_declared_as_text(look: LookAt, tmp_path: Path, first: str) -> None:
    """So a first day of which no code begins with a zero makes no numbers of them."""
    found = look(f"customer,n\n90210,1\n{first},2\n")
    types = described(found.yaml)["types"]
    assert types == {"customer": "text"}
    assert found.columns[0].forced == Forced("line 3", first, "number", 0)
    assert found.keys == [("customer",), ("n",)]
    (tmp_path / "first.csv").write_text("customer,n\n90210,1\n90211,2\n")
    day = read_csv_files([LocatedFile("first.csv", tmp_path / "first.csv")], CsvDialect(), types)
    assert [value for batch in day for value in batch.column("customer").to_pylist()] == ["90210", "90211"]
    sent = look(f'{{"customer": "90210"}}\n{{"customer": "{first}"}}\n', "a.jsonl")
    assert described(sent.yaml)["types"] == {"customer": "text"}
    assert sent.unsure == ()


@pytest.mark.parametrize("texts", [["0", "10"], ["0.5", "01,5"], ["01a", "02b"], ["-01", "02"], ["12", "13"]])
def test_other_digits_are_left_to_the_values(look: LookAt, texts: list[str]) -> None:
    found = look("\n".join(["value;n", *(f"{text};1" for text in texts)]) + "\n")
    assert "types" not in described(found.yaml)


def test_a_workbook(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (
        ["id", "day", "text", "v"],
        [1, date(2024, 1, 31), "31.01.2024", 1.5],
        [2, date(2024, 2, 1), "01.02.2024", None],
    ):
        book.active.append(row)  # type: ignore[union-attr]
    book.save(tmp_path / "a.xlsx")
    found = look_at(str(tmp_path / "a.xlsx"))
    assert [one.type for one in found.columns] == ["float", "date", "date %d.%m.%Y", "float"]
    assert (found.times, found.unsure) == (["day", "text"], ("time_column: day or text",))


def test_json_lines(look: LookAt) -> None:
    records = ['{"a": 1, "d": "31.12.2023", "at": "2024-01-01T00:00:00Z"}', '{"a": null, "d": "01.02.2024"}']
    found = look("\n".join(records), "a.jsonl")
    assert [(one.name, one.type, one.nulls) for one in found.columns] == [
        ("a", "float", 1),
        ("d", "date %d.%m.%Y", 0),
        ("at", "time", 1),
    ]
    assert described(found.yaml)["time_column"] == "d"


def test_a_table_of_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE orders (id INTEGER, line INTEGER, at TEXT, amount REAL, state TEXT)")
        rows = [
            (at // 2, at % 2, f"2024-01-{at // 2 + 1:02} 05:00:00", at / 4, "ab"[at % 2]) for at in range(20)
        ]
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", rows)
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", f'{{"conn_type": "sqlite", "host": "{tmp_path}/shop.db"}}')
    found = look_at("shop_db", "orders")
    assert [one.type for one in found.columns] == ["int", "int", "time", "float", "text"]
    assert found.keys[0] == ("id", "line")
    assert found.times == ["at"]
    assert found.targets[0] == Target("state", "classification")
    assert described(found.yaml, "sql") == {
        "conn_id": "shop_db",
        "table": "orders",
        "types": {"at": "time"},
        "time_column": "at",
    }
    assert look_at("shop_db", "orders", 5).is_whole is False
    with pytest.raises(SourceError, match="no table 'order'"):
        look_at("shop_db", "order")
    with pytest.raises(SourceError, match=r"'shop_db' is a connection: .*\(there: orders\)"):
        look_at("shop_db")
    with pytest.raises(SourceError, match="connection 'nowhere' is not defined"):
        look_at("nowhere", "orders")
