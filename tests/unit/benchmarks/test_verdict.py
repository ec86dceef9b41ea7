"""What must hold over the suite, on outcomes made by hand."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from benchmarks.histories.outcome import DEFAULT, Outcome, Run
from benchmarks.histories.page import image, page
from benchmarks.histories.verdict import broken, verdict


def outcome(
    default: tuple[float, int], *schedules: tuple[str, float, int], name: str = "made", metric: str = "mae",
    drift: str = "gradual", years: float = 2.0, after: dict[str, float] | None = None,
) -> Outcome:  # fmt: skip
    """An outcome; `after` is the default's error after each break, where all schedules have 10."""
    theirs = dict.fromkeys(after or {}, 10.0)
    runs = [Run(DEFAULT, *default, promotions=1, after=after or {})]
    runs += [Run(policy, value, trainings, 1, after=theirs) for policy, value, trainings in schedules]
    return Outcome(name, "made by hand", drift, metric, years, tuple(runs))


FOUR = (("never", 20.0, 1), ("every 40", 16.0, 4), ("every 10", 12.0, 16))


def test_the_curve_is_straight_over_the_logarithm_of_trainings():
    # 8 lies in the middle of 4 and 16: the curve is at 14.
    found = outcome((14.7, 8), *FOUR)
    assert found.curve == pytest.approx(14.0)
    assert found.above_curve == pytest.approx(0.05)
    assert found.above_never == pytest.approx(14.7 / 20 - 1)
    assert (found.best.policy, found.never.value) == ("every 10", 20.0)
    assert outcome((13.0, 30), *FOUR).curve == 12.0  # beyond the curve it is its end


def test_a_metric_with_a_best_value_is_compared_by_the_distance_from_it():
    found = outcome((0.78, 1), ("never", 0.80, 1), ("every 9", 0.8, 3), metric="roc_auc")
    assert found.above_never == pytest.approx(0.10)
    assert found.above_curve == pytest.approx(0.10)
    assert found.best.policy == "never"  # of the same error the one that trains least


def test_every_line_holds_or_names_who_breaks_it():
    good = outcome((13.9, 8), *FOUR, name="good", after={"2024-02": 11.0})
    held = verdict([good] * 3 + [outcome((14.1, 8), *FOUR, name="near")])
    assert [line.holds for line in held] == [True] * 5
    assert held[0].says.startswith("on or under the curve on 3 of 4 histories")
    late = outcome((14.5, 8), *FOUR, name="late", after={"2024-02": 12.0})
    lines = verdict([good, late])
    assert [line.holds for line in lines] == [False, False, True, False, True]
    assert all("late" in lines[number].says for number in (0, 1, 3))
    assert [line.figure.value for line in lines[:4]] == pytest.approx([50, 100 * (14.5 / 14 - 1), -27.5, 20])
    assert broken(late) == 2
    worse = outcome((20.3, 1), *FOUR, name="worse")
    assert [line.holds for line in verdict([good, good, good, worse])] == [True, True, False, True, True]


@pytest.mark.parametrize(("trainings", "years", "holds"), [(1, 0.1, True), (2, 0.1, True), (3, 0.9, False),
                                                           (4, 2.1, True), (5, 2.9, False)])  # fmt: skip
def test_one_retraining_a_year_begun_where_nothing_drifts(trainings: int, years: float, holds: bool):
    still = outcome((12.0, trainings), *FOUR, drift="none", years=years, name="calm")
    line = verdict([still])[-1]
    assert line.holds is holds
    assert ("calm" in line.says) is not holds
    assert verdict([outcome((12.0, 16), *FOUR)])[-1].holds  # where something does, no number is too large


def test_an_outcome_comes_back_from_json():
    found = outcome((13.9, 8), *FOUR, after={"2024-02": 11.0})
    assert Outcome.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_the_page_shows_every_history_and_escapes():
    shown = [outcome((14.7, 8), *FOUR, name="a<b"), outcome((13.0, 8), *FOUR, name="plain")]
    html = page(shown, verdict(shown), ["history"], [[one.history] for one in shown])
    assert "a<b" not in html
    assert html.count("<polyline") == 2
    assert 'circle class="worse"' in html
    assert 'circle class="better"' in html
    drawn = ElementTree.fromstring(image(shown))
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    places = [part.get("transform") for part in drawn if part.tag.endswith("}g")]
    assert places == ["translate(0 0)", "translate(316 0)"]
