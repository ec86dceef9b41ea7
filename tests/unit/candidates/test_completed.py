"""What is learnt after the fit of a candidate."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression

from evergreen.candidates.fit import fit_challenger
from evergreen.errors import RefusedError, SpecError
from evergreen.evaluation.evaluate import evaluate
from evergreen.metrics.predictions import Predictions
from evergreen.scoring.golden import golden_sample
from evergreen.spec.intervals import Intervals
from evergreen.training_set.assemble import assemble
from evergreen.training_set.digest import training_digest
from tests.unit.sales import DAILY


def test_a_challenger_has_intervals_where_they_are_asked_for(make_spec, daily_rows):
    spec = make_spec().model_copy(update={"intervals": Intervals(levels=(0.5,))})
    found = assemble(spec, daily_rows, "2024-02-10", 1, {})
    plain = fit_challenger(make_spec(), found)
    challenger = fit_challenger(spec, found)
    held = found.features[found.holdout]
    for name in ("evaluated", "final"):
        model = getattr(challenger, name)
        np.testing.assert_array_equal(model.predict(held), getattr(plain, name).predict(held))
        assert np.isfinite(model.predict_interval(held)).all()
    # Only the final model learns from the hold-out.
    assert len(challenger.final.scores_) == len(challenger.evaluated.scores_) + found.holdout.sum()
    (measured,) = evaluate(spec, found, challenger, None).coverage
    bounds, actual = challenger.evaluated.predict_interval(held)[:, 0], found.target[found.holdout]
    assert measured.covered == ((bounds[:, 0] <= actual) & (actual <= bounds[:, 1])).mean()
    assert measured.width == pytest.approx((bounds[:, 1] - bounds[:, 0]).mean())
    again = fit_challenger(spec, found).final
    np.testing.assert_array_equal(again.scores_, challenger.final.scores_)


def test_intervals_are_read_as_levels_and_only_of_a_regression(make_spec, snapshot):
    key = "task: regression"
    for written, levels in (("90%", (0.9,)), ("[90%, 99.5%]", (0.9, 0.995))):
        assert make_spec(changes={key: f"{key}\nintervals: {written}"}).intervals == Intervals(levels=levels)
    adapting = make_spec(changes={key: f"{key}\nintervals: {{levels: 90%, adapt: true}}"})
    assert adapting.intervals == Intervals(levels=(0.9,), adapt=True)
    # A change of it needs no training.
    assert training_digest(adapting) == training_digest(make_spec(changes={key: f"{key}\nintervals: 90%"}))
    for written in ("100%", "[90%, 90%]", "20%", "wide"):
        with pytest.raises(SpecError, match="intervals"):
            make_spec(changes={key: f"{key}\nintervals: {written}"})
    with pytest.raises(
        SpecError, match="intervals: classification predicts no numbers, write 'sets' instead"
    ):
        make_spec(snapshot.replace("task: classification", "task: classification\nintervals: 90%"))
    numbers = snapshot.replace("task: classification", "task: regression").replace("accuracy", "mae")
    with pytest.raises(SpecError, match=r"intervals\.adapt: a snapshot has no partitions to learn from"):
        make_spec(numbers + "intervals: {levels: 90%, adapt: true}\n")


def test_sets_are_read_as_levels_and_only_of_a_classification(make_spec, snapshot, clusters):
    assert make_spec(snapshot + "sets: [90%, 99%]\n").sets == (0.9, 0.99)
    with pytest.raises(SpecError, match="sets: regression predicts no classes, write 'intervals' instead"):
        make_spec(changes={"task: regression": "task: regression\nsets: 90%"})
    with pytest.raises(SpecError, match="sets: clustering predicts no classes, leave it out"):
        make_spec(clusters + "sets: 90%\n")


@pytest.mark.parametrize("more", ["", "  calibrate: sigmoid\n  decision: {metric: f1}\n"])
def test_a_challenger_has_sets_where_they_are_asked_for(make_spec, snapshot, people, more):
    text = snapshot.replace("training:\n", "training:\n" + more).replace(", search: {C: [0.01, 10, log]}", "")
    spec = make_spec(text + "sets: [80%, 90%]\n")
    found = assemble(spec, people, "snapshot", 1, {})
    plain, challenger = fit_challenger(make_spec(text), found), fit_challenger(spec, found)
    assert challenger.candidate == plain.candidate
    held = found.features[found.holdout]
    for name in ("evaluated", "final"):
        said = Predictions.of(getattr(challenger, name), held)
        np.testing.assert_array_equal(said.labels, getattr(plain, name).predict(held))
        np.testing.assert_array_equal(said.probabilities, getattr(plain, name).predict_proba(held))
        assert said.sets.shape == (len(held), 2, 2)
        assert (said.levels, said.classes) == ((0.8, 0.9), ("no", "yes"))
    # Only the final model learns from the hold-out.
    rows = [sum(map(len, getattr(challenger, name).scores_)) for name in ("evaluated", "final")]
    assert rows[1] == rows[0] + found.holdout.sum() == len(people)


def test_a_pretrained_classifier_has_sets_too(make_spec, snapshot, people):
    described = f"{{pretrained: {{key: given/model.skops, sha256: {'ab' * 32}}}}}"
    candidate = "{estimator: sklearn.linear_model.LogisticRegression, search: {C: [0.01, 10, log]}}"
    spec = make_spec(snapshot.replace(candidate, described) + "sets: 90%\n")
    found = assemble(spec, people, "snapshot", 1, {})
    model = LogisticRegression().fit(found.features, found.target)
    challenger = fit_challenger(spec, found, {0: model})
    assert challenger.final.model is challenger.evaluated.model is model
    assert sum(map(len, challenger.final.scores_)) == len(people)


def test_sets_need_probabilities_and_rows(make_spec, snapshot, people):
    no_search = snapshot.replace(", search: {C: [0.01, 10, log]}", "")
    for text, error, message in (
        (no_search.replace("LogisticRegression", "RidgeClassifier") + "sets: 90%\n", SpecError,
         "yaml: sets: the estimator gives no probabilities: choose another, or leave it out"),
        (no_search + "sets: 99.9%\n", RefusedError, "sales: sets: 99.9% needs at least 999 rows in the"),
    ):  # fmt: skip
        spec = make_spec(text)
        with pytest.raises(error, match=message):
            fit_challenger(spec, assemble(spec, people, "snapshot", 1, {}))


def test_a_row_whose_class_its_fold_did_not_know_teaches_no_set(make_spec, daily_rows):
    """The class "new" comes after all rows that the first folds are fit on."""
    head, tail = DAILY.split("  candidates:")[0], "  tuning: {folds: 3}\nsets: 90%\n"
    head = head.replace("task: regression", "task: classification").replace("metric: mae", "metric: accuracy")
    text = f"{head}  candidates: [{{estimator: sklearn.linear_model.LogisticRegression}}]\n{tail}"
    late = daily_rows["partition"] > "2024-01-20"
    sold = np.where(daily_rows["sold"] > 33, "much", "little")
    rows = daily_rows.assign(sold=np.where(late & (daily_rows.index % 3 == 0), "new", sold))
    spec = make_spec(text, features="def build(rows):\n    return rows[['price']]\n")
    found = assemble(spec, rows, "2024-02-10", 1, {})
    model = fit_challenger(spec, found).evaluated
    group = model.group_of_[list(model.classes_).index("new")]
    known = found.rows["partition"][~found.holdout]
    # Three folds of 33 days: 9 to learn from, then 8 each; only the last is fit on rows of the new class.
    last = found.target[~found.holdout][(known >= "2024-01-26") & (known <= "2024-02-02")]
    assert len(model.scores_[group]) == (last == "new").sum() > 9


def test_the_golden_sample_holds_the_bounds(make_spec, daily_rows):
    spec = make_spec().model_copy(update={"intervals": Intervals(levels=(0.5, 0.6))})
    found = assemble(spec, daily_rows, "2024-02-10", 1, {})
    model = fit_challenger(spec, found).final
    names = pq.read_schema(pa.BufferReader(golden_sample(spec, model, found.rows))).names
    assert {f"prediction.{name}" for name in ("lower", "upper", "lower_60", "upper_60")} <= set(names)


def test_the_golden_sample_holds_the_sets(make_spec, snapshot, people):
    spec = make_spec(snapshot.replace("trials: 5", "trials: 1") + "sets: [80%, 90%]\n")
    found = assemble(spec, people, "snapshot", 1, {})
    sample = pq.read_table(
        pa.BufferReader(golden_sample(spec, fit_challenger(spec, found).final, found.rows))
    )
    assert {"prediction.set", "prediction.set_90"} <= set(sample.column_names)
    assert {name for row in sample["prediction.set_90"].to_pylist() for name in row} == {"no", "yes"}
