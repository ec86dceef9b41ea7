"""A pipeline's expectations: read from `expectations.yaml`, checked, made into a Great Expectations suite.

The file is a list; each entry is `{expect_some_thing: {column: ..., ...}, severity: warning}`. `critical`
(the default) refuses the partition, `warning` sends the offending rows to quarantine, `info` is reported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from evergreen.errors import SpecError
from evergreen.spec import Spec

SEVERITIES = ("critical", "warning", "info")


@dataclass(frozen=True)
class Entry:
    """One expectation as people write it: its name, its arguments and how grave breaking it is."""

    name: str
    arguments: dict[str, Any]
    severity: str

    @property
    def label(self) -> str:
        """Name and columns, as reports and quarantine call it: `expect_x(column)`."""
        columns = [v for key, v in self.arguments.items() if key in {"column", "column_A", "column_B"}]
        columns += self.arguments.get("column_list", [])
        return f"{self.name}({', '.join(map(str, columns))})"


@dataclass(frozen=True)
class Suite:
    """The entries of one file, and the Great Expectations suite made of them (same order, once)."""

    entries: tuple[Entry, ...]
    expectations: Any = field(repr=False, compare=False)


def load_suite(spec: Spec) -> Suite:
    """The pipeline's suite. The rows' keys, present and without repetition, are always expected too.

    Raises `SpecError` naming file, entry, what is wrong and what is allowed. Imports Great Expectations,
    which takes seconds.
    """
    file = spec.folder / spec.validation.suite
    entries = (*_key_entries(spec), *_entries(file))
    built = [_expectation(file, number, entry) for number, entry in enumerate(entries)]
    gx = great_expectations()
    return Suite(entries, gx.ExpectationSuite(name=spec.name, expectations=built))


@cache
def great_expectations() -> Any:
    """The Great Expectations module, with its calls home off."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    return gx


def _key_entries(spec: Spec) -> tuple[Entry, ...]:
    present = [Entry("expect_column_values_to_not_be_null", {"column": key}, "critical") for key in spec.keys]
    if len(spec.keys) == 1:
        unique = Entry("expect_column_values_to_be_unique", {"column": spec.keys[0]}, "critical")
    else:
        unique = Entry("expect_compound_columns_to_be_unique", {"column_list": list(spec.keys)}, "critical")
    return (*present, unique)


def _entries(file: Path) -> list[Entry]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError:
        raise SpecError(
            f"{file}: no such file: write the expectations there, or name it in validation.suite"
        ) from None
    except yaml.YAMLError as error:
        raise SpecError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, list):
        raise SpecError(
            f"{file}: must be a list of expectations like '- expect_column_to_exist: {{column: x}}'"
        )
    return [_entry(file, number, item) for number, item in enumerate(content)]


def _entry(file: Path, number: int, item: Any) -> Entry:
    if not isinstance(item, dict):
        raise SpecError(f"{file}: entry {number}: write it like 'expect_column_to_exist: {{column: x}}'")
    severity = item.get("severity", "critical")
    if severity not in SEVERITIES:
        raise SpecError(
            f"{file}: entry {number}: severity '{severity}': write one of {', '.join(SEVERITIES)}"
        )
    names = [name for name in item if name != "severity"]
    if len(names) != 1:
        raise SpecError(
            f"{file}: entry {number}: has {len(names)} expectations ({', '.join(map(str, names))}): "
            "write one, and its severity beside it"
        )
    arguments = item[names[0]] or {}
    if not isinstance(arguments, dict):
        raise SpecError(f"{file}: entry {number}: {names[0]}: its arguments must be a mapping")
    return Entry(str(names[0]), arguments, severity)


def _expectation(file: Path, number: int, entry: Entry) -> Any:
    great_expectations()
    import great_expectations.expectations as gxe

    known = _known()
    if entry.name not in known:
        near = get_close_matches(entry.name, known, n=3) or ["see the gallery of Great Expectations"]
        raise SpecError(f"{file}: no expectation '{entry.name}'; nearest: {', '.join(near)}")
    kind = getattr(gxe, known[entry.name])
    try:
        return kind(**entry.arguments, severity=entry.severity, meta={"number": number})
    except (ValueError, TypeError) as error:
        text = " ".join(str(error).split())[:300]
        raise SpecError(f"{file}: {entry.label}: {text}: mend its arguments") from None


@cache
def _known() -> dict[str, str]:
    import great_expectations.expectations as gxe

    classes = (name for name in dir(gxe) if name.startswith("Expect") and name != "Expectation")
    return {_snake(name): name for name in classes}


def _snake(name: str) -> str:
    import re

    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
