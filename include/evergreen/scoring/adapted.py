"""The levels that the bounds of a partition use, learnt from the partitions since the version's training.

What is learnt depends on event time alone: on the partitions before, from the version's as-of on, whose
labels were known before this one, and on what this version predicts of them, whichever version has published
them. So a partition gets the same bounds, whenever and in whatever order partitions are scored.
"""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evergreen.errors import NotFoundError, RefusedError, SpecError
from evergreen.intervals.adaptive import OVER, Seen, adapted_levels
from evergreen.intervals.conformal import ConformalRegressor
from evergreen.labels.join import with_labels
from evergreen.labels.known import newest_trained
from evergreen.lake import PARTITION, Table
from evergreen.registry.ids import as_of_version
from evergreen.scoring.published import ACTUAL, PREDICTION, VERSION
from evergreen.spec import Spec

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.scoring.checked_model import CheckedModel

Floats = NDArray[np.float64]

_log = logging.getLogger(__name__)


def adapts(spec: Spec, model: Any) -> bool:
    """Whether the intervals of a model adapt between trainings."""
    return spec.intervals is not None and spec.intervals.adapt and isinstance(model, ConformalRegressor)


def learnt_from(spec: Spec, as_of: str, partition: str, published: Sequence[str]) -> list[str]:
    """The partitions, oldest first, that the levels of one are learnt from; `published` are all, sorted.

    They are the last 100 from the version's as-of on whose labels were known before the partition was scored.
    """
    end = min(bisect_right(published, newest_trained(spec, partition)), bisect_left(published, partition))
    return list(published[max(bisect_left(published, as_of), end - OVER) : end])


def levels_after(spec: Spec, model: ConformalRegressor, ranks: Mapping[str, Floats]) -> tuple[float, ...]:
    """The levels in use after some partitions, oldest first; `ranks` are p-values of their rows (n,)."""
    keys = list(ranks)
    seen = [Seen(ranks[key], bisect_right(keys, newest_trained(spec, key))) for key in keys]
    return adapted_levels(model.levels, seen, len(seen))


def ranks_of(model: ConformalRegressor, predicted: Any, actual: Any) -> Floats:
    """The p-values of the rows (n,) whose truth is known."""
    truth = np.asarray(actual, dtype=np.float64)
    known = np.isfinite(truth)
    return model.p_values(np.asarray(predicted, dtype=np.float64)[known], truth[known])


def levels_in_use(
    pipeline: Pipeline, model: CheckedModel, partition: str, predicted: Callable[[str], pa.Table]
) -> tuple[float, ...] | None:
    """The levels that the bounds of a partition use; None where intervals do not adapt.

    Partitions that this version has not published are `predicted` again; one that cannot be is left out, and
    the log says so. Without any whose labels are known the levels are those promised.
    """
    spec = pipeline.spec
    if not adapts(spec, model.estimator):
        return None
    as_of = as_of_version(model.version)
    if not (keys := learnt_from(spec, as_of, partition, pipeline.lake.partitions())):
        return tuple(model.estimator.levels)
    parts = _published(pipeline, model.version, keys)
    for key in keys:
        if key not in parts:
            try:
                parts[key] = predicted(key)
            except (NotFoundError, RefusedError, SpecError) as error:
                _log.warning(
                    "%s: the intervals of %s do not adapt to %s: %s", spec.name, partition, key, error
                )
    if not parts:
        return tuple(model.estimator.levels)
    names = [*spec.keys, PREDICTION, ACTUAL]
    rows = pa.concat_tables([_keyed(parts[key].select(names), key) for key in keys if key in parts])
    try:
        rows = with_labels(pipeline, rows, spec.calendar.shift(partition, -1), column=ACTUAL)
    except NotFoundError:
        return tuple(model.estimator.levels)  # no labels were ever read
    return levels_after(
        spec,
        model.estimator,
        {
            key: ranks_of(model.estimator, _numbers(part, PREDICTION), _numbers(part, ACTUAL))
            for key in sorted(parts)
            if len(part := rows.filter(pc.field(PARTITION) == key))
        },
    )


def _published(pipeline: Pipeline, version: str, keys: Sequence[str]) -> dict[str, pa.Table]:
    """What the version has published of these partitions, by key."""
    names = [*pipeline.spec.keys, PREDICTION, ACTUAL, VERSION, PARTITION]
    try:
        rows = pipeline.lake.read(Table.PREDICTIONS, keys[0], keys[-1], columns=names)
    except NotFoundError:
        return {}
    own = rows.filter(pc.field(VERSION) == version)
    there = set(own.column(PARTITION).unique().to_pylist()) & set(keys)
    return {key: own.filter(pc.field(PARTITION) == key) for key in there}


def _keyed(rows: pa.Table, key: str) -> pa.Table:
    return rows.append_column(PARTITION, pa.array([key] * len(rows), pa.string()))


def _numbers(rows: pa.Table, name: str) -> Floats:
    found = rows.column(name).cast(pa.float64()).to_numpy()
    return np.asarray(found, dtype=np.float64)
