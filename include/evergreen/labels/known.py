"""Which labels were known when. Pure.

The labels of partition k are read in the night of partition k + delay. From that night on they are known. If
the delay is no whole number of partitions, one night may bring those of several, and another those of none.
"""

from __future__ import annotations

import pandas as pd

from evergreen.lake import PARTITION
from evergreen.spec import Spec


def newest_known(spec: Spec, partition: str) -> str:
    """The newest partition whose labels are known after the night of `partition`: those that night reads.

    It is `partition` itself where the labels come with the rows.
    """
    return spec.calendar.back(partition, spec.label_delay)


def due(spec: Spec, night: str) -> list[str]:
    """The partitions, oldest first, whose labels became known with this night and not before."""
    before = newest_known(spec, spec.calendar.shift(night, -1))
    return list(spec.calendar.between(spec.calendar.shift(before, 1), newest_known(spec, night)))


def newest_trained(spec: Spec, as_of: str) -> str:
    """The newest partition whose labels a training as of `as_of` knows: of k, if k + delay < `as_of`."""
    return newest_known(spec, spec.calendar.shift(as_of, -1))


def mask_unknown(spec: Spec, rows: pd.DataFrame, as_of: str) -> pd.DataFrame:
    """The rows, with the target missing where a training as of `as_of` does not know it.

    `rows` have `partition` and the target. Without `labels` in the description they come back as they are.
    Masked labels look like labels that never came, and the target's type (float64 for numbers, object for
    booleans) does not depend on them. So labels that come later change nothing.
    """
    if spec.labels is None or spec.target is None or spec.target not in rows.columns:
        return rows
    target = _with_room(rows[spec.target])
    known = (rows[PARTITION] <= newest_trained(spec, as_of)) & target.notna()
    return rows.assign(**{spec.target: target.where(known)})


def _with_room(values: pd.Series) -> pd.Series:
    """The values in a type that can hold a missing one."""
    if pd.api.types.is_bool_dtype(values):
        return values.astype(object)
    return values.astype("float64") if pd.api.types.is_numeric_dtype(values) else values
