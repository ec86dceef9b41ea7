"""The partition of a run that names none: which it is, what the log says of it, and that it stays."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time
from pathlib import Path
from threading import Barrier
from typing import Any

import pyarrow as pa
import pytest

from evergreen.calendar import Grain
from evergreen.errors import NothingToDoError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.runs import Choice, choice_of, chosen, newest
from evergreen.spec import Alerts, parse_spec
from evergreen.stages import INGEST, MONITOR, SCORE, WATCH, Stage
from evergreen.storage import Storage

KIOSK = parse_spec(Path(__file__).parents[1] / "pipelines" / "kiosk" / "pipeline.yaml")
DUE = datetime(2024, 5, 6, 1, 30, tzinfo=UTC)


@pytest.fixture
def opened(storage: Storage) -> Callable[..., Pipeline]:
    """The pipeline `kiosk`, daily since 2024-01-01 at 02:00, with another description of its time."""

    def make(**changes: Any) -> Pipeline:
        return Pipeline(KIOSK.model_copy(update={"schedule": "0 2 * * *", **changes}), storage)

    return make


def fill(pipeline: Pipeline, table: Table, *keys: str) -> None:
    pipeline.lake.replace(table, dict.fromkeys(keys, pa.table({"sold": [1.0]})))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "2024-05-05: the newest day that had ended at 2024-05-06 01:30 UTC"),
        (
            {"timezone": "America/New_York"},
            "2024-05-04: the newest day that had ended at 2024-05-05 21:30 America/New_York",
        ),
        (
            {"partition": Grain.HOURLY},
            "2024-05-06T00: the newest hour that had ended at 2024-05-06 01:30 UTC",
        ),
        ({"partition": Grain.WEEKLY}, "2024-04-29: the newest week that had ended at 2024-05-06 01:30 UTC"),
        ({"partition": Grain.MONTHLY}, "2024-04: the newest month that had ended at 2024-05-06 01:30 UTC"),
        ({"schedule": "0 2 * * 1-5"}, "2024-05-05: the newest day that had ended at 2024-05-06 01:30 UTC"),
    ],
)
def test_ingest_takes_the_newest_that_has_ended(
    opened: Callable[..., Pipeline], changes: dict[str, Any], says: str
) -> None:
    assert str(newest(opened(**changes), INGEST, DUE)) == says


@pytest.mark.parametrize(
    ("schedule", "deadline", "says"),
    [
        (
            "0 1 * * *",
            time(1, 30),
            "2024-05-05: the newest day that had to be finished at 2024-05-06 01:30 UTC",
        ),
        (
            "0 2 * * *",
            time(6, 30),
            "2024-05-04: the newest day that had to be finished at 2024-05-06 01:30 UTC",
        ),
        (
            "0 2 * * 1-5",
            time(6),
            "2024-05-02: the newest day that had to be finished at 2024-05-06 01:30 UTC",
        ),
    ],
)
def test_watch_takes_the_newest_that_had_to_be_finished(
    opened: Callable[..., Pipeline], schedule: str, deadline: time, says: str
) -> None:
    pipeline = opened(schedule=schedule, alerts=Alerts(deadline=deadline))
    assert str(newest(pipeline, WATCH, DUE)) == says


def test_score_takes_the_newest_published_and_monitor_the_newest_scored(
    opened: Callable[..., Pipeline],
) -> None:
    pipeline = opened()
    fill(pipeline, Table.PARTITIONS, "2024-01-03", "2024-01-04", "2024-01-02")
    fill(pipeline, Table.PREDICTIONS, "2024-01-03", "2024-01-02")
    assert str(newest(pipeline, SCORE, DUE)) == "2024-01-04: the newest day that is published"
    assert str(newest(pipeline, MONITOR, DUE)) == "2024-01-03: the newest day that is scored"


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        (INGEST, "kiosk: there is no day yet that had ended at 2024-01-01 12:00 UTC"),
        (WATCH, "kiosk: there is no day yet that had to be finished at 2024-01-01 12:00 UTC"),
        (SCORE, "kiosk: there is no day yet that is published"),
        (MONITOR, "kiosk: there is no day yet that is scored"),
    ],
)
def test_where_there_is_none_there_is_nothing_to_do(
    opened: Callable[..., Pipeline], stage: Stage, says: str
) -> None:
    pipeline, due = opened(), datetime(2024, 1, 1, 12, tzinfo=UTC)
    with pytest.raises(NothingToDoError) as reason:
        chosen(pipeline, stage, "manual", due)
    assert str(reason.value) == says
    assert choice_of(pipeline, stage, "manual") is None, "the run may find one when it is cleared"


def test_a_run_that_is_cleared_takes_the_same_partition_again(opened: Callable[..., Pipeline]) -> None:
    pipeline = opened()
    for stage, table in ((SCORE, Table.PARTITIONS), (MONITOR, Table.PREDICTIONS)):
        fill(pipeline, table, "2024-01-03")
        first = chosen(pipeline, stage, "manual__2024/05", DUE)
        fill(pipeline, table, "2024-01-04")
        assert (
            chosen(pipeline, stage, "manual__2024/05", DUE)
            == first
            == choice_of(pipeline, stage, "manual__2024/05")
        )
        assert first.partition == "2024-01-03"
        assert chosen(pipeline, stage, "another", DUE).partition == "2024-01-04"
    assert choice_of(pipeline, INGEST, "manual__2024/05") is None, "a run is one stage's"


def test_tasks_that_ask_at_once_agree(opened: Callable[..., Pipeline]) -> None:
    pipeline, tasks = opened(), 8
    together = Barrier(tasks)

    def ask(number: int) -> Choice:
        together.wait()
        return chosen(pipeline, INGEST, "manual", datetime(2024, 5, 1 + number, 12, tzinfo=UTC))

    with ThreadPoolExecutor(tasks) as pool:
        found = set(pool.map(ask, range(tasks)))
    assert len(found) == 1
    assert found == {choice_of(pipeline, INGEST, "manual")}
