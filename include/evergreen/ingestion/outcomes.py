"""What came of each partition of an ingest, and one error for those that were not published."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from evergreen.errors import EvergreenError, RefusedError, SourceError
from evergreen.ingestion.publish import Published
from evergreen.validation.report import ValidationReport
from evergreen.validation.validate import RefusedPartitionError

REASONS = 3  # different ones that a message names
Status = Literal["published", "unchanged", "refused", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Outcome:
    """A partition's outcome; `failed` if its source could not be read.

    `rows` are those published, or of a refused one those that were judged; `quarantined` are those in
    quarantine, or that would be. `page` is the address of its page of validation.
    """

    partition: str
    status: Status
    report: ValidationReport
    rows: int
    quarantined: int
    page: str | None = None
    reason: str | None = None

    @property
    def expectations(self) -> list[dict[str, str | int]]:
        """The expectations that did not hold: name, severity and the number of rows that break it."""
        return [
            {"expectation": one.expectation, "severity": one.severity, "rows": one.unexpected}
            for one in self.report.failed
        ]

    @property
    def info(self) -> int:
        """How many expectations of the severity `info` did not hold."""
        return sum(result.severity == "info" for result in self.report.failed)


@dataclass(frozen=True)
class Ingested:
    """The outcomes of all partitions, in the order asked for, with an `error` if some are not published."""

    outcomes: tuple[Outcome, ...]
    published: list[Published]
    error: EvergreenError | None = None

    def or_raise(self) -> list[Published]:
        """What was published; raises `error` if there is one."""
        if self.error:
            raise self.error
        return self.published

    def summary(self) -> dict[str, int]:
        """How many partitions have each status, and the sums of their rows and findings."""
        by_status = Counter(one.status for one in self.outcomes)
        there = [one for one in self.outcomes if one.status in ("published", "unchanged")]
        return {
            "partitions": len(self.outcomes),
            **{status: by_status[status] for status in STATUSES},
            "rows": sum(one.rows for one in there),
            "quarantined": sum(one.quarantined for one in there),
            "info": sum(one.info for one in self.outcomes),
        }

    def sentence(self) -> str:
        """The summary for people, in one line."""
        told = self.summary()
        keys = [one.partition for one in self.outcomes]
        span = keys[0] if len(keys) == 1 else f"{len(keys)} partitions from {min(keys)} to {max(keys)}"
        counts = [f"{told[name]} {name}" for name in STATUSES if told[name]]
        sums = f"{told['rows']} rows, {told['quarantined']} in quarantine, {told['info']} findings of info"
        return f"{span}: {', '.join(counts)}; {sums}"


def outcome_of(published: Published, page: str | None) -> Outcome:
    """The outcome of a published partition."""
    status: Status = "published" if published.changed else "unchanged"
    return Outcome(published.partition, status, published.report, published.rows, published.quarantined, page)


def outcome_without(pipeline: str, partition: str, error: EvergreenError, page: str | None) -> Outcome:
    """The outcome of a partition that was not published."""
    report = report_of(partition, error)
    status: Status = "failed" if isinstance(error, SourceError) else "refused"
    return Outcome(
        partition, status, report, report.rows, report.quarantined, page, _bare(pipeline, partition, error)
    )


def report_of(partition: str, error: EvergreenError) -> ValidationReport:
    """The report of a partition that was not published; without results if it was not judged to its end."""
    if isinstance(error, RefusedPartitionError):
        return error.report
    return ValidationReport(partition, 0, 0, (), refused=str(error))


def not_published(
    pipeline: str, refused: Mapping[str, EvergreenError], asked: int, what: str = ""
) -> EvergreenError:
    """One error for all partitions that were not published: the reasons first, then how many they are.

    The only partition that was asked for keeps its own error. Reasons that differ in numbers alone are told
    once. `what` stands before the count, such as `labels of `.
    """
    if asked == 1:
        return next(iter(refused.values()))
    kinds: dict[str, list[str]] = {}
    for partition, error in refused.items():
        kinds.setdefault(kind_of(_bare(pipeline, partition, error)), []).append(partition)
    reasons = [_reason(keys, refused) for keys in list(kinds.values())[:REASONS]]
    if more := len(kinds) - REASONS if len(kinds) > REASONS else 0:
        reasons.append(f"and {more} more reasons")
    return RefusedError(
        f"{'; '.join(reasons)}: {what}{len(refused)} of {asked} partitions were not published"
    )


def kind_of(reason: str) -> str:
    """The reason without its numbers: reasons that differ in nothing else are of one kind."""
    return re.sub(r"[0-9]+", "0", reason)


def _bare(pipeline: str, partition: str, error: EvergreenError) -> str:
    """The message without the names of pipeline and partition before it."""
    return str(error).removeprefix(f"{pipeline} {partition}: ")


def _reason(keys: Sequence[str], refused: Mapping[str, EvergreenError]) -> str:
    others = f" (so {len(keys) - 1} more, the last {keys[-1]})" if len(keys) > 1 else ""
    return f"{refused[keys[0]]}{others}"
