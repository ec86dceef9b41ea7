"""What Triton Inference Server asks of a model: its configuration, and a request for people to copy. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

_TYPES: Mapping[str, str] = {
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(bool)": "TYPE_BOOL",
    "tensor(string)": "TYPE_STRING",
}
_DATATYPES: Mapping[str, str] = {
    "float32": "FP32",
    "float64": "FP64",
    "int32": "INT32",
    "int64": "INT64",
    "bool": "BOOL",
    "object": "BYTES",
}


def config(name: str, version: str, inputs: Iterable[Any], outputs: Iterable[Any]) -> str:
    """The text of `config.pbtxt` of an ONNX graph; `inputs` and `outputs` are those of onnxruntime's session.

    The number of rows is a dimension of its own, as the graph has it, so Triton batches nothing. Raises
    `KeyError` for a type that Triton does not have, such as a mapping.
    """
    parts = [f"name: {json.dumps(name)}", 'backend: "onnxruntime"', "max_batch_size: 0"]
    parts += [_tensors("input", inputs), _tensors("output", outputs)]
    parts += [
        'parameters { key: "evergreen_version" value { string_value: ' + json.dumps(version) + " } }",
        "instance_group [ { kind: KIND_CPU } ]",
    ]
    return "\n".join(parts) + "\n"


def request_of(fed: Mapping[str, NDArray[Any]]) -> dict[str, Any] | None:
    """The request of the Open Inference Protocol for the tensors of some rows; None if there are no rows."""
    inputs = [
        {
            "name": name,
            "shape": list(tensor.shape),
            "datatype": _DATATYPES[tensor.dtype.name],
            "data": tensor.ravel().tolist(),
        }
        for name, tensor in fed.items()
    ]
    return {"inputs": inputs} if all(entry["data"] for entry in inputs) else None


def _tensors(kind: str, entries: Iterable[Any]) -> str:
    each = ",\n".join(
        f"  {{ name: {json.dumps(entry.name)} data_type: {_TYPES[entry.type]} dims: {_dims(entry.shape)} }}"
        for entry in entries
    )
    return f"{kind} [\n{each}\n]"


def _dims(shape: Iterable[Any]) -> str:
    return json.dumps([size if isinstance(size, int) else -1 for size in shape])
