"""The figures that Evergreen tells Airflow's metrics: one registry, and what each is of a task's outcome.

Docs, dashboard and alert rules name the same figures; a test holds them to this registry. Everything comes
from what a task has at its end: nothing is read for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.alerts.alert import Alert
    from evergreen.ingestion.publish import Published
    from evergreen.monitoring.stage import Night
    from evergreen.scoring.score import Scored
    from evergreen.spec import Spec
    from evergreen.stages import Stage
    from evergreen.training.stage import Committed

PREFIX = "evergreen."
"""What every name begins with, after the prefix of Airflow itself."""


@dataclass(frozen=True)
class Figure:
    """A figure of a pipeline, told as a gauge.

    `name` is its name among Airflow's metrics, `unit` what its value counts, `meaning` what it says,
    `task` which tasks tell it, `taken_from` of what, and `tags` what it is told by beside the pipeline.
    """

    name: str
    unit: str
    meaning: str
    task: str
    taken_from: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """The value of a figure; None where there is none to tell. `tags` are those beside the pipeline."""

    figure: Figure
    value: float | None
    tags: Mapping[str, str] = field(default_factory=dict)


FIGURES: list[Figure] = []
"""All figures, in the order of a night."""


def _figure(name: str, unit: str, meaning: str, task: str, taken_from: str, *tags: str) -> Figure:
    figure = Figure(PREFIX + name, unit, meaning, task, taken_from, tags)
    FIGURES.append(figure)
    return figure


PARTITION_END = _figure(
    "partition_end",
    "Unix time in seconds",
    "when the partition ended that the stage has finished; of a snapshot, when the run was due",
    "`publish`, `score`, `monitor`, `alert`",
    "the partition's key, and the calendar",
    "stage",
)
PARTITION_LENGTH = _figure(
    "partition_length",
    "seconds",
    "how long that partition is; 0 of a snapshot",
    "`publish`, `score`, `monitor`, `alert`",
    "the partition's key, and the calendar",
    "stage",
)
ROWS = _figure("rows", "rows", "rows of the partition that were published", "`publish`", "what was published")
QUARANTINE_SHARE = _figure(
    "quarantine_share",
    "share, 0 to 1",
    "share of the partition's rows that are in quarantine",
    "`publish`",
    "what was published",
)
SCORED_ROWS = _figure("scored_rows", "rows", "rows that were predicted", "`score`", "what was scored")
ERROR = _figure(
    "error",
    "that of the metric",
    "the training metric of the newest night with labels",
    "`monitor`",
    "`error` of the record",
    "metric",
)
PROMISED = _figure(
    "promised",
    "that of the metric",
    "the same metric on the hold-out of the champion",
    "`monitor`",
    "`promised` of the record",
    "metric",
)
WORSE_THAN_PROMISED = _figure(
    "worse_than_promised",
    "share",
    "how much worse the error is than promised, as a share of the promise's distance from a perfect model; "
    "below 0: better",
    "`monitor`",
    "`error` and `promised` of the record",
    "metric",
)
DRIFT_SHARE = _figure(
    "drift_share",
    "share, 0 to 1",
    "share of the features that drifted",
    "`monitor`",
    "`drifted_share` of the record",
)
CHAMPION_AGE = _figure(
    "champion_age",
    "partitions",
    "published partitions since the champion's as-of, this one included; 0 of a snapshot",
    "`monitor`",
    "`age` of the record",
)
RETRAINS = _figure(
    "retrains", "0 or 1", "whether the night asks for a training", "`monitor`", "`retrain` of the decision"
)
ALERTS = _figure(
    "alerts",
    "alerts",
    "how many alerts hold by the limits of the description",
    "`alert`",
    "the alerts of the partition",
    "severity",
)
TRAINING_SECONDS = _figure(
    "training_seconds",
    "seconds",
    "from the start of a training to its verdict",
    "`gate`",
    "the timing of the stage `train`",
    "outcome",
)


def of_partition(spec: Spec, stage: Stage, partition: str, context: Context) -> Iterator[Told]:
    """Which partition the other figures of a task are of."""
    calendar, tags = spec.calendar, {"stage": stage.name}
    end = calendar.end(partition) if calendar.has_time else context["dag_run"].run_after
    start = calendar.start(partition) if calendar.has_time else end
    yield Told(PARTITION_END, end.timestamp(), tags)
    yield Told(PARTITION_LENGTH, (end - start).total_seconds(), tags)


def of_published(published: Published) -> Iterator[Told]:
    """The figures of a published partition."""
    rows, quarantined = published.rows, published.quarantined
    yield Told(ROWS, rows)
    yield Told(QUARANTINE_SHARE, quarantined / (rows + quarantined) if rows + quarantined else None)


def of_scored(scored: Scored) -> Iterator[Told]:
    """The figures of a scored partition."""
    yield Told(SCORED_ROWS, scored.rows)


def of_night(spec: Spec, night: Night) -> Iterator[Told]:
    """The figures of a monitored partition; those of labels are of the newest one that got its labels now."""
    record, labelled = night.record, night.labelled
    yield Told(DRIFT_SHARE, record.drifted_share)
    yield Told(CHAMPION_AGE, record.age)
    yield Told(RETRAINS, float(night.decision.retrain))
    if labelled is None or labelled.metric != spec.training.metric:
        return
    error, promised, tags = labelled.error, labelled.promised, {"metric": labelled.metric}
    yield Told(ERROR, error, tags)
    yield Told(PROMISED, promised, tags)
    if error is not None and promised is not None:
        yield Told(WORSE_THAN_PROMISED, spec.metric.worse_by(error, promised), tags)


def of_alerts(alerts: Sequence[Alert]) -> Iterator[Told]:
    """How many alerts of each severity there are, also where there are none."""
    from evergreen.alerts.alert import SEVERITIES

    found = Counter(alert.severity for alert in alerts)
    for severity in SEVERITIES:
        yield Told(ALERTS, found[severity], {"severity": severity})


def of_training(committed: Committed) -> Iterator[Told]:
    """How long a training took, by what its gate said."""
    yield Told(TRAINING_SECONDS, committed.seconds, {"outcome": committed.verdict.outcome.value})
