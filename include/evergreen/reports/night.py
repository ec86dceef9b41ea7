"""The report of a night, told from its facts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from evergreen.drift import most_drifted
from evergreen.explain.night import decision_explained
from evergreen.metrics import metric_named
from evergreen.monitoring.health import quarantined_share, usual_rows
from evergreen.numbers import number, percent
from evergreen.pages.plots import NightPoint
from evergreen.registry.history import Event, Kind
from evergreen.reports.report import Course, NightReport, Part, Table
from evergreen.reports.to_do import larger_share, rows_in_words, to_do
from evergreen.stages import INGEST, SCORE

if TYPE_CHECKING:
    from evergreen.explain.explanation import Explanation
    from evergreen.monitoring.record import Decision
    from evergreen.reports.facts import NightFacts
    from evergreen.signals.record import Record
    from evergreen.spec import Spec

NAMED = 12
"""How many features are named at most: those that drifted furthest."""


def night_report(spec: Spec, facts: NightFacts) -> NightReport:
    """What the night brought: to do, what came in, what was set aside, the model, and what was decided."""
    return NightReport(
        pipeline=spec.name,
        description=spec.description,
        owner=spec.owner,
        partition=facts.partition,
        sentence=_sentence(spec, facts),
        to_do=to_do(spec, facts),
        parts=(_came_in(facts), _set_aside(facts), *_model(spec, facts), _decided(spec, facts)),
    )


def course(spec: Spec, nights: Sequence[tuple[Record, Decision]]) -> Course | None:
    """The metric of the nights; None without two that have labels. A night of a new version is marked."""
    if sum(record.error is not None for record, _ in nights) < 2:
        return None
    before = [nights[0][0].version, *(record.version for record, _ in nights)]
    points = tuple(
        NightPoint(
            record.partition, record.error, record.promised, decision.retrain, record.version != version
        )
        for (record, decision), version in zip(nights, before, strict=False)
    )
    return Course(spec.metric.with_unit, points)


def measured_in_words(spec: Spec, record: Record) -> str:
    """The training's metric of a night beside what was promised, or why there is none."""
    if record.error is None:
        estimated = "" if record.estimated is None else f", {number(record.estimated)} estimated"
        return f"no labels yet{estimated}"
    promised = "" if record.promised is None else f" against {number(record.promised)} promised"
    return f"{spec.metric.with_unit} {number(record.error)}{promised}"


def _sentence(spec: Spec, facts: NightFacts) -> str:
    record, decision = facts.record, facts.decision
    if record is None or decision is None:
        return facts.came.sentence
    rows = facts.records.get(facts.partition, {}).get("rows", record.rows)
    decided = "a training is asked for" if decision.retrain else "no retraining"
    return f"{rows_in_words(int(rows))}, {measured_in_words(spec, record)}, {decided}"


def _came_in(facts: NightFacts) -> Part:
    said = [f"{_capital(facts.came.sentence)}."]
    usual = usual_rows([record for key, record in facts.records.items() if key != facts.partition])
    if facts.is_published and usual is not None:
        said.append(f"{rows_in_words(round(usual))} are usual.")
    seconds = (facts.record.health.get("seconds") or {}) if facts.record else {}
    # That of `train` is the champion's, of another night.
    if ran := [
        f"{number(seconds[name])} s to {name}" for name in (INGEST.name, SCORE.name) if name in seconds
    ]:
        said.append(f"It took {' and '.join(ran)}.")
    return Part("What came in", tuple(said))


def _set_aside(facts: NightFacts) -> Part:
    title, grounds = "What was set aside", _grounds(facts.came)
    if not facts.is_published:
        return Part(title, ("Nothing was published, so nothing is in quarantine.",), grounds)
    if not facts.aside:
        return Part(title, ("No row.",), grounds)
    share = quarantined_share(facts.records[facts.partition])
    said = f"{_capital(rows_in_words(facts.aside))}, {percent(share)} of all"
    usual = larger_share(facts)
    return Part(title, (f"{said}{'' if usual is None else f'; {percent(usual)} is usual'}.",), grounds)


def _grounds(found: Explanation) -> Table | None:
    rows = tuple((ground.name, ground.word, ground.detail) for ground in found.grounds)
    return Table(("expectation", "its rows are", "what was found"), rows) if rows else None


def _model(spec: Spec, facts: NightFacts) -> Iterator[Part]:
    title, record = "How the model did", facts.record
    if record is None:
        yield Part(title, ("The partition is not monitored, so nothing is known of it.",))
        return
    said = [f"{record.version} scored {rows_in_words(record.rows)}: {measured_in_words(spec, record)}."]
    metrics = tuple(_metrics(spec, record))
    table = Table(("metric", "night", "pooled", "promised"), metrics) if metrics else None
    yield Part(title, tuple(said), table, course(spec, facts.nights))
    yield _drift(record)


def _metrics(spec: Spec, record: Record) -> Iterator[tuple[str, ...]]:
    for name, found in record.metrics.items():
        if found.get("value") is not None:
            figures = (found.get("value"), found.get("pooled"), found.get("promised"))
            yield (metric_named(name).with_unit, *map(number, figures))


def _drift(record: Record) -> Part:
    title, drifted = "How the data differs", most_drifted(record.drift)
    if not drifted:
        return Part(title, (f"None of {len(record.drift):,} features drifted.",))
    more = f"; the {NAMED} furthest are named" if len(drifted) > NAMED else ""
    share = percent(record.drifted_share)
    said = f"{len(drifted):,} of {len(record.drift):,} features drifted ({share}){more}."
    return Part(title, (said,), Table(("feature", "how far"), tuple(islice(drifted.items(), NAMED))))


def _decided(spec: Spec, facts: NightFacts) -> Part:
    title, record, decision = "What was decided", facts.record, facts.decision
    said = [f"{_capital(told)}." for event in facts.events if (told := event_in_words(event))]
    if record is None or decision is None:
        return Part(title, tuple(said) or ("Nothing: the partition is not monitored.",))
    said.insert(0, f"{_capital(decision.reason)}.")
    if decision.retrain:
        said.insert(1, _starts(spec, facts))
    explained = decision_explained(record, decision)
    rows = tuple((one.name, one.word, one.detail) for one in explained.grounds if _is_of_decision(one.name))
    return Part(title, tuple(said), Table(("signal", "", "what was found"), rows) if rows else None)


def _is_of_decision(name: str) -> bool:
    """Whether a ground is one of the decision: the measurements stand in a part of their own."""
    return name.startswith("signal ") or name in ("held back", "last training", "breaker", "trial")


def _starts(spec: Spec, facts: NightFacts) -> str:
    after = spec.calendar.shift(facts.partition, 1)
    as_of = f" --as-of {after}" if spec.calendar.has_time else ""
    return f"In Airflow the training starts by itself; in a shell: evergreen train {spec.name}{as_of}."


def event_in_words(event: Event) -> str:
    """What happened to a version, in a clause."""
    match event.kind:
        case Kind.PROMOTED:
            replaced = f" in place of {event.replaces}" if event.replaces else ""
            return f"{event.version} was promoted and is in force from {event.as_of} on{replaced}"
        case Kind.REFUSED:
            why = event.reason.get("gate") or event.reason.get("approval")
            return f"{event.version} was refused{f': {why}' if why else ''}"
        case Kind.ROLLED_BACK:
            why = event.reason.get("why")
            return (
                f"{event.replaces} was rolled back, and {event.version} is in force from {event.as_of} on"
                f"{f' ({why})' if why else ''}"
            )
        case Kind.CANARY if event.share:
            return f"{event.version} answers {percent(event.share)} of the requests as a canary"
        case Kind.CANARY:
            return f"{event.version} is no longer a canary"
    return ""


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
