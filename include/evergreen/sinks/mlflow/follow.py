"""Brings MLflow up to the history, whatever it has missed: the storage is the truth, MLflow only shows it.

What MLflow has is found by the tags that name a version, so the same again changes nothing, and what was
interrupted is completed by the next call. What a person deletes there is not told again as a run.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evergreen.errors import EvergreenError, IntegrityError, NotFoundError, NothingToDoError, SourceError
from evergreen.registry.history import Event, state_of
from evergreen.registry.versions import file_key
from evergreen.sinks.mlflow.run import PIPELINE, SHOWN, STATE, VERSION, Run, run_of
from evergreen.sinks.mlflow.server import KnownRun, Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.pipeline import Pipeline

CHAMPION = "champion"
"""The alias of the version in force for the newest partitions."""

_HISTORY, _AFTER_A_STAGE = 3600.0, 10.0  # seconds
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """What MLflow was told: versions as runs and as registered versions, changed states, and the champion.

    `problems` has a line for each version that could not be read from the storage.
    """

    experiment: str
    runs: tuple[str, ...] = ()
    registered: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    champion: str | None = None
    problems: tuple[str, ...] = ()


def tell_mlflow(pipeline: Pipeline, seconds: float = _HISTORY) -> Told:
    """Tell MLflow all versions, oldest first, what each of them is now, and which is the champion.

    Raises `NothingToDoError` if the description names no MLflow, `UnavailableError` or `SourceError` where
    MLflow fails, refuses or is not done after `seconds`; what was told until then stays.
    """
    described = pipeline.spec.mlflow
    if described is None:
        raise NothingToDoError(f"{pipeline.name}: no MLflow is described: name one in mlflow.conn_id")
    with Server(pipeline.connect(described.conn_id), pipeline.name, seconds) as server:
        try:
            return _told(pipeline, server, described.experiment or pipeline.name)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SourceError(
                f"{pipeline.name}: MLflow ({described.conn_id}) does not answer as MLflow 3 does "
                f"({type(error).__name__}): check that the connection leads to its server"
            ) from None


def tell_mlflow_or_warn(pipeline: Pipeline) -> None:
    """The same after something happened to a version, where it is described, and within ten seconds.

    An MLflow that fails or is slow only makes a warning: the next call tells it what it missed.
    """
    if pipeline.spec.mlflow is None:
        return
    try:
        told = tell_mlflow(pipeline, _AFTER_A_STAGE)
    except EvergreenError as error:
        _log.warning(
            "MLflow is told of it by the next training, or by evergreen mlflow sync %s: %s",
            pipeline.name,
            error,
        )
    else:
        for problem in told.problems:
            _log.warning("%s", problem)


def _told(pipeline: Pipeline, server: Server, experiment: str) -> Told:
    registry = pipeline.registry
    events = registry.history()
    runs, registered, states, problems = [], [], [], []
    experiment_id = server.experiment(experiment)
    known, model = server.runs(experiment_id, pipeline.name), server.model(pipeline.name)
    numbers = {tags[VERSION]: number for number, tags in model.versions.items() if VERSION in tags}
    for version in reversed(registry.versions()):
        run = known.get(version)
        if run is None or not (run.whole or run.gone):
            try:
                told = _run(pipeline, version)
            except (IntegrityError, NotFoundError) as error:
                problems.append(f"{error}: MLflow is not told of it")
                continue
            run = run or server.create(experiment_id, told, _began(version, events))
            server.complete(run, told)
            runs.append(version)
        if version not in numbers and not run.gone:
            numbers[version] = _register(pipeline, server, version, run, events)
            registered.append(version)
    for number, tags in model.versions.items():
        if _follow_state(server, pipeline.name, number, tags, events):
            states.append(tags[VERSION])
    champion = _follow_champion(pipeline, server, numbers, model.aliases.get(CHAMPION))
    return Told(experiment, tuple(runs), tuple(registered), tuple(states), champion, tuple(problems))


def _run(pipeline: Pipeline, version: str) -> Run:
    there = pipeline.registry.files(version)
    files = {name: pipeline.registry.read(version, name) for name in SHOWN if name in there}
    try:
        return run_of(pipeline.name, version, files)
    except ValueError as error:
        raise IntegrityError(
            f"{pipeline.name}: version {version} has a file that is no JSON: {error}"
        ) from None


def _register(
    pipeline: Pipeline, server: Server, version: str, run: KnownRun, events: Sequence[Event]
) -> str:
    source = pipeline.storage.child(pipeline.name).uri(file_key(version, "")).rstrip("/")
    tags = {PIPELINE: pipeline.name, VERSION: version, STATE: state_of(version, events).value}
    return server.register(pipeline.name, source, run.run_id, tags)


def _follow_state(
    server: Server, name: str, number: str, tags: Mapping[str, str], events: Sequence[Event]
) -> bool:
    """Whether the tag of a registered version had to be changed to what the version is now."""
    if VERSION not in tags:
        return False  # somebody else's
    state = state_of(tags[VERSION], events).value
    if tags.get(STATE) == state:
        return False
    server.tag(name, number, STATE, state)
    return True


def _follow_champion(
    pipeline: Pipeline, server: Server, numbers: Mapping[str, str], pointed: str | None
) -> str | None:
    """Let the alias name the champion of this moment, and return it; None if MLflow does not know it."""
    champion = pipeline.registry.champion()
    number = numbers.get(champion or "")
    if number != pointed:
        server.point(pipeline.name, CHAMPION, number)
    return champion if number is not None else None


def _began(version: str, events: Sequence[Event]) -> int:
    """When the version became known, in milliseconds since 1970; of one without an event, now.

    It only sorts MLflow's list of runs. A run keeps what it was created with.
    """
    times = (event.at for event in events if event.concerns(version) and event.at)
    first = next(times, None)
    moment = datetime.fromisoformat(first) if first else datetime.now(UTC)
    return int(moment.timestamp() * 1000)
