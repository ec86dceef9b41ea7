"""The published partitions: the columns that a new one must have, and the figures of earlier ones."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from functools import cached_property

import pyarrow as pa

from evergreen.errors import RefusedError
from evergreen.lake import Lake, Table
from evergreen.validation.profile import Profile

EXACT = 2**53  # above it float64 cannot represent every whole number


class PublishedPartitions:
    """The published partitions of a lake, updated while more are published.

    `needed` is how many earlier partitions are used; with 0 no record is read.
    """

    def __init__(self, lake: Lake, needed: int) -> None:
        self._lake, self._needed = lake, needed
        self._profiles: dict[str, Profile | None] = {}
        self.schema: pa.Schema | None = lake.schema(Table.PARTITIONS)

    def before(self, partition: str) -> list[Profile]:
        """Profiles of the last partitions before this one, oldest first; those without a record omitted."""
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
        """Raise `RefusedError` if a column holds a whole number that float64 cannot represent."""
        for name in columns:
            if any(abs(bound) > EXACT for bound in self._lake.bounds(name)):
                raise RefusedError(
                    f"column '{name}' was int64 and is double, and holds numbers beyond 2**53 that would "
                    "change: fix the source, or declare its type"
                )

    def accept(self, partition: str, schema: pa.Schema, profile: Profile) -> None:
        """Add a partition that will be published before the next one is asked for."""
        self.schema = schema
        if not self._needed:
            return
        self._profiles[partition] = profile
        if partition not in self._keys:
            insort(self._keys, partition)

    @cached_property
    def _keys(self) -> list[str]:
        return self._lake.partitions()
