"""What a body may say."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.serving.body import Body, read_body, read_json
from evergreen.serving.refused import RequestRefusedError

WRONG = {
    b"": "the body is not JSON",
    b"\xff": "the body is not JSON",
    b"[]": "the body is no JSON object",
    b"null": "the body is no JSON object",
    b"{}": "the body has no list of 'rows'",
    b'{"rows": {}}': "the body has no list of 'rows'",
    b'{"rows": []}': "the body has no row",
    b'{"rows": [{}], "row": 1}': "the body has the field 'row'",
    b'{"rows": [{}], "whole": 1}': "the body's 'whole' is neither true nor false",
    b'{"rows": [{"a": NaN}]}': "the body is not JSON",
    b'{"rows": [{"a": Infinity}]}': "the body is not JSON",
    b'{"rows": [{"a": 1e999}]}': "the body is not JSON",
    b'{"rows": [{"a": "\\ud800"}]}': "the body is not JSON",
    b'{"rows": [{"a": 1}],}': "the body is not JSON",
    b'{"rows": [{"a": 1}]} x': "the body is not JSON",
    b'{"rows": [{"a": 1, "a": 1}]}': "an object has the key 'a' twice",
    b'{"rows": [{"a": 1, "\\u0061": "\\""}]}': "an object has the key 'a' twice",
    b'{"rows": [{}], "rows": [{}]}': "an object has the key 'rows' twice",
    b'{"rows": ' + b"[" * 100_000: "the body is nested too deeply",
    b'{"rows": [{"a": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}]}": "the body is nested too deeply",
    b'{"rows": [{"a": ' + b"9" * 100_000 + b"}]}": "the body is not JSON",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:30].decode("latin-1"))
def test_what_is_no_request(text: bytes) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        read_body(text, exact=False, most_rows=10)
    assert refused.value.status == 422
    assert str(refused.value).startswith(WRONG[text])
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_too_many_rows() -> None:
    text = json.dumps({"rows": [{}] * 11}).encode()
    with pytest.raises(RequestRefusedError, match="11 rows are more than 10: send several") as refused:
        read_body(text, exact=False, most_rows=10)
    assert refused.value.status == 413


def test_a_request() -> None:
    text = b'{"rows": [{"a": 0.1, "b": "x", "c": null, "d": [1, 2]}], "whole": true}'
    row = {"a": 0.1, "b": "x", "c": None, "d": [1, 2]}
    assert read_body(text, exact=False, most_rows=1) == Body([row], whole=True)
    exact = read_body(text, exact=True, most_rows=1).rows[0]["a"]
    assert (exact, type(exact)) == (Decimal("0.1"), Decimal)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(JSON, st.booleans())
def test_what_is_json_is_read(value: Any, ascii_only: bool) -> None:
    try:
        text = json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return
    assert read_json(text) == value


@given(st.text(max_size=3), st.dictionaries(st.text(max_size=3), st.text(max_size=3)), st.booleans())
def test_a_key_that_comes_twice_never_passes(name: str, others: dict[str, str], ascii_only: bool) -> None:
    pairs = [(name, ""), *others.items(), (name, "x")]
    text = ", ".join(
        f"{json.dumps(key, ensure_ascii=ascii_only)}: {json.dumps(value)}" for key, value in pairs
    )
    with pytest.raises(RequestRefusedError, match="twice"):
        read_json(f"[{{{text}}}]".encode())
