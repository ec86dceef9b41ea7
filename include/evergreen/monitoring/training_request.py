"""The trainings that are due: the one a monitor's decision asks for, and a pipeline's first.

A request's `run_id` is the same each time one decision is asked for, so that Airflow starts it once; and
where its training is done already, by whatever run, there is nothing to ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.errors import NothingToDoError
from evergreen.labels.ingest import labelled_partitions
from evergreen.lake import Table
from evergreen.monitoring.breaker import breaker
from evergreen.monitoring.policy import blocked
from evergreen.monitoring.record import Decision, monitored
from evergreen.monitoring.trainings import Training, trainings_of
from evergreen.registry.ids import as_of_version

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.spec import Spec


@dataclass(frozen=True)
class TrainingRequest:
    """A training that is wanted. `run_id` is the same for the same decision, so that it starts only once.

    `reason` has `kind` and `sentence`: the kind is `first`, or names the signals that fired, like
    `performance` or `performance+drift`; then `partition` and `evidence` are the decision's. `earlier` are
    the run ids of the requests within the cooldown before it: while one of those runs has not ended, it
    covers this decision too, though nothing of it is on record yet.
    """

    run_id: str
    as_of: str
    reason: dict[str, Any]
    earlier: tuple[str, ...] = ()


def trainings(pipeline: Pipeline) -> list[Training]:
    """All trainings of a pipeline, in the order of its history, and last those that wait for a person."""
    events = pipeline.registry.history()
    return trainings_of(events, pipeline.registry.undecided(events))


def retraining_request(pipeline: Pipeline, partition: str) -> TrainingRequest:
    """The training that the partition's stored decision asks for, as of the partition after it.

    Raises `NothingToDoError`, with the reason, if it asks for none, if the partition is not the newest that
    is published, or if a training as of the partition after it is done; `NotFoundError` if the partition has
    not been monitored.
    """
    spec = pipeline.spec
    spec.calendar.check(partition)
    _, decision = monitored(pipeline, partition)
    request = wanted(spec, decision, pipeline.lake.partitions(), pipeline.registry.versions(since=partition))
    if spec.calendar.has_time:
        return request
    # A snapshot has one partition for good: what may be trained on once each is the states of its data.
    run_id = f"{request.run_id}__v{pipeline.lake.version(Table.PARTITIONS)}"
    return TrainingRequest(run_id, request.as_of, request.reason)


def wanted(
    spec: Spec, decision: Decision, published: Sequence[str], versions: Sequence[str]
) -> TrainingRequest:
    """The training that a decision asks for; pure.

    `published` are the published partitions, sorted, and `versions` the committed versions, those of earlier
    partitions aside. Raises `NothingToDoError` as `retraining_request` does.
    """
    partition, calendar = decision.partition, spec.calendar
    if not decision.retrain:
        raise NothingToDoError(f"{spec.name} {partition}: {decision.reason}")
    if partition != published[-1]:
        raise NothingToDoError(
            f"{spec.name} {partition}: no retraining for an older partition: the newest published is "
            f"{published[-1]}"
        )
    as_of = calendar.shift(partition, 1)
    done = [version for version in versions if as_of_version(version) == as_of] if calendar.has_time else []
    if done:
        raise NothingToDoError(
            f"{spec.name} {partition}: the training that this decision asks for is done: {done[0]}"
        )
    reason = {
        "kind": "+".join(decision.evidence["firing"]),
        "sentence": decision.reason,
        "partition": partition,
        "evidence": decision.evidence,
    }
    nights = calendar.count(spec.cooldown, before=as_of) if calendar.has_time else 0
    earlier = tuple(_run_id(calendar.shift(partition, -steps)) for steps in range(1, nights))
    return TrainingRequest(_run_id(partition), as_of, reason, earlier)


def first_training_request(pipeline: Pipeline) -> TrainingRequest:
    """The first training of a pipeline without a champion, as of the partition after the newest published.

    Raises `NothingToDoError`, with the reason, if there is a champion, if less is published than
    `training.minimum`, or if earlier trainings gave none and the policy's limits allow no other yet.
    """
    spec = pipeline.spec
    if champion := pipeline.registry.champion():
        raise NothingToDoError(f"{spec.name}: there is a champion already: {champion}")
    published = pipeline.lake.partitions()
    if not published:
        raise NothingToDoError(f"{spec.name}: nothing is published yet: ingest partitions first")
    as_of = spec.calendar.shift(published[-1], 1)
    start = spec.calendar.back(as_of, spec.training.window)
    usable = labelled_partitions(pipeline, as_of) if spec.labels else published
    history = sum(key >= start for key in usable) if spec.calendar.has_time else len(usable)
    minimum = spec.calendar.count(spec.training.minimum, before=as_of)
    if history < minimum:
        labelled = " with labels" if spec.labels else ""
        raise NothingToDoError(
            f"{spec.name}: {history} partitions{labelled} are published in the training window and a first "
            f"training needs {minimum}"
        )
    if why := _no_second_first(spec, as_of, trainings(pipeline)):
        raise NothingToDoError(f"{spec.name}: no champion yet, and {why}")
    sentence = f"first training: {history} partitions are published and there is no champion yet"
    return TrainingRequest(f"first__{as_of}", as_of, {"kind": "first", "sentence": sentence})


def _run_id(partition: str) -> str:
    return f"monitor__{partition}"


def _no_second_first(spec: Spec, as_of: str, earlier: Sequence[Training]) -> str | None:
    if not earlier:
        return None
    same = [training.outcome for training in earlier if training.as_of == as_of]
    if "waiting" in same:
        return f"a training as of {as_of} waits for a person to promote it"
    if same:
        return f"the challenger as of {as_of} was {same[-1]}; it can be promoted by hand"
    return blocked(spec, as_of, earlier, breaker(spec, as_of, earlier))
