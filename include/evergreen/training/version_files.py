"""The files of a version: the model, its lineage, its metrics and verdict, and what monitoring needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from evergreen.asked.finding import ASKED, Asked
from evergreen.candidates.fit import Challenger
from evergreen.card.card import render_card
from evergreen.drift.unvaried import unvaried
from evergreen.evaluation.champion import Copy
from evergreen.evaluation.compare import Comparison
from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.explain import explain
from evergreen.evaluation.verdict import Verdict
from evergreen.features.stored import feature_files
from evergreen.json_values import json_values
from evergreen.monitoring.reference import REFERENCE, Reference, rows_file
from evergreen.registry.model_file import dump_model
from evergreen.registry.registry import Registry
from evergreen.registry.versions import CARD, EVALUATED, EXPLANATION, GATE, LINEAGE, METRICS, MODEL
from evergreen.scoring.golden import GOLDEN, golden_sample
from evergreen.spec import Spec
from evergreen.training_set.assemble import TrainingSet
from evergreen.training_set.rare import rare_classes
from evergreen.training_set.units import Units

FIT_ON = "fit_on.parquet"
"""The rows, or groups of rows, that the copy in `evaluated.skops` was fit on."""


def version_files(
    spec: Spec,
    training_set: TrainingSet,
    challenger: Challenger,
    evaluation: Evaluation,
    verdict: Verdict,
    *,
    reference: Reference,
    asked: Asked,
) -> dict[str, bytes]:
    """The content of a version's files by name; `asked` is the finding which rows must be sent together.

    Raises `IntegrityError` if the model holds a type that is not on the reviewed list.
    """
    lineage = {**training_set.lineage, "candidate": challenger.candidate, "trials": challenger.trials}
    rare = rare_classes(spec, training_set.target, training_set.holdout)
    metrics = {**evaluation.challenger, "evaluation": evaluation.to_dict()}
    if rare:
        metrics["rare_classes"] = {found.name: {"known": found.known, "held": found.held} for found in rare}
    explanation = explain(spec, training_set, challenger, evaluation)
    documents = {
        METRICS: metrics,
        GATE: verdict.to_dict(),
        LINEAGE: lineage,
        EXPLANATION: explanation,
        REFERENCE: reference.to_dict(),
    }
    return {
        MODEL: dump_model(challenger.final),
        **{name: to_json(content) for name, content in documents.items()},
        **feature_files(spec, [*training_set.features.columns]),
        **rows_file(reference),
        ASKED: asked.to_json(),
        **_copy_files(spec, training_set, challenger),
        GOLDEN: golden_sample(spec, challenger.final, training_set.newest),
        CARD: render_card(
            spec,
            lineage,
            evaluation,
            verdict,
            explanation,
            unvaried=[*unvaried(reference.binnings), *(found.sentence for found in rare)],
            promise=reference.told_worse(spec),
            asked=asked.sentence,
        ).encode(),
    }


def read_copy(registry: Registry, version: str) -> Copy | None:
    """A version's copy that was fit without its hold-out; None if it has none.

    Raises `NotFoundError` if there is no such version, `IntegrityError` if a file is damaged or unsigned.
    """
    if EVALUATED not in registry.files(version):
        return None
    return Copy(registry.load(version, EVALUATED), Units.from_parquet(registry.read(version, FIT_ON)))


def comparisons(registry: Registry, most: int) -> dict[str, Comparison]:
    """The comparisons of the newest challengers with their champions, newest first, at most so many.

    By version. Raises `IntegrityError` if a file is damaged.
    """
    found: dict[str, Comparison] = {}
    for version in registry.versions():
        if len(found) == most:
            break
        if METRICS in registry.files(version):
            comparison = registry.content(version, METRICS, _comparison)
            found |= {version: comparison} if comparison else {}
    return found


def _comparison(metrics: Mapping[str, Any]) -> Comparison | None:
    content = (metrics.get("evaluation") or {}).get("comparison")
    return Comparison.from_dict(content) if content else None


def to_json(content: Any) -> bytes:
    """The content as JSON text; numbers that are not finite become null."""
    return json.dumps(json_values(content), indent=1, allow_nan=False, default=_plain).encode()


def _copy_files(spec: Spec, training_set: TrainingSet, challenger: Challenger) -> dict[str, bytes]:
    """The copy that later challengers of a snapshot are compared with; none of a pretrained model.

    With time there is none: the next hold-out has rows that are newer than the model.
    """
    if spec.calendar.has_time or "pretrained" in challenger.candidate:
        return {}
    fit_on = Units.of(spec, training_set.rows).distinct(~training_set.holdout)
    return {EVALUATED: dump_model(challenger.evaluated), FIT_ON: fit_on.to_parquet()}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
