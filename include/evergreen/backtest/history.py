"""The rows of a pipeline as a replay needs them: any range of partitions as a slice."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from evergreen.features.build import in_order
from evergreen.lake import PARTITION
from evergreen.scoring.predict import partition_features
from evergreen.spec import Spec
from evergreen.training_set.window import read_start


class History:
    """Published rows in the order of time, by partition; a partition's features are built only once.

    No method returns a row of a later partition than the one it is asked for.
    """

    def __init__(self, spec: Spec, rows: pd.DataFrame) -> None:
        self._spec = spec
        self._rows = in_order(spec, rows.reset_index(drop=True)).reset_index(drop=True)
        keys = self._rows[PARTITION].to_numpy(dtype=str)
        found, starts = np.unique(keys, return_index=True)
        self.partitions: list[str] = [str(key) for key in found]
        self._starts = [*starts.tolist(), len(keys)]
        self._features: dict[str, pd.DataFrame] = {}

    def rows(self, first: str, end: str) -> pd.DataFrame:
        """The rows from partition `first` up to, and without, `end`."""
        low, high = self._places(first, end)
        return self._rows.iloc[self._starts[low] : self._starts[high]]

    def own_rows(self, partition: str) -> pd.DataFrame:
        """The rows of one partition."""
        return self.rows(partition, self._spec.calendar.shift(partition, 1))

    def features(self, partition: str) -> pd.DataFrame:
        """The features of one partition, as scoring builds them."""
        if partition not in self._features:
            calendar = self._spec.calendar
            first = self._spec.looks_back_to(partition)
            seen = self.rows(first, calendar.shift(partition, 1))
            if self._spec.labels is not None:
                # With delayed labels, scoring has no label of any partition.
                seen = seen.drop(columns=[self._spec.target])
            self._features[partition] = partition_features(self._spec, seen, partition)
        return self._features[partition]

    def before(self, as_of: str) -> pd.DataFrame:
        """The rows that training as of a partition reads."""
        return self.rows(read_start(self._spec, as_of), as_of)

    def published(self, first: str, end: str) -> Sequence[str]:
        """The keys of the partitions from `first` up to, and without, `end`."""
        low, high = self._places(first, end)
        return self.partitions[low:high]

    def digest(self, first: str, end: str) -> str:
        """A digest of the rows from partition `first` up to, and without, `end`: 16 hexadecimal digits.

        It depends on values, columns, types and partitions, but not on rows outside this range.
        """
        low, high = self._places(first, end)
        return hashlib.sha256(b"".join(self._digests[low:high])).hexdigest()[:16]

    def _places(self, first: str, end: str) -> tuple[int, int]:
        return bisect_left(self.partitions, first), bisect_left(self.partitions, end)

    @cached_property
    def _digests(self) -> list[bytes]:
        """A digest of each partition's rows, its key among them."""
        columns = sorted(self._rows.columns)
        names = json.dumps([[name, str(self._rows[name].dtype)] for name in columns]).encode()
        hashes = pd.util.hash_pandas_object(self._rows[columns], index=False).to_numpy()
        return [
            hashlib.sha256(names + hashes[start:end].tobytes()).digest()
            for start, end in zip(self._starts, self._starts[1:], strict=False)
        ]
