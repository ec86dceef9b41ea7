"""A manifest that somebody else wrote is refused before a byte is written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evergreen.backup.manifest import Entry, Manifest, _digest

GOOD = {"key": "lake/partitions/a.parquet", "size": 1, "sha256": "a" * 64}


def signed(**changes: Any) -> bytes:
    content = {"format": 1, "pipeline": "bikes", "number": 1, "objects": [GOOD], **changes}
    return json.dumps({"sha256": _digest(content), **content}).encode()


def test_what_is_written_is_read() -> None:
    manifest = Manifest("bikes", 1, [Entry(**GOOD), Entry("champion.json", 2, "b" * 64, "text/html", "note")])
    assert Manifest.from_json(manifest.to_json(), "bikes", 1) == manifest
    assert Manifest.from_json(signed(), "bikes", 1).entries == [Entry(**GOOD)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "Expecting value"),
        (b"[]", "no manifest"),
        (b"{}", "no manifest"),
        (b"[" * 100_000, "no manifest"),
        (signed(format=2), "the format 2 of another release"),
        (signed().replace(b'"size": 1', b'"size": 2'), "does not have its digest"),
        (signed(pipeline="other"), "that of another backup"),
        (signed(number=2), "that of another backup"),
        (signed(objects=[GOOD, GOOD]), "names an object twice"),
        (signed(objects=[{**GOOD, "more": 1}]), "no manifest"),
        *[
            (signed(objects=[{**GOOD, "key": key}]), "key or digest of another form")
            for key in (
                "../other/champion.json",
                "/etc/passwd",
                "lake/../../x",
                "lake//x",
                "",
                "a/./b",
                "a\0",
            )
        ],
        *[
            (signed(objects=[{**GOOD, "sha256": digest}]), "key or digest of another form")
            for digest in ("../../etc/passwd", "A" * 64, "a" * 63, "")
        ],
        *[
            (signed(objects=[{**GOOD, **wrong}]), "other values than text and a size")
            for wrong in ({"size": -1}, {"size": "1"}, {"size": True}, {"key": 1}, {"note": None})
        ],
    ],
    ids=lambda value: str(value)[-60:],
)
def test_a_hostile_manifest_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Manifest.from_json(body, "bikes", 1)
