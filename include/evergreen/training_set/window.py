"""Where the training window begins: a length back, or with `window: since change` at a break that was found.

A sequential test that crosses also estimates when the error changed: after the last partition on which its
sum was 0 (Page 1954, "Continuous inspection schemes", Biometrika 41; Hinkley 1971, "Inference about the
change-point from cumulative sum tests", Biometrika 58). The decision that asks for a training hands the break
on with its evidence, so the same request always gives the same window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from evergreen.calendar import Length
from evergreen.spec import Spec
from evergreen.units import SinceChange


@dataclass(frozen=True)
class Change:
    """A break: `since` is the first partition after it, found by a `signal` in the night of `partition`."""

    since: str
    signal: str
    partition: str

    def to_dict(self) -> dict[str, str]:
        """JSON values, as evidence of a decision."""
        return asdict(self)


def change_in(reason: Mapping[str, Any]) -> Change | None:
    """The break that the decision knew which asked for a training; None if it knew none.

    `reason` is that of a training. A person may have written any, so what is not a whole break is none.
    """
    evidence = reason.get("evidence")
    found = evidence.get("change") if isinstance(evidence, Mapping) else None
    if not isinstance(found, Mapping):
        return None
    names = [part.name for part in fields(Change)]
    parts = {name: found[name] for name in names if isinstance(found.get(name), str)}
    return Change(**parts) if len(parts) == len(names) else None


def window_start(spec: Spec, as_of: str, change: Change | None = None) -> str:
    """Key of the first partition in the training window as of a partition.

    With `window: since change` it is the first one after the break, if one is known: not before the window's
    longest length, and not so late that fewer partitions are left than a training needs (`fewest`). Raises
    `PartitionError` for a break at a wrong key.
    """
    window = spec.training.window
    start = spec.calendar.back(as_of, window)
    if change is None or not isinstance(window, SinceChange):
        return start
    spec.calendar.check(change.since)
    return max(start, min(change.since, spec.calendar.shift(as_of, -fewest(spec, as_of))))


def read_start(spec: Spec, as_of: str, change: Change | None = None) -> str:
    """Key of the first partition that training reads: the window's look-back starts there."""
    return spec.looks_back_to(window_start(spec, as_of, change))


def fewest(spec: Spec, as_of: str) -> int:
    """How many partitions a window since a change has at least.

    `training.minimum`; a tenth of the longest window, as two trainings lie apart by default; at most half of
    them held out; and besides the hold-out one more than the folds, with their gap. Where labels come later,
    the partitions that have none yet come on top.
    """
    calendar, training = spec.calendar, spec.training
    late = calendar.count(spec.label_delay, before=as_of)
    tuned = training.tuning.folds + 1 + calendar.count(training.tuning.gap, before=as_of)
    if isinstance(training.holdout, Length):
        held = calendar.count(training.holdout, before=calendar.shift(as_of, -late))
        split = max(2 * held, held + tuned)
    else:
        split = math.ceil((tuned + 1) / (1 - training.holdout))  # a share is rounded up
    tenth = round(calendar.about(training.window) / 10)
    return late + max(calendar.count(training.minimum, before=as_of), tenth, split)
