"""What docs/how-to/csv.md shows is right: its files are read to its rows, and it names every key."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from evergreen.calendar import UTC_ZONE
from evergreen.sources import Source
from evergreen.sources.files.read import read_file
from evergreen.sources.http.read import read_http
from evergreen.sources.text.dialect import CsvDialect
from evergreen.time_form import time_form

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "csv.md").read_text()
EXAMPLES = re.findall(
    r"^```text\n(.*?)^```\n\n^```yaml\n(.*?)^```\n\n^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE
)
KEY = "2024-01-31"


def said(value: Any) -> Any:
    """A value as the page writes it in JSON."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


@pytest.mark.parametrize("example", EXAMPLES, ids=[text.split()[0] for text, _, _ in EXAMPLES])
def test_an_example_is_read_as_the_page_says(example, tmp_path, api, answer):
    text, described, expected = example
    (written,) = yaml.safe_load(described)["sources"].values()
    source = Source.model_validate(written)
    content = text.encode(source.config.csv.encoding or "utf-8")
    if source.kind == "file":
        path = tmp_path / source.config.path.replace("{partition}", KEY)
        path.parent.mkdir()
        path.write_bytes(content)
        rows = read_file(source.config, tmp_path, None, KEY, datetime(2024, 1, 31), zone=UTC_ZONE)  # noqa: DTZ001
    else:
        api.will(answer(body=content, headers={"Content-Type": "text/csv"}))
        rows = read_http(source.config, api.connection(), KEY)
    found = [{name: said(value) for name, value in row.items()} for row in rows.table().to_pylist()]
    assert (found, rows.rejected) == (json.loads(expected), [])


def test_there_are_examples():
    assert len(EXAMPLES) == 3


def test_the_table_has_every_key():
    (table,) = re.findall(r"^\| key \|.*?\n\n", PAGE, re.DOTALL | re.MULTILINE)
    keys = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert keys == list(CsvDialect.model_fields)


def test_every_type_reads_the_texts_beside_it():
    rows = re.findall(r"^\| `((?:date|time) [^`]*)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 8
    for name, texts in rows:
        form = time_form(name)
        for text in re.findall(r"`([^`]*[0-9][^`]*)`", texts):
            assert form.read(text, UTC_ZONE).year == 2024, (name, text)
