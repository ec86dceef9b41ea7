"""The pages of models at 1,000 versions and two years of nights, on the embedded stack's stores."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks.figure import ROUNDS, Figure
from benchmarks.made_up import write_history
from benchmarks.stores import stores

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

NAME, NIGHTS, VERSIONS = "bike_demand", 730, 1_000
LIMIT = 300  # ms
MOMENT = datetime(2024, 1, 1, tzinfo=UTC)

Page = Callable[["Pipeline"], str]


def measure() -> list[Figure]:
    """Milliseconds of each page, read and rendered: for the first time, and again.

    For the first time nothing of the storage is known, though the libraries are imported, as they are once a
    server has shown one page. Again what never changes is known. The CPU's time is printed beside: a busy
    machine makes a page wait, and does not make it do more.
    """
    from evergreen.pipeline import Pipeline

    with stores():
        keys = write_history(Pipeline.open(NAME), NIGHTS, VERSIONS)
        seconds = _seconds(_pages(Pipeline.open(NAME), keys))
    return [
        Figure(f"{page} at {VERSIONS:,} versions, {when}", 1000 * statistics.median(found), "ms", LIMIT)
        for page, both in seconds.items()
        for when, found in both.items()
    ]


def _seconds(pages: Mapping[str, Page]) -> dict[str, dict[str, list[float]]]:
    from evergreen.pipeline import Pipeline

    seconds: dict[str, dict[str, list[float]]] = {page: {"first": [], "again": []} for page in pages}
    for number in range(ROUNDS + 1):
        for name, page in pages.items():
            pipeline = Pipeline.open(NAME)
            for when in ("first", "again"):
                began, worked = time.perf_counter(), time.process_time()
                page(pipeline)
                spent, worked = time.perf_counter() - began, time.process_time() - worked
                if number:  # the round before imports what the pages need
                    seconds[name][when].append(spent)
                    print(f"  {name}, {when}: {1000 * spent:.0f} ms, {1000 * worked:.0f} of CPU", flush=True)
    return seconds


def _pages(pipeline: Pipeline, keys: list[str]) -> dict[str, Page]:
    from evergreen.models_site.listing import Listing
    from evergreen.models_site.overview import render_overview
    from evergreen.models_site.pair_page import render_pair
    from evergreen.models_site.pipeline_page import render_pipeline
    from evergreen.models_site.read import pipeline_facts, version_facts
    from evergreen.models_site.version_page import render_version
    from evergreen.side_by_side.compare import compare
    from evergreen.side_by_side.read import read_sides
    from evergreen.status.read import statuses

    versions = pipeline.registry.stored()

    def overview(opened: Pipeline) -> str:
        return render_overview(statuses([NAME], lambda _: opened, MOMENT), Listing())

    def newest(opened: Pipeline) -> str:
        return render_pipeline(opened.spec, pipeline_facts(opened, MOMENT), dag="/dags/")

    def earlier(opened: Pipeline) -> str:
        facts = pipeline_facts(opened, MOMENT, until=keys[NIGHTS // 2], before=VERSIONS // 2)
        return render_pipeline(opened.spec, facts, dag="/dags/")

    def version(opened: Pipeline, place: int) -> str:
        return render_version(opened.spec, version_facts(opened, versions[place]))

    def pair(opened: Pipeline) -> str:
        return render_pair(opened.spec, compare(*read_sides(opened, versions[-1], versions[0])))

    return {
        "all pipelines": overview,
        "a pipeline": newest,
        "a pipeline a year ago": earlier,
        "the newest version": lambda opened: version(opened, 0),
        "the oldest version": lambda opened: version(opened, -1),
        "the oldest beside the newest": pair,
    }
