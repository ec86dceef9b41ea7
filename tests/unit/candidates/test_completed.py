"""What is learnt after the fit of a candidate."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen.candidates.fit import fit_challenger
from evergreen.errors import SpecError
from evergreen.evaluation.evaluate import evaluate
from evergreen.scoring.golden import golden_sample
from evergreen.training_set.assemble import assemble


def test_a_challenger_has_intervals_where_they_are_asked_for(make_spec, daily_rows):
    spec = make_spec().model_copy(update={"intervals": (0.5,)})
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
        assert make_spec(changes={key: f"{key}\nintervals: {written}"}).intervals == levels
    for written in ("100%", "[90%, 90%]", "20%", "wide"):
        with pytest.raises(SpecError, match="intervals"):
            make_spec(changes={key: f"{key}\nintervals: {written}"})
    with pytest.raises(SpecError, match="intervals: classification predicts no numbers"):
        make_spec(snapshot.replace("task: classification", "task: classification\nintervals: 90%"))


def test_the_golden_sample_holds_the_bounds(make_spec, daily_rows):
    spec = make_spec().model_copy(update={"intervals": (0.5, 0.6)})
    found = assemble(spec, daily_rows, "2024-02-10", 1, {})
    model = fit_challenger(spec, found).final
    names = pq.read_schema(pa.BufferReader(golden_sample(spec, model, found.rows))).names
    assert {f"prediction.{name}" for name in ("lower", "upper", "lower_60", "upper_60")} <= set(names)
