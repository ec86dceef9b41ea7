"""`make demo`: a model kept fresh, from an empty folder to a closing table.

The demo uses the first 137 days of its data: 90 are ingested by one run, from the pipeline's `start`
(2011-01-01) on, and the first champion is trained on them; the 47 nights after them are replayed one by one,
each with ingest, score, monitor and the retraining that drift calls for. Simulated data halves its fares on
2011-04-11, early in those nights (see `deploy/demo_data/simulator.py`); the real file needs no
announced drift, because its demand grows by itself.

The clock starts no night of it, because that would be of yesterday, years ahead of the replayed ones
(see `nights.py`).

It can be stopped at any time and run again: it waits for the runs that it has left behind, ingests only what
is not published, and replays only the nights that are left.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from rich.console import Console

from deploy.demo_data.sources import Loaded
from deploy.embedded import airflow, demo_report, demo_request, environment, processes, serving
from deploy.embedded.airflow_api import ACTIVE, ENDED, AirflowApi, Run
from deploy.embedded.errors import StackError
from deploy.embedded.executor import Executor
from deploy.embedded.home import Home, write_atomically
from deploy.embedded.load import load
from deploy.embedded.nights import PIPELINE, nights
from deploy.embedded.stack import describe, describe_ui, up
from evergreen.pipeline import Pipeline
from evergreen.registry.history import Kind
from evergreen.stages import INGEST, MONITOR, SCORE, STAGES, TRAIN

OTHERS = ("iris", "wine_segments")
HISTORY = 90
REPLAYED = 47
"""Until the second champion has served a week: `bike_demand` trains every 36 days at most."""
_STALLED = 900.0


@dataclass(frozen=True)
class Plan:
    """Which partitions the demo is about: the `history` and then the `replayed`, in the order of time."""

    history: tuple[str, ...]
    replayed: tuple[str, ...]

    @classmethod
    def starting(cls, first: date) -> Plan:
        """The plan for the data from `first` on."""
        days = [str(first + timedelta(days=n)) for n in range(HISTORY + REPLAYED)]
        return cls(tuple(days[:HISTORY]), tuple(days[HISTORY:]))

    @property
    def keys(self) -> tuple[str, ...]:
        """All of them."""
        return self.history + self.replayed


def dags_of(pipeline: str) -> list[str]:
    """The ids of the DAGs that the demo runs of a pipeline: of the stages that every pipeline has."""
    return [stage.dag_id(pipeline) for stage in STAGES if not stage.optional]


def demo(home: Home, data: Path | None, executor: Executor | None = None) -> None:
    """Run the whole demo on simulated data, or on `data`, on a stack with `executor`.

    Raises `StackError` if the stack or a run in it fails, or if this home holds the demo on other data;
    `KeyboardInterrupt` where it is stopped, once it has said how to go on.
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        Demo(home, data, console, executor).run()
    except KeyboardInterrupt:
        console.print("\n'make demo' goes on from here, 'make down' stops the stack.")
        raise


class Demo:
    """One demo in one home."""

    def __init__(
        self, home: Home, data: Path | None, console: Console, executor: Executor | None = None
    ) -> None:
        self._home = home
        self._data = data
        self._console = console
        self._executor = executor

    def run(self) -> None:
        """All steps; each skips what is done already."""
        self._home.create()
        self._step("Starting the stack")
        if Loaded.read(self._home.source) is None:
            # This must happen before Airflow reads a DAG, so that no night is scheduled yet.
            nights(self._home).hold()
        self._stack = up(self._home, self._say, self._executor)
        describe_ui(self._stack, self._say)
        os.environ.update(environment.read(self._home))
        self._pipeline = Pipeline.open(PIPELINE)
        start = self._pipeline.spec.start
        assert start is not None
        self._plan = Plan.starting(start)
        self._load()
        self._api = AirflowApi.of(self._stack)
        self._unpause()
        self._settle()
        self._ingest_history()
        self._first_champion()
        self._others()
        self._replay()
        self._close()

    def _load(self) -> None:
        self._step("Loading the source database")
        loaded = Loaded.read(self._home.source)
        kind = "simulated" if self._data is None else "file"
        if loaded and loaded.kind != kind and demo_report.published(self._pipeline):
            raise StackError(
                f"{self._home.root} holds the demo on another source ({loaded.kind}): run 'make clean' "
                "first, or choose another folder with EVERGREEN_HOME"
            )
        load(self._stack, self._data, self._say)

    def _unpause(self) -> None:
        self._step("Unpausing the DAGs")
        ids = dags_of(PIPELINE)
        self._wait(lambda: self._known(ids), "Airflow to read the DAG files")
        if nights(self._home).held:
            held = INGEST.dag_id(PIPELINE)
            self._wait(
                lambda: (self._api.dag(held) or {}).get("next_dagrun_run_after") is None,
                f"Airflow to hold back the nights of {held}",
            )
        for dag_id in ids:
            self._api.unpause(dag_id)
        self._say(f"  {', '.join(ids)}")

    def _known(self, ids: Iterable[str]) -> bool:
        if errors := self._api.import_errors():
            raise StackError(f"Airflow cannot read {errors[0]}")
        return all(self._api.dag(dag_id) for dag_id in ids)

    def _settle(self) -> None:
        """Wait for the runs that a demo has left behind which was stopped."""
        active = partial(self._active, dags_of(PIPELINE))
        if left := active():
            self._step(f"Waiting for {left} runs that were left behind")
            self._wait(lambda: not active(), "them to end")

    def _active(self, dag_ids: Iterable[str]) -> int:
        return sum(self._api.count(dag_id, ACTIVE) for dag_id in dag_ids)

    def _ingest_history(self) -> None:
        keys, dag_id = self._plan.history, INGEST.dag_id(PIPELINE)
        self._step(f"Ingesting {len(keys)} days of {PIPELINE} by one run, {keys[0]} to {keys[-1]}")
        if set(keys) <= demo_report.published(self._pipeline):
            self._say("  all published already")
            return
        run = self._api.trigger(dag_id, conf={"partition": keys[0], "to": keys[-1]})
        self._say(f"  {self._api.page(run)}")
        run = self._wait_for_run(run)
        count = len(demo_report.published(self._pipeline) & set(keys))
        self._say(f"  {count} of {len(keys)} days are published")
        if run.state == "failed":
            self._say("  the others were refused or failed: the log of the run's last task names them")

    def _first_champion(self) -> None:
        self._step("Training the first champion")
        train, score = TRAIN.dag_id(PIPELINE), SCORE.dag_id(PIPELINE)
        if self._api.count(INGEST.dag_id(PIPELINE), ["success"]):
            # There is no champion to score by, so this run starts the first training.
            self._wait(lambda: bool(self._api.count(score, ENDED)), f"{score} to follow")
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
            self._wait(partial(self._known, dags_of(name)), f"Airflow to read the DAGs of {name}")
            for dag_id in dags_of(name):
                self._api.unpause(dag_id)
            # Unpausing starts the newest scheduled run by itself, which is enough to train.
            self._wait(partial(self._api.count, INGEST.dag_id(name)), f"{name} to be ingested")
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
        keys, done = self._plan.replayed, demo_report.monitored(self._pipeline)
        self._step(
            f"Replaying {len(keys)} nights, {keys[0]} to {keys[-1]}: Ctrl-C stops, 'make demo' goes on"
        )
        if before := len(done & set(keys)):
            self._say(f"  {before} were replayed before")
        for number, key in enumerate(keys, 1):
            if key in done:
                continue
            last = demo_report.last_event(self._pipeline)
            self._one_night(key)
            line = demo_report.night(self._pipeline, key, last).line()
            self._console.print(f"  {number:2d}/{len(keys)}  {line}")

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
        asked = self._ask()
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

    def _wait(self, ready: Callable[[], object], what: str) -> None:
        """Wait for `ready`; raises `StackError` after a quarter of an hour."""
        deadline = time.monotonic() + _STALLED
        while not ready():
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
