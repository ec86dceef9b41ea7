"""Backups while nights run: between any two listings of the backup two stages of a night write something.

Whatever night it is at, what is restored names nothing that it lacks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from evergreen.backup.back_up import back_up
from evergreen.backup.manifest import chosen
from evergreen.backup.place import Folder
from evergreen.backup.restore import restore
from evergreen.lake import Lake, Table
from evergreen.registry.registry import Registry
from evergreen.storage import Storage
from tests.campaign import FULL

START = datetime(2024, 1, 1, tzinfo=UTC)
STAGES = 7


def nights(storage: Storage) -> Iterator[str]:
    """Runs one stage after the other, night after night, and says which it was."""
    home = storage.child("shop")
    lake, registry, before = Lake(storage, "shop"), Registry(home, "shop"), ""
    home.stage("calendar.json", b"{}")
    for night in range(1000):
        key = f"{START + timedelta(days=night):%Y-%m-%d}"
        version = f"{key}-aaaa"
        lake.replace(Table.QUARANTINE, {key: pa.table({"n": [night]})})
        yield "quarantine"
        lake.replace(Table.PARTITIONS, {key: pa.table({"n": [night]})})
        home.stage(f"receipts/{key}.json", b"{}")
        yield "partitions"
        lineage = {"partitions": lake.version(Table.PARTITIONS), "rows": lake.partitions()}
        registry.commit(version, {"model.skops": b"model", "lineage.json": json.dumps(lineage).encode()})
        yield "version"
        registry.promote(version, key, {})
        yield "promotion"
        lake.replace(Table.PREDICTIONS, {key: pa.table({"version": [version]})})
        yield "predictions"
        lake.replace(Table.MONITORING, {key: pa.table({"n": [night]})})
        home.stage(f"reports/{key}.html", b"<html>", "text/html")
        yield "monitoring"
        if before:
            registry.rollback(before)  # so that what is in force changes in other ways too
            registry.promote(version, key, {})
        before = version
        yield "other history"


class Busy(Storage):
    """The storage as a backup has it: two stages are run before each listing."""

    def __init__(self, of: Storage, night: Iterator[str]) -> None:
        super().__init__(of.bucket, of.prefix, of.credentials)
        self.night = night
        self.ran: list[str] = []

    def look(self, prefix: str, after: str | None = None) -> Any:
        """List after two more stages."""
        self.ran += [next(self.night), next(self.night)]
        return super().look(prefix, after)


@pytest.mark.parametrize("stage", range(STAGES) if FULL else [2, 5])
def test_what_is_restored_names_nothing_that_it_lacks(
    stage: int, new_storage: Callable[[], Storage], tmp_path: Path, tell: Callable[[str], None]
) -> None:
    source, target, place = new_storage(), new_storage(), Folder(tmp_path)
    night = nights(source)
    for _ in range(STAGES + stage):
        next(night)
    busy = Busy(source, night)
    made = back_up(busy, "shop", place, lambda key: None)
    tell(f"{len(busy.ran)} stages of nights between the requests of a backup")
    assert made.problems == []
    assert restore(target, place, chosen(place, "shop", None), lambda key: None).problems == []
    lake, registry = Lake(target, "shop"), Registry(target.child("shop"), "shop")
    versions, rows = registry.versions(), lake.partitions()
    assert versions
    assert set(lake.partitions(Table.MONITORING)) <= set(lake.partitions(Table.PREDICTIONS)) <= set(rows)
    assert set(rows) <= set(lake.partitions(Table.QUARANTINE))
    predicted_by = lake.read(Table.PREDICTIONS).column("version").to_pylist()
    assert set(predicted_by) <= {event.version for event in registry.history()} <= set(versions)
    for version in versions:
        lineage = json.loads(registry.read(version, "lineage.json"))
        known = lake.read(Table.PARTITIONS, version=lineage["partitions"])
        assert sorted(known.column("partition").to_pylist()) == lineage["rows"]
    for receipt in target.list("shop/receipts/"):
        assert Path(receipt).stem in rows
    for report in target.list("shop/reports/"):
        assert Path(report).stem in lake.partitions(Table.MONITORING)
    assert target.read("shop/champion.json").body == registry.force().to_json()
    assert not registry.verify()
