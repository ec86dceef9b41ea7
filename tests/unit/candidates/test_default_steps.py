"""What a candidate does with columns of any type where the description leaves `preprocess` out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from evergreen.boosters.catalogue import REMEDY
from evergreen.candidates.estimators import check_candidates, with_default_steps
from evergreen.candidates.fit import fit_challenger
from evergreen.contributions.contributions import contributions_of
from evergreen.days import DaysOfTimes
from evergreen.errors import SpecError
from evergreen.registry.model_file import dump_model, load_model
from evergreen.training_set.assemble import assemble
from tests.unit.sales import SNAPSHOT

ROWS = 120
SUMS = {
    "accuracy": "mae",
    "classification": "regression",
    "loyal": "spent",
    "{estimator: sklearn.linear_model.LogisticRegression, search: {C: [0.01, 10, log]}}": "CANDIDATE",
}
BOOSTERS = ("lightgbm.LGBMRegressor", "xgboost.XGBRegressor", "catboost.CatBoostRegressor")
PARAMS = {
    "neighbors.KNeighborsRegressor": "{algorithm: brute}",
    "neural_network.MLPRegressor": "{solver: lbfgs, max_iter: 5, tol: 100}",
    "ensemble.RandomForestRegressor": "{n_estimators: 5}",
    "ensemble.GradientBoostingRegressor": "{n_estimators: 5}",
    "ensemble.HistGradientBoostingRegressor": "{max_iter: 5}",
}
SCALED_ONLY = ["SimpleImputer", "StandardScaler"]
OF_TEXTS = [*SCALED_ONLY, "OneHotEncoder"]


@pytest.fixture
def people() -> pd.DataFrame:
    """People with a column of each type that a lake gives, some of whose values are missing."""
    random = np.random.default_rng(2)
    level = random.choice(["low", "mid", "high"], ROWS)
    size = random.normal(100, 30, ROWS)
    since = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, ROWS), "D")
    spent = size + 40 * (level == "high") + random.normal(0, 2, ROWS)
    rows = pd.DataFrame({"person": range(ROWS), "level": level, "size": size, "since": since, "spent": spent})
    rows["open"] = random.choice([True, False], ROWS)
    rows["checked"] = pd.Series(random.choice([True, False, None], ROWS), dtype=object)
    rows.loc[::7, "size"] = np.nan
    rows.loc[::9, "level"] = None
    rows.loc[::11, "since"] = pd.NaT
    return rows.assign(level=rows["level"].astype("str"), partition="snapshot")


@pytest.fixture
def described(make_spec):
    """The description of a regression of what people spend, with the features `columns` of their rows."""

    def make(candidate: str, *columns: str, more: str = ""):
        text = SNAPSHOT
        for old, new in SUMS.items():
            text = text.replace(old, new)
        text = text.replace("CANDIDATE", candidate) + more
        columns = columns or ("level", "size", "since", "open", "checked")
        features = f"def build(rows):\n    return rows[{list(columns)}]\n"
        return make_spec(
            text.replace("key: [person]", 'key: [person]\nfeatures: {function: "features.py:build"}'),
            features=features,
        )

    return make


def steps_of(spec, features) -> list[str]:
    (candidate,) = with_default_steps(spec, features).training.candidates
    assert candidate.preprocess is not None
    return [step.step.rpartition(".")[2] for step in candidate.preprocess]


def trained(spec, rows):
    return fit_challenger(spec, assemble(spec, rows, "snapshot", 1, {}))


@pytest.mark.parametrize(
    ("estimator", "of_numbers", "of_missing", "of_all"),
    [
        ("linear_model.Ridge", SCALED_ONLY, SCALED_ONLY, OF_TEXTS),
        ("linear_model.LinearRegression", [], ["SimpleImputer"], ["SimpleImputer", "OneHotEncoder"]),
        ("neural_network.MLPRegressor", SCALED_ONLY, SCALED_ONLY, OF_TEXTS),
        ("neighbors.KNeighborsRegressor", SCALED_ONLY, SCALED_ONLY, OF_TEXTS),
        ("svm.SVR", SCALED_ONLY, SCALED_ONLY, OF_TEXTS),
        ("tree.DecisionTreeRegressor", [], [], ["OrdinalEncoder"]),
        ("ensemble.RandomForestRegressor", [], [], ["OrdinalEncoder"]),
        ("ensemble.HistGradientBoostingRegressor", [], [], ["OrdinalEncoder"]),
        ("ensemble.GradientBoostingRegressor", [], ["SimpleImputer"], ["SimpleImputer", "OrdinalEncoder"]),
        ("dummy.DummyRegressor", [], [], []),
    ],
)
def test_steps_follow_from_estimator_and_types(described, people, estimator, of_numbers, of_missing, of_all):
    candidate = f"{{estimator: sklearn.{estimator}}}"
    if params := PARAMS.get(estimator):
        candidate = f"{{estimator: sklearn.{estimator}, params: {params}}}"
    spec = described(candidate)
    features = people[["size"]]
    assert steps_of(spec, features.dropna()) == of_numbers
    assert steps_of(spec, features) == of_missing
    assert steps_of(spec, people[["size", "level"]]) == of_all
    days = [] if "Dummy" in estimator else ["DaysOfTimes"]
    assert steps_of(spec, people[["size", "level", "since"]]) == [*days, *of_all]
    model = trained(spec, people).final
    unseen = people.drop(columns=["person", "spent", "partition"])[:3].assign(level="never seen", size=np.nan)
    assert np.isfinite(model.predict(unseen)).all()
    again = load_model(dump_model(model))
    np.testing.assert_array_equal(again.predict(unseen), model.predict(unseen))


@pytest.mark.parametrize("estimator", BOOSTERS)
def test_boosting_libraries_have_categories_of_their_own(described, people, estimator):
    pytest.importorskip(estimator.partition(".")[0], reason=f"not installed: {REMEDY}")
    spec = described(f"{{estimator: {estimator}, params: {{n_estimators: 5}}}}")
    assert steps_of(spec, people[["size", "level"]]) == []
    found = trained(spec, people)
    assert [step["step"].rpartition(".")[2] for step in found.candidate["preprocess"]] == ["DaysOfTimes"]
    assert found.candidate["early_stopping"]


@pytest.mark.parametrize("kind", [RandomForestRegressor, HistGradientBoostingRegressor])
def test_what_takes_the_columns_as_they_are_is_the_same_model_to_the_last_bit(described, people, kind):
    spec = described(f"{{estimator: sklearn.ensemble.{kind.__name__}}}", "size", "open")
    model = trained(spec, people).final
    alone = kind(random_state=0).fit(people[["size", "open"]], people["spent"])
    assert type(model) is kind
    np.testing.assert_array_equal(
        model.predict(people[["size", "open"]]), alone.predict(people[["size", "open"]])
    )


def test_a_linear_model_is_that_of_the_steps_written_by_hand(described, people):
    found = trained(described("{estimator: sklearn.linear_model.Ridge}", "size", "level"), people)
    assert found.candidate["preprocess"] == [
        {"step": "sklearn.impute.SimpleImputer", "params": {"strategy": "median"}, "columns": "numbers"},
        {"step": "sklearn.preprocessing.StandardScaler", "params": {}, "columns": "numbers"},
        {
            "step": "sklearn.preprocessing.OneHotEncoder",
            "params": {"max_categories": 100},
            "columns": "texts",
        },
    ]
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = ColumnTransformer([("size", numbers, ["size"]), ("level", OneHotEncoder(), ["level"])])
    by_hand = make_pipeline(columns, Ridge()).fit(people, people["spent"])
    np.testing.assert_allclose(
        found.final.predict(people[["size", "level"]]), by_hand.predict(people), rtol=1e-9
    )


def test_the_steps_that_are_written_stay_as_they_are(described, people):
    candidate = "{estimator: sklearn.linear_model.Ridge, preprocess: [sklearn.impute.SimpleImputer]}"
    assert steps_of(described(candidate), people[["size"]]) == ["SimpleImputer"]
    assert (
        steps_of(described("{estimator: sklearn.linear_model.Ridge, preprocess: []}"), people[["size"]]) == []
    )


def test_estimators_within_another_decide_with_it(described, people):
    nested = (
        "{estimator: sklearn.ensemble.VotingRegressor, params: {estimators: [{estimator: %s}, "
        "{estimator: sklearn.ensemble.HistGradientBoostingRegressor}]}}"
    )
    features = people[["size", "level"]]
    assert steps_of(described(nested % "sklearn.linear_model.Ridge"), features) == OF_TEXTS
    trees = described(nested % "sklearn.tree.DecisionTreeRegressor")
    assert steps_of(trees, features) == ["OrdinalEncoder"]


def test_categories_are_left_to_an_estimator_that_takes_them(described, people):
    features = people[["size", "level"]].astype({"level": "category"})
    histograms = described("{estimator: sklearn.ensemble.HistGradientBoostingRegressor}")
    assert steps_of(histograms, features) == []
    assert steps_of(histograms, features.assign(town="a")) == ["OrdinalEncoder"]
    (candidate,) = with_default_steps(histograms, features.assign(town="a")).training.candidates
    assert candidate.preprocess[0].columns == ("town",)


def test_several_candidates_get_steps_of_their_own_and_a_search_goes_on(described, people):
    several = (
        "{estimator: sklearn.linear_model.Ridge, search: {alpha: [0.1, 10, log]}}\n"
        "    - {estimator: sklearn.ensemble.RandomForestRegressor, params: {n_estimators: 5}}"
    )
    found = trained(described(several), people)
    assert len(found.trials) == 5 + 1
    assert all(np.isfinite(trial["score"]) for trial in found.trials)


def test_what_is_made_of_a_text_contributes_as_that_text(described, people):
    spec = described("{estimator: sklearn.linear_model.Ridge}", more="explain: 2\n")
    check_candidates(spec)
    challenger = trained(spec, people)
    features = assemble(spec, people, "snapshot", 1, {}).features
    predicted = challenger.final.predict(features)
    found = contributions_of(challenger.final, features, predicted)
    assert found.names == tuple(features)
    np.testing.assert_allclose(found.values.sum(axis=1) + found.base, predicted, rtol=1e-9)


def test_clusters_are_found_among_texts_too(make_spec, clusters, people):
    rows = people.drop(columns="spent")
    spec = make_spec(clusters)
    found = fit_challenger(spec, assemble(spec, rows, "snapshot", 1, {}))
    names = [
        step["step"].rpartition(".")[2] for step in found.candidate["preprocess"] if isinstance(step, dict)
    ]
    assert names == ["DaysOfTimes", *OF_TEXTS]


def test_days_are_counted_from_1970_in_utc():
    zoned = pd.to_datetime(["1970-01-02 01:00", None]).tz_localize("Europe/Berlin")
    frame = pd.DataFrame({"plain": pd.to_datetime(["1970-01-01 12:00", "1969-12-31 00:00"]), "zoned": zoned})
    frame["took"] = pd.to_timedelta(["36h", None])
    step = DaysOfTimes().set_output(transform="pandas").fit(frame)
    wanted = pd.DataFrame({"plain": [0.5, -1.0], "zoned": [1.0, np.nan], "took": [1.5, np.nan]})
    pd.testing.assert_frame_equal(step.transform(frame), wanted)


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ("level", "feature level holds texts such as '.*', encode them: .*OneHotEncoder, columns: .level.}"),
        ("size", "feature size has missing values, impute them: .*SimpleImputer, columns: .size.}"),
        ("since", "feature since holds times, convert them: .*DaysOfTimes, columns: .since.}"),
    ],
)
def test_an_estimator_that_cannot_take_a_column_names_it_and_the_step(described, people, column, told):
    spec = described("{estimator: sklearn.linear_model.Ridge, preprocess: []}", "open", column)
    with pytest.raises(SpecError, match=told) as caught:
        trained(spec, people)
    assert "leave preprocess out" in str(caught.value)
    assert "\n" not in str(caught.value)
