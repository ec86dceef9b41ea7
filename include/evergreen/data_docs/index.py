"""The index of a pipeline's Data Docs, and the small pages beside it. The index holds its own data.

Great Expectations builds its index by reading every result again. This one is read, extended and written:
what it shows is in it as JSON too, one short list for each run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Any

from evergreen.calendar import period_of
from evergreen.pages.templates import template
from evergreen.spec import Spec
from evergreen.validation.report import ValidationReport

TEMPLATES = Path(__file__).resolve().parent

KEPT = 2_000
"""How many runs an index lists at most: those of the newest partitions. The pages of others stay."""

NOTE = 160
"""How many letters of why a partition was refused an index keeps."""

_FACTS = re.compile(rb'<script type="application/json" id="runs">(.*?)</script>', re.DOTALL)


class Verdict(StrEnum):
    """What became of a partition: refused, rows of it in quarantine, something only noted, or all passed.

    `unknown` is a run of which only the page is left.
    """

    REFUSED = "refused"
    QUARANTINED = "quarantined"
    NOTED = "noted"
    PASSED = "passed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Run:
    """One validation run of one partition, as an index lists it.

    `run` is the run's token, `when` the time it began, in UTC (`2011-01-02T02:00:00Z`, or empty where nobody
    knows), `failed` how many of its `expectations` did not hold, `note` the beginning of why it was refused.
    """

    partition: str
    run: str
    when: str = ""
    verdict: Verdict = Verdict.UNKNOWN
    rows: int = 0
    quarantined: int = 0
    failed: int = 0
    expectations: int = 0
    note: str = ""

    @classmethod
    def of(cls, report: ValidationReport, run: str, when: datetime) -> Run:
        """The facts of a report."""
        return cls(
            partition=report.partition,
            run=run,
            when=moment(when),
            verdict=verdict_of(report),
            rows=report.rows,
            quarantined=report.quarantined,
            failed=len(report.failed),
            expectations=len(report.results),
            note=(report.refused or "")[:NOTE],
        )

    @property
    def facts(self) -> tuple[str | int, ...]:
        """The values of all fields, in order."""
        return tuple(self.__dict__.values())

    @property
    def label(self) -> str:
        """The run in a few words."""
        if self.verdict is Verdict.UNKNOWN:
            return f"{self.partition}: {self.verdict}"
        aside = f", {self.quarantined:,} quarantined" if self.quarantined else ""
        return f"{self.partition}: {self.verdict}, {self.rows:,} rows{aside}"

    @property
    def href(self) -> str:
        """The run's page, from the index."""
        return f"{self.partition}/{self.run}.html"

    @property
    def order(self) -> tuple[str, str, str]:
        """What runs are sorted by: event time, then the time of the run."""
        return (self.partition, self.when, self.run)

    @property
    def period(self) -> str:
        """The heading that the run is listed under: the partition's month, or year for monthly partitions."""
        dated = self.partition if self.partition[:1].isdigit() else self.when
        return period_of(dated) or "-"


_NAMES = tuple(field.name for field in fields(Run))


def verdict_of(report: ValidationReport) -> Verdict:
    """What became of the partition."""
    if report.refused:
        return Verdict.REFUSED
    if report.quarantined:
        return Verdict.QUARANTINED
    return Verdict.NOTED if report.failed else Verdict.PASSED


def moment(when: datetime) -> str:
    """A time as pages show it: UTC, to the second."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def merged(known: Iterable[Run], new: Iterable[Run]) -> list[Run]:
    """The runs of both, newest first; a run in both is the new one. No more than `KEPT`."""
    runs = {(run.partition, run.run): run for run in (*known, *new)}
    return sorted(runs.values(), key=lambda run: run.order, reverse=True)[:KEPT]


def newest(runs: Iterable[Run]) -> dict[str, Run]:
    """The last run of each partition."""
    return {run.partition: run for run in sorted(runs, key=lambda run: run.order)}


def read_index(body: bytes) -> list[Run]:
    """The runs that an index lists; raises `ValueError` for something else than an index."""
    if not (found := _FACTS.search(body)):
        raise ValueError("no index of Data Docs: it carries no facts")
    return read_lines(found[1])


def write_lines(runs: Iterable[Run]) -> bytes:
    """Runs as the JSON that `read_lines` reads."""
    return json.dumps([run.facts for run in runs]).encode()


def read_lines(body: bytes) -> list[Run]:
    """The runs that `write_lines` wrote; raises `ValueError` for something else."""
    try:
        return [_run(values) for values in json.loads(body)]
    except (TypeError, KeyError) as error:
        raise ValueError(f"no lines of an index of Data Docs: {error}") from None


def render_index(spec: Spec, runs: Sequence[Run]) -> str:
    """The index page of a pipeline; `runs` are sorted, newest first. All text is escaped."""
    last = newest(runs)
    shown = list(last.values())
    return template(TEMPLATES, "index.html.jinja").render(
        spec=spec,
        facts=[run.facts for run in runs],
        runs=runs,
        periods=[(period, list(group)) for period, group in groupby(runs, lambda run: run.period)],
        last={(run.partition, run.run) for run in shown} if spec.calendar.has_time else None,
        counts={each: sum(run.verdict is each for run in shown) for each in Verdict},
        partitions=len(shown),
        rows=sum(run.rows for run in shown),
        quarantined=sum(run.quarantined for run in shown),
        kept=KEPT,
    )


def render_home(pipelines: Mapping[str, str]) -> str:
    """The page above all indexes; `pipelines` are names with their descriptions."""
    return template(TEMPLATES, "notice.html.jinja").render(
        title="Data Docs", text="What validation found in every partition.", pipelines=pipelines, back=None
    )


def render_notice(title: str, text: str, back: str | None = None) -> str:
    """A page that says in plain words why there is nothing else; `back` is where a link leads."""
    return template(TEMPLATES, "notice.html.jinja").render(title=title, text=text, pipelines={}, back=back)


def _run(values: Sequence[Any]) -> Run:
    known = dict(zip(_NAMES, values, strict=False))
    return Run(**{**known, "verdict": Verdict(known["verdict"])})
