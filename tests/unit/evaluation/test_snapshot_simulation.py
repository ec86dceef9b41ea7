"""A champion of a snapshot against challengers that are as good, over many draws. `pytest -s` prints it.

In each draw a model is trained on a snapshot, and the same kind of model again on a later one. Both are
equally good on average over all draws, so the mean of the losses should be 0. Of two fits one is always a
little better; since the truth is known, so is by how much, and which promotions and refusals are wrong.
`docs/gate.md` has the table of 200 draws; `make test` takes 100, `make campaign ONLY=gate` 1,000.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evergreen.candidates.fit import Challenger
from evergreen.evaluation.champion import Champion, Copy
from evergreen.evaluation.evaluate import evaluate
from evergreen.evaluation.gate import judge
from evergreen.evaluation.verdict import Outcome
from evergreen.spec import Spec
from evergreen.training_set.assemble import TrainingSet
from evergreen.training_set.holdout import holdout_mask
from evergreen.training_set.units import Units
from tests.campaign import rounds, seed

DRAWS = rounds(100, 1000)
ROWS, CHANGED = 300, 30
FEATURES, RELEVANT, NOISE = 20, 5, 2.0
SPEC = Spec.model_validate(
    {
        "name": "people",
        "description": "People",
        "owner": "team",
        "schedule": "@weekly",
        "partition": "snapshot",
        "sources": {"people": {"file": {"path": "people.csv"}}},
        "key": ["person"],
        "task": "regression",
        "target": "spent",
        "training": {"metric": "mae", "candidates": [{"estimator": "sklearn.linear_model.LinearRegression"}]},
        "gate": {"champion": {"rounds": 200}},
        "folder": Path("people"),
    }
)
ERROR_RATE = 1 - SPEC.gate.champion.confidence


class LeastSquares:
    """Ordinary least squares: with this many features it fits its own rows clearly better than others."""

    def __init__(self, features: pd.DataFrame, target: pd.Series) -> None:
        self._weights = np.linalg.lstsq(features.to_numpy(), target.to_numpy(), rcond=None)[0]

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        return features.to_numpy() @ self._weights

    @property
    def mae(self) -> float:
        """The expected error on new rows, which is that of a normal distribution."""
        off = self._weights - (np.arange(FEATURES) < RELEVANT)
        return float(np.sqrt(2 / np.pi * (NOISE**2 + (off**2).sum())))


@dataclass
class Found:
    """What came of the draws in one of the two ways to compare."""

    losses: list[float] = field(default_factory=list)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    wrong: Counter[Outcome] = field(default_factory=Counter)

    def add(self, loss: float, outcome: Outcome, truth: float) -> None:
        """A draw with the measured loss, and the true one of the two models without a hold-out."""
        self.losses.append(loss)
        self.outcomes[outcome] += 1
        self.wrong[outcome] += truth > 0 if outcome is Outcome.PROMOTED else truth < 0

    @property
    def mean(self) -> float:
        return float(np.mean(self.losses))

    @property
    def error(self) -> float:
        return float(np.std(self.losses, ddof=1) / np.sqrt(len(self.losses)))

    def share(self, counts: Counter[Outcome], outcome: Outcome) -> float:
        return counts[outcome] / len(self.losses)

    def __str__(self) -> str:
        counts = ", ".join(f"{self.outcomes[outcome]} {outcome}" for outcome in Outcome)
        counts += "".join(f", {self.wrong[one]} {one} wrongly" for one in (Outcome.PROMOTED, Outcome.WORSE))
        return f"mean loss {self.mean:.4f} (standard error {self.error:.4f}); {counts}"


def people(random: np.random.Generator) -> pd.DataFrame:
    """Enough rows for both snapshots, under keys that differ from draw to draw."""
    count = ROWS + CHANGED
    values = random.normal(size=(count, FEATURES))
    rows = pd.DataFrame(values, columns=[f"x{number}" for number in range(FEATURES)])
    spent = values[:, :RELEVANT].sum(axis=1) + random.normal(0, NOISE, count)
    return rows.assign(spent=spent, person=random.choice(10**9, count, replace=False), partition="snapshot")


def trained(rows: pd.DataFrame) -> tuple[TrainingSet, Challenger]:
    features, target = rows.filter(like="x"), rows["spent"]
    held = holdout_mask(SPEC, rows, target, "snapshot")
    models = LeastSquares(features[~held], target[~held]), LeastSquares(features, target)
    return TrainingSet("snapshot", "snapshot-x", rows, features, target, held, {}), Challenger(
        *models, {}, []
    )


@pytest.fixture(scope="module", params=[CHANGED, 0], ids=["as many rows", "more rows"])
def world(request) -> tuple[int, dict[str, Found], list[int]]:
    """How many rows are gone in the later snapshot, what was found in each way, and the rows left out."""
    ways, left_out = {"copy": Found(), "final": Found()}, []
    for number in range(DRAWS):
        random = np.random.default_rng([number, seed(6)])
        rows = people(random)
        first, champion = trained(rows[:ROWS].reset_index(drop=True))
        later = rows[request.param :].iloc[random.permutation(ROWS + CHANGED - request.param)]
        second, challenger = trained(later.reset_index(drop=True))
        truth = challenger.evaluated.mae - champion.evaluated.mae
        copy = Copy(champion.evaluated, Units.of(SPEC, first.rows).distinct(~first.holdout))
        for way, found in ways.items():
            other = Champion("old", "snapshot", champion.final, copy=copy if way == "copy" else None)
            evaluation = evaluate(SPEC, second, challenger, other)
            assert evaluation.comparison is not None
            found.add(evaluation.comparison.loss, judge(SPEC, evaluation).outcome, truth)
            if way == "copy":
                left_out.append(evaluation.champion["left_out"])
    return request.param, ways, left_out


def test_an_equal_challenger_of_a_snapshot_is_neither_favoured_nor_refused(world, tell):
    gone, ways, left_out = world
    for way, found in ways.items():
        tell(f"{ROWS} rows, {gone} gone and {CHANGED} new, compared with the {way}: {found}")
    tell(f"left out of {ROWS // 5} rows: {np.mean(left_out):.2f} on average, {max(left_out)} at most")
    copy, final = ways["copy"], ways["final"]
    # With more rows the challenger is a little better; with as many it is equal.
    assert copy.mean < 3 * copy.error
    assert gone == 0 or copy.mean > -3 * copy.error
    assert copy.share(copy.wrong, Outcome.PROMOTED) <= ERROR_RATE
    assert copy.share(copy.wrong, Outcome.WORSE) <= ERROR_RATE
    # The final model has seen the rows: this is what the copy is for.
    assert final.mean > 10 * final.error
    assert final.share(final.outcomes, Outcome.WORSE) >= 0.4
    assert 0 < np.mean(left_out) < 3
