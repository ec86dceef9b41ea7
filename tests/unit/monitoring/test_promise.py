"""A promise beside that of the champion before it: what is much worse, and in which words."""

from __future__ import annotations

import pytest

from evergreen.monitoring.promise import Predecessor, much_worse, promised_before, told
from evergreen.signals.performance import Performance
from evergreen.spec import Spec
from tests.unit.monitoring.kiosk_records import KIOSK


def judged_by(metric: str, tolerance: float = 0.25) -> Spec:
    """The kiosk with another metric and tolerance."""
    monitoring = KIOSK.monitoring.model_copy(update={"performance": Performance(tolerance=tolerance)})
    training = KIOSK.training.model_copy(update={"metric": metric})
    return KIOSK.model_copy(update={"monitoring": monitoring, "training": training})


@pytest.mark.parametrize(
    ("metric", "promised", "before", "worse"),
    [
        ("mae", 2.98, 2.0, True),
        ("mae", 2.51, 2.0, True),
        ("mae", 2.5, 2.0, False),  # a quarter of the error is within the tolerance
        ("mae", 1.0, 2.0, False),
        ("mae", 0.1, 0.0, True),
        # of an area, a quarter of what 0.9 lacks to 1: by hand, 0.875 is the limit
        ("roc_auc", 0.874, 0.9, True),
        ("roc_auc", 0.876, 0.9, False),
        ("r2", 0.5, 0.7, True),  # 0.7 - 0.25 * 0.3 = 0.625
        ("mae", None, 2.0, False),
        ("mae", 2.98, None, False),
    ],
)
def test_much_worse_is_more_than_the_tolerance(
    metric: str, promised: float | None, before: float | None, worse: bool
) -> None:
    spec = judged_by(metric)
    assert much_worse(spec, promised, {"version": "v1", "promised": before}) is worse
    assert bool(told(spec, promised, {"version": "v1", "promised": before})) is worse
    assert not much_worse(spec, promised, {})
    assert told(spec, promised, {}) == ""


def test_the_words() -> None:
    said = told(judged_by("mae"), 2.98, {"version": "v1", "promised": 2.0})
    assert said == (
        "mean absolute error 2.98 against 2.00 promised by its predecessor v1: much worse (tolerance 25%)"
    )


def test_a_record_keeps_the_training_metric_alone() -> None:
    before = Predecessor("v1", {"mae": 2.0, "rmse": 3.0})
    assert promised_before(judged_by("rmse"), before) == {"version": "v1", "promised": 3.0}
    assert promised_before(judged_by("r2"), before) == {"version": "v1", "promised": None}
    assert promised_before(KIOSK, None) == {}
