"""The policies a backtest can compare: `configured`, `never`, and `every N` partitions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evergreen.errors import SpecError
from evergreen.monitoring.policy import Decision, decide
from evergreen.monitoring.record import Record
from evergreen.spec import Spec

_EVERY = re.compile(r"every (\d+)")


@dataclass(frozen=True)
class Policy:
    """When to retrain: by the description's own rules (`configured`), or on a fixed schedule.

    `every` is the number of partitions from one training to the next, None for never again after the first.
    """

    name: str
    every: int | None = None

    @property
    def configured(self) -> bool:
        """Whether the description's own policy decides."""
        return self.name == "configured"

    def decide(self, spec: Spec, records: Sequence[Record], trainings: Sequence[str]) -> Decision:
        """The decision after the newest record; see `evergreen.monitoring.policy.decide`."""
        if self.configured:
            return decide(spec, records, trainings)
        partition, last = records[-1].partition, max(trainings)
        due = self.every is not None and spec.calendar.shift(last, self.every) <= _next(spec, partition)
        return Decision(partition, due, f"{self.name}: last trained as of {last}", {})


def parse_policy(name: str) -> Policy:
    """The policy of this name; `SpecError` if there is none."""
    if name in ("configured", "never"):
        return Policy(name)
    match = _EVERY.fullmatch(name)
    if match and int(match[1]) > 0:
        return Policy(name, int(match[1]))
    raise SpecError(f"no policy '{name}': write 'configured', 'never', or 'every 7' for a fixed schedule")


def _next(spec: Spec, partition: str) -> str:
    return spec.calendar.shift(partition, 1)
