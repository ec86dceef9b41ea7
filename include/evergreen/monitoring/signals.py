"""The signals that speak for a training: what each looks at, whether it fires, and a clause with its figures.

`performance`, `cusum` and `bias` look at several partitions with labels, so one bad partition does not make
them fire, and nothing is smoothed a second time. `estimate`, `drift` and `prediction_drift` are of single
partitions: they fire when they hold in `monitoring.retrain.when` of the last ones, the newest among them.
`staleness` counts partitions. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import floor, log10
from typing import Any

import numpy as np

from evergreen.drift import most_drifted, told
from evergreen.drift.joint import JOINT
from evergreen.drift.psi import PSI
from evergreen.numbers import percent
from evergreen.signals.record import Record
from evergreen.signals.sequential import cusum, page_sums
from evergreen.spec import Spec

SIGNALS = {
    "performance": "performance",
    "cusum": "CUSUM of the error",
    "bias": "bias",
    "estimate": "estimated performance",
    "drift": "drift of the features",
    "prediction_drift": "drift of the predictions",
    "staleness": "staleness",
}
"""The names of the signals, in words."""

_LEADING = 2  # features named in a clause


@dataclass(frozen=True)
class Signal:
    """One reason to retrain, whether it holds, and a clause that says so with its figures."""

    name: str
    fires: bool
    clause: str
    figures: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The signal as evidence of a decision: `fires`, `clause`, and its figures by name."""
        return {"fires": self.fires, "clause": self.clause, **self.figures}


def signals(spec: Spec, records: Sequence[Record]) -> list[Signal]:
    """The signals that the description names, after the newest of the records.

    `records` are those that speak: of the newest champion, since the last training, oldest first, at least
    one, with the labels known by then.
    """
    return [_SIGNALS[name](spec, records) for name in spec.signals]


def _performance(spec: Spec, records: Sequence[Record]) -> Signal:
    limits = spec.monitoring.performance
    over = max(limits.over, 1) if spec.calendar.has_time else 1
    known = _labelled(records, over)
    if len(known) < over:
        clause = f"labels of {len(known)} of the {spec.calendar.counted(over)} that performance is judged by"
        return Signal("performance", False, clause, {"partitions": len(known), "wanted": over})
    rows = sum(record.labelled for record in known)
    error = sum((record.error or 0.0) * record.labelled for record in known) / rows
    promised = sum((record.promised or 0.0) * record.labelled for record in known) / rows
    fires = _worse(spec, error, promised)
    figures = {
        "error": error,
        "promised": promised,
        "tolerance": limits.tolerance,
        "partitions": len(known),
        "first": known[0].partition,
        "last": known[-1].partition,
    }
    over_them = f" over {_stretch(spec, known, records[-1])}" if spec.calendar.has_time else ""
    clause = (
        f"{spec.metric.words} {_against(error, promised, over_them)}"
        f"{'' if fires else f' (tolerance {percent(limits.tolerance)})'}"
    )
    return Signal("performance", fires, clause, figures)


def _cusum(spec: Spec, records: Sequence[Record]) -> Signal:
    if not spec.calendar.has_time:
        return Signal("cusum", False, "a snapshot has no CUSUM", {})
    known = _labelled(records, len(records))
    if not known:
        return Signal("cusum", False, "no labels for a CUSUM", {"partitions": 0})
    limits, newest = spec.monitoring.performance.cusum, known[-1]
    if newest.usual is None or not newest.spread:
        return Signal("cusum", False, "the hold-out has too few partitions for a CUSUM", {"spread": None})
    found = cusum(
        [record.error or 0.0 for record in known],
        newest.usual,
        newest.spread,
        limits.k,
        limits.h,
        partitions=[record.partition for record in known],
        higher_is_better=spec.metric.higher_is_better,
    )
    at = spec.calendar.on(found.at) if found.at else ""
    clause = f"CUSUM crossed {at}" if found.crossed else f"CUSUM {found.sum:.1f} of {limits.h:g}"
    figures = {
        "sum": found.sum,
        "limit": limits.h,
        "since": found.since,
        "at": found.at,
        "usual": newest.usual,
        "spread": newest.spread,
        "partitions": len(known),
    }
    return Signal("cusum", found.crossed, clause, figures)


def _bias(spec: Spec, records: Sequence[Record]) -> Signal:
    known = [record for record in records if record.bias is not None and record.level]
    if not known:
        return Signal("bias", False, "no labels that show a bias", {"partitions": 0})
    limits, unseen = spec.monitoring.bias, _unseen(records)
    shares = np.array([(record.bias or 0.0) / (record.level or 1.0) for record in known])
    sums = page_sums(np.stack([shares, -shares]), limits.k, limits.h)
    # Once crossed it counts until a training answers it, for that may wait until enough is unseen.
    crossed = sums.max(axis=0) > limits.h
    at = known[int(crossed.argmax())].partition if crossed.any() else None
    mean = float(shares.mean())
    side = "more" if mean > 0 else "less"
    clause = f"predicts {percent(abs(mean))} {side} than the actual level since the last training"
    clause += (
        f", sum crossed with {at}" if at else f" (sum {percent(float(sums.max()))} of {percent(limits.h)})"
    )
    if at and unseen < limits.unseen:
        clause += f", {percent(unseen)} of the training window unseen ({percent(limits.unseen)} wanted)"
    figures = {
        "bias": mean,
        "sum": float(sums[:, -1].max()),
        "limit": limits.h,
        "at": at,
        "unseen": unseen,
        "unseen_wanted": limits.unseen,
        "partitions": len(known),
    }
    return Signal("bias", at is not None and unseen >= limits.unseen, clause, figures)


def _estimate(spec: Spec, records: Sequence[Record]) -> Signal:
    newest, metric = records[-1], spec.metric.words
    if newest.estimated is None or newest.promised is None:
        return Signal("estimate", False, f"no estimate of the {metric} without labels", {"estimated": None})
    times = _times(spec, records, lambda record: _worse(spec, record.estimated, record.promised))
    tolerance = spec.monitoring.performance.tolerance
    clause = (
        f"{metric} estimated without labels over {percent(tolerance)} worse than promised {times.words}"
        f" ({times.wanted_words}{_against(newest.estimated, newest.promised)})"
    )
    figures = {"estimated": newest.estimated, "promised": newest.promised, "tolerance": tolerance}
    return Signal("estimate", times.fires, clause, {**figures, **times.figures})


def _drift(spec: Spec, records: Sequence[Record]) -> Signal:
    limit, newest = spec.monitoring.drift.share, records[-1]
    times = _times(spec, records, lambda record: _together(record) or _beyond(record.drifted_share, limit))
    leading = dict(islice(most_drifted(newest.drift).items(), _LEADING))
    together = f" or all of them together ({JOINT.told(newest.joint)})" if newest.joint else ""
    named = f": {' and '.join(f'{name} {told}' for name, told in leading.items())}" if leading else ""
    clause = (
        f"at least {percent(limit)} of the features{together} drifted {times.words}"
        f" ({times.wanted_words}{percent(newest.drifted_share)} on the newest{named})"
    )
    figures = {"drifted_share": newest.drifted_share, "limit": limit, "leading": list(leading)}
    if newest.joint:
        figures |= {JOINT.name: newest.joint["auc"]}
    return Signal("drift", times.fires, clause, {**figures, **times.figures})


def _prediction_drift(spec: Spec, records: Sequence[Record]) -> Signal:
    found = records[-1].prediction_drift
    if found is None:
        return Signal("prediction_drift", False, "no reference for the predictions", {PSI.name: None})
    times = _times(spec, records, lambda record: bool((record.prediction_drift or {}).get("drifted")))
    clause = f"the predictions drifted {times.words} ({times.wanted_words}{told(found)} on the newest)"
    return Signal("prediction_drift", times.fires, clause, {PSI.name: found[PSI.name], **times.figures})


def _staleness(spec: Spec, records: Sequence[Record]) -> Signal:
    limit, history, unseen = spec.monitoring.staleness.unseen, records[-1].history, _unseen(records)
    clause = (
        f"{percent(unseen)} of the {spec.calendar.counted(history)} in the training window came after the "
        f"last training (limit {percent(limit)})"
    )
    figures = {"unseen": unseen, "limit": limit, "history": history}
    return Signal("staleness", unseen >= limit, clause, figures)


def _unseen(records: Sequence[Record]) -> float:
    """The share of the partitions now in the training window that came after the last training."""
    history = records[-1].history
    return len(records) / history if history else 0.0


_SIGNALS: Mapping[str, Callable[[Spec, Sequence[Record]], Signal]] = {
    "performance": _performance,
    "cusum": _cusum,
    "bias": _bias,
    "estimate": _estimate,
    "drift": _drift,
    "prediction_drift": _prediction_drift,
    "staleness": _staleness,
}


@dataclass(frozen=True)
class _Times:
    """In how many of the last partitions something held, and whether that is often enough."""

    held: int
    among: int
    wanted: int
    newest: bool
    stretch: str

    @property
    def fires(self) -> bool:
        return self.newest and self.held >= self.wanted

    @property
    def words(self) -> str:
        share = {0: "none of ", self.among: "each of " if self.among > 1 else ""}
        return f"on {share.get(self.held, f'{self.held} of ')}{self.stretch}"

    @property
    def wanted_words(self) -> str:
        return f"{self.wanted} wanted; " if 0 < self.held < self.wanted else ""

    @property
    def figures(self) -> dict[str, Any]:
        return {"held": self.held, "among": self.among, "wanted": self.wanted}


def _times(spec: Spec, records: Sequence[Record], holds: Callable[[Record], bool]) -> _Times:
    times, of = spec.monitoring.retrain.when if spec.calendar.has_time else (1, 1)
    last = records[-of:]
    held = [holds(record) for record in last]
    return _Times(sum(held), len(last), times, held[-1], _stretch(spec, last, records[-1]))


def _labelled(records: Sequence[Record], most: int) -> list[Record]:
    """The newest records, at most so many, that have an error to hold against a promise; oldest first."""
    known: list[Record] = []
    for record in reversed(records):
        if len(known) == most:
            break
        if record.labelled and record.error is not None and record.promised is not None:
            known.append(record)
    return known[::-1]


def _worse(spec: Spec, error: float | None, promised: float | None) -> bool:
    """Whether an error lies beyond the tolerance of what was promised; unknown ones do not."""
    if error is None or promised is None:
        return False
    allowed = spec.metric.allowance(promised, spec.monitoring.performance.tolerance)
    return spec.metric.loss(error, promised) > allowed


def _beyond(share: float, limit: float) -> bool:
    return share > 0 and share >= limit


def _together(record: Record) -> bool:
    return bool((record.joint or {}).get("drifted"))


def _stretch(spec: Spec, records: Sequence[Record], newest: Record) -> str:
    """Partitions in words: `the last 5 days` where they are just that, or else from which to which."""
    calendar, count = spec.calendar, len(records)
    if not calendar.has_time:
        return "the snapshot"
    first, last = records[0].partition, records[-1].partition
    if last == newest.partition and calendar.distance(first, last) == count - 1:
        return calendar.last(count)
    return f"{calendar.counted(count)} from {first} to {last}" if count > 1 else first


def _against(value: float, promised: float, between: str = "") -> str:
    """Two figures side by side, with as many digits as tell them apart."""
    for digits in (3, 4, 5, 6):
        said, other = _figure(value, digits), _figure(promised, digits)
        if said != other or value == promised:
            break
    return f"{said}{between} against {other} promised"


def _figure(value: float, digits: int) -> str:
    """A number with so many significant digits, and never fewer than it has before the point."""
    if not value:
        return "0"
    places = digits - 1 - floor(log10(abs(value)))
    return f"{value:,.{max(places, 0)}f}" if places <= 9 else f"{value:.{digits}g}"
