"""Whether the features have drifted together, even where each of them alone has not: a domain classifier.

A classifier is asked to tell the rows of a night from those of the reference. If it can, on rows it was not
fitted to, the two are not alike (D. Lopez-Paz and M. Oquab, "Revisiting classifier two-sample tests", *ICLR*
2017).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from evergreen.drift.binning import as_numbers, is_number, text_of

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

ROWS = 2_000
FOLDS = 5
FEWEST = 5 * FOLDS
SIGNIFICANT = 0.01
LEADING = 5
_CATEGORIES = 250  # what scikit-learn's histograms hold, with room for the others and for missing values


@dataclass(frozen=True)
class JointDrift:
    """How well the rows of a night are told from those of the reference.

    `auc` is the area under the classifier's curve over rows it was not fitted to (0.5: not at all, 1: always)
    and `p` the probability of as large a one if both are alike. `leading` are the features it tells them by,
    the most telling first; none where there is no drift.
    """

    auc: float
    p: float
    drifted: bool
    leading: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, as plain JSON values."""
        return asdict(self)


def joint_drift(reference: pd.DataFrame, rows: pd.DataFrame, limit: float, seed: int) -> JointDrift:
    """Drift of the features together: an area above the limit, and more than chance.

    `reference` (n, d) and `rows` (m, d) are of the features that both have; of each at most `ROWS` rows are
    drawn. Gradient boosting, cross-validated; the probability is that of the Mann-Whitney test on the scores.
    With fewer than `FEWEST` rows on a side nothing is told apart. The same rows and seed give the same.
    """
    names = [name for name in reference.columns if name in rows.columns]
    if not names or min(len(reference), len(rows)) < FEWEST:
        return JointDrift(0.5, 1.0, False, [])
    draw = np.random.default_rng(seed)
    before, now = (_drawn(frame[names], draw) for frame in (reference, rows))
    codes = [_coded(before[name], now[name]) for name in names]
    matrix = np.column_stack([code for code, _ in codes])
    night = np.repeat([0, 1], [len(before), len(now)])
    told = _Told.apart(matrix, night, [category for _, category in codes], seed)
    auc, p = _area(told.scores, night)
    drifted = auc > limit and p < SIGNIFICANT
    return JointDrift(auc, p, drifted, _leading(told, auc, names, draw) if drifted else [])


@dataclass(frozen=True)
class _Told:
    """Scores of all rows, each by the classifier of a fold that was not fitted to it."""

    matrix: Floats
    night: Whole
    folds: list[tuple[HistGradientBoostingClassifier, Whole]]
    scores: Floats

    @classmethod
    def apart(cls, matrix: Floats, night: Whole, categories: list[bool], seed: int) -> _Told:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.model_selection import StratifiedKFold

        folds, scores = [], np.zeros(len(night))
        for fitted, held in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(matrix, night):
            model = HistGradientBoostingClassifier(
                max_iter=40,
                max_leaf_nodes=15,
                min_samples_leaf=max(5, min(20, len(fitted) // 20)),
                categorical_features=categories,
                early_stopping=False,
                random_state=seed,
            )
            # So few rows gain nothing by threads, which where others compute too wait for one another.
            with threadpool_limits(limits=1):
                scores[held] = model.fit(matrix[fitted], night[fitted]).decision_function(matrix[held])
            folds.append((model, held))
        return cls(matrix, night, folds, scores)

    def without(self, feature: int, draw: np.random.Generator) -> Floats:
        """The scores if the feature says nothing: its values are shuffled within each fold."""
        scores = np.zeros(len(self.scores))
        for model, held in self.folds:
            shuffled = self.matrix[held].copy()
            shuffled[:, feature] = draw.permutation(shuffled[:, feature])
            with threadpool_limits(limits=1):
                scores[held] = model.decision_function(shuffled)
        return scores


def _area(scores: Floats, night: Whole) -> tuple[float, float]:
    from scipy.stats import mannwhitneyu

    now, before = scores[night == 1], scores[night == 0]
    found = mannwhitneyu(now, before, alternative="greater", method="asymptotic")
    return float(found.statistic / (len(now) * len(before))), float(found.pvalue)


def _leading(told: _Told, auc: float, names: list[str], draw: np.random.Generator) -> list[str]:
    lost = {name: auc - _area(told.without(number, draw), told.night)[0] for number, name in enumerate(names)}
    enough = max(lost.values()) / 5
    ordered = sorted((name for name in names if lost[name] >= enough > 0), key=lambda name: -lost[name])
    return ordered[:LEADING]


def _drawn(frame: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    if len(frame) <= ROWS:
        return frame
    return frame.iloc[np.sort(draw.choice(len(frame), ROWS, replace=False))]


def _coded(before: pd.Series, now: pd.Series) -> tuple[Floats, bool]:
    """Both columns as numbers in one array, and whether those are codes of categories."""
    if is_number(before):
        numbers = np.concatenate([as_numbers(before), as_numbers(now)])
        return np.where(np.isfinite(numbers), numbers, np.nan), False
    texts = [None if gone else text_of(value) for side in (before, now) for value, gone in _values(side)]
    known = Counter(text for text in texts if text is not None)
    often = sorted(known, key=lambda text: (-known[text], text))[:_CATEGORIES]
    places = {text: float(place) for place, text in enumerate(often)}
    codes = [np.nan if text is None else places.get(text, float(_CATEGORIES)) for text in texts]
    return np.array(codes), True


def _values(side: pd.Series) -> zip[tuple[Any, bool]]:
    return zip(side, side.isna(), strict=True)
