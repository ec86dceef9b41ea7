"""A pipeline's description: frozen models, read from `pipeline.yaml`.

A pipeline is one folder. Keys with a good default are optional.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from evergreen.calendar import Calendar, Grain, Length, Schedule, Ticks, Weekday
from evergreen.description import Described
from evergreen.errors import NotFoundError, SpecError
from evergreen.metrics import Metric, metric_named
from evergreen.signals import SIGNALS, Signal
from evergreen.signals.drift import DRIFT, Reference
from evergreen.signals.lengths import DEFAULTS, Lengths
from evergreen.signals.performance import PERFORMANCE
from evergreen.sources import Join, Source, check_outside
from evergreen.spec.alerts import Alerts
from evergreen.spec.features import FeatureCode, Features, FeatureSet
from evergreen.spec.folders import find
from evergreen.spec.gate import ChampionRule, FairnessRule, Gate
from evergreen.spec.intervals import AnyIntervals
from evergreen.spec.labels import Labels
from evergreen.spec.maintenance import Maintenance
from evergreen.spec.metrics_by_place import check_metrics, metrics_by_place
from evergreen.spec.mlflow import Mlflow
from evergreen.spec.models import Models
from evergreen.spec.monitoring import Monitoring
from evergreen.spec.predicted import check_predicted
from evergreen.spec.reports import Reports
from evergreen.spec.scoring import Scoring
from evergreen.spec.serving import Serving
from evergreen.spec.targets import pipeline_of
from evergreen.spec.training import Training
from evergreen.spec.validation import Validation
from evergreen.task import Task
from evergreen.units import Column, Cron, HalfLife, Identifier, Levels, SinceChange, ZoneName


class Spec(Described):
    """A whole pipeline, as described in its `pipeline.yaml`."""

    name: Identifier
    """The pipeline's name, which is that of its folder. Example: bike_demand"""
    description: str
    """What it predicts, for people. Example: Hourly bike rentals from weather and calendar"""
    owner: str
    """Who answers for it; the owner of its DAGs in Airflow. Example: demand-team"""
    schedule: Cron
    """When partitions are ingested, in the pipeline's time zone: those that have ended since the tick before.
    """
    start: date | None = None
    """The local day on which history begins; needed unless the partition is a snapshot. Example: 2011-01-01
    """
    partition: Grain
    """The stretch of event time that is ingested, validated and scored together; `snapshot` for data without
    time.
    """
    timezone: ZoneName = "UTC"
    """The time zone of partitions, schedules and times without an offset. Example: Europe/Berlin"""
    week_starts: Weekday = Weekday.MONDAY
    """The day on which a weekly partition begins."""
    sources: dict[Identifier, Source] = Field(min_length=1)
    """Where rows come from, by names of your choice; all but one are joined to another."""
    join: tuple[Join, ...] = ()
    """How sources are joined: one less than there are sources."""
    key: tuple[Column, ...] = ()
    """The columns that name a row; default: the event time."""
    validation: Validation = Validation()
    features: Features = Features()
    task: Task
    """The kind of problem."""
    target: Column | None = None
    """The column to predict; a list, or a mapping to what differs for each, describes a pipeline for each
    target. Example: cnt
    """
    positive: bool | int | float | str | None = None
    """The positive class of two; default: the second in sorted order. Example: churned"""
    labels: Labels | None = None
    training: Training
    gate: Gate = Gate()
    monitoring: Monitoring = Monitoring()
    scoring: Scoring | None = None
    serving: Serving = Serving()
    explain: Annotated[int, Field(ge=1, le=100)] | None = None
    """How many features explain each prediction by what they contribute to it; default: none. Example: 3"""
    intervals: AnyIntervals | None = None
    """The intervals around the predictions of a regression. Example: 90%"""
    sets: Levels = ()
    """How often the set of classes that a prediction gets holds the true one; for classification."""
    models: Models = Models()
    mlflow: Mlflow | None = None
    alerts: Alerts = Alerts()
    reports: Reports = Reports()
    maintenance: Maintenance = Maintenance()
    folder: Path = Field(exclude=True)
    other_targets: tuple[Column, ...] = Field(default=(), exclude=True)
    feature_sets: tuple[FeatureSet, ...] = Field(default=(), exclude=True)
    feature_code: FeatureCode | None = Field(default=None, exclude=True)

    @property
    def calendar(self) -> Calendar:
        """The pipeline's partitions."""
        return _calendar(self.partition, self.timezone, self.week_starts)

    @property
    def ticks(self) -> Ticks:
        """The ticks of the schedule, and the partitions that each takes."""
        return Ticks(self.calendar, (Schedule(self.schedule, self.timezone),))

    @property
    def watched(self) -> Ticks:
        """The deadline of each partition to be monitored: the first `alerts.deadline` at or after its tick.

        Partitions shorter than a day are watched every hour, at the deadline's minute.
        """
        by = self.alerts.deadline or time()
        hour = "*" if self.calendar.mean_length < timedelta(days=1) and self.calendar.has_time else by.hour
        deadline = Schedule(f"{by.minute} {hour} * * *", self.timezone)
        return Ticks(self.calendar, (*self.ticks.schedules, deadline))

    @cached_property
    def time_column(self) -> str | None:
        """The column of event time in the joined rows; None for a snapshot."""
        return next((s.time_column for s in self.sources.values() if s.time_column), None)

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns that are not known of a row to score: the target, and the others of its description."""
        return (self.target, *self.other_targets) if self.target else ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that name a row: `key`, or the event time."""
        return self.key or ((self.time_column,) if self.time_column else ())

    @property
    def first_partition(self) -> str:
        """Key of the partition in which the local day `start` begins; `snapshot` for a snapshot."""
        return self.calendar.key_of_day(self.start or date(1970, 1, 1))

    def looks_back_to(self, partition: str) -> str:
        """The first partition whose rows the features of one read, those of the own function and the sets."""
        lengths = (self.features.look_back, *(shared.look_back for shared in self.feature_sets))
        return min(self.calendar.back(partition, length) for length in lengths)

    @property
    def metric(self) -> Metric:
        """The training metric, by which models are compared."""
        return metric_named(self.training.metric)

    @property
    def watched_metrics(self) -> tuple[Metric, ...]:
        """What every night is measured by: the training metric first, then `monitoring.metrics`."""
        return tuple(map(metric_named, dict.fromkeys([self.training.metric, *self.monitoring.metrics])))

    def positive_of(self, rule: FairnessRule) -> bool | int | float | str | None:
        """The class that a rule of `gate.fairness` calls positive, or else the description."""
        return self.positive if rule.positive is None else rule.positive

    @property
    def label_delay(self) -> Length:
        """How much later the labels of a partition are known; 0 if they come with its rows."""
        return self.labels.delay if self.labels else Length(0)

    @property
    def champion_rule(self) -> ChampionRule:
        """`gate.champion`, with its block in partitions, or in days of hourly ones."""
        rule = self.gate.champion
        block = -(-self.calendar.about(rule.block) // self.calendar.grain.facts.unit)
        return rule.model_copy(update={"block": Length(block)})

    @property
    def cooldown(self) -> Length:
        """How far two trainings lie apart at least: as described, or a tenth of the window.

        With less that is new, a challenger is hardly another model.
        """
        described = self.monitoring.retrain.cooldown
        if described is not None or not self.calendar.has_time:
            return described or Length(0)
        return Length(max(1, round(self.calendar.about(self.training.window) / 10)))

    @property
    def lengths(self) -> Lengths:
        """The other lengths of monitoring: as described, or else what fits the grain."""
        monitoring = self.monitoring
        described = {
            "over": PERFORMANCE.of(monitoring).over,
            "trailing": DRIFT.of(monitoring).trailing,
            **{name: getattr(monitoring.health, name) for name in ("missing", "age")},
            **{name: getattr(monitoring.retrain, name) for name in ("budget", "half_open")},
        }
        written = {name: length for name, length in described.items() if length is not None}
        return replace(DEFAULTS[self.calendar.grain], **written)

    @property
    def drift_reference(self) -> Reference:
        """What a partition's features are compared with; default: the season, for a snapshot the window."""
        return DRIFT.of(self.monitoring).reference or ("season" if self.calendar.has_time else "window")

    @property
    def signals(self) -> tuple[str, ...]:
        """The names of the signals that may ask for a training; the default depends on task and label delay.

        With prompt labels, an alarm of the error and regular trainings while they help are enough. With late
        labels, estimate and drift are known before the labels are. Clustering has only drift.
        """
        if self.monitoring.retrain.on is not None:
            return self.monitoring.retrain.on
        late = bool(self.label_delay)
        timed = self.calendar.has_time
        return tuple(one.name for one in SIGNALS.values() if one.by_default(self.task, late, timed))

    @model_validator(mode="after")
    def _whole(self) -> Spec:
        self._check_sources()
        self._check_model()
        return self

    def _check_sources(self) -> None:
        named = set(self.sources)
        for number, join in enumerate(self.join):
            for side in (join.left, join.right):
                if side not in named:
                    raise ValueError(f"join.{number}: no source '{side}', only {', '.join(sorted(named))}")
            if join.left == join.right:
                raise ValueError(f"join.{number}: '{join.left}' cannot be joined to itself: name another")
        if len(self.join) != len(self.sources) - 1:
            raise ValueError(f"join: {len(self.sources)} sources need {len(self.sources) - 1} joins")
        if self.calendar.has_time:
            if self.time_column is None:
                raise ValueError("sources: a partitioned pipeline needs a 'time_column' in a source")
            if self.start is None:
                raise ValueError("start: a partitioned pipeline needs the day its history starts")
        for name, source in self.sources.items():
            if source.config.changes and not self.calendar.has_time:
                raise ValueError(
                    f"sources.{name}.{source.kind}.changed: a snapshot is read whole, leave it out"
                )
        if not self.calendar.has_weeks and self.week_starts is not Weekday.MONDAY:
            raise ValueError(f"week_starts: a {self.partition} pipeline has no weeks, leave it out")
        if not self.keys:
            raise ValueError("key: a snapshot pipeline needs the columns that name a row")
        check_outside(self.sources)
        self.serving.check(self.calendar, self.keys)
        self.reports.check(self.calendar)
        self.maintenance.check(self.calendar)
        self._check_labels()

    def _check_labels(self) -> None:
        if self.labels is None:
            return
        source = self.labels.source
        if not self.calendar.has_time:
            raise ValueError("labels: a snapshot's labels come with its rows, leave it out")
        if self.task is Task.CLUSTERING:
            raise ValueError("labels: clustering has none, leave it out")
        if source.config.changes:
            raise ValueError(f"labels.source.{source.kind}.changed: is for rows, leave it out")
        if source.complete:
            raise ValueError("labels.source.complete: labels are waited for by 'delay', leave it out")
        try:
            source.config.check_by_partition()
        except ValueError as error:
            raise ValueError(f"labels.source.{source.kind}{error}") from None
        if not self._shorter(self.labels.delay, self.training.window):
            raise ValueError("labels.delay: must be shorter than training.window, or no label in it is known")
        if "labels" in self.features.lookups:
            raise ValueError("features.lookups.labels: is the name of the labels: rename the lookup")

    def _check_model(self) -> None:
        named = metrics_by_place(self.training, self.gate, self.monitoring)
        check_metrics(self.task, named, self.training)
        if self.task is Task.CLUSTERING and self.target is not None:
            raise ValueError("target: clustering has none, leave it out")
        if self.task is not Task.CLUSTERING and self.target is None:
            raise ValueError(f"target: {self.task} needs the column to predict")
        check_predicted(
            self.task,
            positive=self.positive,
            explain=self.explain,
            intervals=self.intervals,
            sets=self.sets,
        )
        if self.intervals is not None:
            self.intervals.check_time(self.calendar.has_time)
        for target in self.targets:
            if target in self.keys:
                raise ValueError(
                    f"target: '{target}' is among the keys of a row and cannot be predicted: name another"
                )
        self._check_features()
        if self.models.require_signature and self.models.signing is None:
            raise ValueError("models.require_signature: name the connection that holds the keys as 'signing'")
        self._check_training()
        self.gate.check(self.task, shadowed=self.serving.shadow is not None)
        self._check_monitoring()

    def _check_monitoring(self) -> None:
        for name in self.monitoring.retrain.on or ():
            tasks = SIGNALS[name].tasks
            if self.task not in tasks:
                allowed = " and ".join(tasks)
                raise ValueError(f"monitoring.retrain.on: '{name}' is only for {allowed}, leave it out")
            if not self._lets(SIGNALS[name]):
                kind = "intervals" if self.task is Task.REGRESSION else "sets"
                raise ValueError(
                    f"monitoring.retrain.on: '{name}' needs '{kind}': write some, or leave it out"
                )

    def _lets(self, signal: Signal[Any]) -> bool:
        """Whether a signal may be named: it is for the task, and has intervals or sets if it needs them."""
        without = not (self.intervals or self.sets)
        return self.task in signal.tasks and not (without and "intervals or sets" in signal.needs)

    def _check_features(self) -> None:
        for name, lookup in self.features.lookups.items():
            where = f"features.lookups.{name}"
            if not self.calendar.has_time:
                raise ValueError(f"{where}: a snapshot has no time to look anything up at, leave it out")
            if lookup.pipeline == self.name:
                raise ValueError(f"{where}.pipeline: '{self.name}' itself: look back with features.look_back")
            if lookup.pipeline in [pipeline_of(self.folder.name, other) for other in self.other_targets]:
                raise ValueError(
                    f"{where}.pipeline: '{lookup.pipeline}' has the same rows: look back with "
                    "features.look_back"
                )
            try:
                find(lookup.pipeline, self.folder.parent)
            except NotFoundError as error:
                raise ValueError(f"{where}.pipeline: {error}") from None
            except SpecError:  # told of where that pipeline is used
                continue

    def _check_training(self) -> None:
        training, tuning = self.training, self.training.tuning
        length = training.holdout if isinstance(training.holdout, Length) else None
        if not self.calendar.has_time and length:
            raise ValueError("training.holdout: a snapshot has no time, write a share like '20%'")
        self._check_window()
        if length and not self._shorter(length, training.window):
            raise ValueError("training.holdout: must be shorter than training.window")
        if tuning.gap and not self.calendar.has_time:
            raise ValueError("training.tuning.gap: a snapshot has no time, leave it out")
        if tuning.group is not None and self.calendar.has_time:
            raise ValueError("training.tuning.group: folds of a pipeline with time are in time, leave it out")
        if tuning.group is not None and self.task is Task.CLUSTERING:
            raise ValueError("training.tuning.group: clustering is scored on all rows, leave it out")
        training.check_task(self.task)
        if training.weight is not None and self.task is Task.CLUSTERING:
            raise ValueError("training.weight: clustering takes no weights, leave it out")
        if training.weight in self.targets:
            raise ValueError(f"training.weight: '{training.weight}' is a target, name another column")
        self._check_recency()

    def _check_window(self) -> None:
        if not isinstance(self.training.window, SinceChange):
            return
        if not self.calendar.has_time:
            raise ValueError("training.window: a snapshot has no time in which it changes, leave it out")
        dating = [one.name for one in SIGNALS.values() if one.dates_change and self._lets(one)]
        if not set(dating) & set(self.signals):
            remedy = f"name {' or '.join(dating)} in monitoring.retrain.on" if dating else "write a length"
            raise ValueError(
                f"training.window: no signal finds when the data of {self.task} changed: {remedy}"
            )

    def _check_recency(self) -> None:
        where = {"training.recency": self.training.recency} | {
            f"training.candidates.{number}.recency": candidate.recency
            for number, candidate in enumerate(self.training.candidates)
        }
        for key, recency in where.items():
            if not isinstance(recency, HalfLife):
                continue
            if self.task is Task.CLUSTERING:
                raise ValueError(f"{key}: clustering takes no weights, leave it out")
            if not self.calendar.has_time:
                raise ValueError(f"{key}: a snapshot has no time and its rows no age, leave it out")

    def _shorter(self, one: Length, other: Length) -> bool:
        return self.calendar.days(one) < self.calendar.days(other)


_calendar = lru_cache(maxsize=256)(Calendar)
