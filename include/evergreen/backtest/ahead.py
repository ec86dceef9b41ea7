"""Trainings known in advance (those of fixed schedules), which idle processes can do meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from evergreen.backtest.history import History
from evergreen.backtest.policies import Policy
from evergreen.backtest.replay import may_train_first
from evergreen.spec import Spec


def foreseen(spec: Spec, history: History, policies: Sequence[Policy], first: str, last: str) -> list[str]:
    """The as-of keys that the fixed schedules will ask for from `first` to `last`, if their first passes.

    This only decides when a training is done. A replay still asks for every training that it needs.
    """
    nights = history.published(first, spec.calendar.shift(last, 1))
    start = next((key for key in nights if may_train_first(spec, history, key)), None)
    if start is None:
        return []
    found: set[str] = set()
    for policy in policies:
        if policy.fixed:
            found |= _of_schedule(spec, policy, [key for key in nights if key >= start], last)
    return sorted(found)


def _of_schedule(spec: Spec, policy: Policy, nights: Sequence[str], last: str) -> set[str]:
    newest = nights[0]
    found = {newest}
    for night in nights:
        following = spec.calendar.shift(night, 1)
        if following <= last and policy.due(spec, newest, following):
            newest = following
            found.add(newest)
    return found
