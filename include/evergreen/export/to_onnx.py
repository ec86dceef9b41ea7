"""A model to an ONNX graph; run in the environment of the converters.

Trees are written here, as `TreeEnsemble` in double precision: skl2onnx writes them in single precision, so
that a row goes another way where a number is near a threshold, and it drops links such as that of `poisson`.
Everything else is converted by skl2onnx, in double precision where onnxruntime runs what it makes of that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "model.onnx"
INPUT = "features"

_OPERATORS = {"": 18, "ai.onnx.ml": 5}
_OF_SKL2ONNX = {"": 18, "ai.onnx.ml": 3}
_FORMAT = 10  # of the file: what onnxruntime reads since 1.18


def convert(folder: Path, request: Mapping[str, Any]) -> None:
    """Write the graph, with the features, classes and version in its metadata."""
    from onnx import ModelProto, helper

    if (folder / "forest.npz").is_file():
        with np.load(folder / "forest.npz", allow_pickle=False) as arrays:
            graph = of_trees(dict(arrays), request)
    elif (folder / "model.skops").is_file():
        graph = _of_scikit_learn(folder, request)
    else:
        graph = ModelProto.FromString((folder / FILE).read_bytes())
    there = {entry.key: entry.value for entry in graph.metadata_props}
    own = {name: request[name] for name in ("pipeline", "version")}
    if request["classes"]:
        own["classes"] = json.dumps(request["classes"])
    if len(graph.graph.input) == 1 and "features" not in there:
        own["features"] = json.dumps([column["name"] for column in request["columns"]])
    helper.set_model_props(graph, {**there, **own})
    (folder / "made" / FILE).write_bytes(graph.SerializeToString())


def of_trees(arrays: Mapping[str, NDArray[Any]], request: Mapping[str, Any]) -> Any:
    """The graph of a forest, as `evergreen.export.exportable.forest_arrays` gives it, and its links.

    Its input is a matrix (n, d) of all features. It gives `prediction` (n, 1), or `probabilities` (n, k).
    """
    from onnx import TensorProto, helper, numpy_helper

    outputs, columns = len(arrays["added"]), len(request["columns"])
    nodes, last = [], INPUT
    if request["single"]:
        nodes += [
            helper.make_node("Cast", [INPUT], ["single"], to=TensorProto.FLOAT),
            helper.make_node("Cast", ["single"], ["compared"], to=TensorProto.DOUBLE),
        ]
        last = "compared"
    nodes += [_ensemble(arrays, outputs, last), helper.make_node("Add", ["leaves", "added"], ["sum"])]
    name = "probabilities" if request["classes"] else "prediction"
    graph = helper.make_graph(
        nodes,
        "evergreen",
        [helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, [None, columns])],
        [],
        [numpy_helper.from_array(arrays["added"].reshape(1, -1), "added")],
    )
    width = len(request["classes"]) or 1
    output = helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, width])
    _link(graph, "sum", request["links"], output)
    operators = [helper.make_opsetid(*operator) for operator in _OPERATORS.items()]
    return helper.make_model(graph, opset_imports=operators, ir_version=_FORMAT)


def _ensemble(arrays: Mapping[str, NDArray[Any]], outputs: int, given: str) -> Any:
    """The node of all trees: inner nodes and leaves are numbered by themselves, over all trees."""
    from onnx import helper, numpy_helper

    sizes = arrays["sizes"]
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    is_leaf = arrays["left"] < 0
    # A tree that is one leaf gets a node which leads to it on both sides.
    alone = np.flatnonzero((sizes == 1)[np.repeat(np.arange(len(sizes)), sizes)])
    inner = np.union1d(np.flatnonzero(~is_leaf), alone)
    number = np.where(is_leaf, np.cumsum(is_leaf) - 1, np.searchsorted(inner, np.arange(len(is_leaf))))

    def children(side: str) -> NDArray[np.int64]:
        found = np.asarray(first[inner] + arrays[side][inner], np.int64)
        return np.where(is_leaf[inner], inner, found)

    left, right = children("left"), children("right")
    roots = np.searchsorted(inner, np.cumsum(sizes) - sizes)
    leaves = np.flatnonzero(is_leaf)
    return helper.make_node(
        "TreeEnsemble",
        [given],
        ["leaves"],
        domain="ai.onnx.ml",
        n_targets=outputs,
        aggregate_function=1,
        post_transform=0,
        tree_roots=roots.tolist(),
        nodes_modes=numpy_helper.from_array(np.zeros(len(inner), np.uint8), "modes"),
        nodes_featureids=np.where(is_leaf, 0, arrays["feature"])[inner].tolist(),
        nodes_splits=numpy_helper.from_array(np.where(is_leaf, 0.0, arrays["threshold"])[inner], "splits"),
        nodes_missing_value_tracks_true=arrays["missing_left"][inner].astype(int).tolist(),
        nodes_truenodeids=number[left].tolist(),
        nodes_trueleafs=is_leaf[left].astype(int).tolist(),
        nodes_falsenodeids=number[right].tolist(),
        nodes_falseleafs=is_leaf[right].astype(int).tolist(),
        leaf_targetids=np.repeat(arrays["outputs"], sizes)[leaves].tolist(),
        leaf_weights=numpy_helper.from_array(np.asarray(arrays["value"][leaves], np.float64), "values"),
    )


def _link(graph: Any, given: str, links: Sequence[str], output: Any) -> None:
    """Append to the graph what follows the numbers `given`, and make the result its only output."""
    from onnx import helper, numpy_helper

    nodes = graph.node
    if {"expm1", "sigmoid"} & set(links):
        kind = helper.tensor_dtype_to_np_dtype(output.type.tensor_type.elem_type)
        graph.initializer.append(numpy_helper.from_array(np.ones((1, 1), kind), "one"))
    for place, link in enumerate(links):
        made = f"{link}-{place}"
        if link == "exp":
            nodes.append(helper.make_node("Exp", [given], [made]))
        elif link == "softmax":
            nodes.append(helper.make_node("Softmax", [given], [made], axis=1))
        elif link == "expm1":
            nodes.append(helper.make_node("Exp", [given], [f"{made}-exp"]))
            nodes.append(helper.make_node("Sub", [f"{made}-exp", "one"], [made]))
        else:
            nodes.append(helper.make_node("Sigmoid", [given], [f"{made}-second"]))
            nodes.append(helper.make_node("Sub", ["one", f"{made}-second"], [f"{made}-first"]))
            nodes.append(helper.make_node("Concat", [f"{made}-first", f"{made}-second"], [made], axis=1))
        given = made
    nodes.append(helper.make_node("Identity", [given], [output.name]))
    del graph.output[:]
    graph.output.append(output)


def _of_scikit_learn(folder: Path, request: Mapping[str, Any]) -> Any:
    import skops.io
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    data = (folder / "model.skops").read_bytes()
    # Only types of scikit-learn are in it: it was looked at before.
    model = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    try:
        graph = _converted(model, request, DoubleTensorType)
        _start(graph)
    except Exception:  # noqa: BLE001 - neither library has an error of its own for what it cannot do
        graph = _converted(model, request, FloatTensorType)
        _start(graph)
    return graph


def _converted(model: Any, request: Mapping[str, Any], number: Any) -> Any:
    from onnx import helper
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import StringTensorType

    columns = request["columns"]
    if all(column["number"] for column in columns):
        types = [(INPUT, number([None, len(columns)]))]
    else:
        types = [
            (column["name"], (number if column["number"] else StringTensorType)([None, 1]))
            for column in columns
        ]
    options = {"zipmap": False} if request["classes"] else None
    graph = convert_sklearn(model, initial_types=types, target_opset=_OF_SKL2ONNX, options=options)
    if request["links"]:
        (output,) = graph.graph.output
        kind = output.type.tensor_type.elem_type
        linked = helper.make_tensor_value_info("prediction", kind, [None, 1])
        _link(graph.graph, output.name, request["links"], linked)
    return graph


def _start(graph: Any) -> None:
    import onnxruntime  # type: ignore[import-untyped]

    onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
