"""An explanation: what was asked about, the answer in a sentence, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ground:
    """One thing that the answer rests on: its name, how it came out in a word, and what was found."""

    name: str
    word: str
    detail: str


@dataclass(frozen=True)
class Explanation:
    """Why a `version`, a `partition` or the `decision` of a night (its `kind`) is as it is.

    `see` are commands and addresses that tell more.
    """

    kind: str
    name: str
    sentence: str
    grounds: tuple[Ground, ...] = ()
    see: tuple[str, ...] = ()
