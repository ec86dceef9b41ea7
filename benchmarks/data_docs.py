"""The cost of Data Docs per night: a page, and a line in an index that already lists 1,000 runs."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks.figure import ROUNDS, Figure
from benchmarks.stores import stores

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.validation.report import ValidationReport
    from evergreen.validation.suite import Suite

EARLIER = 1_000
LIMIT = 1.0
NIGHT = datetime(2024, 1, 1, 2, tzinfo=UTC)


def measure() -> list[Figure]:
    """Seconds from the report of one night of `bike_demand` to its page and index in a real S3 server.

    A twentieth of the earlier partitions was refused, a tenth has quarantined rows. As in a night, the suite
    has been read before and the sentences of its expectations have not been made yet.
    """
    from evergreen.data_docs.sentence import _sentence
    from evergreen.data_docs.store import write_data_docs
    from evergreen.pipeline import Pipeline
    from evergreen.validation.suite import load_suite

    with stores():
        pipeline = Pipeline.open("bike_demand")
        suite = load_suite(pipeline.spec)
        write_data_docs(pipeline, "earlier", NIGHT, [_report(pipeline, suite, n) for n in range(EARLIER)])
        seconds = []
        for night in range(EARLIER, EARLIER + ROUNDS):
            _sentence.cache_clear()
            report = _report(pipeline, suite, night)
            began = time.perf_counter()
            write_data_docs(pipeline, f"night-{night}", NIGHT, [report])
            seconds.append(time.perf_counter() - began)
            _check(pipeline, night + 1)
    return [
        Figure(f"Data Docs of a night, {EARLIER:,} runs before it", statistics.median(seconds), "s", LIMIT)
    ]


def _report(pipeline: Pipeline, suite: Suite, number: int) -> ValidationReport:
    from evergreen.validation.report import ExpectationResult, ValidationReport

    quarantined = 2 if number % 10 == 1 else 0
    refused = "12 of 24 rows would be quarantined: fix the source" if number % 20 == 0 else None
    results = []
    for entry in suite.entries:
        bad = bool(quarantined) and entry.severity == "warning"
        found = "2 of 24 rows, such as -4.0, 9999.0" if bad else "holds"
        results.append(
            ExpectationResult(
                entry.label, entry.severity, not bad, quarantined * bad, found, entry.name, entry.arguments
            )
        )
    partition = pipeline.spec.calendar.shift(pipeline.spec.first_partition, number)
    return ValidationReport(partition, 24, quarantined, tuple(results), refused=refused)


def _check(pipeline: Pipeline, runs: int) -> None:
    from evergreen.data_docs.index import read_index
    from evergreen.data_docs.store import index_key

    listed = len(read_index(pipeline.storage.read(index_key(pipeline.name)).body))
    assert listed == runs, f"the index lists {listed} runs instead of {runs}"
