"""The training set as of a partition: what was published before it, and nothing from it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.errors import NothingToDoError, SpecError
from evergreen.features.build import build_features, each_function, in_order, rows_to_score
from evergreen.features.lookups import lookup_versions, with_lookups
from evergreen.lake import PARTITION, Table
from evergreen.partition import SNAPSHOT
from evergreen.rows.frame import to_frame
from evergreen.spec import Spec
from evergreen.training.digest import digests, git_commit, packages, version_id
from evergreen.training.holdout import holdout_mask

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline


TableVersions = dict[str, int]
"""The version of each table that was read: `partitions` are the pipeline's own, the others its lookups'."""


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


def window_start(spec: Spec, as_of: str) -> str:
    """Key of the first partition in the training window as of a partition."""
    return spec.calendar.back(as_of, spec.training.window)


def read_start(spec: Spec, as_of: str) -> str:
    """Key of the first partition that training reads: the window's look-back starts there."""
    return spec.calendar.back(window_start(spec, as_of), spec.look_back)


def read_window(
    pipeline: Pipeline, as_of: str, versions: TableVersions | None = None
) -> tuple[pd.DataFrame, TableVersions]:
    """The published rows that training as of a partition may see, and the table versions they were read at.

    Lookups are joined. `versions` reads earlier ones, such as a model's lineage names. Raises
    `PartitionError` for a wrong key and `NotFoundError` if nothing was ever published.
    """
    spec = pipeline.spec
    calendar = spec.calendar
    calendar.check(as_of)
    if versions is None:
        own = pipeline.lake.version(Table.PARTITIONS)
        versions = {Table.PARTITIONS.value: own} | lookup_versions(pipeline)
    last = calendar.shift(as_of, -1) if calendar.has_time else SNAPSHOT
    version = versions[Table.PARTITIONS.value]
    rows = pipeline.lake.read(Table.PARTITIONS, read_start(spec, as_of), last, version=version)
    return to_frame(with_lookups(pipeline, rows, versions)), versions


def assemble(
    spec: Spec, rows: pd.DataFrame, as_of: str, versions: TableVersions | None, reason: dict[str, Any]
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
        "table_versions": versions,
        "digests": parts,
        "git_commit": git_commit(spec.folder),
        "packages": packages(),
    }
    holdout = holdout_mask(spec, window, target, as_of)
    return TrainingSet(as_of, version, window, features, target, holdout, lineage, _weights(spec, window))


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


def _weights(spec: Spec, rows: pd.DataFrame) -> NDArray[np.float64] | None:
    column = spec.training.weight
    if column is None:
        return None
    where = f"{spec.name}: training.weight: column '{column}'"
    if column not in rows.columns:
        raise SpecError(f"{where} is not in the rows: name one that is, or mend the sources")
    if not pd.api.types.is_numeric_dtype(rows[column]) or pd.api.types.is_bool_dtype(rows[column]):
        raise SpecError(f"{where} holds {rows[column].dtype}, no numbers: cast it in the source")
    weights = rows[column].to_numpy(float, na_value=np.nan)
    wrong = int((~(np.isfinite(weights) & (weights > 0))).sum())
    if wrong:
        raise SpecError(
            f"{where} has {wrong} values that are missing, not finite or not above 0: expect it above 0 in "
            f"{spec.validation.suite}, or mend the source"
        )
    return weights


def _check_as_scored(spec: Spec, rows: pd.DataFrame, features: pd.DataFrame) -> None:
    """Build the newest partition as scoring will, alone and without its target: nothing may differ.

    Each function gets no more than the look-back that it declares.
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
            "and scoring: mend the function, it sees the partition's own target, later rows, or further back "
            "than its look_back"
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
