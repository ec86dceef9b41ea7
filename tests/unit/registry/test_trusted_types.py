from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from onnx import TensorProto, helper
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectKBest, f_regression, r_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import TargetEncoder

from evergreen.boosters.catalogue import BOOSTERS, REMEDY, booster_class
from evergreen.candidates.pretrained import OnnxModel
from evergreen.days import DaysOfTimes
from evergreen.decisions.calibrated import Calibrated
from evergreen.errors import SpecError
from evergreen.intervals.conformal import ConformalRegressor
from evergreen.intervals.sets import ConformalClassifier
from evergreen.registry.trusted_types import TRUSTED_TYPES, allowed_estimators, trusted_types

RANDOM = np.random.default_rng(0)
X = pd.DataFrame(RANDOM.normal(size=(120, 3)), columns=["a", "b", "c"])
AMOUNT = np.exp(X["a"])
KIND = pd.Series(np.where(X["a"] > 0, "high", "low"))


def on_numbers(step: Any) -> ColumnTransformer:
    return ColumnTransformer([("step", step, make_column_selector(dtype_include=["number"]))])


def graph() -> bytes:
    """An ONNX graph that adds up the rows of a matrix of three columns."""
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, w]) for n, w in (("x", 3), ("y", 1))]
    body = helper.make_graph([helper.make_node("ReduceSum", ["x", "axes"], ["y"])], "sum", ends[:1], ends[1:])
    body.initializer.append(helper.make_tensor("axes", TensorProto.INT64, [1], [1]))
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def with_intervals(model: Any) -> ConformalRegressor:
    fold = np.repeat(np.arange(4), 30)
    return ConformalRegressor(model, (0.9,)).calibrate(model.predict(X), AMOUNT.to_numpy(), fold, None)


def calibrated(model: Any) -> Calibrated:
    return Calibrated(model, "sigmoid").calibrate(model.predict_proba(X), KIND.to_numpy(), model.classes_)


def with_sets(model: Any) -> ConformalClassifier:
    return ConformalClassifier(model, (0.9,)).calibrate(model.predict_proba(X), KIND.to_numpy())


def fitted() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return [
            HistGradientBoostingRegressor(max_iter=3).fit(X, AMOUNT),
            HistGradientBoostingRegressor(max_iter=3).fit(
                X.assign(c=X["c"].round().astype("category")), AMOUNT
            ),
            RandomForestRegressor(3).fit(X, AMOUNT),
            make_pipeline(on_numbers(SimpleImputer()), Ridge()).fit(X, AMOUNT),
            make_pipeline(
                ColumnTransformer([("days", DaysOfTimes(), [])], remainder="passthrough"), Ridge()
            ).fit(X, AMOUNT),
            make_pipeline(SelectKBest(f_regression, k=1), Ridge()).fit(X, AMOUNT),
            make_pipeline(SelectKBest(r_regression, k=1), Ridge()).fit(X, AMOUNT),
            *(
                MLPRegressor(hidden_layer_sizes=(4,), solver=solver, max_iter=3).fit(X, AMOUNT)
                for solver in ("adam", "sgd")
            ),
            with_intervals(Ridge().fit(X, AMOUNT)),
            calibrated(LogisticRegression().fit(X, KIND)),
            with_sets(LogisticRegression().fit(X, KIND)),
            make_pipeline(TargetEncoder(cv=KFold()), Ridge()).fit(X.round(), AMOUNT),
            make_pipeline(TargetEncoder(cv=StratifiedKFold()), LogisticRegression()).fit(X.round(), KIND),
            OnnxModel.read(graph()),
            *(boosted(path) for booster in BOOSTERS.values() for path in booster.paths),
        ]


def boosted(path: str) -> Any:
    pytest.importorskip(path.partition(".")[0], reason=f"not installed: {REMEDY}")
    kind = booster_class(path)
    assert kind is not None
    return kind(n_estimators=3).fit(X, KIND if path.endswith("Classifier") else AMOUNT)


def test_every_trusted_type_is_needed_and_enough():
    found: set[str] = set()
    for model in fitted():
        data = skops.io.dumps(model)
        found |= set(skops.io.get_untrusted_types(data=data))
        again = skops.io.loads(data, trusted=sorted(TRUSTED_TYPES))
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert found == TRUSTED_TYPES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    return tmp_path


def test_a_teams_own_classes_are_trusted_too(folder):
    assert trusted_types() == TRUSTED_TYPES
    (folder / "allowed_estimators.txt").write_text(
        "# reviewed in May\n\nmy_models.Trend\n  my_models.Seasonal  # ours\n"
    )
    assert allowed_estimators() == {"my_models.Trend", "my_models.Seasonal"}
    assert trusted_types() == TRUSTED_TYPES | allowed_estimators()


@pytest.mark.parametrize("line", ["lightgbm", "my_models.*", "os.system()", "a b.c", ".x"])
def test_a_line_that_is_no_name_is_refused_with_its_number(folder, line):
    (folder / "allowed_estimators.txt").write_text(f"my_models.Seasonal\n{line}\n")
    with pytest.raises(SpecError, match=r"allowed_estimators\.txt: line 2: .* is no full name of a class"):
        allowed_estimators()
