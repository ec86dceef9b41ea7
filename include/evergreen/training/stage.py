"""Training as a stage: a function for each task of the DAG, and one that does all of it for a shell.

Every function is idempotent. The version's id follows from data, description and code: a run that finds its
version committed already, by itself or by another run, reports what is stored.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from evergreen.asked.find import find_asked
from evergreen.calendar import SNAPSHOT
from evergreen.candidates.fit import Challenger, fit_challenger
from evergreen.candidates.pretrained import load_pretrained
from evergreen.drift.unvaried import binnings_of, unvaried
from evergreen.errors import (
    ChangedError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    NothingToDoError,
    NotInstalledError,
    SpecError,
)
from evergreen.evaluation.champion import Champion
from evergreen.evaluation.evaluate import Evaluation, evaluate
from evergreen.evaluation.gate import judge
from evergreen.evaluation.verdict import DECLINED, Verdict
from evergreen.json_values import json_values
from evergreen.monitoring.promise import Predecessor
from evergreen.monitoring.reference import build_reference, read_reference
from evergreen.registry.history import Event, last_word, withdrawn
from evergreen.registry.ids import as_of_version
from evergreen.registry.model_file import dump_model, load_model
from evergreen.registry.versions import GATE, LINEAGE, METRICS
from evergreen.scoring.afresh import check_afresh
from evergreen.scoring.checked_model import load_checked_model
from evergreen.sinks.mlflow.follow import tell_mlflow_or_warn
from evergreen.stages import TRAIN
from evergreen.timings import now, timed
from evergreen.training.approval import Approval, Question, ask
from evergreen.training.staged_set import NOTE, stage_rows, staged_set
from evergreen.training.version_files import read_copy, version_files
from evergreen.training_set.assemble import TrainingSet
from evergreen.training_set.by_version import features_by
from evergreen.training_set.rare import rare_classes
from evergreen.training_set.read import read_training_set

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

_EVALUATED, _FINAL, _CHOSEN = "evaluated.skops", "final.skops", "challenger.json"
_EVALUATION = "evaluation.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """What came of a training; `existed` if the version was there before, `metrics` are the challenger's.

    Where the version waits, `promoted` says whether it has been promoted already.
    """

    version: str
    as_of: str
    promoted: bool
    existed: bool
    metrics: dict[str, float]
    verdict: Verdict

    @property
    def waits(self) -> bool:
        """Whether a person is still to decide, or its shadow is waited for."""
        return self.verdict.waits and not self.promoted


@dataclass(frozen=True)
class Committed:
    """A version that went through the gate.

    `seconds` is how long that took since its training began; None for a version that was there before.
    """

    version: str
    verdict: Verdict
    seconds: float | None


def train(pipeline: Pipeline, as_of: str | None, reason: dict[str, Any]) -> Trained:
    """Train as of a partition (None: on all that is published), judge, commit, and promote what passes.

    A version that needs a person's approval waits for `evergreen models promote`, and one that needs a shadow
    for the nights that come. Raises `NothingToDoError`
    where there is too little history, where the version was rolled back, or where the champion that it was
    compared with has been replaced since.
    """
    as_of = as_of or next_as_of(pipeline)
    with timed(pipeline, TRAIN, as_of):
        trained = _trained(pipeline, as_of, reason)
    tell_mlflow_or_warn(pipeline)
    return trained


def _trained(pipeline: Pipeline, as_of: str, reason: dict[str, Any]) -> Trained:
    training_set, rows = read_training_set(pipeline, as_of, json_values(reason))
    version = training_set.version
    existed = pipeline.registry.has(version)
    if not existed:
        _warn_of_rows(pipeline, training_set)
        challenger = fit_challenger(pipeline.spec, training_set, load_pretrained(pipeline))
        evaluation = evaluate(pipeline.spec, training_set, challenger, _champion(pipeline, training_set))
        _commit(pipeline, rows, training_set, challenger, evaluation)
    verdict = _settle(pipeline, version, training_set.lineage["reason"])
    promoted = verdict.waits and pipeline.registry.force().holds(version)
    if verdict.promote:
        _promote(pipeline, version, training_set.lineage["reason"])
        promoted = True
    metrics = _stored_evaluation(pipeline, version).challenger
    return Trained(version, as_of, promoted, existed, metrics, verdict)


def next_as_of(pipeline: Pipeline) -> str:
    """The partition after the newest published one; raises `NothingToDoError` if none is."""
    if not pipeline.spec.calendar.has_time:
        return SNAPSHOT
    published = pipeline.lake.partitions()
    if not published:
        raise NothingToDoError(f"{pipeline.name}: no partition is published yet: ingest first")
    return pipeline.spec.calendar.shift(published[-1], 1)


def stage_training_set(pipeline: Pipeline, as_of: str | None, reason: dict[str, Any], run: str) -> str:
    """Stage the rows of the training window and return the id of the version that will come of them.

    Of a sample only the versions of the tables are staged: each task draws it again. Raises
    `NothingToDoError` where there is too little history, and where a first champion was asked for but there
    is one by now: in a backfill several partitions may ask before the first training ends.
    """
    began, as_of = now(), as_of or next_as_of(pipeline)
    champion = pipeline.registry.champion() if reason.get("kind") == "first" else None
    if champion and as_of_version(champion) < as_of:
        raise NothingToDoError(f"{pipeline.name}: a first champion is there by now: {champion}")
    training_set, rows = read_training_set(pipeline, as_of, json_values(reason))
    _warn_of_rows(pipeline, training_set)
    stage_rows(pipeline, run, training_set, rows, began)
    return training_set.version


def stage_challenger(pipeline: Pipeline, run: str) -> dict[str, Any]:
    """Tune and fit on the staged training set; returns the chosen candidate."""
    staging = pipeline.staging(run)
    version = staging.read_json(NOTE)["version"]
    if pipeline.registry.has(version):
        return pipeline.registry.content(version, LINEAGE, lambda lineage: dict(lineage["candidate"]))
    training_set = staged_set(pipeline, run)[0]
    challenger = fit_challenger(pipeline.spec, training_set, load_pretrained(pipeline))
    staging.write_bytes(_EVALUATED, dump_model(challenger.evaluated))
    staging.write_bytes(_FINAL, dump_model(challenger.final))
    chosen = {name: getattr(challenger, name) for name in ("candidate", "trials", "curve")}
    staging.write_json(_CHOSEN, chosen)
    return challenger.candidate


def stage_evaluation(pipeline: Pipeline, run: str) -> Evaluation:
    """Measure the staged challenger beside baseline and the champion in force as of the training."""
    staging = pipeline.staging(run)
    note = staging.read_json(NOTE)
    if pipeline.registry.has(note["version"]):
        return _stored_evaluation(pipeline, note["version"])
    training_set = staged_set(pipeline, run)[0]
    champion = _champion(pipeline, training_set)
    evaluation = evaluate(pipeline.spec, training_set, _staged_challenger(pipeline, run), champion)
    staging.write_json(_EVALUATION, evaluation.to_dict())
    return evaluation


def commit_version(pipeline: Pipeline, run: str) -> Committed:
    """Put the challenger through the gate and commit its version, whatever the verdict.

    A refusal is recorded in the history. Raises `IntegrityError` if the model, loaded by another process from
    the storage, does not give its golden sample's predictions.
    """
    note = pipeline.staging(run).read_json(NOTE)
    version = note["version"]
    with timed(pipeline, TRAIN, note["as_of"]) as timing:
        existed = pipeline.registry.has(version)
        if not existed:
            timing.began = note.get("began", "")
            evaluation = Evaluation.from_dict(pipeline.staging(run).read_json(_EVALUATION))
            training_set, rows = staged_set(pipeline, run)
            challenger = _staged_challenger(pipeline, run)
            _commit(pipeline, rows, training_set, challenger, evaluation)
        verdict = _settle(pipeline, version, note["reason"])
    if not verdict.promote:  # else once it is promoted, which must not wait
        tell_mlflow_or_warn(pipeline)
    return Committed(version, verdict, None if existed else timing.seconds)


def open_question(pipeline: Pipeline, run: str) -> Question | None:
    """What a person must answer before the run's version is promoted; None if nothing is left to answer.

    That is so where the gate promotes it without a person, and where it is in force already. Raises
    `NothingToDoError` if the gate found it worse, it waits for its shadow, or it was rolled back since:
    nobody is asked then.
    """
    note = pipeline.staging(run).read_json(NOTE)
    version = note["version"]
    verdict = _stored_verdict(pipeline, version)
    if not (verdict.promote or verdict.waits):
        _clear(pipeline, run, note)
        raise NothingToDoError(f"{pipeline.name}: {version} {verdict.sentence}: the champion stays")
    _check_not_withdrawn(pipeline, version)
    if verdict.promote or pipeline.registry.force().holds(version):
        return None
    if verdict.shadow:
        raise _still_a_shadow(pipeline, version, verdict)
    return ask(pipeline, version, verdict)


def decline_staged(pipeline: Pipeline, run: str, version: str, answer: str) -> Event | None:
    """Record that the version a person was asked about is not promoted, and clear the staging.

    `answer` says who said no, or that nobody answered; it is the event's `reason.approval`. None, and no
    event, if the version was promoted by other means while the question was open.
    """
    note = pipeline.staging(run).read_json(NOTE)
    event = None
    if not pipeline.registry.force().holds(version):
        gate = _stored_verdict(pipeline, version).sentence
        reason = {**note["reason"], "gate": gate, "verdict": DECLINED, "approval": answer}
        event = pipeline.registry.refuse(version, as_of_version(version), reason)
    _clear(pipeline, run, note)
    tell_mlflow_or_warn(pipeline)
    return event


def promote_staged(pipeline: Pipeline, run: str, approval: Approval | None = None) -> Event | None:
    """Promote the run's version if its verdict allows it, and clear the staging; None if the gate refused it.

    Where a person must decide, `approval` must be for this very version. Raises `NothingToDoError` without
    one, if its shadow is waited for, and if the version was rolled back since: only a person promotes it
    again.
    """
    note = pipeline.staging(run).read_json(NOTE)
    version, reason = note["version"], note["reason"]
    verdict = _stored_verdict(pipeline, version)
    event = None
    if verdict.promote or (verdict.waits and pipeline.registry.force().holds(version)):
        event = _promote(pipeline, version, reason)
    elif verdict.needs_approval and not verdict.shadow and approval and approval.version == version:
        event = _promote(pipeline, version, {**reason, "approved_by": approval.by})
    _clear(pipeline, run, note)
    if verdict.shadow and event is None:
        raise _still_a_shadow(pipeline, version, verdict)
    if verdict.needs_approval and event is None:
        raise NothingToDoError(
            f"{pipeline.name}: {version} needs a person's approval and has none, the champion stays: clear "
            f"the task 'approve' to be asked again, or evergreen models promote {pipeline.name} {version}"
        )
    if event is not None:
        tell_mlflow_or_warn(pipeline)
    return event


def _still_a_shadow(pipeline: Pipeline, version: str, verdict: Verdict) -> NothingToDoError:
    return NothingToDoError(f"{pipeline.name}: {version} {verdict.sentence}: until then the champion stays")


def _clear(pipeline: Pipeline, run: str, note: dict[str, Any]) -> None:
    staging = pipeline.staging(run)
    staging.clear()
    # With this note every task of the run can be run again: it finds the version and reports what is stored.
    staging.write_json(NOTE, note)


def _warn_of_rows(pipeline: Pipeline, training_set: TrainingSet) -> None:
    rare = rare_classes(pipeline.spec, training_set.target, training_set.holdout)
    for sentence in (*unvaried(binnings_of(training_set.features)), *(found.sentence for found in rare)):
        _log.warning("%s: %s", pipeline.name, sentence)


def _commit(
    pipeline: Pipeline,
    rows: pd.DataFrame,
    training_set: TrainingSet,
    challenger: Challenger,
    evaluation: Evaluation,
) -> None:
    spec, before = pipeline.spec, _predecessor(pipeline, evaluation)
    reference = build_reference(spec, training_set, evaluation, challenger, before)
    if said := reference.told_worse(spec):
        _log.warning("%s: %s promises %s", spec.name, training_set.version, said)
    verdict = judge(spec, evaluation)
    asked = find_asked(spec, rows, training_set.as_of)
    files = version_files(
        spec, training_set, challenger, evaluation, verdict, reference=reference, asked=asked
    )
    pipeline.registry.commit(training_set.version, files)


def _predecessor(pipeline: Pipeline, evaluation: Evaluation) -> Predecessor | None:
    """What the champion promised that the challenger was compared with."""
    if evaluation.champion is None:
        return None
    version = str(evaluation.champion["version"])
    try:
        return Predecessor(version, read_reference(pipeline.registry, version).promised)
    except (IntegrityError, NotFoundError) as error:
        _log.warning("%s: the promise of the champion cannot be compared: %s", pipeline.name, error)
        return None


def _settle(pipeline: Pipeline, version: str, reason: dict[str, Any]) -> Verdict:
    """The stored verdict, after the golden check of the stored model; a refusal is added to the history."""
    # What is stored counts, not what this run found: another run may have committed the version first.
    verdict = _stored_verdict(pipeline, version)
    if last_word(pipeline.registry.history(), version) is None:
        check_afresh(pipeline, version)
        if not (verdict.promote or verdict.waits):
            said = {"gate": verdict.sentence, "verdict": verdict.outcome.value}
            pipeline.registry.refuse(version, as_of_version(version), {**reason, **said})
    return verdict


def _promote(pipeline: Pipeline, version: str, reason: dict[str, Any]) -> Event:
    _check_not_withdrawn(pipeline, version)
    compared = _stored_evaluation(pipeline, version).champion
    over = compared["version"] if compared else None
    try:
        return pipeline.registry.promote(version, as_of_version(version), reason, over)
    except ConflictError as conflict:
        # The gate did not compare it with the champion of now; another training will.
        raise NothingToDoError(str(conflict)) from None


def _check_not_withdrawn(pipeline: Pipeline, version: str) -> None:
    if withdrawn(pipeline.registry.history(), version):
        raise NothingToDoError(
            f"{pipeline.name}: version {version} was rolled back and stays so: if it is wanted after all, "
            f"evergreen models promote {pipeline.name} {version}"
        )


def _champion(pipeline: Pipeline, training_set: TrainingSet) -> Champion | None:
    """The champion in force as of the training, with its own features of the training set's rows."""
    version = pipeline.registry.champion(training_set.as_of)
    if version is None:
        return None
    try:
        checked = load_checked_model(pipeline, version)
        features = features_by(checked.pipeline, pipeline.spec, training_set)
        copy = read_copy(pipeline.registry, version)
    except NotInstalledError:
        raise  # elsewhere it can be compared
    except (IntegrityError, SpecError, NotFoundError, NothingToDoError) as error:
        # It cannot be compared: the gate says so, and scoring with it fails until there is another champion.
        what = error.what if isinstance(error, ChangedError) else str(error)
        return Champion(version, as_of_version(version), None, what)
    return Champion(version, as_of_version(version), checked.estimator, None, copy, features)


def _staged_challenger(pipeline: Pipeline, run: str) -> Challenger:
    staging = pipeline.staging(run)
    chosen = staging.read_json(_CHOSEN)
    evaluated, final = (load_model(staging.read_bytes(name)) for name in (_EVALUATED, _FINAL))
    return Challenger(evaluated, final, chosen["candidate"], chosen["trials"], chosen["curve"])


def _stored_evaluation(pipeline: Pipeline, version: str) -> Evaluation:
    return pipeline.registry.content(
        version, METRICS, lambda metrics: Evaluation.from_dict(metrics["evaluation"])
    )


def _stored_verdict(pipeline: Pipeline, version: str) -> Verdict:
    return pipeline.registry.content(version, GATE, Verdict.from_dict)
