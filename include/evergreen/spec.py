"""A pipeline's description: frozen models, read from `pipeline.yaml`.

A pipeline is one folder. Everything in its description that has a good default is optional.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from evergreen.description import Described, explain, pipelines_folder, read_mapping
from evergreen.errors import NotFoundError, SpecError
from evergreen.partition import Calendar, Grain
from evergreen.sources import Join, Source
from evergreen.units import (
    Budget,
    Column,
    ConnectionId,
    Cron,
    Duration,
    FunctionName,
    HoldOut,
    Identifier,
    ImportPath,
    Partitions,
    RetrainBudget,
    Share,
    Tolerance,
)


class Task(StrEnum):
    """The kind of problem a model solves."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"
    CLUSTERING = "clustering"


METRICS: dict[Task, tuple[str, ...]] = {
    Task.REGRESSION: ("mae", "rmse", "r2", "mape"),
    Task.CLASSIFICATION: ("accuracy", "precision", "recall", "f1", "log_loss"),
    Task.CLUSTERING: ("silhouette", "calinski_harabasz"),
}
LOWER_IS_BETTER = frozenset({"mae", "rmse", "mape", "log_loss"})


class Validation(Described):
    """The suite of expectations, and what else is asked of a partition.

    More than the share `max_quarantined` of quarantined rows refuses it. When a source's columns change,
    `schema_change` says what to do: `refuse` the partition, `evolve` the table (a new column is added, a
    missing one left empty, a number's type widened), or `ignore_new` columns.
    """

    suite: str = "expectations.yaml"
    max_quarantined: Share = 0.05
    schema_change: Literal["refuse", "evolve", "ignore_new"] = "refuse"


class Features(Described):
    """`function` is `file.py:name`, a pure function from frame to frame, aligned to the rows given.

    It sees the rows of the partition together with those of `look_back` before it. Without a function the
    features are all columns but key, time and target.
    """

    function: FunctionName | None = None
    look_back: Duration = timedelta(0)


class Candidate(Described):
    """An estimator that may become the model: scikit-learn import paths, fixed and searched parameters.

    `search` maps a parameter to `[low, high]`, `[low, high, log]`, `[low, high, int]` or a list of choices
    (`{choices: [...]}`).
    """

    estimator: ImportPath
    params: dict[str, Any] = {}
    preprocess: tuple[ImportPath, ...] = ()
    target_transform: Literal["log1p"] | None = None
    search: dict[str, list[Any] | dict[Literal["choices"], list[Any]]] = {}


class Tuning(Described):
    """How many parameter settings are tried for each candidate that has a search, and in how many folds."""

    trials: int = Field(default=10, ge=1, le=10_000)
    folds: int = Field(default=3, ge=2, le=50)


class Training(Described):
    """What a challenger is trained on and how it is chosen.

    `window` is how far back training reads; `minimum` the least number of published partitions in it;
    `holdout` a duration at the window's end, or a share drawn at random (stratified) for a snapshot.
    """

    window: Duration = timedelta(days=365)
    minimum: Partitions = 1
    holdout: HoldOut = 0.2
    metric: str
    candidates: tuple[Candidate, ...] = Field(min_length=1)
    tuning: Tuning = Tuning()
    seed: int = 0
    schedule: Cron | None = None


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
    """How much worse than the champion, relative to it, a challenger may be on the same hold-out rows."""

    margin: Tolerance = 0.0


class Gate(Described):
    """What a challenger must hold before it is promoted. Beating the dummy baseline is always asked."""

    limits: dict[str, Limit] = {}
    champion: ChampionRule = ChampionRule()


class Performance(Described):
    """Retrain when the mean error over the last partitions is this much above what the hold-out promised."""

    tolerance: Tolerance = 0.25
    over: Partitions = 5


class Drift(Described):
    """When a feature is called drifted (population stability index), and what share of them is drift.

    The share is the mean over the last `over` partitions.
    """

    psi: float = Field(default=0.25, gt=0)
    share: Share = 0.5
    over: Partitions = 5


class Staleness(Described):
    """Retrain when this share of the data now in the training window came after the last training.

    A young pipeline, whose window is still filling, so learns often, and an old one seldom.
    """

    unseen: Share = 0.2


class Retrain(Described):
    """Which signals count, and the limits on how often they may start a training."""

    on: tuple[Literal["performance", "drift", "staleness"], ...] = ("performance",)
    cooldown: Partitions = 5
    budget: RetrainBudget = Budget(6, 30)


class Monitoring(Described):
    """What is watched every scored partition, and the policy that decides on a retraining."""

    performance: Performance = Performance()
    drift: Drift = Drift()
    staleness: Staleness = Staleness()
    retrain: Retrain = Retrain()


class Scoring(Described):
    """A PostgreSQL table that predictions are also written to; created if it is absent."""

    conn_id: ConnectionId
    table: Identifier


class Spec(Described):
    """A whole pipeline, as described in its `pipeline.yaml`."""

    name: Identifier
    description: str
    owner: str
    schedule: Cron
    start: date | None = None
    partition: Grain
    sources: dict[Identifier, Source] = Field(min_length=1)
    join: tuple[Join, ...] = ()
    key: tuple[Column, ...] = ()
    validation: Validation = Validation()
    features: Features = Features()
    task: Task
    target: Column | None = None
    training: Training
    gate: Gate = Gate()
    monitoring: Monitoring = Monitoring()
    scoring: Scoring | None = None
    folder: Path = Field(exclude=True)

    @property
    def calendar(self) -> Calendar:
        """The pipeline's partitions."""
        return Calendar(self.partition)

    @cached_property
    def time_column(self) -> str | None:
        """The column of event time in the joined rows; None for a snapshot."""
        return next((s.time_column for s in self.sources.values() if s.time_column), None)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that name a row: `key`, or the event time."""
        return self.key or ((self.time_column,) if self.time_column else ())

    @property
    def first_partition(self) -> str:
        """Key of the partition that holds `start`; `snapshot` where there is no time."""
        start = self.start or date(1970, 1, 1)
        return self.calendar.key_of(datetime(start.year, start.month, start.day, tzinfo=UTC))

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value of the training metric is better."""
        return self.training.metric not in LOWER_IS_BETTER

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
                raise ValueError(f"join.{number}: '{join.left}' cannot be joined to itself")
        if len(self.join) != len(self.sources) - 1:
            raise ValueError(f"join: {len(self.sources)} sources need {len(self.sources) - 1} joins")
        if self.calendar.has_time:
            if self.time_column is None:
                raise ValueError("sources: a partitioned pipeline needs a 'time_column' in a source")
            if self.start is None:
                raise ValueError("start: a partitioned pipeline needs the day its history starts")
        if not self.keys:
            raise ValueError("key: a snapshot pipeline needs the columns that name a row")

    def _check_model(self) -> None:
        allowed = METRICS[self.task]
        for where, metric in [("training.metric", self.training.metric)] + [
            (f"gate.limits.{name}", name) for name in self.gate.limits
        ]:
            if metric not in allowed:
                raise ValueError(f"{where}: '{metric}' is not a metric of {self.task}: {', '.join(allowed)}")
        if self.task is Task.CLUSTERING and self.target is not None:
            raise ValueError("target: clustering has none, leave it out")
        if self.task is not Task.CLUSTERING and self.target is None:
            raise ValueError(f"target: {self.task} needs the column to predict")
        if not self.calendar.has_time and isinstance(self.training.holdout, timedelta):
            raise ValueError("training.holdout: a snapshot has no time, write a share like '20%'")
        if isinstance(self.training.holdout, timedelta) and self.training.holdout >= self.training.window:
            raise ValueError("training.holdout: must be shorter than training.window")
        if self.target is not None and self.target in self.keys:
            raise ValueError(f"target: '{self.target}' is among the keys of a row and cannot be predicted")


def pipeline_names() -> list[str]:
    """Names of the pipelines there are (folders that hold a `pipeline.yaml`), sorted. Nothing is parsed."""
    folder = pipelines_folder()
    if not folder.is_dir():
        raise SpecError(f"{folder}: no such folder of pipelines; set EVERGREEN_PIPELINES to one")
    return sorted(path.parent.name for path in folder.glob("*/pipeline.yaml"))


def load_spec(name: str) -> Spec:
    """The description of the pipeline called `name`.

    Raises `NotFoundError` for an unknown pipeline and `SpecError` for a wrong description.
    """
    file = pipelines_folder() / name / "pipeline.yaml"
    if not file.is_file():
        known = ", ".join(pipeline_names()) or "none"
        raise NotFoundError(f"no pipeline '{name}' in {pipelines_folder()} (there: {known})")
    return parse_spec(file)


def parse_spec(file: Path) -> Spec:
    """The description in a `pipeline.yaml`; raises `SpecError` naming file, key path and what is allowed."""
    content = read_mapping(file)
    if "folder" in content:
        raise SpecError(f"{file}: folder: no such key: it is the folder that the file lies in")
    try:
        spec = Spec.model_validate({**content, "folder": file.parent})
    except ValidationError as error:
        raise SpecError(f"{file}: {explain(Spec, error)}") from None
    if spec.name != file.parent.name:
        raise SpecError(f"{file}: name: '{spec.name}' must be the folder's name, '{file.parent.name}'")
    return spec
