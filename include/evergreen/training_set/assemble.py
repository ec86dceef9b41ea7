"""The training set as of a partition: only what was published for partitions before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from evergreen.boosters.catalogue import boosters_of
from evergreen.calendar import SNAPSHOT
from evergreen.errors import NotFoundError, NothingToDoError, SpecError
from evergreen.features.build import build_features, each_function, in_order, rows_to_score
from evergreen.features.lookups import lookup_versions, with_lookups
from evergreen.labels.join import with_labels
from evergreen.labels.known import mask_unknown
from evergreen.lake import PARTITION, Table
from evergreen.metrics.classes import ordered_classes
from evergreen.rows.frame import to_frame
from evergreen.spec import Spec, Task
from evergreen.spec.positive import positive_of
from evergreen.training_set.digest import digests, git_commit, packages, version_id
from evergreen.training_set.holdout import holdout_mask
from evergreen.training_set.rare import check_learnable
from evergreen.training_set.window import Change, change_in, read_start, window_start

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline


TableVersions = dict[str, int]
"""The version of each table that was read: `partitions`, `labels`, and the tables of lookups."""


@dataclass(frozen=True)
class TrainingSet:
    """Rows, features and target of the window, aligned by position; `holdout` marks the rows held out.

    `rows` are the raw rows of the window (with `partition`) whose target is known, `target` is None for
    clustering, and `lineage` says what all of it comes from. `weights` (n,) are finite and above 0, None
    where all rows count the same.
    """

    as_of: str
    version: str
    rows: pd.DataFrame = field(repr=False)
    features: pd.DataFrame = field(repr=False)
    target: pd.Series | None = field(repr=False)
    holdout: NDArray[np.bool_] = field(repr=False)
    lineage: dict[str, Any] = field(repr=False)
    weights: NDArray[np.float64] | None = field(default=None, repr=False)


def read_window(
    pipeline: Pipeline, as_of: str, versions: TableVersions | None = None
) -> tuple[pd.DataFrame, TableVersions]:
    """The published rows that training as of a partition may see, and the table versions they were read at.

    Lookups are joined, and labels that come later as far as they are known then. `versions` names the table
    versions to read, such as those in a model's lineage; by default the present ones. Raises `PartitionError`
    for a wrong key, `NotFoundError` if nothing was ever published and `NothingToDoError` if no labels were
    read yet.
    """
    spec = pipeline.spec
    calendar = spec.calendar
    calendar.check(as_of)
    if versions is None:
        own = pipeline.lake.version(Table.PARTITIONS)
        versions = {Table.PARTITIONS.value: own} | lookup_versions(pipeline) | _label_version(pipeline)
    last = calendar.shift(as_of, -1) if calendar.has_time else SNAPSHOT
    version = versions[Table.PARTITIONS.value]
    rows = pipeline.lake.read(Table.PARTITIONS, read_start(spec, as_of), last, version=version)
    return to_frame(_with_target(pipeline, with_lookups(pipeline, rows, versions), last, versions)), versions


def assemble(
    spec: Spec, rows: pd.DataFrame, as_of: str, versions: TableVersions | None, reason: dict[str, Any]
) -> TrainingSet:
    """The training set as of a partition. Pure: the same rows before `as_of` give the same set and version.

    `rows` may hold more than is needed: rows from `as_of` on, and rows before the window's look-back, are
    dropped first. Labels that come later are masked where they are not known then, and feature functions do
    not see the target at all. With `window: since change` the window begins at the break that `reason` names
    (see `evergreen.training_set.window`). Raises `NothingToDoError` when fewer partitions than
    `training.minimum` are in the window (or, where labels come later, have known labels there),
    `RefusedError` if the rows cannot be split or those to train on are of one class, and `SpecError` if the
    features of the newest partition differ from those that scoring would build for it.
    """
    spec.calendar.check(as_of)
    change = change_in(reason)
    start = window_start(spec, as_of, change)
    seen = mask_unknown(spec, _visible(spec, rows, as_of, change), as_of)
    in_window = (seen[PARTITION] >= start).to_numpy()
    _check_enough(spec, seen[in_window], as_of)
    shown = _shown_to_features(spec, seen)
    features = build_features(spec, shown)
    _check_as_scored(spec, shown, features)
    usable = in_window & _known(spec, seen)
    window, features = _plain_labels(spec, _taken(seen, usable)), _taken(features, usable)
    target = window[spec.target] if spec.target else None
    _check_positive(spec, target)
    parts = digests(spec, seen)
    version = version_id(as_of, parts)
    lineage = {
        "as_of": as_of,
        "version": version,
        "reason": reason,
        "window": _extent(window) | _begun_by(spec, as_of, change, start),
        "table_versions": versions,
        "digests": parts,
        "git_commit": git_commit(spec.folder),
        "packages": packages(boosters_of(spec.training)),
    }
    holdout = holdout_mask(spec, window, target, as_of)
    check_learnable(spec, target, holdout)
    return TrainingSet(as_of, version, window, features, target, holdout, lineage, _weights(spec, window))


def _label_version(pipeline: Pipeline) -> TableVersions:
    if pipeline.spec.labels is None:
        return {}
    try:
        return {Table.LABELS.value: pipeline.lake.version(Table.LABELS)}
    except NotFoundError:
        raise NothingToDoError(
            f"{pipeline.name}: no labels were read yet: when they are due, run evergreen labels "
            f"{pipeline.name}"
        ) from None


def _with_target(pipeline: Pipeline, rows: pa.Table, last: str, versions: TableVersions) -> pa.Table:
    if pipeline.spec.labels is None:
        return rows
    if (version := versions.get(Table.LABELS.value)) is None:
        raise SpecError(
            f"{pipeline.name}: labels: no version of them is named: the rows had their own target"
        )
    return with_labels(pipeline, rows, last, version=version)


def _shown_to_features(spec: Spec, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as feature functions see them: without the target where labels come later, as in scoring."""
    return rows.drop(columns=[spec.target]) if spec.labels and spec.target in rows.columns else rows


def _plain_labels(spec: Spec, window: pd.DataFrame) -> pd.DataFrame:
    """The rows with the target in its plain type, not in one that allows missing values."""
    if spec.labels is None or spec.target is None or not len(window):
        return window
    target = window[spec.target].infer_objects()
    if spec.task is Task.CLASSIFICATION and pd.api.types.is_float_dtype(target) and (target % 1 == 0).all():
        target = target.astype("int64")
    return window.assign(**{spec.target: target})


def _begun_by(spec: Spec, as_of: str, change: Change | None, start: str) -> dict[str, Any]:
    """The break for which the window begins later than it otherwise would; nothing where it does not."""
    if change is None or start == window_start(spec, as_of):
        return {}
    return {"change": change.to_dict()}


def _visible(spec: Spec, rows: pd.DataFrame, as_of: str, change: Change | None) -> pd.DataFrame:
    if not spec.calendar.has_time:
        return in_order(spec, rows.reset_index(drop=True)).reset_index(drop=True)
    key = rows[PARTITION]
    seen = rows[(key < as_of) & (key >= read_start(spec, as_of, change))].reset_index(drop=True)
    return in_order(spec, seen).reset_index(drop=True)


def _check_enough(spec: Spec, window: pd.DataFrame, as_of: str) -> None:
    published, minimum = window[PARTITION].nunique(), spec.calendar.count(spec.training.minimum, before=as_of)
    if not published:
        raise NothingToDoError(f"{spec.name}: nothing is published before {as_of}: ingest partitions first")
    if published < minimum:
        raise NothingToDoError(
            f"{spec.name}: as of {as_of} only {published} partitions are published in the training window, "
            f"and training.minimum asks for {minimum}: ingest more history"
        )
    if spec.target and spec.target not in window.columns:
        raise SpecError(
            f"{spec.name}: target: the rows have no column '{spec.target}': fix the sources, or name another"
        )
    if spec.labels:
        labelled = window[PARTITION][window[spec.target].notna()].nunique()
        if labelled < max(minimum, 1):
            raise NothingToDoError(
                f"{spec.name}: as of {as_of} the labels of only {labelled} partitions in the training window "
                f"are known, {spec.calendar.in_words(spec.label_delay)} later, and training.minimum asks for "
                f"{minimum}: ingest more history, or read more labels: evergreen labels "
                f"{spec.name}"
            )


def _known(spec: Spec, rows: pd.DataFrame) -> NDArray[np.bool_]:
    if spec.target is None:
        return np.ones(len(rows), dtype=bool)
    known = rows[spec.target].notna().to_numpy()
    if not known.any():
        raise NothingToDoError(f"{spec.name}: no row of the training window has a '{spec.target}' yet")
    return known


def _check_positive(spec: Spec, target: pd.Series | None) -> None:
    """Raise `SpecError`, naming the classes, if the class that the description calls positive is none."""
    if spec.positive is not None and target is not None:
        positive_of(spec, ordered_classes(target.tolist()))


def _weights(spec: Spec, rows: pd.DataFrame) -> NDArray[np.float64] | None:
    column = spec.training.weight
    if column is None:
        return None
    where = f"{spec.name}: training.weight: column '{column}'"
    if column not in rows.columns:
        raise SpecError(f"{where} is not in the rows: name one that is, or fix the sources")
    if not pd.api.types.is_numeric_dtype(rows[column]) or pd.api.types.is_bool_dtype(rows[column]):
        raise SpecError(f"{where} holds {rows[column].dtype}, no numbers: cast it in the source")
    weights = rows[column].to_numpy(float, na_value=np.nan)
    wrong = int((~(np.isfinite(weights) & (weights > 0))).sum())
    if wrong:
        raise SpecError(
            f"{where} has {wrong} values that are missing, not finite or not above 0: expect it above 0 in "
            f"{spec.validation.suite}, or fix the source"
        )
    return weights


def _check_as_scored(spec: Spec, rows: pd.DataFrame, features: pd.DataFrame) -> None:
    """Build the newest partition's features as scoring will, and raise `SpecError` if they differ.

    They are built without the partition's target, and each function gets only the look-back that it declares.
    """
    newest = str(rows[PARTITION].iloc[-1])
    trained = features[(rows[PARTITION] == newest).to_numpy()]
    parts = [build_features(part, rows_to_score(part, rows, newest)) for part in each_function(spec)]
    scored = pd.concat([part.loc[trained.index] for part in parts], axis=1)
    if list(scored.columns) != list(trained.columns):
        raise SpecError(
            f"{spec.name}: features.function gives other columns for partition {newest} alone than in the "
            "window: give the same columns whatever the rows"
        )
    unequal = [str(name) for name in trained if not _equal(trained[name], scored[name])]
    if unequal:
        raise SpecError(
            f"{spec.name}: features {', '.join(unequal[:5])} of partition {newest} differ between training "
            "and scoring: fix the function, it sees a target of the partition, later rows, or further back "
            "than its look_back"
        )


def _equal(trained: pd.Series, scored: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(trained) and pd.api.types.is_numeric_dtype(scored):
        left, right = trained.to_numpy(float, na_value=np.nan), scored.to_numpy(float, na_value=np.nan)
        # Not bit for bit: the rounding of pandas' groupby and rolling sums depends on all rows of a frame.
        size = float(np.nan_to_num(np.abs(left)).max(initial=0.0))
        return np.allclose(left, right, rtol=1e-9, atol=1e-9 * size, equal_nan=True)
    return trained.equals(scored)


def _taken(frame: pd.DataFrame, mask: NDArray[np.bool_]) -> pd.DataFrame:
    return frame[mask].reset_index(drop=True)


def _extent(window: pd.DataFrame) -> dict[str, Any]:
    keys = window[PARTITION]
    return {
        "first": str(keys.min()),
        "last": str(keys.max()),
        "partitions": int(keys.nunique()),
        "rows": len(window),
    }
