"""Publishes validated partitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evergreen.lake import Lake, Table
from evergreen.validation.quarantine import QUARANTINE
from evergreen.validation.report import ValidationReport
from evergreen.validation.validate import Validated


@dataclass(frozen=True)
class Published:
    """A published partition; `changed` is False if the lake already had exactly these rows."""

    partition: str
    rows: int
    quarantined: int
    changed: bool
    report: ValidationReport


def publish(lake: Lake, validated: Mapping[str, Validated]) -> list[Published]:
    """Replace each partition (the key) with its outcome: first the quarantine, then the partitions.

    Each table is replaced in one atomic commit. The table's schema becomes that of the last outcome. The
    outcomes' local files are deleted.
    """
    if not validated:
        return []
    # The quarantine first: a crash in between leaves the old partition, never rows that are in neither.
    quarantined = {key: outcome.quarantined for key, outcome in validated.items()}
    changed = set(lake.replace(Table.QUARANTINE, quarantined, QUARANTINE))
    schema = list(validated.values())[-1].schema
    changed |= set(lake.commit(Table.PARTITIONS, {k: v.file for k, v in validated.items()}, schema))
    for outcome in validated.values():
        outcome.file.close()
    return [
        Published(key, v.file.rows, v.quarantined.num_rows, key in changed, v.report)
        for key, v in validated.items()
    ]
