"""Checks that a description still has the calendar by which its partitions were published."""

from __future__ import annotations

import json

from evergreen.errors import SpecError
from evergreen.pipeline import Pipeline
from evergreen.readable import readable

_FIRST = {
    "timezone": "UTC",
    "week_starts": "monday",
}  # of pipelines that published before these could be chosen


def check_calendar(pipeline: Pipeline) -> None:
    """Record the calendar at `<pipeline>/calendar.json` before anything is published by it.

    Raises `SpecError` if partitions are published by another calendar: the same key would then have other
    rows, and between old and new partitions rows would be repeated or missing.
    """
    spec, key = pipeline.spec, f"{pipeline.name}/calendar.json"
    described = {
        "partition": str(spec.partition),
        "timezone": spec.timezone,
        "week_starts": str(spec.week_starts),
    }
    found = pipeline.storage.find(key)
    published: dict[str, str] = {"partition": str(spec.partition), **_FIRST}
    if found:
        with readable(pipeline.name, key, pipeline.storage):
            published = dict(json.loads(found.body))
    if found and published == described:
        return
    changed = {name: value for name, value in described.items() if published.get(name) != value}
    if changed and pipeline.lake.partitions():
        name, value = next(iter(changed.items()))
        before = published.get(name)
        raise SpecError(
            f"{pipeline.name}: {name}: is '{value}', and partitions are published with '{before}': their "
            f"keys would hold other rows; write '{before}' again, or give the pipeline another name and "
            f"ingest from {spec.first_partition} on"
        )
    pipeline.storage.stage(key, json.dumps(described).encode(), "application/json")
