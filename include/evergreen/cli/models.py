"""`evergreen models`: a pipeline's versions, and which of them is the champion."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.addresses import models_page, version_page
from evergreen.cli import complete
from evergreen.cli.canary import canary
from evergreen.cli.command import Answer, PipelineName, Why, open_pipeline, plain, register, table
from evergreen.cli.compare import compare_versions
from evergreen.cli.export import Version, export_version
from evergreen.cli.tables import unbroken
from evergreen.errors import EvergreenError

if TYPE_CHECKING:
    from evergreen.features.keep import Code
    from evergreen.pipeline import Pipeline
    from evergreen.registry.history import Event
    from evergreen.registry.overview import Overview

Back = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="VERSION",
        help="the version to go back to, or the beginning of it; default: the one before",
        autocompletion=complete.versions,
    ),
]
Keep = Annotated[
    bool, typer.Option("--keep", help="write its code into the repository, for you to look at and commit")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only say what would be removed")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the app, below `models`."""
    models = typer.Typer(no_args_is_help=True, help="Versions of the models, and the champion.")
    for name, command, examples in (
        ("list", list_versions, ["bike_demand", "bike_demand --json"]),
        ("show", show, ["bike_demand 2011-03-01-5ec4"]),
        ("compare", compare_versions, ["bike_demand 2011-03-01-5ec4 2011-04-01-90ab --predict"]),
        ("features", features, ["bike_demand 2011-03-01-5ec4 --keep"]),
        ("promote", promote, ["bike_demand 2011-03-01-5ec4 --why 'approved in the review of May'"]),
        (
            "rollback",
            rollback,
            ["bike_demand --why 'overshoots on holidays'", "bike_demand --to 2011-03-01-5ec4"],
        ),
        ("canary", canary, ["bike_demand 2011-03-01-5ec4 --share 5%", "bike_demand 2011-03-01-5ec4 --end"]),
        ("verify", verify, ["bike_demand"]),
        ("export", export_version, ["bike_demand 2011-03-01-5ec4 exported --to onnx"]),
        ("clean", clean, ["bike_demand --dry-run"]),
    ):
        register(models, name, *(f"models {name} {one}" for one in examples))(command)
    app.add_typer(models, name="models")


def list_versions(pipeline: PipelineName) -> Answer:
    """All versions with their states, newest first, and where their cards are."""
    from rich.console import Group

    from evergreen.registry.overview import overviews

    opened = open_pipeline(pipeline)
    registry, page = opened.registry, models_page(opened.storage, pipeline)
    versions = [_entry(found, opened) for found in overviews(registry)]
    force = registry.force()
    rows = [
        (
            entry["version"],
            entry["state"],
            _brief(entry["metrics"]),
            _minute(entry["at"]),
            entry.get("problem"),
        )
        for entry in versions
    ]
    listed = table(["version", "state", "metrics", "since (UTC)", "problem"], rows)
    document = {"pipeline": pipeline, "page": page, "champion": force.champion(), "canary": force.canary}
    return Answer(document | {"versions": versions}, Group(listed, unbroken(f"cards: {page}")))


def show(pipeline: PipelineName, version: Version) -> Answer:
    """One version: card, files, metrics, gate, lineage, what may be asked online, and what happened to it."""
    from evergreen.asked.finding import stored_asked
    from evergreen.registry.overview import overview

    opened = open_pipeline(pipeline)
    registry = opened.registry
    version = registry.version_by(version)
    files = registry.files(version)
    events = registry.history()
    stored = {
        name: registry.content(version, f"{name}.json", dict)
        for name in ("metrics", "gate", "lineage")
        if f"{name}.json" in files
    }
    document = {
        "pipeline": pipeline,
        **_entry(overview(registry, version, events), opened),
        "evaluation": stored.get("metrics", {}).get("evaluation"),
        "gate": stored.get("gate"),
        "lineage": stored.get("lineage"),
        "asked": stored_asked(opened, version).sentence,
        "files": files,
        "events": [event for event in events if event.concerns(version)],
    }
    return Answer(document, json.dumps(plain(document), indent=2))


def features(pipeline: PipelineName, version: Version, keep: Keep = False) -> Answer:
    """One version's feature functions: where their code is executed from, and how it differs from today's."""
    from evergreen.features.keep import code_of
    from evergreen.features.keep import keep as keep_code

    opened = open_pipeline(pipeline)
    version = opened.registry.version_by(version)
    kept = [str(file) for file in keep_code(opened, version)] if keep else []
    own, found = code_of(opened, version)
    problem = str(own.problem) if own.problem else None
    document = {
        "pipeline": pipeline,
        "version": version,
        "own": own.problem is None,
        "problem": problem,
        "functions": found,
        "kept": kept,
    }
    lines = [line for one in found for line in (_code_line(one), *one.changes)]
    lines += [f"{file}: written: look at it, and commit it" for file in kept]
    shown = "\n".join(lines) or f"{version} has no function: it takes columns of the rows"
    return Answer(document, "\n".join(filter(None, [shown, problem])))


def promote(pipeline: PipelineName, version: Version, why: Why = None) -> Answer:
    """Promote a version by hand, in force from its as-of on, whatever the gate decided."""
    from evergreen.actions.promote import promote as put_in_force

    opened = open_pipeline(pipeline)
    version = opened.registry.version_by(version)
    event = put_in_force(opened, version, why=why)
    champion = opened.registry.champion()
    line = f"{version} is in force from {event.as_of} on"
    if champion != version:
        line += (
            f"; the champion is {champion}: evergreen models rollback {pipeline} --to {version} changes that"
        )
    return _happened(pipeline, event, champion, line)


def rollback(pipeline: PipelineName, to: Back = None, why: Why = None) -> Answer:
    """Withdraw the champion; without --to, each call goes one version further back."""
    from evergreen.actions.rollback import roll_back

    opened = open_pipeline(pipeline)
    event = roll_back(opened, to and opened.registry.version_by(to), why=why)
    line = f"the champion is {event.version}"
    if event.replaces:
        line += f", {event.replaces} is withdrawn"
    if problem := _problem(opened, event.version):
        line += f"; {problem}"
    return _happened(pipeline, event, opened.registry.champion(), line)


def verify(pipeline: PipelineName) -> Answer:
    """Check every stored file of models and lake, and the champion against the history.

    Folders of interrupted or running commits are listed, but are not errors; `models clean` removes them.
    """
    opened = open_pipeline(pipeline)
    registry = opened.registry
    problems, leftovers = [*registry.verify(), *opened.lake.problems()], registry.leftovers()
    document: dict[str, Any] = {"pipeline": pipeline, "ok": not problems, "problems": problems}
    told = [
        f"models/{name}/ has no manifest: a commit was interrupted, or has not ended" for name in leftovers
    ]
    if leftovers:
        document["leftovers"] = leftovers
    fine = f"{pipeline}: {len(registry.versions())} versions and {len(registry.history())} events are sound"
    shown = "\n".join([*(problems or [fine]), *told])
    return Answer(document, shown, EvergreenError.exit_code if problems else 0)


def clean(pipeline: PipelineName, dry_run: DryRun = False) -> Answer:
    """Remove versions out of force for longer than models.retention, and folders of interrupted commits.

    Ages are measured from the newest event of the history. Versions in force for any partition are kept.
    """
    opened = open_pipeline(pipeline)
    retention = opened.spec.models.retention
    cleaned = opened.registry.clean(retention, dry_run=dry_run)
    document = {
        "pipeline": pipeline,
        "dry_run": dry_run,
        "before": (cleaned.moment - retention).isoformat() if cleaned.moment else None,
        "versions": cleaned.versions,
        "leftovers": cleaned.leftovers,
    }
    verb = "would be removed" if dry_run else "removed"
    lines = [f"{pipeline}: {version} {verb}" for version in cleaned.versions]
    lines += [f"{pipeline}: models/{name}/, which has no manifest, {verb}" for name in cleaned.leftovers]
    return Answer(document, "\n".join(lines) or f"{pipeline}: nothing to remove")


def _entry(found: Overview, pipeline: Pipeline) -> dict[str, Any]:
    entry = asdict(found) | {"card": version_page(pipeline.storage, pipeline.name, found.version)}
    if found.problem is None:
        del entry["problem"]
    return entry


def _minute(at: str | None) -> str | None:
    return at and at[:16].replace("T", " ")  # the history has its times in UTC


def _brief(metrics: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" for name, value in metrics.items() if isinstance(value, float | int)
    )


def _code_line(code: Code) -> str:
    return f"{code.origin} ({code.sha256[:16]}): {code.where or 'not executed'}"


def _problem(pipeline: Pipeline, version: str) -> str | None:
    """Why a version does not predict from its own features, without executing them."""
    from evergreen.features.own import own_features

    try:
        problem = own_features(pipeline, version).problem
        return str(problem) if problem else None
    except EvergreenError as error:
        return str(error)


def _happened(pipeline: str, event: Event, champion: str | None, line: str) -> Answer:
    return Answer({"pipeline": pipeline, "champion": champion, "event": event}, f"{pipeline}: {line}")
