"""What stands for the champion in a comparison, on which rows, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

from evergreen.candidates.fit import Challenger
from evergreen.card.limits import limits
from evergreen.evaluation.champion import Champion, Copy, compared
from evergreen.evaluation.evaluate import Evaluation, evaluate
from evergreen.evaluation.gate import judge
from evergreen.evaluation.verdict import Outcome
from evergreen.spec import Spec
from evergreen.training_set.assemble import TrainingSet
from evergreen.training_set.units import Units

HELD = 40


def spec_of(group: str | None = None, slices: tuple[str, ...] = ()) -> Spec:
    return Spec.model_validate(
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
            "training": {
                "metric": "mae",
                "candidates": [{"estimator": "sklearn.linear_model.Ridge"}],
                "tuning": {"group": group},
            },
            "gate": {"champion": {"margin": "5%"}, "slices": list(slices)},
            "folder": Path("people"),
        }
    )


def constant(value: float) -> DummyRegressor:
    return DummyRegressor(strategy="constant", constant=value).fit([[0.0]], [0.0])


@pytest.fixture
def today() -> TrainingSet:
    """Persons 0 to 199, of whom the first 40 are held out; a person spends its own number; two in a home."""
    person = np.arange(200)
    rows = pd.DataFrame({"person": person, "home": person // 2, "partition": "snapshot", "half": person % 2})
    features = pd.DataFrame({"x": person * 1.0})
    held = person < HELD
    return TrainingSet("snapshot", "snapshot-x", rows, features, pd.Series(person * 1.0), held, {})


def champion_fit_on(spec: Spec, rows: pd.DataFrame, value: float = 20.0) -> Champion:
    """Its final model gives 1000 for everybody, its copy that was fit on these rows gives `value`."""
    copy = Copy(constant(value), Units.of(spec, rows).distinct(np.ones(len(rows), dtype=bool)))
    return Champion("old", "snapshot", constant(1000.0), copy=copy)


def found_of(spec: Spec, today: TrainingSet, champion: Champion, value: float = 20.0) -> Evaluation:
    return evaluate(spec, today, Challenger(constant(value), constant(value), {}, []), champion)


def detail(spec: Spec, evaluation: Evaluation) -> str:
    return next(check.detail for check in judge(spec, evaluation).checks if check.name == "champion")


def card_says(spec: Spec, evaluation: Evaluation) -> str:
    return " ".join(limits(spec, {"window": {"first": "snapshot", "last": "snapshot"}}, evaluation, None))


def test_its_copy_is_compared_on_the_rows_that_it_was_not_fit_on(today):
    spec = spec_of(slices=("half",))
    champion = champion_fit_on(spec, today.rows[30:])
    found = found_of(spec, today, champion, 10.0)
    # Persons 0 to 29: their distance from 20 is 10.5 on average, from 10 it is 8.17.
    own, theirs = (np.abs(np.arange(30) - value).mean() for value in (10, 20))
    assert found.compared_rows == 30
    assert found.champion["metrics"]["mae"] == pytest.approx(theirs)
    assert found.challenger_on_champion_rows["mae"] == pytest.approx(own)
    assert found.challenger["mae"] == pytest.approx(np.abs(np.arange(HELD) - 10).mean())
    assert [part.rows for part in found.slices] == [15, 15]
    assert (found.champion["seen"], found.champion["left_out"]) == (False, 10)
    assert "the champion's copy that was fit without a hold-out is compared, and 10 rows" in detail(
        spec, found
    )
    assert "10 rows of the hold-out that this copy was fit on are left out." in card_says(spec, found)
    assert Evaluation.from_dict(found.to_dict()) == found


def test_where_nothing_is_left_out_nothing_is_said_of_it(today):
    spec = spec_of()
    found = found_of(spec, today, champion_fit_on(spec, today.rows[HELD:]))
    assert (found.compared_rows, found.champion["left_out"]) == (HELD, 0)
    assert found.comparison.loss == 0
    assert detail(spec, found).endswith("the champion's copy that was fit without a hold-out is compared)")
    assert "What is compared is the champion's copy" in card_says(spec, found)
    assert "left out" not in card_says(spec, found)


def test_order_and_values_of_the_rows_do_not_matter(today):
    spec = spec_of()
    rows = today.rows[30:].sample(frac=1, random_state=0).assign(half=7)
    assert found_of(spec, today, champion_fit_on(spec, rows)).champion["left_out"] == 10


def test_a_row_of_a_group_that_the_copy_was_fit_on_is_left_out_though_it_is_new(today):
    spec = spec_of(group="home")
    # It knows one person of each home from the 15th on.
    champion = champion_fit_on(spec, today.rows[30::2])
    found = compared(spec, today, champion)
    assert today.rows["person"][found.rows].tolist() == list(range(30))
    assert found.left_out == 10


@pytest.mark.parametrize(
    ("fit_on", "left", "enough"),
    [(10, 30, True), (11, 29, True), (20, 20, True), (21, 19, False), (40, 0, False)],
)
def test_too_few_rows_are_inconclusive_and_the_remedy_is_said(today, fit_on, left, enough):
    spec = spec_of()
    found = found_of(spec, today, champion_fit_on(spec, today.rows[HELD - fit_on :]))
    assert found.champion["left_out"] == fit_on
    if enough:
        assert found.compared_rows == left
        return
    assert found.comparison is None
    verdict = judge(spec, found)
    (check,) = [check for check in verdict.checks if check.name == "champion"]
    assert check.inconclusive
    assert not check.passed
    assert (
        f"its copy without a hold-out was fit on {fit_on} of the 40 hold-out rows, and {left} are too few: "
        "set training.seed and training.holdout as they were for it" in check.detail
    )
    assert "promote it by hand" in check.detail


def test_thirty_rows_are_enough_of_any_hold_out(today):
    spec = spec_of()
    large = TrainingSet(
        "snapshot", "snapshot-x", today.rows, today.features, today.target, np.arange(200) < 100, {}
    )
    for left, enough in ((30, True), (29, False)):
        found = found_of(spec, large, champion_fit_on(spec, today.rows[left:]))
        assert (found.comparison is not None) is enough


def test_a_version_without_a_copy_is_compared_as_it_was_and_the_sentence_says_so(today):
    spec = spec_of()
    found = found_of(spec, today, Champion("old", "snapshot", constant(20.0)), 10.0)
    assert (found.compared_rows, found.champion["seen"], found.champion["left_out"]) == (HELD, True, None)
    said = (
        "which the champion was perhaps trained on: it has no copy that was fit without them, so promote a "
        "challenger by hand once); this hold-out shows a gain of "
    )
    assert said in detail(spec, found)
    assert "(it has no copy that was fit without them), which makes it look better" in card_says(spec, found)


def test_rows_that_have_other_names_now_are_not_taken_for_new_ones(today):
    spec = spec_of()
    named = today.rows.assign(person=today.rows["person"].astype(str))
    for champion, then in (
        (champion_fit_on(spec_of(group="home"), today.rows), "home (number)"),
        (champion_fit_on(spec, named), "person (text)"),
    ):
        found = compared(spec, today, champion)
        assert found.seen
        assert found.rows.sum() == HELD
        assert found.no_copy == f"the rows of its copy are named by {then}, those of today by person (number)"
        assert found.model is champion.model


def test_a_champion_that_cannot_be_used_has_no_copy_that_can(today):
    spec = spec_of()
    found = found_of(spec, today, Champion("old", "snapshot", None, "'evaluated.skops' is gone: restore it"))
    assert found.comparison is None
    assert "'evaluated.skops' is gone: restore it" in detail(spec, found)
    assert judge(spec, found).outcome is not Outcome.PROMOTED
    assert "copy" not in card_says(spec, found)
