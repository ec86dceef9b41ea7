"""What the card says of the decision that led to the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evergreen.card.card import render_card
from evergreen.card.decision import decided, signal_rows
from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.gate import judge
from evergreen.monitoring.policy import decide
from evergreen.monitoring.training_request import wanted
from evergreen.monitoring.trainings import Training
from evergreen.signals.performance import Performance
from evergreen.signals.record import Record
from evergreen.spec import Monitoring, Retrain, parse_spec

KIOSK = parse_spec(Path(__file__).parents[2] / "pipelines" / "kiosk" / "pipeline.yaml")
DAYS = list(KIOSK.calendar.between("2024-02-01", "2024-02-05"))
WIND = "<wind>"


def requested() -> dict[str, Any]:
    """The reason of a request that a decision led to."""
    monitoring = Monitoring(
        performance=Performance(over=5), retrain=Retrain(on=("drift", "performance"), cooldown=0)
    )
    spec = KIOSK.model_copy(update={"monitoring": monitoring})
    drift = {WIND: {"psi": 0.31, "drifted": True, "why": ["distribution"]}}
    records = [
        Record(day, "v1", 4, 4, "mae", 71.2, 38.0, 100.0, 100.0, 0.25, drift, age=n, history=40)
        for n, day in enumerate(DAYS)
    ]
    decision = decide(spec, records, [Training("2024-01-01", "promoted")])
    return wanted(spec, decision, DAYS, []).reason


def card(reason: dict[str, Any]) -> str:
    lineage = {
        "as_of": "2024-02-06",
        "version": "2024-02-06-0123456789ab",
        "reason": reason,
        "window": {"first": "2024-01-01", "last": "2024-02-05", "partitions": 36, "rows": 144},
        "table_versions": {"partitions": 12},
        "digests": {},
        "git_commit": None,
        "packages": {},
        "candidate": {"estimator": "sklearn.linear_model.Ridge", "params": {}},
        "trials": [],
    }
    lineage["candidate"] |= {"preprocess": [], "target_transform": None}
    evaluation = Evaluation("mae", {"mae": 41.5}, {"mae": 130.0}, None, None, 168, 0)
    return render_card(KIOSK, lineage, evaluation, judge(KIOSK, evaluation))


def test_what_fired_comes_first_with_its_figures() -> None:
    assert signal_rows(requested()) == [
        {
            "name": "performance",
            "fired": True,
            "found": "mean absolute error 71.2 over the last 5 days against 38.0 promised",
        },
        {
            "name": "drift of the features",
            "fired": False,
            "found": "at least 50% of the features drifted on none of the last 3 days "
            "(25% on the newest: <wind> PSI 0.31)",
        },
    ]
    assert decided(requested()) == {
        "partition": "2024-02-05",
        "champion": "v1",
        "last_training": "2024-01-01",
    }


def test_the_card_shows_the_sentence_and_every_signal() -> None:
    page = card(requested())
    for said in (
        "retrain: mean absolute error 71.2 over the last 5 days against 38.0 promised; "
        "last trained 36 days ago",
        '<td class="name">performance</td><td><span class="mark fired">fired</span></td>',
        '<td class="name">drift of the features</td><td><span class="mark quiet">quiet</span></td>',
        "&lt;wind&gt; PSI 0.31",
        "Decided after 2024-02-05, when the champion was <code>v1</code> and the last training as of "
        "2024-01-01.",
    ):
        assert said in page
    assert WIND not in page


@pytest.mark.parametrize(
    "reason",
    [
        {"kind": "first", "sentence": "first training"},
        {"sentence": "triggered by hand"},
        {"evidence": "I saw it"},
        {"evidence": {"signals": ["performance"]}},
        {"evidence": {"signals": {"performance": "bad"}}},
        {"evidence": {"signals": {}}, "partition": None},
    ],
)
def test_a_training_without_a_monitors_decision_has_no_table(reason: dict[str, Any]) -> None:
    assert signal_rows(reason) == []
    assert "what it found" not in card(reason)


def test_a_decision_by_older_code_is_shown_as_far_as_it_goes() -> None:
    old = {"evidence": {"signals": {"performance": {"fires": True, "error": 3.0}, "other": {"fires": 0}}}}
    assert signal_rows(old) == [
        {"name": "performance", "fired": True, "found": ""},
        {"name": "other", "fired": False, "found": ""},
    ]
    assert "Decided." in card(old)
