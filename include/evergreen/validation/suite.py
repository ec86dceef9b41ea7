"""A pipeline's expectations: read from `expectations.yaml`, checked, built for Great Expectations.

The file is a list; each entry is `{expect_some_thing: {column: ..., ...}, severity: warning}`. `critical`
(the default) refuses the partition, `warning` sends the offending rows to quarantine, `info` is reported.
Wherever an entry takes a number, it may take a limit by history (see `evergreen.validation.history`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from evergreen.description import read_yaml
from evergreen.errors import SpecError, one_line
from evergreen.spec import Spec
from evergreen.validation.history import Limit, NotEnough, limits, replaced, whole, with_limits
from evergreen.validation.profile import Profile

SEVERITIES = ("critical", "warning", "info")

# Great Expectations' expectations on values that depend only on the row itself.
_OF_A_VALUE = frozenset(
    {
        "expect_column_value_lengths_to_be_between",
        "expect_column_value_lengths_to_equal",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_dateutil_parseable",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_json_parseable",
        "expect_column_values_to_be_null",
        "expect_column_values_to_match_json_schema",
        "expect_column_values_to_match_like_pattern",
        "expect_column_values_to_match_like_pattern_list",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_match_regex_list",
        "expect_column_values_to_match_strftime_format",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_not_match_like_pattern",
        "expect_column_values_to_not_match_like_pattern_list",
        "expect_column_values_to_not_match_regex",
        "expect_column_values_to_not_match_regex_list",
    }
)
_OF_SEVERAL_VALUES = frozenset(
    {
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_column_pair_values_to_be_in_set",
        "expect_multicolumn_sum_to_equal",
        "expect_multicolumn_values_to_be_equal",
        "expect_select_column_values_to_be_unique_within_record",
    }
)
_OF_ALL_ROWS = frozenset({"expect_column_values_to_be_null", "expect_column_values_to_not_be_null"})
_ROW_COUNT = frozenset({"expect_table_row_count_to_be_between", "expect_table_row_count_to_equal"})
_OF_COUNTS = _ROW_COUNT | {
    "expect_column_unique_value_count_to_be_between",
    "expect_column_value_lengths_to_be_between",
    "expect_column_value_lengths_to_equal",
    "expect_table_column_count_to_be_between",
    "expect_table_column_count_to_equal",
}
_OF_THE_SCHEMA = re.compile(r"expect_(table_|query_|column_to_exist$)")


@dataclass(frozen=True)
class Entry:
    """One expectation as written in the file: its name, its arguments and its severity.

    `number` is its position in the suite, from 0; `place` is its file and line, for messages.
    """

    name: str
    arguments: dict[str, Any]
    severity: str
    number: int = field(default=0, compare=False)
    place: str = field(default="", compare=False, repr=False)

    @property
    def label(self) -> str:
        """Name and columns, as in reports and quarantine: `expect_x(column)`."""
        return f"{self.name}({', '.join(self.columns_named)})"

    @property
    def needs_history(self) -> bool:
        """Whether one of its limits must be computed from earlier partitions."""
        return bool(self.limits)

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        """Its limits by history; raises `SpecError` for one that is written wrongly."""
        return tuple(limits(self.parsed))

    def resolved(self, history: Sequence[Profile]) -> Entry | NotEnough:
        """The entry with numbers for its limits, or the reason why they cannot be computed.

        `history` holds the profiles of the partitions before this one, oldest first: all of them, or at least
        as many as the longest `last`. A limit on a count becomes whole, and `mostly` stays from 0 to 1.
        """
        values = {limit: limit.value(history) for limit in self.limits}
        for value in values.values():
            if isinstance(value, NotEnough):
                return value
        return self._with(values)

    @property
    def row_level(self) -> bool:
        """Whether it judges each row by that row alone.

        Rows of many partitions or blocks can then be judged in one call, and `holds` says for any part of
        them whether the entry holds there. Expectations that compare rows (uniqueness, order, z-scores,
        outliers) or look at the whole column's type do not, nor any with a `row_condition`. Those on several
        columns do only without `mostly`, because its share is of the rows that are not ignored.
        """
        if self.arguments.get("row_condition") is not None:
            return False
        if self.name in _OF_SEVERAL_VALUES:
            return bool(self.arguments.get("mostly", 1) == 1)
        return self.name in _OF_A_VALUE

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The columns it reads; () for one on the number of rows, None if it may read any."""
        if self.arguments.get("row_condition") is not None:
            return None
        if self.name in _ROW_COUNT:
            return ()
        if _OF_THE_SCHEMA.match(self.name):
            return None
        return self.columns_named or None

    @property
    def mostly(self) -> float:
        """The share of rows that must hold, 1 by default; of a resolved entry."""
        return float(self.arguments.get("mostly", 1))

    @property
    def columns_named(self) -> tuple[str, ...]:
        """The columns that its arguments name, in the order in which Great Expectations has them."""
        columns = [v for key, v in self.arguments.items() if key in {"column", "column_A", "column_B"}]
        several = self.arguments.get("column_list")
        return (*map(str, columns), *map(str, several if isinstance(several, list | tuple) else ()))

    @cached_property
    def parsed(self) -> dict[str, Any]:
        """Its arguments, with a `Limit` for each limit by history; raises `SpecError` as `limits` does."""
        try:
            return with_limits(self.arguments)
        except ValueError as error:
            raise SpecError(f"{self.place}: {self.label}: {error}") from None
        except RecursionError:
            raise SpecError(
                f"{self.place}: {self.name}: an anchor in it contains itself: write it out"
            ) from None

    def _with(self, values: dict[Limit, Any]) -> Entry:
        arguments = replaced(self.parsed, values.__getitem__)
        if self.name in _OF_COUNTS:
            for name in (name for name, value in self.parsed.items() if isinstance(value, Limit)):
                arguments[name] = whole(self.arguments, name, arguments[name])
        if isinstance(self.parsed.get("mostly"), Limit):
            arguments["mostly"] = min(1.0, max(0.0, arguments["mostly"]))
        return replace(self, arguments=arguments)


@dataclass(frozen=True)
class Suite:
    """The entries of one file, after those on the rows' keys."""

    entries: tuple[Entry, ...]

    @property
    def history_needed(self) -> int:
        """The largest number of earlier partitions that its limits need; 0 if it has none."""
        return max((limit.last for entry in self.entries for limit in entry.limits), default=0)


def load_suite(spec: Spec) -> Suite:
    """The pipeline's suite. The rows' keys, present and without repetition, are always expected too.

    A pipeline may begin without a file: then nothing else is expected. Raises `SpecError` naming file, line,
    entry, what is wrong and what is allowed, and for a file that the description names and that is missing.
    Imports Great Expectations, which takes seconds, if any entry is written.
    """
    keys = _key_entries(spec)
    written = [] if without_suite(spec) else read_entries(spec.folder / spec.validation.suite)
    entries = tuple(replace(entry, number=number) for number, entry in enumerate((*keys, *written)))
    for entry in entries[len(keys) :]:
        # Any number serves as limit here, because only the arguments are checked and not the data.
        build(entry._with(dict.fromkeys(entry.limits, 1.0)))
    return Suite(entries)


def read_entries(file: Path) -> list[Entry]:
    """The entries of a file as they are written, arguments unchecked; raises `SpecError` as `load_suite`."""
    if not file.is_file():
        raise SpecError(f"{file}: no such file: write the expectations there, or name it in validation.suite")
    content = read_yaml(file)
    if not isinstance(content, list):
        raise SpecError(
            f"{file}: must be a list of expectations like '- expect_column_to_exist: {{column: x}}'"
        )
    # The result of `read_yaml` has no line numbers, but the YAML tree has.
    nodes: Any = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    lines = [node.start_mark.line + 1 for node in nodes.value]
    places = (f"{file}: line {line}: entry {number}" for number, line in enumerate(lines, start=1))
    return [_entry(place, item) for place, item in zip(places, content, strict=True)]


def without_suite(spec: Spec) -> str | None:
    """What is expected of a pipeline that has no suite yet, and how to draft one; None where it has one."""
    file = spec.folder / spec.validation.suite
    if "suite" in spec.validation.model_fields_set or file.exists():
        return None
    return (
        f"no {file.name} yet: only the key is checked ({', '.join(spec.keys)}). Draft one from what is "
        f"published: evergreen suggest-expectations {spec.name} --out {file}"
    )


def build(entry: Entry) -> Any:
    """The Great Expectations expectation of a (resolved) entry; its `meta` is `{"number": entry.number}`.

    Raises `SpecError` for an unknown name and for arguments that it does not take.
    """
    known = expectations()
    if entry.name not in known:
        near = get_close_matches(entry.name, known, n=3) or ["see the gallery of Great Expectations"]
        raise SpecError(f"{entry.place}: no expectation '{entry.name}'; nearest: {', '.join(near)}")
    kind = known[entry.name]
    try:
        return kind(**entry.arguments, severity=entry.severity, meta={"number": entry.number})
    except (ValueError, TypeError) as error:
        text = one_line(error)
        raise SpecError(f"{entry.place}: {entry.label}: {text}: fix its arguments") from None


def names_rows(entry: Entry) -> bool:
    """Whether it names the rows that break it; others, like a mean or a row count, judge them together."""
    great_expectations()
    from great_expectations.expectations import expectation as kinds

    of_rows = (
        kinds.ColumnMapExpectation,
        kinds.ColumnPairMapExpectation,
        kinds.MulticolumnMapExpectation,
    )
    return issubclass(expectations()[entry.name], of_rows)


def holds(entry: Entry, rows: int, nulls: int, unexpected: int) -> bool:
    """Whether a row-level entry holds for `rows` rows, of which `unexpected` break it.

    `nulls` is how many values of its column are null or NaN. As in Great Expectations, the share is of the
    rows that have a value, or of all rows for an expectation on nulls. Without such rows the entry holds.
    """
    judged = rows if entry.name in _OF_ALL_ROWS else rows - nulls
    if entry.name in _OF_SEVERAL_VALUES or not judged:
        return not unexpected
    return (judged - unexpected) / judged >= entry.mostly


@cache
def great_expectations() -> Any:
    """The Great Expectations module, with its telemetry off."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    return gx


def _key_entries(spec: Spec) -> tuple[Entry, ...]:
    present = [Entry("expect_column_values_to_not_be_null", {"column": key}, "critical") for key in spec.keys]
    if len(spec.keys) == 1:
        unique = Entry("expect_column_values_to_be_unique", {"column": spec.keys[0]}, "critical")
    else:
        unique = Entry("expect_compound_columns_to_be_unique", {"column_list": list(spec.keys)}, "critical")
    return tuple(replace(entry, place=f"{spec.folder}: key") for entry in (*present, unique))


def _entry(place: str, item: Any) -> Entry:
    if not isinstance(item, dict):
        raise SpecError(f"{place}: write it like 'expect_column_to_exist: {{column: x}}'")
    severity = item.get("severity", "critical")
    if severity not in SEVERITIES:
        raise SpecError(f"{place}: severity '{severity}': write one of {', '.join(SEVERITIES)}")
    names = [name for name in item if name != "severity"]
    if len(names) != 1:
        raise SpecError(
            f"{place}: has {len(names)} expectations ({', '.join(map(str, names))}): "
            "write one, and its severity beside it"
        )
    arguments = item[names[0]] or {}
    if not isinstance(arguments, dict):
        raise SpecError(f"{place}: {names[0]}: its arguments must be a mapping")
    return Entry(str(names[0]), {str(key): value for key, value in arguments.items()}, severity, place=place)


@cache
def expectations() -> dict[str, Any]:
    """The expectations by their names in the file, as classes of Great Expectations."""
    great_expectations()
    import great_expectations.expectations as gxe

    classes = (name for name in dir(gxe) if name.startswith("Expect") and name != "Expectation")
    return {_snake(name): getattr(gxe, name) for name in classes}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
