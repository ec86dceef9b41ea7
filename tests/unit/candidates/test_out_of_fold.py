"""Predictions by models that were not fit on the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict

from evergreen.candidates.out_of_fold import out_of_fold
from evergreen.candidates.tuning import Trial
from evergreen.errors import NothingToDoError
from evergreen.lake import PARTITION
from evergreen.metrics.predictions import Predictions
from evergreen.training_set.assemble import assemble
from evergreen.training_set.folds import folds_of
from evergreen.training_set.sample import Sample

AS_OF = "2024-02-10"


def ridge(spec, trial, sample):
    return Ridge(alpha=trial.params["alpha"]).fit(sample.features, sample.target)


def logistic(spec, trial, sample):
    return LogisticRegression().fit(sample.features, sample.target)


def test_with_time_each_fold_is_predicted_from_the_partitions_before_it(make_spec, daily_rows):
    spec = make_spec()
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    made = out_of_fold(spec, found, ridge, Trial(0, {"alpha": 2.0}))
    known = ~found.holdout
    partitions = found.rows[PARTITION][known].reset_index(drop=True)
    features, target = found.features[known], found.target[known]
    assert made.fold.max() == spec.training.tuning.folds - 1
    for number, (before, unseen) in enumerate(folds_of(spec, partitions, target)):
        assert partitions[before].max() < partitions[unseen].min()
        model = Ridge(alpha=2.0).fit(features.iloc[before], target.iloc[before])
        mine = made.fold == number
        assert made.sample.partitions[mine].tolist() == partitions[unseen].tolist()
        np.testing.assert_array_equal(made.predicted.labels[mine], model.predict(features.iloc[unseen]))
        np.testing.assert_array_equal(made.sample.target[mine], target.iloc[unseen])


def test_a_snapshot_is_predicted_as_by_scikit_learn(make_spec, snapshot, people):
    spec = make_spec(snapshot)
    found = assemble(spec, people, "snapshot", 1, {})
    made = out_of_fold(spec, found, logistic, Trial(0, {}))
    known = ~found.holdout
    features, target = found.features[known], found.target[known]
    folds = folds_of(spec, found.rows[PARTITION][known], target)
    order = np.concatenate([unseen for _, unseen in folds])
    expected = cross_val_predict(LogisticRegression(), features, target, cv=folds, method="predict_proba")[
        order
    ]
    np.testing.assert_allclose(made.predicted.probabilities, expected, rtol=0, atol=0)
    assert made.predicted.classes == ("no", "yes")
    assert sorted(order) == list(range(known.sum()))
    assert made.sample.features.equals(features.iloc[order])


def test_the_hold_out_follows_as_one_more_fold(make_spec, daily_rows):
    spec = make_spec()
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    made = out_of_fold(spec, found, ridge, Trial(0, {"alpha": 2.0}))
    held = Sample.of(found, found.holdout)
    labels = np.arange(len(held.features), dtype=float)
    whole = made.followed_by(held, Predictions(labels))
    assert len(whole) == len(made) + len(labels)
    assert whole.fold[-1] == made.fold.max() + 1
    np.testing.assert_array_equal(whole.predicted.labels[len(made) :], labels)
    np.testing.assert_array_equal(whole.sample.target[len(made) :], held.target)
    assert isinstance(whole.sample.features, pd.DataFrame)


def test_two_folds_are_needed(make_spec, daily_rows):
    spec = make_spec(
        changes={
            "minimum: 10 partitions": "minimum: 2",
            "window: 60 days": "window: 2 days",
            "holdout: 7 days": "holdout: 1 day",
        }
    )
    with pytest.raises(NothingToDoError, match="two folds"):
        out_of_fold(spec, assemble(spec, daily_rows, AS_OF, 1, {}), ridge, Trial(0, {"alpha": 1.0}))
