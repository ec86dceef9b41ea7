"""What is published so far: the columns a partition must have, and the figures of those before it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from functools import cached_property

import pyarrow as pa

from evergreen.errors import RefusedError
from evergreen.lake import Lake, Table
from evergreen.validation.profile import Profile

EXACT = 2**53  # above it not every whole number has a float64 of its own


class PublishedPartitions:
    """The published partitions of a lake, kept up while more are being published.

    `needed` is how many partitions back anybody looks; 0 reads no record at all.
    """

    def __init__(self, lake: Lake, needed: int) -> None:
        self._lake, self._needed = lake, needed
        self._profiles: dict[str, Profile | None] = {}
        self.schema: pa.Schema | None = lake.schema(Table.PARTITIONS)

    def before(self, partition: str) -> list[Profile]:
        """Profiles of the last partitions before this one, oldest first; those without a record left out."""
        if not self._needed:
            return []
        keys = self._keys[max(0, (end := bisect_left(self._keys, partition)) - self._needed) : end]
        if unknown := [key for key in keys if key not in self._profiles]:
            records = self._lake.records(unknown)
            for key in unknown:
                found = records.get(key, {}).get("profile")
                self._profiles[key] = Profile.from_dict(found) if found else None
        return [profile for key in keys if (profile := self._profiles[key]) is not None]

    def check_exact(self, columns: Iterable[str]) -> None:
        """Raise `RefusedError` if one of the columns of whole numbers holds one that float64 has not."""
        for name in columns:
            if any(abs(bound) > EXACT for bound in self._lake.bounds(Table.PARTITIONS, name)):
                raise RefusedError(
                    f"column '{name}' was int64 and is double, and holds numbers beyond 2**53 that would "
                    "change: fix the source, or declare its type"
                )

    def accept(self, partition: str, schema: pa.Schema, profile: Profile) -> None:
        """Take a partition for published, that will be before the next is asked for."""
        self.schema = schema
        if not self._needed:
            return
        self._profiles[partition] = profile
        if partition not in self._keys:
            insort(self._keys, partition)

    @cached_property
    def _keys(self) -> list[str]:
        return self._lake.partitions()
