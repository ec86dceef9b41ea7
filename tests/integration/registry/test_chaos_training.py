"""Trainings by the boosting libraries are killed at each of their steps, and repeated: the same version."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from evergreen.boosters.catalogue import REMEDY
from evergreen.contributions.explainable import heart_of
from evergreen.pipeline import Pipeline
from evergreen.registry.registry import Registry
from evergreen.scoring.score import score
from evergreen.storage import Storage
from tests.campaign import FULL, rounds, seed
from tests.faults.forks import Ended
from tests.faults.killer import Killer
from tests.faults.s3_proxy import S3Proxy
from tests.faults.trainings import (
    AS_OF,
    LIBRARIES,
    TrainingForks,
    TrainingJob,
    Way,
    opened,
    phase_of,
    publish,
    write_pipelines,
)

SEED = seed(20240202)
KILLS = rounds(0, 20)  # of each library, at random moments
WRITES = ("files", "manifest", "history", "pointer")
STAGED = tuple(
    f"staged {name}"
    for name in (
        *("training_rows.parquet", "training.json"),
        *("evaluated.skops", "final.skops", "challenger.json", "evaluation.json"),
    )
)
PHASES: dict[Way, tuple[str, ...]] = {"tasks": (*STAGED, *WRITES), "shell": WRITES}


@pytest.fixture
def proxy(storage: Storage, s3_server: str) -> Iterator[S3Proxy]:
    """Sees all calls of the killed to the S3 server, and breaks none."""
    with S3Proxy(s3_server) as running:
        yield running


class _Trainings:
    """Trainings of one library, each in a store of its own."""

    def __init__(self, forks: TrainingForks, proxy: S3Proxy, folder: Path, library: str) -> None:
        self.forks, self.proxy, self.folder, self.library = forks, proxy, folder, library
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []

    def whole(self, storage: Storage) -> tuple[Pipeline, float]:
        """A training that nobody kills, and how long it takes in seconds."""
        pipeline = self._published(storage)
        ended = self.forks.run(self._job(storage, "tasks"))
        assert ended.well, ended.error
        return pipeline, ended.ended - ended.opened

    def at(self, storage: Storage, way: Way, phase: str, whole: Registry) -> None:
        """One that is killed at its first call of a phase, and then repeated."""
        killer = Killer(phase_of, phase, 0)
        self.proxy.watch = killer.look
        try:
            self._killed(storage, way, f"{way} at {phase}", whole, opened=killer.arm)
        finally:
            self.proxy.watch = None

    def after(self, storage: Storage, way: Way, seconds: float, whole: Registry) -> Ended:
        """One that is killed after so many seconds, and then repeated; how the first attempt ended."""
        return self._killed(storage, way, f"{way} at random", whole, kill_after=seconds)

    def _killed(self, storage: Storage, way: Way, name: str, whole: Registry, **how: object) -> Ended:
        pipeline, job = self._published(storage), self._job(storage, way)
        died = self.forks.run(job, **how)  # type: ignore[arg-type]
        self.counts[name] += not died.finished
        self.problems += _problem(died) + check(pipeline.registry, whole, whether_whole=False)
        again = self.forks.run(self._job(storage, way, len(died.steps)))
        self.problems += _problem(again) + check(pipeline.registry, whole, whether_whole=True)
        # The champion predicts what its training promised, in a process that never saw it being made.
        score(pipeline, AS_OF)
        return died

    def _published(self, storage: Storage) -> Pipeline:
        pipeline = opened(self.folder, self.library, storage)
        publish(pipeline)
        return pipeline

    def _job(self, storage: Storage, way: Way, done: int = 0) -> TrainingJob:
        return TrainingJob(storage.prefix, str(self.folder), self.library, way, "a-run", done)


def check(registry: Registry, whole: Registry, *, whether_whole: bool) -> list[str]:
    """What is wrong with a store after a kill, or after the repetition.

    `whole` is the registry of a training that nobody killed. A version is there with all of its files, the
    same model, or not at all.
    """
    (version,) = whole.versions()
    found = registry.versions()
    if found != [version] and (whether_whole or found):
        return [f"the versions are {found} and not {version}"]
    problems = registry.verify() if whether_whole else []
    if found and _model(registry, version) != _model(whole, version):
        problems.append("the model is another one")
    champion = registry.champion()
    if champion != version and (whether_whole or champion):
        problems.append(f"the champion is {champion}")
    if champion and not found:
        problems.append("the champion was never committed")
    events = [event.kind for event in registry.history()]
    if events != ["promoted"] and (whether_whole or events):
        problems.append(f"the history is {events}")
    return problems


def _model(registry: Registry, version: str) -> bytes:
    """The model in the library's format: the file around it has the time and addresses of its making."""
    found: bytes = heart_of(registry.load(version)).estimator.model_.tobytes()
    return found


def _problem(ended: Ended) -> list[str]:
    if ended.error is None:
        return []
    return [ended.problem or f"{ended.error['kind']}: {ended.error['text']}"]


@pytest.mark.skipif(not FULL, reason="an attempt takes seconds: make campaign ONLY=training-kills")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_training_is_killed_at_every_step(
    library: str, proxy: S3Proxy, storage: Storage, tmp_path: Path, tell
) -> None:
    pytest.importorskip(library, reason=f"not installed: {REMEDY}")
    write_pipelines(tmp_path / "pipelines")
    draw = random.Random(SEED)
    with TrainingForks(proxy.address, storage.bucket, tmp_path / "forks") as forks:
        trainings = _Trainings(forks, proxy, tmp_path / "pipelines", library)
        pipeline, seconds = trainings.whole(storage.child("whole"))
        planned = [(way, phase) for way, phases in PHASES.items() for phase in phases]
        for number, (way, phase) in enumerate(planned):
            trainings.at(storage.child(f"planned-{number}"), way, phase, pipeline.registry)
        number = left = 0
        while left < KILLS:
            way, moment = draw.choice(get_args(Way)), draw.uniform(0, seconds)
            died = trainings.after(storage.child(f"drawn-{number}"), way, moment, pipeline.registry)
            number, left = number + 1, left + (not died.finished)
            # On a machine that has become faster an attempt may end before it is killed.
            seconds = min(seconds, died.ended - died.opened) if died.finished else seconds
    counts = trainings.counts
    tell(f"{library}: killed {counts.total()} ({dict(counts)}), {len(trainings.problems)} problems")
    assert trainings.problems == []
    assert [name for way, phase in planned if not counts[name := f"{way} at {phase}"]] == []
