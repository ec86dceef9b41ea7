"""The stages as commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.addresses import version_page
from evergreen.cli.command import Answer, PipelineName, each, open_pipeline, progress, register, table, told
from evergreen.cli.ingested import shown
from evergreen.cli.tables import unbroken
from evergreen.errors import EvergreenError, NotFoundError, NothingToDoError, RefusedError, one_line
from evergreen.numbers import number
from evergreen.stages import INGEST, MONITOR, SCORE, TRAIN

if TYPE_CHECKING:
    from rich.console import RenderableType

    from evergreen.ingestion.outcomes import Outcome
    from evergreen.pipeline import Pipeline
    from evergreen.training.stage import Trained

Partition = Annotated[
    str | None, typer.Option("--partition", metavar="KEY", help="a partition; default: the newest published")
]
Next = Annotated[
    str | None,
    typer.Option(
        "--partition",
        metavar="KEY",
        help="a partition; default: the one after the newest published, or the first of all",
    ),
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="KEY", help="the last partition of a range; default: only the one"),
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="KEY",
        help="train on the partitions before this one; default: on all that are published",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the app."""
    of_many = "bike_demand --partition 2011-03-01 --to 2011-03-31"
    for stage, command, further in (
        (INGEST, ingest, of_many),
        (SCORE, score, of_many),
        (MONITOR, monitor, of_many),
        (TRAIN, train, "bike_demand --as-of 2011-03-01"),
    ):
        register(app, stage.name, f"{stage.name} bike_demand", f"{stage.name} {further}")(command)


def ingest(pipeline: PipelineName, partition: Next = None, to: To = None) -> Answer:
    """Read the sources, validate, and publish partitions; those that are refused do not stop the others."""
    from evergreen.ingestion import stage
    from evergreen.validation.suite import without_suite

    opened = open_pipeline(pipeline)
    keys = partitions(opened, partition or _following(opened), to)
    with progress(f"ingest {pipeline}", len(keys)) as done:
        ingested = stage.ingest_all(opened, keys, done)
    document = {
        "pipeline": pipeline,
        "partitions": [_outcome(one) for one in ingested.outcomes],
        "summary": ingested.summary(),
        "without_suite": (said := without_suite(opened.spec)),
    }
    if ingested.error is None:
        return Answer(document, shown(ingested, said))
    error = one_line(ingested.error, None)
    told = shown(ingested, said) if len(ingested.outcomes) > 1 else ""
    return Answer({**document, "error": error}, told, ingested.error.exit_code, error)


def train(pipeline: PipelineName, as_of: AsOf = None) -> Answer:
    """Train a challenger, put it through the gate, and promote it if it passes.

    If the gate requires approval, a person promotes it with `evergreen models promote`. If it asks for a
    shadow, the version waits for that.
    """
    from evergreen.training import stage

    opened = open_pipeline(pipeline)
    if as_of is not None:
        opened.spec.calendar.check(as_of)
    with told():
        trained = stage.train(opened, as_of, {"kind": "shell", "sentence": "started from a shell"})
    found = {
        "version": trained.version,
        "as_of": trained.as_of,
        "promoted": trained.promoted,
        "existed": trained.existed,
        "outcome": trained.verdict.outcome,
        "waits_for_approval": trained.waits and trained.verdict.needs_approval,
        "waits_for_shadow": trained.waits and trained.verdict.shadow > 0,
        "metrics": trained.metrics,
        "verdict": trained.verdict.to_dict(),
        "card": version_page(opened.storage, pipeline, trained.version),
    }
    exit_code = 0 if trained.promoted or trained.waits else RefusedError.exit_code
    return Answer({"pipeline": pipeline, **found}, _verdict(opened, trained), exit_code)


def score(pipeline: PipelineName, partition: Partition = None, to: To = None) -> Answer:
    """Score partitions with the champion that was in force as of each."""
    from evergreen.scoring.ranges import score_range

    opened = open_pipeline(pipeline)
    keys = partitions(opened, partition or newest(opened), to)
    rows: list[dict[str, Any]] = []
    with progress(f"score {pipeline}", len(keys)) as done:
        for key, scored in score_range(opened, keys, _skipped(to)):
            if isinstance(scored, EvergreenError):
                found = {"version": None, "rows": 0, "changed": False, "skipped": str(scored)}
            else:
                found = {"version": scored.version, "rows": scored.rows, "changed": scored.changed}
            rows.append({"partition": key, **found})
            done(key)
    return Answer({"pipeline": pipeline, "partitions": rows}, _rows(rows))


def monitor(pipeline: PipelineName, partition: Partition = None, to: To = None) -> Answer:
    """Measure drift and performance of scored partitions, and decide whether to retrain.

    A challenger on trial that is clearly better by now is promoted, and so is one that waited for its shadow.
    """
    from evergreen.monitoring import stage
    from evergreen.monitoring.record import figures, monitored

    opened = open_pipeline(pipeline)
    rows: list[dict[str, Any]] = []
    for key in each(partitions(opened, partition or newest(opened), to), f"monitor {pipeline}"):
        try:
            decision = stage.monitor(opened, key)
            record, _ = monitored(opened, key)
            found = {"retrain": decision.retrain, "reason": decision.reason, "evidence": decision.evidence}
            found["metrics"] = figures(record.metrics)
            found["coverage"], found["skew"] = record.coverage, record.skew
            found["promoted"] = _promoted(opened, decision.partition)
        except _skipped(to) as reason:
            found = {"retrain": False, "reason": str(reason), "skipped": str(reason)}
        rows.append({"partition": key, **found})
    brief = [
        {
            "partition": row["partition"],
            **{
                metric.name: number(row.get("metrics", {}).get(metric.name, {}).get("value"))
                for metric in opened.spec.watched_metrics
            },
            "retrain": row["retrain"],
            "reason": row["reason"],
        }
        for row in rows
    ]
    return Answer({"pipeline": pipeline, "partitions": rows}, _rows(brief))


def partitions(pipeline: Pipeline, first: str, last: str | None) -> list[str]:
    """The keys from `first` to `last` (default: only `first`), checked; an empty range is wrong usage."""
    keys = list(pipeline.spec.calendar.between(first, last or first))
    if not keys:
        raise typer.BadParameter(f"--to {last} is before {first}")
    return keys


def _skipped(to: str | None) -> tuple[type[EvergreenError], ...]:
    """What leaves a partition out: in a range also that it is not there, such as a day without rows."""
    return (NothingToDoError,) if to is None else (NothingToDoError, NotFoundError)


def _outcome(one: Outcome) -> dict[str, Any]:
    return {
        "partition": one.partition,
        "status": one.status,
        "rows": one.rows,
        "quarantined": one.quarantined,
        "changed": one.status == "published",
        "info": one.info,
        "expectations": one.expectations,
        "reason": one.reason,
        "page": one.page,
    }


def _promoted(pipeline: Pipeline, partition: str) -> str | None:
    """The version that is put in force after the night; None if none is due, or the night is an older one."""
    from evergreen.shadow.stage import promote_due

    try:
        return promote_due(pipeline, partition).version
    except NothingToDoError:
        return None


def _verdict(pipeline: Pipeline, trained: Trained) -> RenderableType:
    """The checks, where the card is, and what comes next."""
    from rich.console import Group

    came_of_it = trained.verdict.outcome.value
    if trained.waits:
        came_of_it = "waits for its shadow" if trained.verdict.shadow else "a person decides"
    if trained.promoted:
        came_of_it = "promoted"
    words = {"passed": "ok", "failed": "FAILED"}
    checks = [
        (check.name, words.get(check.word, check.word), check.detail) for check in trained.verdict.checks
    ]
    found = table([f"{trained.version}: {came_of_it}", "", "detail"], checks)
    card = version_page(pipeline.storage, pipeline.name, trained.version)
    said = Group(found, unbroken(f"card: {card}"))
    if trained.waits:
        how = f"evergreen models promote {pipeline.name} {trained.version}"
        if not trained.verdict.shadow:
            return Group(said, unbroken(f"to promote it: {how}"))
        shadow = f"how far it is: evergreen serve shadow {pipeline.name}"
        return Group(said, unbroken(shadow), unbroken(f"to promote it at once: {how}"))
    if not trained.promoted:
        return said
    return Group(said, *map(unbroken, _next(pipeline, trained.as_of)))


def _next(pipeline: Pipeline, as_of: str) -> list[str]:
    """What comes after a promotion, a line each: the scoring of what is published, or the next night."""
    name = pipeline.name
    if not pipeline.spec.calendar.has_time:
        return [f"next: evergreen score {name}"]
    published = pipeline.lake.partitions()
    if to_score := [key for key in published if key >= as_of]:
        span = f"--partition {to_score[0]}" + (f" --to {to_score[-1]}" if len(to_score) > 1 else "")
        return [f"next: evergreen score {name} {span}"]
    return [
        f"in force from {as_of} on: the night that brings this partition is the first to be scored",
        f"to score days that are published, train as of an earlier one: evergreen train {name} --as-of "
        f"{published[-1]}, then evergreen score {name}",
    ]


def newest(pipeline: Pipeline) -> str:
    """The newest published partition; raises `NotFoundError` where none is."""
    published = pipeline.lake.partitions()
    if not published:
        raise NotFoundError(
            f"{pipeline.name}: no partition is published yet: run evergreen ingest {pipeline.name} first"
        )
    return published[-1]


def _following(pipeline: Pipeline) -> str:
    published = pipeline.lake.partitions()
    return pipeline.spec.calendar.shift(published[-1], 1) if published else pipeline.spec.first_partition


def _rows(rows: list[dict[str, Any]]) -> Any:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return table(columns, ([row.get(name) for name in columns] for row in rows))
