"""How far each feature of a night lies from a reference, and whether that is drift.

Three aspects of a feature are looked at apart from one another: the distribution of the values that the
training could have held, the share of rows without a value, and the share of values never seen. A feature has
drifted only where an aspect is far enough off to matter and chance does not explain it: its effect is above
the limit of the description, and its test holds at the false discovery rate over all features and aspects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from evergreen.drift import distances
from evergreen.drift.binning import Binning, Counts
from evergreen.spec.monitoring import Drift

Why = Literal["distribution", "missing", "unseen"]
Floats = npt.NDArray[np.float64]

ASPECTS: tuple[Why, ...] = ("distribution", "missing", "unseen")


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

    `psi` is the population stability index and `js` the Jensen-Shannon distance (0 to 1), both over about ten
    bins; `wasserstein` is in standard deviations of the training values, where a value beyond them counts as
    their smallest or largest, None for a category and where they are all alike. `test` is "ks" or "chi2",
    `p` the probability of its `statistic` if nothing changed. These are of the values that the training could
    have held, and 0 (`p`: 1) where either side has none.

    `missing` is the share of rows without a value and `missing_before` that of the reference; `unseen` the
    share of values never seen and `unseen_before` the one to be expected. `rows` and `reference_rows` are
    numbers of independent rows. `why` names the aspects that drifted.
    """

    psi: float
    js: float
    wasserstein: float | None
    test: str
    statistic: float
    p: float
    missing: float
    missing_before: float
    unseen: float
    unseen_before: float
    rows: float
    reference_rows: float
    drifted: bool
    why: list[Why]

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, as plain JSON values."""
        return {**vars(self), "why": list(self.why)}


@dataclass(frozen=True)
class _Shape:
    """Distances and test of the distributions of several features, each of shape (n,)."""

    psi: Floats
    js: Floats
    wasserstein: Floats  # NaN where there is none
    statistic: Floats
    p: Floats


def drift_of(
    binnings: Mapping[str, Binning], reference: Sample, night: Sample, limits: Drift
) -> dict[str, FeatureDrift]:
    """Drift by feature, of those that are in the binnings and in both samples.

    Rows count as independent of one another, and each feature as often as it has rows in its sample.
    """
    names = [name for name in binnings if name in reference.counts and name in night.counts]
    if not names:
        return {}
    made = [binnings[name] for name in names]
    before, now = _Side.of(names, made, reference), _Side.of(names, made, night)
    shape = _shape(made, before.values, now.values)
    missing_before, missing = _share(before.missing, before.rows), _share(now.missing, now.rows)
    # The reference itself has no value that it never saw, further rows like it would have some.
    new = np.maximum(before.unseen, np.array([one.new for one in made]) * before.present)
    unseen_before, unseen = _share(new, before.present), _share(now.unseen, now.present)
    p = [
        shape.p,
        distances.two_proportions(before.missing, before.rows, now.missing, now.rows),
        distances.two_proportions(new, before.present, now.unseen, now.present),
    ]
    far = [
        shape.psi > limits.psi,
        np.abs(missing - missing_before) > limits.missing,
        unseen - unseen_before > limits.unseen,
    ]
    drifted = np.array(far) & (distances.benjamini_hochberg(np.array(p)) <= limits.false_discovery)
    return {
        name: FeatureDrift(
            psi=float(shape.psi[n]),
            js=float(shape.js[n]),
            wasserstein=None if np.isnan(shape.wasserstein[n]) else float(shape.wasserstein[n]),
            test="ks" if made[n].kind == "number" else "chi2",
            statistic=float(shape.statistic[n]),
            p=float(shape.p[n]),
            missing=float(missing[n]),
            missing_before=float(missing_before[n]),
            unseen=float(unseen[n]),
            unseen_before=float(unseen_before[n]),
            rows=float(now.rows[n]),
            reference_rows=float(before.rows[n]),
            drifted=bool(drifted[:, n].any()),
            why=[aspect for aspect, holds in zip(ASPECTS, drifted[:, n], strict=True) if holds],
        )
        for n, name in enumerate(names)
    }


@dataclass(frozen=True)
class _Side:
    """A sample's counts in independent rows: (n, bins), where a feature has fewer bins empty, and (n,)."""

    values: Floats
    missing: Floats
    unseen: Floats
    present: Floats  # rows with a value
    rows: Floats

    @classmethod
    def of(cls, names: Sequence[str], made: Sequence[Binning], sample: Sample) -> _Side:
        counts = np.zeros((len(names), max(map(len, made))))
        for row, name in zip(counts, names, strict=True):
            row[: len(sample.counts[name])] = sample.counts[name]
        most = counts.sum(axis=1).max()
        counts *= sample.effective / most if most else 0.0
        every, ends = np.arange(len(names)), np.array([len(one) for one in made])
        missing, unseen = counts[every, ends - 2], counts[every, ends - 1]
        counts[every, ends - 2] = counts[every, ends - 1] = 0.0
        present = counts.sum(axis=1) + unseen
        return cls(counts[:, :-2], missing, unseen, present, present + missing)


def _shape(made: Sequence[Binning], before: Floats, now: Floats) -> _Shape:
    numbers = np.array([one.kind == "number" for one in made])
    found = np.full((5, len(made)), np.nan)
    if numbers.any():
        centres = [one.centres for one in made if one.kind == "number"]
        scales = [one.scale or np.nan for one in made if one.kind == "number"]
        found[:, numbers] = _of_numbers(before[numbers], now[numbers], centres, np.array(scales))
    if not numbers.all():
        found[:, ~numbers] = _of_categories(before[~numbers], now[~numbers])
    found[:2] = np.nan_to_num(found[:2])  # nothing to compare
    return _Shape(*found)


def _of_numbers(
    before: Floats, now: Floats, centres: Sequence[tuple[float, ...]], scales: Floats
) -> tuple[Floats, ...]:
    wide = max(map(len, centres))
    # A bin that is not there lies where the last one does: no distance is added.
    places = np.array([one + one[-1:] * (wide - len(one)) for one in centres])
    before, now = before[:, :wide], now[:, :wide]
    apart = distances.wasserstein(before, now, places) / scales
    merged = distances.in_parts(before, now)
    statistic, p = distances.kolmogorov_smirnov(before, now)
    return distances.psi(*merged), distances.jensen_shannon(*merged), apart, statistic, p


def _of_categories(before: Floats, now: Floats) -> tuple[Floats, ...]:
    merged = distances.without_rare(before, now)
    statistic, p = distances.chi_squared(*merged)
    none = np.full(len(before), np.nan)
    return distances.psi(*merged), distances.jensen_shannon(*merged), none, statistic, p


def _share(part: Floats, of: Floats) -> Floats:
    return np.divide(part, of, out=np.zeros_like(part), where=of > 0)
