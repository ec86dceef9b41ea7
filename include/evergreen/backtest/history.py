"""The rows of a pipeline as a replay needs them: any stretch of partitions at once, as a slice."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import pandas as pd

from evergreen.features.build import in_order
from evergreen.lake import PARTITION
from evergreen.scoring.predict import partition_features
from evergreen.spec import Spec
from evergreen.training.dataset import read_start


class History:
    """Published rows in the order of time, cut by partition; a partition's features are built only once.

    What any method gives for a partition holds no row of a later one.
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
        low, high = bisect_left(self.partitions, first), bisect_left(self.partitions, end)
        return self._rows.iloc[self._starts[low] : self._starts[high]]

    def own_rows(self, partition: str) -> pd.DataFrame:
        """The rows of one partition."""
        return self.rows(partition, self._spec.calendar.shift(partition, 1))

    def features(self, partition: str) -> pd.DataFrame:
        """The features of one partition, as scoring builds them."""
        if partition not in self._features:
            calendar = self._spec.calendar
            first = calendar.back(partition, self._spec.look_back)
            seen = self.rows(first, calendar.shift(partition, 1))
            self._features[partition] = partition_features(self._spec, seen, partition)
        return self._features[partition]

    def before(self, as_of: str) -> pd.DataFrame:
        """The rows that training as of a partition reads."""
        return self.rows(read_start(self._spec, as_of), as_of)

    def published(self, first: str, end: str) -> Sequence[str]:
        """The keys of the partitions from `first` up to, and without, `end`."""
        return self.partitions[bisect_left(self.partitions, first) : bisect_left(self.partitions, end)]
