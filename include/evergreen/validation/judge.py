"""Running Great Expectations: which rows of a table break which expectations, and what was observed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from evergreen.errors import RefusedError, SpecError
from evergreen.rows.frame import to_frame
from evergreen.spec import Spec
from evergreen.validation.arguments import typed
from evergreen.validation.suite import Entry, Suite, build, great_expectations, names_rows

SAMPLES = 3
FEW = 5  # values of a set that a report names


@dataclass(frozen=True)
class Outcome:
    """Great Expectations' result for one expectation: whether it holds, and which rows break it.

    Rows are numbered from 0. `samples` are values that break it, `observed` is the value found by an
    expectation on the whole table, and `problem` says why it could not be computed.
    """

    success: bool
    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    samples: tuple[str, ...] = ()
    observed: str = ""
    problem: str | None = None


class Judges:
    """The suite, split into row-level entries and others, with Great Expectations' objects built once."""

    def __init__(self, spec: Spec, suite: Suite) -> None:
        keys = len(spec.keys) + 1
        self.keys, entries = suite.entries[:keys], suite.entries[keys:]
        self.by_row = tuple(entry for entry in entries if _by_row(entry))
        self.whole = tuple(e for e in entries if e not in self.by_row)
        self.history_needed = suite.history_needed
        self._zone = spec.calendar.zone
        self._built: dict[pa.Schema, dict[int, Any]] = {}

    def check(self, schema: pa.Schema) -> None:
        """Raise `RefusedError` for an argument that cannot be held against its column of the schema."""
        self._of(schema)

    def _of(self, schema: pa.Schema) -> dict[int, Any]:
        """Great Expectations' objects for rows of a schema, by number; without those that need history."""
        if schema not in self._built:
            fixed = [entry for entry in (*self.by_row, *self.whole) if not entry.needs_history]
            try:
                for entry in self.whole:
                    typed(entry, schema, self._zone)
                self._built[schema] = {e.number: build(typed(e, schema, self._zone)) for e in fixed}
            except SpecError as error:
                raise RefusedError(str(error)) from None
        return self._built[schema]

    def of_rows(self, blocks: Sequence[pa.Table]) -> list[dict[int, Outcome]]:
        """Outcomes of the entries that judge a row by itself, for each block; blocks have one schema."""
        if not self.by_row:
            return [{} for _ in blocks]
        names = sorted({name for entry in self.by_row for name in entry.columns or blocks[0].column_names})
        there = [name for name in names if name in blocks[0].column_names]
        rows = pa.concat_tables([block.select(there) for block in blocks])
        built = self._of(blocks[0].schema)
        found = judge({entry.number: built[entry.number] for entry in self.by_row}, rows)
        ends = np.cumsum([block.num_rows for block in blocks])
        parts = []
        for block, end in zip(blocks, ends, strict=True):
            start = end - block.num_rows
            parts.append({number: _part(outcome, start, end) for number, outcome in found.items()})
        return parts

    @cached_property
    def aggregates(self) -> frozenset[int]:
        """The numbers of the entries that judge a partition's rows together and name none of them."""
        return frozenset(entry.number for entry in self.whole if not names_rows(entry))

    def of_whole(self, entries: Sequence[Entry], rows: pa.Table, schema: pa.Schema) -> dict[int, Outcome]:
        """Outcomes of (resolved) entries that need the whole partition, whose columns `schema` has."""
        built = self._of(schema)
        return judge(
            {e.number: built.get(e.number) or build(typed(e, schema, self._zone)) for e in entries}, rows
        )

    def whole_columns(self, schema: pa.Schema) -> list[str]:
        """The columns that are kept until the end of a partition."""
        kept: set[str] = set()
        for entry in self.whole:
            kept.update(schema.names if entry.columns is None else entry.columns)
        if self.whole and not kept:
            return list(schema.names[:1])  # a frame without columns has no rows
        return [name for name in schema.names if name in kept]


def judge(expectations: Mapping[int, Any], rows: pa.Table) -> dict[int, Outcome]:
    """Each Great Expectations expectation's outcome on the rows, by its number. Without rows all hold."""
    if not expectations:
        return {}
    results = _validator(rows).graph_validate(
        configurations=[expectation.configuration for expectation in expectations.values()],
        runtime_configuration={"result_format": "COMPLETE"},
    )
    # Great Expectations puts those that cannot be computed first, so results are matched by their number.
    found = {result.expectation_config.meta["number"]: _outcome(result, rows) for result in results}
    return {number: found[number] for number in expectations}


def text(value: Any) -> str:
    """A value as a report shows it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "nothing"
    return str(value)


def _by_row(entry: Entry) -> bool:
    # Whether a warning with `mostly` quarantines its rows is known only at the end of the partition.
    if entry.needs_history or not entry.row_level:
        return False
    return entry.severity != "warning" or entry.mostly == 1


def _part(outcome: Outcome, start: int, end: int) -> Outcome:
    first, last = np.searchsorted(outcome.rows, (start, end))
    return replace(outcome, rows=outcome.rows[first:last] - start)


def _validator(rows: pa.Table) -> Any:
    # Not `batch.validate`, which takes twice as long because it first digests the whole frame for an id.
    great_expectations()
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.validator.validator import Validator

    engine = PandasExecutionEngine(batch_data_dict={"rows": _frame(rows)})
    validator = Validator(execution_engine=engine, interactive_evaluation=False)
    validator.metrics_calculator.show_progress_bars = False
    return validator


def _frame(rows: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = to_frame(rows)
    # Whole numbers stay whole beside nulls: a null in one row must not change the values of others.
    for name in rows.column_names:
        if pa.types.is_integer(rows.schema.field(name).type) and rows.column(name).null_count:
            frame[name] = pd.array(rows.column(name).to_pandas(integer_object_nulls=True), dtype="Int64")
    return frame


def _outcome(result: Any, table: pa.Table) -> Outcome:
    if problem := _exception(result.exception_info):
        # An expectation that cannot be computed fails: nothing may pass because a column is missing.
        return Outcome(False, problem=problem)
    found = result.result
    rows = np.asarray(found.get("unexpected_index_list") or (), np.int64)
    samples = tuple(text(value) for value in list(found.get("partial_unexpected_list") or ())[:SAMPLES])
    success = bool(result.success)
    observed = found.get("observed_value")
    if observed is not None:
        return Outcome(success, rows, samples, text(observed))
    return Outcome(success, rows, samples, "" if success else _found(result, table))


def _found(result: Any, table: pa.Table) -> str:
    """What was found where Great Expectations names no observed value; empty if it has nothing to say."""
    if result.expectation_config.type == "expect_column_to_exist":
        return f"the columns {', '.join(table.column_names)}"
    found = result.result
    parts = [
        f"{word} {_few(list(values), int(found.get(f'{kind}_count') or len(values)))}"
        for kind, word in (("unexpected", "not expected:"), ("missing", "missing:"))
        if (values := found.get(f"partial_{kind}_list"))
    ]
    name = result.expectation_config.kwargs.get("column")
    if "missing_count" in found and name in table.column_names:
        values = _frame(table.select([name]))[name].dropna().unique()
        parts.insert(0, _few(list(values), len(values)) if len(values) else "no value")
    return "; ".join(parts)


def _few(values: Sequence[Any], count: int) -> str:
    """The first values by their text, as a report shows them, and how many there are if that is more."""
    told = ", ".join(sorted(text(value) for value in values)[:FEW])
    return f"{told}, ... ({count} in all)" if count > FEW else told


def _exception(info: dict[str, Any]) -> str | None:
    """What went wrong while computing, in one line; None if nothing did."""
    raised = [info] if "raised_exception" in info else list(info.values())
    for one in raised:
        if one.get("raised_exception"):
            return "cannot be computed: " + " ".join(str(one.get("exception_message")).split())[:200]
    return None
