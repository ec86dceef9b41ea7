"""A file of OSV, asked as its service is."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.audit.osv import Database, serving


def record(name: str, key: str = "PYSEC-1", **affected: Any) -> dict[str, Any]:
    about = {"package": {"name": name, "ecosystem": "PyPI"}, **affected}
    return {"id": key, "modified": "2026-11-01T00:00:00Z", "affected": [about]}


def spans(*events: dict[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}


@pytest.mark.parametrize(
    ("affected", "inside", "outside"),
    [
        ({"versions": ["1.0", "1.1.0"]}, ["1.0", "1.1"], ["0.9", "1.2"]),
        (spans({"introduced": "0"}, {"fixed": "2.0"}), ["0.1", "2.0rc1"], ["2.0", "3"]),
        (spans({"introduced": "1.2"}, {"last_affected": "1.4"}), ["1.2", "1.4"], ["1.1", "1.4.1"]),
        (
            spans({"introduced": "1"}, {"fixed": "1.5"}, {"introduced": "2"}, {"fixed": "2.1"}),
            ["1.4", "2.0.9"],
            ["0.9", "1.5", "1.9", "2.1"],
        ),
        (spans({"introduced": "1"}), ["1", "99"], ["0.9"]),
    ],
)
def test_a_version_is_affected_by_list_or_range(
    affected: dict[str, Any], inside: list[str], outside: list[str]
) -> None:
    database = Database([record("Foo_Bar", **affected)])
    assert [each for each in inside if not database.about("foo-bar", each)] == []
    assert [each for each in outside if database.about("foo-bar", each)] == []


def test_withdrawn_records_and_other_ecosystems_say_nothing() -> None:
    gone = record("foo", versions=["1"]) | {"withdrawn": "2026-01-01T00:00:00Z"}
    other = record("foo", "GO-1", versions=["1"])
    other["affected"][0]["package"]["ecosystem"] = "Go"
    assert Database([gone, other]).about("foo", "1") == []


def test_an_export_is_served_as_osv_answers(tmp_path: Path) -> None:
    file = tmp_path / "all.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("PYSEC-1.json", json.dumps(record("foo", versions=["1"])))
    database = Database.read(file)
    assert (database.count, database.newest) == (1, "2026-11-01")
    with serving(database) as address:

        def ask(version: str) -> dict[str, Any]:
            body = {"package": {"name": "foo", "ecosystem": "PyPI"}, "version": version}
            found: dict[str, Any] = httpx.post(address, json=body).json()
            return found

        assert [each["id"] for each in ask("1")["vulns"]] == ["PYSEC-1"]
        assert ask("2") == {}


def test_a_file_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no record of OSV"):
        Database.read(tmp_path)
