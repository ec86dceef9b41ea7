"""The versions of a lake's tables that versions of models were trained on, by the lineage of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from evergreen.errors import IntegrityError
from evergreen.lake import Table
from evergreen.registry.versions import LINEAGE, file_key
from evergreen.together import together

if TYPE_CHECKING:
    from evergreen.storage import Storage

_OWN = (Table.PARTITIONS, Table.LABELS)


def named_versions(storage: Storage, pipeline: str) -> dict[Table, set[int]]:
    """The versions of a pipeline's tables that a lineage names, its own or that of whoever looks rows up.

    A lineage names the lookups of its day, and not always whose rows these were: the numbers that another
    pipeline's lineage has of its lookups count as this one's too. Raises `IntegrityError` for a lineage that
    cannot be read.
    """
    named: dict[Table, set[int]] = {table: set() for table in _OWN}
    for other in storage.folders(""):
        for versions in _lineages(storage, other):
            if other == pipeline:
                for table in _OWN:
                    named[table] |= {versions[table]} if table in versions else set()
            else:
                named[Table.PARTITIONS] |= {at for name, at in versions.items() if name not in set(_OWN)}
    return named


def _lineages(storage: Storage, pipeline: str) -> Iterator[dict[str, int]]:
    """The table versions of each stored version of a pipeline's model."""

    def read(version: str) -> dict[str, int]:
        key = f"{pipeline}/{file_key(version, LINEAGE)}"
        found = storage.find(key)
        if found is None:
            return {}  # of a commit that died before it was one
        try:
            versions = json.loads(found.body)["table_versions"] or {}
            return {str(name): int(at) for name, at in versions.items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            raise IntegrityError(
                f"{pipeline}: {key} cannot be read, so nobody knows which rows it needs: evergreen models "
                f"verify {pipeline}"
            ) from None

    yield from together(read, storage.folders(f"{pipeline}/models/"))
