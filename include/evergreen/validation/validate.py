"""A partition's rows against its suite: valid, quarantined, or refused as a whole.

The rows come in blocks. Row-level expectations are checked block by block, for many partitions in one call;
expectations that need the whole partition are checked at its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evergreen.errors import RefusedError
from evergreen.rows.batches import Rejected
from evergreen.rows.keys import KeySet
from evergreen.rows.partition_file import PartitionFile, PartitionWriter
from evergreen.spec import Spec
from evergreen.validation.history import NotEnough
from evergreen.validation.judge import SAMPLES, Judges, Outcome, text
from evergreen.validation.outside import Inside
from evergreen.validation.profile import Profile, Profiler
from evergreen.validation.quarantine import INSIDE, QUARANTINE, UNREADABLE, to_text
from evergreen.validation.report import ExpectationResult, ValidationReport
from evergreen.validation.suite import Entry, holds

NAMED = 5  # expectations that a refusal names


class RefusedPartitionError(RefusedError):
    """A partition refused by validation, with the report, and the rows that would have been quarantined."""

    def __init__(self, message: str, report: ValidationReport, quarantined: pa.Table) -> None:
        super().__init__(message)
        self.report, self.quarantined = report, quarantined

    def __reduce__(self) -> tuple[Any, ...]:
        return (RefusedPartitionError, (str(self), self.report, self.quarantined))


@dataclass(frozen=True)
class Validated:
    """A partition that may be published: its rows as a file, those in quarantine, report and profile."""

    file: PartitionFile
    schema: pa.Schema
    quarantined: pa.Table
    report: ValidationReport
    profile: Profile


@dataclass
class _Tally:
    """The results of one entry over the blocks so far."""

    rows: int = 0
    nulls: int = 0
    unexpected: int = 0
    samples: list[str] = field(default_factory=list)
    problem: str | None = None


@dataclass
class _Offence:
    """A row that breaks a `warning`: its text, and all expectations it breaks."""

    text: str
    expectations: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def add(self, entry: Entry, row: Mapping[str, Any]) -> None:
        self.expectations.append(entry.label)
        self.reasons.append(why_broken(entry, row))


class Check:
    """The validation of one partition: takes blocks, ends in `Validated` or `RefusedPartitionError`."""

    def __init__(
        self,
        spec: Spec,
        judges: Judges,
        partition: str,
        schema: pa.Schema,
        *,
        changes: Sequence[str] = (),
        rejected: Sequence[Rejected] = (),
    ) -> None:
        self._spec, self._judges, self.partition = spec, judges, partition
        self._schema, self._changes, self._rejected = schema, tuple(changes), rejected
        self._rows = 0
        self._inside = Inside(spec, partition, schema)
        self._keys = KeySet(spec.keys)
        self._tallies = {entry.number: _Tally() for entry in judges.by_row}
        self._offences: dict[int, _Offence] = {}
        self._kept_columns = judges.whole_columns(schema)
        self._kept: list[pa.Table] = []
        self._writer = PartitionWriter(schema)
        self._profiler = Profiler(schema)

    def inside(self, block: pa.Table) -> pa.Table:
        """The block's rows inside the partition, which come next; raises as `Inside.of` does."""
        return self._inside.of(block)

    def add(self, block: pa.Table, outcomes: Mapping[int, Outcome]) -> None:
        """Add a block of rows inside the partition with their outcomes."""
        broken = self._count(block, outcomes)
        for batch in block.to_batches():
            self._keys.add(batch)
        if self._kept_columns:
            self._kept.append(block.select(self._kept_columns))
        self._write(block, broken)
        self._rows += block.num_rows

    def finish(self, history: Sequence[Profile]) -> Validated:
        """The verdict, once all blocks are in; `history` holds the profiles of the partitions before it.

        Raises `RefusedPartitionError` for no rows, a failing `critical` expectation, one that cannot be
        computed, and a share of quarantined rows above `validation.max_quarantined`.
        """
        whole, late = self._judge_whole(history)
        results = [*self._key_results(), *self._not_judged(), *self._row_results(), *whole]
        quarantined = len(set(self._offences) | set(late)) + len(self._rejected) + len(self._inside.strays)
        report = ValidationReport(self.partition, self._all_rows, quarantined, tuple(results), self._changes)
        why = self._why_refused(report)
        if late:
            self._take_out(late)
        if why:
            self.discard()
            raise RefusedPartitionError(
                f"{self._spec.name} {self.partition}: refused: {why}",
                replace(report, refused=why),
                self._quarantined(),
            )
        profile = self._profiler.profile()
        record = {
            "rows": self._all_rows - quarantined,
            "quarantined": quarantined,
            "schema_changes": list(self._changes),
            "profile": profile.to_dict(),
        }
        return Validated(self._writer.finish(record), self._schema, self._quarantined(), report, profile)

    def discard(self) -> None:
        """Discard the partition's file."""
        self._writer.discard()

    # -- rows

    def _count(self, block: pa.Table, outcomes: Mapping[int, Outcome]) -> dict[int, _Offence]:
        broken: dict[int, _Offence] = {}
        for entry in self._judges.by_row:
            tally, outcome = self._tallies[entry.number], outcomes[entry.number]
            tally.rows += block.num_rows
            tally.problem = tally.problem or outcome.problem
            if entry.mostly < 1 and entry.columns and entry.columns[0] in block.column_names:
                tally.nulls += _nulls(block.column(entry.columns[0]))
            tally.unexpected += len(outcome.rows)
            for row in outcome.rows[: SAMPLES - len(tally.samples)]:
                tally.samples.append(_values(entry, block, int(row)))
            if entry.severity == "warning":
                self._offend(entry, block, outcome, broken)
        return broken

    def _offend(self, entry: Entry, block: pa.Table, outcome: Outcome, broken: dict[int, _Offence]) -> None:
        if not len(outcome.rows):
            return
        for row, original in zip(
            outcome.rows.tolist(), block.take(pa.array(outcome.rows)).to_pylist(), strict=True
        ):
            offence = broken.get(row) or broken.setdefault(row, _Offence(to_text(original)))
            offence.add(entry, original)

    def _write(self, block: pa.Table, broken: dict[int, _Offence]) -> None:
        for row, offence in broken.items():
            self._offences[self._rows + row] = offence
        if broken:
            keep = np.ones(block.num_rows, bool)
            keep[list(broken)] = False
            block = block.filter(pa.array(keep))
        for batch in block.to_batches():
            self._writer.write(batch)
            self._profiler.add(batch)

    def _take_out(self, late: Mapping[int, Sequence[Entry]]) -> None:
        """Quarantine rows that only checks of the whole partition found wrong: write the others again."""
        written = self._writer.finish()
        self._writer, self._profiler = PartitionWriter(self._schema), Profiler(self._schema)
        numbers = np.delete(np.arange(self._rows), list(self._offences))
        for row in set(late) & set(self._offences):
            for entry in late[row]:
                self._offences[row].add(entry, {})
        at = 0
        for batch in written.batches():
            here = numbers[at : at + batch.num_rows]
            at += batch.num_rows
            out = np.isin(here, list(late))
            for row, original in zip(
                here[out].tolist(), batch.filter(pa.array(out)).to_pylist(), strict=True
            ):
                offence = self._offences.setdefault(row, _Offence(to_text(original)))
                for entry in late[row]:
                    offence.add(entry, original)
            kept = batch.filter(pa.array(~out))
            self._writer.write(kept)
            self._profiler.add(kept)
        assert written.body is not None
        written.body.close()

    # -- verdicts

    @property
    def _all_rows(self) -> int:
        return self._rows + len(self._rejected) + len(self._inside.strays)

    def _key_results(self) -> list[ExpectationResult]:
        found = self._keys.check()
        *present, unique = self._judges.keys
        results = []
        for entry, name in zip(present, self._spec.keys, strict=True):
            nulls = found.nulls[name]
            detail = f"{nulls} of {self._rows} rows have none" if nulls else "holds"
            results.append(_result(entry, not nulls, nulls, detail))
        detail = f"{found.repeated} of {self._rows} rows, such as {'; '.join(found.examples)}"
        repeated = found.repeated
        results.append(_result(unique, not repeated, repeated, detail if repeated else "holds"))
        return results

    def _not_judged(self) -> list[ExpectationResult]:
        """The results about records that no expectation of the suite can judge."""
        found = []
        if self._rejected:
            count, first = len(self._rejected), self._rejected[0]
            detail = (
                f"{count} of {self._all_rows} records cannot be read, the first: {first.place}: "
                f"{first.reason}"
            )
            found.append(ExpectationResult(UNREADABLE, "warning", False, count, detail))
        if count := len(self._inside.strays):
            detail = f"{count} rows have another time"
            found.append(ExpectationResult(INSIDE, "warning", False, count, detail))
        return found

    def _row_results(self) -> list[ExpectationResult]:
        return [_told(entry, self._tallies[entry.number]) for entry in self._judges.by_row]

    def _judge_whole(
        self, history: Sequence[Profile]
    ) -> tuple[list[ExpectationResult], dict[int, list[Entry]]]:
        """Outcomes of the entries on the whole partition, and the rows that break a warning among them.

        Aggregates come last: they judge the rows that will be published, as those before them were.
        """
        if not self._rows or not self._judges.whole:
            return [], {}
        resolved = {entry.number: entry.resolved(history) for entry in self._judges.whole}
        entries = [entry for entry in resolved.values() if isinstance(entry, Entry)]
        aggregates, rows = self._judges.aggregates, pa.concat_tables(self._kept)
        outcomes = self._judges.of_whole(
            [e for e in entries if e.number not in aggregates], rows, self._schema
        )
        late: dict[int, list[Entry]] = {}
        for entry in entries:
            outcome = outcomes.get(entry.number)
            if outcome is not None and entry.severity == "warning" and not outcome.success:
                for row in outcome.rows.tolist():
                    late.setdefault(row, []).append(entry)
        if out := {*self._offences, *late}:
            rows = rows.filter(pa.array(~np.isin(np.arange(self._rows), list(out))))
        outcomes |= self._judges.of_whole([e for e in entries if e.number in aggregates], rows, self._schema)
        return [
            self._told_whole(entry, resolved[entry.number], outcomes) for entry in self._judges.whole
        ], late

    def _told_whole(
        self, entry: Entry, resolved: Entry | NotEnough, outcomes: Mapping[int, Outcome]
    ) -> ExpectationResult:
        if isinstance(resolved, NotEnough):
            return _result(entry, True, 0, str(resolved))
        return _whole_result(resolved, outcomes[entry.number], self._rows)

    def _why_refused(self, report: ValidationReport) -> str | None:
        if not self._rows:
            if strays := len(self._inside.strays):
                return (
                    f"no rows: all {strays} lie outside the partition: check what the source "
                    "is asked, ingest again"
                )
            if not self._rejected:
                return "no rows: check that the sources hold this partition, ingest again"
            count, first = len(self._rejected), self._rejected[0]
            return (
                f"none of {count} records can be read, the first is {first.place}: {first.reason}: fix the "
                "source, or its description, ingest again"
            )
        critical = [r for r in report.failed if r.severity == "critical"]
        if critical:
            problems = "; ".join(f"{result.expectation}: {result.detail}" for result in critical)
            return f"{problems}: fix the source, then ingest again"
        share, most = report.quarantined / report.rows, self._spec.validation.max_quarantined
        if share <= most:
            return None
        broken = [r for r in report.failed if r.severity == "warning" and r.unexpected]
        broken.sort(key=lambda result: -result.unexpected)
        labels = [f"{result.expectation} ({self._counted(result)})" for result in broken[:NAMED]]
        if len(broken) > NAMED:
            labels.append(f"and {len(broken) - NAMED} more expectations")
        return (
            f"{report.quarantined} of {report.rows} rows ({share:.1%}) would be quarantined, more than "
            f"max_quarantined {most:.1%}, by {', '.join(labels)}: look at them with evergreen quarantine "
            f"show {self._spec.name} --partition {self.partition}, fix the source, or the expectations, then "
            "ingest again"
        )

    def _counted(self, result: ExpectationResult) -> str:
        if result.expectation != UNREADABLE:
            return f"{result.unexpected} row{'s' * (result.unexpected != 1)}"
        first = self._rejected[0]
        count = f"{result.unexpected} record{'s' * (result.unexpected != 1)}"
        return f"{count}, the first {first.place}: {first.reason}"

    def _quarantined(self) -> pa.Table:
        rows = [
            {
                "row": offence.text,
                "expectation": "; ".join(offence.expectations),
                "reason": "; ".join(offence.reasons),
                "place": "",
            }
            for _, offence in sorted(self._offences.items())
        ]
        rows += [
            {"row": one.text, "expectation": UNREADABLE, "reason": one.reason, "place": one.place}
            for one in self._rejected
        ]
        rows += [
            {"row": one.text, "expectation": INSIDE, "reason": one.reason, "place": ""}
            for one in self._inside.strays
        ]
        return pa.Table.from_pylist(rows, schema=QUARANTINE)


def _nulls(column: pa.ChunkedArray) -> int:
    if pa.types.is_floating(column.type):
        return int(pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0)
    return int(column.null_count)


def _result(entry: Entry, success: bool, unexpected: int, detail: str) -> ExpectationResult:
    return ExpectationResult(
        entry.label, entry.severity, success, unexpected, detail, entry.name, entry.arguments
    )


def _told(entry: Entry, tally: _Tally) -> ExpectationResult:
    if tally.problem:
        return _result(replace(entry, severity="critical"), False, 0, tally.problem)
    success = holds(entry, tally.rows, tally.nulls, tally.unexpected)
    if not tally.unexpected:
        return _result(entry, success, 0, "holds")
    detail = f"{tally.unexpected} of {tally.rows} rows, such as {', '.join(tally.samples)}"
    return _result(entry, success, tally.unexpected, detail)


def _whole_result(entry: Entry, outcome: Outcome, rows: int) -> ExpectationResult:
    if outcome.problem:
        return _result(replace(entry, severity="critical"), False, 0, outcome.problem)
    broken = len(outcome.rows)
    if broken:
        detail = f"{broken} of {rows} rows, such as {', '.join(outcome.samples)}"
    else:
        otherwise = "holds" if outcome.success else "does not hold"
        detail = f"found {outcome.observed}" if outcome.observed else otherwise
    return _result(entry, outcome.success, broken, detail)


def _values(entry: Entry, block: pa.Table, row: int) -> str:
    values = [text(block.column(name)[row].as_py()) for name in entry.columns or ()]
    return values[0] if len(values) == 1 else f"({', '.join(values)})"


def why_broken(entry: Entry, row: Mapping[str, Any]) -> str:
    """What a row has, and what the entry that it breaks asks for, in words."""
    named = [name for name in entry.columns or () if name in row]
    bounds = {k: v for k, v in entry.arguments.items() if not k.startswith("column")}
    values = ", ".join(f"{name} is {text(row[name])}" for name in named)
    asked = ", ".join(f"{key} {value}" for key, value in bounds.items())
    return f"{values} (asked: {asked})" if asked else values
