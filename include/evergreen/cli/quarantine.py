"""`evergreen quarantine`: list, correct and release the rows that broke a pipeline's expectations."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.author import author
from evergreen.cli.command import Answer, PipelineName, open_pipeline, register, table
from evergreen.errors import NotFoundError, RefusedError, SourceError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from evergreen.pipeline import Pipeline
    from evergreen.validation.corrections import Correction
    from evergreen.validation.quarantine import Quarantined
    from evergreen.validation.refused import RefusedRows

Partition = Annotated[
    str | None,
    typer.Option(
        "--partition", metavar="KEY", help="a partition; default: the newest with rows in quarantine"
    ),
]
Ids = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="ID", help="a row's id, as `quarantine show` lists it; may be repeated"),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from", metavar="FILE", help='corrected values: JSON lines like {"id": "0f3a5c...", "cnt": 17}'
    ),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="why; kept with the corrections")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the app, below `quarantine`."""
    quarantine = typer.Typer(no_args_is_help=True, help="Rows in quarantine: list, correct and release them.")
    register(quarantine, "list", "quarantine list bike_demand")(list_partitions)
    register(
        quarantine,
        "show",
        "quarantine show bike_demand",
        "quarantine show bike_demand --partition 2011-03-01",
    )(show)
    register(
        quarantine,
        "release",
        "quarantine release bike_demand --partition 2011-03-01 --reason 'the storm was real'",
        "quarantine release bike_demand --from corrected.jsonl",
    )(release)
    app.add_typer(quarantine, name="quarantine")


def list_partitions(pipeline: PipelineName) -> Answer:
    """Partitions with rows in quarantine, and how many rows break which expectation."""
    from evergreen.validation.quarantine import read_quarantine

    found: dict[str, list[Quarantined]] = {}
    for row in read_quarantine(open_pipeline(pipeline).lake):
        found.setdefault(row.partition, []).append(row)
    counts = {
        key: Counter(label for row in rows for label in row.expectations) for key, rows in found.items()
    }
    partitions = [
        {"partition": key, "rows": len(rows), "expectations": counts[key]}
        for key, rows in sorted(found.items())
    ]
    broken = {key: ", ".join(f"{n} x {label}" for label, n in count.items()) for key, count in counts.items()}
    shown = table(
        ["partition", "rows", "expectations"],
        ((key, len(rows), broken[key]) for key, rows in sorted(found.items())),
    )
    return Answer({"pipeline": pipeline, "partitions": partitions}, shown)


def show(pipeline: PipelineName, partition: Partition = None) -> Answer:
    """One partition's rows in quarantine: all their values, what they break and why, and their ids.

    If the last attempt to publish it was refused, the rows that would have been quarantined come with it.
    """
    from rich.console import Group

    from evergreen.validation.corrections import Corrections
    from evergreen.validation.quarantine import read_quarantine
    from evergreen.validation.refused import RefusedRows

    opened = open_pipeline(pipeline)
    attempts = RefusedRows(opened.storage, pipeline)
    key = _partition(opened, partition, attempts)
    corrections = {one.id: one for one in Corrections(opened.storage, pipeline).of(key)}
    rows = [_entry(row, corrections.get(row.id)) for row in read_quarantine(opened.lake, key)]
    document = {"pipeline": pipeline, "partition": key, "rows": rows}
    if (attempt := attempts.of(key)) is None:
        return Answer({**document, "refused": None}, _shown(rows))
    bad = [_entry(row, None) for row in attempt.rows]
    refused = {"reason": attempt.reason, "count": attempt.count, "rows": bad}
    some = "" if len(bad) == attempt.count else f", the first {len(bad)}"
    title = f"The last attempt was refused; {attempt.count} rows would have been quarantined{some}:"
    parts = [attempt.reason, title, _shown(bad)]
    return Answer({**document, "refused": refused}, Group(*([_shown(rows)] if rows else []), *parts))


def release(
    pipeline: PipelineName,
    partition: Partition = None,
    row_ids: Ids = None,
    corrected: From = None,
    reason: Reason = "",
) -> Answer:
    """Release rows, corrected or unchanged, and publish the partition again without reading its sources."""
    from evergreen.ingestion.release import release as put_back

    opened = open_pipeline(pipeline)
    key = _partition(opened, partition)
    changes = None if corrected is None else _corrected(corrected)
    done = put_back(opened, key, by=author(), ids=row_ids or (), changes=changes, reason=reason)
    remaining = [_entry(row, None) for row in done.remaining]
    document = {
        "pipeline": pipeline,
        "partition": key,
        "released": done.released,
        "remaining": remaining,
        "rows": done.rows,
        "quarantined": done.quarantined,
        "changed": done.changed,
    }
    rows = [(one, "released", "") for one in done.released]
    rows += [(one["id"], "still in quarantine", one["reason"]) for one in remaining]
    exit_code = RefusedError.exit_code if remaining else 0
    return Answer(document, table([f"{pipeline} {key}", "", "reason"], rows), exit_code)


def _corrected(file: Path) -> dict[str, dict[str, Any]]:
    """The corrected columns by row id in a file of JSON lines, `{"id": "1f...", "cnt": 17}`.

    Raises `SourceError` naming file and line.
    """
    found: dict[str, dict[str, Any]] = {}
    try:
        lines = file.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{file} cannot be read ({error}): give a file of JSON lines") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line, parse_float=Decimal)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict) or not isinstance(values.get("id"), str):
            raise SourceError(
                f'{file}:{number}: no JSON object with an "id": write a line like {{"id": "0f3a...", "x": 1}}'
            )
        if values["id"] in found:
            raise SourceError(f"{file}:{number}: row {values['id']} is given twice: leave one out")
        found[values.pop("id")] = values
    return found


def _shown(rows: list[dict[str, Any]]) -> RenderableType:
    columns = ["id", "expectation", "reason", "place", "row"]
    return table(columns, ([row[name] for name in columns] for row in rows))


def _partition(pipeline: Pipeline, partition: str | None, attempts: RefusedRows | None = None) -> str:
    from evergreen.lake import Table

    if partition is not None:
        return pipeline.spec.calendar.check(partition)
    keys = pipeline.lake.partitions(Table.QUARANTINE) or (attempts.partitions() if attempts else [])
    if not keys:
        raise NotFoundError(
            f"{pipeline.name}: no row is in quarantine, so there is nothing to show or release"
        )
    return keys[-1]


def _entry(row: Quarantined, correction: Correction | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "values": row.values,
        "expectation": row.expectation,
        "reason": row.reason,
        "place": row.place,
        "row": row.row,
        "correction": correction and json.loads(correction.to_json()),
    }
