"""Drift of features from counts: what is called, what is not, and on which grounds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from evergreen.drift.binning import binning, count_frame
from evergreen.drift.missing import MISSING
from evergreen.drift.unseen import UNSEEN
from evergreen.monitoring import measure
from evergreen.monitoring.cells import count_cells
from evergreen.monitoring.drift import FeatureDrift, Sample, drift_of
from evergreen.signals.drift import Drift
from tests.unit.monitoring.kiosk_records import DAYS as NIGHTS
from tests.unit.monitoring.kiosk_records import KIOSK

LIMITS = Drift()
DAYS, ROWS, FEATURES = 28, 1000, 20
LONG = [f"v{n}" for n in range(150)]
Change = Callable[[pd.DataFrame, np.random.Generator], None]


def from_rows(before: pd.DataFrame) -> Callable[..., dict[str, FeatureDrift]]:
    """The drift of a night's rows from these, which are binned and counted once."""
    made = {name: binning(values) for name, values in before.items()}
    reference = Sample.pooled([count_frame(made, before)])

    def drift_in(now: pd.DataFrame, limits: Drift = LIMITS) -> dict[str, FeatureDrift]:
        return drift_of(made, reference, Sample.pooled([count_frame(made, now)]), limits)

    return drift_in


def drift(before: pd.DataFrame, now: pd.DataFrame, limits: Drift = LIMITS) -> dict[str, FeatureDrift]:
    return from_rows(before)(now, limits)


def column(before: Any, now: Any, limits: Drift = LIMITS) -> FeatureDrift:
    return drift(pd.DataFrame({"x": before}), pd.DataFrame({"x": now}), limits)["x"]


def frame(draw: np.random.Generator, rows: int) -> pd.DataFrame:
    """Twenty features: of these 14 normal or skewed, two counts, a truth value, three categories."""
    numbers = draw.normal(size=(10, rows))
    skewed = draw.exponential(size=(4, rows))
    found = {f"normal{n}": values for n, values in enumerate(numbers)}
    found |= {f"skewed{n}": values for n, values in enumerate(skewed)}
    found |= {"few": draw.poisson(2, rows), "many": draw.poisson(40, rows), "flag": draw.random(rows) < 0.3}
    found["sort"] = pd.Categorical.from_codes(draw.integers(0, 5, rows), [*"abcde", "new"])
    found["long"] = pd.Categorical.from_codes(np.minimum(draw.zipf(1.5, rows), 150) - 1, LONG)
    found["gaps"] = np.where(draw.random(rows) < 0.05, np.nan, draw.normal(size=rows))
    return pd.DataFrame(found)


def shift(rows: pd.DataFrame, draw: np.random.Generator) -> None:
    rows["normal0"] += 0.5


def scale(rows: pd.DataFrame, draw: np.random.Generator) -> None:
    rows["normal0"] *= 1.5


def nulls(rows: pd.DataFrame, draw: np.random.Generator) -> None:
    rows.loc[draw.random(len(rows)) < 0.05, "gaps"] = np.nan


def new_category(rows: pd.DataFrame, draw: np.random.Generator) -> None:
    rows.loc[draw.random(len(rows)) < 0.02, "sort"] = "new"


@pytest.mark.parametrize(
    ("change", "feature", "within", "why"),
    [
        (shift, "normal0", 2, "distribution"),
        (scale, "normal0", 3, "distribution"),
        (nulls, "gaps", 3, "missing"),
        (new_category, "sort", 3, "unseen"),
    ],
)
def test_a_change_is_seen_within_few_nights(change: Change, feature: str, within: int, why: str) -> None:
    seeds = 20
    seen = first = others = 0
    for seed in range(seeds):
        draw = np.random.default_rng(seed)
        # From a window, or from a season of one
        drift_in = from_rows(frame(draw, DAYS * ROWS if seed % 4 == 0 else 3 * ROWS))
        nights = []
        for _ in range(within):
            now = frame(draw, ROWS)
            change(now, draw)
            nights.append(drift_in(now))
        called = [night[feature].drifted and why in night[feature].why for night in nights]
        seen, first = seen + any(called), first + called[0]
        others += sum(found.drifted for night in nights for name, found in night.items() if name != feature)
    print(
        f"{change.__name__}: {seen} of {seeds} within {within} nights, {first} in the first, {others} others"
    )
    assert seen >= 0.95 * seeds
    assert others <= 0.01 * seeds * within * (FEATURES - 1)


def test_no_drift_is_seldom_called() -> None:
    draw = np.random.default_rng(11)
    pairs = called = 0
    for days in (3, DAYS):
        before = frame(draw, days * ROWS)
        made = {name: binning(values) for name, values in before.items()}
        reference = Sample.pooled([count_frame(made, before)])
        for rows in (50, ROWS):
            for _ in range(40):
                night = Sample.pooled([count_frame(made, frame(draw, rows))])
                found = drift_of(made, reference, night, LIMITS).values()
                pairs, called = pairs + len(found), called + sum(one.drifted for one in found)
    print(f"{called} of {pairs} pairs of feature and night without drift were called")
    assert pairs == 2 * 2 * 40 * FEATURES
    assert called < 0.01 * pairs


def test_the_figures_of_a_number_are_those_of_its_rows() -> None:
    draw = np.random.default_rng(0)
    before, now = draw.poisson(3, 4000), draw.poisson(3.4, 500)
    found = column(before, now)
    apart = stats.ks_2samp(before, now, method="asymp")
    assert found.test == "ks"
    assert found.figures["statistic"] == pytest.approx(apart.statistic, abs=1e-9)
    assert found.figures["p"] == pytest.approx(
        stats.kstwobign.sf(np.sqrt(4000 * 500 / 4500) * apart.statistic), abs=1e-9
    )
    # Exact up to the values above all of the training's, which count as its largest.
    within = np.minimum(now, before.max())
    assert found.figures["wasserstein"] == pytest.approx(
        stats.wasserstein_distance(before, within) / before.std(), abs=1e-9
    )
    assert (found.rows, found.reference_rows) == (500, 4000)


def test_the_figures_of_a_category_are_those_of_its_rows() -> None:
    draw = np.random.default_rng(0)
    before, now = draw.choice(list("abcd"), 4000), draw.choice(list("abcd"), 500, p=[0.4, 0.2, 0.2, 0.2])
    table = np.array([[np.sum(side == value) for value in "abcd"] for side in (before, now)])
    expected, actual = table / table.sum(axis=1)[:, None]
    found = column(before, now)
    by_scipy = stats.chi2_contingency(table, correction=False)
    assert (found.test, found.figures["wasserstein"]) == ("chi2", None)
    assert found.figures["statistic"] == pytest.approx(by_scipy.statistic, abs=1e-9)
    assert found.figures["p"] == pytest.approx(by_scipy.pvalue, abs=1e-9)
    assert found.figures["psi"] == pytest.approx(
        float(np.sum((actual - expected) * np.log(actual / expected))), abs=1e-9
    )
    assert found.figures["js"] == pytest.approx(float(jensenshannon(expected, actual, base=2)), abs=1e-9)


def test_significant_but_small_is_no_drift_and_neither_is_large_by_chance() -> None:
    draw = np.random.default_rng(6)
    small = column(draw.normal(size=200_000), draw.normal(loc=0.1, size=200_000))
    assert small.figures["p"] < 1e-9
    assert not small.drifted
    chance = column(draw.normal(size=5000), draw.normal(size=24))
    assert chance.figures["psi"] > LIMITS.psi
    assert not chance.drifted


def test_a_false_discovery_counts_all_features() -> None:
    draw = np.random.default_rng(3)
    before, now = draw.normal(size=(2000, 200)), draw.normal(size=(100, 200))
    now[:, 0] += 0.55
    names = [f"f{n}" for n in range(200)]
    alone = column(before[:, 0], now[:, 0])
    together = drift(pd.DataFrame(before, columns=names), pd.DataFrame(now, columns=names))["f0"]
    assert alone.figures["p"] == together.figures["p"]
    assert 0.01 / 600 < alone.figures["p"] < 0.01 / 3
    assert (alone.drifted, together.drifted) == (True, False)


def test_a_unit_change_of_a_constant_and_of_a_count_is_seen() -> None:
    draw = np.random.default_rng(0)
    assert column(np.full(1000, 5.0), np.full(200, 500.0)).why == ["unseen"]
    counts = draw.poisson(2, 3000)
    assert "unseen" in column(counts, 100 * counts[:300]).why
    assert not column(np.full(1000, 5.0), np.full(200, 5.0)).drifted


def test_everything_missing_is_missing_and_nothing_else() -> None:
    found = column([1.0, 2.0, 3.0] * 50, [np.nan] * 40)
    assert found.why == ["missing"]
    assert (
        found.figures["missing"],
        found.figures["missing_before"],
        found.figures["psi"],
        found.figures["p"],
    ) == (1, 0, 0, 1)


def test_categories_all_new_are_unseen() -> None:
    found = column(["a", "b"] * 200, ["c", "d"] * 50)
    assert found.why == ["unseen"]
    assert (
        found.figures["unseen"],
        found.figures["unseen_before"],
        found.figures["psi"],
        found.figures["js"],
    ) == (1, 0, 0, 0)


def test_a_number_that_comes_as_words_is_unseen() -> None:
    assert column(np.arange(500.0), ["many"] * 50 + ["3"] * 50).why[-1] == "unseen"


def test_a_rare_category_that_becomes_frequent_is_drift() -> None:
    usual = [*[f"v{n}" for n in range(10)] * 1000, *["rare"] * 10]
    found = column(usual, [*usual[:900], *["rare"] * 100])
    assert found.why == ["distribution"]


def test_new_values_that_are_to_be_expected_are_no_drift() -> None:
    draw = np.random.default_rng(1)
    before, now = draw.zipf(1.6, 3000).astype(str), draw.zipf(1.6, 1000).astype(str)
    found = column(before, now)
    assert found.figures["unseen"] > 3 * LIMITS.unseen
    assert found.figures["unseen_before"] == pytest.approx(found.figures["unseen"], abs=LIMITS.unseen)
    assert not found.drifted
    changed = column(before, np.where(draw.random(1000) < 0.1, "new", now))
    assert "unseen" in changed.why


def test_one_odd_row_of_a_small_night_is_no_drift() -> None:
    before = [None] * 28 + ["a", "b"] * 14_000
    found = column(before, [None] * 2 + ["a", "b"] * 11)
    assert found.figures["missing"] > LIMITS.missing + found.figures["missing_before"]
    assert found.rows == 24
    odd = column(["a", "b"] * 1000, ["new"] + ["a", "b"] * 10)
    assert odd.figures["unseen"] > LIMITS.unseen
    assert not odd.drifted


def test_no_rows_are_no_drift_and_json() -> None:
    for before, now in (([], []), ([1.0, 2.0], []), ([np.nan], [1.0])):
        found = column(pd.Series(before, dtype=float), pd.Series(now, dtype=float))
        # On fewer rows than say anything there is no figure.
        assert set(found.figures.values()) == {None}
        assert "distribution" not in found.why
        json.dumps(found.to_dict(), allow_nan=False)


def test_only_features_of_both_samples_are_measured() -> None:
    made = {name: binning(pd.Series([1.0, 2.0])) for name in ("a", "b", "c")}
    both = count_frame(made, pd.DataFrame({"a": [1.0], "b": [2.0]}))
    one = count_frame(made, pd.DataFrame({"b": [2.0], "c": [2.0]}))
    assert list(drift_of(made, Sample.pooled([both]), Sample.pooled([one]), LIMITS)) == ["b"]
    assert drift_of({}, Sample.pooled([both]), Sample.pooled([one]), LIMITS) == {}


def test_cells_add_up() -> None:
    cells = [{"x": [1, 2, 0, 1]}, {"x": np.array([3, 0, 1, 0])}]
    found = Sample.pooled(cells)
    assert found.counts["x"].tolist() == [4, 2, 1, 1]
    assert found.effective == 8
    assert Sample.pooled([]).effective == 0


def test_weighted_rows_are_worth_fewer() -> None:
    cells = [{"x": [50, 50, 0, 0]}, {"x": [80, 20, 0, 0]}]
    found = Sample.pooled(cells, [1.0, 0.5])
    assert found.counts["x"].tolist() == [90, 60, 0, 0]
    assert found.effective == pytest.approx(150**2 / 125)
    # One weight for all is no weight.
    assert Sample.pooled(cells, [0.2, 0.2]).effective == pytest.approx(200)


def test_weights_change_the_sure_and_not_the_far() -> None:
    made = {"x": binning(pd.Series(["a", "b"] * 500))}
    night = Sample({"x": np.array([60, 40, 0, 0])}, 100)
    whole = drift_of(made, Sample({"x": np.array([500, 500, 0, 0])}, 1000), night, LIMITS)["x"]
    less = drift_of(made, Sample({"x": np.array([50.0, 50, 0, 0])}, 200), night, LIMITS)["x"]
    assert whole.figures["psi"] == pytest.approx(less.figures["psi"])
    assert (whole.reference_rows, less.reference_rows) == (1000, pytest.approx(200))
    assert whole.figures["p"] < less.figures["p"]
    table = [[100, 100], [60, 40]]
    assert less.figures["p"] == pytest.approx(
        stats.chi2_contingency(table, correction=False).pvalue, abs=1e-9
    )


@pytest.mark.parametrize("weight", [0.1, 1 / 3, 0.7])
def test_rounded_weights_make_no_drift(weight: float) -> None:
    made = {"x": binning(pd.Series(["a", "b"] * 50))}
    cell = {"x": [0, 0, 37, 613]}
    sides = Sample.pooled([cell, cell], [weight, 1.0]), Sample.pooled([cell] * 3, [weight, 0.9, weight])
    assert not drift_of(made, *sides, LIMITS)["x"].drifted


# --- features that hardly varied ---


def monitored(days: int, rows: int, before: Any, now: Any, limits: Drift = LIMITS) -> FeatureDrift:
    """A feature of so many training days (values by row), in the night after them, as it is measured."""
    spec = KIOSK.model_copy(update={"monitoring": KIOSK.monitoring.model_copy(update={"drift": limits})})
    values = pd.DataFrame({"x": before})
    made = {"x": binning(values["x"])}
    cells = count_cells(spec.calendar, made, values, pd.Series(np.repeat(NIGHTS[:days], rows)))
    counts = count_frame(made, pd.DataFrame({"x": now}))
    where = {"earlier": [], "partition": NIGHTS[days], "version": "v"}
    return measure._drift(spec, made, cells, counts, **where)[0]["x"]


DAY_ROWS = 96
STILL = np.zeros(90 * DAY_ROWS)
ONCE = np.append(np.zeros(90 * DAY_ROWS - 1), 1.0)
WITH_GAPS = np.where(np.arange(90 * DAY_ROWS) // DAY_ROWS % 3 == 0, np.nan, 0.0)


@pytest.mark.parametrize(
    ("before", "now", "why"),
    [
        (STILL, np.arange(DAY_ROWS) + 1.0, ["unseen"]),  # one value in 8,640 rows, then others
        (STILL, np.repeat([0.0, 7.0], DAY_ROWS // 2), ["unseen"]),
        (ONCE, np.ones(DAY_ROWS), ["distribution"]),  # one row in 8,640 had it, then all
        (ONCE, np.full(DAY_ROWS, 0.5), ["unseen"]),  # between the two that there were
        (WITH_GAPS, np.full(DAY_ROWS, 3.0), ["unseen"]),  # days without a value leave few rows to judge by
        (np.full(90 * DAY_ROWS, np.nan), np.ones(DAY_ROWS), ["missing"]),
        (np.full(90 * DAY_ROWS, "a", dtype=object), np.full(DAY_ROWS, "b", dtype=object), ["unseen"]),
    ],
    ids=["moves", "half moves", "rare value", "between", "with gaps", "no value", "category"],
)
def test_a_feature_that_hardly_varied_is_called_on_the_first_night(before: Any, now: Any, why: list) -> None:
    found = monitored(90, DAY_ROWS, before, now)
    assert (found.drifted, found.why) == (True, why)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (STILL, np.zeros(DAY_ROWS)),
        (ONCE, np.append(np.zeros(DAY_ROWS - 1), 1.0)),
        (WITH_GAPS, np.zeros(DAY_ROWS)),
        (WITH_GAPS, np.full(DAY_ROWS, np.nan)),
        (np.full(90 * DAY_ROWS, np.nan), np.full(DAY_ROWS, np.nan)),
    ],
)
def test_and_is_not_where_it_stays_as_it_was(before: Any, now: Any) -> None:
    assert not monitored(90, DAY_ROWS, before, now).drifted


def test_numbers_of_few_values_notice_any_other_and_many_what_lies_beyond() -> None:
    hours = np.tile(np.arange(24.0), 100)
    found = column(hours, np.append(np.tile(np.arange(24.0), 10), [11.5] * 10))
    assert (found.why, found.figures["unseen"]) == (["unseen"], pytest.approx(10 / 250))
    draw = np.random.default_rng(0)
    beyond = column(draw.random(5_000), np.append(draw.random(490), [1.5] * 10))
    assert beyond.figures["unseen"] == pytest.approx(10 / 500, abs=0.004)
    assert "unseen" in beyond.why
    few = column(draw.random(40), draw.random(40))  # each value once: any further one is new, as expected
    assert not few.drifted


def test_a_reference_of_hardly_any_rows_gives_no_figure() -> None:
    """A night whose season is 0.17 independent rows: a PSI of 109 said nothing."""
    made = {"x": binning(pd.Series(np.arange(1000.0)))}
    counts = count_frame(made, pd.DataFrame({"x": np.arange(1000.0)}))
    night = Sample.pooled([count_frame(made, pd.DataFrame({"x": np.arange(2000.0, 2500.0)}))])
    for effective, known in ((0.17, False), (4.9, False), (50.0, True)):
        shares = {"x": counts["x"] * (effective / 1000)}
        found = drift_of(made, Sample(shares, effective), night, LIMITS)["x"]
        assert (found.figures["psi"] is not None, found.drifted) == (known, known)
        assert [one.effect_in(found.to_dict()) is not None for one in (UNSEEN, MISSING)] == [known] * 2
