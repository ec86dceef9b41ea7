"""A long range that workers validate: published, quarantined and refused as one process does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evergreen.ingestion.by_workers import may_spread
from evergreen.ingestion.stage import ingest_all
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from evergreen.validation.refused import RefusedRows

DAYS = [f"2024-01-{day:02d}" for day in range(1, 22)]
MISSING, REFUSED, IN_PART = DAYS[12], DAYS[15], DAYS[18]
KIOSK = Path(__file__).parents[2] / "pipelines" / "kiosk" / "pipeline.yaml"
SUITE = """\
- expect_column_values_to_not_be_null: {column: sold}
- expect_column_values_to_be_between: {column: temperature, min_value: 0, max_value: 60}
  severity: warning
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The kiosk with its days as files: one is missing, one is refused, one has a row for the quarantine."""
    folder = tmp_path / "pipelines" / "kiosk"
    (folder / "sales").mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(KIOSK.read_text() + "validation: {max_quarantined: 50%}\n")
    (folder / "features.py").write_text((KIOSK.parent / "features.py").read_text())
    (folder / "expectations.yaml").write_text(SUITE)
    draw = np.random.default_rng(5)
    for day in DAYS:
        at = [f"{day}T{hour:02d}:00:00Z" for hour in (6, 10, 14, 18)]
        rows = pd.DataFrame({"at": at, "temperature": 20 + draw.normal(size=4), "sold": draw.normal(size=4)})
        if day == REFUSED:
            rows.loc[1, "sold"] = None
        if day == IN_PART:
            rows.loc[2, "temperature"] = 99.0
        if day != MISSING:
            rows.to_csv(folder / "sales" / f"{day}.csv", index=False)
    return folder


def ingested(folder: Path, storage: Storage, monkeypatch: pytest.MonkeyPatch, engine: str) -> Pipeline:
    """The first day, and then the others by an engine."""
    pipeline = Pipeline(parse_spec(folder / "pipeline.yaml"), storage)
    ingest_all(pipeline, DAYS[:1])
    monkeypatch.setenv("EVERGREEN_COMPUTE", engine)
    assert may_spread(pipeline, DAYS[1:]) is (engine != "local")
    found = ingest_all(pipeline, DAYS[1:])
    assert [one.partition for one in found.outcomes] == DAYS[1:]
    assert [one.partition for one in found.outcomes if one.status != "published"] == [MISSING, REFUSED]
    assert [one.partition for one in found.outcomes if one.quarantined] == [IN_PART]
    return pipeline


def test_workers_publish_what_one_process_does(
    folder: Path,
    configured: Storage,
    new_storage: Callable[[], Storage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = ingested(folder, new_storage(), monkeypatch, "local")
    apart = ingested(folder, configured, monkeypatch, "processes:1")
    for table in (Table.PARTITIONS, Table.QUARANTINE):
        assert apart.lake.files(table) == here.lake.files(table) != {}
    attempts = [RefusedRows(one.storage, "kiosk").of(REFUSED) for one in (here, apart)]
    assert attempts[0] == attempts[1] != None  # noqa: E711
    assert configured.list("kiosk/staging") == []


def test_what_follows_from_other_partitions_is_left_to_one_process(
    folder: Path, configured: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERGREEN_COMPUTE", "processes:1")
    pipeline = Pipeline(parse_spec(folder / "pipeline.yaml"), configured)
    assert not may_spread(pipeline, DAYS)  # nobody knows the columns yet
    ingest_all(pipeline, DAYS[:1])
    assert may_spread(pipeline, DAYS)
    assert not may_spread(pipeline, DAYS[:8])
    text = KIOSK.read_text() + "validation: {schema_change: evolve}\n"
    (folder / "pipeline.yaml").write_text(text)
    assert not may_spread(Pipeline(parse_spec(folder / "pipeline.yaml"), configured), DAYS)
