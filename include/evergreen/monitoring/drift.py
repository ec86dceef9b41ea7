"""How far each feature of a night lies from a reference, and whether that is drift.

Every statistic of `evergreen.drift` is measured. Those with a limit each look at an aspect of a feature: the
distribution of the values that the training could have held, the share of rows without a value, the share of
values never seen. A feature has drifted only where an aspect is far enough off to matter and chance does not
explain it: its effect is above the limit of the description, and its test holds at the false discovery rate
over all features and aspects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from evergreen.drift import ColumnStatistic, Measured, column_statistics, limited, test_of
from evergreen.drift.binning import Binning, Counts
from evergreen.drift.columns import Columns, Side, by_kind
from evergreen.drift.distances import benjamini_hochberg
from evergreen.signals.drift import Drift

Floats = npt.NDArray[np.float64]
FEWEST = 5.0  # independent rows of the reference, under which they say nothing of the night's
_Found = list[tuple[Columns, dict[str, Measured]]]


@dataclass(frozen=True)
class Sample:
    """Counts of one or several partitions, added up, by feature.

    `effective` is the number of rows, with a value or without, that they are worth as independent ones: all
    of them where they count alike, fewer where they are weighted.
    """

    counts: Mapping[str, Counts]
    effective: float

    @classmethod
    def pooled(
        cls, cells: Sequence[Mapping[str, npt.ArrayLike]], weights: Sequence[float] | None = None
    ) -> Sample:
        """The cells added up, each with its weight (1 where none are given).

        Rows of unlike weights are worth (sum of weights) ** 2 / (sum of squared weights) of them: L. Kish,
        *Survey Sampling* (1965).
        """
        counts: dict[str, Floats] = {}
        weighted = squared = 0.0
        for cell, weight in zip(cells, weights or [1.0] * len(cells), strict=True):
            found = {name: np.asarray(part, dtype=float) for name, part in cell.items()}
            for name, part in found.items():
                counts[name] = weight * part + counts.get(name, 0.0)
            rows = max((float(part.sum()) for part in found.values()), default=0.0)
            weighted += weight * rows
            squared += weight**2 * rows
        return cls(counts, weighted**2 / squared if squared else 0.0)


@dataclass(frozen=True)
class FeatureDrift:
    """How far one feature's values lie from the reference.

    `figures` are those of the statistics (see `evergreen.drift`) by name, None where there is none. They are
    of the values that the training could have held, and 0 where either side has none. Where the reference is
    worth fewer than `FEWEST` independent rows there is no figure, and nothing is called drifted. `test` is
    the name of the test of the distribution, whose `statistic` and `p` are among the figures. `rows` and
    `reference_rows` are numbers of independent rows. `why` names the aspects that drifted.
    """

    figures: dict[str, float | None]
    test: str
    rows: float
    reference_rows: float
    drifted: bool
    why: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The fields and figures by name, as plain JSON values."""
        found = {**vars(self), "why": list(self.why)}
        return {**found.pop("figures"), **found}


def drift_of(
    binnings: Mapping[str, Binning],
    reference: Sample,
    night: Sample,
    limits: Drift,
    whole: tuple[Sample, Sample] | None = None,
) -> dict[str, FeatureDrift]:
    """Drift by feature, of those that are in the binnings and in both samples.

    Rows count as independent of one another, and each feature as often as it has rows in its sample. `whole`
    are all rows of the training window, and those of the partition alone: a feature that hardly varied in
    training has no season, and no rows that are alike by chance, so its values are held against each other in
    these.
    """
    names = [name for name in binnings if name in reference.counts and name in night.counts]
    if not names:
        return {}
    before, now = (
        Side.of([side.counts[name] for name in names], side.effective) for side in (reference, night)
    )
    made = [binnings[name] for name in names]
    if whole is not None:
        still = np.array([bool(one.alike) for one in made])
        empty = np.array([not one.most for one in made])
        window, own = (Side.of([side.counts[name] for name in names], side.effective) for side in whole)
        before, now = before.but(window, still, empty), now.but(own, still, empty)
    found = [(columns, _measured(columns)) for columns in by_kind(made, before, now)]
    judged = [_judged(statistic, found, len(names), limits) for statistic in limited()]
    far, p = (np.array(part) for part in zip(*judged, strict=True))
    known = np.maximum(before.rows, before.present) >= FEWEST
    far, p = far & known, np.where(known, p, 1.0)
    drifted = far & (benjamini_hochberg(p) <= limits.false_discovery)
    figures = [
        of if enough else dict.fromkeys(of)
        for of, enough in zip(_figures(found, len(names)), known.tolist(), strict=True)
    ]
    return {
        name: FeatureDrift(
            figures=figures[n],
            test=test_of(made[n].kind).name,
            rows=float(max(now.rows[n], now.present[n])),
            reference_rows=float(max(before.rows[n], before.present[n])),
            drifted=bool(drifted[:, n].any()),
            why=_aspects(drifted[:, n]),
        )
        for n, name in enumerate(names)
    }


def _measured(columns: Columns) -> dict[str, Measured]:
    """What each statistic finds of columns of one kind, by name."""
    return {one.name: one.measure(columns) for one in column_statistics() if columns.kind in one.kinds}


def _judged(
    statistic: ColumnStatistic, found: _Found, features: int, limits: Drift
) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Of each feature (n,): whether its effect is above the limit, and its probability if nothing changed."""
    far, p = np.zeros(features, dtype=bool), np.ones(features)
    for columns, measured in found:
        if statistic.name in measured:
            own, test = measured[statistic.name], measured[test_of(columns.kind).name]
            effect = own.figures[statistic.name] if own.effect is None else own.effect
            far[columns.places] = effect > limits.limit(statistic)
            p[columns.places] = test.p if own.p is None else own.p
    return far, p


def _figures(found: _Found, features: int) -> list[dict[str, float | None]]:
    """The figures of each feature by name; None where a statistic is not for its kind, or finds none."""
    names = [one.name for one in column_statistics() if not one.tests]
    figures: list[dict[str, float | None]] = [dict.fromkeys(names) for _ in range(features)]
    for columns, measured in found:
        for one in measured.values():
            for name, values in one.figures.items():
                for place, value in zip(columns.places, values.tolist(), strict=True):
                    figures[place][name] = None if isnan(value) else value
    return figures


def _aspects(drifted: npt.NDArray[np.bool_]) -> list[str]:
    called = (one.why for one, holds in zip(limited(), drifted, strict=True) if holds)
    return list(dict.fromkeys(called))
