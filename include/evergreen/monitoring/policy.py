"""The retraining policy: signals that speak for a training, and the limits on how often one may start.

Pure: a decision follows from the description, the records up to a partition and the trainings up to it, so
that the same history gives the same decision in a task, in a shell and in a backtest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evergreen.monitoring.record import Decision, Record
from evergreen.spec import Spec

__all__ = ["Decision", "Signal", "blocked", "decide"]


@dataclass(frozen=True)
class Signal:
    """One reason to retrain, whether it holds, and a clause that says so with its figures."""

    fires: bool
    clause: str
    evidence: dict[str, Any]


def decide(spec: Spec, records: Sequence[Record], trainings: Sequence[str]) -> Decision:
    """Whether to retrain after the newest of the records.

    `records` are those of the partitions up to the one decided on, oldest first; `trainings` the as-of keys
    of the trainings so far, promoted or refused, none later than that partition. What a training already
    answered does not count again: only the partitions since the last one speak. The answer is no while no
    signal named by `monitoring.retrain.on` holds, or while `blocked` says so.
    """
    newest = records[-1]
    as_of = spec.calendar.shift(newest.partition, 1)
    since = max(trainings, default="")
    fresh = [r for r in records if r.partition >= since and r.version == newest.version]
    signals = {name: _SIGNALS[name](spec, fresh) for name in spec.monitoring.retrain.on}
    firing = [signal for signal in signals.values() if signal.fires]
    block = blocked(spec, as_of, trainings) if firing else None
    clauses = "; ".join(signal.clause for signal in firing or signals.values())
    retrain = bool(firing) and block is None
    reason = f"{'retrain' if retrain else 'no retraining'}: {clauses}"
    if block:
        reason += f"; {block}"
    if retrain and since and spec.calendar.has_time:
        reason += f"; last trained as of {since}"
    evidence = {
        "signals": {name: {"fires": s.fires, **s.evidence} for name, s in signals.items()},
        "blocked": block,
        "last_training": since or None,
        "champion": newest.version,
    }
    return Decision(newest.partition, retrain, reason, evidence)


def blocked(spec: Spec, as_of: str, trainings: Sequence[str]) -> str | None:
    """Why no training may start as of a partition, or None if one may.

    Two trainings lie at least `cooldown` partitions apart, and any `per` partitions in a row hold at most
    `times` trainings, whatever became of them. A snapshot has no time to count in: there, the same data and
    description make the same version, which is not trained twice.
    """
    if not spec.calendar.has_time:
        return None
    retrain, calendar = spec.monitoring.retrain, spec.calendar
    last = max(trainings, default=None)
    if last is not None and (until := calendar.shift(last, retrain.cooldown)) > as_of:
        return (
            f"the last training was as of {last} and the cooldown of {retrain.cooldown} partitions ends "
            f"with {until}"
        )
    times, per = retrain.budget
    recent = [key for key in set(trainings) if key > calendar.shift(as_of, -per)]
    if len(recent) >= times:
        since = f", since {min(recent)}" if recent else ""
        return f"the budget of {times} trainings per {per} partitions is spent ({len(recent)}{since})"
    return None


def _performance(spec: Spec, records: Sequence[Record]) -> Signal:
    wanted = spec.monitoring.performance
    over = wanted.over if spec.calendar.has_time else 1
    known = [r for r in records if r.error is not None and r.promised is not None and r.labelled][-over:]
    if len(known) < over:
        clause = f"{len(known)} of the {over} partitions with labels that performance is judged by"
        return Signal(False, clause, {"labelled_partitions": len(known)})
    rows = sum(r.labelled for r in known)
    error = sum((r.error or 0.0) * r.labelled for r in known) / rows
    promised = sum((r.promised or 0.0) * r.labelled for r in known) / rows
    allowed = wanted.tolerance * abs(promised)
    worse = promised - error if spec.higher_is_better else error - promised
    clause = (
        f"{spec.training.metric} {error:.4g} over the last {over} partitions against {promised:.4g} promised "
        f"(tolerance {wanted.tolerance:.0%})"
    )
    evidence = {"error": error, "promised": promised, "partitions": [r.partition for r in known]}
    return Signal(worse > allowed, clause, evidence)


def _drift(spec: Spec, records: Sequence[Record]) -> Signal:
    wanted = spec.monitoring.drift
    over = wanted.over if spec.calendar.has_time else 1
    known = records[-over:]
    share = sum(r.drifted_share for r in known) / len(known) if known else 0.0
    clause = (
        f"{share:.0%} of the features drifted over the last {len(known)} partitions "
        f"(limit {wanted.share:.0%})"
    )
    leading = sorted(_drifted(known[-1]), key=lambda item: -item[1])[:3] if known else []
    if leading:
        clause += ", most of all " + ", ".join(f"{name} (PSI {value:.2f})" for name, value in leading)
    evidence = {"drifted_share": share, "leading": dict(leading)}
    return Signal(len(known) == over and share >= wanted.share, clause, evidence)


def _staleness(spec: Spec, records: Sequence[Record]) -> Signal:
    wanted = spec.monitoring.staleness
    history = records[-1].history if records else 0
    unseen = len(records) / history if history else 0.0
    clause = (
        f"{unseen:.0%} of the {history} partitions in the training window came after the last training "
        f"(limit {wanted.unseen:.0%})"
    )
    return Signal(unseen >= wanted.unseen, clause, {"unseen": unseen, "history": history})


_SIGNALS: dict[str, Callable[[Spec, Sequence[Record]], Signal]] = {
    "performance": _performance,
    "drift": _drift,
    "staleness": _staleness,
}


def _drifted(record: Record) -> list[tuple[str, float]]:
    return [(name, float(found["psi"])) for name, found in record.drift.items() if found["drifted"]]
