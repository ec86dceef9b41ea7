"""Which files differ that a description names: SQL, data, the code of features. Nothing is executed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from evergreen.diff.change import Change
from evergreen.diff.effects import effect_of
from evergreen.diff.values import Key, texts
from evergreen.errors import SpecError
from evergreen.features.functions import Place, places, source
from evergreen.spec import Spec

_SHOWN = 3
_FILES = {"path", "file", "sql"}
"""The keys that name files of the folder."""


def changed_files(before: Spec, after: Spec, considered: Collection[Path]) -> Iterator[Change]:
    """The data and SQL in the folder that keys of one of both descriptions name, and that differ.

    Of the folder of `after` only the files `considered` count: what git ignores is no change.
    """
    there = {file.relative_to(after.folder) for file in considered if file.is_relative_to(after.folder)}
    there |= {file.relative_to(before.folder) for file in before.folder.rglob("*") if file.is_file()}
    names = sorted(name.as_posix() for name in there)
    differ = [name for name in names if _content(after.folder / name) != _content(before.folder / name)]
    for key, text in dict(_named(before) | _named(after)).items():
        if found := [name for name in differ if text.fullmatch(name)]:
            differ = [name for name in differ if name not in found]
            yield Change(f"content of {_listed(found)} ({key.shown})", effect_of(key.names))


def changed_code(before: Spec, after: Spec) -> Iterator[Change]:
    """The files of feature functions that differ where both descriptions name them; see `code_of`."""
    old, new = code_of(before), code_of(after)
    for origin in new:
        if origin in old and old[origin] != new[origin]:
            yield Change(f"code of {origin}", effect_of(("features", "function")))


def code_of(spec: Spec) -> dict[str, tuple[str, bytes | None]]:
    """What makes the features of each function, by origin: what a set declares, and its file."""
    return {place.origin: (place.look_back, body_of(spec, place)) for place in places(spec)}


def body_of(spec: Spec, place: Place) -> bytes | None:
    """The file of a function; None where it is missing, which `evergreen check` tells."""
    try:
        return source(spec, place)
    except SpecError:
        return None


def _named(spec: Spec) -> dict[Key, re.Pattern[str]]:
    """The keys that name files, each with the form of their names below the folder."""
    return {key: _form(text) for key, text in texts(spec) if key.names[-1] in _FILES}


def _form(text: str) -> re.Pattern[str]:
    """Of a name such as `days/{partition}.csv`, where a folder stands for all that is in it."""
    parts = re.split(r"(\{[^}]*\}|\*)", text.removeprefix("./"))
    any_of = {"*": "[^/]*"}
    form = "".join(
        any_of.get(part, ".*") if number % 2 else re.escape(part) for number, part in enumerate(parts)
    )
    return re.compile(f"{form}(/.*)?")


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
