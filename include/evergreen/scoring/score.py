"""Scoring: the predictions of one partition, by the champion that was in force as of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from evergreen.errors import EvergreenError, NotFoundError, NothingToDoError, RefusedError
from evergreen.features.build import build_features, in_order, rows_to_score
from evergreen.lake import PARTITION, Table
from evergreen.pipeline import Pipeline
from evergreen.rows.frame import to_frame
from evergreen.scoring.sink import write_predictions
from evergreen.spec import Spec, Task

PREDICTION = "prediction"
ACTUAL = "actual"
VERSION = "version"


@dataclass(frozen=True)
class Scored:
    """A scored partition; `changed` is False if the lake already held just these predictions."""

    partition: str
    version: str
    rows: int
    changed: bool


def predict(spec: Spec, model: Any, rows: pd.DataFrame, partition: str) -> pd.DataFrame:
    """The predictions of a partition, one row a row of it, in the order of partition, time and key. Pure.

    `rows` are raw rows that hold the partition and its `features.look_back`. The partition's own target is
    unknown while features are built, and rows of later partitions are dropped before, so no feature can see
    them. Columns: the keys, `prediction`, and the target, where the rows have one, as `actual`.
    """
    features = partition_features(spec, rows, partition)
    return prediction_frame(spec, model, rows.loc[features.index], features)


def prediction_frame(spec: Spec, model: Any, own: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """What `predict` gives, of a partition's own rows and their features, both in the same order."""
    columns = {key: own[key] for key in spec.keys} | {PREDICTION: apply_model(spec, model, features)}
    if spec.target and spec.target in own.columns:
        columns[ACTUAL] = own[spec.target]
    return pd.DataFrame(columns).reset_index(drop=True)


def partition_features(spec: Spec, rows: pd.DataFrame, partition: str) -> pd.DataFrame:
    """The features of one partition, with the index of its rows in `rows`, in the order of `predict`."""
    seen = in_order(spec, rows_to_score(spec, rows, partition))
    return build_features(spec, seen)[(seen[PARTITION] == partition).to_numpy()]


def apply_model(spec: Spec, model: Any, features: pd.DataFrame) -> np.ndarray[Any, Any]:
    """The model's predictions (n,) for features (n, d); `RefusedError` if it learnt from other features."""
    trained_on = getattr(model, "feature_names_in_", None)
    if trained_on is not None and list(trained_on) != list(features.columns):
        differing = sorted(set(trained_on) ^ set(features.columns))
        raise RefusedError(
            f"{spec.name}: the champion was trained on other features than features.py gives now "
            f"({', '.join(differing[:5]) or 'another order'}): train a new one: evergreen train {spec.name}"
        )
    return np.asarray(model.predict(features))


def score(pipeline: Pipeline, partition: str) -> Scored:
    """Score a published partition and publish its predictions, in the lake and in PostgreSQL where asked.

    The same partition and champion give the same predictions, however often. Raises `NotFoundError` for a
    partition that is not published, `NothingToDoError` where no champion was in force as of it,
    `RefusedError` for a champion or keys that do not fit, `UnavailableError` where a server is out of reach.
    """
    spec = pipeline.spec
    spec.calendar.check(partition)
    rows = rows_with_look_back(pipeline, partition)
    version = pipeline.registry.champion(partition)
    if version is None:
        raise NothingToDoError(
            f"{spec.name} {partition}: no champion was in force as of this partition: train one as of it or "
            f"earlier: evergreen train {spec.name} --as-of {partition}"
        )
    predictions = predict(spec, pipeline.registry.load(version), to_frame(rows), partition)
    _check_keys(spec, predictions, partition)
    table = _as_table(spec, predictions, rows.schema, version)
    changed = bool(pipeline.lake.replace(Table.PREDICTIONS, {partition: table}))
    if spec.scoring is not None:
        try:
            connection = pipeline.connect(spec.scoring.conn_id)
            write_predictions(connection, spec.scoring.table, spec.keys, table, partition)
        except EvergreenError as error:
            raise type(error)(f"{spec.name} {partition}: predictions: {error}") from None
    return Scored(partition, version, len(table), changed)


def rows_with_look_back(pipeline: Pipeline, partition: str) -> pa.Table:
    """The published rows of the partition and its look-back; `NotFoundError` if it is not published."""
    first = pipeline.spec.calendar.back(partition, pipeline.spec.features.look_back)
    try:
        rows = pipeline.lake.read(Table.PARTITIONS, first, partition)
    except NotFoundError:
        rows = pa.table({PARTITION: pa.array([], pa.string())})
    if not len(rows) or rows.column(PARTITION)[-1].as_py() != partition:
        raise NotFoundError(
            f"{pipeline.name} {partition}: this partition is not published: run evergreen ingest "
            f"{pipeline.name} --partition {partition}"
        )
    return rows


def _check_keys(spec: Spec, predictions: pd.DataFrame, partition: str) -> None:
    keys = predictions[list(spec.keys)]
    wrong = int((keys.duplicated() | keys.isna().any(axis=1)).sum())
    if wrong:
        raise RefusedError(
            f"{spec.name} {partition}: {wrong} rows have no key of their own in {', '.join(spec.keys)}, so "
            "predictions could not be told apart: expect unique keys in expectations.yaml, or name others"
        )


def _as_table(spec: Spec, predictions: pd.DataFrame, rows: pa.Schema, version: str) -> pa.Table:
    # Types follow from the description and the published rows, never from one partition's values.
    target = rows.field(spec.target).type if spec.target else None
    types: dict[str, pa.DataType] = {key: rows.field(key).type for key in spec.keys}
    types[PREDICTION] = {Task.REGRESSION: pa.float64(), Task.CLUSTERING: pa.int64()}.get(spec.task, target)
    if target is not None:
        types[ACTUAL] = pa.float64() if spec.task is Task.REGRESSION else target
    arrays = {name: _array(predictions[name], kind) for name, kind in types.items()}
    return pa.table({**arrays, VERSION: pa.array([version] * len(predictions), pa.string())})


def _array(values: Sequence[Any] | pd.Series, kind: pa.DataType) -> pa.Array:
    return pa.Array.from_pandas(values).cast(kind)
