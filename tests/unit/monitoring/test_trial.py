"""What a record keeps of a trial, and where it stands: known labels, failures, persons, words."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from evergreen.calendar import Grain
from evergreen.monitoring.known import known_as_of
from evergreen.monitoring.performance import labelled_rows
from evergreen.monitoring.trial import Rival, compared, tried
from evergreen.scoring.published import ACTUAL, PREDICTION
from evergreen.signals.record import Record
from evergreen.spec import Labels
from tests.unit.monitoring.kiosk_records import KIOSK, record

APPROVED = KIOSK.gate.model_copy(update={"approval": SimpleNamespace(when="always")})
FEATURES = pd.DataFrame({"temperature": [1.0, 2.0, 3.0, 4.0]})
PREDICTIONS = pd.DataFrame({PREDICTION: [2.0, 3.0, 4.0, 5.0], ACTUAL: [1.0, 2.5, np.nan, 4.0]})
KNOWN = PREDICTIONS[ACTUAL].notna().to_numpy()


def night(number: int, loss: float, version: str = "v2", rows: int = 4, **changes: Any) -> Record:
    own, theirs = ({"value": 10.0 + extra, "kept": None} for extra in (loss, 0.0))
    trial = {"version": version, "rows": rows, "challenger": own, "champion": theirs}
    return record(number, **{"trial": trial, **changes})


def nights(mean: float, count: int = 20, **changes: Any) -> list[Record]:
    return [night(n, mean + (1 if n % 2 else -1), **changes) for n in range(count)]


def kept(model: Any) -> dict[str, Any]:
    champion = labelled_rows(KIOSK, PREDICTIONS, KNOWN)
    return compared(KIOSK, Rival("v2", model), FEATURES, PREDICTIONS, known=KNOWN, champion=champion)


def test_a_record_keeps_both_metrics_of_the_labelled_rows() -> None:
    model = LinearRegression().fit(FEATURES, FEATURES["temperature"])
    found = kept(model)
    assert (found["version"], found["rows"]) == ("v2", 3)
    assert found["champion"]["value"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert found["challenger"]["value"] == pytest.approx((0 + 0.5 + 0) / 3)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (LinearRegression().fit(FEATURES.assign(level=0.0), FEATURES["temperature"]), "level"),
        (SimpleNamespace(predict=lambda _: 1 / 0), "division by zero"),
        (SimpleNamespace(predict=lambda rows: np.full(len(rows), np.inf)), "not finite"),
    ],
    ids=["other features", "an error", "no number"],
)
def test_a_challenger_that_cannot_predict_says_why_and_is_out(model: Any, why: str) -> None:
    found = kept(model)
    assert found["version"] == "v2"
    assert why in found["failed"]
    clear = nights(-5.0)
    assert tried(KIOSK, clear, "v2").promotes  # type: ignore[union-attr]
    assert tried(KIOSK, [*clear[:-3], record(17, trial=found), *clear[-2:]], "v2") is None


def test_only_nights_of_this_champion_and_this_challenger_count() -> None:
    others = [night(0, 50.0, version="v3"), replace(night(1, 50.0), version="v0")]
    rows = [*others, *nights(-5.0)]
    found = tried(KIOSK, rows, "v2")
    assert found is not None
    assert (found.trial.units, found.trial.rows) == (20, 80)
    assert tried(KIOSK, [record(0)], "v2") is None


@pytest.mark.parametrize(
    ("mean", "words"),
    [
        (-5.0, "50% better over 80 rows (5 against 10, clearly so)"),
        (
            -0.1,
            "1% better over 80 rows (9.9 against 10, not clear yet; a gain of 5% needs about 66 days of "
            "trial)",
        ),
        (5.0, "50% worse over 80 rows (15 against 10, clearly so)"),
    ],
)
def test_where_it_stands_in_words(mean: float, words: str) -> None:
    found = tried(KIOSK, nights(mean), "v2")
    assert found is not None
    assert found.words == f"challenger v2 on trial is {words}"
    assert found.gain == pytest.approx(-mean / 10)


def test_a_person_who_must_approve_decides() -> None:
    found = tried(KIOSK.model_copy(update={"gate": APPROVED}), nights(-5.0), "v2")
    assert found is not None
    assert not found.promotes
    assert found.words.endswith(": a person decides, by evergreen models promote")
    assert found.to_dict()["outcome"] == "better"


@pytest.mark.parametrize("delay", [1, 5])
def test_late_labels_say_later_what_the_same_nights_say(delay: int) -> None:
    labels = Labels(source=KIOSK.sources["sales"], delay=delay)
    late, rows = KIOSK.model_copy(update={"labels": labels}), nights(-1.5)
    seen = known_as_of(late, rows, rows[-1].partition)
    assert tried(late, seen, "v2") == tried(KIOSK, rows[:-delay], "v2")


def test_hours_are_compared_a_day_at_a_time() -> None:
    hourly = KIOSK.model_copy(update={"partition": Grain.HOURLY})
    keys = list(hourly.calendar.between("2024-01-01T00", "2024-01-04T22"))
    rows = [night(0, -5.0 + n // 24 % 2, partition=key) for n, key in enumerate(keys)]
    found = tried(hourly, rows, "v2")
    assert found is not None
    assert (found.trial.units, found.promotes) == (3, False)
