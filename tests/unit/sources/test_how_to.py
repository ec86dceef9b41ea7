"""What docs/how-to/sources.md and waiting.md show is right: every source and every kind of paging in them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from evergreen.connections import from_environment
from evergreen.sources import KINDS, Changed, Source
from evergreen.sources.files.description import FileSource
from evergreen.sources.files.formats import FORMATS
from evergreen.sources.files.places import PLACES, check_place
from evergreen.sources.http.paging import PAGINGS, Paging

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"
SOURCES = (HOW_TO / "sources.md").read_text()


def sources(page: str) -> list[Any]:
    """What the pages' blocks of YAML say of single sources."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return [said for block in blocks for said in yaml.safe_load(block).get("sources", {}).values()]


def test_the_page_of_formats_has_each_with_its_suffixes() -> None:
    page = (HOW_TO / "formats.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE)
    assert {name: re.findall(r"`(.*?)`", suffixes) for name, suffixes in rows} == {
        name: list(known.suffixes) for name, known in FORMATS.items()
    }
    assert len([Source.model_validate(said) for said in sources(page)]) == 3


def test_the_page_of_event_times_is_right() -> None:
    found = [Source.model_validate(said) for said in sources((HOW_TO / "event-time.md").read_text())]
    assert [source.config.whole for source in found] == [True, False, False, True]
    assert [source.time_column for source in found] == ["started_at", "pickup_at", "time", "at"]


def test_the_page_of_places_has_each_with_a_connection_that_will_do(tmp_path: Path) -> None:
    page = (HOW_TO / "files.md").read_text()
    key = tmp_path / "key.json"
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    key.write_text(
        json.dumps({"private_key": private.decode(), "private_key_id": "1", "client_email": "a@b"})
    )
    rows = re.findall(r"^\| `((\w+)://[^`]*)` \| .*? \| `(\{.*?\})` \| (yes|no) \|", page, re.MULTILINE)
    assert [scheme for _, scheme, _, _ in rows] == list(PLACES)
    for path, scheme, connection, is_searched in rows:
        variable = connection.replace("/secrets/key.json", str(key))
        known = from_environment("landing", {"AIRFLOW_CONN_LANDING": variable})
        FileSource.model_validate({"path": path, "conn_id": "landing"})
        check_place(path.replace("host", (known.host or "").rpartition("/")[2]), known)
        assert PLACES[scheme].is_listed == (is_searched == "yes")
    extras = re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|$", page, re.MULTILINE)
    assert [scheme for scheme, _, _ in extras] == [scheme for scheme in PLACES if scheme != "http"]
    assert {scheme for scheme, _, without in extras if without == "refused"} == {
        scheme for scheme, kind in PLACES.items() if kind.needs_connection
    }
    assert len([Source.model_validate(said) for said in sources(page)]) == 6


@pytest.mark.parametrize("page", ["sources.md", "waiting.md"])
def test_every_source_is_read(page: str) -> None:
    found = [Source.model_validate(said) for said in sources((HOW_TO / page).read_text())]
    assert {source.kind for source in found} == set(KINDS)


def test_the_page_of_late_rows_shows_the_defaults_of_changed() -> None:
    ((said,),) = [sources((HOW_TO / "late-rows.md").read_text())]
    (shown,) = [source.config.changes for source in [Source.model_validate(said)]]
    assert shown == Changed(column="changed_at", key=("order_id",))


def test_the_table_has_every_kind_of_paging() -> None:
    rows = re.findall(r"^\| `(\{.*\})` \|", SOURCES, re.MULTILINE)
    assert [Paging.model_validate(yaml.safe_load(row)).kind for row in rows] == list(PAGINGS)


def test_the_registry_is_shown_as_it_is() -> None:
    (shown,) = re.findall(r"^KINDS: .*? = \{(.*?)\}$", SOURCES, re.DOTALL | re.MULTILINE)
    assert re.findall(r'"(\w+)"', shown) == [*KINDS, "sqlite"]
