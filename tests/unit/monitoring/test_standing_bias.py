"""A standing bias: by hand, by simulation of nights that err alike, and in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from evergreen.calendar import Grain, Length
from evergreen.evaluation.confidence import reach
from evergreen.monitoring.policy import decide
from evergreen.monitoring.standing_bias import StandingBias, judged_nights, standing_bias
from evergreen.monitoring.trainings import Training
from evergreen.signals.performance import Performance
from evergreen.signals.record import Record
from evergreen.spec import Retrain, Spec, parse_spec
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK, record

IRIS = parse_spec(Path(__file__).parents[3] / "include" / "pipelines" / "iris" / "pipeline.yaml")


def quiet(over: int | Length = 5, partition: Grain = Grain.DAILY) -> Spec:
    """The kiosk in another grain, whose only signal never fires."""
    retrain = Retrain(on=("performance",))
    performance = Performance(over=over, tolerance=9.0)
    monitoring = KIOSK.monitoring.model_copy(update={"retrain": retrain, "performance": performance})
    return KIOSK.model_copy(update={"monitoring": monitoring, "partition": partition})


def nights(
    biases: Sequence[float], absolute: float = 2.5, first: int = 0, spec: Spec = KIOSK
) -> list[Record]:
    keys = DAYS
    if spec.partition is not Grain.DAILY:
        start = spec.calendar.key_of_day(KIOSK.start)
        keys = [spec.calendar.shift(start, n) for n in range(first + len(biases))]
    return [
        record(first + n, partition=keys[first + n], bias=bias, absolute=absolute)
        for n, bias in enumerate(biases)
    ]


def scattered(mean: float, count: int, spread: float = 0.3) -> list[float]:
    """Biases of nights about their mean, first above it and then below."""
    return [mean + spread * (-1) ** n for n in range(count)]


def stands(biases: Sequence[float], absolute: float = 2.5, spec: Spec | None = None) -> bool:
    found = standing_bias(spec or quiet(), nights(biases, absolute, spec=spec or quiet()))
    return found is not None and found.stands


@pytest.mark.parametrize("shift", [2.0, -2.0])
def test_a_constant_shift_is_called_after_the_fewest_nights(shift: float) -> None:
    assert standing_bias(quiet(), nights(scattered(shift, 6))) is None
    assert stands(scattered(shift, 7))
    assert stands([shift] * 7)
    assert not stands([0.0] * 7)
    # where the mean absolute error is larger than twice the shift, it is certain and does not matter
    assert not stands(scattered(shift, 60), absolute=4.1)
    assert stands(scattered(shift, 60), absolute=3.9)


@pytest.mark.parametrize(
    ("grain", "over", "wanted"),
    [
        (Grain.MONTHLY, 5, 5),
        (Grain.MONTHLY, 2, 4),
        (Grain.WEEKLY, 5, 5),
        (Grain.DAILY, 5, 7),
        (Grain.DAILY, 14, 14),
        (Grain.HOURLY, 5, 168),
        (Grain.HOURLY, Length(10, "day"), 240),
    ],
)
def test_a_week_of_days_or_hours_is_judged_together(grain: Grain, over: int | Length, wanted: int) -> None:
    spec = quiet(over, grain)
    assert judged_nights(spec, spec.calendar.key_of_day(KIOSK.start)) == wanted
    assert not stands(scattered(2.0, wanted - 1, 0.05), spec=spec)
    assert stands(scattered(2.0, wanted, 0.05), spec=spec)


def test_one_weekday_that_is_off_the_other_way_is_no_standing_bias() -> None:
    week = [1.0, 1.0, 1.0, 1.0, 1.0, -2.5, -2.5]
    assert not any(stands((week * 8)[:n], absolute=1.0) for n in range(57))


def test_nights_count_by_their_rows() -> None:
    rows = nights([-2.0, *[2.0] * 7])
    few = [record(0, bias=-50.0, absolute=50.0, labelled=1), *rows[1:]]
    found = standing_bias(quiet(), few)
    assert found is not None
    assert found.mean == pytest.approx((7 * 4 * 2.0 - 50.0) / 29)
    assert found.bias == 2.0


def test_what_is_over_is_not_said_any_more() -> None:
    assert stands(scattered(2.0, 20))
    assert not stands([*scattered(2.0, 20), *scattered(0.0, 7)])


def test_unknown_for_what_has_no_nights_or_is_no_regression() -> None:
    snapshot = [record(0, partition="snapshot", bias=2.0, absolute=2.0)]
    assert decide(IRIS, snapshot, []).evidence["standing_bias"] is None
    assert standing_bias(quiet(), [record(n, bias=None) for n in range(30)]) is None
    assert standing_bias(quiet(), [record(n, None, bias=2.0, absolute=2.0) for n in range(30)]) is None


@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_nights_that_err_alike_without_a_bias_are_called_in_at_most_5_percent_of_runs(
    correlation: float,
) -> None:
    """Runs of 60 nights of 24 rows, looked at after every night; half of the variance is the nights' own."""
    random, runs, called, spec = np.random.default_rng(5), 150, 0, quiet()
    for _ in range(runs):
        own = np.empty(60)
        own[0] = random.normal()
        for n in range(1, 60):
            own[n] = correlation * own[n - 1] + math.sqrt(1 - correlation**2) * random.normal()
        errors = math.sqrt(0.5) * (own[:, None] + random.normal(size=(60, 24)))
        rows = [
            record(n, bias=float(errors[n].mean()), absolute=float(np.abs(errors[n]).mean()), labelled=24)
            for n in range(60)
        ]
        found = (standing_bias(spec, rows[:n]) for n in range(7, 61))
        called += any(one is not None and one.stands for one in found)
    assert called <= 0.05 * runs


def test_it_is_said_with_the_night_and_asks_for_no_training() -> None:
    history = [Training(DAYS[0], "promoted", version="v1")]
    decision = decide(quiet(), nights(scattered(-2.0, 14)), history)
    assert not decision.retrain
    assert decision.reason.endswith(
        "; a standing bias: 2.043 less than the actual value is predicted over the last 7 days, with a mean "
        "absolute error of 2.5"
    )
    assert decision.evidence["standing_bias"] == {
        "stands": True,
        "bias": pytest.approx(-2 - 0.3 / 7),
        "absolute": 2.5,
        "partitions": 7,
        "first": DAYS[7],
        "mean": pytest.approx(-2.0),
        # by hand: the variance of the mean of 14 nights that are 0.3 off it and not correlated
        "reach": pytest.approx(reach(0.3**2 / 13, 14, 0.005)),
        "nights": 14,
    }
    other = decide(quiet(), nights(scattered(-1.0, 14)), history)
    assert "bias" not in other.reason
    assert other.evidence["standing_bias"]["stands"] is False


def test_a_training_that_was_not_promoted_does_not_hide_it() -> None:
    rows, history = nights(scattered(2.0, 40)), [Training(DAYS[0], "promoted", version="v1")]
    refused = [*history, Training(DAYS[30], "worse", version="v2")]
    assert all("standing bias" in decide(quiet(), rows[:n], refused).reason for n in range(30, 41))
    # of a new champion only its own nights count
    new = [*rows[:30], *(record(n, version="v2", bias=2.0, absolute=2.5) for n in range(30, 40))]
    promoted = [*history, Training(DAYS[30], "promoted", version="v2")]
    told = ["standing bias" in decide(quiet(), new[:n], promoted).reason for n in range(31, 41)]
    assert told == [False] * 6 + [True] * 4


def test_the_words_of_a_month() -> None:
    spec = quiet(5, Grain.MONTHLY)
    found = StandingBias(True, 2.04, 2.98, 5, "2024-01", 2.04, 0.5, 5)
    assert found.words(spec.calendar) == (
        "a standing bias: 2.04 more than the actual value is predicted over the last 5 months, with a mean "
        "absolute error of 2.98"
    )
    assert StandingBias(False, 0.0, 1.0, 5, "2024-01", 0.0, math.inf, 5).to_dict()["reach"] is None
