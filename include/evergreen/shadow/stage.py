"""The decision about a challenger that waits for its shadow: made by each night's monitoring, once it may be.

What its shadow was asked is in the log of requests, so the decision follows from who asked what until then,
as that of a person follows from when they are asked. The history keeps the evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.errors import ConflictError, NothingToDoError
from evergreen.evaluation.verdict import Outcome, Verdict
from evergreen.monitoring.promotion import promote_tried
from evergreen.monitoring.record import monitored
from evergreen.registry.history import Event, promotion
from evergreen.registry.ids import as_of_version
from evergreen.registry.overview import compared_with
from evergreen.registry.versions import GATE, LINEAGE, METRICS
from evergreen.shadow.evidence import evidence_of
from evergreen.shadow.judge import Evidence, judge, lacking
from evergreen.sinks.mlflow.follow import tell_mlflow_or_warn

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline


def promote_due(pipeline: Pipeline, partition: str) -> Event:
    """Put the challenger in force that is due after the night of a partition, from the next one on.

    That is one whose trial is decided in its favour; where `gate.shadow` asks for a shadow, one that the gate
    or its trial is in favour of and whose shadow has been asked enough rows. Once it is in force, it is the
    same event again. A challenger whose shadow speaks against it is refused in the history.

    Raises `NothingToDoError`, with the reason, if none is promoted, and as
    `evergreen.monitoring.promotion.promote_tried`.
    """
    if pipeline.spec.gate.shadow is None:
        return promote_tried(pipeline, partition)
    return _promote_shadowed(pipeline, partition, pipeline.spec.gate.shadow)


def standing(pipeline: Pipeline, evidence: Evidence) -> str:
    """What the evidence comes to, as a sentence for people; empty where the gate asks for no shadow."""
    if (wanted := pipeline.spec.gate.shadow) is None:
        return ""
    verdict = _verdict(pipeline, evidence.version)
    return lacking(wanted, evidence) or judge(pipeline.spec, evidence, _by_person(pipeline, verdict)).sentence


def _promote_shadowed(pipeline: Pipeline, partition: str, wanted: int) -> Event:
    spec, registry = pipeline.spec, pipeline.registry
    spec.calendar.check(partition)
    champion = registry.champion()
    if champion and (done := promotion(registry.history(), champion)) and _night_of(done) == partition:
        return done
    version = registry.challenger()
    if version is None or champion is None:
        raise NothingToDoError(f"{spec.name} {partition}: no challenger waits for its shadow")
    newest = pipeline.lake.partitions()[-1]
    if partition != newest:
        raise NothingToDoError(
            f"{spec.name} {partition}: {version} is not promoted by an older partition: the newest published "
            f"is {newest}"
        )
    gate = _verdict(pipeline, version)
    if gate.outcome is Outcome.INCONCLUSIVE and not gate.needs_approval:
        _check_trial(pipeline, version, partition)
    evidence = evidence_of(pipeline, version, champion)
    if less := lacking(wanted, evidence):
        raise NothingToDoError(f"{spec.name} {partition}: {version} {less}")
    verdict = judge(spec, evidence, _by_person(pipeline, gate))
    reason = {
        **registry.content(version, LINEAGE, lambda lineage: dict(lineage["reason"])),
        "shadow": {"partition": partition, "sentence": verdict.sentence, **evidence.to_dict()},
    }
    if verdict.outcome is not Outcome.PROMOTED:
        said = {"gate": verdict.sentence, "verdict": verdict.outcome.value}
        registry.refuse(version, as_of_version(version), {**reason, **said})
        tell_mlflow_or_warn(pipeline)
        raise NothingToDoError(f"{spec.name} {partition}: {version} {verdict.sentence}: the champion stays")
    if verdict.needs_approval:
        raise NothingToDoError(
            f"{spec.name} {partition}: {version} {verdict.sentence}: evergreen models promote {spec.name} "
            f"{version}"
        )
    as_of = spec.calendar.shift(partition, 1) if spec.calendar.has_time else partition
    try:
        event = registry.promote(version, as_of, reason, registry.content(version, METRICS, compared_with))
    except ConflictError as conflict:
        raise NothingToDoError(str(conflict)) from None
    tell_mlflow_or_warn(pipeline)
    return event


def _verdict(pipeline: Pipeline, version: str) -> Verdict:
    """What the gate said of the version."""
    return pipeline.registry.content(version, GATE, Verdict.from_dict)


def _by_person(pipeline: Pipeline, gate: Verdict) -> bool:
    """Whether a person decides about the version: where the gate says so, and after any trial."""
    tried = gate.outcome is Outcome.INCONCLUSIVE and pipeline.spec.gate.approval is not None
    return gate.needs_approval or tried


def _check_trial(pipeline: Pipeline, version: str, partition: str) -> None:
    """Raise `NothingToDoError` unless the trial of the version is decided in its favour."""
    _, decision = monitored(pipeline, partition)
    trial = decision.evidence.get("trial") or {}
    if trial.get("version") != version or trial.get("outcome") != "better":
        raise NothingToDoError(
            f"{pipeline.name} {partition}: the trial of {version} is not decided in its favour"
        )


def _night_of(event: Event) -> str | None:
    """The partition after whose night the event put a shadow in force."""
    found = event.reason.get("shadow", {}).get("partition")
    return None if found is None else str(found)
