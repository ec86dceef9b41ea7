"""What came of a history: the default policy beside `never` and the fixed schedules. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from evergreen.backtest.tradeoff import Point, on_curve
from evergreen.metrics import metric_named
from evergreen.numbers import number

DEFAULT, NEVER = "default", "never"


@dataclass(frozen=True)
class Run:
    """One policy on one history.

    `value` is the metric over all scored rows. `halted` says in words when the circuit breaker was open.
    `after` has the metric of the 10 partitions from each abrupt break on.
    """

    policy: str
    value: float
    trainings: int
    promotions: int
    halted: str = ""
    reasons: tuple[str, ...] = ()
    after: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """All policies on one history; `years` is how long the scored part is.

    Shares are those of `Metric.worse_by`: an AUC of .78 is 10 % worse than one of .80, not 2.5 %.
    """

    history: str
    stands_for: str
    drift: str
    metric: str
    years: float
    runs: tuple[Run, ...]

    @property
    def default(self) -> Run:
        """The default policy's."""
        return next(run for run in self.runs if run.policy == DEFAULT)

    @property
    def never(self) -> Run:
        """That of a model trained once."""
        return next(run for run in self.runs if run.policy == NEVER)

    @property
    def schedules(self) -> tuple[Run, ...]:
        """The fixed schedules', `never` among them."""
        return tuple(run for run in self.runs if run.policy != DEFAULT)

    @cached_property
    def best(self) -> Run:
        """The schedule of the best value; the one that trains least of several."""
        loss = metric_named(self.metric).loss
        return min(self.schedules, key=lambda run: (loss(run.value), run.trainings))

    @property
    def curve(self) -> float | None:
        """The schedules' metric at the default policy's number of trainings (see `on_curve`)."""
        loss = metric_named(self.metric).loss
        ordered = sorted(self.schedules, key=lambda run: (run.trainings, loss(run.value)))
        fixed = [Point(run.policy, run.trainings, run.value) for run in ordered]
        return on_curve(fixed, self.default.trainings)

    @property
    def above_curve(self) -> float | None:
        """How much worse the default policy is than the curve, as a share; None where that cannot be told."""
        curve = self.curve
        return None if curve is None else self.above(self.default.value, curve)

    @property
    def above_never(self) -> float:
        """How much worse the default policy is than `never`, as a share."""
        return self.above(self.default.value, self.never.value)

    @property
    def after_breaks(self) -> dict[str, float]:
        """By break, how much worse the default is on the 10 partitions than the best schedule, as a share."""
        theirs = self.best.after
        return {key: self.above(value, theirs[key]) for key, value in self.default.after.items()}

    @property
    def sentence(self) -> str:
        """The outcome in one line."""
        own, best = self.default, self.best
        said = f"{self.history}: {self.metric} {number(own.value)} with {own.trainings} trainings"
        said += f", {best.policy} {number(best.value)} with {best.trainings}"
        return said + (f", halted {own.halted}" if own.halted else "")

    def above(self, value: float, other: float) -> float:
        """How much worse a value is than another, as a share. Raises `ValueError` beside a perfect one."""
        share = metric_named(self.metric).worse_by(value, other)
        if share is None:
            raise ValueError(f"{self.history}: {self.metric} {other} is perfect: nothing to take a share of")
        return share

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Outcome:
        """What `to_dict` gave."""
        runs = tuple(Run(**{**run, "reasons": tuple(run["reasons"])}) for run in content["runs"])
        return cls(**{**content, "runs": runs})
