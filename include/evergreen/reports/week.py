"""The report of a week, told from its facts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from evergreen.alerts.alert import SEVERITIES
from evergreen.alerts.conditions import conditions
from evergreen.drift import most_drifted
from evergreen.numbers import percent, rows_in_words
from evergreen.registry.history import Kind
from evergreen.reports.report import Part, Report, Table
from evergreen.reports.store import week_name
from evergreen.reports.told import capital, course, event_in_words
from evergreen.reports.week_model import model
from evergreen.reports.week_to_do import span, week_to_do

if TYPE_CHECKING:
    from evergreen.reports.facts import WeekFacts
    from evergreen.spec import Spec

NAMED = 12
"""How many expectations, features and gaps are named at most."""

_NOUNS = {Kind.PROMOTED: "promoted", Kind.REFUSED: "refused", Kind.ROLLED_BACK: "put in force by a rollback"}


def week_report(spec: Spec, facts: WeekFacts) -> Report:
    """What the week brought: to do, what came in, what was set aside, the model, decisions and alerts."""
    measured = model(spec, facts)
    came = f"{_published(spec, facts)} published, {rows_in_words(facts.total('rows'))}"
    return Report(
        pipeline=spec.name,
        description=spec.description,
        owner=spec.owner,
        name=week_name(facts.week),
        title=f"week of {facts.week}{'' if facts.over else ', so far'}",
        partition=facts.partition,
        sentence=f"{came}, {measured.short}, {_decided_in_short(facts)}",
        to_do=week_to_do(spec, facts),
        parts=(
            _came_in(spec, facts),
            _set_aside(spec, facts),
            Part(
                "How the model did",
                measured.sentences,
                measured.figures,
                course(spec, facts.nights, facts.expected[0]),
            ),
            Part(f"{measured.unit.capitalize()} by {measured.unit}", (), measured.table),
            _drift(spec, facts),
            _decided(spec, facts),
            _alerts(spec, facts),
        ),
        kind="weekly_report",
    )


def _published(spec: Spec, facts: WeekFacts) -> str:
    return f"{len(facts.published)} of {spec.calendar.counted(len(facts.expected))}"


def _came_in(spec: Spec, facts: WeekFacts) -> Part:
    are = "is" if len(facts.expected) == 1 else "are"
    said = [f"{_published(spec, facts)} {are} published, with {rows_in_words(facts.total('rows'))}."]
    usual = [record.health.get("usual_rows") for record, _ in facts.of_week]
    if usual and len(usual) == len(facts.published) and None not in usual:
        said.append(f"{rows_in_words(round(sum(filter(None, usual))))} are usual.")
    if late := _late(spec, facts):
        shown = ", ".join(late[:NAMED]) + (f" and {len(late) - NAMED} more" if len(late) > NAMED else "")
        said.append(f"{shown} came late: after what follows {'it' if len(late) == 1 else 'them'}.")
    if not facts.over:
        said.append("The week is not over: what is told ends with its newest partition.")
    rows = tuple(
        (
            span((gap.first, gap.last)),
            str(gap.count),
            "ingested, and there were no rows" if gap.empty else gap.sentence,
        )
        for gap in facts.gaps[:NAMED]
    )
    return Part("What came in", tuple(said), _table(("not published", "how many", "what became of it"), rows))


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table | None:
    return Table(columns, tuple(rows)) if rows else None


def _late(spec: Spec, facts: WeekFacts) -> list[str]:
    """The partitions that were missing when a later one was monitored, and are published now."""
    missed = {
        spec.calendar.shift(record.partition, -back)
        for record, _ in facts.of_week
        for back in range(1, (record.health.get("missing") or 0) + 1)
    }
    return [key for key in facts.published if key in missed]


def _set_aside(spec: Spec, facts: WeekFacts) -> Part:
    title, aside = "What was set aside", facts.total("quarantined")
    if not aside:
        return Part(title, ("No row.",))
    share = percent(aside / (aside + facts.total("rows")))
    rows = tuple((one.expectation, f"{one.rows:,}", str(one.partitions)) for one in facts.aside[:NAMED])
    columns = ("expectation", "rows that break it", f"{spec.calendar.grain.facts.word}s")
    return Part(title, (f"{capital(rows_in_words(aside))}, {share} of all.",), _table(columns, rows))


def _drift(spec: Spec, facts: WeekFacts) -> Part:
    title, counted = "How the data differs", spec.calendar.counted(len(facts.of_week))
    if not facts.of_week:
        return Part(title, ("Nothing of the week is monitored.",))
    nights, last = Counter[str](), dict[str, str]()
    for record, _ in facts.of_week:
        for name, words in most_drifted(record.drift).items():
            nights[name] += 1
            last[name] = f"{record.partition}: {words}"
    features = len({name for record, _ in facts.of_week for name in record.drift})
    said = [f"{len(nights) or 'None'} of {features:,} features drifted in the {counted} that are monitored."]
    moved = sum(bool((record.prediction_drift or {}).get("drifted")) for record, _ in facts.of_week)
    if moved:
        said.append(f"The predictions drifted in {moved} of them.")
    if len(nights) > NAMED:
        said.append(f"The {NAMED} that drifted most often are named.")
    rows = tuple((name, str(count), last[name]) for name, count in nights.most_common(NAMED))
    columns = ("feature", f"{spec.calendar.grain.facts.word}s", "how far, the last time")
    return Part(title, tuple(said), _table(columns, rows))


def _decided_in_short(facts: WeekFacts) -> str:
    asked = sum(decision.retrain for _, decision in facts.of_week)
    found = Counter(event.kind for event in facts.events)
    said = [f"{asked} training{'' if asked == 1 else 's'} asked for"] if asked else ["no training asked for"]
    for kind, words in _NOUNS.items():
        if found[kind]:
            said.append(f"{found[kind]} version{'' if found[kind] == 1 else 's'} {words}")
    return ", ".join(said)


def _decided(spec: Spec, facts: WeekFacts) -> Part:
    said = [f"{capital(_decided_in_short(facts))}."]
    held = [decision for _, decision in facts.of_week if decision.evidence.get("blocked")]
    if held:
        said.append(
            f"In {len(held)} of {spec.calendar.counted(len(facts.of_week))} a training was held back, "
            f"the last time because: {held[-1].evidence['blocked']}."
        )
    rows = sorted(_decisions(facts), key=lambda row: row[0])
    return Part("What was decided", tuple(said), _table(("as of", "what", "why"), rows))


def _decisions(facts: WeekFacts) -> Iterator[tuple[str, str, str]]:
    for record, decision in facts.of_week:
        if decision.retrain:
            yield record.partition, "a training is asked for", decision.reason
    for event in facts.events:
        if told := event_in_words(event):
            trained = event.reason.get("sentence") if event.kind is not Kind.ROLLED_BACK else None
            yield event.as_of, told, f"trained because {trained}" if trained else ""


def _alerts(spec: Spec, facts: WeekFacts) -> Part:
    """What held after each night, by the conditions of alerts, and what is open after the last."""
    title, rows = "What was alerted on", list(_alert_rows(spec, facts))
    if not rows:
        return Part(title, ("Nothing.",))
    still = len(facts.alerts)
    said = (
        f"{len(rows)} condition{'' if len(rows) == 1 else 's'}; {still or 'none'} open after the last night."
    )
    columns = ("alert", "severity", f"{spec.calendar.grain.facts.word}s", "the last", "after the week")
    return Part(title, (said,), _table(columns, rows))


def _alert_rows(spec: Spec, facts: WeekFacts) -> Iterator[tuple[str, ...]]:
    held = [alert for night in facts.of_week for alert in conditions(spec, *night)]
    count, last = Counter(alert.key for alert in held), {alert.key: alert for alert in held}
    still = {alert.key: alert for alert in facts.alerts}
    found = {**last, **still}
    for key, alert in sorted(found.items(), key=lambda one: -SEVERITIES.index(one[1].severity)):
        # One that holds in the last night and is not open is muted.
        over = "muted" if alert.partition == facts.partition else "over"
        times = f"{count[key]}" if key in count else ""
        yield alert.title, alert.severity, times, alert.partition, "open" if key in still else over
