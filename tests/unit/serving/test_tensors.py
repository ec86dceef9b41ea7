"""Tensors of the protocol, as JSON and as bytes."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.serving.refused import RequestRefusedError
from evergreen.serving.tensors import TYPES, Tensor, columns_of, packed_length, read_tensors


def tensor(datatype: str, values: list[Any]) -> Tensor:
    array = np.empty(len(values), TYPES[datatype])
    array[:] = values
    return Tensor("x", array)


EXAMPLES = [
    *(tensor(name, [0, 1, 100]) for name in TYPES if name not in ("BOOL", "BYTES")),
    tensor("BOOL", [True, False]),
    tensor("BYTES", ["", "é", "a\nb"]),
    tensor("FP64", [0.1, -0.0, float("nan"), 1e-310]),
    tensor("INT64", [-(2**63), 2**63 - 1]),
    tensor("UINT64", [2**64 - 1]),
    tensor("FP64", []),
    tensor("BYTES", []),
    Tensor("x", np.arange(6.0).reshape(3, 2)),
]


@pytest.mark.parametrize("one", EXAMPLES, ids=lambda one: f"{one.datatype}{list(one.values.shape)}")
def test_what_is_written_is_read_again(one: Tensor) -> None:
    head, body = one.packed()
    for inputs, packed in (([one.document()], b""), ([head], body)):
        [found] = read_tensors(json.loads(json.dumps(inputs)), packed)
        assert (found.name, found.datatype, found.values.shape) == ("x", one.datatype, one.values.shape)
        assert found.values.dtype == one.values.dtype
        if one.datatype == "BYTES":
            assert found.values.tolist() == one.values.tolist()
        else:
            assert found.values.tobytes() == one.values.tobytes()


def test_bytes_are_laid_out_as_the_protocol_says() -> None:
    assert tensor("FP32", [1.5]).packed()[1] == struct.pack("<f", 1.5)
    assert tensor("BOOL", [True, False]).packed()[1] == b"\1\0"
    assert tensor("BYTES", ["ab"]).packed()[1] == b"\2\0\0\0ab"


def test_data_may_be_nested_in_rows() -> None:
    [found] = read_tensors(
        [{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [[1, 2], [3, None]]}], b""
    )
    assert found.values.tolist()[0] == [1.0, 2.0]
    assert np.isnan(found.values[1, 1])


def given_input(**changes: Any) -> dict[str, Any]:
    return {"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0], **changes}


def packed(datatype: str, size: Any) -> dict[str, Any]:
    return {"name": "x", "shape": [1], "datatype": datatype, "parameters": {"binary_data_size": size}}


WRONG: list[tuple[Any, bytes, str]] = [
    (None, b"", "no list of 'inputs'"),
    ([], b"", "no list of 'inputs'"),
    ([1], b"", "input 0 has no name"),
    ([given_input(name=1)], b"", "input 0 has no name"),
    ([given_input(datatype="FP128")], b"", "no datatype that there is"),
    ([given_input(datatype=["FP64"])], b"", "no datatype that there is"),
    ([given_input(shape=None)], b"", "no shape"),
    ([given_input(shape=[])], b"", "no shape"),
    ([given_input(shape=[True])], b"", "no shape"),
    ([given_input(shape=[-1])], b"", "no shape"),
    ([given_input(shape=[1.0])], b"", "no shape"),
    ([given_input(shape=[1, 1, 1])], b"", "no shape"),
    ([given_input(shape=[2**40])], b"", "no shape"),
    ([given_input(shape=[2])], b"", "1 values, and its shape 2"),
    ([given_input(shape=[2**30, 2**30])], b"", "1 values, and its shape"),
    ([given_input(data=None)], b"", "no 'data'"),
    ([given_input(data={"0": 1})], b"", "no 'data'"),
    ([given_input(data=["1"])], b"", "no FP64"),
    ([given_input(data=[True])], b"", "no FP64"),
    ([given_input(data=[[1], 2])], b"", "no FP64"),
    ([given_input(data=[[[1]]])], b"", "no FP64"),
    ([given_input(data=[10**400])], b"", "beyond the range of FP64"),
    ([given_input(datatype="FP32", data=[1e300])], b"", "beyond the range of FP32"),
    ([given_input(datatype="INT64", data=[1.0])], b"", "no INT64"),
    ([given_input(datatype="INT64", data=[2**63])], b"", "beyond the range of INT64"),
    ([given_input(datatype="INT8", data=[128])], b"", "beyond the range of INT8"),
    ([given_input(datatype="UINT8", data=[-1])], b"", "beyond the range of UINT8"),
    ([given_input(datatype="INT64", data=[None])], b"", "no INT64"),
    ([given_input(datatype="BOOL", data=[1])], b"", "no BOOL"),
    ([given_input(datatype="BYTES", data=[1])], b"", "no BYTES"),
    ([packed("FP64", 8)], b"1234567", "has no 8 bytes"),
    ([packed("FP64", -8)], b"12345678", "has no -8 bytes"),
    ([packed("FP64", "8")], b"12345678", "has no 8 bytes"),
    ([packed("FP64", True)], b"1", "has no True bytes"),
    ([packed("FP64", 7)], b"1234567", "no multiple of 8"),
    ([packed("FP64", 8)], b"123456789", "1 bytes behind the JSON belong to no input"),
    ([packed("BOOL", 1)], b"\2", "neither 0 nor 1"),
    ([packed("BYTES", 3)], b"\1\0\0", "no texts with their lengths"),
    ([packed("BYTES", 5)], b"\2\0\0\0a", "no texts with their lengths"),
    ([packed("BYTES", 5)], b"\1\0\0\0\xff", "no texts with their lengths"),
]


@pytest.mark.parametrize(("inputs", "body", "why"), WRONG)
def test_what_is_no_tensor(inputs: Any, body: bytes, why: str) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        read_tensors(inputs, body)
    assert refused.value.status == 422
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=40), st.sampled_from(list(TYPES)), st.integers(0, 5))
def test_any_bytes_are_read_or_refused(body: bytes, datatype: str, rows: int) -> None:
    head = {"name": "x", "shape": [rows], "datatype": datatype, "parameters": {"binary_data_size": len(body)}}
    try:
        [found] = read_tensors([head], body)
    except RequestRefusedError:
        return
    assert found.packed()[1] == body


def test_columns_have_as_many_rows() -> None:
    one, two = Tensor("a", np.zeros((2, 1))), Tensor("b", np.zeros(2))
    assert {name: column.shape for name, column in columns_of([one, two]).items()} == {"a": (2,), "b": (2,)}
    for tensors, why in (
        ([one, one], "comes twice"),
        ([Tensor("a", np.zeros((2, 2)))], "has 2 columns and must have one"),
        ([one, Tensor("b", np.zeros(3))], "2 and 3 rows"),
    ):
        with pytest.raises(RequestRefusedError, match=why):
            columns_of(tensors)


def test_where_the_json_ends() -> None:
    assert packed_length(None, b"12345") == 5
    assert packed_length("3", b"12345") == 3
    for told in ("6", "-1", "x", "", "\u0663"):
        with pytest.raises(RequestRefusedError, match="Inference-Header-Content-Length"):
            packed_length(told, b"12345")
