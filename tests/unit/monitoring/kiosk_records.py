"""Monitoring records of a kiosk, one a day of 2024, for tests of signals and of the policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evergreen.signals.record import Record
from evergreen.spec import parse_spec

KIOSK = parse_spec(Path(__file__).parents[2] / "pipelines" / "kiosk" / "pipeline.yaml")
DAYS = list(KIOSK.calendar.between("2024-01-01", "2024-12-31"))


def record(number: int, error: float | None = 10.0, **changes: Any) -> Record:
    values: dict[str, Any] = {
        "partition": DAYS[number],
        "version": "v1",
        "rows": 4,
        "labelled": 4 if error is not None else 0,
        "metric": "mae",
        "error": error,
        "promised": 10.0,
        "level": 100.0,
        "promised_level": 100.0,
        "drifted_share": 0.0,
        "drift": {},
        "age": number,
        "history": 40,
        "usual": 10.0,
        "spread": 1.0,
    }
    return Record(**{**values, **changes})
