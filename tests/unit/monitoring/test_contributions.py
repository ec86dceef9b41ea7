"""The drift of contributions: which feature moved the predictions, from a real training to the words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.contributions.contributions import Contributions
from evergreen.monitoring.contributions import Explained, named
from evergreen.monitoring.measure import measure
from evergreen.monitoring.record import Decision, records_in, to_table
from evergreen.monitoring.reference import Reference
from evergreen.scoring.predict import partition_features, prediction_frame
from evergreen.signals.prediction_drift import PREDICTION_DRIFT, moved_most
from evergreen.signals.record import Record
from tests.unit.monitoring.test_reference import DAYS, KIOSK, built, sales

SPEC = KIOSK.model_copy(update={"explain": 2})
NIGHT = "2024-02-10"


def night(trained: tuple[Reference, Any], warmer: float) -> Record:
    reference, challenger = trained
    rows = sales()
    later = rows[rows["partition"] >= "2024-01-31"].copy()
    later["at"] += pd.Timedelta(days=10)
    later["temperature"] += warmer
    later["partition"] = later["at"].dt.strftime("%Y-%m-%d")
    own = pd.concat([later[later["partition"] == NIGHT]] * 40, ignore_index=True)
    own["at"] += pd.to_timedelta(np.arange(len(own)), unit="s")
    features = partition_features(SPEC, pd.concat([rows, own], ignore_index=True), NIGHT)
    predictions = prediction_frame(SPEC, challenger.final, own, features)
    return measure(
        SPEC,
        reference,
        own,
        features,
        predictions,
        partition=NIGHT,
        version="v",
        as_of=NIGHT,
        published=[*DAYS, NIGHT],
    )


@pytest.fixture(scope="module")
def trained() -> tuple[Reference, Any]:
    reference, _, challenger, _ = built(SPEC)
    again = Reference.from_dict(json.loads(json.dumps(reference.to_dict())))
    assert again.to_dict() == reference.to_dict()
    return again, challenger


def test_the_feature_that_moved_the_predictions_is_named(trained: tuple[Reference, Any]) -> None:
    record = night(trained, warmer=30.0)
    assert record.prediction_drift is not None
    assert record.prediction_drift["drifted"]
    found = record.contribution_drift["temperature"]
    assert found["drifted"]
    # What is sold rises by 3 for a degree.
    assert 80 < found["moved"] < 110
    assert next(iter(moved_most(record))) == "temperature"
    assert "moved most by temperature (+" in PREDICTION_DRIFT.warning(record, "")
    kept = records_in(
        to_table(record, Decision(NIGHT, False, "", {})).append_column("partition", pa.array([NIGHT]))
    )
    assert kept[0].contribution_drift == json.loads(json.dumps(record.contribution_drift))
    assert named("temperature") in kept[0].counts


def test_without_explain_nothing_is_said_of_contributions(trained: tuple[Reference, Any]) -> None:
    reference, _, _, _ = built()
    assert reference.explained is None
    assert "contributions" not in reference.to_dict()


def explained(most: int) -> Explained:
    values = np.array([[3.0, 1.0], [1.0, 2.0], [3.0, 1.0]])
    found = Contributions(("a", "b"), values, np.zeros(3))
    return Explained.of(KIOSK.calendar, found, most, pd.Series(["2024-01-01"] * 3))


def rows(*pairs: tuple[str, float]) -> list[tuple[dict[str, Any], ...]]:
    return [tuple({"feature": name, "value": value} for name, value in pairs)]


def test_what_is_not_among_the_leading_counts_as_nothing() -> None:
    found = explained(1)
    # a leads with 3 in two rows of three, b with 2 in the other.
    assert found.means == {"a": 2.0, "b": pytest.approx(2 / 3)}
    counted = found.counts(rows(("b", 5.0)))
    assert counted is not None
    counts, moved = counted
    assert moved == {"a": -2.0, "b": pytest.approx(5 - 2 / 3)}
    assert counts[named("a")].sum() == counts[named("b")].sum() == 1


def test_a_night_with_fewer_or_none_published_is_not_compared() -> None:
    assert explained(2).counts(rows(("b", 5.0))) is None
    assert explained(1).counts([None]) is None
    assert explained(1).counts([]) is None
    assert explained(1).counts(rows(("a", 3.0), ("b", 1.0))) is not None  # more than on the hold-out
