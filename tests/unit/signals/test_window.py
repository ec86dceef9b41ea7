"""Several nights measured as one, in the signals and in the record of a night."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from evergreen.calendar import Length
from evergreen.metrics import metric_named
from evergreen.metrics.measured import measured
from evergreen.monitoring.policy import findings
from evergreen.monitoring.window import with_window
from evergreen.signals.record import Record
from evergreen.signals.window import newest, pooled
from evergreen.spec import Spec, Task
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK, record


def watching(metric: str, over: int = 3, **monitoring: Any) -> Spec:
    performance = KIOSK.monitoring.performance.model_copy(update={"over": Length(over), "tolerance": 0.25})
    retrain = KIOSK.monitoring.retrain.model_copy(update={"on": ("performance",)})
    watched = KIOSK.monitoring.model_copy(
        update={"performance": performance, "retrain": retrain, **monitoring}
    )
    training = KIOSK.training.model_copy(update={"metric": metric})
    task = metric_named(metric).task
    return KIOSK.model_copy(update={"monitoring": watched, "training": training, "task": task})


def night(number: int, actual: Any, chance: Any, **changes: Any) -> Record:
    """A night of a classifier by its rows: classes 0 and 1, and the probability of 1."""
    chance = np.asarray(chance, dtype=float)
    both = np.column_stack([1 - chance, chance])
    rows = measured(
        Task.CLASSIFICATION, actual, (chance > 0.5).astype(int), probabilities=both, classes=[0, 1]
    )
    part = rows.part("roc_auc")
    assert part is not None
    found = {"value": part.value, "undefined": rows.undefined("roc_auc"), "kept": part.kept, "promised": 0.9}
    values = {"metric": "roc_auc", "labelled": len(rows), "rows": len(rows), "promised": 0.9}
    return record(number, part.value, **{**values, "metrics": {"roc_auc": found}, **changes})


def test_the_window_is_the_area_of_all_rows_and_no_mean_of_days() -> None:
    random = np.random.default_rng(0)
    days = [(0.2, 0.3), (0.5, 0.5), (0.9, 0.7)]  # the level of a day, and what the model makes of it
    nights, truth, scores = [], [], []
    for number, (level, seen) in enumerate(days):
        known = random.normal(size=48)
        actual = (known + 2 * level - 1 > 0).astype(int)
        chance = 1 / (1 + np.exp(-2 * known + 9 * (seen - 0.5)))
        nights.append(night(number, actual, chance))
        truth.append(actual)
        scores.append(chance)
    exact = sk.roc_auc_score(np.concatenate(truth), np.concatenate(scores))
    (found,) = findings(watching("roc_auc"), nights).values()
    assert found.figures["error"] == pytest.approx(exact, rel=1e-12)
    mean = np.mean([one.error for one in nights])
    assert mean > 0.99
    assert exact < 0.9
    assert found.fires


def test_a_night_of_one_class_counts_with_the_others() -> None:
    nights = [night(0, [0, 0], [0.1, 0.4]), night(1, [1, 1], [0.35, 0.8])]
    assert [one.error for one in nights] == [None, None]
    (found,) = findings(watching("roc_auc", over=2), nights).values()
    assert found.figures["error"] == pytest.approx(0.75)


def test_a_window_of_one_class_says_so() -> None:
    nights = [night(number, [0, 0], [0.1, 0.4]) for number in range(3)]
    (found,) = findings(watching("roc_auc"), nights).values()
    assert not found.fires
    assert found.clause == ("area under the ROC curve not measured over the last 3 days: one class only")


def test_nights_that_kept_nothing_say_so_and_means_still_pool() -> None:
    old = [record(number, 0.5, metric="roc_auc", promised=0.9) for number in range(3)]
    (found,) = findings(watching("roc_auc"), old).values()
    assert (found.fires, found.clause) == (
        False,
        "area under the ROC curve not measured over the last 3 days: an older release kept too little of "
        "these nights",
    )
    assert pooled(metric_named("mae"), [record(0, 1.0, labelled=3), record(1, 5.0, labelled=1)]) == 2.0
    assert pooled(metric_named("mae"), []) is None


def test_nights_far_apart_are_no_window() -> None:
    """Four nights of a July, and one of the January after: whatever they are, they are not five days."""
    far = [*(record(number, 10.0) for number in range(4)), record(210, 99.0)]
    (found,) = findings(watching("mae", over=5), far).values()
    assert not found.fires
    assert found.clause == (
        "not pooled: earlier nights are not scored (labels of 1 of the 5 days that performance is judged by)"
    )


def test_a_night_that_failed_does_not_part_the_window() -> None:
    some = [record(number, 10.0) for number in (0, 1, 3, 4, 6)]
    labelled = partial(newest, counts=lambda one: one.labelled > 0)
    assert labelled(some, 5) == some
    assert labelled(some, 2) == some[-2:]
    assert labelled([record(0), record(7)], 5) == [record(7)]
    assert labelled([record(0), record(6)], 5) == [record(0), record(6)]
    # Nor do nights whose labels never came: they were measured.
    waiting = [record(number, 1.0 if number in (0, 9) else None) for number in range(10)]
    assert labelled(waiting, 2) == [waiting[0], waiting[9]]


def test_a_record_holds_the_window_beside_its_own_figures() -> None:
    spec = watching("mae", over=2, metrics=("rmse",))

    def of(number: int, value: float, **changes: Any) -> Record:
        both = {
            name: {"value": value, "undefined": None, "kept": None, "promised": 1.0}
            for name in ("mae", "rmse")
        }
        few = {"rows": 2, "error": None, "promised": None, "too_few": True, "value": value, "kept": None}
        return record(number, value, metrics=both, slices={"open=1": few}, **changes)

    earlier = [of(0, 50.0), of(1, 3.0, version="other"), of(2, 3.0), record(3, None)]
    found = with_window(spec, of(4, 4.0), earlier)
    assert found.window == {"first": DAYS[2], "partitions": 2, "rows": 8}
    assert found.metrics["mae"]["pooled"] == 3.5
    assert found.metrics["rmse"]["pooled"] == pytest.approx(np.sqrt(12.5))
    assert found.slices["open=1"]["pooled"] == 3.5  # too few rows a night, enough together
    assert replace(found, metrics={}, window={}, slices={}) == replace(of(4, 4.0), metrics={}, slices={})
    assert with_window(spec, record(5, None), earlier).window == {}
