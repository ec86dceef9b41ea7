"""The stage `monitor`: measure a scored partition, decide, write that down, and say what training is due."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from evergreen.errors import NotFoundError, NothingToDoError
from evergreen.lake import Table
from evergreen.monitoring.measure import measure, needs_model
from evergreen.monitoring.policy import Decision, blocked, decide
from evergreen.monitoring.record import Record, decisions_in, records_in, to_table
from evergreen.pipeline import Pipeline
from evergreen.registry.history import Kind
from evergreen.registry.registry import as_of_version
from evergreen.rows.frame import to_frame
from evergreen.scoring.champion import load_champion
from evergreen.scoring.predict import partition_features
from evergreen.scoring.score import VERSION, rows_with_look_back

REFERENCE = "reference.json"


@dataclass(frozen=True)
class TrainingRequest:
    """A training that is wanted. `run_id` is the same for the same reason, so that it starts only once.

    `reason` has `kind` (`drift` or `first`), `sentence`, and for a drift `partition` and `evidence`.
    """

    run_id: str
    as_of: str
    reason: dict[str, Any]


def monitor(pipeline: Pipeline, partition: str) -> Decision:
    """Measure a scored partition, decide on a retraining, and publish the record with the decision.

    As-of exact: only records of partitions up to this one, and trainings as of them, count. Raises
    `NotFoundError` for a partition that is not published or not scored, `NothingToDoError` where no champion
    was in force as of it.
    """
    spec = pipeline.spec
    spec.calendar.check(partition)
    record = _measured(pipeline, partition)
    trainings = _trainings(pipeline, partition)
    decision = decide(spec, [*_earlier(pipeline, partition, trainings), record], trainings)
    pipeline.lake.replace(Table.MONITORING, {partition: to_table(record, decision)})
    return decision


def retraining_request(pipeline: Pipeline, partition: str) -> TrainingRequest:
    """The training that the partition's stored decision asks for, as of the partition after it.

    Raises `NothingToDoError`, with the reason, if it asks for none or the partition is not the newest that is
    published, and `NotFoundError` if the partition has not been monitored.
    """
    spec = pipeline.spec
    spec.calendar.check(partition)
    decision = _stored(pipeline, partition)
    if not decision.retrain:
        raise NothingToDoError(f"{spec.name} {partition}: {decision.reason}")
    newest = pipeline.lake.partitions()[-1]
    if partition != newest:
        raise NothingToDoError(
            f"{spec.name} {partition}: no retraining for an older partition: the newest published is {newest}"
        )
    token = f"v{pipeline.lake.version(Table.PARTITIONS)}"
    run_id = f"monitor__{partition}" if spec.calendar.has_time else f"monitor__{partition}__{token}"
    reason = {
        "kind": "drift",
        "sentence": decision.reason,
        "partition": partition,
        "evidence": decision.evidence,
    }
    return TrainingRequest(run_id, spec.calendar.shift(partition, 1), reason)


def first_training_request(pipeline: Pipeline) -> TrainingRequest:
    """The first training of a pipeline without a champion, as of the partition after the newest published.

    Raises `NothingToDoError`, with the reason, if there is a champion, if less is published than
    `training.minimum`, or if an earlier training was refused and the policy's limits allow no other yet.
    """
    spec = pipeline.spec
    if champion := pipeline.registry.champion():
        raise NothingToDoError(f"{spec.name}: there is a champion already: {champion}")
    published = pipeline.lake.partitions()
    if not published:
        raise NothingToDoError(f"{spec.name}: nothing is published yet: ingest partitions first")
    as_of = spec.calendar.shift(published[-1], 1)
    start = spec.calendar.back(as_of, spec.training.window)
    history = sum(key >= start for key in published) if spec.calendar.has_time else len(published)
    if history < spec.training.minimum:
        raise NothingToDoError(
            f"{spec.name}: {history} partitions are published in the training window and a first training "
            f"needs {spec.training.minimum}"
        )
    earlier = [as_of_version(version) for version in pipeline.registry.versions()]
    if earlier and (why := _no_second_first(pipeline, as_of, earlier)):
        raise NothingToDoError(f"{spec.name}: no champion yet, and {why}")
    sentence = f"first training: {history} partitions are published and there is no champion yet"
    return TrainingRequest(f"first__{as_of}", as_of, {"kind": "first", "sentence": sentence})


def _measured(pipeline: Pipeline, partition: str) -> Record:
    spec, registry = pipeline.spec, pipeline.registry
    rows = rows_with_look_back(pipeline, partition)
    scored = _predictions(pipeline, partition)
    version = str(scored.column(VERSION)[0])
    return measure(
        spec,
        json.loads(registry.read(version, REFERENCE)),
        partition_features(spec, to_frame(rows), partition),
        to_frame(scored),
        partition=partition,
        version=version,
        as_of=as_of_version(version),
        published=pipeline.lake.partitions(),
        model=load_champion(pipeline, version) if needs_model(spec) else None,
    )


def _predictions(pipeline: Pipeline, partition: str) -> pa.Table:
    try:
        scored = pipeline.lake.read(Table.PREDICTIONS, partition, partition)
    except NotFoundError:
        scored = None
    if scored is not None and len(scored):
        return scored
    if pipeline.registry.champion(partition) is None:
        raise NothingToDoError(
            f"{pipeline.name} {partition}: no champion was in force as of this partition: nothing was scored"
        )
    raise NotFoundError(
        f"{pipeline.name} {partition}: this partition is not scored: run evergreen score {pipeline.name} "
        f"--partition {partition}"
    )


def _trainings(pipeline: Pipeline, partition: str) -> list[str]:
    # Those as of a later partition are left out, also the one that this very decision may have led to: so
    # monitoring the partition again decides the same.
    trained = (Kind.PROMOTED, Kind.REFUSED)
    return sorted(
        {e.as_of for e in pipeline.registry.history() if e.kind in trained and e.as_of <= partition}
    )


def _earlier(pipeline: Pipeline, partition: str, trainings: list[str]) -> list[Record]:
    if not pipeline.spec.calendar.has_time:
        return []
    try:
        table = pipeline.lake.read(
            Table.MONITORING,
            trainings[-1] if trainings else None,
            pipeline.spec.calendar.shift(partition, -1),
        )
    except NotFoundError:
        return []
    return records_in(table)


def _stored(pipeline: Pipeline, partition: str) -> Decision:
    try:
        found = decisions_in(pipeline.lake.read(Table.MONITORING, partition, partition))
    except NotFoundError:
        found = []
    if not found:
        raise NotFoundError(
            f"{pipeline.name} {partition}: this partition is not monitored: run evergreen monitor "
            f"{pipeline.name} --partition {partition}"
        )
    return found[0]


def _no_second_first(pipeline: Pipeline, as_of: str, earlier: list[str]) -> str | None:
    if as_of in earlier:
        return f"a training as of {as_of} was refused already; it can be promoted by hand"
    return blocked(pipeline.spec, as_of, earlier)
