"""Two targets of one description, from PostgreSQL to PostgreSQL, beside two folders written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evergreen.connections import Connection
from evergreen.errors import SpecError
from evergreen.ingestion.stage import ingest
from evergreen.lake import Table
from evergreen.monitoring.record import monitored
from evergreen.monitoring.stage import monitor
from evergreen.pipeline import Pipeline
from evergreen.scoring.checked_model import load_checked_model
from evergreen.scoring.score import score
from evergreen.serving.served import Served
from evergreen.spec import load_spec, pipeline_names
from evergreen.storage import Storage
from evergreen.training.stage import train
from tests.integration.connected import connected

DESCRIPTION = """\
name: NAME
description: Bikes that guests and members take
owner: tests
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
sources:
  rentals: {postgres: {conn_id: rentals_db, table: rentals, time_column: at}}
features: {function: "features.py:build", look_back: 1 day}
task: regression
target: TARGET
training:
  minimum: 9 partitions
  holdout: 3 days
  metric: mae
  candidates: [{estimator: sklearn.linear_model.Ridge}]
"""
FEATURES = '''
def build(rows):
    """The warmth, and how many bikes of each kind were taken on the day before."""
    day = rows["at"].dt.normalize()
    taken = rows[["casual", "registered"]].astype(float).groupby(day).mean()
    before = taken.shift(1).reindex(day).fillna(0.0).set_axis(rows.index)
    return rows[["warmth"]].join(before.add_suffix("_before"))
'''
TARGETS = ("casual", "registered")
FIRST, DAYS, A_DAY = datetime(2024, 1, 1, tzinfo=UTC), 13, 6
REASON = {"sentence": "a test asked for it"}


def day(number: int) -> str:
    return (FIRST + timedelta(days=number)).strftime("%Y-%m-%d")


AS_OF = day(DAYS - 1)


@pytest.fixture
def database(postgres_server: Connection) -> Connection:
    """Six rentals a day; both targets follow the warmth."""
    random = np.random.default_rng(7)
    with connected(postgres_server) as opened:
        opened.execute("CREATE TABLE rentals (at timestamptz, warmth float8, casual int8, registered int8)")
        for number in range(DAYS * A_DAY):
            warmth = float(random.uniform(0, 30))
            counts = (int(2 * warmth + random.normal(0, 2)), int(90 - warmth + random.normal(0, 2)))
            at = FIRST + timedelta(hours=24 / A_DAY * number)
            opened.execute("INSERT INTO rentals VALUES (%s, %s, %s, %s)", (at, warmth, *counts))
    return postgres_server


def described(folder: Path, name: str, target: str, features: str | None = FEATURES, more: str = "") -> None:
    (folder / name).mkdir(parents=True)
    text = DESCRIPTION.replace("NAME", name).replace("TARGET", target)
    if features is None:
        text = text.replace('features: {function: "features.py:build", look_back: 1 day}\n', "")
    (folder / name / "pipeline.yaml").write_text(text + more)
    (folder / name / "features.py").write_text(features or "")
    (folder / name / "expectations.yaml").write_text(
        "- expect_column_values_to_not_be_null: {column: warmth}\n  severity: critical\n"
    )


def opened(folder: Path, storage: Storage, database: Connection) -> Iterator[Pipeline]:
    for name in pipeline_names(folder):
        yield Pipeline(load_spec(name, folder), storage, lambda conn_id: replace(database, conn_id=conn_id))


def trained(pipeline: Pipeline) -> Mapping[str, Any]:
    """Ingests all days and trains as of the last; what the version's data and error are."""
    ingest(pipeline, [day(number) for number in range(DAYS)])
    version = train(pipeline, AS_OF, REASON).version
    assert pipeline.registry.champion() == version
    lineage = json.loads(pipeline.registry.read(version, "lineage.json"))
    return {"data": lineage["digests"]["data"], "window": lineage["window"]}


def predictions(pipeline: Pipeline) -> pd.DataFrame:
    return pipeline.lake.read(Table.PREDICTIONS).to_pandas().drop(columns="version")


def served(pipeline: Pipeline, columns: list[str]) -> list[float]:
    """What a server says of the last day's rows, if they are sent with these columns."""
    version = pipeline.registry.champion()
    assert version is not None
    published = pipeline.lake.schema(Table.PARTITIONS)
    assert published is not None
    ready = Served.of(load_checked_model(pipeline, version), published)
    rows = pipeline.lake.read(Table.PARTITIONS, AS_OF, AS_OF).select(columns).to_pylist()
    read = ready.types.read([{**row, "at": row["at"].isoformat()} for row in rows])
    assert read.reasons == {}
    return list(ready.predict(read.rows, AS_OF, None).column("prediction").to_pylist())


def test_each_target_is_the_pipeline_of_a_folder_of_its_own(
    database: Connection, storage: Storage, tmp_path: Path
) -> None:
    together, by_hand = tmp_path / "together", tmp_path / "by_hand"
    described(
        together, "bikes", "[casual, registered]", more="scoring: {conn_id: rentals_db, table: taken}\n"
    )
    for target in TARGETS:
        described(by_hand, f"bikes_{target}", target)
    pairs = zip(
        opened(together, storage.child("together"), database),
        opened(by_hand, storage.child("by_hand"), database),
        strict=True,
    )
    for target, both in zip(TARGETS, pairs, strict=True):
        assert {pipeline.name for pipeline in both} == {f"bikes_{target}"}
        learnt, written = map(trained, both)
        assert learnt == written
        for pipeline in both:
            score(pipeline, AS_OF)
        ours, theirs = map(predictions, both)
        # To the rounding: a column of counts that has a gap is laid out otherwise in memory.
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-12)
        assert ours["actual"].notna().all()
        decisions = [monitor(pipeline, AS_OF) for pipeline in both]
        assert decisions[0].reason == decisions[1].reason
        told = [monitored(pipeline, AS_OF)[0] for pipeline in both]
        assert (told[0].promised, told[0].drift) == (told[1].promised, told[1].drift)
        assert told[0].error == pytest.approx(told[1].error, rel=1e-12)
        with connected(database) as session:
            table = session.execute(f"SELECT at, prediction FROM taken_{target} ORDER BY at").fetchall()
        assert [row[1] for row in table] == ours["prediction"].tolist()


def test_no_value_of_another_target_of_the_partition_reaches_a_model(
    database: Connection, storage: Storage, tmp_path: Path
) -> None:
    described(tmp_path, "bikes", "[casual, registered]", None)
    described(tmp_path, "naive", "casual", None)
    casual, registered, naive = opened(tmp_path, storage, database)
    said = {}
    for pipeline in (casual, naive):
        trained(pipeline)
        score(pipeline, AS_OF)
        said[pipeline.name] = predictions(pipeline)["prediction"].tolist()
    assert served(casual, ["at", "warmth"]) == said[casual.name]
    assert served(naive, ["at", "warmth", "registered"]) == said[naive.name]
    with connected(database) as session:
        session.execute("UPDATE rentals SET registered = registered + 1000 WHERE at >= %s", (AS_OF,))
    for pipeline in (casual, naive):
        ingest(pipeline, [AS_OF])
        score(pipeline, AS_OF)
        now = predictions(pipeline)["prediction"].tolist()
        assert (now == said[pipeline.name]) == (pipeline is casual)
    assert registered.registry.champion() is None


def test_a_feature_of_another_target_is_refused_in_training(
    database: Connection, storage: Storage, tmp_path: Path
) -> None:
    leak = "def build(rows):\n    return rows[['warmth']].assign(share=rows['registered'] / 100)\n"
    described(tmp_path, "bikes", "[casual, registered]", leak)
    casual, _ = opened(tmp_path, storage, database)
    with pytest.raises(SpecError, match=f"features share of partition {day(DAYS - 2)} differ between traini"):
        trained(casual)
