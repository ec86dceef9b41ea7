"""Names of columns: which ones the lake and PostgreSQL can carry, one rule for every reader."""

from __future__ import annotations

from collections.abc import Collection

from evergreen.errors import SourceError
from evergreen.shown import shown

_OWN = "partition"  # the lake's own column


def check_names(names: Collection[str]) -> None:
    """Raise `SourceError` for names that the lake or PostgreSQL cannot carry together.

    These are: a name that comes twice or differs from another in case only (Delta ignores case), the lake's
    own column `partition` in any case, an empty or blank name, and one with a NUL or half a surrogate pair.
    """
    seen: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise SourceError(f"column {number} of {len(names)} has no name: give it one")
        if "\0" in name or not _is_unicode(name):
            raise SourceError(f"column {number} has a name that no table can carry ({name!a:.80}): rename it")
        folded = name.lower()
        if folded == _OWN:
            raise SourceError(f"column '{name}' has the name of the lake's own column: rename it")
        if (other := seen.setdefault(folded, name)) != name:
            raise SourceError(
                f"columns '{shown(other)}' and '{shown(name)}' differ in case only, which the lake ignores: "
                "rename one"
            )
        if number != len(seen):
            raise SourceError(f"column '{shown(name)}' comes more than once: rename one")


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
