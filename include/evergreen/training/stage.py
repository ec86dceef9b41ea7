"""Training as a stage: a function for each task of the DAG, and the whole of it for a shell.

Every function is idempotent. The version's id follows from data, description and code, so a run that comes
to a version which is there already recognises its own (or an earlier run's) work and reports what is stored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from evergreen.errors import IntegrityError, NothingToDoError
from evergreen.evaluation.evaluate import Champion, Evaluation, evaluate
from evergreen.evaluation.gate import Verdict, judge
from evergreen.partition import SNAPSHOT
from evergreen.registry.history import Event, Kind, last_word
from evergreen.registry.model_file import dump_model, load_model
from evergreen.registry.registry import as_of_version
from evergreen.rows.frame import to_frame
from evergreen.training.dataset import TrainingSet, assemble, read_window
from evergreen.training.fit import Challenger, fit_challenger
from evergreen.training.version_files import GATE, LINEAGE, METRICS, check_golden, finite, version_files

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

_NOTE, _ROWS = "training.json", "training_rows.parquet"
_EVALUATED, _FINAL, _CHOSEN = "evaluated.skops", "final.skops", "challenger.json"
_EVALUATION = "evaluation.json"


@dataclass(frozen=True)
class Trained:
    """What came of a training; `existed` if the version was there before, `metrics` are the challenger's."""

    version: str
    as_of: str
    promoted: bool
    existed: bool
    metrics: dict[str, float]
    verdict: Verdict


def train(pipeline: Pipeline, as_of: str | None, reason: dict[str, Any]) -> Trained:
    """Train as of a partition (None: on all that is published), judge, commit, and promote what passes.

    Raises `NothingToDoError` where there is too little history, or where the version was rolled back.
    """
    as_of = as_of or next_as_of(pipeline)
    rows, lake_version = read_window(pipeline, as_of)
    training_set = assemble(pipeline.spec, rows, as_of, lake_version, finite(reason))
    version = training_set.version
    existed = pipeline.registry.has(version)
    if not existed:
        challenger = fit_challenger(pipeline.spec, training_set)
        evaluation = evaluate(pipeline.spec, training_set, challenger, _champion(pipeline, as_of))
        _commit(pipeline, training_set, challenger, evaluation)
    verdict = _settle(pipeline, version, training_set.lineage["reason"])
    event = _promote(pipeline, version, training_set.lineage["reason"]) if verdict.promote else None
    metrics = _stored_evaluation(pipeline, version).challenger
    return Trained(version, as_of, event is not None, existed, metrics, verdict)


def next_as_of(pipeline: Pipeline) -> str:
    """The partition after the newest published one; raises `NothingToDoError` if none is."""
    if not pipeline.spec.calendar.has_time:
        return SNAPSHOT
    published = pipeline.lake.partitions()
    if not published:
        raise NothingToDoError(f"{pipeline.name}: no partition is published yet: ingest first")
    return pipeline.spec.calendar.shift(published[-1], 1)


def stage_training_set(pipeline: Pipeline, as_of: str | None, reason: dict[str, Any], run: str) -> str:
    """Stage the rows of the training window and return the version that they, description and code make.

    Raises `NothingToDoError` where there is too little history, or where a first champion was asked for and
    there is an older one by now: in a backfill several partitions may ask before the first training ends.
    """
    as_of = as_of or next_as_of(pipeline)
    champion = pipeline.registry.champion() if reason.get("kind") == "first" else None
    if champion and as_of_version(champion) < as_of:
        raise NothingToDoError(f"{pipeline.name}: a first champion is there by now: {champion}")
    rows, lake_version = read_window(pipeline, as_of)
    training_set = assemble(pipeline.spec, rows, as_of, lake_version, finite(reason))
    staging = pipeline.staging(run)
    staging.write_table(_ROWS, pa.Table.from_pandas(rows, preserve_index=False))
    note = {name: training_set.lineage[name] for name in ("as_of", "version", "reason")}
    staging.write_json(_NOTE, {**note, "lake_version": lake_version})
    return training_set.version


def stage_challenger(pipeline: Pipeline, run: str) -> dict[str, Any]:
    """Tune and fit on the staged training set; returns the chosen candidate."""
    staging = pipeline.staging(run)
    version = staging.read_json(_NOTE)["version"]
    if pipeline.registry.has(version):
        return dict(_stored(pipeline, version, LINEAGE)["candidate"])
    challenger = fit_challenger(pipeline.spec, _staged_set(pipeline, run))
    staging.write_bytes(_EVALUATED, dump_model(challenger.evaluated))
    staging.write_bytes(_FINAL, dump_model(challenger.final))
    staging.write_json(_CHOSEN, {"candidate": challenger.candidate, "trials": challenger.trials})
    return challenger.candidate


def stage_evaluation(pipeline: Pipeline, run: str) -> Evaluation:
    """Measure the staged challenger beside baseline and the champion in force as of the training."""
    staging = pipeline.staging(run)
    note = staging.read_json(_NOTE)
    if pipeline.registry.has(note["version"]):
        return _stored_evaluation(pipeline, note["version"])
    champion = _champion(pipeline, note["as_of"])
    evaluation = evaluate(
        pipeline.spec, _staged_set(pipeline, run), _staged_challenger(pipeline, run), champion
    )
    staging.write_json(_EVALUATION, evaluation.to_dict())
    return evaluation


def commit_version(pipeline: Pipeline, run: str) -> Verdict:
    """Put the challenger through the gate and commit its version, accepted or refused.

    A refusal is recorded in the history. Raises `IntegrityError` if the model read back from the storage does
    not give its golden sample's predictions.
    """
    note = pipeline.staging(run).read_json(_NOTE)
    version = note["version"]
    if not pipeline.registry.has(version):
        evaluation = Evaluation.from_dict(pipeline.staging(run).read_json(_EVALUATION))
        _commit(pipeline, _staged_set(pipeline, run), _staged_challenger(pipeline, run), evaluation)
    return _settle(pipeline, version, note["reason"])


def promote_staged(pipeline: Pipeline, run: str) -> Event | None:
    """Promote the run's version if the gate accepted it, and clear the staging; None if it was refused.

    Raises `NothingToDoError` if the version was rolled back since: only a person promotes it again.
    """
    staging = pipeline.staging(run)
    note = staging.read_json(_NOTE)
    verdict = Verdict.from_dict(_stored(pipeline, note["version"], GATE))
    event = _promote(pipeline, note["version"], note["reason"]) if verdict.promote else None
    staging.clear()
    # With this note any task of the run may be run again: it finds the version and reports what is stored.
    staging.write_json(_NOTE, note)
    return event


def _commit(
    pipeline: Pipeline, training_set: TrainingSet, challenger: Challenger, evaluation: Evaluation
) -> None:
    verdict = judge(pipeline.spec, evaluation)
    files = version_files(pipeline.spec, training_set, challenger, evaluation, verdict)
    pipeline.registry.commit(training_set.version, files)


def _settle(pipeline: Pipeline, version: str, reason: dict[str, Any]) -> Verdict:
    """The stored verdict, once the stored model has kept its golden promise; a refusal goes on record."""
    # What is stored counts, not what this run found: another run may have committed the version first.
    verdict = Verdict.from_dict(_stored(pipeline, version, GATE))
    if last_word(pipeline.registry.history(), version) is None:
        check_golden(pipeline.spec, pipeline.registry, version)
        if not verdict.promote:
            as_of = as_of_version(version)
            pipeline.registry.refuse(version, as_of, {**reason, "gate": verdict.sentence})
    return verdict


def _promote(pipeline: Pipeline, version: str, reason: dict[str, Any]) -> Event:
    last = last_word(pipeline.registry.history(), version)
    if last and last.kind is Kind.ROLLED_BACK and last.replaces == version:
        raise NothingToDoError(
            f"{pipeline.name}: version {version} was rolled back and stays so: if it is wanted after all, "
            f"evergreen models promote {pipeline.name} {version}"
        )
    return pipeline.registry.promote(version, as_of_version(version), reason)


def _champion(pipeline: Pipeline, as_of: str) -> Champion | None:
    version = pipeline.registry.champion(as_of)
    if version is None:
        return None
    return Champion(version, as_of_version(version), pipeline.registry.load(version))


def _staged_set(pipeline: Pipeline, run: str) -> TrainingSet:
    staging = pipeline.staging(run)
    note = staging.read_json(_NOTE)
    rows = to_frame(staging.read_table(_ROWS))
    training_set = assemble(pipeline.spec, rows, note["as_of"], note["lake_version"], note["reason"])
    if training_set.version != note["version"]:
        raise IntegrityError(
            f"{pipeline.name}: description or code changed since run '{run}' began with {note['version']} "
            f"(now {training_set.version}): clear the run from its first task"
        )
    return training_set


def _staged_challenger(pipeline: Pipeline, run: str) -> Challenger:
    staging = pipeline.staging(run)
    chosen = staging.read_json(_CHOSEN)
    evaluated, final = (load_model(staging.read_bytes(name)) for name in (_EVALUATED, _FINAL))
    return Challenger(evaluated, final, chosen["candidate"], chosen["trials"])


def _stored_evaluation(pipeline: Pipeline, version: str) -> Evaluation:
    return Evaluation.from_dict(_stored(pipeline, version, METRICS)["evaluation"])


def _stored(pipeline: Pipeline, version: str, name: str) -> dict[str, Any]:
    return dict(json.loads(pipeline.registry.read(version, name)))
