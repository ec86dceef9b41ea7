"""The metrics of a clustering, from Euclidean distances in the space of the rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from evergreen.metrics.metric import Metric, Pools, register
from evergreen.task import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evergreen.metrics.rows import Rows
    from evergreen.metrics.sums import Sums

    Floats = NDArray[np.float64]

# The silhouette needs the distance of every pair of rows: more rows than this are sampled (seeded).
_SILHOUETTE_ROWS = 5_000
# The most sums of a unit that are kept (clusters by dimensions).
_MOST_SUMS = 4_096


class _Silhouette(Metric):
    pools: ClassVar[Pools] = "rows"

    def value(self, rows: Rows) -> float:
        values = _silhouettes(rows)[1]
        return float(values.mean()) if len(values) else math.nan

    def sums(self, rows: Rows, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
        from evergreen.metrics.sums import mean_by_unit

        drawn, values = _silhouettes(rows)
        if len(drawn):
            yield mean_by_unit(values, unit[drawn], units)


class _CalinskiHarabasz(Metric):
    pools: ClassVar[Pools] = "sums"

    def value(self, rows: Rows) -> float:
        from sklearn.metrics import calinski_harabasz_score

        if not 2 <= rows.classes < len(rows):
            return math.nan
        return float(calinski_harabasz_score(rows.space, rows.predicted))

    def sums(self, rows: Rows, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
        import numpy as np

        from evergreen.metrics.sums import Sums, by_unit, divided

        assert rows.space is not None
        clusters, dimensions = rows.classes, rows.space.shape[1]
        if not 2 <= clusters < len(rows) or clusters * (dimensions + 1) > _MOST_SUMS:
            return
        space = rows.space - rows.space.mean(axis=0)
        cell = unit * clusters + rows.predicted
        # Rows, sums of each dimension and of the squared length, by cluster.
        squares = by_unit(unit, units, np.einsum("ij,ij->i", space, space))
        parts = by_unit(cell, units * clusters, None, *space.T).reshape(units, -1)

        def metric(sums: Floats) -> Floats:
            by_cluster = sums[:, 1:].reshape(len(sums), clusters, 1 + dimensions)
            counts, totals = by_cluster[:, :, 0], by_cluster[:, :, 1:]
            of_all = (totals.sum(axis=1) ** 2).sum(axis=1) / counts.sum(axis=1)
            of_clusters = divided((totals**2).sum(axis=2), counts, empty=0.0).sum(axis=1)
            found, number = (counts > 0).sum(axis=1), counts.sum(axis=1)
            between = divided(of_clusters - of_all, found - 1)
            return divided(between, divided(sums[:, 0] - of_clusters, number - found))

        yield Sums(np.concatenate([squares, parts], axis=1), metric)


def _silhouettes(rows: Rows) -> tuple[NDArray[np.intp], Floats]:
    """Positions (m,) of all rows or a seeded sample, and the silhouette of each; none without clusters."""
    import numpy as np
    from sklearn.metrics import silhouette_samples

    assert rows.space is not None
    drawn = np.arange(len(rows))
    if len(rows) > _SILHOUETTE_ROWS:
        drawn = np.random.default_rng(rows.seed).choice(len(rows), _SILHOUETTE_ROWS, replace=False)
    labels = rows.predicted[drawn]
    if not 2 <= len(np.unique(labels)) < len(labels):
        return drawn[:0], np.empty(0)
    return drawn, np.asarray(silhouette_samples(rows.space[drawn], labels), dtype=np.float64)


register(
    _Silhouette(
        name="silhouette",
        words="silhouette",
        task=Task.CLUSTERING,
        better="higher",
        low=-1.0,
        high=1.0,
        formula="mean of (b - a) / max(a, b), where a is a row's mean distance from its own cluster and b "
        "from the nearest other; of at most 5,000 rows, drawn with the seed",
        source="Rousseeuw 1987",
    )
)
register(
    _CalinskiHarabasz(
        name="calinski_harabasz",
        words="Calinski-Harabasz index",
        task=Task.CLUSTERING,
        better="higher",
        low=0.0,
        formula="spread between the clusters over the spread within, each by its degrees of freedom",
        source="Calinski and Harabasz 1974",
    )
)
