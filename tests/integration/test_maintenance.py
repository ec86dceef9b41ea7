"""Maintenance in a real S3 server: everything reads the same afterwards, also if it was killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evergreen.data_docs.store import runs_of
from evergreen.errors import IntegrityError
from evergreen.ingestion.stage import ingest
from evergreen.lake import Table
from evergreen.lake_upkeep import checkpoint
from evergreen.maintenance.kept import SETTLED
from evergreen.maintenance.plan import CHECKPOINTS, ROWS
from evergreen.maintenance.stage import maintain
from evergreen.monitoring.stage import monitor
from evergreen.pipeline import Pipeline
from evergreen.reports.stage import write_night
from evergreen.scoring.score import score
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from evergreen.training.stage import train
from tests.campaign import rounds

DESCRIPTION = """
name: shop
description: What a shop sells
owner: tests
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
sources: {{sales: {{file: {{path: "{folder}/{{partition}}.csv", time_column: at}}}}}}
task: regression
target: sold
training:
  window: 20 days
  minimum: 10 partitions
  holdout: 3 days
  metric: mae
  candidates: [{{estimator: sklearn.linear_model.Ridge}}]
maintenance: {{keep: 31 days}}
"""
DAYS = [str(datetime(2024, 1, 1).date() + timedelta(days=number)) for number in range(48)]  # noqa: DTZ001
SCORED = (DAYS[15], DAYS[46], DAYS[47])
LATER = SETTLED + timedelta(days=2)


class KilledError(Exception):
    """Stands for the end of a process."""


class Mortal(Storage):
    """A storage whose process ends before the deletion that follows so many."""

    left: list[int]

    def delete(self, keys: Any) -> None:
        if not self.left:
            raise KilledError
        self.left.pop()
        super().delete(keys)


def write(folder: Path, day: str, add: int = 0) -> None:
    lines = [
        f"{day}T{hour:02d}:00:00,{hour % 5},{3 * (hour % 5) + hour % 2 + add}" for hour in range(0, 24, 4)
    ]
    (folder / f"{day}.csv").write_text("\n".join(["at,price,sold", *lines]))


@pytest.fixture
def shop(storage: Storage, tmp_path: Path) -> Pipeline:
    """Days of which some were replaced before and after trainings, with a checkpoint of each commit."""
    rows = tmp_path / "rows"
    rows.mkdir()
    for day in DAYS:
        write(rows, day)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "pipeline.yaml").write_text(DESCRIPTION.format(folder=rows))
    pipeline = Pipeline(parse_spec(tmp_path / "shop" / "pipeline.yaml"), storage)

    def publish(days: list[str], add: int = 0) -> None:
        for day in days:
            write(rows, day, add)
        ingest(pipeline, days)
        checkpoint(storage, "shop", Table.PARTITIONS)

    publish(DAYS[:14])
    publish(DAYS[2:4], 1)
    publish(DAYS[2:4], 2)  # nobody has trained on what was there before
    train(pipeline, DAYS[14], {})
    publish(DAYS[12:14], 3)  # the first version has trained on what was there before
    publish(DAYS[14:])
    train(pipeline, DAYS[46], {})
    publish(DAYS[44:45], 4)
    for day in SCORED:
        score(pipeline, day)
        monitor(pipeline, day)
        write_night(pipeline, day)
    return pipeline


def opened(pipeline: Pipeline) -> Pipeline:
    """As another process opens it."""
    return Pipeline(pipeline.spec, pipeline.storage)


def read(pipeline: Pipeline) -> Iterator[Any]:
    """All that readers find: tables now and as versions were trained on them, versions, champions, pages."""
    pipeline = opened(pipeline)
    lake, registry = pipeline.lake, pipeline.registry
    for table in Table:
        yield {} if lake.find(table) is None else lake.read(table).to_pydict()
    yield lake.records(lake.partitions())
    for version in registry.versions():
        lineage = json.loads(registry.read(version, "lineage.json"))
        then = lineage["table_versions"][Table.PARTITIONS]
        yield version, lake.read(Table.PARTITIONS, version=then).to_pydict()
    yield registry.history(), [registry.champion(day) for day in DAYS]
    yield registry.verify(), lake.problems()
    yield [write_night(pipeline, day).page for day in SCORED[1:]]
    yield [run for run in runs_of(pipeline) if run.partition >= DAYS[16]]


def keys_of(pipeline: Pipeline) -> set[str]:
    return {key.partition("/")[2] for key in pipeline.storage.list("shop/")}


def test_everything_reads_the_same_also_if_it_is_killed(shop: Pipeline) -> None:
    before, stored = [*read(shop)], keys_of(shop)
    assert before[-3] == ([], [])
    moment = datetime.now(UTC) + LATER
    assert set(maintain(opened(shop)).plan.keys) == set()  # nothing of it is old enough
    # Another pipeline has looked up what was first published of two days.
    others = "other/models/2024-01-02-aa/lineage.json"
    shop.storage.stage(others, json.dumps({"table_versions": {"partitions": 99, "prices": 1}}).encode())
    told = maintain(opened(shop), dry_run=True, moment=moment).plan
    assert {part.name for part in told.parts} == {"data_docs", "reports", "timings", CHECKPOINTS, ROWS}
    assert [entry.key.split("/")[2] for entry in told.found[ROWS]] == [
        f"partition={day}" for day in DAYS[2:4]
    ]
    assert "timings/train/2024-01-15.json" not in told.keys  # the version's
    assert stored <= keys_of(shop)

    for last in rounds((0, 2, 9), range(9)):
        try:
            maintain(replace(shop, storage=dying(shop.storage, last)), moment=moment)
            break
        except KilledError:
            assert [*read(shop)] == before
    assert last > 0
    assert [*read(shop)] == before
    assert not set(told.keys) & keys_of(shop)
    pages = {f"data_docs/{run.href}" for run in runs_of(opened(shop))}
    assert pages == {key for key in keys_of(shop) if key.startswith("data_docs/2")}
    assert maintain(opened(shop), moment=moment).parts == []

    shop.storage.stage(others, b"{}")
    with pytest.raises(IntegrityError, match=r"other: .*lineage\.json cannot be read.*models verify other"):
        maintain(opened(shop), moment=moment)
    shop.storage.delete([others])
    assert len(maintain(opened(shop), moment=moment).plan.found[ROWS]) == 2
    assert [*read(shop)] == before


def dying(storage: Storage, last: int) -> Storage:
    mortal = Mortal(storage.bucket, storage.prefix, storage.credentials)
    mortal.left = [0] * last
    return mortal
