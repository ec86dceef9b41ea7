"""Names for an error that says what is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from evergreen.shown import shown

_MOST_SHOWN = 20


def nearest(name: str, there: Iterable[str]) -> str:
    """The names that are most like this one, or the first that there are; `schema.name` is also `name`."""
    there = list(there)
    names = {**{each.rpartition(".")[2]: each for each in there}, **{each: each for each in there}}
    near = [names[each] for each in difflib.get_close_matches(name, names, n=3, cutoff=0.6)]
    if near:
        return f"nearest: {', '.join(map(shown, dict.fromkeys(near)))}"
    return f"there: {', '.join(map(shown, there[:_MOST_SHOWN])) or 'none'}"
