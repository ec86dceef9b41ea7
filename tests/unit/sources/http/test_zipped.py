"""Answers that are a ZIP: of one file, of another number of them, damaged, and of too many bytes."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.errors import SourceError, UnavailableError
from evergreen.sources.attempts import StumbleError
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.read import ATTEMPTS, read_http
from evergreen.sources.http.zipped import unzipped
from tests.campaign import examples

METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
BODIES = {
    "csv": b"n,t\n1,Z\xc3\xbcrich\n2,b\n",
    "json_lines": '{"n": 1, "t": "Zürich"}\n{"n": 2, "t": "b"}\n'.encode(),
    "json": json.dumps({"data": [{"n": 1, "t": "Zürich"}, {"n": 2, "t": "b"}]}).encode(),
}


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", method) as file:
        for name, body in members:
            file.writestr(name, body)
    return packed.getvalue()


def read(api: Any, form: str = "csv", **changes: Any) -> list[Any]:
    source = HttpSource(conn_id="weather_api", path="/v1", format=form, paging={}, **changes)
    return read_http(source, api.connection(), "2024-01-01").table().to_pylist()


@pytest.mark.parametrize("form", BODIES)
@pytest.mark.parametrize("content_type", ["application/zip; name=a.zip", "application/octet-stream"])
def test_the_one_file_is_the_answer(api: Any, answer: Any, form: str, content_type: str) -> None:
    body = zipped(("folder/", b""), ("folder/a.csv", BODIES[form]), ("__MACOSX/._a.csv", b"x"))
    api.will(answer(body=body, headers={"Content-Type": content_type}))
    assert read(api, form) == [{"n": 1, "t": "Zürich"}, {"n": 2, "t": "b"}]


def test_none_or_several_files_are_named(api: Any, answer: Any) -> None:
    api.will(
        answer(body=zipped(("a.csv", b"n\n1\n"), ("b.csv", b"n\n2\n"))),
        answer(body=zipped(), headers={"Content-Type": "application/zip"}),
    )
    with pytest.raises(SourceError, match=r"/v1: the API's ZIP holds 2 files \(a.csv, b.csv\)"):
        read(api)
    with pytest.raises(SourceError, match=r"/v1: the API's ZIP holds 0 files \(none\)"):
        read(api)
    assert len(api.asked) == 2


def test_a_damaged_one_is_asked_for_again(api: Any, answer: Any) -> None:
    good = zipped(("a.csv", BODIES["csv"] * 100))
    damaged = good[:60] + bytes([good[60] ^ 255]) + good[61:]
    api.will(answer(body=damaged), answer(body=good[:-30]), answer(body=good))
    assert len(read(api)) == 299  # two records a time, and the header between
    api.will(*[answer(body=b"", headers={"Content-Type": "application/zip"})] * ATTEMPTS)
    with pytest.raises(UnavailableError, match="the ZIP answer is damaged or truncated, 5 times"):
        read(api)


def test_the_limit_is_of_unpacked_bytes(api: Any, answer: Any) -> None:
    api.will(answer(body=zipped(("a.csv", b"n\n" + b"1\n" * 10**6))))
    with pytest.raises(SourceError, match=r"a page of more than 102,400 bytes.*raise max_bytes"):
        read(api, max_bytes="100 kB")


@settings(max_examples=examples(60))
@given(st.sampled_from(METHODS), st.data())
def test_any_damage_is_told(method: int, data: st.DataObject) -> None:
    body = BODIES["csv"] * 20
    good = zipped(("a.csv", body), method=method)
    places = st.integers(0, len(good) - 1)
    bad = bytearray(good)
    for place, byte in data.draw(st.dictionaries(places, st.integers(0, 255), max_size=4)).items():
        bad[place] = byte
    end = data.draw(st.just(len(good)) | places)
    told = ""
    try:
        assert b"".join(unzipped(bytes(bad[:end]), "/v1")) == body
    except (SourceError, StumbleError) as error:
        told = str(error)
    assert "\n" not in told
