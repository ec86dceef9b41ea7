"""The guesses of a drafted folder that nobody has confirmed yet: a comment is deleted to confirm one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

MARK = "guess:"
"""What the comment of a guess begins with."""

_COMMENT = re.compile(rf"\s*# {MARK} (.*)")
_FILES = ("pipeline.yaml", "expectations.yaml", "features.py")


@dataclass(frozen=True)
class Unconfirmed:
    """A guess: its file and line, what was written because of it, and why."""

    place: str
    written: str
    why: str


def unconfirmed(folder: Path) -> list[Unconfirmed]:
    """The guesses in the files of a pipeline's folder, in their order; files that are not there have none."""
    return [one for name in _FILES for one in _in_file(folder / name)]


def _in_file(file: Path) -> Iterator[Unconfirmed]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for number, line in enumerate(lines, 1):
        if found := _COMMENT.fullmatch(line):
            below = dropwhile(_says_nothing, lines[number:])
            yield Unconfirmed(f"{file.name}:{number}", next(below, "").strip(), found[1])


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")
