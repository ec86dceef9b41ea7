"""What may be deleted of a pipeline's models, and in which order.

A version's removal is an event of the history before the first file goes: whoever promotes at that moment
gets either the number before it, and the version stays, or the number after, and is told. So the pointer
never names what is being deleted. The manifest goes first: a folder that was left half deleted is no version,
and the next cleaning deletes the rest. The history itself is never deleted.
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
"""How long nothing was written to a folder without a manifest before it is left over for certain."""


@dataclass(frozen=True)
class Cleaned:
    """What was removed, or would be: versions, and folders that were never or no longer are versions.

    `moment` is what their age was counted back from; None in an empty history.
    """

    moment: datetime | None = None
    versions: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()


def newest(events: Sequence[Event]) -> datetime | None:
    """When the newest event but removals happened, which must not age the rest; None if none says when."""
    told = (event for event in events if event.kind is not Kind.REMOVED)
    return max((at for event in told if (at := _at(event))), default=None)


def removable(
    events: Sequence[Event], folders: Mapping[str, Sequence[Listed]], moment: datetime, retention: timedelta
) -> list[str]:
    """Versions that nothing in the history holds on to within `retention` before `moment`, by name.

    In force nowhere, so that no rollback reaches them, and named by no event since then, as what happened or
    as what was replaced. One that the history never names counts from when its manifest was written, and one
    that it says was removed is still to be deleted.
    """
    force = fold(events)
    named: dict[str, datetime] = {}
    for event in events:
        for version in {event.version, event.replaces} - {None}:
            # An event that does not say when holds on for ever.
            at = _at(event) or datetime.max.replace(tzinfo=UTC)
            named[str(version)] = max(at, named.get(str(version), at))
    removed = {event.version for event in events if event.kind is Kind.REMOVED}
    found = []
    for version, files in folders.items():
        written = next((file.modified for file in files if _is_manifest(file, version)), None)
        if written is None or force.holds(version):
            continue
        if version in removed or named.get(version, written) < moment - retention:
            found.append(version)
    return found


def left_over(
    events: Sequence[Event], folders: Mapping[str, Sequence[Listed]], moment: datetime | None
) -> list[str]:
    """Folders without a manifest that nobody is committing: those of removed versions, and quiet ones.

    Without a `moment` all without a manifest.
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
