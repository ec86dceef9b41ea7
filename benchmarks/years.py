"""Three years of nights with trainings and maintenance: what a night costs at their end, and the storage."""

from __future__ import annotations

import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.shops import Shops
from benchmarks.stores import stores
from evergreen.alerts.stage import alert_on
from evergreen.errors import NothingToDoError
from evergreen.ingestion.stage import ingest
from evergreen.maintenance.kept import SETTLED
from evergreen.maintenance.stage import maintain
from evergreen.monitoring.stage import monitor_night
from evergreen.pipeline import Pipeline
from evergreen.reports.deliver import made_and_sent
from evergreen.scoring.score import score
from evergreen.shadow.stage import promote_due
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from evergreen.training.stage import train

NAME = "shops"
NIGHTS = int(os.environ.get("NIGHTS", "1095"))
"""`make bench ONLY=years NIGHTS=250` for a quick look."""

EVERY = 21
"""Nights from one training to the next: 50 in three years."""

YOUNG = 105
"""Nights after which the monitor's windows are full: from then on a night has as much to read as ever."""

MONTH = 30
WEEK = 7
NIGHT_LIMIT = 1.2
STORAGE_LIMIT = 1.2


def measure() -> list[Figure]:
    """A night at the end of all beside one of a pipeline in its first months, in turn; and stored bytes.

    Both pipelines have the same rows and description, and a storage of their own on one server. A night is
    ingested, scored, monitored, alerted of and reported as Airflow's tasks do it, each with a pipeline that
    it opens. Maintenance runs every week, as if the store's clock had gone on with the nights.
    """
    with stores(), tempfile.TemporaryDirectory() as folder:
        old, young = (_World(Path(folder) / name, name) for name in ("old", "young"))
        sizes = dict(old.live(NIGHTS - MONTH))
        dict(young.live(YOUNG))
        spent: dict[str, list[float]] = {"old": [], "young": []}
        for number in range(MONTH):
            for world in (old, young) if number % 2 else (young, old):
                spent[world.name].append(world.measured_night())
        ratios = {name: statistics.median(found) for name, found in spent.items()}
        print(f"  {ratios} {sizes}", flush=True)
    value = ratios["old"] / ratios["young"]
    return [
        Figure(
            f"night {NIGHTS:,} after {(NIGHTS - MONTH) // EVERY} trainings / night {YOUNG + MONTH}",
            value,
            "x",
            NIGHT_LIMIT,
        ),
        Figure("bytes stored by the last third / by the second", _growth(sizes), "x", STORAGE_LIMIT),
    ]


def _growth(sizes: dict[int, int]) -> float:
    """What the last third of the nights added, over what the third before it did."""
    nights = sorted(sizes)
    third = len(nights) // 3
    first, second, last = (sizes[nights[at]] for at in (third - 1, 2 * third - 1, 3 * third - 1))
    return (last - second) / (second - first)


@dataclass
class _World:
    """One pipeline with its files and storage."""

    folder: Path
    name: str
    nights: int = 0
    key: str = ""
    steps: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shops = Shops(self.folder)
        self.shops.describe(NAME)

    def open(self) -> Pipeline:
        spec = parse_spec(self.shops.pipelines / NAME / "pipeline.yaml")
        return Pipeline(spec, Storage.open().child(self.name))

    def live(self, nights: int) -> Iterator[tuple[int, int]]:
        """So many nights with their trainings and maintenance; the bytes stored after each maintenance."""
        for number in range(1, nights + 1):
            pipeline = self.open()
            self.night(lambda pipeline=pipeline: pipeline)
            if number % EVERY == 0:
                key = pipeline.spec.calendar.shift(self.key, 1)
                reason = {"kind": "schedule", "sentence": "the benchmark trains"}
                self._step("train", lambda key=key, reason=reason: train(self.open(), key, reason))
            if number % WEEK == 0:
                pipeline = self.open()
                moment = datetime.now(UTC) + SETTLED + timedelta(days=1)
                self._step("maintain", lambda at=moment, to=pipeline: maintain(to, moment=at))
                yield number, sum(entry.size for entry in pipeline.storage.look(f"{NAME}/"))
            if number % 50 == 0:
                print(f"  {self.name}: {number} nights, {self.told()}", flush=True)

    def measured_night(self) -> float:
        gc.collect()
        return self.night(self.open)

    def night(self, opened: Callable[[], Pipeline]) -> float:
        """The next night; returns its seconds, the making of its rows aside."""
        self.key = self.shops.write(self.nights)
        self.nights += 1
        began = time.perf_counter()
        self._step("ingest", lambda: ingest(opened(), [self.key]))
        if opened().registry.champion() is not None:
            self._step("score", lambda: score(opened(), self.key))
            self._step("monitor", lambda: monitor_night(opened(), self.key))
            with suppress(NothingToDoError):
                self._step("promote", lambda: promote_due(opened(), self.key))
            self._step("alert", lambda: alert_on(opened(), self.key))
            self._step("report", lambda: list(made_and_sent(opened(), self.key)))
        return time.perf_counter() - began

    def told(self) -> str:
        """The median milliseconds of the steps since this was last asked."""
        said = {name: round(1000 * statistics.median(found)) for name, found in self.steps.items()}
        self.steps.clear()
        return str(said)

    def _step(self, name: str, run: Callable[[], object]) -> None:
        began = time.perf_counter()
        try:
            run()
        finally:
            self.steps.setdefault(name, []).append(time.perf_counter() - began)
