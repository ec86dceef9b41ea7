"""Which alerts hold after a partition: one condition at a time, and what is not known is not over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from evergreen.alerts.alert import Alert
from evergreen.alerts.conditions import conditions, judged
from evergreen.monitoring.record import Decision
from evergreen.signals.record import Record
from evergreen.spec import Alerts, Gate, Health, Limit, Spec, parse_spec

TESTS = Path(__file__).parents[2]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml")
IRIS = parse_spec(TESTS.parent / "include" / "pipelines" / "iris" / "pipeline.yaml")
GOOD_HEALTH = {
    "rows": 100,
    "usual_rows": 100.0,
    "quarantined": 0.0,
    "missing": 0,
    "age": 5,
    "seconds": {"ingest": 3.0, "score": 2.0},
    "ms_per_1000_rows": 20.0,
    "golden": None,
}
GOOD = Record(
    partition="2024-01-15",
    version="2024-01-11-0123456789ab",
    rows=100,
    labelled=100,
    metric="mae",
    error=1.0,
    promised=1.0,
    level=20.0,
    promised_level=20.0,
    drifted_share=0.0,
    drift={"hour": {"drifted": False, "psi": 0.01}},
    age=5,
    history=15,
    health=GOOD_HEALTH,
)


def decision(**evidence: Any) -> Decision:
    return Decision(GOOD.partition, False, "no retraining: mae 1 over the last 3 days", evidence)


def limited(spec: Spec = KIOSK, **limits: Any) -> Spec:
    return spec.model_copy(update=limits)


def keys(spec: Spec = KIOSK, of: Decision | None = None, **changes: Any) -> list[str]:
    return [alert.key for alert in conditions(spec, replace(GOOD, **changes), of or decision())]


def sick(**changes: Any) -> dict[str, Any]:
    return {"health": {**GOOD_HEALTH, **changes}}


def test_a_good_night_has_no_alert() -> None:
    assert keys() == []
    assert (
        keys(
            limited(gate=Gate(limits={"mae": Limit(max=2)})),
            decision(signals={}, breaker={"state": "closed", "worse": 0}),
        )
        == []
    )


@pytest.mark.parametrize(
    ("changes", "key", "severity", "said"),
    [
        (
            {"error": 1.6},
            "performance",
            "warning",
            "mae is 1.6 over 100 rows against 1 promised (tolerance 50%)",
        ),
        (
            {"drifted_share": 0.5},
            "drift",
            "warning",
            "50% of the features drifted, most of all level (PSI 0.40)",
        ),
        ({"prediction_drift": {"drifted": True}}, "drift", "warning", "the predictions drifted"),
        ({"joint": {"drifted": True}}, "drift", "warning", "the features drifted together"),
        (sick(rows=49), "volume", "warning", "49 rows where 100 are usual (-51%, limit 50%)"),
        (sick(rows=151), "volume", "warning", "151 rows where 100 are usual (+51%, limit 50%)"),
        (sick(quarantined=0.06), "quarantine", "warning", "6.0% of the rows are in quarantine (limit 5.0%)"),
        (sick(missing=2), "missing", "warning", "2 partitions before this one are not published (limit 1)"),
        (
            {"before": {"version": "v0", "promised": 0.6}},
            "promise",
            "warning",
            "2024-01-11-0123456789ab promises mean absolute error 1.00 against 0.600 promised by its "
            "predecessor v0: much worse (tolerance 50%)",
        ),
        (sick(golden="IntegrityError: golden"), "golden", "critical", "IntegrityError: golden"),
    ],
)
def test_each_condition(changes: dict, key: str, severity: str, said: str) -> None:
    drift = {"level": {"drifted": True, "psi": 0.4}, "hour": {"drifted": False, "psi": 0.9}}
    (alert,) = conditions(KIOSK, replace(GOOD, **({"drift": drift} | changes)), decision())
    assert (alert.key, alert.severity, alert.pipeline, alert.partition) == (
        key,
        severity,
        "kiosk",
        "2024-01-15",
    )
    assert said in alert.text
    assert "\n" not in alert.title + alert.text


def test_at_the_limit_nothing_is_wrong() -> None:
    assert keys(error=1.5, **sick(rows=50, quarantined=0.05, missing=1)) == []
    assert keys(**sick(rows=150)) == []


def test_the_gates_hard_limit_is_critical() -> None:
    spec = limited(gate=Gate(limits={"mae": Limit(max=2)}))
    (alert,) = conditions(spec, replace(GOOD, promised=3.0, error=2.5), decision())
    assert (alert.key, alert.severity) == ("limit", "critical")
    assert alert.title == "mae is 2.5, beyond its limit"
    assert "gate.limits asks for at most 2" in alert.text


def test_accuracy_under_its_threshold_and_what_is_only_estimated() -> None:
    record = replace(GOOD, metric="accuracy", error=0.84, promised=0.84)
    (alert,) = conditions(IRIS, record, decision())
    assert (alert.key, alert.severity) == ("limit", "critical")
    assert "gate.limits asks for at least 0.85" in alert.text
    late = replace(record, error=None, labelled=0, estimated=0.7)
    (alert,) = conditions(IRIS, late, decision())
    assert (alert.key, alert.severity) == ("limit", "warning")
    assert alert.title == "accuracy is 0.7 (estimated, there are no labels yet), beyond its limit"
    assert conditions(IRIS, replace(late, estimated=0.9), decision()) == []


def test_higher_is_better_is_worse_when_lower() -> None:
    # The default tolerance is a quarter of what the promise lacks to 1: 0.96 - 0.01.
    record = replace(GOOD, metric="accuracy", error=0.955, promised=0.96)
    assert [a.key for a in conditions(IRIS, record, decision())] == []
    record = replace(record, error=0.945)
    assert [a.key for a in conditions(IRIS, record, decision())] == ["performance"]


UNEQUAL = {
    "column": "sex",
    "measure": "tpr",
    "groups": {},
    "pooled": {
        "groups": {
            "f": {"rows": 120, "value": 0.6},
            "m": {"rows": 90, "value": 0.8},
            "x": {"rows": 3, "value": 0.1},
        },
        "difference": 0.2,
        "ratio": 0.75,
        "holds": False,
    },
}


def fair(found: dict[str, Any], **rule: Any) -> tuple[list[Alert], bool]:
    """The alerts of a night with these groups, and whether the night can end one of them."""
    asked = {"column": "sex", "rate": "tpr", **rule}
    spec = limited(gate=Gate.model_validate({"fairness": [asked]}))
    window = {"first": "2024-01-11", "partitions": 5, "rows": 213}
    record = replace(GOOD, fairness=[found], window=window)
    return conditions(spec, record, decision()), "fairness" in judged(spec, record, decision())


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        ({"max_difference": 0.1}, "a difference of at most 0.1"),
        ({"min_ratio": 0.8}, "a ratio of at least 0.8"),
        (
            {"max_difference": 0.1, "min_ratio": 0.8},
            "a difference of at most 0.1 and a ratio of at least 0.8",
        ),
    ],
)
def test_groups_that_differ_too_much_are_named_with_their_rows(rule: dict[str, Any], asked: str) -> None:
    """A group of too few rows, here x, is not among those compared."""
    (found,), _ = fair(UNEQUAL, **rule)
    assert (found.key, found.severity) == ("fairness", "warning")
    assert found.title == "groups are treated more unlike than allowed"
    compared = "over 5 days: tpr by sex is 0.6 of f (120 rows) and 0.8 of m (90 rows)"
    assert f"{compared}; gate.fairness asks for {asked}:" in found.text


def test_fairness_that_holds_ends_the_alert_and_what_is_not_known_does_not() -> None:
    def told(holds: bool | None) -> tuple[int, bool]:
        one = {**UNEQUAL, "pooled": {**UNEQUAL["pooled"], "holds": holds}}
        alerts, can_end = fair(one, max_difference=0.1)
        return len(alerts), can_end

    assert told(False) == (1, True)
    assert told(True) == (0, True)
    assert told(None) == (0, False)


def test_the_policys_signals_count_before_the_partition_alone() -> None:
    calm = decision(signals={"performance": {"fires": False, "error": 1.0}}, firing=[])
    assert keys(of=calm, error=9.0) == []
    fires = decision(signals={"performance": {"fires": True, "error": 1.0}}, firing=["performance"])
    (alert,) = conditions(KIOSK, GOOD, fires)
    assert (alert.key, alert.text) == ("performance", fires.reason)
    assert keys(of=decision(signals={"drift": {"fires": False}}, firing=[]), drifted_share=1.0) == []
    assert keys(of=decision(signals={"drift": {"fires": True}}, firing=["drift"])) == ["drift"]


def test_an_open_circuit_is_critical() -> None:
    for state in ("open", "half-open"):
        (alert,) = conditions(KIOSK, GOOD, decision(breaker={"state": state, "worse": 3}))
        assert (alert.key, alert.severity) == ("circuit", "critical")
        assert f"3 challengers in a row were worse and the breaker is {state}" in alert.text
        assert alert.title == "the circuit breaker has opened and needs a person"


def test_an_old_champion_only_where_an_age_is_given() -> None:
    assert keys(age=1000) == []
    health = KIOSK.monitoring.model_copy(update={"health": Health(age=30)})
    spec = limited(monitoring=health)
    assert keys(spec, age=31) == ["age"]
    assert keys(spec, age=30) == []


def test_a_stage_slower_than_its_limit() -> None:
    spec = limited(alerts=Alerts(limits={"ingest": timedelta(seconds=3), "score": timedelta(seconds=1)}))
    (alert,) = conditions(spec, GOOD, decision())
    assert (alert.key, alert.title) == ("slow_score", "score takes too long")
    assert "score took 0:00:02 (alerts.limits.score is 0:00:01)" in alert.text
    assert {"slow_ingest", "slow_score"} <= judged(spec, GOOD, decision())


def test_a_standing_bias_is_an_alert_of_its_own() -> None:
    figures = {
        "bias": -2.0,
        "absolute": 2.98,
        "partitions": 7,
        "first": "2024-01-09",
        "mean": -2.0,
        "nights": 9,
    }
    found = {"stands": True, "reach": 0.7, **figures}
    (alert,) = conditions(KIOSK, GOOD, decision(standing_bias=found))
    assert (alert.key, alert.severity, alert.title) == ("bias", "warning", "predictions are off to one side")
    assert alert.text == (
        "champion 2024-01-11-0123456789ab: a standing bias: 2 less than the actual value is predicted over "
        "the last 7 days, with a mean absolute error of 2.98: a training can learn it from the nights it "
        "stands in (evergreen train kiosk)"
    )
    gone = decision(standing_bias={**found, "stands": False})
    assert (keys(of=gone), "bias" in judged(KIOSK, GOOD, gone)) == ([], True)
    early = decision(standing_bias={**found, "stands": False, "reach": None})
    assert (keys(of=early), "bias" in judged(KIOSK, GOOD, early)) == ([], True)
    # too few nights are known: an open alert stays as it is
    assert "bias" not in judged(KIOSK, GOOD, decision(standing_bias=None))


def test_only_what_can_be_known_can_be_over() -> None:
    everything = judged(KIOSK, GOOD, decision())
    assert everything == {
        *("performance", "drift", "circuit", "volume", "quarantine", "missing", "golden"),
        "promise",
    }
    late = replace(GOOD, error=None, labelled=0)
    assert judged(KIOSK, late, decision()) == everything - {"performance"}
    waiting = decision(signals={"performance": {"fires": False, "wanted": 3}}, firing=[])
    assert judged(KIOSK, GOOD, waiting) == everything - {"performance"}
    new = replace(GOOD, health={**GOOD_HEALTH, "usual_rows": None})
    assert judged(KIOSK, new, decision()) == everything - {"volume"}
    assert judged(KIOSK, replace(GOOD, health={}), decision()) == {
        "performance",
        "drift",
        "circuit",
        "golden",
        "promise",
    }


SERVED = {"rows": 20, "unpublished": 0, "inputs": 0, "equal": 20, "columns": {}, "predictions": {}}


def test_what_is_served_differs_from_what_is_published() -> None:
    assert "skew" not in judged(KIOSK, GOOD, decision())
    assert "skew" not in judged(KIOSK, replace(GOOD, skew={"problem": "the log is damaged"}), decision())
    assert "skew" in judged(KIOSK, replace(GOOD, skew=SERVED), decision())
    assert keys(skew=SERVED) == []
    skew = {**SERVED, "predictions": {"unexplained": {"rows": 1}}}
    assert keys(skew=skew) == ["skew"]
    skew = {**SERVED, "inputs": 1, "equal": 19, "columns": {"temperature": {"rows": 1}}}
    (alert,) = conditions(KIOSK, replace(GOOD, skew=skew), decision())
    assert (alert.severity, alert.title) == ("warning", "what is served differs from what is published")
    assert alert.text == (
        "1 of 20 logged rows have other inputs than published (most of all temperature 1), 0 of 19 with "
        "equal ones other predictions: see evergreen serve skew kiosk --partition 2024-01-15"
    )
