"""Monitoring records as they were on an earlier night. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evergreen.labels.known import newest_known
from evergreen.monitoring.record import WITHOUT_LABELS
from evergreen.signals.record import Record
from evergreen.spec import Spec


def known_as_of(spec: Spec, records: Sequence[Record], partition: str) -> list[Record]:
    """The records as they were after the night of `partition`: none of a later one, and late labels unknown.

    A record whose labels were not known by then has none of what labels fill in. The
    order is kept.
    """
    newest = newest_known(spec, partition)
    return [
        record if record.partition <= newest else _without_labels(record)
        for record in records
        if record.partition <= partition
    ]


def _without_labels(record: Record) -> Record:
    return replace(record, **WITHOUT_LABELS)
