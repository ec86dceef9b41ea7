"""What may be deleted of a pipeline's models, and in which order.

The removal of a version is added to the history before its first file is deleted. A promotion at that moment
gets either the event number before it, and the version stays, or the one after it, and fails. So the pointer
never names a version that is being deleted. The manifest is deleted first: a folder that is left half deleted
is no version, and the next cleaning deletes the rest. The history itself is never deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from evergreen.registry.history import Event, Kind, fold
from evergreen.registry.versions import MANIFEST

if TYPE_CHECKING:
    from evergreen.storage import Listed

UNFINISHED = timedelta(days=1)
"""For how long nothing must have been written to a folder without a manifest before it may be deleted."""


@dataclass(frozen=True)
class Cleaned:
    """What was removed, or would be: versions, and folders that were never or no longer are versions.

    `moment` is what their age was counted back from; None in an empty history.
    """

    moment: datetime | None = None
    versions: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()


def newest(events: Sequence[Event]) -> datetime | None:
    """When the newest event happened, removals aside; None if no event says when.

    Removals do not count, or each cleaning would make the rest older.
    """
    told = (event for event in events if event.kind is not Kind.REMOVED)
    return max((at for event in told if (at := _at(event))), default=None)


def removable(
    events: Sequence[Event], folders: Mapping[str, Sequence[Listed]], moment: datetime, retention: timedelta
) -> list[str]:
    """Versions, by name, that may be deleted: not in force, and not in an event since `moment - retention`.

    Nor do they answer as a canary, and no rollback can lead to them. A version that no event names is as old
    as its manifest. A version whose removal is in the history but whose files are still there is one of them.
    """
    force = fold(events)
    named: dict[str, datetime] = {}
    for event in events:
        for version in {event.version, event.replaces} - {None}:
            # An event without a time keeps its version for ever.
            at = _at(event) or datetime.max.replace(tzinfo=UTC)
            named[str(version)] = max(at, named.get(str(version), at))
    removed = {event.version for event in events if event.kind is Kind.REMOVED}
    found = []
    for version, files in folders.items():
        written = next((file.modified for file in files if _is_manifest(file, version)), None)
        if written is None or force.holds(version) or force.is_canary(version):
            continue
        if version in removed or named.get(version, written) < moment - retention:
            found.append(version)
    return found


def left_over(
    events: Sequence[Event], folders: Mapping[str, Sequence[Listed]], moment: datetime | None
) -> list[str]:
    """Folders without a manifest that nobody is writing: of removed versions, or not written to for long.

    Without a `moment`, all folders without a manifest.
    """
    removed = {event.version for event in events if event.kind is Kind.REMOVED}
    found = []
    for version, files in folders.items():
        if any(_is_manifest(file, version) for file in files) or _is_loose(version, files):
            continue
        quiet = moment is None or max(file.modified for file in files) < moment - UNFINISHED
        if quiet or version in removed:
            found.append(version)
    return found


def _is_manifest(file: Listed, version: str) -> bool:
    return file.key == f"models/{version}/{MANIFEST}"


def _is_loose(name: str, files: Sequence[Listed]) -> bool:
    """Whether it is a file right below `models/`, and no folder."""
    return [file.key for file in files] == [f"models/{name}"]


def _at(event: Event) -> datetime | None:
    try:
        at = datetime.fromisoformat(event.at)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
