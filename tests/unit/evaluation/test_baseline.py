from __future__ import annotations

import math

import pytest

from evergreen.evaluation.chance import Chance
from evergreen.evaluation.gate import judge
from evergreen.evaluation.verdict import Outcome
from tests.unit.evaluation.evaluations import compared, details, evaluation_of, outcome, spec_of


@pytest.mark.parametrize(("value", "passed"), [(99.9, True), (100.0, False), (100.1, False)])
def test_the_baseline_must_be_beaten_not_met(value, passed):
    assert outcome(spec_of(), evaluation_of(value, 100.0))["baseline"] is passed


@pytest.mark.parametrize(
    ("own", "reach", "as_good", "metric", "verdict"),
    [
        (90.0, 9.9, 199, "mae", Outcome.PROMOTED),  # clear by the interval
        (90.0, 10.0, 4, "mae", Outcome.PROMOTED),  # clear by the order: 5 of 200 are 2.5 %
        (90.0, 10.0, 5, "mae", Outcome.INCONCLUSIVE),
        (90.0, math.nan, 4, "mae", Outcome.PROMOTED),  # too few blocks for an interval
        (90.0, math.nan, 5, "mae", Outcome.INCONCLUSIVE),
        (100.0, 0.0, 0, "mae", Outcome.WORSE),
        (105.0, 6.0, 0, "mae", Outcome.WORSE),
        (0.9, 0.0, 4, "accuracy", Outcome.PROMOTED),
        # Labels thrown at random beat the constant of many a metric of classes: the order alone counts.
        (0.9, 0.0, 5, "accuracy", Outcome.INCONCLUSIVE),
    ],
)
def test_a_first_champion_beats_the_baseline_beyond_chance(own, reach, as_good, metric, verdict):
    """R2: labels drawn at random gave a champion in 5 of 6 draws, by a comparison of two values."""
    baseline = 100.0 if metric == "mae" else 0.5
    evaluation = evaluation_of(
        own,
        baseline,
        metric=metric,
        against_baseline=compared(own, baseline, reach, metric),
        chance=Chance(199, as_good),
    )
    spec = spec_of(metric)
    assert judge(spec, evaluation).outcome is verdict
    if verdict is Outcome.INCONCLUSIVE:
        said = "so are its own predictions in 5 of 199 random orders (2.5% of them at most"
        assert said in details(spec, evaluation)["baseline"]


@pytest.mark.parametrize(
    ("own", "champion", "reach", "passed", "inconclusive"),
    [
        (2.79, 2.93, 0.1, True, False),  # P4d: clearly worse than the dummy's 1.93, better than the champion
        (2.79, 2.93, math.nan, True, False),
        (1.50, 2.93, 0.1, True, False),
        (1.50, 1.20, 0.1, True, False),
        (2.79, 2.70, 0.1, False, False),
        (2.79, 2.70, 0.9, False, True),  # perhaps no worse than the dummy
        (2.79, 2.70, math.nan, False, True),
    ],
)
def test_where_there_is_a_champion_the_baseline_does_not_refuse_what_is_better_than_it(
    own, champion, reach, passed, inconclusive
):
    evaluation = evaluation_of(own, 1.93, champion, against_baseline=compared(own, 1.93, reach))
    found = next(check for check in judge(spec_of(), evaluation).checks if check.name == "baseline")
    assert (found.passed, found.inconclusive) == (passed, inconclusive)


def test_a_baseline_that_was_not_compared_fails():
    for evaluation in (evaluation_of(41.0, None), evaluation_of(41.0, against_baseline=None)):
        assert judge(spec_of(), evaluation).outcome is Outcome.WORSE
        assert "they cannot be compared" in details(spec_of(), evaluation)["baseline"]
