"""What a prediction of each task holds, in lake and PostgreSQL, is what the page on predictions says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.connections import Connection
from evergreen.lake import PARTITION, Table
from evergreen.monitoring.record import monitored
from evergreen.monitoring.stage import monitor
from evergreen.pipeline import Pipeline
from evergreen.scoring.score import score
from evergreen.spec import Spec, Task
from evergreen.storage import Storage
from evergreen.training.stage import train
from tests.conftest import ROOT
from tests.integration.connected import connected
from tests.unit.sales import CLUSTERS, DAILY, SNAPSHOT, blobs, daily_rows, make_spec, people

__all__ = ["blobs", "daily_rows", "make_spec", "people"]

PAGE = ROOT / "docs" / "how-to" / "predictions.md"
LINK = re.compile(r"\[(.*?)\]\(.*?\)")
SCORING = "scoring: {conn_id: sales_db, table: sales_predictions}\n"
SETS = "sets: [90%, 99%]\n" + SCORING
REASON = {"sentence": "a test asked for it"}
IN_POSTGRES = {
    "int64": "bigint",
    "double": "double precision",
    "string": "text",
    "bool": "boolean",
    "timestamp[us, tz=UTC]": "timestamp with time zone",
}


@dataclass(frozen=True)
class Row:
    """A row of the page's table."""

    column: str
    of: str
    lake: str
    postgres: str


@dataclass(frozen=True)
class Published:
    """A pipeline that was trained and scored, with what it published: name to type, and the rows."""

    pipeline: Pipeline
    classes: list[Any]
    lake: dict[str, str]
    postgres: dict[str, str]
    rows: pd.DataFrame
    in_postgres: pd.DataFrame


Run = Callable[[Spec, pd.DataFrame, str], Published]


@pytest.fixture
def run(storage: Storage, postgres_server: Connection) -> Run:
    def go(spec: Spec, rows: pd.DataFrame, partition: str) -> Published:
        pipeline = Pipeline(spec, storage, lambda conn_id: replace(postgres_server, conn_id=conn_id))
        parts = {str(key): _arrow(part.drop(columns=[PARTITION])) for key, part in rows.groupby(PARTITION)}
        pipeline.lake.replace(Table.PARTITIONS, parts)
        trained = train(pipeline, None if partition == "snapshot" else partition, REASON)
        assert trained.promoted, trained.verdict.sentence
        score(pipeline, partition)
        reference = json.loads(pipeline.registry.read(trained.version, "reference.json"))
        found = pipeline.lake.read(Table.PREDICTIONS)
        types, there = _in_postgres(postgres_server)
        lake = {field.name: _shown(field.type) for field in found.schema}
        return Published(pipeline, reference["model_classes"], lake, types, found.to_pandas(), there)

    return go


def _arrow(rows: pd.DataFrame) -> pa.Table:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    kinds = [pa.string() if pa.types.is_large_string(field.type) else field.type for field in table.schema]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))


def _in_postgres(server: Connection) -> tuple[dict[str, str], pd.DataFrame]:
    with connected(server) as session:
        types = session.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attnum > 0 "
            "AND attrelid = 'sales_predictions'::regclass"
        ).fetchall()
        rows = session.execute("SELECT * FROM sales_predictions")
        names = [column.name for column in rows.description or ()]
        return dict(types), pd.DataFrame(rows.fetchall(), columns=names)


def _shown(kind: pa.DataType) -> str:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list<{_shown(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{field.name}: {_shown(field.type)}' for field in kind)}>"
    return str(kind).removeprefix("large_").removesuffix("_view")


def _table() -> Iterator[Row]:
    lines = PAGE.read_text().split("## What a prediction holds", 1)[1].split("\n## ", 1)[0].splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")
    ]
    for column, of, _, lake, postgres in cells[2:]:
        yield Row(column.replace("`", ""), LINK.sub(r"\1", of), lake.strip("`"), postgres.strip("`"))


def _holds(of: str, spec: Spec, classes: int) -> bool:
    """Whether a pipeline is one that the second cell of a row speaks of."""
    task, _, key = re.fullmatch(r"(.*?)( ?with `(\w+)`)?", of).groups()  # type: ignore[union-attr]
    asked = (
        spec.intervals is not None and spec.intervals.adapt if key == "adapt" else key and getattr(spec, key)
    )
    if key and not asked:
        return False
    of_classes = {"two": classes == 2, "more": classes > 2}
    if count := re.fullmatch(r"classification of (two|more) classes", task):
        return spec.task is Task.CLASSIFICATION and of_classes[count[1]]
    return task in ("", "every task") or spec.task is Task(task)


def _promised(published: Published, own: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The page's columns with their types, in lake and PostgreSQL; `own` are the types of keys and target."""
    spec = published.pipeline.spec
    lake: dict[str, str] = {}
    postgres: dict[str, str] = {}
    for row in _table():
        if not _holds(row.of, spec, len(published.classes)):
            continue
        for column in spec.keys if row.column == "the columns of key" else row.column.split(", "):
            target = own.get(str(spec.target))
            kind = {
                "as published": own.get(column),
                "as the target": target,
                "list of the target's type": f"list<{target}>",
            }
            assert column not in lake, f"the page says twice what '{column}' is"
            lake[column] = kind.get(row.lake, row.lake) or "a type that the test does not name"
            found = target if row.postgres == "array of the target's type" else kind.get(row.postgres)
            array = "[]" if row.postgres == "array of the target's type" else ""
            postgres[column] = IN_POSTGRES[found] + array if found else row.postgres
    return lake, postgres


def _check(published: Published, own: dict[str, str]) -> None:
    lake, postgres = _promised(published, own)
    assert published.lake == lake
    assert published.postgres == postgres
    for column in lake:
        print(f"{column} | {lake[column]} | {postgres[column]}")
    keys = list(published.pipeline.spec.keys)
    one, other = (frame.sort_values(keys) for frame in (published.rows, published.in_postgres))
    for column in set(lake) - {"contributions"}:
        assert [_plain(v) for v in one[column]] == [_plain(v) for v in other[column]], column


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def test_a_regression(run: Run, make_spec, daily_rows: pd.DataFrame) -> None:
    published = run(make_spec(DAILY + SCORING), daily_rows, "2024-02-09")
    _check(published, {"at": "timestamp[us, tz=UTC]"})
    assert (published.rows["prediction"] - published.rows["actual"]).abs().mean() < 5  # the noise is 2


def test_a_regression_with_intervals(run: Run, make_spec, daily_rows: pd.DataFrame) -> None:
    # A level of 99% needs 99 rows in the folds after the first, so there are more of them.
    text = DAILY.replace("folds: 3", "folds: 6") + "intervals: {levels: [90%, 99%], adapt: true}\n" + SCORING
    published = run(make_spec(text), daily_rows, "2024-02-09")
    _check(published, {"at": "timestamp[us, tz=UTC]"})
    rows = published.rows
    for one, other in pairwise(["lower_99", "lower", "prediction", "upper", "upper_99"]):
        assert (rows[one] <= rows[other]).all(), (one, other)
    monitor(published.pipeline, "2024-02-09")
    record, _ = monitored(published.pipeline, "2024-02-09")
    counted = [
        (level, len(rows), int(rows["actual"].between(rows[low], rows[high]).sum()))
        for level, low, high in ((0.9, "lower", "upper"), (0.99, "lower_99", "upper_99"))
    ]
    assert [(one["level"], one["rows"], one["covered"]) for one in record.coverage] == counted


def test_two_classes_with_the_positive_named(run: Run, make_spec, people: pd.DataFrame) -> None:
    more = 'positive: "no"\nexplain: 2\n' + SETS
    published = run(make_spec(SNAPSHOT + more), pd.concat([people, _others(people)]), "snapshot")
    _check_sets(published)
    _check(published, {"person": "int64", "loyal": "string"})
    rows, probability = published.rows, published.rows["probability"].to_numpy()
    assert published.classes == ["no", "yes"]
    assert (np.where(probability > 0.5, "no", "yes") == rows["prediction"]).all()
    # The two features are all that there are, so base and contributions are the whole log-odds.
    told = [
        base + sum(one["value"] for one in row)
        for base, row in zip(rows["base"], rows["contributions"], strict=True)
    ]
    assert told == pytest.approx(np.log(probability / (1 - probability)), abs=1e-6)
    in_postgres = published.in_postgres.set_index("person")["contributions"]
    for person, row in rows.set_index("person")["contributions"].items():
        assert in_postgres[person] == list(row)


def test_three_classes(run: Run, make_spec, people: pd.DataFrame) -> None:
    busy = (people["visits"] > people["visits"].median()) & (people["loyal"] == "no")
    people = people.assign(loyal=people["loyal"].mask(busy, "maybe"))
    published = run(
        make_spec(SNAPSHOT.replace("trials: 5", "trials: 1") + SETS),
        pd.concat([people, _others(people)]),
        "snapshot",
    )
    _check(published, {"person": "int64", "loyal": "string"})
    _check_sets(published)
    probabilities = np.vstack(published.rows["probabilities"].to_list())
    assert published.classes == ["maybe", "no", "yes"]
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert (np.array(published.classes)[probabilities.argmax(axis=1)] == published.rows["prediction"]).all()


@pytest.mark.parametrize(("kind", "classes"), [("int64", [1, 2, 3]), ("bool", [False, True])])
def test_sets_have_the_type_of_the_target(
    run: Run, make_spec, people: pd.DataFrame, kind: str, classes: list[Any]
) -> None:
    spent = people["spent"] + 9 * people["visits"]
    people = people.assign(loyal=pd.qcut(spent, len(classes), labels=False).map(dict(enumerate(classes))))
    published = run(
        make_spec(SNAPSHOT.replace("trials: 5", "trials: 1") + SETS),
        pd.concat([people, _others(people)]),
        "snapshot",
    )
    _check(published, {"person": "int64", "loyal": kind})
    _check_sets(published)


def _others(people: pd.DataFrame) -> pd.DataFrame:
    """As many people again: a level of 99% needs 99 rows in the folds."""
    return people.assign(person=people["person"] + len(people), spent=people["spent"] + 1)


def _check_sets(published: Published) -> None:
    rows = published.rows
    for main, higher in zip(rows["set"], rows["set_99"], strict=True):
        assert 0 < len(main) <= len(higher)
        assert [name for name in published.classes if name in set(higher)] == list(higher)
        assert set(main) <= set(higher)
    held = [actual in row for actual, row in zip(rows["actual"], rows["set_99"], strict=True)]
    assert np.mean(held) > 0.9


def test_a_clustering(run: Run, make_spec, blobs: pd.DataFrame) -> None:
    published = run(make_spec(CLUSTERS + SCORING), blobs, "snapshot")
    _check(published, {"person": "int64"})
    assert published.rows["prediction"].value_counts().tolist() == [30, 30, 30]
