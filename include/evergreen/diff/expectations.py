"""Which expectations differ between two suites."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from evergreen.diff.change import Change
from evergreen.diff.effects import Effect
from evergreen.spec import Spec
from evergreen.stages import INGEST
from evergreen.validation.suite import Entry, read_entries

_WORDS = {
    "critical": "a partition that breaks it is refused",
    "warning": "rows that break it go to quarantine",
    "info": "what breaks it is reported",
}
_GONE = "what broke it is published from now on"


def changed_expectations(before: Spec, after: Spec) -> Iterator[Change]:
    """The expectations that are new, gone or other than before; their order tells nothing.

    Raises `SpecError` if one of both files cannot be read.
    """
    old, new = (_by_label(_entries(spec)) for spec in (before, after))
    for label in dict.fromkeys([*new, *old]):
        left = [entry for entry in old[label] if entry not in new[label]]
        there = [entry for entry in new[label] if entry not in old[label]]
        for one, other in zip_longest(left, there):
            words = _WORDS[other.severity] if other else _GONE
            yield Change(
                f"expectation {label}",
                Effect(words, (INGEST,), partitions="judged"),
                _said(one),
                _said(other),
            )


def _entries(spec: Spec) -> list[Entry]:
    file = spec.folder / spec.validation.suite
    return read_entries(file) if file.exists() else []


def _by_label(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[entry.label].append(entry)
    return found


def _said(entry: Entry | None) -> str | None:
    """Severity and arguments, without the columns of its label."""
    if entry is None:
        return None
    arguments = {
        k: v for k, v in entry.arguments.items() if v not in (*entry.columns_named, [*entry.columns_named])
    }
    said = ", ".join(f"{name}: {json.dumps(value, default=str)}" for name, value in arguments.items())
    return f"{entry.severity}, {said}" if said else entry.severity
