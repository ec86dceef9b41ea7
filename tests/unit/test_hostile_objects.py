"""Small objects of the storage that somebody else wrote: each is one line with a remedy, and no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evergreen.alerts.book import BOOK, read_book
from evergreen.asked.finding import ASKED, stored_asked
from evergreen.backup.pin import pin
from evergreen.errors import IntegrityError, UnavailableError
from evergreen.evaluation.verdict import Outcome, Verdict
from evergreen.explain.version import version_explained
from evergreen.features.own import own_features
from evergreen.front_door.model import Model
from evergreen.ingestion.receipts import Receipts
from evergreen.ingestion.same_calendar import check_calendar
from evergreen.models_site.read import version_facts
from evergreen.monitoring.reference import REFERENCE, read_reference
from evergreen.pipeline import Pipeline
from evergreen.registry.event_log import EventLog, event_key
from evergreen.registry.history import Event, Kind
from evergreen.registry.overview import coverage_of, metrics_of
from evergreen.registry.registry import Registry
from evergreen.registry.versions import EXPLANATION, FEATURES, GATE, LINEAGE, METRICS
from evergreen.runs import _key, choice_of
from evergreen.side_by_side.read import read_sides
from evergreen.spec import parse_spec
from evergreen.stages import INGEST
from evergreen.storage import Credentials, Storage
from evergreen.timings import timing_of
from evergreen.training.approval import ask
from evergreen.validation.corrections import Corrections
from evergreen.validation.refused import RefusedRows
from tests.faults.memory_client import MemoryClient

KIOSK = parse_spec(Path(__file__).parents[1] / "pipelines" / "kiosk" / "pipeline.yaml")
NAMES = (METRICS, GATE, LINEAGE, EXPLANATION, REFERENCE, ASKED, FEATURES)
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


OF_VERSIONS: dict[str, tuple[set[str], Callable[[Pipeline], Any]]] = {
    "explain": ({GATE, LINEAGE, METRICS}, lambda one: version_explained(one, VERSION)),
    "list": ({METRICS}, lambda one: metrics_of(one.registry, VERSION)),
    "coverage": ({METRICS}, lambda one: coverage_of(one.registry, VERSION)),
    "page": ({LINEAGE, METRICS}, lambda one: version_facts(one, VERSION)),
    "beside another": ({*NAMES} - {ASKED, REFERENCE}, lambda one: read_sides(one, VERSION, VERSION)),
    "asked": ({ASKED}, lambda one: stored_asked(one, VERSION)),
    "reference": ({REFERENCE}, lambda one: read_reference(one.registry, VERSION)),
    "approval": ({LINEAGE}, lambda one: ask(one, VERSION, Verdict(Outcome.PROMOTED, ()))),
    "lineage": ({LINEAGE}, lambda one: Model(one, VERSION).lineage),
    "importance": ({EXPLANATION}, lambda one: Model(one, VERSION).importance),
    "features": ({FEATURES}, lambda one: own_features(one, VERSION)),
}
OF_FILES = BODIES | {"no keys": b"{}", "keys of other types": b'{"evaluation": 7, "reason": 7, "checks": 7}'}


@pytest.mark.parametrize("reader", OF_VERSIONS)
def test_what_is_no_such_file_of_a_version_is_told_in_a_line(reader: str) -> None:
    names, read = OF_VERSIONS[reader]
    failed = set[str]()
    for name in names:
        for body in OF_FILES.values():
            pipeline = opened()
            pipeline.registry.commit(VERSION, {one: body if one == name else b"{}" for one in NAMES})
            if said := _problem(read, pipeline):
                assert "\n" not in said
                assert len(said) < 500
                failed.add(name)
    # Pages go on, and say what is damaged.
    assert failed == (set() if reader in ("page", "beside another") else names)


def _problem(read: Callable[[Pipeline], Any], pipeline: Pipeline) -> str:
    try:
        read(pipeline)
    except IntegrityError as error:
        return str(error)
    return ""


FAR = 99_999_999
"""To count up to it would take gigabytes of memory."""

OF_HISTORY: dict[str, Callable[[Storage], Any]] = {
    "champion": lambda home: Registry(home, "kiosk").champion(),
    "pointed": lambda home: Registry(home, "kiosk").pointed(),
    "refuse": lambda home: Registry(home, "kiosk").refuse(VERSION, DAY, {}),
    "maintain": lambda home: EventLog(home, "kiosk").write_chapters(),
}


def with_an_event_far_away(count: int) -> Storage:
    """The folder of a pipeline whose history has so many events, and one of a number that others gave."""
    home = opened().storage.child("kiosk")
    Registry(home, "kiosk").commit(VERSION, {METRICS: b"{}"})
    for number in (*range(1, count + 1), FAR):
        home.stage(event_key(number), Event(number, Kind.REFUSED, VERSION, DAY, None).to_json())
    return home


@pytest.mark.parametrize("count", [1, 30])
@pytest.mark.parametrize("reader", OF_HISTORY)
def test_an_event_of_a_number_far_away_is_a_gap_and_nobody_counts_up_to_it(reader: str, count: int) -> None:
    home = with_an_event_far_away(count)
    with pytest.raises(IntegrityError, match=f"^kiosk: the history has no event {count + 1}: restore"):
        OF_HISTORY[reader](home)


@pytest.mark.parametrize("count", [1, 30])
def test_verify_and_a_backup_go_on_beside_an_event_of_a_number_far_away(count: int) -> None:
    home = with_an_event_far_away(count)
    assert any(f"no event {count + 1}: restore" in line for line in Registry(home, "kiosk").verify())
    assert not pin(home, "kiosk").events


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
