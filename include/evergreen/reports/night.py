"""The report of a night, told from its facts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from evergreen.drift import most_drifted
from evergreen.explain.night import decision_explained
from evergreen.metrics import metric_named
from evergreen.monitoring.health import quarantined_share, usual_rows
from evergreen.notes import measured_in_words, night_in_words
from evergreen.numbers import number, percent, rows_in_words
from evergreen.reports.report import Part, Report, Table
from evergreen.reports.to_do import larger_share, to_do
from evergreen.reports.told import capital, course, event_in_words
from evergreen.stages import INGEST, SCORE

if TYPE_CHECKING:
    from evergreen.explain.explanation import Explanation
    from evergreen.reports.facts import NightFacts
    from evergreen.signals.record import Record
    from evergreen.spec import Spec

NAMED = 12
"""How many features are named at most: those that drifted furthest."""


def night_report(spec: Spec, facts: NightFacts) -> Report:
    """What the night brought: to do, what came in, what was set aside, the model, and what was decided."""
    return Report(
        pipeline=spec.name,
        description=spec.description,
        owner=spec.owner,
        name=facts.partition,
        title=facts.partition,
        partition=facts.partition,
        sentence=_sentence(spec, facts),
        to_do=to_do(spec, facts),
        parts=(_came_in(facts), _set_aside(facts), *_model(spec, facts), _decided(spec, facts)),
        brief=True,
    )


def _sentence(spec: Spec, facts: NightFacts) -> str:
    record, decision = facts.record, facts.decision
    if record is None or decision is None:
        return facts.came.sentence
    rows = facts.records.get(facts.partition, {}).get("rows", record.rows)
    return night_in_words(spec, record, decision, int(rows))


def _came_in(facts: NightFacts) -> Part:
    said = [f"{capital(facts.came.sentence)}."]
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
    said = f"{capital(rows_in_words(facts.aside))}, {percent(share)} of all"
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
    said = [f"{capital(told)}." for event in facts.events if (told := event_in_words(event))]
    if record is None or decision is None:
        return Part(title, tuple(said) or ("Nothing: the partition is not monitored.",))
    said.insert(0, f"{capital(decision.reason)}.")
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
