"""What a person would do after a week: the same as after a night, of all its partitions together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from evergreen.numbers import rows_in_words
from evergreen.reports.report import ToDo
from evergreen.reports.to_do import in_quarantine, of_alerts, of_labels, of_refused_versions, of_waiting
from evergreen.stages import NIGHTLY

if TYPE_CHECKING:
    from evergreen.reports.facts import Gap, WeekFacts
    from evergreen.spec import Spec

_GAPS = 5  # that are told one by one
_SHOWN = 3  # partitions with rows in quarantine that a command of its own is given for


def week_to_do(spec: Spec, facts: WeekFacts) -> tuple[ToDo, ...]:
    """What there is to do after the week, the most pressing first; nothing after a quiet one."""
    return (
        *of_alerts(facts.alerts),
        *_missing(spec, [gap for gap in facts.gaps if not gap.empty]),
        *_unseen(spec, facts),
        *_quarantine(spec, facts),
        *of_refused_versions(spec, facts.events),
        *of_waiting(spec, facts.waiting),
        *of_labels(spec, facts.unlabelled, facts.partition),
    )


def span(keys: Sequence[str]) -> str:
    """The first and the last of some partitions in words, or the only one."""
    return keys[0] if keys[0] == keys[-1] else f"{keys[0]} to {keys[-1]}"


def _missing(spec: Spec, gaps: Sequence[Gap]) -> Iterator[ToDo]:
    if len(gaps) <= _GAPS:
        yield from (_mended(spec, gap) for gap in gaps)
    else:
        first, last = gaps[0].first, gaps[-1].last
        counted = spec.calendar.counted(sum(gap.count for gap in gaps))
        yield ToDo(
            f"{counted} from {first} to {last} are not published: mend their sources, then ingest them",
            (f"evergreen ingest {spec.name} {_range(first, last)}",),
        )


def _mended(spec: Spec, gap: Gap) -> ToDo:
    command = (f"evergreen ingest {spec.name} {_range(gap.first, gap.last)}",)
    if gap.count == 1:
        return ToDo(
            f"{gap.sentence or f'{gap.first} is not published'}: mend its source, then ingest it", command
        )
    counted = spec.calendar.counted(gap.count)
    why = f" ({gap.sentence})" if gap.sentence else ""
    said = (
        f"{counted}, {gap.first} to {gap.last}, are not published{why}: mend their source, then ingest them"
    )
    return ToDo(said, command)


def _unseen(spec: Spec, facts: WeekFacts) -> Iterator[ToDo]:
    if keys := facts.unseen:
        commands = tuple(f"evergreen {stage} {spec.name} {_range(keys[0], keys[-1])}" for stage in NIGHTLY)
        said = f"{spec.calendar.counted(len(keys))}, {span(keys)}," if len(keys) > 1 else keys[0]
        are, them = ("are", "them") if len(keys) > 1 else ("is", "it")
        yield ToDo(f"{said} {are} published and not monitored: score {them}, then monitor {them}", commands)
    elif facts.in_force is None and facts.published:
        yield ToDo(
            "no version is in force, so nothing is scored: train one", (f"evergreen train {spec.name}",)
        )


def _quarantine(spec: Spec, facts: WeekFacts) -> Iterator[ToDo]:
    aside = {key: int(record.get("quarantined", 0)) for key, record in facts.records.items()}
    keys = sorted(filter(aside.__getitem__, aside), key=lambda key: (-aside[key], key))
    if not keys:
        return
    total = facts.total("quarantined")
    most = (
        f", {rows_in_words(aside[keys[0]])} of them of {keys[0]}"
        if total > aside[keys[0]] > total / 2
        else ""
    )
    of = keys[0] if len(keys) == 1 else spec.calendar.counted(len(keys))
    yield ToDo(
        in_quarantine(total, of, [one.expectation for one in facts.aside], most),
        tuple(f"evergreen quarantine show {spec.name} --partition {key}" for key in keys)
        if len(keys) <= _SHOWN
        else (f"evergreen quarantine list {spec.name}",),
    )


def _range(first: str, last: str) -> str:
    return f"--partition {first}" + (f" --to {last}" if last != first else "")
