"""Small objects of the storage that somebody else wrote: each is one line with a remedy, and no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evergreen.alerts.book import BOOK, read_book
from evergreen.errors import IntegrityError, UnavailableError
from evergreen.ingestion.receipts import Receipts
from evergreen.ingestion.same_calendar import check_calendar
from evergreen.pipeline import Pipeline
from evergreen.registry.registry import Registry
from evergreen.runs import _key, choice_of
from evergreen.spec import parse_spec
from evergreen.stages import INGEST
from evergreen.storage import Credentials, Storage
from evergreen.timings import timing_of
from evergreen.validation.corrections import Corrections
from evergreen.validation.refused import RefusedRows
from tests.faults.memory_client import MemoryClient

KIOSK = parse_spec(Path(__file__).parents[1] / "pipelines" / "kiosk" / "pipeline.yaml")
DAY, VERSION = "2024-01-01", "2024-01-01-aaaa"

BODIES = {
    "empty": b"",
    "no text": b"\xff\x00",
    "a number": b"7",
    "a list": b"[1]",
    "a text": b'"x"',
    "nested": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000,
    "a number beyond all": b'{"seq": 1e999, "files": {"a": {"size": 1e999, "sha256": ""}}}',
    "other types": b'{"seq": {}, "entries": 1, "run": [], "files": 7, "rows": 7, "id": 1}',
}


def opened() -> Pipeline:
    storage = Storage("bucket", "", Credentials())
    storage._client = MemoryClient()
    return Pipeline(KIOSK, storage)


def registry(pipeline: Pipeline) -> Registry:
    return Registry(pipeline.storage.child("kiosk"), "kiosk")


READERS: dict[str, tuple[Callable[[Pipeline], str], Callable[[Pipeline], Any]]] = {
    "manifest": (lambda _: f"models/{VERSION}/manifest.json", lambda one: registry(one).files(VERSION)),
    "history": (lambda _: "history/00000001.json", lambda one: registry(one).history()),
    "alerts": (lambda _: BOOK, lambda one: read_book(one.storage, "kiosk")),
    "calendar": (lambda _: "calendar.json", check_calendar),
    "refused": (lambda _: f"refused/{DAY}.json", lambda one: RefusedRows(one.storage, "kiosk").of(DAY)),
    "receipt": (lambda _: f"receipts/{DAY}.json", lambda one: Receipts(one.storage, "kiosk").of(DAY, "run")),
    "run": (
        lambda one: _key(one, INGEST, "run").removeprefix("kiosk/"),
        lambda one: choice_of(one, INGEST, "run"),
    ),
    "timing": (lambda _: f"timings/ingest/{DAY}.json", lambda one: timing_of(one, INGEST, DAY)),
    "correction": (
        lambda _: f"corrections/{DAY}/a.json",
        lambda one: Corrections(one.storage, "kiosk").of(DAY),
    ),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_such_object_is_told_in_a_line(reader: str, body: bytes) -> None:
    pipeline, (key, read) = opened(), READERS[reader]
    pipeline.storage.stage(f"kiosk/{key(pipeline)}", body)
    try:
        read(pipeline)
    except IntegrityError as error:
        told = str(error)
        assert "\n" not in told
        assert len(told) < 400
        assert any(remedy in told for remedy in ("restore it from a backup", "delete it"))
    except UnavailableError:  # it says nothing of a calendar, and then there is no lake
        assert (reader, body[:1]) == ("calendar", b"{")
    else:  # it may be an object that says nothing
        assert body.startswith(b"{")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_hostile_pointer_is_not_believed(body: bytes) -> None:
    pipeline = opened()
    registry(pipeline).commit(VERSION, {"model.skops": b"model"})
    registry(pipeline).promote(VERSION, DAY, {})
    pipeline.storage.stage("kiosk/champion.json", body)
    assert registry(pipeline).champion() == VERSION
    assert registry(pipeline).pointed().champion() == VERSION
    (problem,) = registry(pipeline).verify()
    assert "champion.json cannot be read: evergreen models promote kiosk" in problem
