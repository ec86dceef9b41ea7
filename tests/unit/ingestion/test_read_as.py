"""Columns of formats without types keep the type that they are published in, in whatever order days come."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from evergreen.errors import RefusedError
from evergreen.ingestion.read_as import types_by_source
from evergreen.ingestion.stage import ingest, publish_staged, stage_source, stage_validated
from evergreen.lake import Lake, Table
from evergreen.pipeline import Pipeline
from evergreen.spec import parse_spec
from tests.unit.sources.files.test_formats import workbook

NIGHT = datetime(2011, 1, 4, 2, tzinfo=UTC)
DAYS = ["2011-01-01", "2011-01-02", "2011-01-03", "2011-01-04"]

PIPELINE = """
name: shops
description: Shops and where they are
owner: sales-team
schedule: "@daily"
start: 2011-01-01
partition: daily
sources: {sources}
{more}
validation: {{max_quarantined: 100%, schema_change: {policy}}}
key: [id]
task: regression
target: sold
training: {{metric: mae, candidates: [{{estimator: sklearn.linear_model.Ridge}}]}}
"""

Rows = Sequence[dict[str, Any]]


def timed(path: Path, rows: Rows) -> Rows:
    """The rows with their event time, on the day that is the file's name."""
    return [{"at": f"{path.stem}T05:00:00Z", **row} for row in rows] if path.stem in DAYS else rows


def write_csv(path: Path, rows: Rows) -> None:
    rows = timed(path, rows)
    lines = [",".join("" if value is None else str(value) for value in row.values()) for row in rows]
    path.write_text("\n".join([",".join(rows[0]), *lines]) + "\n")


def write_json(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in timed(path, rows)))


def write_excel(path: Path, rows: Rows) -> None:
    rows = timed(path, rows)
    workbook(path, list(rows[0]), *(list(row.values()) for row in rows))


WRITERS: dict[str, Callable[[Path, Rows], None]] = {
    "csv": write_csv,
    "jsonl": write_json,
    "xlsx": write_excel,
}


@pytest.fixture
def pipeline(tmp_path, storage):
    def pipeline(sources: str, policy: str = "refuse", more: str = "", name: str = "shops") -> Pipeline:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        text = PIPELINE.format(sources=sources, policy=policy, more=more)
        (folder / "pipeline.yaml").write_text(text.replace("name: shops", f"name: {name}"))
        (folder / "expectations.yaml").write_text(
            "- expect_column_values_to_not_be_null: {column: id}\n  severity: warning\n"
        )
        return Pipeline(parse_spec(folder / "pipeline.yaml"), storage)

    return pipeline


def in_shell(pipeline: Pipeline, days: Sequence[str]) -> None:
    ingest(pipeline, days)


def in_tasks(pipeline: Pipeline, days: Sequence[str]) -> None:
    run = "-".join(days)
    for source in pipeline.spec.sources:
        stage_source(pipeline, days, run, source)
    stage_validated(pipeline, days, run, NIGHT)
    publish_staged(pipeline, days, run)


def column(pipeline: Pipeline, name: str, day: str | None = None) -> list[Any]:
    return pipeline.lake.read(Table.PARTITIONS, day, day).column(name).to_pylist()


def reasons(pipeline: Pipeline, day: str) -> list[str]:
    if not pipeline.lake.partitions(Table.QUARANTINE):
        return []
    return pipeline.lake.read(Table.QUARANTINE, day, day).column("reason").to_pylist()


@pytest.mark.parametrize("run", [in_shell, in_tasks])
@pytest.mark.parametrize("suffix", WRITERS)
def test_codes_that_look_like_numbers_on_some_days_in_both_orders(pipeline, suffix, run):
    """The case of `90210` on one day and `01234` on another."""
    source = f'{{a: {{file: {{path: "{{partition}}.{suffix}", time_column: at}}}}}}'
    code: Any = "01234"
    plain: Any = "90210" if suffix == "csv" else 90210
    for name, (first, second) in {"plain": (plain, code), "zeros": (code, plain)}.items():
        shops = pipeline(source, name=f"{name}_first")
        for day, value in zip(DAYS, (first, second), strict=False):
            WRITERS[suffix](
                shops.spec.folder / f"{day}.{suffix}", [{"id": 1, "zip": value}, {"id": 2, "zip": None}]
            )
        run(shops, DAYS[:1])
        run(shops, DAYS[1:2])
        kind = shops.lake.schema(Table.PARTITIONS).field("zip").type
        if name == "zeros":
            assert kind == pa.string()
            assert column(shops, "zip") == ["01234", None, "90210", None]
            assert reasons(shops, DAYS[1]) == []
        else:
            assert kind == pa.float64()
            assert column(shops, "zip") == [90210.0, None, None]
            (reason,) = reasons(shops, DAYS[1])
            assert "'zip': '01234' is no float without loss, and the column is published as float" in reason
            assert reason.endswith("or declare it float under the source's 'types'")


@pytest.mark.parametrize("run", [in_shell, in_tasks])
def test_in_the_first_run_of_all_the_earliest_partition_with_values_decides(pipeline, run):
    for name, values in {"plain": ("90210", "01234", "7"), "zeros": ("01234", "90210", "7")}.items():
        shops = pipeline('{a: {file: {path: "{partition}.csv", time_column: at}}}', name=f"{name}_first")
        for day, value in zip(DAYS, values, strict=False):
            write_csv(shops.spec.folder / f"{day}.csv", [{"id": 1, "zip": value}, {"id": 2, "zip": "1"}])
        run(shops, DAYS[:3])
        plain = name == "plain"
        assert column(shops, "zip", DAYS[2]) == ([7.0, 1.0] if plain else ["7", "1"])
        assert len(reasons(shops, DAYS[1])) == plain


@pytest.mark.parametrize("run", [in_shell, in_tasks])
def test_a_column_without_values_on_the_first_day_is_decided_by_the_next(pipeline, run):
    shops = pipeline('{a: {file: {path: "{partition}.csv", time_column: at}}}')
    for day, value in zip(DAYS, (None, "01234", "90210"), strict=False):
        write_csv(shops.spec.folder / f"{day}.csv", [{"id": 1, "zip": value}])
    run(shops, DAYS[:3])
    assert shops.lake.partitions() == DAYS[:3]
    assert column(shops, "zip") == [None, "01234", "90210"]


def test_every_order_of_days_gives_one_table_for_each_first_day(pipeline):
    values = {DAYS[0]: "12", DAYS[1]: "012", DAYS[2]: "2011-01-04"}
    tables: dict[str, set[str]] = {}
    for number, order in enumerate(permutations(values)):
        shops = pipeline('{a: {file: {path: "{partition}.csv", time_column: at}}}', name=f"order_{number}")
        for day, value in values.items():
            write_csv(shops.spec.folder / f"{day}.csv", [{"id": 1, "zip": value}, {"id": 2, "zip": None}])
        for day in order:
            ingest(shops, [day])
        quarantined = {day: len(reasons(shops, day)) for day in values}
        found = shops.lake.read(Table.PARTITIONS).to_pylist()
        tables.setdefault(values[order[0]], set()).add(repr((found, quarantined)))
    assert {first: len(there) for first, there in tables.items()} == dict.fromkeys(values.values(), 1)


PUBLISHED = pa.schema(
    {
        "text": pa.string(),
        "float": pa.float64(),
        "boolean": pa.bool_(),
        "time": pa.timestamp("us", "UTC"),
        "date": pa.date32(),
        "decimal": pa.decimal128(6, 2),
        "int": pa.int64(),
    }
)
NOON = datetime(2011, 1, 1, 12, tzinfo=UTC)
# By published type: what fits, as CSV and as JSON, and what does not, with what its reason says.
FITTING: dict[str, list[tuple[Any, Any]]] = {
    "text": [("7", "7"), ("true", "true"), ("2011-01-01", "2011-01-01"), ("north", "north")],
    "float": [("7", 7.0), ("1e3", 1000.0), ("-0.5", -0.5)],
    "boolean": [("true", True), ("FALSE", False)],
    "time": [("2011-01-01T12:00:00Z", NOON), ("2011-01-01T13:00:00+01:00", NOON)],
    "date": [("2011-01-01", NOON.date())],
    "decimal": [("7", 7), ("7.25", 7.25)],
    "int": [("7", 7), ("7.0", 7)],
}
MISFITS: dict[str, list[tuple[str, str]]] = {
    "text": [],
    "float": [
        ("north", "is no float, and the column is published as float"),
        ("01234", "is no float without loss, and the column is published as float"),
        ("9007199254740993", "is no float without loss"),
        ("true", "is no float, and"),
    ],
    "boolean": [("1", "is no boolean, and the column is published as boolean"), ("yes", "is no boolean")],
    "time": [
        ("7", "is no time, and the column is published as time"),
        ("2011-13-01T00:00:00Z", "is no time"),
    ],
    "date": [("7", "is no date, and the column is published as date"), ("2011-02-30", "is no date")],
    "decimal": [
        ("7.255", "is no decimal(6, 2), and the column is published as decimal(6, 2)"),
        ("007.25", "is no decimal(6, 2) without loss"),
    ],
    "int": [("7.5", "is no int, and the column is published as int"), ("007", "is no int without loss")],
}


def publish(pipeline: Pipeline, folder: Path) -> None:
    """The first day, declared, so that every type is published."""
    write_csv(
        folder / f"{DAYS[0]}.csv",
        [{"id": 1, "text": "a", "float": 1, "boolean": "true", "time": "2011-01-01T00:00Z",
          "date": "2011-01-01", "decimal": 1, "int": 1}],
    )  # fmt: skip
    ingest(pipeline, DAYS[:1])


DECLARED = 'types: {date: date, decimal: "decimal(6, 2)", int: int, text: text}'


@pytest.mark.parametrize("suffix", WRITERS)
def test_each_published_type_is_what_its_column_is_read_as(pipeline, suffix):
    assert set(FITTING) == set(MISFITS) == set(PUBLISHED.names)
    first = pipeline(f'{{a: {{file: {{path: "{{partition}}.csv", time_column: at, {DECLARED}}}}}}}')
    publish(first, first.spec.folder)
    assert first.lake.schema(Table.PARTITIONS).remove(0).remove(0) == PUBLISHED
    shops = pipeline(f'{{a: {{file: {{path: "{{partition}}.{suffix}", time_column: at}}}}}}')
    nothing = dict.fromkeys(PUBLISHED.names)
    for kind in PUBLISHED.names:
        values = [text for text, _ in FITTING[kind]] + [text for text, _ in MISFITS[kind]]
        rows = [{"id": number, **nothing, kind: text} for number, text in enumerate(values)]
        WRITERS[suffix](shops.spec.folder / f"{DAYS[1]}.{suffix}", rows)
        ingest(shops, DAYS[1:2])
        assert column(shops, kind, DAYS[1]) == [value for _, value in FITTING[kind]], kind
        found = reasons(shops, DAYS[1])
        assert len(found) == len(MISFITS[kind])
        for (text, why), reason in zip(MISFITS[kind], found, strict=True):
            assert f"'{kind}': '{text}' {why}" in reason
            assert "under the source's 'types'" in reason
            assert "\n" not in reason


def test_numbers_of_json_in_a_column_of_text_and_exact_ones_in_one_of_whole_numbers(pipeline):
    shops = pipeline(f'{{a: {{file: {{path: "{{partition}}.csv", time_column: at, {DECLARED}}}}}}}')
    publish(shops, shops.spec.folder)
    shops = pipeline('{a: {file: {path: "{partition}.jsonl", time_column: at}}}')
    nothing = dict.fromkeys(PUBLISHED.names)
    rows = [
        {**nothing, "id": 1, "text": 7, "int": 7.0, "decimal": 7.25, "float": 7},
        {**nothing, "id": 2, "text": {"a": [1.5]}, "time": "2011-01-01T12:00:00+00:00"},
    ]
    bad = [
        '{"at": "2011-01-02T05:00Z", "id": 3, "int": 9007199254740993.0}',
        '{"at": "2011-01-02T05:00Z", "id": 4, "int": 7.5}',
        '{"at": "2011-01-02T05:00Z", "id": 5, "float": 9007199254740993}',
        '{"at": "2011-01-02T05:00Z", "id": 6, "time": "2011-01-01T12:00:00"}',
        '{"at": "2011-01-02T05:00Z", "id": 7, "float": 1e999}',
        '{"at": "2011-01-02T05:00Z", "id": 8, "boolean": 1}',
    ]
    path = shops.spec.folder / f"{DAYS[1]}.jsonl"
    write_json(path, rows)
    path.write_text(path.read_text() + "\n".join(bad) + "\n")
    ingest(shops, DAYS[1:2])
    assert column(shops, "text", DAYS[1]) == ["7", '{"a": [1.5]}']
    assert column(shops, "int", DAYS[1]) == [7, None]
    assert column(shops, "time", DAYS[1]) == [None, NOON]
    found = reasons(shops, DAYS[1])
    assert [reason.partition(", and the column")[0] for reason in found] == [
        "field 'int': '9007199254740993.0' is no int",
        "field 'int': '7.5' is no int",
        "field 'float': '9007199254740993' is no float without loss",
        "field 'time': '2011-01-01T12:00:00' is a time without an offset",
        "field 'float': '1E+999' is no float",
        "field 'boolean': '1' is no boolean",
    ]


def test_a_field_of_json_whose_values_are_all_rejected_is_a_column_of_nulls(pipeline):
    shops = pipeline('{a: {file: {path: "{partition}.jsonl", time_column: at}}}')
    write_json(shops.spec.folder / f"{DAYS[0]}.jsonl", [{"id": 1, "size": 7}])
    write_json(shops.spec.folder / f"{DAYS[1]}.jsonl", [{"id": 1, "size": "big"}, {"id": 2}])
    ingest(shops, DAYS[:2])
    assert column(shops, "size", DAYS[1]) == [None]
    assert len(reasons(shops, DAYS[1])) == 1
    write_json(shops.spec.folder / f"{DAYS[2]}.jsonl", [{"id": 1}])
    with pytest.raises(RefusedError, match="column 'size' is missing"):
        ingest(shops, DAYS[2:3])


def test_only_the_columns_of_a_source_are_read_by_published_types(pipeline):
    """Right keys are left out of the table, and read as what they are compared with."""
    sources = '{a: {file: {path: "{partition}.csv", time_column: at}}, b: {file: {path: "places.csv"}}}'
    join = "join: [{left: a, right: b, on: {zip: code}, expect: many_to_one}]"
    shops = pipeline(sources, more=join)
    write_csv(shops.spec.folder / f"{DAYS[0]}.csv", [{"id": 1, "zip": "01234", "code": 5}])
    write_csv(shops.spec.folder / "places.csv", [{"code": "01234", "city": "Bern"}])
    in_tasks(shops, DAYS[:1])
    write_csv(shops.spec.folder / f"{DAYS[1]}.csv", [{"id": 1, "zip": "90210", "code": 5}])
    write_csv(shops.spec.folder / "places.csv", [{"code": "90210", "city": "7"}])
    in_tasks(shops, DAYS[1:2])
    assert [column(shops, name, DAYS[1]) for name in ("zip", "code", "city")] == [["90210"], [5.0], ["7"]]
    found = types_by_source(shops.spec, shops.lake.schema(Table.PARTITIONS))
    assert found["a"] == {"id": "float", "zip": "text", "code": "float", "city": "text"}
    assert found["b"]["code"] == "text"


def test_where_types_may_evolve_whole_numbers_and_days_do_so_still(pipeline):
    source = '{{a: {{file: {{path: "{{partition}}.csv", time_column: at{}}}}}}}'
    declared = pipeline(source.format(", types: {n: int, d: date}"), "evolve")
    write_csv(declared.spec.folder / f"{DAYS[0]}.csv", [{"id": 1, "n": 7, "d": "2011-01-01", "zip": "01234"}])
    ingest(declared, DAYS[:1])
    shops = pipeline(source.format(""), "evolve")
    late = {"id": 1, "n": 7.5, "d": "2011-01-01T12:00Z", "zip": "90210"}
    write_csv(shops.spec.folder / f"{DAYS[1]}.csv", [late])
    ingest(shops, DAYS[1:2])
    assert shops.lake.schema(Table.PARTITIONS).types[1:] == [
        pa.float64(), pa.float64(), pa.timestamp("us", "UTC"), pa.string(),
    ]  # fmt: skip
    assert column(shops, "n") == [7.0, 7.5]
    assert column(shops, "zip") == ["01234", "90210"]


def test_the_column_of_the_event_time_holds_days_and_times(pipeline):
    shops = pipeline('{a: {file: {path: "{partition}.csv", time_column: at}}}')
    for day, at in zip(DAYS, ("2011-01-01T05:00:00Z", "2011-01-02"), strict=False):
        write_csv(shops.spec.folder / f"{day}.csv", [{"id": 1, "at": at}])
    ingest(shops, DAYS[:2])
    assert column(shops, "at") == [datetime(2011, 1, 1, 5, tzinfo=UTC), datetime(2011, 1, 2, tzinfo=UTC)]


def test_the_published_types_are_looked_up_once_a_run(pipeline, monkeypatch):
    shops = pipeline('{a: {file: {path: "{partition}.csv", time_column: at}}}')
    for day in DAYS:
        write_csv(shops.spec.folder / f"{day}.csv", [{"id": 1, "zip": "7"}])
    ingest(shops, DAYS[:1])
    calls: list[Table] = []
    asked = Lake.schema
    monkeypatch.setattr(Lake, "schema", lambda lake, table: calls.append(table) or asked(lake, table))
    counts = []
    for days in (DAYS[1:2], DAYS[1:4]):
        calls.clear()
        stage_source(shops, days, "run", "a")
        counts.append(len(calls))
    assert counts == [1, 1]
