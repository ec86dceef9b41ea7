"""A model that meets, in a night, what it was never shown in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.svm import SVR

from evergreen.errors import SpecError
from evergreen.pipeline import Pipeline
from evergreen.scoring.predict import predict
from tests.unit.scoring.conftest import sales, trained_on


@pytest.mark.parametrize("model", [LinearRegression(), SVR()])
@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (np.nan, "feature temperature has missing values, impute them: .*SimpleImputer"),
        ("mild", "feature temperature holds texts such as 'mild', encode them: .*OneHotEncoder"),
    ],
)
def test_a_value_that_the_model_cannot_take_is_named_with_its_remedy(
    kiosk: Pipeline, model: Any, value: object, remedy: str
) -> None:
    rows = sales()
    fitted = trained_on(kiosk.spec, rows, model)
    wrong = rows["temperature"].where(rows["partition"] != "2024-01-20", value)
    with pytest.raises(SpecError) as refused:
        predict(kiosk.spec, fitted, rows.assign(temperature=wrong), "2024-01-20")
    (line,) = str(refused.value).splitlines()
    assert line.startswith("kiosk: the model refuses these features (ValueError: ")
    assert line.endswith("; then train a new one: evergreen train kiosk")
    assert pd.Series(line).str.contains(remedy).all()
