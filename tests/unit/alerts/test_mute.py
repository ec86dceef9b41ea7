"""Muted alerts: what is silent, what ends that, and who did it, over a real store and a real receiver."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.alerts import claim
from evergreen.alerts.alert import Alert
from evergreen.alerts.book import Book, Claim, pending, read_book, told, updated, write_book
from evergreen.alerts.delivery import notify
from evergreen.alerts.mute import Mute, mute_of, with_mute, without_mute
from evergreen.alerts.muting import mute, unmute
from evergreen.calendar import PartitionError
from evergreen.errors import NotFoundError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.spec import Receiver
from evergreen.storage import Storage
from tests.unit.alerts.test_delivery import DAY, alert, connect, spec_with

OPS = Receiver(conn_id="ops")
DAYS = [f"2024-01-{day:02d}" for day in range(5, 12)]


@pytest.fixture
def pipeline(storage: Storage, webhook: Any, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline with one published partition, that tells the webhook of warnings."""
    connect(monkeypatch, "ops", webhook.address)
    opened = Pipeline(spec_with(ops="warning"), storage)
    opened.lake.replace(Table.PARTITIONS, {DAY: pa.table({"sold": [1.0]})})
    return opened


def test_a_muted_alert_is_silent_until_it_is_over_and_its_end_is_told(
    pipeline: Pipeline, webhook: Any
) -> None:
    notify(pipeline, [alert()], DAY)
    done = mute(pipeline, "drift", by="ann", why="the sale")
    assert (done.by, done.why, done.until, done.ended) == ("ann", "the sale", None, "")
    notify(pipeline, [alert(severity="critical", partition="2024-01-06")], "2024-01-06")
    notify(pipeline, [], "2024-01-07", {"drift"})
    notify(pipeline, [alert(partition="2024-01-08")], "2024-01-08")
    opened = "[warning] kiosk: drift is there"
    assert webhook.subjects == [opened, "[over] kiosk: drift is there", opened]
    (kept,) = read_book(pipeline.storage, "kiosk")[0].mutes
    assert (kept.by, kept.ended) == ("ann", "the alert was over")


def test_a_mute_until_a_partition_holds_through_an_end_and_a_new_opening(
    pipeline: Pipeline, webhook: Any
) -> None:
    notify(pipeline, [alert(), alert("volume")], DAY)
    mute(pipeline, "drift", by="ann", until="2024-01-08")
    for day, holds in (("2024-01-06", False), ("2024-01-07", True)):
        notify(pipeline, [alert(partition=day)] if holds else [], day, {"drift"})
    assert webhook.subjects[2:] == ["[over] kiosk: drift is there"]
    notify(pipeline, [], "2024-01-08")  # nothing was judged: it is open since the night before
    assert webhook.subjects[3:] == ["[warning] kiosk: drift is there"]
    (kept,) = read_book(pipeline.storage, "kiosk")[0].mutes
    assert kept.ended == "2024-01-08 came"


def test_what_was_missed_is_sent_once_somebody_ends_the_mute(pipeline: Pipeline, webhook: Any) -> None:
    notify(pipeline, [alert()], DAY)
    mute(pipeline, "drift", by="ann")
    notify(pipeline, [alert(severity="critical")], DAY)
    assert len(webhook.subjects) == 1
    assert unmute(pipeline, "drift", by="bob").ended == "unmuted by bob"
    notify(pipeline, [], DAY)
    assert webhook.subjects[1:] == ["[critical] kiosk: drift is there"]


def test_the_same_mute_changes_nothing_and_another_replaces_it(pipeline: Pipeline) -> None:
    notify(pipeline, [alert()], DAY)
    first = mute(pipeline, "drift", by="ann")
    assert mute(pipeline, "drift", by="bob") == first
    mute(pipeline, "drift", by="bob", until="2024-02-01")
    before, after = read_book(pipeline.storage, "kiosk")[0].mutes
    assert (before.by, before.ended) == ("ann", "changed by bob")
    assert (after.by, after.until, after.ended) == ("bob", "2024-02-01", "")


def test_only_an_open_alert_is_muted_and_only_until_a_partition_to_come(pipeline: Pipeline) -> None:
    with pytest.raises(NotFoundError, match="no alert 'drift' is open"):
        mute(pipeline, "drift", by="ann")
    notify(pipeline, [alert()], DAY)
    with pytest.raises(PartitionError, match=f"'{DAY}' is not after {DAY}"):
        mute(pipeline, "drift", by="ann", until=DAY)
    with pytest.raises(PartitionError):
        mute(pipeline, "drift", by="ann", until="soon")
    with pytest.raises(NotFoundError, match="no alert 'drift' is muted"):
        unmute(pipeline, "drift", by="ann")


def test_a_sender_is_waited_for_and_a_dead_one_is_not(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(pipeline, [alert()], DAY)
    book, etag = read_book(pipeline.storage, "kiosk")
    tags = [write_book(pipeline.storage, "kiosk", Book(book.entries, Claim("another")), etag)]

    def let_go(_: float) -> None:
        if len(tags) == 1:
            tags.append(write_book(pipeline.storage, "kiosk", Book(book.entries), tags[0]))

    monkeypatch.setattr(claim.time, "sleep", let_go)
    mute(pipeline, "drift", by="ann")
    assert len(tags) == 2
    monkeypatch.undo()
    book, etag = read_book(pipeline.storage, "kiosk")
    write_book(pipeline.storage, "kiosk", Book(book.entries, Claim("dead"), book.mutes), etag)
    monkeypatch.setattr("evergreen.alerts.muting.STILL", 0.0)
    unmute(pipeline, "drift", by="ann")
    assert read_book(pipeline.storage, "kiosk")[0].claim is None


def test_a_book_of_an_earlier_release_has_no_mutes(pipeline: Pipeline) -> None:
    notify(pipeline, [alert()], DAY)
    key = "kiosk/alerts/open.json"
    stored = json.loads(pipeline.storage.read(key).body)
    del stored["mutes"]
    pipeline.storage.stage(key, json.dumps(stored).encode())
    assert read_book(pipeline.storage, "kiosk")[0].mutes == ()


def test_of_the_mutes_that_have_ended_the_newest_are_kept() -> None:
    mutes: tuple[Mute, ...] = ()
    for number in range(150):
        mutes = without_mute(with_mute(mutes, Mute("drift", f"user {number}", "")), "drift", "unmuted")
    mutes = with_mute(mutes, Mute("limit", "ann", ""))
    assert [mute.by for mute in mutes] == [*(f"user {number}" for number in range(50, 150)), "ann"]


@given(st.lists(st.tuples(st.sampled_from(["none", "warning", "critical"]), st.booleans()), max_size=7))
def test_while_it_is_muted_nothing_but_its_end_is_sent(nights: list[tuple[str, bool]]) -> None:
    """Whatever comes, and whenever someone mutes it until the last day, an opening is sent only unmuted."""
    book = Book()
    for day, (severity, muted) in zip(DAYS, nights, strict=False):
        if muted and mute_of(book.mutes, "drift") is None:
            book = Book(book.entries, None, with_mute(book.mutes, Mute("drift", "ann", "", until=DAYS[-1])))
        found: list[Alert] = [] if severity == "none" else [alert(severity=severity, partition=day)]
        book = updated(book, found, {"drift"}, day)
        silent = mute_of(book.mutes, "drift") is not None
        for delivery in pending(book, [OPS]):
            assert not silent or delivery.message.subject.startswith("[over]")
            book = told(book, delivery)
        assert silent == (any(asked for _, asked in nights[: DAYS.index(day) + 1]) and day < DAYS[-1])
