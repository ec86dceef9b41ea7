"""Predictions of one partition by a model, the same way for training, scoring and the backtest. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from evergreen.candidates.refused_columns import cure
from evergreen.errors import EvergreenError, RefusedError, SpecError, one_line
from evergreen.features.build import build_features, in_order, rows_to_score
from evergreen.lake import PARTITION
from evergreen.metrics.predictions import Predictions
from evergreen.scoring.blocks import predict_in_blocks
from evergreen.scoring.published import ACTUAL, VERSION, explained_columns, published_columns
from evergreen.spec import Spec


def predict(
    spec: Spec, model: Any, rows: pd.DataFrame, partition: str, used: Sequence[float] | None = None
) -> pd.DataFrame:
    """The predictions of a partition, a row for each of its rows, by partition, time and key. Pure.

    `rows` are raw rows that hold the partition and its look-back. The partition's targets are hidden and
    rows of later partitions are dropped before features are built, so no feature can use them. Columns: the
    keys, what `evergreen.scoring.published` names, and the target, where the rows have one, as `actual`.
    `used` are the levels that bounds use in place of those promised, where intervals adapt.
    """
    features = partition_features(spec, rows, partition)
    own = rows if rows.index.equals(features.index) else rows.loc[features.index]
    return prediction_frame(spec, model, own, features, used)


def prediction_frame(
    spec: Spec, model: Any, own: pd.DataFrame, features: pd.DataFrame, used: Sequence[float] | None = None
) -> pd.DataFrame:
    """What `predict` gives, of a partition's own rows and their features, both in the same order."""
    said = apply_model(spec, model, features)
    if used is not None:
        said = replace(said, bounds=model.stretched(said.labels, used))
    published = published_columns(spec, said, used) | explained_columns(spec, model, features, said)
    _check_keys(spec, [*published, ACTUAL, VERSION])
    columns = {key: own[key] for key in spec.keys} | published
    if spec.target and spec.target in own.columns:
        columns[ACTUAL] = own[spec.target]
    return pd.DataFrame(columns).reset_index(drop=True)


def partition_features(spec: Spec, rows: pd.DataFrame, partition: str) -> pd.DataFrame:
    """The features of one partition, with the index of its rows in `rows`, in the order of `predict`."""
    seen = in_order(spec, rows_to_score(spec, rows, partition))
    features, own = build_features(spec, seen), (seen[PARTITION] == partition).to_numpy()
    return features if own.all() else features[own]


def apply_model(spec: Spec, model: Any, features: pd.DataFrame) -> Predictions:
    """The model's predictions for features (n, d), those of a row the same beside any other rows.

    Raises `RefusedError` if the model learnt from other features, and `SpecError` if it cannot take a value
    of them, such as a missing one where none was missing in training.
    """
    trained_on = getattr(model, "feature_names_in_", None)
    if trained_on is not None and list(trained_on) != list(features.columns):
        differing = sorted(set(trained_on) ^ set(features.columns))
        raise RefusedError(
            f"{spec.name}: the model was trained on other features than features.py gives now "
            f"({', '.join(differing[:5]) or 'another order'}): train a new one: evergreen train {spec.name}"
        )
    try:
        return predict_in_blocks(model, features)
    except EvergreenError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {one_line(error, 120)}"
        raise SpecError(
            f"{spec.name}: the model refuses these features ({what}): {cure(features, error)}; then train a "
            f"new one: evergreen train {spec.name}"
        ) from error


def _check_keys(spec: Spec, published: Sequence[str]) -> None:
    if taken := sorted(set(spec.keys) & set(published)):
        raise SpecError(
            f"{spec.folder / 'pipeline.yaml'}: key: '{taken[0]}' is a column of the predictions: give the "
            "column another name in the source"
        )
