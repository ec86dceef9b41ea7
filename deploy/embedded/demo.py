"""`make demo`: a model kept fresh, from an empty folder to a closing table.

The demo uses the first 120 days of its data: 90 are backfilled, from the pipeline's `start`
(2011-01-01) on, and give the first champion; the 30 nights after them are replayed one by one, each with
ingest, score, monitor and the retraining that drift calls for. Simulated data halves its fares on
2011-04-11, in the middle of those nights (see `deploy/demo_data/simulator.py`); the real file needs no
announced drift, because its demand grows by itself.

Meanwhile no night is scheduled, because the newest real night would be years ahead of the replayed ones and
the monitor retrains only for the newest partition. Afterwards the schedule continues for simulated data,
which reaches up to yesterday; a file has no further nights.

It can be run again: published partitions are not ingested again, and replayed nights are not replayed again.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.demo_data.sources import Loaded
from deploy.embedded import airflow, demo_report, demo_request, environment, processes, serving
from deploy.embedded.airflow_api import ACTIVE, ENDED, AirflowApi, Run
from deploy.embedded.errors import StackError
from deploy.embedded.home import Home, write_atomically
from deploy.embedded.load import load, nights
from deploy.embedded.stack import describe, up
from evergreen.pipeline import Pipeline
from evergreen.registry.history import Kind
from evergreen.stages import INGEST, MONITOR, SCORE, STAGES, TRAIN

PIPELINE = "bike_demand"
OTHERS = ("iris", "wine_segments")
BACKFILLED = 90
REPLAYED = 30
_STALLED = 900.0


@dataclass(frozen=True)
class Plan:
    """Which partitions the demo is about: `backfilled` and then `replayed`, in the order of time."""

    backfilled: tuple[str, ...]
    replayed: tuple[str, ...]

    @classmethod
    def starting(cls, first: date) -> Plan:
        """The plan for the data from `first` on."""
        days = [str(first + timedelta(days=n)) for n in range(BACKFILLED + REPLAYED)]
        return cls(tuple(days[:BACKFILLED]), tuple(days[BACKFILLED:]))

    @property
    def keys(self) -> tuple[str, ...]:
        """All of them."""
        return self.backfilled + self.replayed


def dags_of(pipeline: str) -> list[str]:
    """The ids of the DAGs that the demo runs of a pipeline: of the stages that every pipeline has."""
    return [stage.dag_id(pipeline) for stage in STAGES if not stage.optional]


def demo(home: Home, data: Path | None) -> None:
    """Run the whole demo on simulated data, or on `data`.

    Raises `StackError` if the stack or a run in it fails, or if this home holds the demo on other data.
    """
    console = Console(highlight=False, soft_wrap=True)
    Demo(home, data, console).run()


class Demo:
    """One demo in one home."""

    def __init__(self, home: Home, data: Path | None, console: Console) -> None:
        self._home = home
        self._data = data
        self._console = console

    def run(self) -> None:
        """All steps; each skips what is done already."""
        self._home.create()
        self._step("Starting the stack")
        if Loaded.read(self._home.source) is None:
            # This must happen before Airflow reads a DAG, so that no night is scheduled yet.
            nights(self._home).end(date(2000, 1, 1))
        self._stack = up(self._home, self._say)
        os.environ.update(environment.read(self._home))
        self._pipeline = Pipeline.open(PIPELINE)
        start = self._pipeline.spec.start
        assert start is not None
        self._plan = Plan.starting(start)
        self._load()
        self._api = AirflowApi(self._stack)
        self._unpause()
        self._backfill()
        self._first_champion()
        self._others()
        self._replay()
        self._close()

    def _load(self) -> None:
        self._step("Loading the source database")
        done = set(self._plan.keys) <= demo_report.published(self._pipeline)
        loaded = Loaded.read(self._home.source)
        kind = "simulated" if self._data is None else "file"
        if loaded and loaded.kind != kind and demo_report.published(self._pipeline):
            raise StackError(
                f"{self._home.root} holds the demo on another source ({loaded.kind}): run 'make clean' "
                "first, or choose another folder with EVERGREEN_HOME"
            )
        load(self._stack, self._data, self._say)
        if self._data is None and not done:
            nights(self._home).end(date.fromisoformat(self._plan.keys[-1]))

    def _unpause(self) -> None:
        self._step("Unpausing the DAGs")
        ids = [dag_id for name in (PIPELINE, *OTHERS) for dag_id in dags_of(name)]
        self._wait(lambda: self._known(ids), "Airflow to read the DAG files")
        if nights(self._home).path.exists():
            held = INGEST.dag_id(PIPELINE)
            self._wait(
                lambda: (self._api.dag(held) or {}).get("next_dagrun_run_after") is None,
                f"Airflow to hold back the nights of {held}",
            )
        for dag_id in ids:
            self._api.unpause(dag_id)
        self._say(f"  {len(ids)} DAGs")

    def _known(self, ids: Iterable[str]) -> bool:
        if errors := self._api.import_errors():
            raise StackError(f"Airflow cannot read {errors[0]}")
        return all(self._api.dag(dag_id) for dag_id in ids)

    def _backfill(self) -> None:
        keys = self._plan.backfilled
        self._step(f"Backfilling {len(keys)} days of {PIPELINE}, {keys[0]} to {keys[-1]}")
        dag_id = INGEST.dag_id(PIPELINE)
        missing = set(keys) - demo_report.published(self._pipeline)
        if not missing:
            self._say("  all published already")
            return
        if not self._api.count(dag_id, ACTIVE, "backfill"):
            self._create_backfill(dag_id, keys[0], keys[-1])
        self._follow("  partitions", len(keys), lambda: self._api.count(dag_id, ENDED, run_type="backfill"))
        if failed := self._api.count(dag_id, ["failed"], run_type="backfill"):
            self._say(
                f"  {failed} days were refused or failed: {airflow.url(self._stack.ports)}/dags/{dag_id}"
            )
        wanted = self._api.count(dag_id, ["success"])
        score = SCORE.dag_id(PIPELINE)
        self._wait(lambda: self._api.count(score, ENDED) >= wanted, f"{score} to follow")

    def _create_backfill(self, dag_id: str, first: str, last: str) -> None:
        # The last day's night begins at 02:00 of that day: without a time of day it would be left out.
        window = ["--from-date", first, "--to-date", f"{last}T23:59:59+00:00"]
        options = ["--max-active-runs", "4", "--reprocess-behavior", "failed"]
        command = [str(airflow.executable()), "backfill", "create", "--dag-id", dag_id, *window, *options]
        found = environment.for_programs(environment.read(self._home))
        done = subprocess.run(command, env=found, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise StackError(f"'airflow backfill create' failed: {' '.join(reason)}")

    def _first_champion(self) -> None:
        self._step("Training the first champion")
        train = TRAIN.dag_id(PIPELINE)
        self._wait_for_training()
        if self._pipeline.registry.champion() is None and not self._api.count(train):
            as_of = self._plan.replayed[0]
            run = self._api.trigger(train, conf={"as_of": as_of, "reason": "the demo's first champion"})
            self._wait_for_run(run)
        promoted = [
            event.version for event in self._pipeline.registry.history() if event.kind is Kind.PROMOTED
        ]
        self._say(
            f"  {promoted[0]}" if promoted else "  none yet: too little history, or refused by the gate"
        )

    def _others(self) -> None:
        self._step(f"Running {' and '.join(OTHERS)}: a first time to train, a second to score")
        for name in OTHERS:
            pipeline = Pipeline.open(name)
            # Unpausing starts the newest scheduled run by itself; one run is enough to train.
            if pipeline.registry.champion() is None and not self._api.count(INGEST.dag_id(name)):
                self._api.trigger(INGEST.dag_id(name))
            self._wait(partial(self._trained_or_failed, pipeline), f"{name} to train")
            if pipeline.registry.champion() and not demo_report.monitored(pipeline):
                self._api.trigger(INGEST.dag_id(name))
                self._wait(partial(self._monitored_or_failed, pipeline), f"{name} to score")
            self._say(f"  {name}: {pipeline.registry.champion() or 'no champion, see its DAGs in the UI'}")

    def _trained_or_failed(self, pipeline: Pipeline) -> bool:
        return pipeline.registry.champion() is not None or self._failed(pipeline)

    def _monitored_or_failed(self, pipeline: Pipeline) -> bool:
        return bool(demo_report.monitored(pipeline)) or self._failed(pipeline)

    def _failed(self, pipeline: Pipeline) -> bool:
        return any(self._api.count(dag_id, ["failed"]) for dag_id in dags_of(pipeline.name))

    def _replay(self) -> None:
        self._step(f"Replaying {len(self._plan.replayed)} nights")
        done = demo_report.monitored(self._pipeline)
        for key in self._plan.replayed:
            if key in done:
                continue
            before = demo_report.last_event(self._pipeline)
            self._one_night(key)
            self._console.print(f"  {demo_report.night(self._pipeline, key, before).line()}")

    def _one_night(self, key: str) -> None:
        """Ingest one partition and wait until all runs that follow from it have finished."""
        run = self._wait_for_run(self._api.trigger(INGEST.dag_id(PIPELINE), partition=key))
        if run.state == "success":
            run = self._wait_for_run(self._follower(run, SCORE.dag_id(PIPELINE)))
            # Without a champion nothing is scored, and the monitor has nothing to do.
            if run.state == "success" and self._api.tasks(run).get(SCORE.done) == "success":
                run = self._wait_for_run(self._follower(run, MONITOR.dag_id(PIPELINE)))
        if run.state != "success":
            self._say(f"  {key}: {run.dag_id} failed, see {self._api.page(run)}")
        self._wait_for_training()

    def _follower(self, run: Run, dag_id: str) -> Run:
        """The run of `dag_id` that an asset event of `run` started, for the same partition."""
        found: list[Run] = []

        def appeared() -> bool:
            of_partition = self._api.runs(dag_id, partition=run.partition)
            found.extend(each for each in of_partition if each.queued_at > run.queued_at)
            return bool(found)

        self._wait(appeared, f"{dag_id} to follow on {run.dag_id} of {run.partition}")
        return found[0]

    def _wait_for_training(self) -> None:
        train = TRAIN.dag_id(PIPELINE)
        self._wait(lambda: not self._api.count(train, ACTIVE), f"{train} to end")

    def _wait_for_run(self, run: Run) -> Run:
        self._wait(lambda: self._api.run(run).ended, f"{run.dag_id} {run.partition or ''} to end")
        return self._api.run(run)

    def _close(self) -> None:
        # Before the schedule goes on: its first night may promote another version.
        asked = self._ask()
        if self._data is None:
            nights(self._home).go_on()
        self._step("Done")
        summary = demo_report.summarise(self._pipeline, self._plan.keys, self._plan.replayed)
        self._console.print(demo_report.grid(self._pipeline, summary, self._plan.replayed))
        self._say("The stack stays up for a look; 'make down' stops it.")
        describe(self._stack, self._say)
        self._say(asked)

    def _ask(self) -> str:
        """Ask the server for a night's rows; what it answered, with the command that asks again."""
        url, champion = serving.url(self._stack.ports), self._pipeline.registry.champion()
        if champion is None:
            return f"  /predict     answers for {PIPELINE} as soon as that has a champion"
        self._wait(lambda: self._is_served(url, champion), f"the server to load {champion}")
        night = demo_request.night_of(self._pipeline, champion, self._plan.replayed)
        demo_request.ask(url, self._pipeline, night)
        write_atomically(self._home.request_file, night.body)
        return (
            f"  /predict     answers {PIPELINE} of {night.partition} as the night wrote it, "
            f"{len(night.rows)} rows:\n{demo_request.curl(url, PIPELINE, self._home.request_file)}"
        )

    def _is_served(self, url: str, version: str) -> bool:
        if processes.find(self._home, serving.NAME) is None:
            why = processes.explain(self._home, serving.NAME)
            raise StackError(f"{serving.NAME} has ended ({why}): run 'make up'")
        return demo_request.is_served(url, PIPELINE, version)

    def _follow(self, title: str, total: int, measure: Callable[[], int]) -> None:
        """Show how `measure` approaches `total`; as lines, every tenth, where there is no terminal."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        terminal = self._console.is_terminal
        with Progress(*columns, console=self._console, disable=not terminal) as progress:
            task = progress.add_task(title, total=total)
            shown = -1

            def reached() -> bool:
                nonlocal shown
                count = measure()
                progress.update(task, completed=count)
                if not terminal and count * 10 // total > shown:
                    shown = count * 10 // total
                    self._say(f"{title}: {count} of {total}")
                return count >= total

            self._wait(reached, title.strip(), progress_of=measure)

    def _wait(
        self, ready: Callable[[], bool], what: str, progress_of: Callable[[], int] | None = None
    ) -> None:
        """Wait for `ready`; raises `StackError` once nothing has moved for a quarter of an hour."""
        deadline, last = time.monotonic() + _STALLED, None
        while not ready():
            if progress_of is not None and (now := progress_of()) != last:
                deadline, last = time.monotonic() + _STALLED, now
            if time.monotonic() > deadline:
                raise StackError(
                    f"waited {_STALLED / 60:.0f} minutes for {what}: see {airflow.url(self._stack.ports)}, "
                    "then run 'make demo' again: it goes on from there"
                )
            time.sleep(0.5)

    def _step(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/bold]")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False)
