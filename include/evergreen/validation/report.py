"""The result of validating one partition."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True)
class ExpectationResult:
    """One expectation's outcome: `unexpected` counts the rows that break it (0 for one on the whole table).

    `detail` says in a few words what was found; `arguments` are those that the expectation was run with.
    """

    expectation: str
    severity: str
    success: bool
    unexpected: int
    detail: str
    name: str = ""
    arguments: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ValidationReport:
    """How many rows a partition had, how many of them went to quarantine, and each expectation's outcome.

    `refused` says why the partition was refused; None if it was not.
    """

    partition: str
    rows: int
    quarantined: int
    results: tuple[ExpectationResult, ...]
    schema_changes: tuple[str, ...] = ()
    refused: str | None = None

    @property
    def failed(self) -> tuple[ExpectationResult, ...]:
        """The expectations that did not hold."""
        return tuple(result for result in self.results if not result.success)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values; dates and times in arguments are ISO 8601 text."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self), default=_json))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ValidationReport:
        """The report that `to_dict` made."""
        results = tuple(ExpectationResult(**result) for result in values["results"])
        changes = tuple(values.get("schema_changes", ()))
        return cls(**{**values, "results": results, "schema_changes": changes})


def _json(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
