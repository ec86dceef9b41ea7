"""The page of one validation run: what was asked of the partition, what was found, what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evergreen.data_docs.index import TEMPLATES, Verdict, moment, verdict_of
from evergreen.data_docs.sentence import Sentence, sentence, shown
from evergreen.pages.templates import template
from evergreen.spec import Spec
from evergreen.validation.history import NotEnough
from evergreen.validation.report import ExpectationResult, ValidationReport
from evergreen.validation.suite import without_suite

_NOT_APPLIED = str(NotEnough(0, 0)).partition(":")[0]
_ORDER = ("failed", "not applied", "held")
_GRAVITY = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Line:
    """One expectation on the page; `share` is that of the unexpected rows, 0 to 1, or None without any."""

    sentence: Sentence
    name: str
    arguments: str
    severity: str
    outcome: str
    unexpected: int
    share: float | None
    detail: str


def render_page(spec: Spec, report: ValidationReport, run: str, when: datetime) -> str:
    """The page of the run `run` that began at `when`. Self-contained HTML; all text is escaped."""
    lines = sorted((_line(result, report.rows) for result in report.results), key=_rank)
    verdict = verdict_of(report)
    return template(TEMPLATES, "page.html.jinja").render(
        spec=spec,
        report=report,
        run=run,
        when=moment(when),
        verdict=verdict,
        said=_said(report, verdict),
        without_suite=without_suite(spec),
        lines=lines,
        counts={outcome: sum(line.outcome == outcome for line in lines) for outcome in _ORDER},
        share=report.quarantined / report.rows if report.rows else 0.0,
        neighbours=_neighbours(spec, report.partition),
    )


def _line(result: ExpectationResult, rows: int) -> Line:
    said = sentence(result.name or result.expectation, result.arguments or {})
    return Line(
        sentence=said,
        name=result.name or result.expectation,
        arguments="" if said.whole else _named(result.arguments or {}),
        severity=result.severity,
        outcome=_outcome(result),
        unexpected=result.unexpected,
        share=result.unexpected / rows if result.unexpected and rows else None,
        detail=result.detail,
    )


def _outcome(result: ExpectationResult) -> str:
    if not result.success:
        return "failed"
    return "not applied" if result.detail.startswith(_NOT_APPLIED) else "held"


def _rank(line: Line) -> tuple[int, int]:
    """Failed expectations come first, the most severe before the others; else the order of the suite."""
    gravity = _GRAVITY.get(line.severity, len(_GRAVITY)) if line.outcome == "failed" else 0
    return _ORDER.index(line.outcome), gravity


def _named(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {shown(value)}" for name, value in arguments.items())


def _said(report: ValidationReport, verdict: Verdict) -> str:
    failed, asked = len(report.failed), len(report.results)
    match verdict:
        case Verdict.REFUSED:
            return str(report.refused)
        case Verdict.QUARANTINED:
            aside = f"{report.quarantined:,} of {report.rows:,} rows go to quarantine"
            return f"{aside}; the others may be published."
        case Verdict.NOTED:
            return f"{failed} of {asked} expectations did not hold; no row is set aside for it."
        case _:
            return f"All {asked} expectations held on {report.rows:,} rows."


def _neighbours(spec: Spec, partition: str) -> tuple[str, str] | None:
    if not spec.calendar.has_time:
        return None
    return spec.calendar.shift(partition, -1), spec.calendar.shift(partition, 1)
