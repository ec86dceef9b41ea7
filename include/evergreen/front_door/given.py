"""Rows that a user passes, cast to the published types and completed with their look-back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from evergreen.errors import NotFoundError, RefusedError, one_line
from evergreen.features.lookups import with_lookups
from evergreen.features.published import published_rows
from evergreen.lake import PARTITION

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.spec import Spec


def given_with_look_back(pipeline: Pipeline, given: pd.DataFrame) -> dict[str, pa.Table]:
    """For each partition of the given rows, oldest first: its rows and those of its look-back.

    The look-back consists of the given rows of earlier partitions and the published rows of all others.
    Without a column `partition`, a row's partition follows from its time. Columns that are not read are
    left out; targets may be missing. Raises `NotFoundError` if nothing is published yet, `RefusedError`
    naming a column that is missing, or whose values do not fit.
    """
    spec = pipeline.spec
    if not len(given):
        raise RefusedError(f"{spec.name}: no rows were given: give some as Pipeline.rows gives them")
    keys = _partitions(spec, given)
    names = sorted(set(keys))
    published = _published(pipeline, spec.looks_back_to(names[0]), names[-1])
    own = _as_published(spec, given.assign(**{PARTITION: keys}), published.schema)
    others = published.filter(pc.invert(pc.is_in(published.column(PARTITION), pa.array(names))))
    rows = pa.concat_tables([others, own]).sort_by(PARTITION)
    partition = rows.column(PARTITION)
    return {
        name: rows.filter(
            pc.and_(
                pc.greater_equal(partition, spec.looks_back_to(name)),
                pc.less_equal(partition, name),
            )
        )
        for name in names
    }


def _partitions(spec: Spec, given: pd.DataFrame) -> list[str]:
    if PARTITION in given.columns:
        return [spec.calendar.check(str(key)) for key in given[PARTITION]]
    if spec.time_column is None:
        return [spec.first_partition] * len(given)
    if spec.time_column not in given.columns:
        raise _lacking(spec, [spec.time_column])
    times = _moments(spec, given[spec.time_column], spec.time_column)
    if times.isna().any():
        raise RefusedError(f"{spec.name}: the rows have no time in '{spec.time_column}': give each one")
    return [spec.calendar.key_of(time.to_pydatetime()) for time in times]


def _published(pipeline: Pipeline, first: str, last: str) -> pa.Table:
    """Published rows with their lookups, decimals as float64; an empty table if there are none."""
    rows = published_rows(pipeline, first, last)
    if not len(rows):
        keys = pipeline.lake.partitions()
        if not keys:
            raise NotFoundError(f"{pipeline.name}: no partition is published yet: ingest one first")
        return _published(pipeline, keys[-1], keys[-1]).slice(0, 0)
    rows = with_lookups(pipeline, rows)
    plain = [
        field.with_type(pa.float64()) if pa.types.is_decimal(field.type) else field for field in rows.schema
    ]
    return rows.cast(pa.schema(plain))


def _as_published(spec: Spec, given: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    missing = [name for name in schema.names if name not in given.columns and name not in spec.targets]
    if missing:
        raise _lacking(spec, missing)
    columns: dict[str, Any] = {}
    for field in schema:
        if field.name not in given.columns:
            columns[field.name] = pa.nulls(len(given), field.type)
            continue
        values = given[field.name]
        if pa.types.is_timestamp(field.type) and field.type.tz:
            values = _moments(spec, values, field.name)
        try:
            columns[field.name] = pa.Array.from_pandas(values, type=field.type)
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise _unfit(spec, field.name, error) from None
    return pa.table(columns, schema=schema)


def _moments(spec: Spec, values: pd.Series, column: str) -> pd.Series:
    """The values as moments in UTC; raises `RefusedError` for values that are no time, or have no zone."""
    try:
        times = pd.to_datetime(values, format="ISO8601")
    except (ValueError, TypeError) as error:
        raise _unfit(spec, column, error) from None
    if times.dt.tz is not None:
        return times.dt.tz_convert("UTC")
    if times.notna().any():
        raise RefusedError(
            f"{spec.name}: the times in '{column}' have no zone: say which is meant, for instance with "
            f"rows['{column}'].dt.tz_localize('UTC')"
        )
    return times.dt.tz_localize("UTC")


def _lacking(spec: Spec, missing: list[str]) -> RefusedError:
    return RefusedError(
        f"{spec.name}: the rows have no column {', '.join(missing)}: give them as Pipeline.rows gives them"
    )


def _unfit(spec: Spec, column: str, error: Exception) -> RefusedError:
    said = one_line(error, 200)
    return RefusedError(
        f"{spec.name}: column '{column}' does not fit ({said}): give it as Pipeline.rows does"
    )
