"""An export is held to the model's own predictions."""

from __future__ import annotations

import numpy as np
import pytest

from evergreen.errors import RefusedError
from evergreen.export.held import TOLERANCE, hold
from evergreen.metrics.predictions import Predictions

SAID = Predictions(np.array([10.0, -200.0, 0.0]))
CLASSES = ("no", "yes")
OF_TWO = Predictions(np.array(["no", "yes"]), np.array([[0.75, 0.25], [0.5, 0.5]]), CLASSES)


def test_the_largest_difference_is_a_share_of_the_largest_number() -> None:
    assert hold(SAID, SAID, "mlflow") == 0
    found = Predictions(SAID.labels + np.array([0.0, 1e-7, -2e-7]))
    assert hold(found, SAID, "onnx") == pytest.approx(1e-9, rel=1e-6)


@pytest.mark.parametrize("to", TOLERANCE)
def test_what_is_farther_away_is_refused_with_the_row(to: str) -> None:
    near, far = (
        Predictions(SAID.labels + np.array([0, 0, share * TOLERANCE[to] * 200])) for share in (0.99, 1.01)
    )
    assert hold(near, SAID, to) <= TOLERANCE[to]
    with pytest.raises(
        RefusedError, match=rf"1 of 3 golden rows differently, row 3 .*\({TOLERANCE[to]:g} of 200"
    ):
        hold(far, SAID, to)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_no_number_is_refused(number: float) -> None:
    with pytest.raises(RefusedError, match=r"row 1 as (nan|inf) instead of 10"):
        hold(Predictions(np.array([number, -200.0, 0.0])), SAID, "onnx")


def test_labels_must_be_equal_and_probabilities_near() -> None:
    near = Predictions(OF_TWO.labels, OF_TWO.probabilities + np.array([[1e-7, -1e-7], [0, 0]]), CLASSES)
    assert 0 < hold(near, OF_TWO, "onnx") < 1e-6
    with pytest.raises(RefusedError, match=r"1 of 2 golden rows differently, row 2 as no instead of yes$"):
        hold(Predictions(np.array(["no", "no"]), OF_TWO.probabilities, CLASSES), OF_TWO, "onnx")
    with pytest.raises(
        RefusedError, match=r"2 of 2 golden rows differently, row 1 as 0\.25 instead of 0\.75"
    ):
        hold(
            Predictions(OF_TWO.labels, 1 - OF_TWO.probabilities + np.array([[0, 0], [0.1, 0]]), CLASSES),
            OF_TWO,
            "onnx",
        )


def test_missing_probabilities_and_other_shapes_are_refused() -> None:
    with pytest.raises(
        RefusedError, match=r"gives none as probabilities of the golden rows instead of \(2, 2\)"
    ):
        hold(Predictions(OF_TWO.labels), OF_TWO, "onnx")
    with pytest.raises(
        RefusedError, match=r"an array of \(2,\) as labels of the golden rows instead of \(3,\)"
    ):
        hold(Predictions(SAID.labels[:2]), SAID, "onnx")
