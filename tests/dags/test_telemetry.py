"""Figures in Airflow's metrics: what they are of a task's outcome, and that they arrive."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk._shared.observability.metrics.otel_logger import flush_otel_metrics
from airflow.sdk.observability.metrics.otel_logger import get_otel_logger
from airflow.sdk.observability.stats import Stats
from opentelemetry import metrics

from evergreen.alerts.alert import Alert
from evergreen.evaluation.verdict import Outcome, Verdict
from evergreen.ingestion.publish import Published
from evergreen.monitoring.record import Decision
from evergreen.monitoring.stage import Night
from evergreen.scoring.score import Scored
from evergreen.signals.record import Record
from evergreen.spec import Spec, parse_spec
from evergreen.stages import INGEST, MONITOR
from evergreen.training.stage import Committed
from evergreen.validation.report import ValidationReport
from evergreen_airflow.figures import (
    FIGURES,
    PREFIX,
    ROWS,
    Figure,
    Told,
    of_alerts,
    of_night,
    of_partition,
    of_published,
    of_scored,
    of_training,
)
from evergreen_airflow.telemetry import tell
from tests.otlp_receiver import Receiver
from tests.unit.sales import DAILY, FEATURES, SNAPSHOT

DOCS = Path(__file__).resolve().parents[2] / "docs"
DAY = "2024-01-11"
RUN: Any = {"dag_run": SimpleNamespace(run_after=datetime(2024, 2, 1, 3, tzinfo=UTC))}
REPORT = ValidationReport(DAY, 12, 1, ())
RECORD = Record(
    partition=DAY,
    version="2024-01-09-abcd",
    rows=11,
    labelled=11,
    metric="mae",
    error=5.0,
    promised=4.0,
    level=None,
    promised_level=None,
    drifted_share=0.5,
    drift={},
    age=3,
    history=10,
)
DECISION = Decision(DAY, True, "retrain: it drifts", {})


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Spec]:
    """A daily pipeline by its metric, and a snapshot."""
    texts = {metric: DAILY.replace("metric: mae", f"metric: {metric}") for metric in ("mae", "r2", "rmse")}
    found = {}
    for name, text in {**texts, "snapshot": SNAPSHOT}.items():
        file = tmp_path_factory.mktemp(name) / "sales" / "pipeline.yaml"
        file.parent.mkdir()
        file.write_text(text)
        (file.parent / "features.py").write_text(FEATURES)
        found[name] = parse_spec(file)
    return found


def values(told: Iterator[Told]) -> dict[tuple[str, ...], float | None]:
    return {(one.figure.name.removeprefix(PREFIX), *one.tags.values()): one.value for one in told}


def night(*filled: Record, **changes: Any) -> Night:
    return Night(Record(**{**vars(RECORD), **changes}), DECISION, filled)


def test_a_partition_has_its_end_and_length_and_a_snapshot_that_of_its_run(specs: dict[str, Spec]) -> None:
    assert values(of_partition(specs["mae"], INGEST, DAY, RUN)) == {
        ("partition_end", "ingest"): datetime(2024, 1, 12, tzinfo=UTC).timestamp(),
        ("partition_length", "ingest"): 86400,
    }
    assert values(of_partition(specs["snapshot"], MONITOR, "snapshot", RUN)) == {
        ("partition_end", "monitor"): datetime(2024, 2, 1, 3, tzinfo=UTC).timestamp(),
        ("partition_length", "monitor"): 0,
    }


@pytest.mark.parametrize(("rows", "quarantined", "share"), [(9, 3, 0.25), (0, 3, 1), (9, 0, 0), (0, 0, None)])
def test_the_share_in_quarantine_is_of_all_rows(rows: int, quarantined: int, share: float | None) -> None:
    found = values(of_published(Published(DAY, rows, quarantined, True, REPORT)))
    assert found == {("rows",): rows, ("quarantine_share",): share}


def test_the_figures_of_a_night(specs: dict[str, Spec]) -> None:
    assert values(of_night(specs["mae"], night())) == {
        ("drift_share",): 0.5,
        ("champion_age",): 3,
        ("retrains",): 1,
        ("error", "mae"): 5,
        ("promised", "mae"): 4,
        ("worse_than_promised", "mae"): 0.25,
    }


def test_worse_is_worse_whichever_way_a_metric_goes(specs: dict[str, Spec]) -> None:
    known = {"metric": "r2", "error": 0.7, "promised": 0.8}
    found = values(of_night(specs["r2"], night(**known)))
    assert found["worse_than_promised", "r2"] == pytest.approx(0.5)


def test_late_labels_tell_the_newest_night_that_got_them(specs: dict[str, Spec]) -> None:
    older, newer = (Record(**{**vars(RECORD), "partition": f"2024-01-0{n}", "error": n}) for n in (3, 4))
    unlabelled: dict[str, Any] = {"labelled": 0, "error": None, "promised": 4.0}
    assert values(of_night(specs["mae"], night(newer, older, **unlabelled)))["error", "mae"] == 4
    assert not any("mae" in key for key in values(of_night(specs["mae"], night(**unlabelled))))
    assert not any("mae" in key for key in values(of_night(specs["rmse"], night())))


def test_alerts_are_counted_by_severity_and_a_training_is_told_by_its_verdict() -> None:
    alerts = [Alert(key, "warning", "", "", "sales", DAY) for key in ("drift", "rows")]
    assert values(of_alerts(alerts)) == {
        ("alerts", "info"): 0,
        ("alerts", "warning"): 2,
        ("alerts", "critical"): 0,
    }
    committed = Committed("2024-01-12-abcd", Verdict(Outcome.WORSE, ()), 61.5)
    assert values(of_training(committed)) == {("training_seconds", "worse"): 61.5}


def everything(specs: dict[str, Spec]) -> Iterator[Told]:
    yield from of_partition(specs["mae"], INGEST, DAY, RUN)
    yield from of_published(Published(DAY, 11, 1, True, REPORT))
    yield from of_scored(Scored(DAY, RECORD.version, 11, True))
    yield from of_night(specs["mae"], night())
    yield from of_alerts([])
    yield from of_training(Committed(RECORD.version, Verdict(Outcome.PROMOTED, ()), 61.5))


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Airflow's metrics are sent to it, as in a task of an Airflow with `[metrics] otel_on`."""
    with Receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address)
        Stats.initialize(factory=get_otel_logger, export_legacy_names=True)
        yield receiver
        metrics.get_meter_provider().shutdown()
        atexit.unregister(flush_otel_metrics)
        Stats.initialize(factory=NoStatsLogger, export_legacy_names=True)


def test_a_receiver_gets_every_figure_with_its_tags(receiver: Receiver, specs: dict[str, Spec]) -> None:
    tell("sales", everything(specs), [Told(ROWS, None), Told(ROWS, float("nan"))])
    flush_otel_metrics()
    told = [one for one in everything(specs) if one.value is not None]
    assert receiver.gauges == {
        (f"airflow.{one.figure.name}", tuple(sorted({"pipeline": "sales", **one.tags}.items()))): one.value
        for one in told
    }
    assert {one.figure for one in told} == set(FIGURES)
    assert all(set(one.tags) == set(one.figure.tags) for one in told)
    assert receiver.strange == []


def test_metrics_that_fail_are_a_warning(specs: dict[str, Spec], caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> NoStatsLogger:
        raise OSError("no such host: statsd")

    Stats.initialize(factory=broken, export_legacy_names=True)
    with caplog.at_level(logging.WARNING, "evergreen_airflow.telemetry"):
        tell("sales", everything(specs))
    Stats.initialize(factory=NoStatsLogger, export_legacy_names=True)
    assert caplog.messages == [
        "sales: Airflow's metrics do not have the figures of this task: no such host: statsd"
    ]


def test_the_docs_have_every_figure_as_the_registry_does() -> None:
    text = (DOCS / "how-to" / "telemetry.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(f"| `{PREFIX}")]
    found = [[part.strip(" |") for part in row] for row in rows]
    assert found == [
        [
            f"`{one.name}`",
            f"`{in_prometheus(one)}`",
            *(one.unit, one.meaning, one.task, one.taken_from),
            *([", ".join(f"`{tag}`" for tag in one.tags)] if one.tags else []),
        ]
        for one in FIGURES
    ]


def in_prometheus(figure: Figure) -> str:
    """The name of a gauge without a unit as OpenTelemetry's rules translate it."""
    return f"airflow_{figure.name}".replace(".", "_")
