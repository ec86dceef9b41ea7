"""The stage `monitor`: measure a scored partition, fill in what labels tell of an earlier one, and decide."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import LONGEST
from evergreen.errors import EvergreenError, NotFoundError, NothingToDoError
from evergreen.labels.ingest import ensure
from evergreen.labels.join import with_labels
from evergreen.labels.known import newest_known
from evergreen.lake import PARTITION, Table
from evergreen.monitoring.health import health
from evergreen.monitoring.measure import measure, performance
from evergreen.monitoring.policy import decide
from evergreen.monitoring.record import SCHEMA, Decision, decisions_in, records_in, to_table
from evergreen.monitoring.reference import Reference, read_reference
from evergreen.monitoring.served import drop_expired, skew_of
from evergreen.monitoring.standing_bias import judged_nights
from evergreen.monitoring.training_request import trainings
from evergreen.monitoring.trainings import Training, on_trial
from evergreen.monitoring.trial import Rival
from evergreen.monitoring.window import with_window
from evergreen.registry.ids import as_of_version
from evergreen.rows.frame import to_frame
from evergreen.scoring.checked_model import CheckedModel, load_checked_model, with_features_of
from evergreen.scoring.predict import partition_features
from evergreen.scoring.published import ACTUAL, VERSION
from evergreen.scoring.score import rows_with_look_back
from evergreen.signals.performance import PERFORMANCE
from evergreen.signals.record import Record
from evergreen.spec import Spec
from evergreen.spec.decision import DecisionRule
from evergreen.stages import MONITOR
from evergreen.timings import timed

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Night:
    """A monitored partition: its record, the decision after it, and the earlier records that it filled in."""

    record: Record
    decision: Decision
    filled: tuple[Record, ...] = ()

    @property
    def labelled(self) -> Record | None:
        """The newest of the records that got its labels in this night; None where none did."""
        known = [one for one in (*self.filled, self.record) if one.labelled]
        return max(known, key=lambda one: one.partition, default=None)


def monitor(pipeline: Pipeline, partition: str) -> Decision:
    """The decision of `monitor_night`."""
    return monitor_night(pipeline, partition).decision


def monitor_night(pipeline: Pipeline, partition: str) -> Night:
    """Measure a scored partition, decide on a retraining, and publish the record with the decision.

    The labels that become due with the partition are read if they are not there yet. They fill in the record
    of the partition they belong to, as do those that came late, or whose own night there never was; decisions
    stay what they were; all in one commit. As-of exact: only
    records of partitions up to this one, and trainings as of them, count. Run again, it changes nothing.
    Raises `NotFoundError` for a partition that is not published or not scored, `NothingToDoError` where no
    champion was in force as of it, `IntegrityError` where the champion's reference cannot be read.
    """
    pipeline.spec.calendar.check(partition)
    with timed(pipeline, MONITOR, partition) as timing:
        night = _decided(pipeline, partition)
        timing.rows = night.record.rows
    return night


def _decided(pipeline: Pipeline, partition: str) -> Night:
    spec = pipeline.spec
    due = ensure(pipeline, partition)
    scored = _scored(pipeline, partition, _labels_as_of(pipeline, partition))
    history = trainings(pipeline)
    before = [one for one in history if one.known(partition)]
    last, trained = max((one.as_of for one in before), default=None), on_trial(spec, before)
    rival = _rival(pipeline, trained)
    if last and trained:
        last = min(last, trained.as_of)
    known = _monitored(pipeline, partition, last, due)
    filled = _filled(pipeline, known, partition, _unfilled(pipeline, known, partition, due), rival)
    earlier = [filled.get(key, (record, decision))[0] for key, (record, decision) in known.items()]
    measured = replace(_measured(pipeline, scored, earlier, rival), skew=skew_of(pipeline, partition))
    record = with_window(spec, measured, earlier)
    for one in (*(pair[0] for pair in filled.values()), record):
        if failed := one.trial.get("failed"):
            _log.warning(
                "%s %s: the trial of %s ends: %s", spec.name, one.partition, one.trial["version"], failed
            )
    decision = decide(spec, [*earlier, record], history)
    contents = {key: to_table(*pair) for key, pair in {**filled, partition: (record, decision)}.items()}
    pipeline.lake.replace(Table.MONITORING, contents, SCHEMA)
    drop_expired(pipeline)
    return Night(record, decision, tuple(one for one, _ in filled.values()))


@dataclass(frozen=True)
class _Scored:
    """A partition's own rows, features and predictions, in one order, and what they are held against.

    The features are those of the version that scored it, as `pipeline` describes them.
    """

    pipeline: Pipeline
    partition: str
    version: str
    rows: pd.DataFrame
    features: pd.DataFrame
    predictions: pd.DataFrame
    reference: Reference

    def described(self, spec: Spec) -> Spec:
        """A description of today with the positive class and the costs that the version promised by."""
        positive, costs = self.pipeline.spec.positive, self.reference.costs
        if spec.positive != positive:
            spec = spec.model_copy(update={"positive": positive})
        if costs is None or spec.training.costs in (None, costs):
            return spec
        training = spec.training.model_copy(update={"decision": DecisionRule(costs=costs)})
        return spec.model_copy(update={"training": training})


def _rival(pipeline: Pipeline, training: Training | None) -> CheckedModel | None:
    """The challenger on trial with its model; None if it cannot be used any more, which the log says."""
    if training is None:
        return None
    try:
        return load_checked_model(pipeline, training.version)
    except EvergreenError as why:
        _log.warning("%s: the trial of %s ends: %s", pipeline.name, training.version, why)
        return None


def _beside(scored: _Scored, model: CheckedModel | None) -> Rival | None:
    """The challenger on trial, as it predicts the scored partition from its own features."""
    if model is None:
        return None
    if model.pipeline is scored.pipeline:
        return Rival(model.version, model.estimator)

    def features() -> pd.DataFrame:
        rows = to_frame(rows_with_look_back(model.pipeline, scored.partition))
        return partition_features(model.pipeline.spec, rows, scored.partition)

    return Rival(model.version, model.estimator, features)


def _measured(
    pipeline: Pipeline, scored: _Scored, earlier: Sequence[Record], rival: CheckedModel | None
) -> Record:
    published = pipeline.lake.partitions()
    return measure(
        scored.described(pipeline.spec),
        scored.reference,
        scored.rows,
        scored.features,
        scored.predictions,
        partition=scored.partition,
        version=scored.version,
        as_of=as_of_version(scored.version),
        published=published,
        earlier=earlier,
        rival=_beside(scored, rival),
        health=health(pipeline, scored.partition, scored.version, published),
    )


def _unfilled(
    pipeline: Pipeline, known: dict[str, tuple[Record, Decision]], partition: str, due: Sequence[str]
) -> list[str]:
    """The earlier partitions whose records this night fills in: those due, and those that lack labels."""
    if not pipeline.spec.label_delay:
        return []
    newest = newest_known(pipeline.spec, partition)
    there = set(pipeline.lake.partitions(Table.LABELS))
    late = {key for key, (record, _) in known.items() if not record.labelled and key <= newest}
    return sorted((known.keys() & set(due)) | (late & there))


def _filled(
    pipeline: Pipeline,
    known: dict[str, tuple[Record, Decision]],
    partition: str,
    keys: Sequence[str],
    rival: CheckedModel | None,
) -> dict[str, tuple[Record, Decision]]:
    """The records of some partitions with the labels that are known in the night of `partition`."""
    filled: dict[str, tuple[Record, Decision]] = {}
    for key in keys:
        record, decision = known[key]
        scored = _scored(pipeline, key, partition)
        if scored.version != record.version:
            continue  # scored again by another champion: its own monitor will tell
        found = performance(
            scored.described(pipeline.spec),
            scored.reference,
            scored.rows,
            scored.features,
            scored.predictions,
            rival=_beside(scored, rival) if rival and as_of_version(rival.version) <= key else None,
        )
        before = [filled.get(other, pair)[0] for other, pair in known.items() if other < key]
        filled[key] = (with_window(pipeline.spec, replace(record, **found), before), decision)
    return filled


def _labels_as_of(pipeline: Pipeline, partition: str) -> str:
    """The partition in whose night the labels of this one are taken as known.

    Its own, unless one that knows its labels is monitored already: then they stay filled in.
    """
    spec = pipeline.spec
    if not spec.label_delay:
        return partition
    night = spec.calendar.ahead(partition, spec.label_delay)
    monitored = pipeline.lake.partitions(Table.MONITORING)
    return night if monitored and monitored[-1] >= night else partition


def _scored(pipeline: Pipeline, partition: str, as_of: str) -> _Scored:
    """A partition as it was scored, with the labels that are known in the night of `as_of`."""
    spec = pipeline.spec
    table = _predictions(pipeline, partition)
    version = str(table.column(VERSION)[0])
    scoring = with_features_of(pipeline, version)
    rows = to_frame(rows_with_look_back(scoring, partition))
    features = partition_features(scoring.spec, rows, partition)
    own = _completed(pipeline, scoring, rows.loc[features.index], features)
    predictions = to_frame(_labelled(pipeline, table, as_of))
    if not predictions[list(spec.keys)].equals(own[list(spec.keys)].reset_index(drop=True)):
        raise NotFoundError(
            f"{spec.name} {partition}: its rows have changed since it was scored: run evergreen score "
            f"{spec.name} --partition {partition}"
        )
    return _Scored(
        scoring,
        partition,
        version,
        own,
        features,
        predictions,
        _reference(pipeline, version),
    )


def _completed(
    pipeline: Pipeline, scoring: Pipeline, own: pd.DataFrame, features: pd.DataFrame
) -> pd.DataFrame:
    """A partition's own rows, with the columns of today that the description wants figures by.

    Rules may name a lookup or a feature that the version which scored it does not have yet.
    """
    spec = pipeline.spec
    named: set[str] = {*PERFORMANCE.of(spec.monitoring).slices, *(rule.column for rule in spec.gate.fairness)}
    if scoring is pipeline or not named - {*own, *features}:
        return own
    partition = str(own[PARTITION].iloc[0])
    rows = to_frame(rows_with_look_back(pipeline, partition))
    today = partition_features(spec, rows, partition)
    rows = rows.loc[today.index].assign(**{str(name): today[name] for name in today if name not in rows})
    wanted = [name for name in sorted(named) if name in rows and name not in own]
    return own.assign(**{name: rows[name].to_numpy() for name in wanted})


def _labelled(pipeline: Pipeline, predictions: pa.Table, as_of: str) -> pa.Table:
    try:
        return with_labels(pipeline, predictions, as_of, column=ACTUAL)
    except NotFoundError:
        return predictions  # no labels were ever read


def _reference(pipeline: Pipeline, version: str) -> Reference:
    try:
        return read_reference(pipeline.registry, version)
    except EvergreenError as error:
        raise type(error)(f"{pipeline.name}: {error}: evergreen train {pipeline.name}") from None


def _predictions(pipeline: Pipeline, partition: str) -> pa.Table:
    scored = pipeline.lake.find(Table.PREDICTIONS, partition, partition)
    if scored is not None:
        return scored
    rows_with_look_back(pipeline, partition)  # raises if the partition is not published
    if pipeline.registry.champion(partition) is None:
        raise NothingToDoError(
            f"{pipeline.name} {partition}: no champion was in force as of this partition: nothing was scored"
        )
    raise NotFoundError(
        f"{pipeline.name} {partition}: this partition is not scored: run evergreen score {pipeline.name} "
        f"--partition {partition}"
    )


def _monitored(
    pipeline: Pipeline, partition: str, last_training: str | None, due: Sequence[str]
) -> dict[str, tuple[Record, Decision]]:
    """Records and decisions of the partitions before this one that may still count, by key, oldest first.

    Those since the last training decide, an open breaker and a bias also look at as many as
    `judged_nights` before it, the last days pool with this one and trail it, and those whose labels are due
    are filled in.
    What an older release wrote has no counts and is left out.
    """
    spec = pipeline.spec
    if not spec.calendar.has_time:
        return {}
    calendar = spec.calendar
    reach = max(spec.lengths.trailing, LONGEST, key=calendar.days)
    trailing = calendar.back(calendar.back(partition, reach), reach)
    over = judged_nights(spec, partition)
    before = calendar.shift(last_training, -over) if last_training else None
    first = min(filter(None, (before, *due, trailing)))
    table = pipeline.lake.find(Table.MONITORING, first, calendar.shift(partition, -1))
    if table is None or "counts" not in table.column_names:
        return {}
    table = table.filter(pc.is_valid(table.column("counts")))
    pairs = zip(records_in(table), decisions_in(table), strict=True)
    return {record.partition: (record, decision) for record, decision in pairs}
