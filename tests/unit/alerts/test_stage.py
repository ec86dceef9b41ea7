"""What is alerted on over a real lake: monitored partitions, unfinished nights, failed and late runs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from evergreen.alerts.stage import alert_on, run_failed, run_late, run_succeeded, watch
from evergreen.calendar import PartitionError
from evergreen.errors import IntegrityError, NotFoundError, RefusedError
from evergreen.lake import Table
from evergreen.monitoring.record import SCHEMA, Decision, to_table
from evergreen.pipeline import Pipeline
from evergreen.signals.record import Record
from evergreen.spec import Alerts, Gate, Labels, Limit, Receiver, parse_spec
from evergreen.stages import INGEST, SCORE, stage_named
from evergreen.storage import Storage
from evergreen.timings import timed

TESTS = Path(__file__).parents[2]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml").model_copy(update={"scoring": None})
DAY, NEXT = "2024-01-15", "2024-01-16"
VERSION = "2024-01-11-0123456789ab"


@pytest.fixture
def pipeline(storage: Storage, webhook: Any, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    monkeypatch.setenv("AIRFLOW_CONN_OPS", json.dumps({"conn_type": "http", "host": webhook.address}))
    to = (Receiver(conn_id="ops"),)
    alerts = Alerts(to=to, deadline=time(6, 30), limits={"score": timedelta(minutes=5)})
    return Pipeline(KIOSK.model_copy(update={"alerts": alerts}), storage)


def fill(pipeline: Pipeline, table: Table, *days: str) -> None:
    pipeline.lake.replace(table, dict.fromkeys(days, pa.table({"sold": [1.0]})))


def record(pipeline: Pipeline, day: str, error: float | None, **health: Any) -> None:
    found = Record(
        partition=day,
        version=VERSION,
        rows=4,
        labelled=0 if error is None else 4,
        metric="mae",
        error=error,
        promised=1.0,
        level=20.0,
        promised_level=20.0,
        drifted_share=0.0,
        drift={},
        age=4,
        history=14,
        health=health,
    )
    table = to_table(found, Decision(day, False, "no retraining: as promised", {}))
    pipeline.lake.replace(Table.MONITORING, {day: table}, SCHEMA)


def promote(pipeline: Pipeline) -> None:
    pipeline.registry.commit(VERSION, {"model.skops": b"m"})
    pipeline.registry.promote(VERSION, VERSION[:10], {})


def test_a_monitored_partition_is_told_of_and_later_its_end(pipeline: Pipeline, webhook: Any) -> None:
    fill(pipeline, Table.PARTITIONS, DAY)
    record(pipeline, DAY, 9.0, rows=4, usual_rows=100.0)
    assert [alert.key for alert in alert_on(pipeline, DAY)] == ["performance", "volume"]
    assert [alert.key for alert in alert_on(pipeline, DAY)] == ["performance", "volume"]
    fill(pipeline, Table.PARTITIONS, NEXT)
    record(pipeline, NEXT, 1.0)
    assert alert_on(pipeline, NEXT) == []
    assert webhook.subjects == [
        "[warning] kiosk: performance is worse than promised",
        "[warning] kiosk: fewer rows than usual",
        "[over] kiosk: performance is worse than promised",
    ], "without its rows nobody knows whether the volume has recovered"


def test_labels_that_come_later_are_held_against_the_hard_limit(pipeline: Pipeline, webhook: Any) -> None:
    labels = Labels(source=KIOSK.sources["sales"], delay=1)
    gate = Gate(limits={"mae": Limit(max=5)})
    late = replace(pipeline, spec=pipeline.spec.model_copy(update={"labels": labels, "gate": gate}))
    record(late, DAY, 9.0)
    record(late, NEXT, None)
    (found,) = alert_on(late, NEXT)
    assert (found.key, found.severity, found.partition) == ("limit", "critical", NEXT)
    assert found.text.startswith("2024-01-15: mae of the champion 2024-01-11-0123456789ab is 9;")
    record(late, NEXT, 1.0)
    record(late, "2024-01-17", None)
    assert alert_on(late, "2024-01-17") == []
    assert webhook.subjects == [
        "[critical] kiosk: mae is 9, beyond its limit",
        "[over] kiosk: mae is 9, beyond its limit",
    ]


def test_a_partition_that_is_not_monitored_is_said_in_one_line(pipeline: Pipeline) -> None:
    with pytest.raises(NotFoundError, match="run evergreen monitor kiosk --partition 2024-01-15"):
        alert_on(pipeline, DAY)
    record(pipeline, DAY, 1.0)
    with pytest.raises(NotFoundError, match="kiosk 2024-01-16: this partition is not monitored"):
        alert_on(pipeline, NEXT)
    with pytest.raises(PartitionError):
        alert_on(pipeline, "yesterday")


def test_the_watch_names_the_stage_that_is_missing(pipeline: Pipeline, webhook: Any) -> None:
    assert watch(pipeline, "2023-12-31") is None, "before the pipeline's start nothing is due"
    said = []
    for prepare in (
        lambda: None,
        lambda: fill(pipeline, Table.PARTITIONS, "2024-01-12"),
        lambda: (promote(pipeline), fill(pipeline, Table.PARTITIONS, DAY)),
        lambda: fill(pipeline, Table.PREDICTIONS, DAY),
    ):
        prepare()
        found = watch(pipeline, DAY)
        assert found is not None
        said.append((found.severity, found.text))
    assert said == [
        (
            "critical",
            "2024-01-15 is not published by 06:30 UTC; nothing is published: see whether kiosk_ingest is "
            "paused or failed in Airflow, or evergreen ingest kiosk --partition 2024-01-15",
        ),
        (
            "critical",
            "2024-01-15 is not published by 06:30 UTC; the newest published is 2024-01-12, 3 partitions ago: "
            "see whether kiosk_ingest is paused or failed in Airflow, or evergreen ingest kiosk --partition "
            "2024-01-15",
        ),
        (
            "critical",
            "2024-01-15 is not finished by 06:30 UTC: score is missing: see kiosk_score in Airflow, or "
            "evergreen score kiosk --partition 2024-01-15",
        ),
        (
            "critical",
            "2024-01-15 is not finished by 06:30 UTC: monitor is missing: see kiosk_monitor in Airflow, or "
            "evergreen monitor kiosk --partition 2024-01-15",
        ),
    ]
    assert webhook.subjects == ["[critical] kiosk: ingest of 2024-01-15 is missing"]
    record(pipeline, DAY, 1.0)
    alert_on(pipeline, DAY)
    assert webhook.subjects[1:] == ["[over] kiosk: monitor of 2024-01-15 is missing"]
    assert watch(pipeline, DAY) is None
    assert len(webhook.requests) == 2


def test_without_a_champion_a_published_night_is_finished(pipeline: Pipeline, webhook: Any) -> None:
    fill(pipeline, Table.PARTITIONS, DAY)
    assert watch(pipeline, DAY) is None
    assert webhook.requests == []


def test_a_night_without_data_and_one_that_was_refused(pipeline: Pipeline) -> None:
    fill(pipeline, Table.PARTITIONS, "2024-01-14")
    with timed(pipeline, INGEST, DAY):
        pass
    found = watch(pipeline, DAY)
    assert found is not None
    assert (found.severity, found.title) == ("warning", "no data for 2024-01-15")
    assert found.text == (
        "2024-01-15 was ingested and holds no rows; the newest published is 2024-01-14: see its sources"
    )
    with pytest.raises(RefusedError), timed(pipeline, INGEST, DAY):
        raise RefusedError("kiosk 2024-01-15: refused: too few rows")
    found = watch(pipeline, DAY)
    assert found is not None
    assert found.severity == "critical"
    assert "(RefusedError: kiosk 2024-01-15: refused: too few rows)" in found.text


@pytest.mark.parametrize(
    ("stage", "task", "severity"),
    [
        ("ingest", "publish", "critical"),
        ("ingest", "labels", "warning"),
        ("ingest", "publish_changed", "warning"),
        ("score", "score", "critical"),
        ("monitor", "retrain", "warning"),
        ("train", "train", "warning"),
    ],
)
def test_a_failed_task_is_told_until_it_succeeds(
    pipeline: Pipeline, webhook: Any, stage: str, task: str, severity: str
) -> None:
    run_failed(pipeline, stage_named(stage), task, DAY, "kiosk: it broke")
    run_succeeded(pipeline, stage_named(stage), task, "2024-01-14")
    run_succeeded(pipeline, stage_named(stage), "another", DAY)
    run_failed(pipeline, stage_named(stage), task, NEXT, "kiosk: it broke again")
    assert webhook.subjects == [f"[{severity}] kiosk: {stage} failed"]
    run_succeeded(pipeline, stage_named(stage), task, NEXT)
    assert webhook.subjects[1:] == [f"[over] kiosk: {stage} failed"]
    assert webhook.requests[0].body["key"] == f"failed_{stage}_{task}"


def test_a_broken_golden_promise_is_an_alert_of_its_own(pipeline: Pipeline, webhook: Any) -> None:
    with pytest.raises(IntegrityError), timed(pipeline, SCORE, DAY):
        raise IntegrityError("kiosk: version x does not predict its golden rows")
    run_failed(pipeline, SCORE, "score", DAY, "kiosk: version x does not predict its golden rows")
    assert [request.body["key"] for request in webhook.requests] == ["failed_score_score", "golden"]
    run_succeeded(pipeline, SCORE, "score", NEXT)
    assert len(webhook.requests) == 4


def test_a_late_run_is_told_until_one_is_in_time(pipeline: Pipeline, webhook: Any) -> None:
    run_late(pipeline, SCORE, DAY)
    run_succeeded(pipeline, SCORE, "score", DAY)
    assert webhook.subjects == ["[warning] kiosk: score takes too long"]
    assert "score has not ended within 0:05:00" in webhook.requests[0].body["message"]
    run_succeeded(pipeline, SCORE, "score", NEXT, in_time=True)
    assert webhook.subjects[1:] == ["[over] kiosk: score takes too long"]
