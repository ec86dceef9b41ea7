"""Which objects of a history belong to a backup that was marked while it went on."""

from __future__ import annotations

import pytest

from evergreen.backup.pin import pin
from evergreen.registry.chapters import SIZE, Chapters
from evergreen.registry.event_log import event_key
from evergreen.registry.history import Event, Kind
from evergreen.storage import Storage

EVENTS = [
    Event(seq, Kind.REFUSED, "2024-01-01-aaaa", "2024-01-01", None, {}, "2024-01-01T03:00:00+00:00", "a run")
    for seq in range(1, 2 * SIZE + 6)
]


@pytest.mark.parametrize(
    ("last", "chapters"),
    [(SIZE - 1, 0), (SIZE, 1), (SIZE + 1, 1), (2 * SIZE - 1, 1), (2 * SIZE, 2), (2 * SIZE + 5, 3)],
)
def test_events_and_chapters_up_to_the_mark(storage: Storage, last: int, chapters: int):
    home = storage.child("bikes")
    for event in EVENTS[:last]:
        home.stage(event_key(event.seq), event.to_json())
    marks = pin(home, "bikes")
    for event in EVENTS[last:]:  # what happens while the backup is copied
        home.stage(event_key(event.seq), event.to_json())
    Chapters(home, "bikes").write(EVENTS)
    assert [marks.holds(key) for key in home.list("chapters/")] == [number < chapters for number in range(3)]
    assert [key for key in home.list("history/") if marks.holds(key)] == [
        event_key(seq) for seq in range(1, last + 1)
    ]
