"""The rules of the gate: what a challenger must meet to be promoted."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from evergreen.calendar import Length
from evergreen.description import Described
from evergreen.metrics import METRICS, MetricName
from evergreen.metrics.rates import RATES
from evergreen.task import Task
from evergreen.units import Column, Duration, OneOfNames, RowCount, Share, Size, SomeLength, Tolerance


class Limit(Described):
    """An absolute limit on a metric of the hold-out; bounds are included."""

    min: float | None = None
    """The smallest value that is let pass. Example: 0.85"""
    max: float | None = None
    """The largest value that is let pass. Example: 120"""

    @model_validator(mode="after")
    def _a_bound(self) -> Limit:
        if self.min is None and self.max is None:
            raise ValueError("give 'min', 'max' or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("'min' must not be above 'max'")
        return self


class ChampionRule(Described):
    """How a challenger is compared with the champion, on the same hold-out rows.

    The difference of `training.metric` gets an interval by a paired bootstrap. A margin is a share of the
    champion's distance from a perfect model: of its error itself, or of what its accuracy lacks to 1
    (`Metric.allowance`).
    """

    test: Literal["non_inferiority", "superiority"] = "non_inferiority"
    """Whether the whole interval must be at most a loss of `margin` (`non_inferiority`), or a gain of more
    than it (`superiority`).
    """
    margin: Tolerance = 0.0
    """The loss that is allowed, or the gain that is asked for."""
    confidence: Share = Field(default=0.95, ge=0.5, lt=1)
    """The confidence of the interval. Example: 95%"""
    rounds: int = Field(default=1_000, ge=100, le=100_000)
    """How many resamples the bootstrap takes."""
    block: SomeLength = Length(1)
    """The length of the blocks that are resampled (not for snapshots). Example: 1 partition"""

    @property
    def one_sided(self) -> float:
        """The nominal error of the one end of the interval that decides: 2.5 % of a confidence of 95 %."""
        return (1 - self.confidence) / 2


class SliceRule(Described):
    """On the rows of each value of a column the loss must not exceed a margin, except perhaps by chance."""

    column: Column
    """The column whose values are judged one by one. Example: workingday"""
    margin: Tolerance = 0.1
    """The loss that is allowed, a share like that of `gate.champion`."""
    minimum: int = Field(default=30, ge=2)
    """How many rows a value needs to be judged; with fewer it is reported."""
    required: bool | tuple[bool | str | int | float, ...] = False
    """Values that are refused with fewer rows than `minimum`; `true` requires all. Example: [true]"""


class FairnessRule(Described):
    """How far a rate or a metric may differ between any two values of a column.

    It is either a `rate` of the positive class or a `metric` of the task.
    """

    column: Column
    """The column of the groups. Example: region"""
    rate: Annotated[str, OneOfNames("a rate of a class", RATES)] | None = None
    """The rate of the positive class that is compared. Example: selection_rate"""
    positive: bool | int | float | str | None = None
    """The positive class; default: the description's, or the second of two in sorted order. Example: approved
    """
    metric: MetricName | None = None
    """The metric that is compared; one of classes is the mean over all of them (macro). Example: accuracy"""
    max_difference: float | None = Field(default=None, gt=0)
    """How far the largest value may be above the smallest. Example: 0.1"""
    min_ratio: Share | None = Field(default=None, gt=0)
    """Which share of the largest value the smallest must have at least; 80% is the four-fifths rule. Example:
    80%
    """
    minimum: int = Field(default=30, ge=2)
    """How many rows a group needs to be judged; with fewer it is reported."""

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
    """The 95th percentile of the time a prediction takes, in milliseconds."""

    row: float | None = Field(default=None, gt=0)
    """The longest time of one row, in milliseconds. Example: 20"""
    thousand_rows: float | None = Field(default=None, gt=0)
    """The longest time of 1,000 rows, in milliseconds. Example: 200"""


class Resources(Described):
    """Limits on the model's resources: time to predict, size, memory."""

    latency: Latency = Latency()
    size: Size | None = None
    """The largest size of the model's file. Example: 50 MB"""
    memory: Size | None = None
    """The most memory that the model takes once it is loaded."""


class Approval(Described):
    """A person is asked before a promotion."""

    when: Literal["always", "inconclusive"] = "always"
    """Whether a person is asked always, or only if the comparison is inconclusive."""
    within: Duration = timedelta(days=1)
    """How long an answer is waited for; without one nothing is promoted. Example: 2 days"""
    by: tuple[str, ...] = ()
    """The users who may answer; empty: anyone who may edit the DAG's runs. Example: [ada]"""


def _slice(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


AnySlice = Annotated[SliceRule, BeforeValidator(_slice, json_schema_input_type=Column | SliceRule)]
"""A rule, or the name of its column alone."""


class Gate(Described):
    """What a challenger must meet to be promoted. A first champion must beat the dummy beyond chance."""

    limits: dict[MetricName, Limit] = {}
    """Absolute limits on metrics of the hold-out, by metric. Example: {mae: {max: 120}}"""
    champion: ChampionRule = ChampionRule()
    slices: tuple[AnySlice, ...] = ()
    """Columns on each of whose values the challenger must not lose. Example: [workingday]"""
    fairness: tuple[FairnessRule, ...] = ()
    """How far rates or metrics may differ between groups."""
    calibration: float | None = Field(default=None, gt=0, le=1)
    """The maximum expected calibration error of the predicted probabilities. Example: 0.05"""
    resources: Resources = Resources()
    approval: Approval | None = None
    """Whether a person is asked before a promotion; without it an inconclusive comparison keeps the champion,
    and goes on with the nights that come.
    """
    shadow: RowCount | None = None
    """How many rows of requests a challenger must have been asked beside the champion before it takes its
    place.
    """

    def check(self, task: Task, *, shadowed: bool) -> None:
        """Raise `ValueError`, naming the key, for what this task does not have, or no shadow can show."""
        if self.shadow is not None and not shadowed:
            raise ValueError("gate.shadow: no challenger is a shadow, write serving.shadow: newest")
        if self.calibration is not None and task is not Task.CLASSIFICATION:
            raise ValueError(f"gate.calibration: {task} predicts no probabilities, leave it out")
        if task is Task.CLUSTERING and (self.slices or self.fairness):
            raise ValueError("gate: clusters are not measured by slices or groups, leave both out")
        if task is not Task.CLASSIFICATION and any(rule.rate for rule in self.fairness):
            raise ValueError(f"gate.fairness: {task} has no classes to take a rate of, name a metric")
        columns = [rule.column for rule in self.slices]
        if len(set(columns)) < len(columns):
            raise ValueError("gate.slices: a column is named twice")
