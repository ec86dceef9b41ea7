"""Whether what a person decided on is still so: they saw the history up to one event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evergreen.errors import ConflictError

if TYPE_CHECKING:
    from evergreen.registry.history import Event, Kind


def done_since(
    seen: int | None, events: Sequence[Event], kind: Kind, version: str | None, by: str | None
) -> Event | None:
    """The event by which this person has done it already; None if nothing followed event number `seen`.

    Also None where `seen` is None: then nobody asks. Raises `ConflictError` if anything else followed.
    """
    since = [] if seen is None else [event for event in events if event.seq > seen]
    if not since:
        return None
    first = since[0]
    if len(since) == 1 and (first.kind, first.version, first.by) == (kind, version, by):
        return first
    said = str(first.kind).replace("_", " ")
    raise ConflictError(
        f"nothing is changed: meanwhile event {first.seq} came ({said}: {first.version}, by {first.by}): "
        "look at what would happen now"
    )
