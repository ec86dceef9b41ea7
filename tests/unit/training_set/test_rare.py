"""Classes of few rows, whatever the grain and the candidates: named or refused, never skipped."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from evergreen.asked.finding import Asked, Together
from evergreen.candidates.fit import Challenger, fit_challenger
from evergreen.errors import EvergreenError, NothingToDoError, RefusedError
from evergreen.evaluation.champion import Champion
from evergreen.evaluation.evaluate import evaluate
from evergreen.evaluation.gate import judge
from evergreen.monitoring.reference import build_reference
from evergreen.spec import Spec
from evergreen.training.version_files import version_files
from evergreen.training_set.assemble import TrainingSet, assemble
from evergreen.training_set.rare import RareClass, rare_classes

TEXT = """
name: sales
description: Customers
owner: team
schedule: "@daily"
WHEN
key: [person]
task: classification
target: kind
features: {function: "features.py:build"}
training:
  holdout: HELD
  metric: METRIC
  candidates:
CANDIDATES  tuning: {trials: 2, folds: 3GROUP}
"""
FEATURES = "def build(rows):\n    return rows[['a', 'b']]\n"
DAILY = "start: 2024-01-01\npartition: daily\nsources: {people: {file: {path: p.csv, time_column: at}}}"
WHOLE = "partition: snapshot\nsources: {people: {file: {path: p.csv}}}"
GRAINS = {
    "snapshot": {"WHEN": WHOLE, "HELD": "20%", "GROUP": ""},
    "groups": {"WHEN": WHOLE, "HELD": "20%", "GROUP": ", group: shop"},
    "daily": {"WHEN": DAILY, "HELD": "4 days", "GROUP": ""},
}
LINEAR = "    - {estimator: sklearn.linear_model.LogisticRegression}\n"
TREES = "    - {estimator: sklearn.ensemble.HistGradientBoostingClassifier, params: {max_iter: 3}}\n"
SEARCH = "    - {estimator: sklearn.linear_model.LogisticRegression, search: {C: [0.1, 10, log]}}\n"
CANDIDATES = {"linear": LINEAR, "trees": TREES, "two": LINEAR + TREES, "search": SEARCH}
RARE = {
    "one row": [70],
    "one row in the hold-out": [195],
    "one row in the first fold": [3],
    "two rows": [70, 90],
    "rows of one group": [100, 101, 102],
    "three at the end": [196, 197, 198],
}


def rows_with(rare: list[int], grain: str, *, others: tuple[str, str] = ("x", "y")) -> pd.DataFrame:
    """Twenty days of ten rows, in which these rows are of the class `rare`."""
    random = np.random.default_rng(0)
    at = pd.date_range("2024-01-01", periods=200, freq="144min", tz="UTC").as_unit("us")
    kind = np.where(random.random(200) < 0.5, *others).astype(object)
    rows = pd.DataFrame({"person": np.arange(200), "a": random.normal(size=200) + 2 * (kind == "x")})
    kind[rare] = "rare"
    rows = rows.assign(b=random.normal(size=200), shop=np.arange(200) // 10, kind=kind.astype(str))
    return rows.assign(at=at, partition=at.strftime("%Y-%m-%d") if grain == "daily" else "snapshot")


@pytest.fixture
def spec_of(make_spec: Callable[..., Spec]) -> Callable[..., Spec]:
    def made(grain: str, candidates: str = LINEAR, metric: str = "accuracy") -> Spec:
        return make_spec(
            TEXT, {**GRAINS[grain], "METRIC": metric, "CANDIDATES": candidates}, features=FEATURES
        )

    return made


def trained(spec: Spec, rows: pd.DataFrame) -> tuple[TrainingSet, Challenger]:
    as_of = "2024-01-21" if spec.calendar.has_time else "snapshot"
    found = assemble(spec, rows, as_of, None, {})
    return found, fit_challenger(spec, found)


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("rare", RARE.values(), ids=RARE)
def test_a_rare_class_is_trained_with_and_named(
    spec_of: Callable[..., Spec], grain: str, rare: list[int]
) -> None:
    rows = rows_with(rare, grain)
    # Each candidate, and each kind of metric.
    for candidates, metric in [(LINEAR, "roc_auc"), *((each, "accuracy") for each in CANDIDATES.values())]:
        spec = spec_of(grain, candidates, metric)
        found, challenger = trained(spec, rows)
        evaluation = evaluate(spec, found, challenger, None)
        assert np.isfinite(evaluation.challenger[metric])
    (named,) = rare_classes(spec, found.target, found.holdout)
    held = int((found.target[found.holdout] == "rare").sum())
    assert named == RareClass("rare", len(rare) - held, held)
    assert grain == "daily" or named.known
    reference = build_reference(spec, found, evaluation, challenger)
    files = version_files(
        spec,
        found,
        challenger,
        evaluation,
        judge(spec, evaluation),
        reference=reference,
        asked=Asked(Together.ROW),
    )
    assert json.loads(files["metrics.json"])["rare_classes"] == {"rare": {"known": named.known, "held": held}}
    assert f"<li>{named.sentence}</li>" in files["card.html"].decode()


def test_the_sentence_counts() -> None:
    assert RareClass("C", 1, 0).sentence == "class C is too rare to judge: 1 row, 0 of them held out."
    assert RareClass("C", 1200, 4).sentence == "class C is too rare to judge: 1,204 rows, 4 of them held out."


@pytest.mark.parametrize("grain", GRAINS)
def test_a_champion_that_does_not_know_a_class_is_compared(spec_of: Callable[..., Spec], grain: str) -> None:
    spec, rows = spec_of(grain, metric="log_loss"), rows_with([100, *range(165, 200, 3)], grain)
    found, challenger = trained(spec, rows)
    _, before = trained(spec, rows_with([], grain))
    champion = Champion("before", "2024-01-16" if grain == "daily" else "snapshot", before.final)
    comparison = evaluate(spec, found, challenger, champion).comparison
    assert comparison is not None
    assert comparison.loss < 0


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("candidates", CANDIDATES.values(), ids=CANDIDATES)
def test_rows_of_one_class_are_refused_by_name(
    spec_of: Callable[..., Spec], grain: str, candidates: str
) -> None:
    with pytest.raises(RefusedError, match=r"sales: target: the 1\d\d rows to train on are all of class x"):
        trained(spec_of(grain, candidates), rows_with([], grain, others=("x", "x")))


@pytest.mark.parametrize("grain", GRAINS)
def test_what_cannot_be_trained_is_no_quiet_skip(spec_of: Callable[..., Spec], grain: str) -> None:
    told = []
    for rare in (*RARE.values(), [*range(200)]):
        for metric in ("accuracy", "roc_auc"):
            spec = spec_of(grain, LINEAR + TREES, metric)
            try:
                trained(spec, rows_with(rare, grain, others=("x", "x")))
            except EvergreenError as error:
                told.append(error)
    assert told
    assert not [error for error in told if isinstance(error, NothingToDoError) or "\n" in str(error)]
