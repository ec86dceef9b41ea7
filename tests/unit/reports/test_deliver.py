"""Reports are sent over a real store and to real servers: once to each, and no receiver fails a night."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.reports.deliver import deliver, made_and_sent
from evergreen.reports.stage import write_night
from evergreen.spec.reports import Reports
from evergreen.storage import Storage
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK
from tests.unit.reports.kiosk_nights import WEEK

DAY, NEXT = DAYS[22], DAYS[23]


def publish(pipeline: Pipeline, *days: str) -> None:
    pipeline.lake.replace(Table.PARTITIONS, dict.fromkeys(days, pa.table({"sold": [1.0]})))


def asked_by(storage: Storage, *receivers: str) -> Pipeline:
    pipeline = Pipeline(KIOSK.model_copy(update={"reports": Reports(to=receivers)}), storage)
    publish(pipeline, DAY)
    return pipeline


def sent(pipeline: Pipeline, night: str) -> dict[str, list[str]]:
    """Who was sent which report by the night of a partition, by the report's name."""
    return {written.report.name: to for written, to in made_and_sent(pipeline, night)}


def connect(monkeypatch: pytest.MonkeyPatch, name: str, **values: Any) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(values))


def test_each_receiver_gets_a_report_once_and_one_that_is_down_when_it_is_back(
    storage: Storage,
    new_receiver: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    down, good = new_receiver(), new_receiver()
    down.status = 500
    for name, receiver in (("down", down), ("good", good)):
        connect(monkeypatch, name, conn_type="http", host=receiver.address)
    pipeline = asked_by(storage, "nobody", "down", "good")
    written = write_night(pipeline, DAY)
    to = pipeline.spec.reports.to
    with caplog.at_level(logging.WARNING):
        assert deliver(pipeline, written, to, DAY) == ["good"]
    said = [line.getMessage() for line in caplog.records if "did not get the report" in line.getMessage()]
    assert said[1] == f"kiosk {DAY}: 'down' did not get the report: it answered 500"
    down.status = 200
    assert deliver(pipeline, written, to, DAY) == ["down"]
    assert deliver(pipeline, written, to, DAY) == []
    assert good.subjects == [f"[report] kiosk {DAY}: 1 to do"]
    (request,) = good.requests
    assert request.body["message"] == f"{written.report.text}\n\nThe page: {storage.uri(written.key)}"
    assert (request.body["partition"], request.body["key"]) == (DAY, "report")


def test_a_mail_has_the_page_attached(
    storage: Storage, mailbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"from_email": "e@example.org", "to": "ann@example.org", "disable_ssl": True, "disable_tls": True}
    connect(monkeypatch, "mail", conn_type="smtp", host="127.0.0.1", port=mailbox.port, extra=extra)
    pipeline = asked_by(storage, "mail")
    written = write_night(pipeline, DAY)
    assert deliver(pipeline, written, ["mail"], DAY) == ["mail"]
    (mail,) = mailbox.mails
    assert mail.get_body().get_content().startswith(written.report.heading)
    (page,) = mail.iter_attachments()
    assert (page.get_filename(), page.get_content_type()) == (f"kiosk-{DAY}.html", "text/html")
    assert page.get_payload(decode=True) == written.page


def test_a_backfill_is_quiet(storage: Storage, webhook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "ops", conn_type="http", host=webhook.address)
    pipeline = asked_by(storage, "ops")
    publish(pipeline, NEXT)
    assert sent(pipeline, DAY) == {DAY: []}
    assert sent(pipeline, NEXT) == {NEXT: ["ops"]}
    assert len(webhook.requests) == 1


@pytest.fixture
def weekly(storage: Storage, webhook: Any, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """The kiosk, whose weeks alone are sent, to `lead`."""
    connect(monkeypatch, "lead", conn_type="http", host=webhook.address)
    return Pipeline(KIOSK.model_copy(update={"reports": Reports(weekly=("lead",))}), storage)


def test_the_summary_of_a_week_is_sent_once_to_its_own_receivers_and_made_again_by_a_backfill(
    weekly: Pipeline, storage: Storage, webhook: Any
) -> None:
    pipeline = weekly
    publish(pipeline, *WEEK[:3], *WEEK[4:6])
    last, name = WEEK[-1], f"week-{WEEK[0]}"
    assert sent(pipeline, WEEK[-2]) == {WEEK[-2]: []}, "the week is not told before its last night"
    publish(pipeline, last)
    assert sent(pipeline, last) == {last: [], name: ["lead"]}
    assert sent(pipeline, last) == {last: [], name: []}
    before = storage.read(f"kiosk/reports/{name}.html").body
    publish(pipeline, WEEK[3])
    assert sent(pipeline, WEEK[3]) == {WEEK[3]: [], name: []}
    assert storage.read(f"kiosk/reports/{name}.html").body != before
    (request,) = webhook.requests
    assert webhook.subjects[0].startswith(f"[report] kiosk week of {WEEK[0]}: ")
    assert (request.body["partition"], request.body["key"]) == (last, "weekly_report")


def test_a_week_whose_last_night_was_past_is_sent_by_the_newest_one(weekly: Pipeline) -> None:
    pipeline = weekly
    publish(pipeline, *WEEK, DAYS[28], DAYS[29])
    name = f"week-{WEEK[0]}"
    assert sent(pipeline, WEEK[-1]) == {WEEK[-1]: [], name: []}, "one tick has brought two more days"
    assert sent(pipeline, DAYS[28]) == {DAYS[28]: []}
    assert sent(pipeline, DAYS[29]) == {DAYS[29]: [], name: ["lead"]}
    assert sent(pipeline, DAYS[29]) == {DAYS[29]: []}
