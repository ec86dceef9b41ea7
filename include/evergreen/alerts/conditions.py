"""Which alerts hold after a partition was monitored, by its record and its decision. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from evergreen.alerts.alert import Alert
from evergreen.json_values import number_or_nan
from evergreen.monitoring.fairness import result_in
from evergreen.monitoring.policy import nights_of
from evergreen.monitoring.promise import told
from evergreen.monitoring.standing_bias import StandingBias
from evergreen.signals import SIGNALS, coverage, drift, performance, skew
from evergreen.signals.single import OfSinglePartitions

if TYPE_CHECKING:
    from evergreen.monitoring.record import Decision
    from evergreen.signals.record import Record
    from evergreen.spec import FairnessRule, Spec
    from evergreen.spec.alerts import Severity

PERFORMANCE, LIMIT, DRIFT, CIRCUIT = "performance", "limit", "drift", "circuit"
FAIRNESS, PROMISE, BIAS, COVERAGE, SKEW = "fairness", "promise", "bias", "coverage", "skew"
VOLUME, QUARANTINE, AGE, MISSING, GOLDEN = "volume", "quarantine", "age", "missing", "golden"


class _Check(NamedTuple):
    """Whether a condition holds. There is no check of what is unknown for this partition."""

    key: str
    holds: bool
    severity: Severity
    title: str
    text: str


def conditions(spec: Spec, record: Record, decision: Decision) -> list[Alert]:
    """The alerts that hold now, in a fixed order."""
    return [
        Alert(check.key, check.severity, check.title, check.text, spec.name, record.partition)
        for check in _checks(spec, record, decision)
        if check.holds
    ]


def judged(spec: Spec, record: Record, decision: Decision) -> frozenset[str]:
    """Keys of the alerts that the record can confirm or end; the others stay as they are.

    Without labels, for instance, it is unknown whether performance has recovered.
    """
    return frozenset(check.key for check in _checks(spec, record, decision))


def slow(stage: str) -> str:
    """Key of the alert that a run of the stage takes longer than its limit."""
    return f"slow_{stage}"


def _checks(spec: Spec, record: Record, decision: Decision) -> Iterator[_Check]:
    yield from _performance(spec, record, decision)
    yield from _limit(spec, record)
    yield _promise(spec, record)
    yield from _bias(spec, record, decision)
    yield from _coverage(spec, record, decision)
    yield from _fairness(spec, record)
    yield from _drift(spec, record, decision)
    yield from _skew(spec, record)
    yield _circuit(spec, decision)
    yield from _rows(spec, record)
    yield from _continuity(spec, record)
    yield _golden(spec, record)
    yield from _slow(spec, record)


def _performance(spec: Spec, record: Record, decision: Decision) -> Iterator[_Check]:
    """The policy's own signals where it has them; else the partition alone against the tolerance."""
    signals = _signals(decision, PERFORMANCE)
    title = "performance is worse than promised"
    if signals:
        fires = bool(_firing(decision) & set(signals))
        measured = any(_judged(name, signal) for name, signal in signals.items())
        if fires or measured:
            yield _Check(PERFORMANCE, fires, "warning", title, decision.reason)
        return
    value, rows = _measured(spec, record)
    if value is None or record.promised is None:
        return
    tolerance = performance.PERFORMANCE.of(spec.monitoring).tolerance
    text = (
        f"{record.metric} is {value:.4g} over {rows} rows against {record.promised:.4g} "
        f"promised ({performance.tolerated(spec.metric, tolerance)})"
    )
    fires = performance.beyond_tolerance(spec.metric, spec.monitoring, value, record.promised)
    yield _Check(PERFORMANCE, fires, "warning", title, text)


def _limit(spec: Spec, record: Record) -> Iterator[_Check]:
    """The training metric against the hard limit that the gate holds it to."""
    limit = spec.gate.limits.get(record.metric)
    known = _measured(spec, record)[0]
    value = record.estimated if known is None else known
    if limit is None or value is None:
        return
    estimated = " (estimated, there are no labels yet)" if known is None else ""
    below = limit.min is not None and value < limit.min
    above = limit.max is not None and value > limit.max
    bound = f"at least {limit.min:g}" if below else f"at most {limit.max:g}" if above else ""
    title = f"{record.metric} is {value:.4g}{estimated}, beyond its limit"
    text = (
        f"{record.metric} of the champion {record.version} is {value:.4g}{estimated}; gate.limits asks for "
        f"{bound}: look at the rows, and roll back or train again if it stays so"
    )
    yield _Check(LIMIT, below or above, "warning" if estimated else "critical", title, text)


def _promise(spec: Spec, record: Record) -> _Check:
    """The promise of the champion beside that of the one before it: no measurement is held against both."""
    said = told(spec, record.promised, record.before)
    text = (
        f"the champion {record.version} promises {said}: see what changed in the data, and train again once "
        f"more of the training window is new (evergreen train {spec.name})"
    )
    return _Check(PROMISE, bool(said), "warning", "the champion promises less than its predecessor", text)


def _bias(spec: Spec, record: Record, decision: Decision) -> Iterator[_Check]:
    found = decision.evidence.get("standing_bias")
    if found is None:
        return
    bias = StandingBias(**{**found, "reach": number_or_nan(found["reach"])})
    text = (
        f"champion {record.version}: {bias.words(spec.calendar)}: a training can learn it from the nights it "
        f"stands in (evergreen train {spec.name})"
    )
    yield _Check(BIAS, bias.stands, "warning", "predictions are off to one side", text)


def _coverage(spec: Spec, record: Record, decision: Decision) -> Iterator[_Check]:
    found = decision.evidence.get("coverage")
    if found is None or found.get(coverage.COVERAGE.figure) is None:
        return
    text = (
        f"champion {record.version}: {found['clause']}: do not rely on them until a training has "
        f"learnt new ones (evergreen train {spec.name})"
    )
    yield _Check(COVERAGE, found["fires"], "warning", "the truth is missed more often than promised", text)


def _measured(spec: Spec, record: Record) -> tuple[float | None, int]:
    """The training metric and the rows it is of: the night's, but of several nights where one says little."""
    pooled = record.metrics.get(record.metric, {}).get("pooled")
    if spec.metric.pools == "rows" and pooled is not None:
        return pooled, int(record.window["rows"])
    return record.error, record.labelled


def _fairness(spec: Spec, record: Record) -> Iterator[_Check]:
    """The rules of the gate, on the rows of the last nights together."""
    judged = [
        (rule, one["pooled"])
        for rule, one in zip(spec.gate.fairness, record.fairness, strict=False)
        if one.get("pooled", {}).get("holds") is not None
    ]
    if not judged:
        return
    over = spec.calendar.counted(record.window["partitions"]) if spec.calendar.has_time else "the snapshot"
    said = [_unlike(rule, pooled) for rule, pooled in judged if not pooled["holds"]]
    text = (
        f"over {over}: {'; '.join(said)}: look at the rows of the groups, and at what the model knows of them"
    )
    yield _Check(FAIRNESS, bool(said), "warning", "groups are treated more unlike than allowed", text)


def _unlike(rule: FairnessRule, pooled: Mapping[str, Any]) -> str:
    groups = sorted(result_in(rule, pooled).judged, key=lambda group: group.metric)
    ends = " and ".join(
        f"{one.metric:.4g} of {one.value} ({one.rows} rows)" for one in (groups[0], groups[-1])
    )
    asked = []
    if rule.max_difference is not None:
        asked.append(f"a difference of at most {rule.max_difference:g}")
    if rule.min_ratio is not None:
        asked.append(f"a ratio of at least {rule.min_ratio:g}")
    return f"{rule.measure} by {rule.column} is {ends}; gate.fairness asks for {' and '.join(asked)}"


def _drift(spec: Spec, record: Record, decision: Decision) -> Iterator[_Check]:
    """The policy's own signals where it has them; else those of single partitions, of this one alone."""
    signals, firing = _signals(decision, DRIFT), _firing(decision)
    if signals:
        clauses = {name: str(found.get("clause", "")) for name, found in signals.items() if name in firing}
    else:
        clauses = _alone(spec, record)
    said = [SIGNALS[name].warning(record, clause) for name, clause in clauses.items()]
    if drift.together(record) and drift.DRIFT.name not in clauses:
        said.append(drift.TOGETHER)
    text = f"{'; '.join(said)}: see what changed in the sources"
    yield _Check(DRIFT, bool(said), "warning", "the data has drifted", text)


def _alone(spec: Spec, record: Record) -> dict[str, str]:
    nights = nights_of(spec, [record])
    holding = (
        one
        for one in SIGNALS.values()
        if one.alert == DRIFT and isinstance(one, OfSinglePartitions) and one.holds(nights, record)
    )
    return {one.name: one.look(nights).clause for one in holding}


def _skew(spec: Spec, record: Record) -> Iterator[_Check]:
    """Whether or not the policy looks at it: a training mends no skew."""
    signal, nights = skew.SKEW, nights_of(spec, [record])
    if signal.look(nights).figures[signal.figure] is None:
        return
    text = (
        f"{signal.warning(record, '')}: see evergreen serve skew {spec.name} --partition {record.partition}"
    )
    title = "what is served differs from what is published"
    yield _Check(SKEW, signal.holds(nights, record), "warning", title, text)


def _circuit(spec: Spec, decision: Decision) -> _Check:
    found = decision.evidence.get("breaker") or {"state": "closed", "worse": 0}
    text = (
        f"{found['worse']} challengers in a row were worse and the breaker is {found['state']}: "
        f"{decision.reason}: see why they are worse (evergreen models list {spec.name}), then "
        "promote a version, or fix data or description and train by hand"
    )
    holds = found["state"] != "closed"
    return _Check(CIRCUIT, holds, "critical", "the circuit breaker has opened and needs a person", text)


def _rows(spec: Spec, record: Record) -> Iterator[_Check]:
    limits = spec.monitoring.health
    rows, usual = record.health.get("rows"), record.health.get("usual_rows")
    if rows is not None and usual:
        change = rows / usual - 1
        word = "fewer" if change < 0 else "more"
        text = f"{rows} rows where {usual:g} are usual ({change:+.0%}, limit {limits.volume:.0%})"
        title = f"{word} rows than usual"
        yield _Check(VOLUME, abs(change) > limits.volume, "warning", title, f"{text}: see the sources")
    share = record.health.get("quarantined")
    if share is not None:
        text = (
            f"{share:.1%} of the rows are in quarantine (limit {limits.quarantined:.1%}): see evergreen "
            f"quarantine list {spec.name} --partition {record.partition}"
        )
        yield _Check(QUARANTINE, share > limits.quarantined, "warning", "many rows in quarantine", text)


def _continuity(spec: Spec, record: Record) -> Iterator[_Check]:
    limits, calendar = spec.lengths, spec.calendar
    missing = record.health.get("missing")
    if missing is not None:
        most = calendar.count(limits.missing, before=record.partition)
        text = (
            f"{missing} partitions before this one are not published (limit {most}): ingest them, "
            f"evergreen ingest {spec.name} --partition KEY"
        )
        yield _Check(MISSING, missing > most, "warning", "partitions are missing", text)
    if limits.age is not None:
        oldest = calendar.count(limits.age, before=calendar.shift(record.partition, 1))
        text = (
            f"the champion {record.version} is {record.age} partitions old (limit {oldest}): train a new "
            f"one, evergreen train {spec.name}"
        )
        yield _Check(AGE, record.age > oldest, "warning", "the champion is old", text)


def _golden(spec: Spec, record: Record) -> _Check:
    why = record.health.get("golden")
    return _Check(GOLDEN, why is not None, "critical", "the champion cannot be used", str(why))


def _slow(spec: Spec, record: Record) -> Iterator[_Check]:
    for stage, seconds in record.health.get("seconds", {}).items():
        limit = spec.alerts.limits.get(stage)
        if limit is not None:
            took = timedelta(seconds=round(seconds))
            text = f"{stage} took {took} (alerts.limits.{stage} is {limit}): see the log of its tasks"
            holds = seconds > limit.total_seconds()
            yield _Check(slow(stage), holds, "warning", f"{stage} takes too long", text)


def _signals(decision: Decision, alert: str) -> dict[str, dict[str, Any]]:
    """The signals of an alert that the policy looked at, with their figures, by name."""
    found: dict[str, dict[str, Any]] = decision.evidence.get("signals") or {}
    return {name: one for name, one in found.items() if name in SIGNALS and SIGNALS[name].alert == alert}


def _judged(name: str, found: Mapping[str, Any]) -> bool:
    figure = SIGNALS[name].figure
    return not figure or found.get(figure) is not None


def _firing(decision: Decision) -> set[str]:
    return set(decision.evidence.get("firing") or ())
