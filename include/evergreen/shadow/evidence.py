"""The evidence of shadows, read from the log of requests and from the labels that are published."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from evergreen.errors import NotFoundError
from evergreen.evaluation.compare import compare
from evergreen.evaluation.evaluate import positions
from evergreen.labels.join import join_labels, with_labels
from evergreen.lake import PARTITION, Table
from evergreen.metrics.measured import Measured
from evergreen.monitoring.performance import labelled_rows
from evergreen.monitoring.reference import REFERENCE
from evergreen.request_log.columns import VERSION, rows_of
from evergreen.request_log.pairs import PROBLEM, SAID, SHADOW, SHADOW_SAID
from evergreen.request_log.store import Kind, RequestLog
from evergreen.rows.frame import to_frame
from evergreen.scoring.published import ACTUAL, PREDICTION
from evergreen.shadow.agreement import Agreement, agreement
from evergreen.shadow.judge import Evidence

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline


def evidence_of(pipeline: Pipeline, version: str, champion: str) -> Evidence:
    """What is known of a challenger beside a champion; of no rows where nothing was logged.

    Raises `IntegrityError` for a damaged object of the log or a damaged version.
    """
    logged = _logged(pipeline)
    return _evidence(pipeline, version, champion, _of(logged, version, champion) if len(logged) else logged)


def all_evidence(pipeline: Pipeline) -> list[Evidence]:
    """That of each challenger beside each champion in the log, newest challengers first.

    Raises as `evidence_of`.
    """
    logged = _logged(pipeline)
    if not len(logged):
        return []
    both = set(zip(logged[SHADOW].to_pylist(), logged[VERSION].to_pylist(), strict=True))
    return [_evidence(pipeline, *one, _of(logged, *one)) for one in sorted(both, reverse=True)]


def _logged(pipeline: Pipeline) -> pa.Table:
    """All pairs in the log with their `partition`."""
    log = RequestLog(pipeline.storage, pipeline.name)
    parts = []
    for partition in sorted(log.look(Kind.SHADOW)):
        if len(rows := log.read(Kind.SHADOW, partition)):
            parts.append(rows.append_column(PARTITION, pa.array([partition] * len(rows), pa.string())))
    return pa.concat_tables(parts, promote_options="permissive") if parts else pa.table({})


def _of(logged: pa.Table, version: str, champion: str) -> pa.Table:
    return logged.filter(pc.and_(pc.equal(logged[SHADOW], version), pc.equal(logged[VERSION], champion)))


def _evidence(pipeline: Pipeline, version: str, champion: str, logged: pa.Table) -> Evidence:
    found = Evidence(version, champion, 0, 0, "", Agreement(0))
    if not len(logged):
        return found
    logged = _each_row_once(pipeline, logged)
    problem = next(filter(None, logged[PROBLEM].to_pylist()), "")
    answered = logged.filter(pc.is_valid(logged[SHADOW_SAID]))
    failed = len(logged) - len(answered)
    found = replace(found, rows=len(logged), failed=failed, problem=problem)
    if not len(answered):
        return found
    theirs, ours = _said(answered[SAID]), _said(answered[SHADOW_SAID])
    found = replace(found, agreement=agreement(pipeline.spec.task, theirs[PREDICTION], ours[PREDICTION]))
    rows = _with_truth(pipeline, rows_of(answered).append_column(PARTITION, answered[PARTITION]))
    return found if rows is None else _labelled(pipeline, found, to_frame(rows), ours, theirs)


def _each_row_once(pipeline: Pipeline, logged: pa.Table) -> pa.Table:
    """One pair of each key, one that failed if there is one: to be asked again is no further evidence."""
    logged = logged.take(pa.array(np.argsort(pc.is_valid(logged[SHADOW_SAID]).to_numpy(), kind="stable")))
    keys = to_frame(rows_of(logged)).assign(**{PARTITION: logged[PARTITION].to_pandas()})
    return logged.filter(pa.array(~keys.duplicated().to_numpy())).sort_by(PARTITION)


def _said(texts: pa.ChunkedArray) -> pd.DataFrame:
    """What a version predicted, with the columns as they are published."""
    return pd.DataFrame([json.loads(text) for text in texts.to_pylist()])


def _with_truth(pipeline: Pipeline, rows: pa.Table) -> pa.Table | None:
    """The rows (keys and `partition`) with `actual`, null where it is not known; None if nothing is."""
    spec = pipeline.spec
    if spec.target is None:
        return None
    if spec.labels is not None:
        try:
            return with_labels(pipeline, rows, None, column=ACTUAL)
        except NotFoundError:
            return None  # no labels were read yet
    keys = pc.min_max(rows[PARTITION]).as_py()
    columns = [*spec.keys, PARTITION, spec.target]
    published = pipeline.lake.read(Table.PARTITIONS, keys["min"], keys["max"], columns=columns)
    return join_labels(spec, rows, published.rename_columns({spec.target: ACTUAL}))


def _labelled(
    pipeline: Pipeline, found: Evidence, rows: pd.DataFrame, ours: pd.DataFrame, theirs: pd.DataFrame
) -> Evidence:
    """The evidence with what the rows tell whose truth is known."""
    spec, known = pipeline.spec, rows[ACTUAL].notna().to_numpy()
    if not known.any():
        return found

    def measured(said: pd.DataFrame, version: str) -> Measured:
        return labelled_rows(
            spec, said.assign(**{ACTUAL: rows[ACTUAL].to_numpy()}), known, _classes(pipeline, version)
        )

    challenger, champion = measured(ours, found.version), measured(theirs, found.champion)
    comparison = compare(
        spec.training.metric,
        challenger,
        champion,
        units=positions(spec, rows[PARTITION][known]),
        rule=spec.champion_rule,
        seed=spec.training.seed,
    )
    return replace(found, labelled=int(known.sum()), metrics=challenger.values, comparison=comparison)


def _classes(pipeline: Pipeline, version: str) -> tuple[Any, ...]:
    """The classes that a version's probabilities are of, in their order; none if they are not known."""
    if REFERENCE not in pipeline.registry.files(version):
        return ()
    return pipeline.registry.content(version, REFERENCE, lambda kept: tuple(kept.get("model_classes", ())))
