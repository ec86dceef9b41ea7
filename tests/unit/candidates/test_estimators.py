from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from evergreen.candidates.estimators import build_estimator, check_candidates, fit_argument
from evergreen.errors import SpecError
from evergreen.registry.model_file import dump_model, load_model
from evergreen.spec import load_spec

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
        ("{estimator: sklearn.linear_model.LogisticRegression}", "does not support regression"),
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

    monkeypatch.setattr("evergreen.candidates.estimators.import_module", never)
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


FIRST = "sklearn.linear_model.LogisticRegression, search: {C: [0.01, 10, log]}"


@pytest.fixture
def shops(people) -> pd.DataFrame:
    """The people with a town, that decides who is loyal, and holes in their numbers and towns."""
    random = np.random.default_rng(7)
    town = np.where(people["loyal"] == "yes", random.choice(["Oslo", "Bern"], 120), "Rome")
    features = people[["visits", "spent"]].assign(town=pd.Series(town).where(random.uniform(size=120) > 0.1))
    return features.assign(visits=features["visits"].where(random.uniform(size=120) > 0.1))


ENCODERS = {
    "one-hot": "{step: sklearn.preprocessing.OneHotEncoder, columns: texts}",
    "one-hot of names": "{step: sklearn.preprocessing.OneHotEncoder, columns: [town]}",
    "ordinal": (
        "{step: sklearn.preprocessing.OrdinalEncoder, columns: texts, params: {encoded_missing_value: -2}}"
    ),
    "target": "{step: sklearn.preprocessing.TargetEncoder, columns: texts}",
}
AROUND = (
    "{step: sklearn.impute.SimpleImputer, columns: numbers, params: {strategy: median}}, "
    "{step: sklearn.preprocessing.StandardScaler, columns: [spent]}, "
)


@pytest.mark.parametrize("estimator", ["linear_model.LogisticRegression", "neural_network.MLPClassifier"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_steps_on_columns_take_categories_holes_and_what_was_never_seen(
    make_spec, snapshot, people, shops, encoder, estimator
):
    candidate = f"sklearn.{estimator}, preprocess: [{AROUND}{ENCODERS[encoder]}]"
    model = build_estimator(make_spec(snapshot, {FIRST: candidate}), 0, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(shops, people["loyal"])
    known = shops["town"].notna()
    assert (model.predict(shops) == people["loyal"])[known].mean() > 0.9
    new = shops.head(4).assign(town=["Lima", None, np.nan, "Bern"], visits=np.nan)
    assert np.isfinite(model.predict_proba(new)).all()
    kept = load_model(dump_model(model))
    np.testing.assert_array_equal(kept.predict_proba(new), model.predict_proba(new))


def test_a_step_leaves_the_other_columns_as_they_are(make_spec, snapshot, people, shops):
    candidate = (
        "sklearn.ensemble.HistGradientBoostingClassifier, preprocess: [{step: "
        "sklearn.preprocessing.OrdinalEncoder, columns: texts}]"
    )
    model = build_estimator(make_spec(snapshot, {FIRST: candidate}), 0, {}).fit(shops, people["loyal"])
    given = model[:-1].transform(shops)
    assert set(given) == {"town", "visits", "spent"}
    pd.testing.assert_series_equal(given["visits"], shops["visits"])
    assert set(given["town"].dropna()) == {0.0, 1.0, 2.0}


def test_numbers_and_texts_are_told_apart_where_the_step_stands(make_spec, snapshot, people, shops):
    steps = (
        "{step: sklearn.preprocessing.OneHotEncoder, columns: texts}, "
        "{step: sklearn.impute.SimpleImputer, columns: numbers}"
    )
    candidate = f"sklearn.linear_model.LogisticRegression, preprocess: [{steps}]"
    model = build_estimator(make_spec(snapshot, {FIRST: candidate}), 0, {}).fit(shops, people["loyal"])
    # The imputer comes after the encoder, so it works on the encoded columns too.
    assert len(model[1].transformers_[0][2]) == len(model[0].get_feature_names_out()) == 6


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ("{step: sklearn.feature_selection.SelectKBest, params: {k: 1}}", ["price"]),
        (
            "{step: sklearn.feature_selection.SelectKBest, params: {k: 1, score_func: r_regression}}",
            ["before"],
        ),
        (
            "{step: sklearn.feature_selection.SelectFromModel, params: {threshold: 1.0, estimator: "
            "{estimator: sklearn.linear_model.Lasso, params: {alpha: 0.1}}}}",
            ["price"],
        ),
        (
            "{step: sklearn.feature_selection.RFE, params: {n_features_to_select: 1, estimator: "
            "{estimator: sklearn.ensemble.RandomForestRegressor, params: {n_estimators: 5}}}}",
            ["price"],
        ),
    ],
    ids=["by F", "by a function", "by a model", "recursively"],
)
def test_features_are_selected(make_spec, daily_rows, steps, kept):
    spec = make_spec(changes={RIDGE: f"{{estimator: sklearn.linear_model.Ridge, preprocess: [{steps}]}}"})
    noise = np.random.default_rng(0).normal(size=len(daily_rows))
    features = daily_rows[["price"]].assign(before=noise)
    model = build_estimator(spec, 0, {}).fit(features, daily_rows["sold"])
    assert model[0].get_feature_names_out().tolist() == kept
    again = load_model(dump_model(model))
    np.testing.assert_array_equal(again.predict(features), model.predict(features))


def test_a_parameter_of_a_step_can_be_given_and_searched(make_spec):
    candidate = (
        "{estimator: sklearn.linear_model.Ridge, preprocess: [sklearn.impute.SimpleImputer, "
        "{step: sklearn.impute.SimpleImputer, columns: numbers}, "
        "{step: sklearn.decomposition.PCA, params: {whiten: true}}], "
        "search: {alpha: [0.1, 1], pca__n_components: [1, 2, int], "
        "simpleimputer-2__strategy: {choices: [mean, median]}}}"
    )
    spec = make_spec(changes={RIDGE: candidate})
    check_candidates(spec)
    setting = {"alpha": 0.5, "pca__n_components": 1, "simpleimputer-2__strategy": "median"}
    first, second, pca, ridge = (step for _, step in build_estimator(spec, 0, setting).steps)
    assert (first.strategy, second.transformers[0][1].strategy) == ("mean", "median")
    assert (pca.n_components, pca.whiten, ridge.alpha) == (1, True, 0.5)


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (
            "preprocess: [sklearn.decomposition.PCA], search: {pca__components: [1, 2]}",
            "PCA has no parameter",
        ),
        ("preprocess: [{step: sklearn.decomposition.PCA, params: {n: 2}}]", "PCA has no parameter n"),
        (
            "search: {pca__n_components: [1, 2]}",
            "'pca__n_components' names no step of preprocess; there: none",
        ),
        (
            "preprocess: [{step: sklearn.feature_selection.SelectKBest, params: {score_func: os.system}}]",
            "score_func: 'os.system' is not allowed",
        ),
        (
            "preprocess: "
            "[{step: sklearn.feature_selection.RFE, params: {estimator: {estimator: os.system}}}]",
            "'os.system' is not allowed",
        ),
        (
            "preprocess: [{step: sklearn.feature_selection.RFE, params: "
            "{estimator: {estimator: sklearn.linear_model.Lasso, params: {beta: 1}}}}]",
            "Lasso has no parameter beta",
        ),
        (
            "preprocess: [{step: sklearn.feature_selection.RFE, params: "
            "{estimator: {estimator: sklearn.linear_model.Lasso, alpha: 1}}}]",
            "write an estimator as",
        ),
    ],
)
def test_steps_that_cannot_be_built_are_refused_with_their_place(make_spec, candidate, message):
    changes = {RIDGE: f"{{estimator: sklearn.linear_model.Ridge, {candidate}}}"}
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        check_candidates(make_spec(changes=changes))
    assert "training.candidates.0" in str(caught.value)


def test_several_estimators_can_stand_in_one(make_spec, daily_rows):
    candidate = (
        "{estimator: sklearn.ensemble.VotingRegressor, params: {estimators: ["
        "{estimator: sklearn.linear_model.Ridge}, "
        "{estimator: sklearn.ensemble.HistGradientBoostingRegressor, params: {max_iter: 5}}]}}"
    )
    spec = make_spec(changes={RIDGE: candidate})
    params = spec.training.candidates[0].params
    model = build_estimator(spec, 0, params).fit(daily_rows[["price"]], daily_rows["sold"])
    parts = [part.predict(daily_rows[["price"]]) for part in model.estimators_]
    np.testing.assert_allclose(model.predict(daily_rows[["price"]]), np.mean(parts, axis=0))


OWN = '''
from sklearn.base import BaseEstimator, RegressorMixin

class Seasonal(RegressorMixin, BaseEstimator):
    """Says the target's mean."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, X, y):
        self.mean_ = float(y.mean())
        return self

    def predict(self, X):
        return [self.mean_ + self.shift] * len(X)
'''


@pytest.fixture
def own_module(tmp_path, monkeypatch) -> Path:
    """A team's own module on the path, and their folder of pipelines."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "seasonal_models.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    yield tmp_path
    sys.modules.pop("seasonal_models", None)


def test_a_teams_own_estimator_is_used_once_it_is_listed(make_spec, daily_rows, own_module):
    candidate = "{estimator: seasonal_models.Seasonal, params: {shift: 1.0}}"
    spec = make_spec(changes={RIDGE: candidate})
    with pytest.raises(SpecError, match=r"not allowed.*allowed_estimators\.txt"):
        check_candidates(spec)
    assert "seasonal_models" not in sys.modules
    (own_module / "allowed_estimators.txt").write_text("# ours\nseasonal_models.Seasonal  # the mean\n\n")
    model = build_estimator(spec, 0, {"shift": 1.0}).fit(daily_rows[["price"]], daily_rows["sold"])
    assert model.predict([[0]]) == [daily_rows["sold"].mean() + 1.0]


def test_a_listed_estimator_that_cannot_be_imported_is_named(make_spec, own_module):
    (own_module / "allowed_estimators.txt").write_text("not_there.Model\n")
    spec = make_spec(changes={RIDGE: "{estimator: not_there.Model}"})
    with pytest.raises(SpecError, match=r"'not_there\.Model' cannot be imported"):
        check_candidates(spec)


@pytest.mark.parametrize(("key", "value"), [("weight", "price"), ("balance", "true")])
def test_an_estimator_that_takes_no_weights_is_named(make_spec, snapshot, key, value):
    changes = {
        FIRST: "sklearn.neighbors.KNeighborsClassifier",
        "holdout: 20%": f"holdout: 20%\n  {key}: {value}",
    }
    with pytest.raises(SpecError, match=f"KNeighborsClassifier accepts no row weights.*training.{key}"):
        check_candidates(make_spec(snapshot, changes))


@pytest.mark.parametrize("own", [False, True])
def test_an_estimator_that_takes_no_weights_cannot_have_recency(make_spec, own):
    nearest = "{estimator: sklearn.neighbors.KNeighborsRegressor%s}"
    changes = {RIDGE: nearest % (", recency: half-life 3 days" if own else "")}
    if not own:
        changes["holdout: 7 days"] = "holdout: 7 days\n  recency: half-life 3 days"
    with pytest.raises(
        SpecError, match=r"candidates\.0.*KNeighborsRegressor accepts no row.*'recency: none'"
    ):
        check_candidates(make_spec(changes=changes))
    check_candidates(make_spec(changes=changes | {RIDGE: nearest % ", recency: none"}))


@pytest.mark.parametrize(
    "rest", ["", ", preprocess: [sklearn.preprocessing.StandardScaler]", ", target_transform: log1p"]
)
def test_weights_reach_the_estimator(make_spec, rest):
    spec = make_spec(changes={RIDGE: f"{{estimator: sklearn.linear_model.LinearRegression{rest}}}"})
    x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([1.0, 3.0, 5.0, 70.0])
    model = build_estimator(spec, 0, {})
    model.fit(x, y, **{fit_argument(model, "sample_weight"): np.array([1.0, 1.0, 1.0, 1e-12])})
    alone = build_estimator(spec, 0, {}).fit(x[:3], y[:3])
    np.testing.assert_allclose(model.predict(x), alone.predict(x), rtol=1e-6)
    assert abs(build_estimator(spec, 0, {}).fit(x, y).predict(x) - alone.predict(x)).max() > 1
