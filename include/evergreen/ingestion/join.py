"""Sources joined on equal columns, with the promised number of matches checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.errors import RefusedError, SourceError, SpecError
from evergreen.spec import Join, Spec

_LEFT, _RIGHT = "row of left", "row of right"


def join_sources(spec: Spec, sources: Mapping[str, pa.Table]) -> pa.Table:
    """The sources' rows as one table, joined as the description says and sorted by the pipeline's keys.

    A right side's columns come without those it is joined by. `one_to_one` asks that no key comes twice on
    either side, `many_to_one` that none does on the right. Raises `RefusedError` naming the first keys that
    break the promise, or a right side without rows and columns; `SourceError` for a column that is missing,
    of another type than its counterpart, or of a name that both sides use; `SpecError` for joins in an order
    that leaves a source out.
    """
    first = spec.join[0].left if spec.join else next(iter(spec.sources))
    _check_order(spec, first)
    rows = sources[first]
    for join in spec.join:
        rows = _join(join, rows, sources[join.right])
    return _sorted(rows, spec.keys)


def _check_order(spec: Spec, first: str) -> None:
    joined = {first}
    for number, join in enumerate(spec.join):
        if join.left not in joined or join.right in joined:
            raise SpecError(
                f"{spec.folder / 'pipeline.yaml'}: join.{number}: '{join.left}' must be among the sources "
                f"joined so far ({', '.join(sorted(joined))}) and '{join.right}' not yet: change the order"
            )
        joined.add(join.right)


def _join(join: Join, left: pa.Table, right: pa.Table) -> pa.Table:
    left_keys, right_keys = list(join.on), list(join.on.values())
    _check_columns(join, left, right)
    if join.expect == "one_to_one":
        _check_unique(join, join.left, left, left_keys)
    _check_unique(join, join.right, right, right_keys)
    # Only keys and row numbers go through Arrow's join: it refuses columns without a type, and has no order.
    matches = _numbered(left, left_keys, _LEFT).join(
        _numbered(right, right_keys, _RIGHT),
        keys=left_keys,
        right_keys=right_keys,
        join_type="left outer" if join.how == "left" else "inner",
    )
    matches = matches.sort_by(_LEFT)
    rows = left.take(matches.column(_LEFT))
    for name in right.column_names:
        if name not in right_keys:
            rows = rows.append_column(name, right.column(name).take(matches.column(_RIGHT)))
    return rows


def _numbered(table: pa.Table, keys: Sequence[str], name: str) -> pa.Table:
    return table.select(keys).append_column(name, pa.array(range(table.num_rows), pa.int64()))


def _check_columns(join: Join, left: pa.Table, right: pa.Table) -> None:
    for name, table, keys in ((join.left, left, join.on), (join.right, right, join.on.values())):
        for key in keys:
            if key in table.column_names:
                continue
            if not table.num_rows:
                raise RefusedError(f"source '{name}' gave no rows: check the source, then ingest again")
            raise SourceError(
                f"source '{name}' has no column '{key}' to join on (there: {', '.join(table.column_names)}): "
                "mend the source or the join in pipeline.yaml"
            )
    for a, b in join.on.items():
        one, other = left.schema.field(a).type, right.schema.field(b).type
        if one != other:
            raise SourceError(
                f"'{join.left}.{a}' is {one} and '{join.right}.{b}' is {other}: they must be of one type "
                "(a time is ISO 8601 with an offset)"
            )
    both = (set(left.column_names) & set(right.column_names)) - set(join.on.values())
    if both:
        raise SourceError(
            f"sources '{join.left}' and '{join.right}' both have the column '{min(both)}': leave one out "
            "(columns or sql of the source)"
        )


def _check_unique(join: Join, name: str, table: pa.Table, keys: Sequence[str]) -> None:
    counts = table.select(keys).group_by(keys).aggregate([([], "count_all")])
    repeated = counts.filter(pc.greater(counts.column("count_all"), 1)).sort_by(
        [(k, "ascending") for k in keys]
    )
    if not repeated.num_rows:
        return
    first = "; ".join(
        f"{', '.join(str(row[key]) for key in keys)} ({row['count_all']} rows)"
        for row in repeated.slice(0, 3).to_pylist()
    )
    raise RefusedError(
        f"source '{name}': {repeated.num_rows} values of {', '.join(keys)} come more than once, which breaks "
        f"'expect: {join.expect}': {first}: mend the source or the join in pipeline.yaml"
    )


def _sorted(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    # Sorted, so that reading the same rows in another order is no change of the partition.
    present = [(key, "ascending") for key in keys if key in table.column_names]
    return table.sort_by(present) if present and table.num_rows else table
