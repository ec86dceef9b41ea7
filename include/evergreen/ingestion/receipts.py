"""The last run of each partition: a retried task sees what is already done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from evergreen.ingestion.publish import Published
from evergreen.readable import readable
from evergreen.storage import Storage
from evergreen.together import together
from evergreen.validation.report import ValidationReport


class Receipts:
    """The receipts at `<pipeline>/receipts/<partition>.json`: one per partition, of its last run.

    At `<pipeline>/receipts/changed/<partition>.json` are the partitions that its last run found changed.
    """

    def __init__(self, storage: Storage, pipeline: str) -> None:
        self._storage, self._pipeline = storage, pipeline

    def write(self, run: str, published: Sequence[Published]) -> None:
        """Record that the run has published the partitions."""

        def write(one: Published) -> None:
            told = {"run": run, "rows": one.rows, "quarantined": one.quarantined}
            self._storage.stage(self._key(one.partition), json.dumps(told).encode(), "application/json")

        together(write, published)

    def of(self, partition: str, run: str) -> Published | None:
        """What the run published of the partition; None if it did not, or if another run has since."""
        told = self._told(self._key(partition))
        if told.get("run") != run:
            return None
        report = ValidationReport(partition, told["rows"] + told["quarantined"], told["quarantined"], ())
        return Published(partition, told["rows"], told["quarantined"], False, report)

    def write_changed(self, partition: str, run: str, changed: Sequence[str]) -> None:
        """Record that the partition's run ingests the changed partitions again."""
        told = {"run": run, "partitions": [*changed]}
        self._storage.stage(self._changed(partition), json.dumps(told).encode(), "application/json")

    def changed(self, partition: str, run: str) -> list[str]:
        """The changed partitions that the run recorded with this one; none if it did not, or another has."""
        told = self._told(self._changed(partition))
        return list(told["partitions"]) if told.get("run") == run else []

    def _told(self, key: str) -> dict[str, Any]:
        found = self._storage.find(key)
        with readable(self._pipeline, key, self._storage, "delete it, then ingest the partition again"):
            return dict(json.loads(found.body)) if found else {}

    def _changed(self, partition: str) -> str:
        return f"{self._pipeline}/receipts/changed/{partition}.json"

    def _key(self, partition: str) -> str:
        return f"{self._pipeline}/receipts/{partition}.json"
