"""What came of an ingest, for people: a row for each partition, or for each thing that happened to many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from evergreen.cli.command import table
from evergreen.cli.tables import unbroken

if TYPE_CHECKING:
    from rich.console import RenderableType

    from evergreen.ingestion.outcomes import Ingested, Outcome

ROWS = 10
"""Up to how many partitions each has a row of its own."""

SPANS = 20
"""How many spans of partitions are named where nothing is to be done about them."""


def shown(ingested: Ingested, said: str | None = None) -> RenderableType:
    """The outcomes, their sums in a sentence, and last what else is `said`."""
    from rich.console import Group

    last = [unbroken(line) for line in (ingested.sentence(), said) if line]
    if len(ingested.outcomes) > ROWS:
        found = list(happened(ingested.outcomes))
        parts = [table(["outcome", "partitions", "rows", "which", "what"], found)] if found else []
        return Group(*parts, *last)
    columns = ["partition", "status", "rows", "quarantined", "info", "reason"]
    rows = [
        (one.partition, one.status, one.rows, one.quarantined, one.info, one.reason)
        for one in ingested.outcomes
    ]
    return Group(table(columns, rows), *last)


def spans(outcomes: Sequence[Outcome], places: Sequence[int], most: int | None = None) -> str:
    """The partitions at these places, in words: those beside each other are told as one span."""
    named = set(places)
    starts = [at for at in places if at - 1 not in named]
    ends = [at for at in places if at + 1 not in named]
    told = [
        outcomes[first].partition
        if first == last
        else f"{outcomes[first].partition} to {outcomes[last].partition}"
        for first, last in zip(starts, ends, strict=True)
    ]
    if most is None or len(told) <= most:
        return ", ".join(told)
    return f"{', '.join(told[:most])} and {len(told) - most} more (--json names all)"


def happened(outcomes: Sequence[Outcome]) -> Iterator[tuple[Any, ...]]:
    """What happened, to how many partitions and rows, to which, and why or by which expectation."""
    from evergreen.ingestion.outcomes import kind_of

    without: dict[tuple[str, str], list[int]] = {}
    broken: dict[tuple[str, str], list[int]] = {}
    rows: dict[tuple[str, str], int] = {}
    for place, one in enumerate(outcomes):
        if one.reason is not None:
            without.setdefault((one.status, kind_of(one.reason)), []).append(place)
            continue
        for found in one.expectations:
            key = (str(found["severity"]), str(found["expectation"]))
            broken.setdefault(key, []).append(place)
            rows[key] = rows.get(key, 0) + int(found["rows"])
    for (status, _), places in sorted(without.items()):
        yield status, len(places), None, spans(outcomes, places), outcomes[places[0]].reason
    for (severity, expectation), places in sorted(broken.items(), reverse=True):
        word = "quarantined" if severity == "warning" else severity
        which = spans(outcomes, places, SPANS)
        yield word, len(places), f"{rows[severity, expectation]:,}", which, expectation
