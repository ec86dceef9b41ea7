"""The files of a version: the model, its lineage, its metrics and verdict, and what monitoring needs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from evergreen.candidates.fit import Challenger
from evergreen.card.card import render_card
from evergreen.drift.unvaried import unvaried
from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.explain import explain
from evergreen.evaluation.verdict import Verdict
from evergreen.json_values import json_values
from evergreen.monitoring.reference import REFERENCE, build_reference, rows_file
from evergreen.registry.model_file import dump_model
from evergreen.registry.registry import Registry
from evergreen.registry.versions import MODEL
from evergreen.scoring.golden import GOLDEN, golden_sample
from evergreen.spec import Spec
from evergreen.training_set.assemble import TrainingSet

METRICS, GATE, LINEAGE = "metrics.json", "gate.json", "lineage.json"
EXPLANATION, CARD = "explanation.json", "card.html"


def version_files(
    spec: Spec, training_set: TrainingSet, challenger: Challenger, evaluation: Evaluation, verdict: Verdict
) -> dict[str, bytes]:
    """The content of a version's files by name.

    Raises `IntegrityError` if the model holds a type that is not on the reviewed list.
    """
    lineage = {**training_set.lineage, "candidate": challenger.candidate, "trials": challenger.trials}
    metrics = {**evaluation.challenger, "evaluation": evaluation.to_dict()}
    explanation = explain(spec, training_set, challenger, evaluation)
    reference = build_reference(spec, training_set, evaluation, challenger)
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
        **rows_file(reference),
        GOLDEN: golden_sample(spec, challenger.final, training_set.rows),
        CARD: render_card(
            spec, lineage, evaluation, verdict, explanation, unvaried=unvaried(reference.binnings)
        ).encode(),
    }


def stored(registry: Registry, version: str, name: str) -> dict[str, Any]:
    """The content of a version's JSON file; raises `NotFoundError` or `IntegrityError`."""
    return dict(json.loads(registry.read(version, name)))


def to_json(content: Any) -> bytes:
    """The content as JSON text; numbers that are not finite become null."""
    return json.dumps(json_values(content), indent=1, allow_nan=False, default=_plain).encode()


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
