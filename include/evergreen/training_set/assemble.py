"""The training set as of a partition: only what was published for partitions before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.boosters.catalogue import boosters_of
from evergreen.errors import NothingToDoError, RefusedError, SpecError
from evergreen.features.build import build_features, each_function, in_order, rows_to_score
from evergreen.features.columns import columns_read, columns_trained_on
from evergreen.labels.known import mask_unknown
from evergreen.lake import PARTITION
from evergreen.metrics.classes import ordered_classes
from evergreen.spec import Spec, Task
from evergreen.spec.positive import positive_of
from evergreen.training_set.digest import (
    data_digest,
    digests,
    drawn_digest,
    git_commit,
    packages,
    version_id,
)
from evergreen.training_set.draw import Draw, lots
from evergreen.training_set.holdout import holdout_mask
from evergreen.training_set.parts import Newest, Part, by_row, parts_in
from evergreen.training_set.rare import check_learnable
from evergreen.training_set.window import Change, change_in, read_start, window_start

TableVersions = dict[str, int]
"""The version of each table that was read: `partitions`, `labels`, and the tables of lookups."""


@dataclass(frozen=True)
class TrainingSet:
    """Rows, features and target of the window, aligned by position; `holdout` marks the rows held out.

    `rows` are the raw rows of the window (with `partition`) whose target is known, `target` is None for
    clustering, and `lineage` says what all of it comes from. `weights` (n,) are finite and above 0, None
    where all rows count the same. `recent` are all raw rows of the newest partitions and
    their look-back, where the others are a sample that features cannot be built of; else None.
    """

    as_of: str
    version: str
    rows: pd.DataFrame = field(repr=False)
    features: pd.DataFrame = field(repr=False)
    target: pd.Series | None = field(repr=False)
    holdout: NDArray[np.bool_] = field(repr=False)
    lineage: dict[str, Any] = field(repr=False)
    weights: NDArray[np.float64] | None = field(default=None, repr=False)
    recent: pd.DataFrame | None = field(default=None, repr=False)

    @property
    def newest(self) -> pd.DataFrame:
        """Raw rows that features of the newest partition can be built from."""
        return self.rows if self.recent is None else self.recent


@dataclass(frozen=True)
class _Window:
    """The usable rows of a window with their features, aligned by position, and the digest of all they say.

    `partitions` are those of all usable rows. A sample is drawn from `offered` ones; `recent` as in the
    training set.
    """

    rows: pd.DataFrame
    features: pd.DataFrame
    digest: str
    partitions: set[str]
    offered: int | None = None
    recent: pd.DataFrame | None = None


def assemble(
    spec: Spec, rows: pd.DataFrame, as_of: str, versions: TableVersions | None, reason: dict[str, Any]
) -> TrainingSet:
    """The training set as of a partition. Pure: the same rows before `as_of` give the same set and version.

    `rows` may hold more than is needed: rows from `as_of` on, rows before the window's look-back, and columns
    that are not read, are dropped first. Labels that come later are masked where they are not known then, and
    feature functions do not see the target at all. With `window: since change` the window begins at the break
    that `reason` names (see `evergreen.training_set.window`). Raises `NothingToDoError` when fewer partitions
    than `training.minimum` are in the window (or, where labels come later, have known labels there),
    `RefusedError` if the rows cannot be split or those to train on are of one class, and `SpecError` if the
    features of the newest partition differ from those that scoring would build for it.
    """
    spec.calendar.check(as_of)
    change = change_in(reason)
    if spec.training.sample is not None:
        return assemble_parts(spec, parts_in(spec, rows, as_of, change), as_of, versions, reason)
    seen = mask_unknown(spec, _visible(spec, rows, as_of, change), as_of)
    in_window = (seen[PARTITION] >= window_start(spec, as_of, change)).to_numpy()
    published = _Published()
    published.add(spec, seen[in_window])
    published.check(spec, as_of)
    shown = _shown_to_features(spec, seen)
    features = build_features(spec, shown)
    _check_as_scored(spec, shown, features)
    usable = in_window & _known(spec, seen)
    _check_some(spec, bool(usable.any()))
    taken = _taken(seen, usable)
    digest = data_digest(_trained_on(spec, seen))
    window = _Window(taken, _taken(features, usable), digest, set(taken[PARTITION].unique()))
    return _made(spec, window, as_of, versions, reason)


def assemble_parts(
    spec: Spec, parts: Iterable[Part], as_of: str, versions: TableVersions | None, reason: dict[str, Any]
) -> TrainingSet:
    """The training set of `training.sample`: rows drawn from all usable ones, once their features are built.

    `parts` are those of `parts_in`, or others of the same stretches where a row's features are columns of it
    alone. Memory holds one part and at most twice the sample. Raises as `assemble`, and `RefusedError` where
    no row is drawn.
    """
    assert spec.training.sample is not None
    draw, published, newest, offered = Draw(spec.training.sample), _Published(), Newest(), set[str]()
    for part in parts:
        seen = mask_unknown(spec, in_order(spec, _read(spec, part.rows).reset_index(drop=True)), as_of)
        seen = seen.reset_index(drop=True)
        own = (seen[PARTITION] >= part.first).to_numpy()
        if not own.any():
            continue
        published.add(spec, seen[own])
        shown = _shown_to_features(spec, seen)
        features = build_features(spec, shown)
        usable = own & _known(spec, seen)
        rows = seen[usable]
        draw.add(rows, features[usable], lots(spec, rows))
        offered.update(rows[PARTITION].unique())
        if not by_row(spec):
            newest.add(seen, own, shown, features)
    published.check(spec, as_of)
    _check_some(spec, draw.offered > 0)
    if draw.empty:
        raise RefusedError(
            f"{spec.name}: training.sample: none of the {draw.offered:,} rows is drawn: write a larger one"
        )
    if newest:
        _check_as_scored(spec, newest.shown, newest.features)
    rows, features = draw.drawn()
    order = in_order(spec, rows).index
    rows, features = (frame.loc[order].reset_index(drop=True) for frame in (rows, features))
    digest = drawn_digest(_trained_on(spec, rows), features)
    window = _Window(rows, features, digest, offered, draw.offered, newest.rows())
    return _made(spec, window, as_of, versions, reason)


def _made(
    spec: Spec, found: _Window, as_of: str, versions: TableVersions | None, reason: dict[str, Any]
) -> TrainingSet:
    window = _plain_labels(spec, found.rows)
    target = window[spec.target] if spec.target else None
    _check_positive(spec, target)
    parts = digests(spec, found.digest)
    version = version_id(as_of, parts)
    lineage = {
        "as_of": as_of,
        "version": version,
        "reason": reason,
        "window": _extent(found) | _begun_by(spec, as_of, change_in(reason)),
        "table_versions": versions,
        "digests": parts,
        "git_commit": git_commit(spec.folder),
        "packages": packages(boosters_of(spec.training)),
    }
    holdout = holdout_mask(spec, window, target, as_of)
    check_learnable(spec, target, holdout)
    return TrainingSet(
        as_of,
        version,
        window,
        found.features,
        target,
        holdout,
        lineage,
        _weights(spec, window),
        found.recent,
    )


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


def _begun_by(spec: Spec, as_of: str, change: Change | None) -> dict[str, Any]:
    """The break for which the window begins later than it otherwise would; nothing where it does not."""
    if change is None or window_start(spec, as_of, change) == window_start(spec, as_of):
        return {}
    return {"change": change.to_dict()}


def _visible(spec: Spec, rows: pd.DataFrame, as_of: str, change: Change | None) -> pd.DataFrame:
    rows = _read(spec, rows)
    if not spec.calendar.has_time:
        return in_order(spec, rows.reset_index(drop=True)).reset_index(drop=True)
    key = rows[PARTITION]
    seen = rows[(key < as_of) & (key >= read_start(spec, as_of, change))].reset_index(drop=True)
    return in_order(spec, seen).reset_index(drop=True)


def _read(spec: Spec, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows in the columns that are read, whoever has read them."""
    return rows[columns_read(spec, rows.columns)] if spec.features.columns else rows


def _trained_on(spec: Spec, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows in the columns that bear on a model and its verdict: a version's digest is of these."""
    return rows[columns_trained_on(spec, rows.columns)] if spec.features.columns else rows


class _Published:
    """The partitions of a training window that have rows, and of them those with known labels."""

    def __init__(self) -> None:
        self._all = set[str]()
        self._labelled = set[str]()

    def add(self, spec: Spec, rows: pd.DataFrame) -> None:
        """Some rows; raises `SpecError` if they have no target."""
        if len(rows) and spec.target and spec.target not in rows.columns:
            raise SpecError(
                f"{spec.name}: target: the rows have no column '{spec.target}': fix the sources, or name "
                "another"
            )
        self._all.update(rows[PARTITION].unique())
        if spec.labels:
            self._labelled.update(rows[PARTITION][rows[spec.target].notna()].unique())

    def check(self, spec: Spec, as_of: str) -> None:
        """Raise `NothingToDoError` for fewer than `training.minimum`."""
        published, labelled = len(self._all), len(self._labelled)
        minimum = spec.calendar.count(spec.training.minimum, before=as_of)
        if not published:
            raise NothingToDoError(
                f"{spec.name}: nothing is published before {as_of}: ingest partitions first"
            )
        if published < minimum:
            raise NothingToDoError(
                f"{spec.name}: as of {as_of} only {published} partitions are published in the training "
                f"window, and training.minimum asks for {minimum}: ingest more history"
            )
        if spec.labels and labelled < max(minimum, 1):
            raise NothingToDoError(
                f"{spec.name}: as of {as_of} the labels of only {labelled} partitions in the training window "
                f"are known, {spec.calendar.in_words(spec.label_delay)} later, and training.minimum asks for "
                f"{minimum}: ingest more history, or read more labels: evergreen labels "
                f"{spec.name}"
            )


def _known(spec: Spec, rows: pd.DataFrame) -> NDArray[np.bool_]:
    if spec.target is None:
        return np.ones(len(rows), dtype=bool)
    return rows[spec.target].notna().to_numpy()


def _check_some(spec: Spec, some: bool) -> None:
    if not some:
        raise NothingToDoError(f"{spec.name}: no row of the training window has a '{spec.target}' yet")


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


def _extent(found: _Window) -> dict[str, Any]:
    return {
        "first": str(min(found.partitions)),
        "last": str(max(found.partitions)),
        "partitions": len(found.partitions),
        "rows": len(found.rows),
        **({} if found.offered is None else {"drawn_from": found.offered}),
    }
