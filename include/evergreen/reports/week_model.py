"""How the model did in a week: the week's metrics beside those promised, and its nights one by one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from evergreen.json_values import finite_or_none
from evergreen.labels.known import newest_known
from evergreen.metrics import metric_named
from evergreen.numbers import number, rows_in_words
from evergreen.reports.report import Table
from evergreen.reports.week_to_do import span

if TYPE_CHECKING:
    from evergreen.metrics import Metric
    from evergreen.monitoring.record import Decision
    from evergreen.reports.facts import WeekFacts
    from evergreen.signals.record import Record
    from evergreen.spec import Spec


@dataclass(frozen=True)
class Measured:
    """How the model did: in short, in sentences, by metric, and a `table` with a line for each `unit`."""

    short: str
    sentences: tuple[str, ...]
    figures: Table | None
    unit: str
    table: Table


def model(spec: Spec, facts: WeekFacts) -> Measured:
    """How the versions in force did in the week."""
    labelled = with_new_labels(spec, facts)
    short = _short(spec, facts, labelled)
    said = [_scored(spec, facts)]
    if labelled:
        late = ", whose labels came in this week" if spec.label_delay else ""
        rows = rows_in_words(sum(record.labelled for record in labelled))
        said.append(f"Over {rows} of {span(_keys(labelled))}{late}: {short}.")
        said += _worse(spec, labelled)
    elif facts.of_week:
        said.append(f"{short.capitalize()}.")
    figures = tuple(_figures(labelled))
    by_day = spec.calendar.grain.facts.unit > 1
    return Measured(
        short,
        tuple(said),
        Table(("metric", "week", "promised"), figures) if figures else None,
        "day" if by_day else spec.calendar.grain.facts.word,
        _one_by_one(spec, facts, by_day),
    )


def with_new_labels(spec: Spec, facts: WeekFacts) -> list[Record]:
    """The nights whose labels became known in the week: its own, if labels do not come later."""
    known = newest_known(spec, spec.calendar.shift(facts.expected[0], -1))
    return [record for record, _ in facts.nights if record.partition > known and record.labelled]


def _short(spec: Spec, facts: WeekFacts, labelled: Sequence[Record]) -> str:
    name = spec.training.metric
    value, promised = pooled(spec.metric, labelled), _promised(name, labelled)
    if value is not None:
        against = "" if promised is None else f" against {number(promised)} promised"
        return f"{spec.metric.with_unit} {number(value)}{against}"
    if labelled:
        return f"{spec.metric.with_unit} is not known of the week as a whole"
    guessed = [(record.estimated, record.rows) for record, _ in facts.of_week]
    estimated = _mean([(value, rows) for value, rows in guessed if value is not None])
    if estimated is not None:
        return f"no labels yet, {number(estimated)} estimated"
    return "no labels yet" if facts.of_week else "nothing monitored"


def pooled(metric: Metric, records: Sequence[Record]) -> float | None:
    """A metric of the labelled rows of all records together; None where that is not known."""
    parts = [part for record in records if (part := record.part(metric.name)) is not None]
    return finite_or_none(metric.pooled(parts)) if parts else None


def _promised(name: str, records: Sequence[Record]) -> float | None:
    """What was promised of a metric, on average over the labelled rows: a new version promises another."""
    found = [(_promise(name, record), record.labelled) for record in records]
    return _mean([(value, rows) for value, rows in found if value is not None])


def _promise(name: str, record: Record) -> float | None:
    return record.promised if name == record.metric else record.metrics.get(name, {}).get("promised")


def _mean(weighted: Sequence[tuple[float, int]]) -> float | None:
    rows = sum(rows for _, rows in weighted)
    return sum(value * rows for value, rows in weighted) / rows if rows else None


def _scored(spec: Spec, facts: WeekFacts) -> str:
    said = []
    for version, run in groupby((record for record, _ in facts.of_week), lambda record: record.version):
        keys = _keys(list(run))
        said.append(f"{version} scored {spec.calendar.counted(len(keys))} ({span(keys)})")
    return f"{'; '.join(said)}." if said else "Nothing of the week is monitored, so nothing is known of it."


def _worse(spec: Spec, labelled: Sequence[Record]) -> Iterator[str]:
    known = [one for one in labelled if one.error is not None and one.promised is not None]
    worse = [one for one in known if spec.metric.loss(one.error or 0.0, one.promised or 0.0) > 0]
    if known:
        yield f"Worse than promised in {len(worse)} of {spec.calendar.counted(len(known))}."


def _figures(labelled: Sequence[Record]) -> Iterator[tuple[str, ...]]:
    for name in labelled[-1].metrics if labelled else ():
        metric = metric_named(name)
        if (value := pooled(metric, labelled)) is not None:
            yield metric.with_unit, number(value), number(_promised(name, labelled))


def _one_by_one(spec: Spec, facts: WeekFacts, by_day: bool) -> Table:
    """A line for each partition; of hours, for each day."""
    unit = "day" if by_day else spec.calendar.grain.facts.word
    columns = (unit, "rows", "set aside", spec.metric.with_unit, "promised", "drifted", "training")
    nights = {record.partition: (record, decision) for record, decision in facts.of_week}
    groups = groupby(facts.expected, lambda key: key.partition("T")[0])
    return Table(columns, tuple(_line(spec, facts, name, list(keys), nights) for name, keys in groups))


def _line(
    spec: Spec, facts: WeekFacts, name: str, keys: Sequence[str], nights: dict[str, tuple[Record, Decision]]
) -> tuple[str, ...]:
    there = [facts.records.get(key, {}) for key in keys if key in facts.published]
    seen = [nights[key] for key in keys if key in nights]
    records = [record for record, _ in seen]
    if not there:
        return (name, "", "", "", "", "", "not published")
    some = f" ({len(there)} of {spec.calendar.counted(len(keys))})" if len(there) < len(keys) else ""
    labelled = [record for record in records if record.labelled]
    drifted = {name for record in records for name, found in record.drift.items() if found["drifted"]}
    asked = sum(decision.retrain for _, decision in seen)
    training = ("asked for" if asked else "no") if seen else "not monitored"
    return (
        name,
        f"{sum(int(one.get('rows', 0)) for one in there):,}{some}",
        f"{sum(int(one.get('quarantined', 0)) for one in there):,}",
        number(pooled(spec.metric, labelled)),
        number(_promised(spec.training.metric, labelled or records)),
        f"{len(drifted):,}" if records else "",
        training,
    )


def _keys(records: Sequence[Record]) -> list[str]:
    return [record.partition for record in records]
