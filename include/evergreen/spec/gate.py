"""The rules of the gate: what a challenger must meet to be promoted."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from evergreen.calendar import Length
from evergreen.description import Described
from evergreen.metrics import METRICS
from evergreen.metrics.rates import RATES
from evergreen.units import Column, Duration, RowCount, Share, Size, SomeLength, Tolerance


class Limit(Described):
    """An absolute limit on a metric of the hold-out; bounds are included."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _a_bound(self) -> Limit:
        if self.min is None and self.max is None:
            raise ValueError("give 'min', 'max' or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("'min' must not be above 'max'")
        return self


class ChampionRule(Described):
    """How a challenger is compared with the champion, on the same hold-out rows.

    The difference of `training.metric` gets an interval of this `confidence` by a paired bootstrap of
    `rounds` resamples, in moving blocks as long as `block` (not for snapshots). With `non_inferiority` the
    whole interval must be at most a loss of `margin`; with `superiority` the whole interval must be a gain of
    more than `margin`. A margin is a share of the champion's distance from a perfect model: of its error
    itself, or of what its accuracy lacks to 1 (`Metric.allowance`).
    """

    test: Literal["non_inferiority", "superiority"] = "non_inferiority"
    margin: Tolerance = 0.0
    confidence: Share = Field(default=0.95, ge=0.5, lt=1)
    rounds: int = Field(default=1_000, ge=100, le=100_000)
    block: SomeLength = Length(1)

    @property
    def one_sided(self) -> float:
        """The nominal error of the one end of the interval that decides: 2.5 % of a confidence of 95 %."""
        return (1 - self.confidence) / 2


class SliceRule(Described):
    """On the rows of each value of `column` the loss must not exceed `margin`, except perhaps by chance.

    The margin is a share like that of `ChampionRule`. A value with fewer rows than `minimum` is reported but
    not judged; if it is `required`, it is refused. `true` requires all values.
    """

    column: Column
    margin: Tolerance = 0.1
    minimum: int = Field(default=30, ge=2)
    required: bool | tuple[bool | str | int | float, ...] = False


class FairnessRule(Described):
    """How far a rate or a metric may differ between any two values of `column`.

    It is either a `rate` of the `positive` class (by default the second of two, in sorted order) or a
    `metric` of the task, of which those of classes are the mean over all of them (macro). The largest value
    may be at most `max_difference` above the smallest, and the smallest at least `min_ratio` of the largest
    (80 % is the four-fifths rule). A value with fewer rows than `minimum` is reported and not judged.
    """

    column: Column
    rate: str | None = None
    positive: bool | int | float | str | None = None
    metric: str | None = None
    max_difference: float | None = Field(default=None, gt=0)
    min_ratio: Share | None = Field(default=None, gt=0)
    minimum: int = Field(default=30, ge=2)

    @property
    def measure(self) -> str:
        """What is compared, in words."""
        if self.rate is None:
            return str(self.metric)
        return self.rate if self.positive is None else f"{self.rate} of {self.positive}"

    @model_validator(mode="after")
    def _one_measure(self) -> FairnessRule:
        if self.metric in RATES and self.metric not in METRICS:
            raise ValueError(f"'{self.metric}' is a rate of the positive class: write rate: {self.metric}")
        if (self.rate is None) == (self.metric is None):
            raise ValueError("give 'rate' or 'metric', and not both")
        if self.rate is not None and self.rate not in RATES:
            raise ValueError(f"rate: '{self.rate}' is none of {', '.join(RATES)}")
        if self.rate is None and self.positive is not None:
            raise ValueError("positive: a metric has no positive class: name a 'rate'")
        if self.max_difference is None and self.min_ratio is None:
            raise ValueError("give 'max_difference', 'min_ratio' or both")
        return self


class Latency(Described):
    """The 95th percentile of the time a prediction takes, in milliseconds: of one row, and of 1,000 rows."""

    row: float | None = Field(default=None, gt=0)
    thousand_rows: float | None = Field(default=None, gt=0)


class Resources(Described):
    """Limits on the model's resources: time to predict, size of its file, memory once loaded."""

    latency: Latency = Latency()
    size: Size | None = None
    memory: Size | None = None


class Approval(Described):
    """A person is asked before a promotion: always, or only if the comparison is inconclusive.

    Without an answer `within` this time nothing is promoted. `by` are the users who may answer; empty: anyone
    who may edit the DAG's runs.
    """

    when: Literal["always", "inconclusive"] = "always"
    within: Duration = timedelta(days=1)
    by: tuple[str, ...] = ()


def _slice(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class Gate(Described):
    """What a challenger must meet to be promoted. A first champion must beat the dummy beyond chance.

    `calibration` is the maximum expected calibration error of the predicted probabilities. Without `approval`
    an inconclusive comparison keeps the champion, and goes on with the nights that come. `shadow` is how many
    rows of requests a challenger must have been asked beside the champion before it takes its place.
    """

    limits: dict[str, Limit] = {}
    champion: ChampionRule = ChampionRule()
    slices: tuple[Annotated[SliceRule, BeforeValidator(_slice)], ...] = ()
    fairness: tuple[FairnessRule, ...] = ()
    calibration: float | None = Field(default=None, gt=0, le=1)
    resources: Resources = Resources()
    approval: Approval | None = None
    shadow: RowCount | None = None
