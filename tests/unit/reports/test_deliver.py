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
from evergreen.reports.deliver import deliver
from evergreen.reports.stage import write_night
from evergreen.spec.reports import Reports
from evergreen.storage import Storage
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK

DAY, NEXT = DAYS[22], DAYS[23]


def publish(pipeline: Pipeline, *days: str) -> None:
    pipeline.lake.replace(Table.PARTITIONS, dict.fromkeys(days, pa.table({"sold": [1.0]})))


def asked_by(storage: Storage, *receivers: str) -> Pipeline:
    pipeline = Pipeline(KIOSK.model_copy(update={"reports": Reports(to=receivers)}), storage)
    publish(pipeline, DAY)
    return pipeline


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
    with caplog.at_level(logging.WARNING):
        assert deliver(pipeline, written) == ["good"]
    said = [line.getMessage() for line in caplog.records if "did not get the report" in line.getMessage()]
    assert said[1] == f"kiosk {DAY}: 'down' did not get the report: it answered 500"
    down.status = 200
    assert deliver(pipeline, written) == ["down"]
    assert deliver(pipeline, written) == []
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
    assert deliver(pipeline, written) == ["mail"]
    (mail,) = mailbox.mails
    assert mail.get_body().get_content().startswith(written.report.heading)
    (page,) = mail.iter_attachments()
    assert (page.get_filename(), page.get_content_type()) == (f"kiosk-{DAY}.html", "text/html")
    assert page.get_payload(decode=True) == written.page


def test_a_backfill_is_quiet(storage: Storage, webhook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "ops", conn_type="http", host=webhook.address)
    pipeline = asked_by(storage, "ops")
    publish(pipeline, NEXT)
    assert deliver(pipeline, write_night(pipeline, DAY)) == []
    assert deliver(pipeline, write_night(pipeline, NEXT)) == ["ops"]
    assert len(webhook.requests) == 1
