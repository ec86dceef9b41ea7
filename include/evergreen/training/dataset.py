"""The training set as of a partition: what was published before it, and nothing from it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.errors import NothingToDoError, SpecError
from evergreen.features.build import build_features, in_order, rows_to_score
from evergreen.lake import PARTITION, Table
from evergreen.partition import SNAPSHOT
from evergreen.rows.frame import to_frame
from evergreen.spec import Spec
from evergreen.training.digest import digests, git_commit, packages, version_id
from evergreen.training.holdout import holdout_mask

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline


@dataclass(frozen=True)
class TrainingSet:
    """Rows, features and target of the window, aligned by position; `holdout` marks the rows held out.

    `rows` are the raw rows of the window (with `partition`) whose target is known, `target` is None for
    clustering, and `lineage` says what all of it comes from.
    """

    as_of: str
    version: str
    rows: pd.DataFrame = field(repr=False)
    features: pd.DataFrame = field(repr=False)
    target: pd.Series | None = field(repr=False)
    holdout: NDArray[np.bool_] = field(repr=False)
    lineage: dict[str, Any] = field(repr=False)


def window_start(spec: Spec, as_of: str) -> str:
    """Key of the first partition in the training window as of a partition."""
    return spec.calendar.back(as_of, spec.training.window)


def read_start(spec: Spec, as_of: str) -> str:
    """Key of the first partition that training reads: the window's look-back starts there."""
    return spec.calendar.back(window_start(spec, as_of), spec.features.look_back)


def read_window(pipeline: Pipeline, as_of: str, version: int | None = None) -> tuple[pd.DataFrame, int]:
    """The published rows that training as of a partition may see, and the table version they were read at.

    `version` reads an earlier one, such as a model's lineage names. Raises `PartitionError` for a wrong key
    and `NotFoundError` if nothing was ever published.
    """
    spec = pipeline.spec
    calendar = spec.calendar
    calendar.check(as_of)
    if version is None:
        version = pipeline.lake.version(Table.PARTITIONS)
    last = calendar.shift(as_of, -1) if calendar.has_time else SNAPSHOT
    rows = pipeline.lake.read(Table.PARTITIONS, read_start(spec, as_of), last, version=version)
    return to_frame(rows), version


def assemble(
    spec: Spec, rows: pd.DataFrame, as_of: str, lake_version: int | None, reason: dict[str, Any]
) -> TrainingSet:
    """The training set as of a partition. Pure: the same rows before `as_of` give the same set and version.

    `rows` may hold more than is needed: rows of partitions from `as_of` on are dropped before anything looks
    at them, as are those before the window's look-back. Raises `NothingToDoError` when fewer partitions than
    `training.minimum` are in the window, and `SpecError` if the features of the newest partition are not
    what scoring will build for it.
    """
    spec.calendar.check(as_of)
    seen = _visible(spec, rows, as_of)
    in_window = (seen[PARTITION] >= window_start(spec, as_of)).to_numpy()
    _check_enough(spec, seen[in_window], as_of)
    features = build_features(spec, seen)
    _check_as_scored(spec, seen, features)
    usable = in_window & _known(spec, seen)
    window, features = _taken(seen, usable), _taken(features, usable)
    target = window[spec.target] if spec.target else None
    parts = digests(spec, seen)
    version = version_id(as_of, parts)
    lineage = {
        "as_of": as_of,
        "version": version,
        "reason": reason,
        "window": _extent(window),
        "table_versions": {Table.PARTITIONS.value: lake_version},
        "digests": parts,
        "git_commit": git_commit(spec.folder),
        "packages": packages(),
    }
    holdout = holdout_mask(spec, window, target, as_of)
    return TrainingSet(as_of, version, window, features, target, holdout, lineage)


def _visible(spec: Spec, rows: pd.DataFrame, as_of: str) -> pd.DataFrame:
    if not spec.calendar.has_time:
        return in_order(spec, rows.reset_index(drop=True)).reset_index(drop=True)
    key = rows[PARTITION]
    seen = rows[(key < as_of) & (key >= read_start(spec, as_of))].reset_index(drop=True)
    return in_order(spec, seen).reset_index(drop=True)


def _check_enough(spec: Spec, window: pd.DataFrame, as_of: str) -> None:
    published = window[PARTITION].nunique()
    if not published:
        raise NothingToDoError(f"{spec.name}: nothing is published before {as_of}: ingest partitions first")
    if published < spec.training.minimum:
        raise NothingToDoError(
            f"{spec.name}: as of {as_of} only {published} partitions are published in the training window, "
            f"and training.minimum asks for {spec.training.minimum}: ingest more history"
        )
    if spec.target and spec.target not in window.columns:
        raise SpecError(f"{spec.name}: target: the rows have no column '{spec.target}'")


def _known(spec: Spec, rows: pd.DataFrame) -> NDArray[np.bool_]:
    if spec.target is None:
        return np.ones(len(rows), dtype=bool)
    known = rows[spec.target].notna().to_numpy()
    if not known.any():
        raise NothingToDoError(f"{spec.name}: no row of the training window has a '{spec.target}' yet")
    return known


def _check_as_scored(spec: Spec, rows: pd.DataFrame, features: pd.DataFrame) -> None:
    """Build the newest partition as scoring will, alone and without its target: nothing may differ."""
    newest = str(rows[PARTITION].iloc[-1])
    alone = rows_to_score(spec, rows, newest)
    last = (alone[PARTITION] == newest).to_numpy()
    scored, trained = build_features(spec, alone)[last], features.loc[alone.index][last]
    if list(scored.columns) != list(trained.columns):
        raise SpecError(
            f"{spec.name}: features.function gives other columns for partition {newest} alone than in the "
            "window: give the same columns whatever the rows"
        )
    unequal = [str(name) for name in trained if not _equal(trained[name], scored[name])]
    if unequal:
        raise SpecError(
            f"{spec.name}: features {', '.join(unequal[:5])} of partition {newest} differ between training "
            "and scoring: mend the function, it sees the partition's own target, later rows, or further back "
            "than features.look_back"
        )


def _equal(trained: pd.Series, scored: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(trained) and pd.api.types.is_numeric_dtype(scored):
        left, right = trained.to_numpy(float, na_value=np.nan), scored.to_numpy(float, na_value=np.nan)
        # Not bit for bit: sums of pandas' groupby and rolling round by all the rows a frame holds.
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
