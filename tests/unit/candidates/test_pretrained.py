from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import skops.io
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor

from evergreen.candidates import pretrained as module
from evergreen.candidates.fit import fit_challenger
from evergreen.candidates.pretrained import OnnxModel, load_pretrained
from evergreen.errors import IntegrityError, NotFoundError, SpecError
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model, load_model
from evergreen.training_set.assemble import assemble

AS_OF = "2024-02-10"
RIDGE = "{estimator: sklearn.linear_model.Ridge, params: {alpha: 1.0}}"
SEARCH = "sklearn.linear_model.LogisticRegression, search: {C: [0.01, 10, log]}"
VALUE = helper.make_tensor_value_info
FLOAT = TensorProto.FLOAT


def graph(
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    constants: dict[str, Any] | None = None,
    **metadata: Any,
) -> bytes:
    """An ONNX file; constants are numbers in single precision, metadata anything in JSON."""
    body = helper.make_graph(nodes, "graph", inputs, outputs)
    for name, value in (constants or {}).items():
        body.initializer.append(onnx.numpy_helper.from_array(np.asarray(value, np.float32), name))
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(body, opset_imports=opsets, ir_version=10)
    helper.set_model_props(model, {name: json.dumps(value) for name, value in metadata.items()})
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def line(weights: list[float], constant: float, **metadata: Any) -> bytes:
    """A linear regression of a matrix."""
    return graph(
        [helper.make_node("Gemm", ["x", "w", "c"], ["y"])],
        [VALUE("x", FLOAT, [None, len(weights)])],
        [VALUE("y", FLOAT, [None, 1])],
        {"w": np.array(weights)[:, None], "c": [constant]},
        **metadata,
    )


def softmax(labels: list[Any] | None, *, mapped: bool, width: int = 2) -> bytes:
    """A logistic regression of one feature: labels and, mapped by class or as a matrix, probabilities."""
    words = labels is not None and isinstance(labels[0], str)
    attributes = {"classlabels_strings": labels} if words else {"classlabels_ints": labels or [0, 1]}
    coefficients = [-1.0, 0.0, 1.0, 0.0]
    nodes = [
        helper.make_node(
            "LinearClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", coefficients=coefficients,
            intercepts=[25.0, -25.0], post_transform="SOFTMAX", **attributes,
        )
    ]  # fmt: skip
    kind = TensorProto.STRING if words else TensorProto.INT64
    outputs = [VALUE("label", kind, [None])]
    if not mapped:
        return graph(nodes, [VALUE("x", FLOAT, [None, width])], [*outputs, VALUE("scores", FLOAT, [None, 2])])
    names = {"classlabels_strings": labels} if words else {"classlabels_int64s": labels}
    nodes.append(helper.make_node("ZipMap", ["scores"], ["chances"], domain="ai.onnx.ml", **names))
    mapping = helper.make_map_type_proto(kind, helper.make_tensor_type_proto(FLOAT, []))
    outputs.append(helper.make_value_info("chances", helper.make_sequence_type_proto(mapping)))
    return graph(nodes, [VALUE("x", FLOAT, [None, width])], outputs)


X = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [10.0, 20.0, 30.0]})


def test_a_matrix_of_all_features_is_taken_in_their_order_or_in_the_named_one():
    np.testing.assert_allclose(OnnxModel.read(line([2.0, 1.0], 0.5)).predict(X), [12.5, 24.5, 36.5])
    named = OnnxModel.read(line([2.0, 1.0], 0.5, features=["b", "a"]))
    np.testing.assert_allclose(named.predict(X.assign(c="text")), [21.5, 42.5, 63.5])
    assert named.predict(X).dtype == np.float64
    assert not hasattr(named, "predict_proba")
    assert not hasattr(named, "classes_")


def test_one_input_a_feature_is_found_by_its_name():
    inputs = [VALUE("b", FLOAT, [None, 1]), VALUE("town", TensorProto.STRING, [None, 1])]
    encode = helper.make_node(
        "LabelEncoder", ["town"], ["t"], domain="ai.onnx.ml",
        keys_strings=["Oslo", "Rome"], values_floats=[1.0, 2.0], default_float=-1.0,
    )  # fmt: skip
    nodes = [encode, helper.make_node("Add", ["b", "t"], ["y"])]
    model = OnnxModel.read(graph(nodes, inputs, [VALUE("y", FLOAT, [None, 1])]))
    rows = X.assign(town=["Rome", None, "Oslo"])
    assert model.predict(rows[["town", "a", "b"]]).tolist() == [12.0, 19.0, 31.0]
    with pytest.raises(ValueError, match="there is no feature town"):
        model.predict(X)


@pytest.mark.parametrize("labels", [["no", "yes"], [3, 7]])
def test_probabilities_mapped_by_class_name_the_classes(labels):
    model = OnnxModel.read(softmax(labels, mapped=True))
    rows = pd.DataFrame({"spent": [20.0, 30.0], "visits": 0.0})
    assert model.classes_.tolist() == labels
    assert model.predict(rows).tolist() == labels
    # P(second) = 1 / (1 + exp(2 (25 - x)))
    expected = 1 / (1 + np.exp(2 * (25.0 - rows["spent"].to_numpy())))
    np.testing.assert_allclose(model.predict_proba(rows)[:, 1], expected, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(rows).sum(axis=1), 1.0, rtol=1e-15)


def test_a_matrix_of_probabilities_counts_only_if_its_classes_are_named():
    assert not hasattr(OnnxModel.read(softmax(["no", "yes"], mapped=False)), "predict_proba")
    nodes = [helper.make_node("Softmax", ["x"], ["p"], axis=1)]
    ends = [VALUE("x", FLOAT, [None, 2])], [VALUE("p", FLOAT, [None, 2])]
    model = OnnxModel.read(graph(nodes, *ends, classes=["low", "high"]))
    rows = pd.DataFrame({"x": [0.0, 1.0], "y": [1.0, 0.0]})
    assert model.predict(rows).tolist() == ["high", "low"]
    np.testing.assert_allclose(model.predict_proba(rows)[0], [1 / (1 + np.e), np.e / (1 + np.e)], rtol=1e-6)
    with pytest.raises(IntegrityError, match="metadata 'classes'"):
        OnnxModel.read(graph(nodes, *ends))
    logits = OnnxModel.read(graph([helper.make_node("Identity", ["x"], ["p"])], *ends, classes=[0, 1]))
    with pytest.raises(ValueError, match="do not add up to 1"):
        logits.predict_proba(rows + 1)


@pytest.mark.parametrize(
    "model", [line([2.0, 1.0], 0.5, features=["b", "a"]), softmax(["no", "yes"], mapped=True)]
)
def test_a_graph_predicts_the_same_once_it_is_stored_as_a_version(model):
    first = OnnxModel.read(model)
    found = first.predict(X)
    again = load_model(dump_model(first))
    np.testing.assert_array_equal(again.predict(X), found)
    assert again.graph.tobytes() == model
    if hasattr(first, "predict_proba"):
        np.testing.assert_array_equal(again.predict_proba(X), first.predict_proba(X))
        assert again.classes_.tolist() == first.classes_.tolist()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no graph",
        line([1.0], 0.0)[:-20],
        line([1.0], 0.0, classes="yes"),
        graph(
            [helper.make_node("Identity", ["x"], [name]) for name in ("y", "z")],
            [VALUE("x", FLOAT, [None, 1])],
            [VALUE(name, FLOAT, [None, 1]) for name in ("y", "z")],
        ),
    ],
    ids=["empty", "text", "truncated", "classes that are none", "two predictions"],
)
def test_what_is_no_usable_graph_is_refused(data):
    with pytest.raises(IntegrityError, match="not an ONNX graph that can be used"):
        OnnxModel.read(data)


@pytest.fixture
def with_model(make_spec, storage) -> Callable[..., Pipeline]:
    """A pipeline whose first candidate is pretrained, and its model in the storage."""

    def make(data: bytes, name: str, text: str | None = None, old: str = RIDGE, digest: str = "") -> Pipeline:
        storage.stage(f"given/{name}", data)
        described = f"pretrained: {{key: given/{name}, sha256: {digest or hashlib.sha256(data).hexdigest()}}}"
        new = "{" + described + "}" if old == RIDGE else described
        changes = {old if old == RIDGE else "estimator: " + old: new}
        return Pipeline(make_spec(text, changes) if text else make_spec(changes=changes), storage)

    return make


def test_a_pretrained_model_is_scored_in_the_same_folds_and_never_fit(with_model, daily_rows):
    pipeline = with_model(line([-9.0, 0.0], 60.0), "line.onnx")
    spec, found = pipeline.spec, assemble(pipeline.spec, daily_rows, AS_OF, 1, {})
    models = load_pretrained(pipeline)
    challenger = fit_challenger(spec, found, models)
    # The rows were made by this very line with noise: no model that has to learn it does better.
    assert challenger.evaluated is challenger.final is models[0]
    assert challenger.candidate["estimator"] == "given/line.onnx"
    assert challenger.candidate["pretrained"] == spec.training.candidates[0].pretrained.model_dump()
    known = np.flatnonzero(~found.holdout)
    days = found.rows["partition"].iloc[known]
    errors = (60.0 - 9.0 * found.rows["price"] - found.target).abs().iloc[known]
    per_day = sorted(days.unique())
    scored = [per_day[-24:-16], per_day[-16:-8], per_day[-8:]]  # 33 days in three folds of 8
    expected = [errors[days.isin(some)].mean() for some in scored]
    np.testing.assert_allclose(challenger.trials[0]["folds"], expected, rtol=1e-5)


def test_another_candidate_wins_over_a_worse_pretrained_model(with_model, daily_rows):
    pipeline = with_model(line([0.0, 0.0], 40.0), "flat.onnx")
    challenger = fit_challenger(
        pipeline.spec, assemble(pipeline.spec, daily_rows, AS_OF, 1, {}), load_pretrained(pipeline)
    )
    assert challenger.candidate["estimator"] == "sklearn.ensemble.HistGradientBoostingRegressor"


def test_a_scikit_learn_model_is_loaded_through_the_reviewed_list(with_model, daily_rows):
    model = Ridge().fit(np.array([[1.0, 0.0], [2.0, 1.0]]), [51.0, 42.0])
    pipeline = with_model(skops.io.dumps(model), "ridge.skops")
    (loaded,) = load_pretrained(pipeline).values()
    np.testing.assert_array_equal(loaded.coef_, model.coef_)
    trees = KNeighborsRegressor(algorithm="kd_tree").fit(np.eye(3), [1, 2, 3])
    with pytest.raises(
        IntegrityError, match=r"candidates\.0\.pretrained: given/knn\.skops: .* holds .*KDTree"
    ):
        load_pretrained(with_model(skops.io.dumps(trees), "knn.skops"))


def test_a_classifier_is_measured_by_its_probabilities(with_model, snapshot, people):
    text = snapshot.replace("metric: accuracy", "metric: log_loss").replace(
        "  candidates:\n", "  candidates:\n    - {estimator: sklearn.dummy.DummyClassifier}\n"
    )
    pipeline = with_model(softmax(["no", "yes"], mapped=True), "chances.onnx", text, SEARCH)
    found = assemble(pipeline.spec, people, "snapshot", 1, {})
    challenger = fit_challenger(pipeline.spec, found, load_pretrained(pipeline))
    assert challenger.candidate["estimator"] == "given/chances.onnx"
    assert challenger.final.predict_proba(found.features).shape == (120, 2)


@pytest.mark.parametrize("name", ["line.onnx", "ridge.skops"])
def test_not_a_byte_is_interpreted_before_the_digest_is_right(with_model, monkeypatch, name):
    def never(*_: Any) -> None:
        raise AssertionError("it was interpreted")

    monkeypatch.setattr(module, "read_model", never)
    with pytest.raises(IntegrityError, match=r"pretrained\.sha256: s3://.* has the digest .* is not loaded"):
        load_pretrained(with_model(b"anything", name, digest="ab" * 32))


def test_a_model_that_is_not_there_is_named(with_model, storage):
    pipeline = with_model(b"anything", "line.onnx")
    storage.delete(["given/line.onnx"])
    with pytest.raises(NotFoundError, match=r"pretrained\.key: s3://.*line\.onnx does not exist: upload"):
        load_pretrained(pipeline)


def test_a_model_of_another_task_is_refused(with_model):
    model = LogisticRegression().fit(X, [0, 1, 1])
    with pytest.raises(SpecError, match="LogisticRegression, which does not support regression"):
        load_pretrained(with_model(dump_model(model), "classes.skops"))


def test_a_model_of_other_features_is_named(with_model, daily_rows):
    pipeline = with_model(line([1.0, 2.0, 3.0], 0.0), "wide.onnx")
    found = assemble(pipeline.spec, daily_rows, AS_OF, 1, {})
    with pytest.raises(SpecError, match=r"wide\.onnx cannot predict from the features price, before"):
        fit_challenger(pipeline.spec, found, load_pretrained(pipeline))
    with pytest.raises(SpecError, match=r"wide\.onnx was not loaded"):
        fit_challenger(pipeline.spec, found)


def test_the_digest_is_part_of_the_version(with_model, daily_rows):
    one, two = (with_model(line([-9.0, 0.0], c), "line.onnx").spec for c in (60.0, 61.0))
    first, second = (assemble(spec, daily_rows, AS_OF, 1, {}).version for spec in (one, two))
    assert first != second
