"""Telling receivers over a real store and real servers: once, by whoever comes first, and after any crash."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from evergreen.alerts import claim
from evergreen.alerts.alert import Alert
from evergreen.alerts.book import Book, Claim, Entry, read_book, write_book
from evergreen.alerts.delivery import notify
from evergreen.connections import from_environment
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.spec import Alerts, Receiver, Spec, parse_spec
from evergreen.storage import Storage

TESTS = Path(__file__).parents[2]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml").model_copy(update={"scoring": None})
DAY = "2024-01-05"

Setup = Callable[..., Pipeline]


def alert(key: str = "drift", severity: str = "warning", partition: str = DAY) -> Alert:
    return Alert(key, severity, f"{key} is there", "see the data", "kiosk", partition)  # type: ignore[arg-type]


def spec_with(**receivers: str) -> Spec:
    to = tuple(Receiver(conn_id=name, at_least=least) for name, least in receivers.items())  # type: ignore[arg-type]
    return KIOSK.model_copy(update={"alerts": Alerts(to=to)})


def connect(monkeypatch: pytest.MonkeyPatch, name: str, address: str) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps({"conn_type": "http", "host": address}))


@pytest.fixture
def pipeline(storage: Storage, webhook: Any, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline that tells the webhook of warnings."""
    connect(monkeypatch, "ops", webhook.address)
    return Pipeline(spec_with(ops="warning"), storage)


def publish(pipeline: Pipeline, *days: str) -> None:
    rows = pa.table({"sold": [1.0]})
    pipeline.lake.replace(Table.PARTITIONS, dict.fromkeys(days, rows))


def test_an_open_alert_is_sent_once_and_its_end_once(pipeline: Pipeline, webhook: Any) -> None:
    for _ in range(3):
        notify(pipeline, [alert()], DAY, {"drift"})
    assert webhook.subjects == ["[warning] kiosk: drift is there"]
    notify(pipeline, [alert(severity="critical")], DAY, {"drift"})
    for _ in range(2):
        notify(pipeline, [], DAY, {"drift"})
    assert webhook.subjects[1:] == ["[critical] kiosk: drift is there", "[over] kiosk: drift is there"]
    assert read_book(pipeline.storage, "kiosk")[0] == Book()


def test_mail_slack_and_webhook_each_get_theirs(
    storage: Storage, mailbox: Any, new_receiver: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    slack, hook = new_receiver(), new_receiver()
    mail = {"from_email": "e@example.org", "to": "ann@example.org", "disable_ssl": True, "disable_tls": True}
    connections = {
        "mail": {"conn_type": "smtp", "host": "127.0.0.1", "port": mailbox.port, "extra": mail},
        "chat": {"conn_type": "slackwebhook", "host": f"{slack.address}/services", "password": "T1/B2/x3"},
        "hook": {"conn_type": "http", "host": hook.address},
    }
    for name, values in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(values))
    pipeline = Pipeline(spec_with(mail="info", chat="critical", hook="warning"), storage)
    notify(pipeline, [alert("a", "info"), alert("b", "warning"), alert("c", "critical")], DAY)
    assert [mail["Subject"] for mail in mailbox.mails] == [
        "[info] kiosk: a is there",
        "[warning] kiosk: b is there",
        "[critical] kiosk: c is there",
    ]
    assert [r.body["attachments"][0]["title"] for r in slack.requests] == ["[critical] kiosk: c is there"]
    assert [r.body["key"] for r in hook.requests] == ["b", "c"]


def test_an_older_partition_is_quiet(pipeline: Pipeline, webhook: Any) -> None:
    publish(pipeline, "2024-01-04", DAY)
    assert notify(pipeline, [alert(partition="2024-01-04")], "2024-01-04") == []
    assert webhook.requests == []
    assert read_book(pipeline.storage, "kiosk") == (Book(), None)
    notify(pipeline, [alert()], DAY)
    notify(pipeline, [alert("night", "critical", "2024-01-06")], "2024-01-06")
    assert len(webhook.requests) == 2


def test_a_receiver_that_is_down_keeps_nobody_else_from_theirs_and_is_tried_again(
    storage: Storage,
    new_receiver: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    down, good = new_receiver(), new_receiver()
    down.status = 500
    for name, receiver in (("down", down), ("good", good)):
        connect(monkeypatch, name, receiver.address)
    pipeline = Pipeline(spec_with(nobody="info", down="info", good="info"), storage)
    found = [alert("a"), alert("b")]
    assert [(d.conn_id, d.key) for d in notify(pipeline, found, DAY)] == [("good", "a"), ("good", "b")]
    assert len(down.requests) == 1, "one that is down is not waited for twice in a run"
    warnings = [r.getMessage() for r in caplog.records if "was not notified" in r.getMessage()]
    assert warnings == [
        "kiosk: 'nobody' was not notified of a, the next run tries again: connection 'nobody' is not "
        "defined: set AIRFLOW_CONN_NOBODY or add it in Airflow",
        "kiosk: 'down' was not notified of a, the next run tries again: it answered 500",
    ]
    down.status = 200
    connect(monkeypatch, "nobody", down.address)
    assert len(notify(pipeline, found, DAY)) == 4
    assert (len(down.requests), len(good.requests)) == (5, 2)
    down.status = 500
    notify(pipeline, [], DAY, {"a", "b"})
    down.status = 200
    notify(pipeline, [], DAY)
    assert notify(pipeline, [], DAY) == []
    assert sorted(r.body["title"] for r in good.requests[2:]) == [
        "[over] kiosk: a is there",
        "[over] kiosk: b is there",
    ]


def test_two_senders_at_once_send_once(
    pipeline: Pipeline, webhook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "_LOOK", 0.01)
    both = threading.Barrier(2)
    alerts = [alert("a"), alert("b", "critical")]

    def sender() -> None:
        both.wait()
        notify(pipeline, alerts, DAY)

    for round_ in range(5):
        threads = [threading.Thread(target=sender) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(webhook.subjects[2 * round_ :]) == sorted(
            ["[warning] kiosk: a is there", "[critical] kiosk: b is there"]
        )
        pipeline.storage.delete(["kiosk/alerts/open.json"])


def test_a_second_sender_waits_for_the_first_and_finds_nothing_left(
    pipeline: Pipeline, webhook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "_LOOK", 0.01)
    sending, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        sending.set()
        assert go_on.wait(60)

    webhook.before = hold
    first = threading.Thread(target=notify, args=(pipeline, [alert()], DAY))
    first.start()
    assert sending.wait(60)
    found: list[Any] = []
    second = threading.Thread(target=lambda: found.extend(notify(pipeline, [alert()], DAY)))
    second.start()
    go_on.set()
    first.join()
    second.join()
    assert found == []
    assert len(webhook.requests) == 1


PROGRAM = """
import sys
from evergreen.alerts import delivery
from evergreen.alerts.alert import Alert
from evergreen.pipeline import Pipeline
from evergreen.spec import Alerts, Receiver, parse_spec
from evergreen.storage import Storage
from pathlib import Path
import os

where, kind = sys.argv[1:]
spec = parse_spec(Path(where)).model_copy(
    update={"scoring": None, "alerts": Alerts(to=(Receiver(conn_id="ops"),))}
)
real = delivery.send

def send(connection, message):
    if kind == "before":
        os._exit(9)
    real(connection, message)
    os._exit(9)

delivery.send = send
alert = Alert("drift", "warning", "drift is there", "see the data", "kiosk", "2024-01-05")
delivery.notify(Pipeline(spec, Storage.open()), [alert], "2024-01-05")
"""


@pytest.mark.parametrize(("killed", "messages"), [("before", 1), ("after", 2)])
def test_a_sender_that_is_killed_is_followed_by_the_next(
    configured: Storage, webhook: Any, monkeypatch: pytest.MonkeyPatch, killed: str, messages: int
) -> None:
    """Killed before it sent, once; between sending and the book, twice: never not at all."""
    connect(monkeypatch, "ops", webhook.address)
    monkeypatch.setattr(claim, "_LOOK", 0.01)
    pipeline = Pipeline(spec_with(ops="warning"), configured)
    described = str(KIOSK.folder / "pipeline.yaml")
    done = subprocess.run([sys.executable, "-c", PROGRAM, described, killed], env=os.environ, check=False)
    assert done.returncode == 9
    assert read_book(configured, "kiosk")[0].claim is not None
    notify(pipeline, [alert()], DAY, still=0.05)
    notify(pipeline, [alert()], DAY, still=0.05)
    assert webhook.subjects == ["[warning] kiosk: drift is there"] * messages
    assert read_book(configured, "kiosk")[0].claim is None
    print(f"\nkilled {killed} sending: {len(webhook.requests)} message(s) in all")


def test_a_sender_that_was_taken_for_dead_gives_way(
    pipeline: Pipeline, webhook: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def steal() -> None:
        book, tag = read_book(pipeline.storage, "kiosk")
        write_book(pipeline.storage, "kiosk", Book(book.entries, Claim("another")), tag)
        webhook.before = lambda: None

    webhook.before = steal
    notify(pipeline, [alert()], DAY)
    assert "kiosk: another sender of alerts has taken over" in caplog.text
    assert read_book(pipeline.storage, "kiosk")[0].claim == Claim("another")


def test_without_receivers_alerts_are_logged_once(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pipeline = Pipeline(spec_with(), storage)
    for _ in range(2):
        notify(pipeline, [alert()], DAY)
    notify(pipeline, [], DAY, {"drift"})
    assert [record.getMessage() for record in caplog.records if "ALERT" in record.getMessage()] == [
        "ALERT [warning] kiosk: drift is there: see the data",
        "ALERT over: kiosk: drift is there",
    ]


def test_after_most_tasks_one_look_at_the_book_is_all(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(pipeline.lake), "partitions", lambda *_: pytest.fail("the lake was opened"))
    assert notify(pipeline, [], DAY, {"failed_score_score"}) == []
    assert pipeline.storage.list("") == []


def test_a_snapshot_tells_every_time(storage: Storage, webhook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "ops", webhook.address)
    iris = parse_spec(TESTS.parent / "include" / "pipelines" / "iris" / "pipeline.yaml")
    pipeline = Pipeline(
        iris.model_copy(update={"alerts": Alerts(to=(Receiver(conn_id="ops"),))}), storage, from_environment
    )
    found = Alert("drift", "warning", "drift is there", "see the data", "iris", "snapshot")
    notify(pipeline, [found], "snapshot")
    notify(pipeline, [], "snapshot", {"drift"})
    assert [body.body["state"] for body in webhook.requests] == ["open", "over"]
    assert Entry(found).told == {}
