"""`evergreen pipelines` and `evergreen check`: list the pipelines, and check that they can run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.cli.check_diff import Base, compared
from evergreen.cli.check_source import AtSource, check_sources
from evergreen.cli.checked import Checked
from evergreen.cli.command import Answer, optional_pipeline, register, table
from evergreen.errors import EvergreenError, NotFoundError, NothingToDoError, UnknownPipelineError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from evergreen.calendar import Tick
    from evergreen.spec import Spec

TICKS = 5
"""How many ticks are shown of each pipeline."""

COMPARED = 10
"""By how many of the newest comparisons it is told what a gate lets pass."""

OnePipeline = Annotated[str | None, optional_pipeline("default: all of them")]

Now = Annotated[
    str | None,
    typer.Option(
        "--now", metavar="TIME", help="show the ticks after this time (UTC without an offset); default: now"
    ),
]

Offline = Annotated[
    bool, typer.Option("--offline", help="only what needs no storage, connection or source: before a commit")
]


@dataclass(frozen=True)
class Upcoming:
    """A coming tick: in local time, and its partitions in words."""

    pipeline: str
    tick: Tick
    local: str
    words: str

    def document(self) -> dict[str, Any]:
        """The tick for programs."""
        return {
            "pipeline": self.pipeline,
            "at": self.tick.at.isoformat(),
            "partitions": list(self.tick.partitions),
        }


def add_to(app: typer.Typer) -> None:
    """Add the commands to the app."""
    register(app, "pipelines", "pipelines", "pipelines --json")(pipelines)
    examples = ("check", "check bike_demand --now 2011-05-31T18:00", "check --offline", "check --diff main")
    register(app, "check", *examples)(check)


def pipelines() -> Answer:
    """List the pipelines."""
    from evergreen.spec import pipeline_names

    rows = [_described(name) for name in pipeline_names()]
    columns = ["name", "task", "partition", "schedule", "owner", "description"]
    shown = table(
        columns,
        ([row.get(c) or (row["error"] if c == "description" else "") for c in columns] for row in rows),
    )
    return Answer({"pipelines": rows}, shown)


def check(
    pipeline: OnePipeline = None,
    now: Now = None,
    source: AtSource = None,
    offline: Offline = False,
    diff: Base = None,
) -> Answer:
    """Check descriptions, suites, feature functions, estimators, connections, the storage and the sources.

    Of the sources one partition is looked at, the newest published or the first, and the columns that are
    there are held against those that description and suite name.

    Says in words what policy and gate will do, and by earlier comparisons how large a gain can be seen.
    Of a pipeline that has published partitions the training set is built, and features that hardly vary in it
    are named. Also shows the next ticks of each schedule with the partitions that each will take. The folder
    of a description with several targets stands for the pipelines of all of them.

    With --offline only the folders are looked at: no storage, connection or source is needed. With --diff
    nothing is checked: it is told what the changes since a revision touch, in Markdown.
    """
    from rich.console import Group

    from evergreen.spec import pipeline_names, pipelines_of

    if offline and source:
        raise typer.BadParameter("--offline looks at no source, leave out --source")
    moment = _moment(now)
    if diff is not None:
        if source is not None:
            raise typer.BadParameter("--diff looks at no source, leave out --source")
        return compared(diff, pipeline, moment)
    found = [] if offline else [_checked(None, "storage", _storage)]
    stored = not offline and found[0].ok
    ticks: list[Upcoming] = []
    for name in pipelines_of(pipeline) if pipeline else pipeline_names():
        specs: list[Spec] = []
        own = list(_pipeline(name, specs))
        if not offline:
            own += [one for spec in specs for one in _connected(spec)]
        if stored and all(one.ok for one in own):
            own += [
                one
                for spec in specs
                for look in (_arguments, _logged, _champion, _training_set, _power)
                for one in look(spec)
            ]
            if source is not False and all(one.ok for one in own):
                own += check_sources(specs, wait=bool(source))
        found += own
        ticks += [tick for spec in specs for tick in _upcoming(spec, moment)]
    ok = all(one.ok for one in found)
    shown = Group(*_shown(found, ticks))
    document = {"ok": ok, "checks": found, "ticks": [tick.document() for tick in ticks]}
    return Answer(document, shown, 0 if ok else EvergreenError.exit_code)


def _shown(found: list[Checked], ticks: list[Upcoming]) -> Iterator[RenderableType]:
    """What was found, for people: a table for each pipeline, after what is not one's own."""
    for name, checks in groupby(found, lambda one: one.pipeline):
        own = [(tick.local, tick.words) for tick in ticks if tick.pipeline == name]
        yield table([name or "", "", "detail"], ((one.check, one.word, one.detail) for one in checks))
        if own:
            yield table([f"next ticks of {name}", "take"], own)


def _moment(now: str | None) -> datetime:
    if now is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(now)
    except ValueError:
        raise typer.BadParameter(f"--now '{now}' is no time: write it like 2024-05-31T18:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _upcoming(spec: Spec, moment: datetime) -> Iterator[Upcoming]:
    for tick in islice(spec.ticks.following(moment, spec.first_partition), TICKS):
        yield Upcoming(spec.name, tick, *spec.ticks.in_words(tick))


def _described(name: str) -> dict[str, Any]:
    from evergreen.spec import load_spec

    try:
        spec = load_spec(name)
    except EvergreenError as error:
        return {"name": name, "error": str(error)}
    return {
        "name": name,
        "description": spec.description,
        "owner": spec.owner,
        "schedule": spec.schedule,
        "partition": spec.partition,
        "task": spec.task,
        "target": spec.target,
    }


def _pipeline(name: str, specs: list[Spec]) -> Iterator[Checked]:
    """The checks of a pipeline's folder; its description is appended to `specs` if it can be read."""
    from evergreen.spec import load_spec

    yield _checked(name, "description", lambda: specs.append(load_spec(name)))
    for spec in specs:
        yield from _guesses(spec)
        yield _expectations(spec)
        yield _checked(name, "features", partial(_features, spec))
        yield _checked(name, "estimators", partial(_estimators, spec))
        yield _checked(name, "gate", partial(_gate, spec))
        yield _checked(name, "policy", partial(_policy, spec))


def _connected(spec: Spec) -> Iterator[Checked]:
    """The checks of what a description names in the storage and among the connections."""
    from evergreen.description import connection_ids

    if any(candidate.pretrained for candidate in spec.training.candidates):
        yield _checked(spec.name, "pretrained", partial(_pretrained, spec))
    for conn_id in dict.fromkeys(connection_ids(spec)):
        yield _checked(spec.name, f"connection {conn_id}", partial(_connection, spec, conn_id))


def _arguments(spec: Spec) -> Iterator[Checked]:
    """The check of the expectations' arguments against the types of the columns that are published."""
    from evergreen.lake import Table
    from evergreen.pipeline import Pipeline
    from evergreen.storage import Storage
    from evergreen.validation.arguments import check_types
    from evergreen.validation.suite import load_suite

    try:
        schema = Pipeline(spec, Storage.open()).lake.schema(Table.PARTITIONS)
        check_types(spec, load_suite(spec), schema)
    except EvergreenError as error:
        yield Checked(spec.name, "expectations", False, str(error))


def _logged(spec: Spec) -> Iterator[Checked]:
    """What of requests is logged, and whether the columns to drop are published ones."""
    from evergreen.lake import Table
    from evergreen.numbers import percent
    from evergreen.pipeline import Pipeline
    from evergreen.request_log.columns import check_dropped
    from evergreen.storage import Storage

    if (log := spec.serving.log) is None:
        return

    def look() -> str:
        if (schema := Pipeline(spec, Storage.open()).lake.schema(Table.PARTITIONS)) is not None:
            check_dropped(spec.name, log.drop, schema.names)
        without = f" without {', '.join(log.drop)}" if log.drop else ""
        return (
            f"rows of {percent(log.share)} of the keys are logged{without}; the key "
            f"({', '.join(spec.keys)}) is written as it is"
        )

    yield _checked(spec.name, "request log", look)


def _champion(spec: Spec) -> Iterator[Checked]:
    """The check of whether the champion predicts from its own features; nothing where there is none."""
    from evergreen.features.own import own_features
    from evergreen.pipeline import Pipeline
    from evergreen.storage import Storage

    what = "champion's features"
    try:
        pipeline = Pipeline(spec, Storage.open())
        version = pipeline.registry.champion()
        if version is None:
            return
        own = own_features(pipeline, version)
    except EvergreenError as error:
        yield Checked(spec.name, what, False, str(error))
        return
    found = ", ".join(f"{origin}: {where}" for origin, where in own.where.items())
    yield Checked(spec.name, what, True, str(own.problem or found), own.problem is not None)


def _training_set(spec: Spec) -> Iterator[Checked]:
    """The check of the rows that a training would read now; nothing where too few are published for one."""
    from evergreen.drift.unvaried import binnings_of, unvaried
    from evergreen.pipeline import Pipeline
    from evergreen.storage import Storage
    from evergreen.training.stage import next_as_of
    from evergreen.training_set.read import read_training_set

    what = "training set"
    try:
        pipeline = Pipeline(spec, Storage.open())
        training_set, _ = read_training_set(pipeline, next_as_of(pipeline), {})
    except (NothingToDoError, NotFoundError):
        return
    except EvergreenError as error:
        yield Checked(spec.name, what, False, str(error))
        return
    said = unvaried(binnings_of(training_set.features))
    found = f"{len(training_set.rows):,} rows, {len(training_set.features.columns)} features"
    yield Checked(spec.name, what, True, " ".join(said) or found, bool(said))


def _checked(pipeline: str | None, what: str, look: Callable[[], Any]) -> Checked:
    try:
        detail = look()
    except UnknownPipelineError:
        raise  # wrong usage, not a check that failed
    except EvergreenError as error:
        return Checked(pipeline, what, False, str(error))
    return Checked(pipeline, what, True, detail or "")


def _storage() -> str:
    from evergreen.storage import Storage

    storage = Storage.open()
    storage.probe()
    return f"{storage.uri()} honours conditional writes"


def _expectations(spec: Spec) -> Checked:
    from evergreen.validation.arguments import check_types
    from evergreen.validation.suite import load_suite, without_suite

    said = without_suite(spec)
    found = _checked(spec.name, "expectations", lambda: check_types(spec, load_suite(spec), None))
    return replace(found, detail=said, warns=True) if said and found.ok else found


def _guesses(spec: Spec) -> Iterator[Checked]:
    """What `evergreen new` has guessed, and is still worth deciding."""
    from evergreen.draft.guesses import unconfirmed

    how = " (delete the comment once it is right)"  # once is enough
    for guess in unconfirmed(spec.folder):
        said = f"{guess.written} was guessed: {guess.why}{how}"
        yield Checked(spec.name, f"to decide: {guess.place}", True, said, warns=True)
        how = ""


def _features(spec: Spec) -> str:
    from evergreen.features.functions import load_functions
    from evergreen.features.lookups import looked_up_spec

    for lookup in spec.features.lookups:
        looked_up_spec(spec, lookup)
    return ", ".join(load_functions(spec))


def _estimators(spec: Spec) -> str:
    from evergreen.candidates.estimators import check_candidates, named

    check_candidates(spec)
    return ", ".join(named(spec, number) for number in range(len(spec.training.candidates)))


def _gate(spec: Spec) -> str:
    from evergreen.evaluation.compared_by import in_words

    return in_words(spec)


def _policy(spec: Spec) -> str:
    from evergreen.monitoring.in_words import lengths_in_words, policy_in_words

    lengths = lengths_in_words(spec)
    return " ".join([*policy_in_words(spec), *([f"In partitions: {lengths}."] if lengths else [])])


def _power(spec: Spec) -> Iterator[Checked]:
    """The check of what gain can be seen, by the comparisons of the stored versions."""
    from evergreen.evaluation.power import compared_in_words
    from evergreen.pipeline import Pipeline
    from evergreen.storage import Storage
    from evergreen.training.version_files import comparisons

    try:
        found = comparisons(Pipeline(spec, Storage.open()).registry, COMPARED)
    except EvergreenError as error:
        yield Checked(spec.name, "power", False, str(error))
        return
    yield Checked(spec.name, "power", True, compared_in_words(spec, found))


def _pretrained(spec: Spec) -> str:
    from evergreen.candidates.pretrained import load_pretrained
    from evergreen.pipeline import Pipeline
    from evergreen.storage import Storage

    models = load_pretrained(Pipeline(spec, Storage.open()))
    return ", ".join(f"{spec.training.candidates[n].label} ({type(m).__name__})" for n, m in models.items())


def _connection(spec: Spec, conn_id: str) -> str:
    from evergreen.connections import from_environment
    from evergreen.databases.registry import DATABASES, database
    from evergreen.description import connection_ids
    from evergreen.sources import KINDS

    connection = from_environment(conn_id)
    sources = [*spec.sources.values(), *([spec.labels.source] if spec.labels else [])]
    for source in sources:
        if conn_id in connection_ids(source.config):
            KINDS[source.kind].check_connection(source.config, connection)
        if source.complete and conn_id in connection_ids(source.complete):
            source.complete.question.check_connection(connection)
    if (look_back := spec.serving.look_back) is not None and look_back.conn_id == conn_id:
        from evergreen.look_back.store import check_connection

        check_connection(connection)
    if connection.conn_type in DATABASES:
        # Raises where its driver is not installed.
        return f"{connection.conn_type} ({database(connection).name})"
    return connection.conn_type
