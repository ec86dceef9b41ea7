"""What `evergreen check` says of the policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evergreen.calendar import Grain
from evergreen.monitoring.in_words import lengths_in_words, policy_in_words
from evergreen.signals import SIGNALS
from evergreen.spec import Approval, Labels, Monitoring, Spec, Task, Training
from evergreen.spec.features import Features
from evergreen.units import SinceChange
from tests.unit.monitoring.kiosk_records import KIOSK


def of(grain: Grain, window: str = "365 days", **monitoring: Any) -> Spec:
    candidates = [{"estimator": "sklearn.linear_model.Ridge"}]
    training = Training.model_validate(
        {"metric": "mae", "candidates": candidates, "window": window, "minimum": "1 partition"}
    )
    watched = Monitoring.model_validate(monitoring)
    update = {"partition": grain, "training": training, "monitoring": watched, "features": Features()}
    return KIOSK.model_copy(update=update)


def said(spec: Spec) -> str:
    return " ".join(policy_in_words(spec))


BREAKER = "After 3 challengers in a row were worse the breaker opens, and no training starts"
UNDECIDED = "A challenger that the gate cannot decide on (inconclusive) does not count as worse"
TRIAL = (
    f"{UNDECIDED}. It goes on trial: night by night it predicts beside the champion, and is promoted "
    "once it is clearly better."
)


@pytest.mark.parametrize(
    ("grain", "word", "new", "limits", "breaker"),
    [
        (
            Grain.HOURLY,
            "hour",
            "2628 hours",
            "at most every 876 hours, so the budget of 6 in 30 hours is never spent",
            ("168 hours", "24 hours"),
        ),
        (
            Grain.DAILY,
            "day",
            "110 days",
            "at most every 36 days, so the budget of 6 in 30 days is never spent",
            ("28 days", "5 days"),
        ),
        (
            Grain.WEEKLY,
            "week",
            "16 weeks",
            "at most every 5 weeks, so the budget of 6 in 30 weeks is never spent",
            ("8 weeks", "3 weeks"),
        ),
        (
            Grain.MONTHLY,
            "month",
            "4 months",
            "at most every 1 month and at most 6 in 30 months",
            ("3 months", "2 months"),
        ),
    ],
)
def test_the_defaults_of_a_grain(
    grain: Grain, word: str, new: str, limits: str, breaker: tuple[str, str]
) -> None:
    assert policy_in_words(of(grain)) == [
        "Any of 2 signals starts a training. cusum: the mean absolute error has become worse for good: its "
        f"CUSUM is above 8 standard deviations from {word} to {word} (slack 0.5 each {word}). renewal: at "
        f"least 30% of the training window ({new} of a full one) came after the last training, and that one "
        "helped: its challenger was promoted, or is on trial and at least 1% better so far (then twice as "
        "much).",
        f"A training starts {limits}.",
        f"{BREAKER} for {breaker[0]}, or until the mean absolute error over {breaker[1]} is worse than "
        "before by 25%: then one may start.",
        TRIAL,
    ]


def test_the_page_has_the_words_for_a_daily_pipeline() -> None:
    page = (Path(__file__).parents[3] / "docs" / "monitoring.md").read_text()
    quoted = " ".join(line.removeprefix("> ") for line in page.splitlines() if line.startswith("> "))
    assert said(of(Grain.DAILY)) in quoted


def test_a_snapshot_has_no_lengths_and_no_trials() -> None:
    assert policy_in_words(of(Grain.SNAPSHOT)) == [
        "One signal starts a training. performance: the mean absolute error is worse than promised by more "
        "than 25%.",
        f"{BREAKER} until a person promotes one.",
        f"{UNDECIDED}, and is not promoted.",
    ]


def test_a_signal_that_needs_time_starts_nothing_in_a_snapshot() -> None:
    words = said(of(Grain.SNAPSHOT, retrain={"on": ["cusum", "staleness"]}))
    assert words.startswith("No signal starts a training.")


def test_what_is_written_is_said() -> None:
    retrain = {"cooldown": "10 days", "budget": "2 per 3 months", "refusals": 1, "half_open": "1 year"}
    found = said(of(Grain.WEEKLY, retrain=retrain, performance={"over": "1 partition", "tolerance": "40%"}))
    assert "A training starts at most every 10 days and at most 2 in 3 months." in found
    assert (
        "After a challenger was worse the breaker opens, and no training starts for 1 year, or until the "
        "mean absolute error over 1 week is worse than before by 40%" in found
    )


def test_without_a_cooldown_the_budget_is_the_only_limit() -> None:
    assert "A training starts at most 6 in 30 days." in said(of(Grain.DAILY, retrain={"cooldown": 0}))


def test_a_schedule_and_a_person_and_late_labels_are_said() -> None:
    spec = of(Grain.DAILY)
    scheduled = spec.training.model_copy(update={"schedule": "0 3 * * 1"})
    found = said(spec.model_copy(update={"training": scheduled}))
    assert "Its schedule starts trainings as well: 0 3 * * 1." in found
    asked = spec.gate.model_copy(update={"approval": Approval()})
    assert f"{UNDECIDED}: a person is asked." in said(spec.model_copy(update={"gate": asked}))
    labels = Labels(source=KIOSK.sources["sales"], delay="7 partitions")
    found = said(spec.model_copy(update={"labels": labels}))
    assert "predicts beside the champion (labels come 7 days later), and is promoted" in found
    assert "Any of 4 signals" in found


@pytest.mark.parametrize("grain", Grain)
@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("late", [True, False])
def test_the_signals_that_are_said_are_those_in_force(grain: Grain, task: Task, late: bool) -> None:
    labels = Labels(source=KIOSK.sources["sales"], delay="2 partitions") if late else None
    metric = {Task.REGRESSION: "mae", Task.CLASSIFICATION: "roc_auc", Task.CLUSTERING: "silhouette"}[task]
    spec = of(grain)
    training = spec.training.model_copy(update={"metric": metric})
    spec = spec.model_copy(update={"task": task, "training": training, "labels": labels})
    signals = policy_in_words(spec)[0]
    named = {name for name in SIGNALS if f" {name}: " in signals}
    timed = grain is not Grain.SNAPSHOT
    assert named == {name for name in spec.signals if timed or "time" not in SIGNALS[name].needs}


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


def test_a_window_since_a_change_is_told_by_its_longest() -> None:
    spec = of(Grain.MONTHLY)
    training = spec.training.model_copy(update={"window": SinceChange(400, "day")})
    said = lengths_in_words(spec.model_copy(update={"training": training}))
    assert said == "training.window since change, at most 400 days: 14 months, rounded up"


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
