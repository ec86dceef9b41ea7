from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from evergreen.cli.ingested import ROWS, happened, shown, spans
from evergreen.ingestion.outcomes import Ingested, Outcome, Status
from evergreen.validation.report import ExpectationResult, ValidationReport

DAYS = [f"2011-01-{day:02d}" for day in range(1, 15)]


def outcome(
    day: str, broken: dict[str, tuple[str, int]], status: Status = "published", reason: str | None = None
) -> Outcome:
    results = tuple(
        ExpectationResult(name, severity, False, rows, "") for name, (severity, rows) in broken.items()
    )
    return Outcome(day, status, ValidationReport(day, 24, 0, results), 24, 0, None, reason)


def outcomes() -> list[Outcome]:
    """Two weeks: a note on every day, three days with a bad row or two, and some that were not published."""
    found = [outcome(day, {"max(x)": ("info", 1)}) for day in DAYS]
    for at in (2, 3, 5):
        found[at] = outcome(DAYS[at], {"max(x)": ("info", 1), "min(y)": ("warning", 2)})
    for at in (8, 9):
        reason = f"refused: {at} of 24 rows would be quarantined"
        found[at] = outcome(DAYS[at], {"min(y)": ("warning", at)}, "refused", reason)
    found[12] = outcome(DAYS[12], {}, "failed", "no such file")
    return found


def test_of_a_long_range_it_is_told_what_happened_and_to_which_partitions():
    rows: list[tuple[Any, ...]] = list(happened(outcomes()))
    assert rows == [
        ("failed", 1, None, DAYS[12], "no such file"),
        ("refused", 2, None, f"{DAYS[8]} to {DAYS[9]}", "refused: 8 of 24 rows would be quarantined"),
        ("quarantined", 3, "6", f"{DAYS[2]} to {DAYS[3]}, {DAYS[5]}", "min(y)"),
        ("info", 11, "11", f"{DAYS[0]} to {DAYS[7]}, {DAYS[10]} to {DAYS[11]}, {DAYS[13]}", "max(x)"),
    ]


def test_a_long_range_is_shorter_than_a_line_for_each_partition_and_ends_with_the_sums():
    def lines(found: list[Outcome]) -> list[str]:
        console = Console(file=io.StringIO(), width=120)
        console.print(shown(Ingested(tuple(found), [])), crop=False)
        return str(console.file.getvalue()).splitlines()  # type: ignore[attr-defined]

    long, short = lines(outcomes()), lines(outcomes()[:ROWS])
    assert sum(day in " ".join(short[:-1]) for day in DAYS) == ROWS
    assert not any(DAYS[1] in line for line in long)
    assert long[-1].startswith(
        "14 partitions from 2011-01-01 to 2011-01-14: 11 published, 2 refused, 1 failed;"
    )
    quiet = lines([outcome(day, {}) for day in DAYS])
    assert len(quiet) == 1


def test_too_many_spans_are_counted():
    assert spans(outcomes(), [0, 2, 4, 6], 3) == (
        f"{DAYS[0]}, {DAYS[2]}, {DAYS[4]} and 1 more (--json names all)"
    )
    assert spans(outcomes(), [0, 2, 4], 3) == f"{DAYS[0]}, {DAYS[2]}, {DAYS[4]}"
