"""Models that were trained elsewhere: read from the storage, checked by their digest, used unchanged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if

from evergreen.candidates.estimators import candidate_path, suits
from evergreen.errors import IntegrityError, NotFoundError, SpecError, one_line
from evergreen.registry.model_file import load_model
from evergreen.spec import Pretrained, Spec

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

_TYPES: Mapping[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}


def load_pretrained(pipeline: Pipeline) -> dict[int, Any]:
    """The models of the pipeline's pretrained candidates, by the candidate's number.

    Raises `NotFoundError` where there is none at the key, `IntegrityError` if its digest is another than
    described (nothing of it is looked at then) or it is not a model that may be loaded, and `SpecError` if it
    is one of another task.
    """
    return {
        number: _loaded(pipeline, number, candidate.pretrained)
        for number, candidate in enumerate(pipeline.spec.training.candidates)
        if candidate.pretrained is not None
    }


def _loaded(pipeline: Pipeline, number: int, described: Pretrained) -> Any:
    where = f"{candidate_path(pipeline.spec, number)}.pretrained"
    try:
        data = pipeline.storage.read(described.key).body
    except NotFoundError:
        raise NotFoundError(
            f"{where}.key: {pipeline.storage.uri(described.key)} does not exist: upload the model there, or "
            "fix the key"
        ) from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != described.sha256:
        raise IntegrityError(
            f"{where}.sha256: {pipeline.storage.uri(described.key)} has the digest {digest}, and is not "
            "loaded: put the described model back or, if the new one is meant, write its digest"
        )
    return read_model(pipeline.spec, where, described.key, data)


def read_model(spec: Spec, where: str, key: str, data: bytes) -> Any:
    """The model in the bytes of a `.skops` or `.onnx` file, fit for the pipeline's task.

    Raises `IntegrityError` or `SpecError` that begins with `where`.
    """
    try:
        model = OnnxModel.read(data) if key.endswith(".onnx") else load_model(data)
    except IntegrityError as error:
        raise IntegrityError(f"{where}: {key}: {error}") from error
    if not hasattr(model, "predict") or not (isinstance(model, OnnxModel) or suits(spec, model)):
        raise SpecError(
            f"{where}: {key} holds {type(model).__name__}, which does not support {spec.task}: name another"
        )
    return model


class OnnxModel(BaseEstimator):  # type: ignore[misc]
    """An ONNX graph as a fitted scikit-learn estimator; onnxruntime runs it on one thread.

    `graph` is the file's bytes as a uint8 array. Its input is either one matrix (n, d) of all features, or
    for each feature an input (n, 1) of the same name. The matrix has the features that the graph's metadata
    `features` (JSON) lists, in that order, by default all of them. One output is the predictions, (n,) or
    (n, 1). Another may be the probabilities: for each row a mapping from class to probability, as
    scikit-learn's converters write it, or a matrix (n, k) if the metadata `classes` names its k columns. A
    graph with the matrix alone predicts the most probable class.
    """

    def __init__(self, graph: NDArray[np.uint8], classes: tuple[Any, ...] | None = None) -> None:
        self.graph = graph
        self.classes = classes

    @classmethod
    def read(cls, data: bytes) -> OnnxModel:
        """The model in an ONNX file; its classes are in the metadata `classes` (as JSON) or in its answers.

        Raises `IntegrityError` if onnxruntime does not accept it, or it takes or gives anything else.
        """
        model = cls(np.frombuffer(data, dtype=np.uint8).copy())
        try:
            model.classes = model._named_classes()
            unknown = sorted({entry.type for entry in model._runtime().get_inputs()} - set(_TYPES))
            model._outputs()
        except Exception as error:
            # onnxruntime's errors have no common base class.
            raise IntegrityError(
                f"not an ONNX graph that can be used: {one_line(error)}: export it again"
            ) from error
        if unknown:
            raise IntegrityError(
                f"the graph takes {', '.join(unknown)}: export it with one of {', '.join(_TYPES)}"
            )
        return model

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes (k,) in the order of the probabilities; absent where the graph names none."""
        if self.classes is None:
            raise AttributeError("the graph names no classes")
        return np.asarray(self.classes)

    def predict(self, features: pd.DataFrame) -> NDArray[Any]:
        """Predictions (n,) of features (n, d); raises `ValueError` if they are not what the graph takes."""
        labels, _ = self._outputs()
        if labels is None:
            best: NDArray[Any] = self.classes_[np.argmax(self.predict_proba(features), axis=1)]
            return best
        found = np.asarray(self._run(labels, features))
        if found.size != len(features):
            raise ValueError(
                f"the graph's output '{labels}' has {found.size} values for {len(features)} rows"
            )
        # In single precision a mean over many rows would be inexact.
        return found.reshape(-1).astype(np.float64) if found.dtype.kind == "f" else found.reshape(-1)

    @available_if(lambda model: model.classes is not None)  # type: ignore[untyped-decorator]
    def predict_proba(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """Probabilities (n, k) of features (n, d); raises `ValueError` if the graph does not take them."""
        assert self.classes is not None
        _, output = self._outputs()
        assert output is not None
        found = self._run(output, features)
        if isinstance(found, list):
            found = [[row[name] for name in self.classes] for row in found]
        matrix = np.asarray(found, dtype=np.float64).reshape(len(features), -1)
        if matrix.shape[1] != len(self.classes):
            raise ValueError(
                f"the graph gives {matrix.shape[1]} probabilities of {len(self.classes)} classes"
            )
        sums = matrix.sum(axis=1, keepdims=True)
        if (np.abs(sums - 1) > 1e-3).any():
            raise ValueError(
                "the graph's probabilities of a row do not add up to 1: export it with a softmax"
            )
        # In single precision they do so but for the last digits.
        matrix /= sums
        return matrix

    def signature(self) -> tuple[list[Any], list[Any]]:
        """The graph's inputs and outputs: each has `name`, `type` (such as `tensor(float)`) and `shape`."""
        return self._runtime().get_inputs(), self._runtime().get_outputs()

    def fed(self, features: pd.DataFrame) -> dict[str, NDArray[Any]]:
        """The graph's inputs by name for features (n, d); raises `ValueError` if it does not take them."""
        inputs = self._runtime().get_inputs()
        only = inputs[0]
        if len(inputs) == 1 and not (only.name in features and only.shape[-1] == 1):
            names = self._metadata("features") or list(features.columns)
            return {only.name: _tensor(features, names, only.type)}
        return {entry.name: _tensor(features, [entry.name], entry.type) for entry in inputs}

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_session"}

    def _runtime(self) -> Any:
        if "_session" not in self.__dict__:
            import onnxruntime  # type: ignore[import-untyped]

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.log_severity_level = 4
            self._session = onnxruntime.InferenceSession(
                self.graph.tobytes(), options, providers=["CPUExecutionProvider"]
            )
        return self._session

    def _metadata(self, name: str) -> list[Any] | None:
        text = self._runtime().get_modelmeta().custom_metadata_map.get(name)
        if text is None:
            return None
        found = json.loads(text)
        if not isinstance(found, list) or not found:
            raise ValueError(f"its metadata '{name}' is no list in JSON")
        return found

    def _named_classes(self) -> tuple[Any, ...] | None:
        if (named := self._metadata("classes")) is not None:
            return tuple(named)
        maps = [output.name for output in self._runtime().get_outputs() if output.type.startswith("seq(map")]
        if not maps:
            return None
        (row,) = self._answer(maps[0], {entry.name: _blank(entry) for entry in self._runtime().get_inputs()})
        return tuple(row)

    def _outputs(self) -> tuple[str | None, str | None]:
        """Names of the outputs of predictions and of probabilities, those that there are."""
        outputs = self._runtime().get_outputs()
        maps = [output for output in outputs if output.type.startswith("seq(map")]
        matrices = [output for output in outputs if _is_matrix(output, self.classes)]
        given = maps or (matrices if self.classes is not None else [])
        others = [output for output in outputs if output not in maps and output not in matrices]
        if len(others) > 1 or len(given) > 1 or not (others or given):
            names = ", ".join(f"{output.name} {output.type} {output.shape}" for output in outputs)
            raise ValueError(
                f"its outputs ({names}) are not one of predictions and at most one of probabilities, whose "
                "classes the metadata 'classes' names"
            )
        return others[0].name if others else None, given[0].name if given else None

    def _run(self, output: str, features: pd.DataFrame) -> Any:
        try:
            return self._answer(output, self.fed(features))
        except Exception as error:
            raise ValueError(f"the graph does not take these features: {one_line(error)}") from error

    def _answer(self, output: str, fed: Mapping[str, NDArray[Any]]) -> Any:
        return self._runtime().run([output], dict(fed))[0]


def _tensor(features: pd.DataFrame, names: list[str], kind: str) -> NDArray[Any]:
    if missing := [name for name in names if name not in features]:
        raise ValueError(f"there is no feature {', '.join(map(str, missing))}")
    if kind == "tensor(string)":
        texts = features[names].astype(object)
        return texts.where(texts.notna(), "").astype(str).to_numpy(dtype=object)
    if not kind.startswith(("tensor(float", "tensor(double")):
        return features[names].to_numpy(dtype=_TYPES[kind])
    return features[names].to_numpy(dtype=_TYPES[kind], na_value=np.nan)


def _blank(entry: Any) -> NDArray[Any]:
    """A row for an input, to try what shape the outputs have."""
    shape = [1, *(size if isinstance(size, int) else 1 for size in entry.shape[1:])]
    return (
        np.full(shape, "", dtype=object)
        if entry.type == "tensor(string)"
        else np.zeros(shape, _TYPES[entry.type])
    )


def _is_matrix(output: Any, classes: tuple[Any, ...] | None) -> bool:
    if output.type not in {"tensor(float)", "tensor(double)"} or len(output.shape) != 2:
        return False
    width = output.shape[1]
    return width > 1 if isinstance(width, int) else classes is not None
