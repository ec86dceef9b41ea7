"""Predictions of features that come as tensors, by the Open Inference Protocol, version 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from evergreen.errors import EvergreenError, one_line
from evergreen.scoring.predict import apply_model
from evergreen.scoring.published import PROBABILITIES, published_columns
from evergreen.serving.body import WRONG, check_count, read_json
from evergreen.serving.meters import CHAMPION
from evergreen.serving.refused import RequestRefusedError
from evergreen.serving.served import Served
from evergreen.serving.tensors import TYPES, Tensor, columns_of, packed_length, read_tensors
from evergreen.shown import shown

_LENGTH = "inference-header-content-length"


@dataclass(frozen=True)
class Inferred:
    """An answer: JSON, and behind it the bytes of tensors; `headers` tell where they begin."""

    body: bytes = field(repr=False)
    rows: int
    headers: dict[str, str]


def metadata(served: Served) -> dict[str, Any]:
    """What goes into a version and comes out of it: a tensor each, of as many rows as are sent."""
    inputs = [{"name": n, "datatype": _datatype(k), "shape": [-1]} for n, k in served.features.dtypes.items()]
    outputs = [_described(one) for one in _outputs(served, served.features)]
    return {
        "name": served.spec.name,
        "versions": [served.version],
        "platform": "evergreen",
        "inputs": inputs,
        "outputs": outputs,
        "properties": {"role": CHAMPION, "way": served.way},
    }


def infer(served: Served, body: bytes, told: str | None, most_rows: int) -> Inferred:
    """Predict the features of a request; `told` is the length of its JSON, if tensors follow it as bytes.

    Raises `RequestRefusedError`: 422 for what is no request by the protocol, or other features than the
    version's, and as `check_count` does.
    """
    length = packed_length(told, body)
    request = read_json(body[:length])
    if not isinstance(request, dict):
        raise RequestRefusedError(WRONG, "the request is no JSON object: send 'inputs'")
    features = _features(served, read_tensors(request.get("inputs"), body[length:]))
    check_count(len(features), most_rows)
    wanted = _wanted(request)
    try:
        outputs = _outputs(served, features)
    except Exception as error:
        # Estimators of others may raise anything.
        what = str(error) if isinstance(error, EvergreenError) else f"{type(error).__name__}: {error}"
        raise RequestRefusedError(WRONG, f"cannot be predicted: {one_line(what)}") from error
    if unknown := wanted.keys() - {one.name for one in outputs}:
        raise RequestRefusedError(WRONG, f"there is no output '{shown(min(unknown))}'")
    chosen = [one for one in outputs if one.name in wanted] if wanted else outputs
    document: dict[str, Any] = {"model_name": served.spec.name, "model_version": served.version}
    if isinstance(name := request.get("id"), str):
        document["id"] = name
    return _answered(document, chosen, wanted, by_default=_asks(request, "binary_data_output"))


def _features(served: Served, tensors: Sequence[Tensor]) -> pd.DataFrame:
    """The features (n, d) as the model takes them, from a tensor each, or from all in one."""
    names, first = list(map(str, served.features)), tensors[0]
    if len(tensors) == 1 and first.name not in names and first.values.shape[1:] == (len(names),):
        tensors = [Tensor(name, first.values[:, at]) for at, name in enumerate(names)]
    columns = columns_of(tensors)
    if unknown := sorted(columns.keys() - set(names)):
        raise RequestRefusedError(WRONG, f"'{shown(unknown[0])}' is no feature of {served.version}")
    if missing := [name for name in names if name not in columns]:
        raise RequestRefusedError(WRONG, f"the feature '{missing[0]}' is missing")
    kinds = served.features.dtypes
    return pd.DataFrame({name: _column(name, columns[name], kinds[name]) for name in names})


def _column(name: str, values: np.ndarray, kind: Any) -> pd.Series:
    """The values in the type of a feature; raises `RequestRefusedError` where one would change."""
    try:
        if values.dtype == kind:
            return pd.Series(values)
        texts = _datatype(kind) == "BYTES"
        if texts != (values.dtype == object) or (values.dtype.kind == "b" and kind.kind != "b"):
            raise ValueError
        column = pd.Series(values).astype(kind)
        back = column.to_numpy(object if texts else values.dtype)
        if texts and (column.isna() & ~pd.isna(values)).any():
            raise ValueError
        if not texts and not np.array_equal(back, values, equal_nan=values.dtype.kind == "f"):
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        raise RequestRefusedError(WRONG, f"the feature '{name}' must be {_datatype(kind)}") from None
    return column


def _outputs(served: Served, features: pd.DataFrame) -> list[Tensor]:
    """What is published of predictions, as tensors of as many rows; contributions and sets are none."""
    said = apply_model(served.spec, served.model.estimator, features)
    if served.levels.adapt:  # by partition, which features do not tell
        said = replace(said, bounds=None)
    found = []
    for name, values in published_columns(served.spec, said).items():
        array = said.probabilities if name == PROBABILITIES else np.asarray(values)
        if array is None or (array.dtype == object and not all(isinstance(one, str) for one in array)):
            continue  # what is published as lists of any length
        if array.dtype not in TYPES.values():
            array = np.array([*array.tolist(), None], object)[:-1]
        found.append(Tensor(name, array))
    return found


def _described(tensor: Tensor) -> dict[str, Any]:
    shape = [-1, *tensor.values.shape[1:]]
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": shape}


def _datatype(kind: Any) -> str:
    names = {dtype: name for name, dtype in TYPES.items()}
    return names.get(kind, "BYTES") if isinstance(kind, np.dtype) else "BYTES"


def _wanted(request: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The outputs that a request names; none stands for all."""
    outputs = request.get("outputs") or []
    if not isinstance(outputs, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in outputs
    ):
        raise RequestRefusedError(WRONG, "'outputs' is no list of outputs by their names")
    return {one["name"]: one for one in outputs}


def _asks(described: dict[str, Any], parameter: str) -> bool | None:
    parameters = described.get("parameters")
    return parameters.get(parameter) if isinstance(parameters, dict) else None


def _answered(
    document: dict[str, Any],
    outputs: Sequence[Tensor],
    wanted: dict[str, dict[str, Any]],
    by_default: bool | None,
) -> Inferred:
    heads, bodies = [], []
    for one in outputs:
        asked = _asks(wanted.get(one.name, {}), "binary_data")
        if (by_default if asked is None else asked) is True:
            head, body = one.packed()
            bodies.append(body)
        else:
            head = one.document()
        heads.append(head)
    text = msgspec.json.encode(document | {"outputs": heads})
    headers = {_LENGTH: str(len(text))} if bodies else {}
    return Inferred(b"".join([text, *bodies]), len(outputs[0].values), headers)
