"""Scoring: the predictions of one partition, by the champion that was in force as of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa

from evergreen.errors import EvergreenError, NotFoundError, NothingToDoError, RefusedError
from evergreen.features.lookups import with_lookups
from evergreen.features.published import published_rows
from evergreen.labels.join import unlabelled
from evergreen.lake import PARTITION, Table
from evergreen.pipeline import Pipeline
from evergreen.rows.frame import to_frame
from evergreen.scoring.adapted import levels_in_use
from evergreen.scoring.checked_model import CheckedModel, load_checked_model
from evergreen.scoring.large import file_of_predictions, is_large
from evergreen.scoring.order import rows_read
from evergreen.scoring.predict import predict
from evergreen.scoring.published import ACTUAL, VERSION, in_columns, published_types
from evergreen.scoring.sink import write_predictions
from evergreen.spec import Spec, Task
from evergreen.stages import SCORE
from evergreen.timings import timed


@dataclass(frozen=True)
class Scored:
    """A scored partition; `changed` is False if the lake already held just these predictions."""

    partition: str
    version: str
    rows: int
    changed: bool


def score(pipeline: Pipeline, partition: str) -> Scored:
    """Score a published partition and publish its predictions, in the lake and in a database where asked.

    The same partition, look-back and champion give the same predictions, however often. Where rows that it
    reads are published anew meanwhile, it is scored once more. Raises `NotFoundError` for a partition that is
    not published, `NothingToDoError` where no champion was in force as of it, `IntegrityError` for a champion
    that is damaged or no longer predicts as it did when it was trained, `RefusedError` for keys that do
    not fit, `UnavailableError` where a server is out of reach.
    """
    pipeline.spec.calendar.check(partition)
    with timed(pipeline, SCORE, partition) as timing:
        scored = _settled(pipeline, partition)
        timing.rows = scored.rows
    return scored


def _settled(pipeline: Pipeline, partition: str) -> Scored:
    """Score from rows that are still those of the lake once the predictions are there."""
    read, changed = rows_read(pipeline, partition), False
    while True:
        scored = _scored(pipeline, partition)
        changed |= scored.changed
        if read == (read := rows_read(pipeline, partition)):
            return replace(scored, changed=changed)


def _scored(pipeline: Pipeline, partition: str) -> Scored:
    by = predicting(pipeline, partition)
    if is_large(pipeline, by.model, partition):
        predict = partial(predictions, by.model, partition=partition, used=by.used)
        if (made := file_of_predictions(by.model.pipeline, partition, predict)) is not None:
            with closing(made.file):
                changed = pipeline.lake.commit(Table.PREDICTIONS, {partition: made.file}, made.schema)
            return Scored(partition, by.model.version, made.file.rows, bool(changed))
    return publish(pipeline, by.predictions(partition), partition, by.model.version)


@dataclass(frozen=True)
class Predicting:
    """The champion of a partition, and the levels that bounds use in place of those promised."""

    model: CheckedModel = field(repr=False)
    used: Sequence[float] | None = None

    def predictions(self, partition: str) -> pa.Table:
        """The partition's predictions as they are published; nothing is written."""
        rows = rows_with_look_back(self.model.pipeline, partition)
        return predictions(self.model, rows, partition, self.used)


def predicting(pipeline: Pipeline, partition: str) -> Predicting:
    """The champion that was in force as of a partition, loaded and checked; raises as `score` does."""
    spec = pipeline.spec
    force = pipeline.registry.force()
    version = force.champion(partition)
    if version is None:
        rows_with_look_back(pipeline, partition)  # raises if the partition is not published
        since = f" (the first is from {force.stack[0][0]} on)" if force.stack else ""
        raise NothingToDoError(
            f"{spec.name} {partition}: no champion was in force as of this partition{since}: train one as of "
            f"it or earlier: evergreen train {spec.name} --as-of {partition}"
        )
    model = load_checked_model(pipeline, version)
    return Predicting(model, levels_in_use(pipeline, model, partition, partial(predicted_again, model)))


def publish(pipeline: Pipeline, table: pa.Table, partition: str, version: str) -> Scored:
    """Publish the predictions of a partition, in the lake and in a database where asked."""
    spec, changed = pipeline.spec, _publish(pipeline, table, partition)
    if spec.scoring is not None:
        try:
            connection = pipeline.connect(spec.scoring.conn_id)
            write_predictions(connection, spec.scoring.table, spec.keys, table, partition)
        except EvergreenError as error:
            raise type(error)(f"{spec.name} {partition}: predictions: {error}") from None
    return Scored(partition, version, len(table), changed)


def _publish(pipeline: Pipeline, table: pa.Table, partition: str) -> bool:
    """Whether anything changed."""
    rows, schema = in_columns(pipeline.lake.schema(Table.PREDICTIONS), table)
    return bool(pipeline.lake.replace(Table.PREDICTIONS, {partition: rows}, schema))


def predicted_again(model: CheckedModel, partition: str) -> pa.Table:
    """What a version predicts of a partition, without contributions."""
    pipeline = model.pipeline
    alone = pipeline.described_by(pipeline.spec.model_copy(update={"explain": None}))
    return predictions(replace(model, pipeline=alone), rows_with_look_back(alone, partition), partition)


def predictions(
    model: CheckedModel, rows: pa.Table, partition: str, used: Sequence[float] | None = None
) -> pa.Table:
    """A partition's predictions as they are published; nothing is written.

    `rows` hold the partition and the look-back of the model's own features, as `rows_with_look_back` gives
    them of the model's pipeline. The result has one row for each of the partition, in the order of time and
    key, with the keys, what `evergreen.scoring.published` names, `actual` and `version`. `used` are the
    levels that bounds use in place of those promised, where intervals adapt. Raises `RefusedError` where keys
    are not unique, or the model learnt from other features.
    """
    return predictions_of(model, unlabelled(model.pipeline, rows), partition, used)


def predictions_of(
    model: CheckedModel, rows: pa.Table, partition: str, used: Sequence[float] | None = None
) -> pa.Table:
    """As `predictions`, of rows that have a column for the target, also where labels come later. Pure."""
    spec = model.pipeline.spec
    found = predict(spec, model.estimator, to_frame(rows), partition, used)
    _check_keys(spec, found, partition)
    return _as_table(spec, found, rows.schema, model.version)


def rows_with_look_back(pipeline: Pipeline, partition: str) -> pa.Table:
    """The published rows of the partition and its look-back, with lookups joined, in the columns read.

    Raises `NotFoundError` if the partition is not published.
    """
    first = pipeline.spec.looks_back_to(partition)
    try:
        rows = published_rows(pipeline, first, partition)
    except NotFoundError:
        rows = pa.table({PARTITION: pa.array([], pa.string())})
    if not len(rows) or rows.column(PARTITION)[-1].as_py() != partition:
        raise NotFoundError(
            f"{pipeline.name} {partition}: this partition is not published: run evergreen ingest "
            f"{pipeline.name} --partition {partition}"
        )
    return with_lookups(pipeline, rows)


def _check_keys(spec: Spec, predictions: pd.DataFrame, partition: str) -> None:
    keys = predictions[list(spec.keys)]
    repeated = keys.duplicated().to_numpy() if len(keys) > 1 else False
    wrong = int((keys.isna().to_numpy().any(axis=1) | repeated).sum())
    if wrong:
        raise RefusedError(
            f"{spec.name} {partition}: {wrong} rows have no key of their own in {', '.join(spec.keys)}, so "
            "predictions could not be told apart: expect unique keys in expectations.yaml, or name others"
        )


def _as_table(spec: Spec, predictions: pd.DataFrame, rows: pa.Schema, version: str) -> pa.Table:
    # Types follow from the description and the published rows, never from one partition's values.
    target = rows.field(spec.target).type if spec.target else None
    types: dict[str, pa.DataType] = {key: rows.field(key).type for key in spec.keys}
    said = [str(name) for name in predictions if name not in (*spec.keys, ACTUAL)]
    types |= published_types(spec, target, said)
    if target is not None:
        types[ACTUAL] = pa.float64() if spec.task is Task.REGRESSION else target
    arrays = {name: _array(predictions[name], kind) for name, kind in types.items()}
    return pa.table({**arrays, VERSION: pa.array([version] * len(predictions), pa.string())})


def _array(values: Sequence[Any] | pd.Series, kind: pa.DataType) -> pa.Array:
    return pa.Array.from_pandas(values).cast(kind)
