"""The signals of single partitions, and all together: when each fires, and what it says, to the letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.monitoring.policy import findings
from evergreen.signals import SIGNALS
from evergreen.signals.drift import Drift
from evergreen.spec import Monitoring, Task
from evergreen.units import Times
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK, record
from tests.unit.signals.kiosk_signals import IRIS, described, metric, said, the


def test_every_signal_can_be_asked_for_and_has_words() -> None:
    assert list(findings(described(*SIGNALS), [record(0)])) == list(SIGNALS)
    for name, signal in SIGNALS.items():
        assert (signal.name, bool(signal.words), bool(signal.fires_when)) == (name, True, True)


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
