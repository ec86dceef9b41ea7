"""Why a night decided as it did: which signals fired, and what kept a training from starting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from evergreen.explain.explanation import Explanation, Ground
from evergreen.monitoring.record import monitored
from evergreen.numbers import number, percent

if TYPE_CHECKING:
    from evergreen.monitoring.record import Decision
    from evergreen.pipeline import Pipeline
    from evergreen.signals.record import Record


def night_explained(pipeline: Pipeline, partition: str) -> Explanation:
    """Why the night of a monitored partition decided as it did; raises `NotFoundError` for another one."""
    return decision_explained(*monitored(pipeline, partition))


def decision_explained(record: Record, decision: Decision) -> Explanation:
    """Why this decision came after this record."""
    grounds = (*_measured(record), *_signals(decision.evidence), *_limits(decision.evidence))
    return Explanation("decision", decision.partition, f"{decision.partition}: {decision.reason}", grounds)


def _measured(record: Record) -> Iterator[Ground]:
    promised = "" if record.promised is None else f", where {number(record.promised)} was promised"
    if record.error is None:
        yield Ground(record.metric, "unknown", f"none of {record.rows:,} rows has a label yet{promised}")
    else:
        yield Ground(record.metric, number(record.error), f"of {record.labelled:,} rows{promised}")
    drifted = [name for name, found in record.drift.items() if found.get("drifted")]
    yield Ground("drift", percent(record.drifted_share), f"of the features drifted{_named(drifted)}")


def _named(names: list[str]) -> str:
    return f": {', '.join(names)}" if names else ""


def _signals(evidence: Mapping[str, Any]) -> Iterator[Ground]:
    for name, found in (evidence.get("signals") or {}).items():
        yield Ground(
            f"signal {name}", "fires" if found.get("fires") else "quiet", str(found.get("clause", ""))
        )


def _limits(evidence: Mapping[str, Any]) -> Iterator[Ground]:
    if blocked := evidence.get("blocked"):
        yield Ground("held back", "", str(blocked))
    if last := evidence.get("last_training"):
        yield Ground("last training", "", f"as of {last}")
    breaker = evidence.get("breaker") or {}
    if breaker.get("state") not in (None, "closed"):
        until = f", until {breaker['until']}" if breaker.get("until") else ""
        yield Ground("breaker", str(breaker["state"]), f"after {breaker.get('worse')} worse in a row{until}")
    if trial := evidence.get("trial"):
        yield Ground("trial", "promotes" if trial.get("promotes") else "", f"of {trial.get('version')}")
