"""A look at a source that a pipeline describes already."""

from __future__ import annotations

from typing import Any

from evergreen.connections import Connect
from evergreen.description import read_mapping
from evergreen.errors import NotFoundError
from evergreen.look.compose import Material, composed
from evergreen.look.found import Look
from evergreen.rows.batches import Rows
from evergreen.sources import Source, Wanted
from evergreen.spec import load_spec
from evergreen.storage import Storage


def look_at_source(pipeline: str, name: str, partition: str | None, most: int, connect: Connect) -> Look:
    """What a source of a pipeline gives for a partition, by default the pipeline's first one.

    The YAML is the source's own, with what was found beside it. Raises as `load_spec` and the source's reader
    do, and `NotFoundError` for a source that the pipeline does not have.
    """
    spec = load_spec(pipeline)
    if name not in spec.sources:
        raise NotFoundError(f"{pipeline} has no source '{name}' (there: {', '.join(spec.sources)})")
    kind = spec.sources[name].kind
    config = read_mapping(spec.folder / "pipeline.yaml")["sources"][name][kind]
    key = spec.calendar.check(partition or spec.first_partition)
    storage: Any = Storage.open() if "s3://" in str(config) else None

    def read(source: Source) -> Rows:
        return source.read(Wanted(key, spec.calendar, spec.folder, storage, connect))

    return composed(Material(f"{pipeline}.{name}, partition {key}", name, kind, config, read, most))
