"""The signals: when each fires, and what it says, to the letter."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Grain
from evergreen.monitoring.policy import findings, nights_of
from evergreen.signals import SIGNALS, Finding
from evergreen.signals.bias import Bias
from evergreen.signals.drift import Drift
from evergreen.signals.performance import Cusum, Performance, beyond_tolerance
from evergreen.signals.record import Record
from evergreen.signals.sequential import cusum
from evergreen.signals.skew import Skew
from evergreen.signals.staleness import Staleness
from evergreen.spec import Monitoring, Retrain, Spec, Task, parse_spec
from evergreen.units import Times
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK, record

IRIS = parse_spec(Path(__file__).parents[3] / "include" / "pipelines" / "iris" / "pipeline.yaml")
TWO_OF_THREE = Times(2, 3)


def described(
    *on: str, over: int = 3, tolerance: float = 0.25, when: Times = TWO_OF_THREE, of: Spec = KIOSK
) -> Spec:
    monitoring = Monitoring(
        performance=Performance(tolerance=tolerance, over=over, cusum=Cusum(k=0.5, h=4)),
        drift=Drift(share=0.5),
        bias=Bias(k=0.02, h=0.5, unseen=0.2),
        staleness=Staleness(unseen=0.5),
        retrain=Retrain(on=on, when=when),
    )
    return of.model_copy(update={"monitoring": monitoring})


def metric(spec: Spec, name: str) -> Spec:
    return spec.model_copy(update={"training": spec.training.model_copy(update={"metric": name})})


def the(spec: Spec, records: list[Record]) -> Finding:
    (signal,) = findings(spec, [replace(one, metric=spec.training.metric) for one in records]).values()
    return signal


def said(spec: Spec, records: list[Record]) -> tuple[bool, str]:
    signal = the(spec, records)
    assert signal.to_dict() == {"fires": signal.fires, "clause": signal.clause, **signal.figures}
    return signal.fires, signal.clause


def test_every_signal_can_be_asked_for_and_has_words() -> None:
    assert list(findings(described(*SIGNALS), [record(0)])) == list(SIGNALS)
    for name, signal in SIGNALS.items():
        assert (signal.name, bool(signal.words), bool(signal.fires_when)) == (name, True, True)


# performance


def test_performance_beyond_the_tolerance_fires() -> None:
    rows = [record(0, 12.5), record(1, 12.5), record(2, 12.6)]
    fires, clause = said(described("performance"), rows)
    assert (fires, clause) == (True, "mean absolute error 12.5 over the last 3 days against 10.0 promised")
    assert the(described("performance"), rows).figures == {
        "error": pytest.approx(37.6 / 3),
        "promised": 10.0,
        "tolerance": 0.25,
        "partitions": 3,
        "first": DAYS[0],
        "last": DAYS[2],
    }


def test_performance_at_the_tolerance_does_not() -> None:
    assert said(described("performance"), [record(n, 12.5) for n in range(3)]) == (
        False,
        "mean absolute error 12.5 over the last 3 days against 10.0 promised (tolerance 25%)",
    )


def test_performance_is_weighted_by_rows() -> None:
    # (2 x 100 + 18 x 10) / 20 = 19; unweighted it would be 55
    rows = [record(0, 100.0, labelled=2), record(1, 10.0, labelled=18)]
    assert not the(described("performance", over=2, tolerance=0.95), rows).fires
    assert the(described("performance", over=2, tolerance=0.85), rows).fires


def test_performance_where_higher_is_better() -> None:
    # Half of the 0.1 that the promise lacks to 1.
    spec = metric(described("performance", tolerance=0.5), "accuracy")
    assert said(spec, [record(n, 0.86, promised=0.9) for n in range(3)]) == (
        False,
        "accuracy 0.860 over the last 3 days against 0.900 promised (tolerance 50% of the distance from 1)",
    )
    assert said(spec, [record(n, 0.84, promised=0.9) for n in range(3)]) == (
        True,
        "accuracy 0.840 over the last 3 days against 0.900 promised",
    )


def test_a_fall_of_an_area_from_901_to_837_is_beyond_the_default_tolerance() -> None:
    nights = nights_of(metric(described("performance"), "roc_auc"), [record(0)])
    assert beyond_tolerance(nights.metric, nights.watched, 0.837, 0.901)
    assert beyond_tolerance(nights.metric, nights.watched, 0.8762, 0.901)
    assert not beyond_tolerance(nights.metric, nights.watched, 0.8763, 0.901)


def test_too_few_partitions_with_labels_say_so() -> None:
    rows = [
        record(0, 99.0),
        record(1, None),
        record(2, 99.0),
        record(3, 99.0, promised=None),
        record(4, 99.0, labelled=0),
    ]
    assert said(described("performance"), rows) == (
        False,
        "labels of 2 of the 3 days that performance is judged by",
    )


def test_the_newest_labelled_partitions_count_and_are_named_where_they_are_not_the_last() -> None:
    rows = [record(n, 99.0 if n < 5 else None) for n in range(7)]
    assert said(described("performance"), rows) == (
        True,
        "mean absolute error 99.0 over 3 days from 2024-01-03 to 2024-01-05 against 10.0 promised",
    )
    holes = [record(n, 99.0) for n in (0, 1, 4)]
    assert "over 3 days from 2024-01-01 to 2024-01-05 against" in the(described("performance"), holes).clause
    one = [record(n, 99.0 if n < 5 else None) for n in range(7)]
    assert "over 2024-01-05 against" in the(described("performance", over=1), one).clause
    assert "over the last day against" in the(described("performance", over=1), one[:5]).clause


def test_an_hourly_pipeline_counts_hours() -> None:
    hourly = described("performance", of=KIOSK.model_copy(update={"partition": Grain.HOURLY}))
    rows = [record(n, 99.0, partition=f"2024-01-01T{n:02}") for n in range(3)]
    assert "over the last 3 hours against" in the(hourly, rows).clause


def test_a_snapshot_is_judged_by_itself() -> None:
    spec = described("performance", "cusum", "drift", of=IRIS)
    row = record(0, 0.5, partition="snapshot", promised=0.95, drifted_share=0.6, metric="accuracy")
    found = findings(spec, [row]).values()
    assert [(signal.fires, signal.clause) for signal in found] == [
        (True, "accuracy 0.500 against 0.950 promised"),
        (False, "a snapshot has no CUSUM"),
        (True, "at least 50% of the features drifted on the snapshot (60% on the newest)"),
    ]


@pytest.mark.parametrize(
    ("error", "promised", "said"),
    [
        (71.24, 38.0, "71.2 over the last day against 38.0 promised"),
        (12345.6, 9876.5, "12,346 over the last day against 9,876 promised"),
        (0.00123, 0.001, "0.00123 over the last day against 0.00100 promised"),
        (1.2e-9, 1e-9, "1.2e-09 over the last day against 1e-09 promised"),
        (10.004, 10.001, "10.004 over the last day against 10.001 promised"),  # told apart
        (3.0, 0.0, "3.00 over the last day against 0 promised"),
    ],
)
def test_figures_have_the_digits_that_tell_them_apart(error: float, promised: float, said: str) -> None:
    rows = [record(0, error, promised=promised)]
    assert the(described("performance", over=1, tolerance=0), rows).clause == f"mean absolute error {said}"


# cusum


def test_the_cusum_is_pages_over_the_labelled_partitions() -> None:
    errors = [10.2, 12.0, None, 11.5, 12.5, 12.0]
    rows = [record(n, error) for n, error in enumerate(errors)]
    known = [row for row in rows if row.error is not None]
    expected = cusum(
        [row.error for row in known], 10.0, 1.0, 0.5, 4.0, partitions=[row.partition for row in known]
    )
    assert said(described("cusum"), rows) == (True, "CUSUM crossed on 2024-01-05")
    assert the(described("cusum"), rows).figures == {
        "sum": expected.sum,
        "limit": 4.0,
        "since": DAYS[1],
        "at": DAYS[4],
        "usual": 10.0,
        "spread": 1.0,
        "partitions": 5,
    }
    assert said(described("cusum"), rows[:4]) == (False, "CUSUM 2.5 of 4")


def test_a_cusum_that_came_down_again_no_longer_fires() -> None:
    rows = [record(n, error) for n, error in enumerate([12.5, 12.5, 12.5, 9.0, 8.0, 7.0])]
    assert the(described("cusum"), rows[:3]).fires
    assert not the(described("cusum"), rows).fires


def test_the_cusum_where_higher_is_better() -> None:
    spec = metric(described("cusum"), "accuracy")
    falls = [record(n, 0.9 - 0.1 * n, promised=0.9, usual=0.9, spread=0.05) for n in range(5)]
    rises = [record(n, 0.5 + 0.1 * n, promised=0.5, usual=0.5, spread=0.05) for n in range(5)]
    assert the(spec, falls).fires
    assert not the(spec, rises).fires


def test_a_cusum_without_labels_or_spread_says_so() -> None:
    assert said(described("cusum"), [record(0, None)]) == (False, "no labels for a CUSUM")
    for spread in (None, 0.0):
        assert said(described("cusum"), [record(n, 99.0, spread=spread) for n in range(9)]) == (
            False,
            "the hold-out has too few partitions for a CUSUM",
        )


# of single partitions


def test_an_estimate_is_marked_as_one() -> None:
    spec = metric(described("estimate", tolerance=0.1), "accuracy")
    rows = [record(n, None, promised=0.9, estimated=value) for n, value in enumerate((0.7, 0.9, 0.75))]
    assert said(spec, rows) == (
        True,
        "accuracy estimated without labels over 10% worse than promised on 2 of the last 3 days "
        "(0.750 against 0.900 promised)",
    )
    assert said(spec, rows[:2]) == (
        False,
        "accuracy estimated without labels over 10% worse than promised on 1 of the last 2 days "
        "(2 wanted; 0.900 against 0.900 promised)",
    )
    assert said(spec, [*rows, record(3, None)]) == (False, "no estimate of the accuracy without labels")


DRIFTED = {
    "wind": {"psi": 0.31, "drifted": True, "why": ["distribution"]},
    "hour": {"psi": 2.5, "drifted": False, "why": []},
    "rain": {
        "psi": 0.7,
        "drifted": True,
        "why": ["missing", "distribution"],
        "missing": 0.08,
        "missing_before": 0.02,
    },
    "sky": {"psi": 0.1, "drifted": True, "why": ["unseen"], "unseen": 0.021},
}


@pytest.mark.parametrize(
    ("held_against", "reference", "words"),
    [
        ("season", None, ""),
        (None, None, ""),  # of an older release
        ("trailing", None, "compared with what went just before, which does not show a slow change"),
        ("window", "season", "compared with all of the window, since nothing went before"),
        ("trailing", "trailing", ""),
        ("window", "window", ""),
    ],
)
def test_drift_says_when_the_window_does_not_hold_the_season(held_against, reference, words) -> None:
    spec = described("drift")
    monitoring = spec.monitoring.model_copy(update={"drift": Drift(reference=reference)})
    row = record(0, drifted_share=0.75, held_against=held_against)
    clause = the(spec.model_copy(update={"monitoring": monitoring}), [row]).clause
    assert ("; the training window does not hold its season: " + words in clause) == bool(words)
    snapshot = record(0, partition="snapshot", held_against="window", metric="accuracy", promised=0.9)
    assert "season" not in the(described("drift", of=IRIS), [snapshot]).clause


def test_drift_says_of_how_many_features_there_is_no_figure() -> None:
    few = {"psi": None, "reference_rows": 0.17, "drifted": False, "why": []}
    clause = the(described("drift"), [record(0, drift={**DRIFTED, "snow": few, "fog": few})]).clause
    assert "; 2 of 6 have too few reference rows for a figure" in clause
    assert "too few" not in the(described("drift"), [record(0, drift=DRIFTED)]).clause


def test_drift_names_the_features_that_lead() -> None:
    rows = [record(n, drifted_share=share, drift=DRIFTED) for n, share in enumerate((0.75, 0.2, 0.75))]
    assert said(described("drift"), rows) == (
        True,
        "at least 50% of the features drifted on 2 of the last 3 days "
        "(75% on the newest: rain missing 8% against 2% and wind PSI 0.31)",
    )
    assert the(described("drift"), rows).figures == {
        "drifted_share": 0.75,
        "limit": 0.5,
        "leading": ["rain", "wind"],
        "held": 2,
        "among": 3,
        "wanted": 2,
    }
    new = [record(0, drifted_share=0.25, drift={"sky": DRIFTED["sky"]})]
    assert the(described("drift"), new).clause.endswith("(25% on the newest: sky never seen 2.1%)")


@pytest.mark.parametrize(
    ("when", "shares", "fires", "words"),
    [
        (Times(2, 3), (0.9,), False, "on the last day (2 wanted; 90% on the newest)"),
        (Times(1, 1), (0.1, 0.9), True, "on the last day (90% on the newest)"),
        (Times(2, 3), (0.9, 0.9), True, "on each of the last 2 days (90% on the newest)"),
        (Times(2, 3), (0.9, 0.1, 0.5), True, "on 2 of the last 3 days (50% on the newest)"),
        (Times(2, 3), (0.9, 0.1, 0.1, 0.9), False, "on 1 of the last 3 days (2 wanted; 90% on the newest)"),
        (Times(2, 3), (0.9, 0.9, 0.1), False, "on 2 of the last 3 days (10% on the newest)"),
        (Times(3, 3), (0.9, 0.9, 0.9), True, "on each of the last 3 days (90% on the newest)"),
        (Times(1, 3), (0.1, 0.1, 0.1), False, "on none of the last 3 days (10% on the newest)"),
    ],
)
def test_a_signal_of_single_partitions_takes_k_of_the_last_n_and_the_newest(
    when: Times, shares: tuple[float, ...], fires: bool, words: str
) -> None:
    rows = [record(n, drifted_share=share) for n, share in enumerate(shares)]
    assert said(described("drift", when=when), rows) == (
        fires,
        f"at least 50% of the features drifted {words}",
    )


def test_no_feature_drifted_is_no_drift_whatever_the_limit() -> None:
    spec = described("drift")
    drift = spec.monitoring.drift.model_copy(update={"share": 0.0})
    spec = spec.model_copy(update={"monitoring": spec.monitoring.model_copy(update={"drift": drift})})
    assert not the(spec, [record(n) for n in range(3)]).fires
    assert the(spec, [record(n, drifted_share=0.01) for n in range(3)]).fires


def test_features_that_drift_together_are_drift() -> None:
    joint = {"auc": 0.81, "p": 0.001, "drifted": True, "leading": ["wind"]}
    rows = [record(0, joint=joint), record(1, joint=joint, drifted_share=0.1)]
    signal = the(described("drift"), rows)
    assert (signal.fires, signal.clause) == (
        True,
        "at least 50% of the features or all of them together (AUC 0.81 by wind) drifted on each of the last "
        "2 days (10% on the newest)",
    )
    assert signal.figures["joint"] == 0.81
    assert not the(described("drift"), [record(n, joint={**joint, "drifted": False}) for n in (0, 1)]).fires


def test_drifted_predictions() -> None:
    drifted, same = {"psi": 0.31, "drifted": True}, {"psi": 0.02, "drifted": False}
    rows = [record(n, prediction_drift=found) for n, found in enumerate((drifted, same, drifted))]
    assert said(described("prediction_drift"), rows) == (
        True,
        "the predictions drifted on 2 of the last 3 days (PSI 0.31 on the newest)",
    )
    assert not the(described("prediction_drift"), rows[:2]).fires
    moved = {
        "wind": {"drifted": True, "moved": -0.25},
        "warm": {"drifted": True, "moved": 3.0},
        "rain": {"drifted": False, "moved": 9.0},
    }
    of = [record(n, prediction_drift=drifted, contribution_drift=moved) for n in range(2)]
    assert said(described("prediction_drift"), of) == (
        True,
        "the predictions drifted on each of the last 2 days (PSI 0.31 on the newest, moved most by warm (+3) "
        "and wind (-0.25))",
    )
    assert said(described("prediction_drift"), [record(0)]) == (False, "no reference for the predictions")


def test_a_bias_is_cumulated_to_each_side_and_counts_until_a_training() -> None:
    """By hand: 12 % of the level less the slack of 2 % make 10 % a day, which passes 50 % on the sixth."""
    of = described("bias")
    rows = [record(number, bias=-12.0) for number in range(12)]
    assert said(of, rows[:5]) == (
        False,
        "predicts 12% less than the actual level since the last training (sum 50% of 50%)",
    )
    sixth = the(of, rows[:6])
    assert sixth.figures["at"] == DAYS[5]
    assert sixth.figures["sum"] == pytest.approx(0.6)
    assert said(of, rows[:7]) == (
        False,
        f"predicts 12% less than the actual level since the last training, sum crossed with {DAYS[5]}, "
        "17.5% of the training window unseen (20% wanted)",
    )
    assert said(of, rows[:8]) == (
        True,
        f"predicts 12% less than the actual level since the last training, sum crossed with {DAYS[5]}",
    )
    assert the(of, [*rows[:8], *(record(number, bias=12.0) for number in range(8, 16))]).fires


def test_errors_to_both_sides_and_missing_labels_are_no_bias() -> None:
    of = described("bias")
    both = [record(number, bias=12.0 * (-1) ** number) for number in range(40)]
    assert not the(of, both).fires
    assert said(of, [record(number, error=None, level=None) for number in range(40)]) == (
        False,
        "no labels that show a bias",
    )


def test_staleness_is_relative_to_the_window() -> None:
    rows = [record(n, history=20) for n in range(10)]
    assert said(described("staleness"), rows) == (
        True,
        "50% of the 20 days in the training window came after the last training (limit 50%)",
    )
    assert not the(described("staleness"), rows[:9]).fires


# any history


@given(
    st.lists(st.one_of(st.none(), st.floats(0.1, 40)), min_size=1, max_size=40),
    st.integers(1, 6),
    st.floats(0, 2),
)
def test_performance_is_the_weighted_mean_of_the_newest_labelled_partitions_in_whatever_order_labels_came(
    errors: list[float | None], over: int, tolerance: float
) -> None:
    rows = [
        record(n, error, rows=n + 5, labelled=0 if error is None else n + 1) for n, error in enumerate(errors)
    ]
    signal = the(described("performance", over=over, tolerance=tolerance), rows)
    newest = [(error, n + 1) for n, error in enumerate(errors) if error is not None][-over:]
    if len(newest) < over:
        assert not signal.fires
        return
    mean = math.fsum(error * weight for error, weight in newest) / sum(weight for _, weight in newest)
    assert signal.figures["error"] == pytest.approx(mean, rel=1e-12)
    if abs(mean - 10 - 10 * tolerance) > 1e-9:
        assert signal.fires is (mean - 10 > 10 * tolerance)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(1, 4), st.integers(0, 4))
def test_k_of_n_is_what_it_says(shares: list[float], times: int, more: int) -> None:
    rows = [record(n, drifted_share=share) for n, share in enumerate(shares)]
    holds = [share >= 0.5 for share in shares][-(times + more) :]
    spec = described("drift", when=Times(times, times + more))
    assert the(spec, rows).fires is (holds[-1] and sum(holds) >= times)


def test_the_default_signals_can_all_speak() -> None:
    for task in Task:
        spec = KIOSK.model_copy(update={"task": task, "monitoring": Monitoring()})
        assert tuple(findings(spec, [record(0)])) == spec.signals


# skew


def skewed(number: int, **changes: object) -> Record:
    found = {"rows": 50, "unpublished": 10, "inputs": 0, "equal": 40, "columns": {}, "predictions": {}}
    return record(number, skew=found | changes)


def test_skew_of_inputs_and_of_predictions() -> None:
    spec, when = described("skew", when=Times(1, 1)), "requests differ from what is published on the last day"
    assert the(spec, [record(0)]).to_dict() == {
        "fires": False,
        "clause": "no logged requests to compare",
        "rows": None,
    }
    fires, clause = said(spec, [skewed(0)])
    assert (fires, clause) == (
        False,
        "requests differ from what is published on none of the last day (0 of 40 logged rows have other "
        "inputs than published, 0 of 40 with equal ones other predictions)",
    )
    columns = {name: {"rows": rows} for name, rows in (("a", 1), ("b", 3), ("c", 3), ("d", 2))}
    fires, clause = said(spec, [skewed(0, inputs=4, equal=36, columns=columns)])
    assert (fires, clause) == (
        True,
        f"{when} (4 of 40 logged rows have other inputs than published (most of all b 3, c 3, d 2), "
        "0 of 36 with equal ones other predictions)",
    )
    one = {"unexplained": {"rows": 1}, "inputs": {"rows": 7}, "look_back": {"rows": 7}}
    assert said(spec, [skewed(0, predictions=one)])[0]
    explained = {name: found for name, found in one.items() if name != "unexplained"}
    assert not said(spec, [skewed(0, predictions=explained)])[0]
    assert the(spec, [skewed(0, predictions=one)]).figures["predictions"] == 1 / 40


def test_skew_within_its_limits_and_where_little_is_known() -> None:
    spec = described("skew", when=Times(1, 1))
    limits = spec.monitoring.model_copy(update={"skew": Skew(inputs=0.1, predictions=0.025)})
    loose = spec.model_copy(update={"monitoring": limits})
    one = {"unexplained": {"rows": 1}}
    assert not said(loose, [skewed(0, inputs=4, predictions=one)])[0]
    assert said(loose, [skewed(0, inputs=5)])[0]
    assert said(loose, [skewed(0, predictions={"unexplained": {"rows": 2}})])[0]
    for nothing in ({"problem": "the log is damaged"}, {"rows": 3, "unpublished": 3}):
        assert the(spec, [record(0, skew=nothing)]).figures == {"rows": None}
    unusable = the(spec, [skewed(0, equal=0)])
    assert (unusable.fires, unusable.figures["predictions"]) == (False, None)


def test_skew_on_several_nights() -> None:
    fires, clause = said(described("skew"), [skewed(0), skewed(1, inputs=4), skewed(2, inputs=4)])
    assert fires
    assert clause.startswith("requests differ from what is published on 2 of the last 3 days (4 of 40")
