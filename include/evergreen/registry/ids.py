"""Ids of versions: the as_of that each starts with, their order, and which one is meant by a beginning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from evergreen.errors import NotFoundError
from evergreen.registry.history import Event

_SHOWN_OF_NONE, _SHOWN_OF_SEVERAL = 3, 5


def as_of_version(version: str) -> str:
    """The as_of that a version's id starts with: `2011-04-01` of `2011-04-01-5f3a…`."""
    return version.rpartition("-")[0]


def newest_first(written: Mapping[str, datetime], events: Iterable[Event]) -> list[str]:
    """Versions by when they were `written`: the newest as_of first, and of the same the latest trained.

    Those without an event are the latest; the store knows in which order they came.
    """
    known: dict[str, int] = {}
    for event in events:
        known.setdefault(event.version, event.seq)
    latest = {version: known.get(version, float("inf")) for version in written}
    by_event = sorted(sorted(written), key=lambda one: (latest[one], written[one]), reverse=True)
    return sorted(by_event, key=as_of_version, reverse=True)


def version_by(prefix: str, versions: Sequence[str], pipeline: str) -> str:
    """The version that is called so, or the only one that starts so; `versions` are the newest first.

    Raises `NotFoundError` naming the newest where none starts so, and those that do where several do.
    """
    found = [version for version in versions if version.startswith(prefix)]
    if prefix in found:
        return prefix
    if len(found) == 1:
        return found[0]
    if not found:
        newest = ", ".join(versions[:_SHOWN_OF_NONE]) or "none"
        raise NotFoundError(
            f"{pipeline}: no version starts with '{prefix}' (the newest: {newest}): see "
            f"evergreen models list {pipeline}"
        )
    several = ", ".join(found[:_SHOWN_OF_SEVERAL]) + (", ..." if len(found) > _SHOWN_OF_SEVERAL else "")
    raise NotFoundError(
        f"{pipeline}: {len(found)} versions start with '{prefix}': write more of one: {several}"
    )
