"""Chapters of a history: written with each of its events, only a quicker way to read them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evergreen.errors import IntegrityError
from evergreen.registry.chapters import SIZE, Chapters
from evergreen.registry.event_log import EventLog, event_key
from evergreen.registry.history import Event, Force, Kind
from evergreen.registry.registry import Registry
from evergreen.storage import Storage

KEY = "chapters/00000001-00000020.json"
DAYS = [f"2024-{number // 28 + 1:02d}-{number % 28 + 1:02d}" for number in range(2 * SIZE)]
EVENTS = [
    Event(number + 1, Kind.REFUSED, f"{day}-aaaa", day, None, {"why": "ä"}, f"{day}T03:00:00+00:00", "a run")
    for number, day in enumerate(DAYS)
]


@pytest.fixture
def store(storage: Storage) -> Storage:
    """The folder of a pipeline, all but the last events of whose first chapter are there."""
    bikes = storage.child("bikes")
    for event in EVENTS[: SIZE - 1]:
        bikes.stage(event_key(event.seq), event.to_json())
    return bikes


def last(store: Storage, number: int = SIZE - 1) -> Registry:
    """The registry once the event after so many has happened."""
    registry = Registry(store, "bikes")
    registry.commit(EVENTS[number].version, {"metrics.json": b"{}"})
    registry.refuse(EVENTS[number].version, DAYS[number], {})
    return registry


def test_the_last_event_of_a_chapter_writes_it_and_pages_read_it(store: Storage):
    last(store)
    assert store.list("chapters/") == [KEY]
    store.delete([event_key(seq) for seq in range(2, SIZE)])
    reader = Registry(store, "bikes")
    assert [event.seq for event in reader.numbered(SIZE, SIZE, SIZE)] == list(range(1, SIZE + 1))
    assert Registry(store, "bikes").back_to(DAYS[4])[4] == EVENTS[4]


def test_a_writer_that_died_before_it_is_made_good_by_the_next_chapter(store: Storage):
    last(store)
    store.delete([KEY])
    events = Registry(store, "bikes").history()
    assert Registry(store, "bikes").numbered(SIZE, SIZE, SIZE) == events  # read one by one
    Chapters(store, "bikes").write(events)
    Chapters(store, "bikes").write(events)
    assert Chapters(store, "bikes").read(SIZE) == events


def test_each_event_is_in_the_newest_chapter_which_replaces_the_one_before(store: Storage):
    names = []
    for number in range(SIZE - 1, SIZE + 3):
        last(store, number)
        names.append([key.removeprefix("chapters/000000") for key in store.list("chapters/")])
    assert names == [
        ["01-00000020.json"],
        ["01-00000020.json", "21-00000021.json"],
        ["01-00000020.json", "21-00000022.json"],
        ["01-00000020.json", "21-00000023.json"],
    ]
    assert [event.seq for event in Chapters(store, "bikes").read(SIZE + 3)] == [SIZE + 1, SIZE + 2, SIZE + 3]
    assert not [line for line in Registry(store, "bikes").verify() if "chapters/" in line]


def test_a_late_writer_leaves_the_chapter_that_has_later_events(store: Storage):
    for number in range(SIZE - 1, SIZE + 3):
        last(store, number)
    events = Registry(store, "bikes").history()
    Chapters(store, "bikes").write(events[:-1])
    assert store.list("chapters/")[1:] == [
        "chapters/00000021-00000022.json",
        "chapters/00000021-00000023.json",
    ]
    Chapters(store, "bikes").write(events)
    assert store.list("chapters/")[1:] == ["chapters/00000021-00000023.json"]


def test_a_reader_that_listed_the_events_before_the_newest_chapter_was_replaced_reads_events(store: Storage):
    for number in range(SIZE - 1, SIZE + 3):
        last(store, number)
    store.delete([event_key(SIZE + 3)])  # as a listing of a moment ago
    assert [event.seq for event in Registry(store, "bikes").history()] == list(range(1, SIZE + 3))


@pytest.mark.parametrize("body", [b"{", b"[]", b"[1]"])
def test_a_damaged_chapter_is_not_believed_and_found_by_verify(store: Storage, body: bytes):
    last(store)
    whole = store.read(KEY).body
    store.stage(KEY, body)
    reader = Registry(store, "bikes")
    assert reader.numbered(SIZE, SIZE, SIZE) == reader.history()
    told = [line for line in reader.verify() if KEY in line]
    assert told == [f"{KEY} does not match the history: delete it in {store.uri()}"]
    store.stage(KEY, whole)
    assert not [line for line in reader.verify() if KEY in line]


@pytest.mark.parametrize("whole", [True, False], ids=["by nights", "by pages"])
def test_a_history_is_read_by_its_chapters(storage: Storage, whole: bool, monkeypatch: pytest.MonkeyPatch):
    """Fifty events, as three years of trainings leave them, take three requests and a listing."""
    store = storage.child("bikes")
    events = [replace(EVENTS[0], seq=seq) for seq in range(1, 51)]
    for event in events:
        store.stage(event_key(event.seq), event.to_json())
    Chapters(store, "bikes").write(events)
    keys: list[str] = []
    read = Storage.read
    monkeypatch.setattr(Storage, "read", lambda self, key: keys.append(key) or read(self, key))
    if whole:
        assert Registry(store, "bikes").history() == events
    else:
        assert Registry(store, "bikes").back_to("2023", Force(50)) == events
    assert sorted(keys) == [
        "chapters/00000001-00000020.json",
        "chapters/00000021-00000040.json",
        "chapters/00000041-00000050.json",
    ]


def test_an_event_that_is_gone_is_missing_though_its_chapter_has_it(store: Storage):
    last(store)
    store.delete([event_key(7)])
    with pytest.raises(IntegrityError, match=r"bikes: the history has no event 7: restore history/00000007"):
        EventLog(store, "bikes").whole(None)


def test_verify_reads_each_event_itself(store: Storage):
    last(store)
    store.stage(event_key(7), b"{")
    reader = Registry(store, "bikes")
    assert len(reader.history()) == SIZE
    assert [line for line in reader.verify() if event_key(7) in line]


def test_a_chapter_of_a_hundred_by_an_older_release_is_not_read_and_goes_with_the_next_event(store: Storage):
    store.stage("chapters/000001.json", b"[]")
    assert [event.seq for event in Registry(store, "bikes").history()] == list(range(1, SIZE))
    assert not [line for line in Registry(store, "bikes").verify() if "chapters/" in line]
    last(store)
    assert store.list("chapters/") == [KEY]
