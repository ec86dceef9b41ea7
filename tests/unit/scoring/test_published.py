"""What a published prediction holds, from a model to the columns and back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.errors import SpecError
from evergreen.lake import Table
from evergreen.metrics.predictions import Predictions
from evergreen.pipeline import Pipeline
from evergreen.rows.frame import to_frame
from evergreen.scoring.checked_model import CheckedModel
from evergreen.scoring.published import is_published, published_columns, published_types, read_published
from evergreen.scoring.score import _publish, predictions
from evergreen.spec import Spec, parse_spec
from evergreen.storage import Storage
from tests.campaign import examples

IRIS = parse_spec(Path(__file__).parents[3] / "include" / "pipelines" / "iris" / "pipeline.yaml")
LABELS = {2: ["no", "yes"], 3: ["a", "b", "c"], 1: ["only"]}


def said(classes: list[str], seed: int = 0, rows: int = 7) -> Predictions:
    draw = np.random.default_rng(seed)
    probabilities = draw.dirichlet(np.ones(len(classes)), rows)
    return Predictions(np.array(classes)[probabilities.argmax(axis=1)], probabilities, tuple(classes))


def positive(name: Any) -> Spec:
    return IRIS.model_copy(update={"positive": name})


def test_of_two_classes_it_is_the_probability_of_the_positive_one() -> None:
    found = said(LABELS[2])
    assert found.probabilities is not None
    for name, place in ((None, 1), ("yes", 1), ("no", 0)):
        columns = published_columns(positive(name), found)
        assert list(columns) == ["prediction", "probability"]
        np.testing.assert_array_equal(columns["probability"], found.probabilities[:, place])


def test_of_more_it_is_the_list_in_the_order_of_the_classes() -> None:
    for number in (1, 3):
        found = said(LABELS[number])
        columns = published_columns(IRIS, found)
        assert list(columns) == ["prediction", "probabilities"]
        np.testing.assert_array_equal(np.vstack(columns["probabilities"]), found.probabilities)


def test_a_model_without_probabilities_publishes_its_labels_alone() -> None:
    assert list(published_columns(IRIS, Predictions(np.array(["a", "b"])))) == ["prediction"]


def test_a_positive_class_that_the_model_does_not_know_is_named() -> None:
    with pytest.raises(
        SpecError, match=r"positive: 'maybe' is not a class of the target: name one of no, yes"
    ):
        published_columns(positive("maybe"), said(LABELS[2]))


@settings(max_examples=examples(30), deadline=None)
@given(
    st.sampled_from([1, 2, 3]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, "no", "yes"]),
    st.integers(0, 9),
)
def test_what_was_published_is_read_again(number: int, seed: int, name: Any, rows: int) -> None:
    spec, found = positive(name if number == 2 else None), said(LABELS[number], seed, rows)
    columns = published_columns(spec, found)
    types = published_types(spec, pa.string(), list(columns))
    table = pa.table({key: pa.array(list(columns[key]), types[key]) for key in columns})
    back = read_published(spec, to_frame(table), found.classes)
    assert back.labels.tolist() == found.labels.tolist()
    if rows:
        assert back.probabilities is not None
        assert back.classes == found.classes
        np.testing.assert_allclose(back.probabilities, found.probabilities, rtol=0, atol=1e-15)


def test_rows_that_were_published_without_probabilities_have_none() -> None:
    rows = pd.DataFrame({"prediction": ["no", "yes"]})
    assert read_published(IRIS, rows, ("no", "yes")).probabilities is None
    blank = rows.assign(probability=[None, None])
    assert read_published(IRIS, blank, ("no", "yes")).probabilities is None
    assert read_published(IRIS, rows.assign(probabilities=None), ("a", "b", "c")).probabilities is None


def test_bounds_are_read_again_by_the_levels_of_their_version() -> None:
    levels, bounds = (0.9, 0.995), np.arange(12.0).reshape(3, 2, 2)
    columns = published_columns(IRIS, Predictions(np.arange(3.0), bounds=bounds, levels=levels))
    assert list(columns) == ["prediction", "lower", "upper", "lower_99_5", "upper_99_5"]
    rows = pd.DataFrame(columns)
    back = read_published(IRIS, rows, (), levels)
    assert back.levels == levels
    np.testing.assert_array_equal(back.bounds, bounds)
    # A partition that another version scored has none of them, or not those of this level.
    blank = read_published(IRIS, rows.assign(lower=None), (), levels).bounds
    np.testing.assert_array_equal(np.isnan(blank).any(axis=(1, 2)), True)
    for other in (rows[["prediction"]], rows.drop(columns="upper_99_5")):
        assert read_published(IRIS, other, (), levels).bounds is None
    assert read_published(IRIS, rows, ()).bounds is None


def test_the_table_gets_a_column_once_a_version_has_it(storage: Storage) -> None:
    pipeline = Pipeline(IRIS, storage)

    def published(key: str, classes: list[str] | None) -> None:
        found = Predictions(np.array(["x"])) if classes is None else said(classes, rows=1)
        columns = published_columns(IRIS, found)
        types = published_types(IRIS, pa.string(), list(columns))
        table = pa.table({name: pa.array(list(columns[name]), types[name]) for name in columns})
        assert _publish(pipeline, table, key)
        assert not _publish(pipeline, table, key)

    published("k1", None)
    published("k2", LABELS[2])
    published("k3", LABELS[3])
    published("k4", None)
    table = pipeline.lake.read(Table.PREDICTIONS)
    assert table.column_names == ["prediction", "probability", "probabilities", "partition"]
    assert [value is not None for value in table.column("probability").to_pylist()] == [
        False,
        True,
        False,
        False,
    ]
    lists = table.column("probabilities").to_pylist()
    assert [None if value is None else len(value) for value in lists] == [None, None, 3, None]


def test_a_model_scores_with_its_probabilities(storage: Storage) -> None:
    pipeline = Pipeline(IRIS, storage)
    rows = pa.table(
        {
            **{name: pa.array([1.0, 2.0, 3.0]) for name in IRIS_COLUMNS},
            **{key: pa.array([1, 2, 3]) for key in IRIS.keys},
            str(IRIS.target): ["a", "b", "c"],
            "partition": ["snapshot"] * 3,
        }
    )
    shares = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    model = SimpleNamespace(
        predict=lambda _: np.array(["a", "b", "c"]),
        predict_proba=lambda _: shares,
        classes_=np.array(["a", "b", "c"]),
    )
    table = predictions(CheckedModel("v", model, pipeline), rows, "snapshot")
    assert table.schema.field("probabilities").type == pa.list_(pa.float64())
    assert table.column("probabilities").to_pylist() == shares.tolist()


IRIS_COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def test_intervals_are_columns_of_doubles_named_by_their_level() -> None:
    bounds = np.arange(12.0).reshape(2, 3, 2)
    found = Predictions(np.array([1.0, 2.0]), bounds=bounds, levels=(0.9, 0.99, 0.995))
    columns = published_columns(IRIS, found)
    names = ["lower", "upper", "lower_99", "upper_99", "lower_99_5", "upper_99_5"]
    assert list(columns) == ["prediction", *names]
    assert all(is_published(name) for name in names)
    assert not is_published("lower_bound")
    np.testing.assert_array_equal(np.column_stack([columns[name] for name in names]), bounds.reshape(2, 6))
    assert set(published_types(IRIS, pa.string(), names).values()) == {pa.float64()}


@pytest.mark.parametrize(
    ("classes", "kind"),
    [(["no", "yes"], pa.string()), ([1, 2, 3], pa.int64()), ([False, True], pa.bool_())],
)
def test_sets_are_lists_of_the_classes_and_are_read_again(classes: list[Any], kind: pa.DataType) -> None:
    draw = np.random.default_rng(0)
    members = draw.random((6, 2, len(classes))) < 0.6
    members[:, :, 0] |= ~members.any(axis=2)
    shares = draw.dirichlet(np.ones(len(classes)), 6)
    labels = np.array(classes)[shares.argmax(axis=1)]
    found = Predictions(labels, shares, tuple(classes), levels=(0.9, 0.99), sets=members)
    columns = published_columns(IRIS, found)
    assert list(columns)[:3] == ["prediction", "set", "set_99"]
    assert columns["set"][0] == [name for name, one in zip(classes, members[0, 0], strict=True) if one]
    types = published_types(IRIS, kind, list(columns))
    assert types["set"] == types["set_99"] == pa.list_(kind)
    table = pa.table({name: pa.array(list(columns[name]), types[name]) for name in columns})
    for rows in (6, 0):
        back = read_published(IRIS, to_frame(table.slice(0, rows)), classes, (0.9, 0.99))
        if rows:
            assert back.sets is not None
            np.testing.assert_array_equal(back.sets, members)
            assert (back.levels, back.classes) == ((0.9, 0.99), tuple(classes))
    older = to_frame(table.drop_columns(["set_99"]))
    assert read_published(IRIS, older, classes, (0.9, 0.99)).sets is None
    assert is_published("set_99_5")
    assert not is_published("settled")
