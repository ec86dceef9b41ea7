"""Names of columns: which ones the lake and PostgreSQL can carry, one rule for every reader."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from evergreen.errors import SourceError
from evergreen.shown import shown

_OWN = "partition"  # the lake's own column
_ALIKE = 0.8
_MOST_SHOWN = 20


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


def check_declared(types: Iterable[str], there: Collection[str], *, alike: bool = False) -> None:
    """Raise `SourceError` for a name under `types` that is none of the columns that are there.

    With `alike` only if a column that has no declared type is spelt almost so: JSON may leave a field out.
    """
    declared = set(types)
    for name in types:
        free = [one for one in there if one not in declared]
        if name not in there and (not alike or difflib.get_close_matches(name, free, n=1, cutoff=_ALIKE)):
            listed = ", ".join(map(shown, list(there)[:_MOST_SHOWN]))
            raise SourceError(
                f"there is no column '{name}' (there: {listed}): fix the source's types in pipeline.yaml"
            )


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
