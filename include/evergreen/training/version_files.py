"""The files of a version, and its golden sample: raw rows with the predictions they must give."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evergreen.errors import IntegrityError
from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.gate import Verdict
from evergreen.features.build import rows_to_score
from evergreen.lake import PARTITION
from evergreen.monitoring.reference import build_reference
from evergreen.registry.model_file import dump_model
from evergreen.registry.registry import MODEL, Registry
from evergreen.reports.card import render_card
from evergreen.rows.frame import to_frame
from evergreen.scoring.score import PREDICTION, predict
from evergreen.spec import Spec
from evergreen.training.dataset import TrainingSet
from evergreen.training.fit import Challenger

METRICS, GATE, LINEAGE = "metrics.json", "gate.json", "lineage.json"
REFERENCE, GOLDEN, CARD = "reference.json", "golden.parquet", "card.html"

_GOLDEN_ROWS = 50
_GOLDEN_CONTEXT = 2_000


def version_files(
    spec: Spec, training_set: TrainingSet, challenger: Challenger, evaluation: Evaluation, verdict: Verdict
) -> dict[str, bytes]:
    """The content of a version's files by name.

    Raises `IntegrityError` if the model holds a type that is not on the reviewed list.
    """
    lineage = {**training_set.lineage, "candidate": challenger.candidate, "trials": challenger.trials}
    metrics = {**evaluation.challenger, "evaluation": evaluation.to_dict()}
    documents = {
        METRICS: metrics,
        GATE: verdict.to_dict(),
        LINEAGE: lineage,
        REFERENCE: build_reference(
            spec, training_set, evaluation, challenger.final.predict(training_set.features)
        ),
    }
    return {
        MODEL: dump_model(challenger.final),
        **{name: to_json(content) for name, content in documents.items()},
        GOLDEN: golden_sample(spec, challenger.final, training_set.rows),
        CARD: render_card(spec, lineage, evaluation, verdict).encode(),
    }


def golden_sample(spec: Spec, model: Any, rows: pd.DataFrame) -> bytes:
    """Raw rows of the newest partition with its look-back, as parquet, and the predictions they must give.

    `prediction` is null but for at most 50 rows at the end. At most 2,000 rows of look-back are kept: the
    predictions are those that the kept rows give, so the sample is whole in itself.
    """
    newest = str(rows[PARTITION].iloc[-1])
    seen = rows_to_score(spec, rows, newest)
    now = seen[seen[PARTITION] == newest].tail(_GOLDEN_ROWS)
    before = seen[seen[PARTITION] != newest].tail(_GOLDEN_CONTEXT)
    sample = rows.loc[[*before.index, *now.index]].reset_index(drop=True)
    predictions = _predicted(spec, model, sample)
    column = pa.array([None] * len(before) + predictions)
    table = pa.Table.from_pandas(sample, preserve_index=False).append_column(PREDICTION, column)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def check_golden(spec: Spec, registry: Registry, version: str) -> None:
    """Raise `IntegrityError` unless the stored model gives its golden predictions.

    Labels must be equal, numbers agree to nine digits: another processor may round the last ones otherwise.
    """
    table = pq.read_table(pa.BufferReader(registry.read(version, GOLDEN)))
    promised = [value for value in table.column(PREDICTION).to_pylist() if value is not None]
    sample = to_frame(table.drop_columns([PREDICTION]))
    found = _predicted(spec, registry.load(version), sample)
    if not _same(found, promised):
        raise IntegrityError(
            f"{spec.name}: version {version}: the stored model does not give the predictions its "
            f"{len(promised)} golden rows promise, and is not promoted: train again with the packages of its "
            "lineage.json"
        )


def to_json(content: Any) -> bytes:
    """The content as JSON text; numbers that are not finite become null."""
    return json.dumps(finite(content), indent=1, allow_nan=False, default=_plain).encode()


def finite(content: Any) -> Any:
    """The content with null in place of each number that is not finite, which JSON cannot hold."""
    if isinstance(content, dict):
        return {str(key): finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    if isinstance(content, float | np.floating):
        return float(content) if math.isfinite(content) else None
    return content


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _same(found: list[Any], promised: list[Any]) -> bool:
    if len(found) != len(promised) or not all(isinstance(value, float) for value in promised):
        return found == promised
    return bool(np.allclose(found, promised, rtol=1e-9, atol=1e-9))


def _predicted(spec: Spec, model: Any, sample: pd.DataFrame) -> list[Any]:
    return list(predict(spec, model, sample, str(sample[PARTITION].iloc[-1]))[PREDICTION].tolist())
