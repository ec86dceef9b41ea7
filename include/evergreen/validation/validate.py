"""A partition's rows against its suite: valid, quarantined, or refused as a whole."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.errors import RefusedError
from evergreen.spec import Spec
from evergreen.validation.report import ExpectationResult, ValidationReport
from evergreen.validation.suite import Entry, Suite, great_expectations

QUARANTINE = pa.schema([("row", pa.string()), ("expectation", pa.string()), ("reason", pa.string())])


@dataclass(frozen=True)
class Validated:
    """The rows that may be published, those that may not (columns of `QUARANTINE`), and the report."""

    valid: pa.Table
    quarantined: pa.Table
    report: ValidationReport


@dataclass(frozen=True)
class _Finding:
    entry: Entry
    result: ExpectationResult
    rows: tuple[int, ...]


def validate(spec: Spec, suite: Suite, partition: str, rows: pa.Table) -> Validated:
    """Split a partition's rows by its suite; every row comes out once, valid or quarantined.

    A quarantined row has one entry, with all its values as JSON text and all the `warning` expectations it
    breaks. Raises `RefusedError` for no rows, rows outside the partition's time, a failing `critical`
    expectation, and a share of quarantined rows above `validation.max_quarantined`.
    """
    where = f"{spec.name} {partition}"
    if not rows.num_rows:
        raise RefusedError(
            f"{where}: refused: no rows: check that the sources hold this partition, ingest again"
        )
    _check_time(spec, partition, rows)
    findings = _findings(suite, rows)
    critical = [f.result for f in findings if f.entry.severity == "critical" and not f.result.success]
    if critical:
        problems = "; ".join(f"{result.expectation}: {result.detail}" for result in critical)
        raise RefusedError(f"{where}: refused: {problems}: mend the source, then ingest again")
    offences = _offences(findings)
    share = len(offences) / rows.num_rows
    if share > spec.validation.max_quarantined:
        labels = ", ".join(dict.fromkeys(f.result.expectation for found in offences.values() for f in found))
        raise RefusedError(
            f"{where}: refused: {len(offences)} of {rows.num_rows} rows ({share:.1%}) would be quarantined, "
            f"more than max_quarantined {spec.validation.max_quarantined:.1%}, by {labels}: mend the source, "
            "or the expectations, then ingest again"
        )
    keep = pa.array([number not in offences for number in range(rows.num_rows)])
    report = ValidationReport(partition, rows.num_rows, len(offences), tuple(f.result for f in findings))
    return Validated(rows.filter(keep), _quarantine(rows, offences), report)


def _check_time(spec: Spec, partition: str, rows: pa.Table) -> None:
    name = spec.time_column
    if name is None or name not in rows.column_names or not spec.calendar.has_time:
        return
    times = rows.column(name)
    start, end = spec.calendar.start(partition), spec.calendar.end(partition)
    outside = pc.or_(
        pc.less(times, pa.scalar(start, times.type)), pc.greater_equal(times, pa.scalar(end, times.type))
    )
    strays = times.filter(outside)
    if len(strays):
        raise RefusedError(
            f"{spec.name} {partition}: refused: {len(strays)} rows lie outside the partition, the first at "
            f"{strays[0].as_py().isoformat()} in '{name}': mend the source's query or params"
        )


@cache
def _batches() -> Any:
    """Where frames become Great Expectations batches: one context in memory for the whole process."""
    gx = great_expectations()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("evergreen").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("partition")


def _findings(suite: Suite, rows: pa.Table) -> list[_Finding]:
    frame = rows.to_pandas()
    batch = _batches().get_batch(batch_parameters={"dataframe": frame})
    # Yes or no takes half as long as which rows, and most expectations hold.
    outcome = batch.validate(suite.expectations, result_format="BOOLEAN_ONLY")
    failed = {result.expectation_config.meta["number"] for result in outcome.results if not result.success}
    findings = []
    for number, entry in enumerate(suite.entries):
        if number in failed:
            result = batch.validate(suite.expectations.expectations[number], result_format="COMPLETE")
            findings.append(_broken(entry, result))
        else:
            findings.append(
                _Finding(entry, ExpectationResult(entry.label, entry.severity, True, 0, "holds"), ())
            )
    return findings


def _broken(entry: Entry, result: Any) -> _Finding:
    found = result.result
    if problem := _exception(result.exception_info):
        # An expectation that cannot be computed was not held: nothing may pass for want of a column.
        entry = Entry(entry.name, entry.arguments, "critical")
        return _Finding(entry, ExpectationResult(entry.label, "critical", False, 0, problem), ())
    rows = tuple(found.get("unexpected_index_list") or ())
    outcome = ExpectationResult(entry.label, entry.severity, False, len(rows), _detail(found, rows))
    return _Finding(entry, outcome, rows)


def _exception(info: dict[str, Any]) -> str | None:
    """What went wrong while computing, in one line; None if nothing did."""
    raised = [info] if "raised_exception" in info else list(info.values())
    for one in raised:
        if one.get("raised_exception"):
            return "cannot be computed: " + " ".join(str(one.get("exception_message")).split())[:200]
    return None


def _detail(found: dict[str, Any], broken: tuple[int, ...]) -> str:
    if broken:
        shown = [_text(value) for value in list(found.get("partial_unexpected_list") or [])[:3]]
        return f"{len(broken)} of {found.get('element_count')} rows, such as {', '.join(shown)}"
    return f"found {_text(found.get('observed_value'))}"


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "nothing"
    return str(value)


def _offences(findings: list[_Finding]) -> dict[int, list[_Finding]]:
    offences: dict[int, list[_Finding]] = {}
    for finding in findings:
        if finding.entry.severity == "warning":
            for number in finding.rows:
                offences.setdefault(number, []).append(finding)
    return dict(sorted(offences.items()))


def _quarantine(rows: pa.Table, offences: dict[int, list[_Finding]]) -> pa.Table:
    originals = rows.take(pa.array(list(offences), pa.int64())).to_pylist()
    entries = [
        {
            "row": json.dumps({k: _json(v) for k, v in original.items()}, ensure_ascii=False),
            "expectation": "; ".join(f.result.expectation for f in found),
            "reason": "; ".join(_reason(f.entry, original) for f in found),
        }
        for original, found in zip(originals, offences.values(), strict=True)
    ]
    return pa.Table.from_pylist(entries, schema=QUARANTINE)


def _reason(entry: Entry, row: dict[str, Any]) -> str:
    columns = [entry.arguments.get(key) for key in ("column", "column_A", "column_B")]
    named = [c for c in (*columns, *entry.arguments.get("column_list", [])) if c in row]
    bounds = {k: v for k, v in entry.arguments.items() if not k.startswith("column")}
    values = ", ".join(f"{name} is {_text(row[name])}" for name in named)
    asked = ", ".join(f"{key} {value}" for key, value in bounds.items())
    return f"{values} (asked: {asked})" if asked else values


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    return value.isoformat() if hasattr(value, "isoformat") else value
