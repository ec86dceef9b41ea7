"""The levels that the bounds of a replay use, where intervals adapt between trainings, as in a night."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evergreen.backtest.history import History
from evergreen.scoring.adapted import adapts, learnt_from, levels_after, ranks_of
from evergreen.scoring.predict import apply_model
from evergreen.spec import Spec

_MODELS = 8


class Adapting:
    """Keeps what the truth of each partition ranks under the models that were asked for last."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._ranks: OrderedDict[str, dict[str, NDArray[np.float64]]] = OrderedDict()

    def levels(
        self, spec: Spec, name: str, as_of: str, model: Any, partition: str
    ) -> tuple[float, ...] | None:
        """The levels that the bounds of a partition use; None where the model's intervals do not adapt.

        `name` is the model's own and `as_of` what it was trained as of.
        """
        if not adapts(spec, model):
            return None
        known = self._ranks.setdefault(name, {})
        if len(self._ranks) > _MODELS:
            self._ranks.popitem(last=False)
        keys = learnt_from(spec, as_of, partition, self._history.partitions)
        for key in keys:
            if key not in known:
                features = self._history.features(key)
                truth = self._history.own_rows(key).loc[features.index, spec.target]
                known[key] = ranks_of(model, apply_model(spec, model, features).labels, truth)
        return levels_after(spec, model, {key: known[key] for key in keys})
