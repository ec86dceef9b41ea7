"""The settings of a candidate that are to be tried, none of them twice."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from evergreen.candidates.default_search import search_of
from evergreen.candidates.estimators import candidate_path
from evergreen.candidates.search import Dimension, every_setting, parse_search, space_size
from evergreen.spec import Spec

if TYPE_CHECKING:
    import optuna

_REPEATS = 20
_DRAWS = 1_000


class Proposals(Protocol):
    """Settings to be tried: `size` of them at most."""

    size: int

    @property
    def exhausted(self) -> bool:
        """Whether there are no more."""

    def next(self) -> dict[str, Any] | None:
        """The next setting; None if there is none."""

    def learn(self, score: float | None) -> None:
        """Take the score of the setting proposed last into account; NaN where it has none."""


def proposals_of(spec: Spec, number: int) -> Proposals:
    """A candidate's proposals: all its settings, or TPE's where they are more than `tuning.trials`."""
    where = candidate_path(spec, number)
    dimensions = parse_search(f"{where}.search", search_of(where, spec.training.candidates[number]))
    size, trials = space_size(dimensions), spec.training.tuning.trials
    if size <= trials:
        return _Listed(every_setting(dimensions), int(size))
    return _Sampled(dimensions, trials, spec.training.seed, maximize=spec.metric.higher_is_better)


class _Listed:
    """Each setting of a finite space once; without a search, the one empty setting."""

    def __init__(self, settings: Iterator[dict[str, Any]], size: int) -> None:
        self.size = size
        self._settings = settings
        self._left = size

    @property
    def exhausted(self) -> bool:
        return not self._left

    def next(self) -> dict[str, Any] | None:
        self._left = max(0, self._left - 1)
        return next(self._settings, None)

    def learn(self, score: float | None) -> None:
        """Nothing is learnt: all are tried."""


class _Sampled:
    """Settings that Optuna's sampler suggests, seeded.

    A sampler may suggest a setting again; it is then asked for another. After 20 repeats in a row settings
    are drawn at random, and after 1,000 all of them count as tried.
    """

    def __init__(self, dimensions: Mapping[str, Dimension], size: int, seed: int, *, maximize: bool) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.size = size
        self._ended = False
        self._dimensions = dimensions
        self._tpe = optuna.samplers.TPESampler(seed=seed)
        self._random = optuna.samplers.RandomSampler(seed=seed)
        self._study = optuna.create_study(direction="maximize" if maximize else "minimize", sampler=self._tpe)
        self._proposed: set[str] = set()
        self._asked: optuna.trial.Trial | None = None

    @property
    def exhausted(self) -> bool:
        return self._ended or len(self._proposed) >= self.size

    def next(self) -> dict[str, Any] | None:
        import optuna

        for draw in range(_DRAWS):
            self._study.sampler = self._tpe if draw < _REPEATS else self._random
            asked = self._study.ask()
            setting = {name: dimension.suggest(asked, name) for name, dimension in self._dimensions.items()}
            key = json.dumps(setting, sort_keys=True, default=str)
            if key not in self._proposed:
                self._proposed.add(key)
                self._asked = asked
                return setting
            self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
        self._ended = True
        return None

    def learn(self, score: float | None) -> None:
        import optuna

        assert self._asked is not None
        if score is None or not math.isfinite(score):
            self._study.tell(self._asked, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(self._asked, score)
