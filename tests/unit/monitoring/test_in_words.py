"""What `evergreen check` says of a policy's limits."""

from __future__ import annotations

from typing import Any

import pytest

from evergreen.calendar import Grain
from evergreen.monitoring.in_words import lengths_in_words, policy_in_words
from evergreen.spec import Monitoring, Spec, Training
from evergreen.spec.features import Features
from tests.unit.monitoring.kiosk_records import KIOSK


def of(grain: Grain, window: str = "365 days", **monitoring: Any) -> Spec:
    candidates = [{"estimator": "sklearn.linear_model.Ridge"}]
    training = Training.model_validate(
        {"metric": "mae", "candidates": candidates, "window": window, "minimum": "1 partition"}
    )
    watched = Monitoring.model_validate(monitoring)
    update = {"partition": grain, "training": training, "monitoring": watched, "features": Features()}
    return KIOSK.model_copy(update=update)


@pytest.mark.parametrize(
    ("grain", "said"),
    [
        (
            Grain.HOURLY,
            "a training at most every 876 hours, at most 6 in 30 hours; performance is judged over 24 hours; "
            "after 3 challengers in a row were worse, none for 168 hours",
        ),
        (
            Grain.DAILY,
            "a training at most every 36 days, at most 6 in 30 days; performance is judged over 5 days; "
            "after 3 challengers in a row were worse, none for 28 days",
        ),
        (
            Grain.WEEKLY,
            "a training at most every 5 weeks, at most 6 in 30 weeks; performance is judged over 3 weeks; "
            "after 3 challengers in a row were worse, none for 8 weeks",
        ),
        (
            Grain.MONTHLY,
            "a training at most every 1 month, at most 6 in 30 months; performance is judged over 2 months; "
            "after 3 challengers in a row were worse, none for 3 months",
        ),
        (Grain.SNAPSHOT, "no training after 3 challengers in a row were worse, until a person promotes one"),
    ],
)
def test_the_defaults_of_a_grain(grain: Grain, said: str) -> None:
    assert policy_in_words(of(grain)) == said


def test_what_is_written_is_said() -> None:
    retrain = {"cooldown": "10 days", "budget": "2 per 3 months", "refusals": 1, "half_open": "1 year"}
    found = policy_in_words(of(Grain.WEEKLY, retrain=retrain, performance={"over": "1 partition"}))
    assert found == (
        "a training at most every 10 days, at most 2 in 3 months; performance is judged over 1 week; after a "
        "challenger was worse, none for 1 year"
    )


RETRAIN = {"cooldown": "10 days", "budget": "2 per 3 months"}


@pytest.mark.parametrize(
    ("grain", "written", "said"),
    [
        (Grain.DAILY, {"retrain": {"cooldown": "10 days", "half_open": "3 partitions"}}, ""),
        (Grain.DAILY, {"retrain": {"cooldown": "2 weeks"}}, "monitoring.retrain.cooldown 2 weeks: 14 days"),
        (
            Grain.DAILY,
            {"performance": {"over": "1 month"}, "health": {"age": "1 year"}},
            "monitoring.health.age 1 year: about 366 days; "
            "monitoring.performance.over 1 month: about 31 days",
        ),
        (
            Grain.WEEKLY,
            {"retrain": RETRAIN},
            "training.window 365 days: 53 weeks, rounded up; monitoring.retrain.cooldown 10 days: 2 weeks, "
            "rounded up; monitoring.retrain.budget 2 per 3 months: about 14 weeks",
        ),
        (
            Grain.MONTHLY,
            {"retrain": RETRAIN, "drift": {"trailing": "1 year"}},
            "training.window 365 days: 12 months, rounded up; monitoring.retrain.cooldown 10 days: 1 month, "
            "rounded up; monitoring.drift.trailing 1 year: 12 months",
        ),
        (Grain.SNAPSHOT, {"retrain": RETRAIN}, ""),
    ],
)
def test_what_lengths_come_to(grain: Grain, written: dict[str, Any], said: str) -> None:
    assert lengths_in_words(of(grain, **written)) == said


def test_every_length_that_can_be_written_is_found() -> None:
    spec = of(Grain.DAILY)
    content = {
        **spec.model_dump(exclude={"folder", "feature_sets"}),
        "monitoring": {},
        "features": {"look_back": "1 week"},
        "gate": {"champion": {"block": "2 weeks"}},
        "folder": spec.folder,
    }
    content["training"] = {
        "metric": "mae",
        "candidates": [{"estimator": "sklearn.linear_model.Ridge"}],
        "window": "1 year",
        "holdout": "2 months",
        "minimum": "3 months",
        "tuning": {"gap": "36 hours"},
        "recency": "half-life 3 weeks",
    }
    assert lengths_in_words(Spec.model_validate({**content, "sources": spec.sources})) == (
        "features.look_back 1 week: 7 days; training.window 1 year: about 366 days; "
        "training.minimum 3 months: about 92 days; training.holdout 2 months: about 61 days; "
        "training.tuning.gap 36 hours: 2 days, rounded up; training.recency half-life 3 weeks: 21 days; "
        "gate.champion.block 2 weeks: 14 days"
    )
