"""Versions named by the beginning of their id."""

from __future__ import annotations

from collections.abc import Sequence

from evergreen.errors import NotFoundError

_SHOWN_OF_NONE, _SHOWN_OF_SEVERAL = 3, 5


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
