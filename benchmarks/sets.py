"""What prediction sets of 90% hold, in all and of each class, and how large they are, by several methods.

Learnt from and measured on rows of their own: bundled data sets with noise, and simulated ones with rare
classes. The methods are one threshold for all classes and one for each (LAC: Sadinle, Lei and Wasserman
2019), RAPS (Angelopoulos et al. 2021), and one for each class of probabilities that were calibrated on the
same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from benchmarks.figure import Figure
from evergreen.decisions.calibrated import Calibrated
from evergreen.intervals.sets import ConformalClassifier

Floats = NDArray[np.float64]
Members = NDArray[np.bool_]

LEVEL, SEEDS = 0.9, 5
PENALTY, FREE = 0.05, 2  # of RAPS: on each class after the second


def measure() -> list[Figure]:
    """A table of all data sets; the figure is how far all rows are from the promise, at most."""
    far = 0.0
    for name in WORLDS:
        found = [dict(_held(name, seed)) for seed in range(SEEDS)]
        for method in found[0]:
            share, worst, size = np.mean([of[method] for of in found], axis=0)
            print(f"  {name}, {method}: {share:.1%}, worst class {worst:.1%}, {size:.2f} classes", flush=True)
        far = max(far, LEVEL - float(np.mean([of["each class"][0] for of in found])))
    return [Figure("sets of 90%, furthest below the promise", 100 * far, "points", 2)]


def _held(name: str, seed: int) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """The share of rows that each method holds, that of the worst class, and the mean size of a set."""
    x, y, model = WORLDS[name].rows(seed)
    fit, rest, fit_y, rest_y = train_test_split(x, y, test_size=0.6, random_state=seed, stratify=y)
    learn, new, learn_y, new_y = train_test_split(
        rest, rest_y, test_size=0.5, random_state=seed, stratify=rest_y
    )
    model.fit(fit, fit_y)
    said, unseen = model.predict_proba(learn), model.predict_proba(new)
    maps = Calibrated(model, "isotonic")
    maps.calibrate(said, learn_y, model.classes_)
    methods = {
        "all classes alike": _alike(said, learn_y, unseen),
        "each class": _each(model, said, learn_y, unseen),
        "RAPS": _raps(said, learn_y, unseen, np.random.default_rng(seed)),
        "each class, calibrated": _each(model, maps.calibrated(said), learn_y, maps.calibrated(unseen)),
    }
    for method, sets in methods.items():
        held = sets[np.arange(len(new_y)), new_y]
        worst = min(held[new_y == one].mean() for one in np.unique(new_y))
        yield method, (float(held.mean()), float(worst), float(sets.sum(axis=1).mean()))


def _each(model: Any, said: Floats, actual: NDArray[Any], unseen: Floats) -> Members:
    found = ConformalClassifier(model, (LEVEL,)).calibrate(said, actual)
    sets: Members = found.around(unseen)[:, 0]
    return sets


def _alike(said: Floats, actual: NDArray[Any], unseen: Floats) -> Members:
    return _within(1 - said[np.arange(len(actual)), actual], 1 - unseen)


def _raps(said: Floats, actual: NDArray[Any], unseen: Floats, draw: np.random.Generator) -> Members:
    own = _ranked(said, draw)[np.arange(len(actual)), actual]
    return _within(own, _ranked(unseen, draw))


def _ranked(said: Floats, draw: np.random.Generator) -> Floats:
    """The probability of all likelier classes, a random part of its own, and the penalty of its rank."""
    order = np.argsort(-said, axis=1)
    sorted_ = np.take_along_axis(said, order, axis=1)
    ranks = np.arange(1, said.shape[1] + 1)
    scores = sorted_.cumsum(axis=1) - draw.random((len(said), 1)) * sorted_
    found = np.empty_like(scores)
    np.put_along_axis(found, order, scores + PENALTY * np.maximum(ranks - FREE, 0), axis=1)
    return found


def _within(own: Floats, scores: Floats) -> Members:
    """Scores (n, k) up to the ceil((m + 1) level)-th smallest of (m,); the smallest where none is."""
    place = min(len(own), int(np.ceil((len(own) + 1) * LEVEL)))
    found: Members = scores <= np.sort(own)[place - 1]
    empty = ~found.any(axis=1)
    found[empty, scores[empty].argmin(axis=1)] = True
    return found


@dataclass(frozen=True)
class World:
    """A bundled data set with `noise`, or one that is drawn with the `shape`."""

    load: Any = None
    noise: float = 0.0
    copies: int = 1
    shape: dict[str, Any] | None = None

    def rows(self, seed: int) -> tuple[Floats, NDArray[np.intp], Any]:
        """Features (n, d), classes (n,) from 0 on, and the classifier."""
        if self.shape is not None:
            x, y = make_classification(4_000, flip_y=0, random_state=seed, **self.shape)
            return x, y, HistGradientBoostingClassifier(max_iter=50)
        x, y = self.load(return_X_y=True)
        x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9)
        x, y = np.tile(x, (self.copies, 1)), np.tile(y, self.copies)
        return x + np.random.default_rng(seed).normal(0, self.noise, x.shape), y, LogisticRegression(C=0.1)


_FOUR = {"n_classes": 4, "n_clusters_per_class": 1}
WORLDS = {
    "digits with noise (10)": World(load_digits, 1.5),
    "tumours with noise (2)": World(load_breast_cancer, 2.5),
    "wines with noise (3)": World(load_wine, 1.5, copies=2),
    "one class of 5% (2)": World(shape={"weights": [0.95], "n_informative": 4, "class_sep": 0.7}),
    "70, 20, 8 and 2% (4)": World(
        shape={**_FOUR, "weights": [0.7, 0.2, 0.08], "n_informative": 5, "class_sep": 0.8}
    ),
    "even (4)": World(shape={**_FOUR, "n_informative": 6, "class_sep": 0.5}),
}
