from __future__ import annotations

import numpy as np
import pytest

from evergreen.errors import SpecError
from evergreen.spec import load_spec
from evergreen.training.estimators import build_estimator, check_candidates

RIDGE = "{estimator: sklearn.linear_model.Ridge, params: {alpha: 1.0}}"


@pytest.mark.parametrize("name", ["bike_demand", "iris", "wine_segments"])
def test_the_pipelines_here_can_be_built(name):
    check_candidates(load_spec(name))


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        ("{estimator: os.system}", "'os.system' is not allowed"),
        ("{estimator: builtins.eval}", "is not allowed"),
        ("{estimator: sklearn.utils.estimator_html_repr}", "is not allowed"),
        ("{estimator: sklearn.linear_model._base.LinearRegression}", "is not allowed"),
        ("{estimator: sklearn.externals.joblib.Memory}", "is not allowed"),
        ("{estimator: sklearn.preprocessing.StandardScaler}", "is not allowed"),
        ("{estimator: sklearn.linear_model.Rigde}", "is no scikit-learn estimator"),
        ("{estimator: sklearn.linear_model.ridge_regression}", "is no scikit-learn estimator"),
        ("{estimator: sklearn.linear_model.LogisticRegression}", "does not do regression"),
        (
            "{estimator: sklearn.linear_model.Ridge, params: {alfa: 1}}",
            "Ridge has no parameter alfa; allowed",
        ),
        ("{estimator: sklearn.linear_model.Ridge, search: {alfa: [0, 1]}}", "Ridge has no parameter alfa"),
        ("{estimator: sklearn.linear_model.Ridge, search: {alpha: [1, 0]}}", r"search\.alpha"),
        (
            "{estimator: sklearn.linear_model.Ridge, preprocess: [sklearn.svm.SVR]}",
            "preprocess: .* not allowed",
        ),
        (
            "{estimator: sklearn.linear_model.Ridge, preprocess: [sklearn.preprocessing.scale]}",
            "is no scikit-learn transformer",
        ),
    ],
)
def test_anything_else_is_refused_with_its_place(make_spec, candidate, message):
    with pytest.raises(SpecError, match=message) as caught:
        check_candidates(make_spec(changes={RIDGE: candidate}))
    assert "training.candidates.0" in str(caught.value)
    assert "pipeline.yaml" in str(caught.value)


@pytest.mark.parametrize("module", ["numpy.linalg.LinAlgError", "evergreen.spec.Spec", "sklearn.Ridge"])
def test_nothing_is_imported_to_find_out(make_spec, module, monkeypatch):
    def never(name: str):
        raise AssertionError(f"{name} was imported")

    monkeypatch.setattr("evergreen.training.estimators.import_module", never)
    with pytest.raises(SpecError, match="not allowed"):
        build_estimator(make_spec(changes={RIDGE: f"{{estimator: {module}}}"}), 0, {})


def test_a_clusterer_must_predict_new_rows(make_spec, clusters):
    old = "sklearn.cluster.KMeans, params: {n_init: 3}, search: {n_clusters: [2, 6, int]}"
    with pytest.raises(SpecError, match="cannot predict new rows"):
        check_candidates(make_spec(clusters, {old: "sklearn.cluster.DBSCAN"}))
    check_candidates(make_spec(clusters, {old: "sklearn.mixture.GaussianMixture"}))


def test_a_classification_has_no_target_to_transform(make_spec, snapshot):
    spec = make_spec(snapshot, {"search: {C: [0.01, 10, log]}": "target_transform: log1p"})
    with pytest.raises(SpecError, match="target_transform"):
        check_candidates(spec)


def test_the_seed_is_set_wherever_there_is_one_to_set(make_spec):
    candidate = (
        "{estimator: sklearn.ensemble.RandomForestRegressor, preprocess: [sklearn.decomposition.PCA],"
        " params: {n_estimators: 7}}"
    )
    spec = make_spec(changes={RIDGE: candidate, "metric: mae": "metric: mae\n  seed: 11"})
    model = build_estimator(spec, 0, {"n_estimators": 7})
    assert [step.random_state for _, step in model.steps] == [11, 11]
    assert build_estimator(spec, 0, {"random_state": 3}).steps[-1][1].random_state == 3


def test_log1p_is_undone_in_predictions(make_spec):
    candidate = "{estimator: sklearn.linear_model.LinearRegression, target_transform: log1p}"
    model = build_estimator(make_spec(changes={RIDGE: candidate}), 0, {})
    x = np.arange(8.0)[:, None]
    model.fit(x, np.exp(0.5 * x[:, 0] + 1) - 1)
    # log(1 + y) is a straight line, so a linear model finds y itself.
    np.testing.assert_allclose(model.predict([[10.0]]), np.exp(6.0) - 1, rtol=1e-9)
