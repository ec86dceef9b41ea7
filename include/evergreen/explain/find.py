"""What a name stands for: a partition and its night, or a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.calendar import PartitionError
from evergreen.errors import NotFoundError

if TYPE_CHECKING:
    from evergreen.explain.explanation import Explanation
    from evergreen.pipeline import Pipeline


def explained(pipeline: Pipeline, what: str) -> list[Explanation]:
    """Why the partition of this key is as it is, and its night if it was monitored; else the version.

    A version may be named by the beginning of its id, but a key is always the partition. Raises
    `NotFoundError` if no version or several are called so.
    """
    from evergreen.explain.version import version_explained

    try:
        key = pipeline.spec.calendar.check(what)
    except PartitionError:
        return [version_explained(pipeline, pipeline.registry.version_by(what))]
    # Of a version the lake is not read, which takes longer to import than all else.
    from evergreen.explain.night import night_explained
    from evergreen.explain.partition import partition_explained

    found = [partition_explained(pipeline, key)]
    try:
        return [*found, night_explained(pipeline, key)]
    except NotFoundError:
        return found
